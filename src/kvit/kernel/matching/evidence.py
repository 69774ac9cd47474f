"""What one payment shows when it is held against the index: what it names, and who the payer is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Final

from kvit.kernel.matching.extract import Texts, numbers_in, texts_of
from kvit.kernel.matching.index import At, Index, marks_of, words_of
from kvit.kernel.matching.values import Invoice, Payment
from kvit.kernel.references import symbol_key

_FEW_CLIENTS: Final = 3
"""A word that more clients than these have in their names tells nobody apart by itself."""
_MANY_CLIENTS: Final = 50
_NOBODY: Final[frozenset[str]] = frozenset()


class Evidence:
    """A payment beside the index, while nothing in it changes."""

    def __init__(self, payment: Payment, index: Index) -> None:
        self.payment = payment
        self.index = index
        self.minor = abs(payment.minor)
        self.at: At = (payment.currency, payment.minor)
        self.owing = index.clients_owing(self.at)
        """Clients who owe exactly this, and by how many documents."""
        self.payers = index.payers(payment.counterparty_account)
        self.by_reference: dict[int, str] = {}
        """Documents that a structured reference names, and the reference: a symbol, a tag or RF."""
        self.by_number: dict[int, str] = {}
        """Documents whose number stands in a text, and how it does."""
        self.symbols: list[str] = []
        """Structured references that say something, as written."""
        self.strange: list[str] = []
        """References and numbers that name nothing."""
        self.ambiguous = ""
        """A reference that names several documents."""
        self.payer_symbol = ""
        """A reference that a client writes whatever it pays."""
        if payment.variable_symbol:
            self._take_symbol(payment.variable_symbol)
        texts = texts_of(payment.texts)
        if texts is not None:
            self._take_texts(texts)
        named = {**self.by_reference, **self.by_number} if self.by_number else self.by_reference
        self.named: list[Invoice] = [index.invoices[invoice_id] for invoice_id in named]

    def reference(self, invoice: Invoice) -> str:
        """Return how the payment names the document."""
        return self.by_reference.get(invoice.id) or self.by_number.get(invoice.id, "")

    @cached_property
    def words(self) -> frozenset[str]:
        return words_of(self.payment.counterparty_name)

    @cached_property
    def clients_by_name(self) -> list[int]:
        """Clients whose names share words with the payer's, those first of whom exactly this is owed."""
        index = self.index
        shared: dict[int, int] = {}
        for mark in marks_of(self.words):
            clients = index.clients_with.get(mark, ())
            if len(clients) <= _MANY_CLIENTS:
                for client_id in clients:
                    shared[client_id] = shared.get(client_id, 0) + 1
        owing = self.owing
        return sorted(shared, key=lambda client_id: (client_id not in owing, -shared[client_id], client_id))

    def has_rivals(self, client_id: int) -> bool:
        """Whether exactly this is owed by other clients too, so that a slip could go unseen."""
        return len(self.owing) > (client_id in self.owing)

    def supports(self, client_id: int) -> bool:
        """Whether the payer's account or name speaks for this client among those who owe exactly this."""
        return client_id in self.payers or self.is_named_like(client_id)

    def is_named_like(self, client_id: int) -> bool:
        """Whether the payer's name holds what only this client's does, among those who owe exactly this."""
        index = self.index
        shared = self.words & index.words.get(client_id, _NOBODY)
        if not shared:
            return False
        return any(
            index.marks_only(mark, client_id, self.at)
            for mark in marks_of(shared)
            if len(shared) > 1 or len(index.clients_with[mark]) <= _FEW_CLIENTS
        )

    def is_client(self, client_id: int) -> bool:
        """Whether the payer is the client: by account, or, where nobody is known to pay from it, by name."""
        return client_id in self.payers if self.payers else self._is_named_exactly(client_id)

    def looks_like_others(self, client_id: int) -> list[int]:
        """Return other clients who owe exactly this and whom account or name of the payer support."""
        if client_id in self.payers:
            return []
        others = set(self.payers)
        if self.words - self.index.words.get(client_id, _NOBODY):
            others.update(self.clients_by_name[:_FEW_CLIENTS])
        return [each for each in sorted(others - {client_id}) if each in self.owing and self.supports(each)]

    def debts(self, client_ids: Iterable[int]) -> list[Invoice]:
        """Return the open documents that the payment could pay whole, those first that are due about now."""
        open_minor = self.index.open_minor
        return self._due_now_first(
            invoice
            for client_id in client_ids
            for invoice in map(self.index.invoices.__getitem__, self.index.open_of.get(client_id, ()))
            if open_minor[invoice.id] <= self.minor and self._is_alike(invoice)
        )

    def exact_debts(self, client_id: int) -> list[Invoice]:
        """Return the client's documents that owe exactly this, those first that are due about now."""
        if client_id not in self.owing:
            return []
        open_minor = self.index.open_minor
        return self._due_now_first(
            invoice
            for invoice in map(self.index.invoices.__getitem__, self.index.open_of[client_id])
            if open_minor[invoice.id] == self.minor and self._is_alike(invoice)
        )

    def _is_alike(self, invoice: Invoice) -> bool:
        """Whether the document is of the payment's currency and direction."""
        payment = self.payment
        return invoice.currency == payment.currency and invoice.is_credit_note is (payment.minor < 0)

    def _due_now_first(self, invoices: Iterable[Invoice]) -> list[Invoice]:
        found, booked_on = list(invoices), self.payment.booked_on
        if len(found) > 1:
            found.sort(key=lambda each: (abs(each.due_on - booked_on), each.id))
        return found

    def _is_named_exactly(self, client_id: int) -> bool:
        """Whether all words of the client's name, two or more, are in the payer's, and of no other."""
        index = self.index
        words = index.words.get(client_id, _NOBODY)
        if len(words) < 2 or not words <= self.words:
            return False
        namesakes = min((index.clients_with[mark] for mark in marks_of(words)), key=len)
        return len(namesakes) <= _MANY_CLIENTS and all(
            other == client_id or not index.words[other] <= self.words for other in namesakes
        )

    def _take_symbol(self, written: str) -> None:
        if not (symbol := symbol_key(written)):
            return
        self.symbols.append(written)
        always = self.index.always_writing(symbol)
        if always:
            self.payer_symbol = written
        ids = self.index.named.get(symbol)
        if ids is not None:
            self._take(ids, written)
        elif not always:
            self.strange.append(symbol)

    def _take(self, ids: Sequence[int], written: str) -> None:
        if len(ids) > 1:
            ids = self._one_of(ids, written)
        for invoice_id in ids:
            self.by_reference.setdefault(invoice_id, written)

    def _one_of(self, ids: Sequence[int], written: str) -> Sequence[int]:
        """Of several documents, void ones give way, and so do paid ones to an exact symbol."""
        invoices = self.index.invoices
        valid = [each for each in ids if not invoices[each].is_void] or ids
        exact = [each for each in valid if invoices[each].variable_symbol == written]
        if len(exact) == 1 and not any(self.index.owed(each) for each in valid if each != exact[0]):
            return exact
        if len(valid) > 1:
            self.ambiguous = written
        return valid

    def _take_texts(self, texts: Texts) -> None:
        named = self.index.named
        for written in texts.symbols:
            self._take_symbol(written)
        for reference in texts.creditor_references:
            ids = named.get(reference[4:]) or named.get(symbol_key(reference[4:]))
            if ids is None:
                self.strange.append(reference[4:])
            else:
                self._take(ids, reference)
        for runs in texts.runs:
            numbers = numbers_in(runs, named)
            self.strange += numbers.strange
            for number in numbers.known:
                found = named[number]
                known = self._one_of(found, number) if len(found) > 1 else found
                self.by_number.update(dict.fromkeys(known, number))
