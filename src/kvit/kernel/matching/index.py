"""Lookups over documents, clients and accounts: built once, kept current by what payments and people do.

Everything a decision asks for is one lookup or a counter. What would need a walk over rivals is counted when
a document opens or closes, so that ten thousand equal prices cost no more than one. Any sequence of changes
ends where an index built at once from the end state is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from itertools import combinations
from typing import Final

from kvit.kernel.matching.extract import folded
from kvit.kernel.matching.values import Invoice, Line, Provenance, Tier
from kvit.kernel.references import account_key, symbol_key

_WORD: Final = re.compile(r"[A-Z0-9]{3,}")
_SEPARATORS: Final = re.compile(r"[^A-Z0-9]+")
_LETTERS: Final = re.compile(r"[A-Z]+")
_FORMS: Final = frozenset(
    (
        "SPOL",
        "SRO",
        "GMBH",
        "LTD",
        "INC",
        "LLC",
        "KFT",
        "MBH",
        "OHG",
        "SARL",
        "CZECH",
        "REPUBLIC",
        "AND",
        "THE",
    )
) | {"ING", "MGR"}
"""Legal forms, titles and the like: they name nobody."""
_MOST_WORDS: Final = 5
_NOBODY: Final[Mapping[int, Provenance]] = {}
_NO_CLIENTS: Final[Mapping[int, None]] = {}
_NO_COUNTS: Final[Mapping[int, int]] = {}


type At = tuple[str, int]
"""A currency and an amount in hundredths; negative where it is we who owe."""


@lru_cache(maxsize=20_000)
def words_of(name: str) -> frozenset[str]:
    """Return the words of a name that may tell one payer from another: three letters or more, folded."""
    return frozenset(_WORD.findall(folded(name))) - _FORMS


@lru_cache(maxsize=50_000)
def marks_of(words: frozenset[str]) -> tuple[str, ...]:
    """Return what a name is recognised by: each word, and each pair of words."""
    some = sorted(words)[:_MOST_WORDS]
    return (*some, *map(" ".join, combinations(some, 2)))


def spellings(invoice: Invoice) -> set[str]:
    """Return every way a payer may write a document's number: with and without letters, or as a symbol."""
    ways = {invoice.variable_symbol, symbol_key(invoice.variable_symbol), invoice.creditor_reference[4:]}
    for number in (invoice.number, *invoice.aliases):
        ways.add(compact := number if number.isdecimal() else _SEPARATORS.sub("", folded(number)))
        if not compact.isdecimal():
            ways.add(_LETTERS.sub("", compact))
    ways.discard("")
    return ways


class Index:
    """Documents by reference and by open amount, clients by account and name, and pairs people rejected."""

    def __init__(
        self,
        own_accounts: Iterable[str] = (),
        rejected: Iterable[tuple[int, int]] = (),
        enabled: Iterable[Tier] = tuple(Tier),
        rates: Mapping[tuple[str, str], Decimal] | None = None,
    ) -> None:
        """Take the organization's own accounts, rejected (payment id, invoice id) and the tiers that may act.

        `rates` says how much of the first currency one unit of the second is worth, roughly: it only names a
        difference that a person sees.
        """
        self.own_accounts = frozenset(map(account_key, own_accounts)) - {""}
        self.rejected = set(rejected)
        self.enabled = frozenset(enabled)
        self.rates = dict(rates or {})
        self.invoices: dict[int, Invoice] = {}
        self.open_minor: dict[int, int] = {}
        """Of every document on which anything is open."""
        self.named: dict[str, tuple[int, ...]] = {}
        """Documents by every spelling of their numbers and symbols, whatever their state, in order of id."""
        self.open_of: dict[int, set[int]] = {}
        """Client -> documents on which anything is open."""
        self._owing: dict[At, dict[int, int]] = {}
        """Clients who owe exactly this, and by how many documents."""
        self._marks_owing: dict[At, dict[str, int]] = {}
        """The marks in the names of these clients, and how many have each; where they are two or more."""
        self.clients_with: dict[str, dict[int, None]] = {}
        """Mark of a name -> clients whose names hold it."""
        self.words: dict[int, frozenset[str]] = {}
        self._marks: dict[int, tuple[str, ...]] = {}
        self._payer_symbols: dict[str, dict[int, None]] = {}
        self._symbols_of: dict[int, tuple[str, ...]] = {}
        self._accounts: dict[str, dict[int, Provenance]] = {}

    def add_client(
        self,
        client_id: int,
        name: str,
        accounts: Iterable[tuple[str, Provenance]] = (),
        payer_symbols: Iterable[str] = (),
    ) -> None:
        """Know a client, before its documents; known already, it gets this name and these symbols.

        `accounts` are those it has paid from, `payer_symbols` those that it writes whatever it pays.
        """
        open_of = {each: self.open_minor[each] for each in self.open_of.get(client_id, ())}
        for invoice_id in open_of:
            self._close(self.invoices[invoice_id])
        self._name(client_id, words_of(name))
        for invoice_id, minor in open_of.items():
            self._open(self.invoices[invoice_id], minor)
        self._give_symbols(client_id, payer_symbols)
        for account, provenance in accounts:
            self.learn(account, client_id, provenance)

    def learn(self, account: str, client_id: int, provenance: Provenance = Provenance.AUTO) -> None:
        """Know a payer's account from now on; what a person said is not weakened."""
        if account:
            known = self._accounts.setdefault(account_key(account), {})
            if known.get(client_id) is not Provenance.HUMAN:
                known[client_id] = provenance

    def forget(self, account: str, client_id: int) -> None:
        """Know a payer's account for this client no more."""
        known = self._accounts.get(account_key(account), {})
        known.pop(client_id, None)
        if not known:
            self._accounts.pop(account_key(account), None)

    def add(self, invoice: Invoice) -> set[str]:
        """Know a document from the moment it is issued, or what became of it; return what it goes by."""
        if invoice.id in self.invoices:
            self.withdraw(invoice.id)
        self.invoices[invoice.id] = invoice
        names = spellings(invoice)
        alone = (invoice.id,)
        for key in names:
            others = self.named.get(key)
            self.named[key] = alone if others is None else tuple(sorted(others + alone))
        if invoice.open_minor and not invoice.is_void:
            self._open(invoice, invoice.open_minor)
        return names

    def withdraw(self, invoice_id: int) -> None:
        """Know a document no more."""
        invoice = self.invoices[invoice_id]
        if invoice_id in self.open_minor:
            self._close(invoice)
        for key in spellings(invoice):
            if others := tuple(each for each in self.named[key] if each != invoice_id):
                self.named[key] = others
            else:
                del self.named[key]
        del self.invoices[invoice_id]

    def settle(self, lines: Iterable[Line]) -> None:
        """Take the amounts off what is open. Raises ValueError where that is less."""
        for invoice_id, minor in lines:
            owed_minor = self.owed(invoice_id)
            if not 0 < minor <= owed_minor:
                raise ValueError(f"{minor} of document {invoice_id} cannot be settled: {owed_minor} is open")
            invoice = self.invoices[invoice_id]
            self._close(invoice)
            if minor < owed_minor:
                self._open(invoice, owed_minor - minor)

    def unsettle(self, lines: Iterable[Line]) -> None:
        """Open the amounts again."""
        for invoice_id, minor in lines:
            invoice = self.invoices[invoice_id]
            self._open(invoice, minor + (self._close(invoice) if invoice_id in self.open_minor else 0))

    def reject(self, payment_id: int, invoice_id: int) -> None:
        """Remember that a person said this payment does not pay this document."""
        self.rejected.add((payment_id, invoice_id))

    def allow(self, payment_id: int, invoice_id: int) -> None:
        """Forget that a person said so."""
        self.rejected.discard((payment_id, invoice_id))

    def payers(self, account: str) -> Mapping[int, Provenance]:
        """Return the clients that are known to pay from the account."""
        return self._accounts.get(account_key(account), _NOBODY) if account else _NOBODY

    def always_writing(self, symbol: str) -> Mapping[int, None]:
        """Return the clients who write this symbol, without leading zeros, whatever they pay."""
        return self._payer_symbols.get(symbol, _NO_CLIENTS) if self._payer_symbols else _NO_CLIENTS

    def owed(self, invoice_id: int) -> int:
        """Return what is open on a document, in hundredths."""
        return self.open_minor.get(invoice_id, 0)

    def clients_owing(self, at: At) -> Mapping[int, int]:
        """Return the clients who owe exactly this, and by how many documents."""
        return self._owing.get(at, _NO_COUNTS)

    def marks_only(self, mark: str, client_id: int, at: At) -> bool:
        """Whether no other client who owes exactly this has the mark in its name."""
        owing = self.clients_owing(at)
        if len(owing) > 1:
            return self._marks_owing[at].get(mark, 0) <= (client_id in owing)
        return all(mark not in self._marks.get(each, ()) for each in owing if each != client_id)

    def _name(self, client_id: int, words: frozenset[str]) -> None:
        for mark in self._marks.get(client_id, ()):
            clients = self.clients_with[mark]
            del clients[client_id]
            if not clients:
                del self.clients_with[mark]
        self.words[client_id] = words
        marks = self._marks[client_id] = marks_of(words)
        for mark in marks:
            self.clients_with.setdefault(mark, {})[client_id] = None

    def _give_symbols(self, client_id: int, symbols: Iterable[str]) -> None:
        for symbol in self._symbols_of.pop(client_id, ()):
            clients = self._payer_symbols[symbol]
            del clients[client_id]
            if not clients:
                del self._payer_symbols[symbol]
        if keys := tuple(sorted({symbol_key(symbol) for symbol in symbols} - {""})):
            self._symbols_of[client_id] = keys
            for key in keys:
                self._payer_symbols.setdefault(key, {})[client_id] = None

    def _open(self, invoice: Invoice, minor: int) -> None:
        client_id, at = invoice.client_id, _at(invoice, minor)
        self.open_minor[invoice.id] = minor
        open_of = self.open_of.get(client_id)
        if open_of is None:
            self.open_of[client_id] = {invoice.id}
        else:
            open_of.add(invoice.id)
        owing = self._owing.get(at)
        if owing is None:
            self._owing[at] = {client_id: 1}
        elif client_id in owing:
            owing[client_id] += 1
        else:
            owing[client_id] = 1
            self._count_marks(at, owing if len(owing) == 2 else (client_id,))

    def _close(self, invoice: Invoice) -> int:
        """Know the document as settled and return what was open on it."""
        client_id, minor = invoice.client_id, self.open_minor.pop(invoice.id)
        at = _at(invoice, minor)
        open_of = self.open_of[client_id]
        open_of.discard(invoice.id)
        if not open_of:
            del self.open_of[client_id]
        owing = self._owing[at]
        if owing[client_id] > 1:
            owing[client_id] -= 1
        else:
            del owing[client_id]
            if not owing:
                del self._owing[at]
            elif len(owing) == 1:
                del self._marks_owing[at]
            else:
                self._discount_marks(at, client_id)
        return minor

    def _count_marks(self, at: At, client_ids: Iterable[int]) -> None:
        marks = self._marks_owing.setdefault(at, {})
        for client_id in client_ids:
            for mark in self._marks.get(client_id, ()):
                marks[mark] = marks.get(mark, 0) + 1

    def _discount_marks(self, at: At, client_id: int) -> None:
        marks = self._marks_owing[at]
        for mark in self._marks.get(client_id, ()):
            if marks[mark] > 1:
                marks[mark] -= 1
            else:
                del marks[mark]


def _at(invoice: Invoice, minor: int) -> At:
    return invoice.currency, -minor if invoice.is_credit_note else minor
