"""Lookups over invoices, built once and kept current as payments settle them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from kvit.kernel.matching.values import Invoice, Settle
from kvit.kernel.money import Money
from kvit.kernel.references import account_key, symbol_key, words


class Index:
    """Invoices by variable symbol, number and open amount, payer accounts by client, and rejected pairs."""

    def __init__(
        self,
        invoices: Iterable[Invoice],
        payer_accounts: Iterable[tuple[str, int]] = (),
        rejected: Iterable[tuple[int, int]] = (),
    ) -> None:
        """Take invoices in order of age, known (account, client id) and rejected (payment id, invoice id)."""
        self._invoices: dict[int, Invoice] = {}
        self._by_symbol: defaultdict[str, dict[int, None]] = defaultdict(dict)
        self._by_number: dict[str, int] = {}
        self._by_open: defaultdict[Money, dict[int, None]] = defaultdict(dict)
        self._clients: defaultdict[str, set[int]] = defaultdict(set)
        self._rejected = set(rejected)
        for account, client_id in payer_accounts:
            self._clients[account_key(account)].add(client_id)
        for invoice in invoices:
            self._add(invoice)

    def with_symbol(self, symbol: str) -> list[Invoice]:
        """Every invoice with this variable symbol, leading zeros aside, open or paid."""
        key = symbol_key(symbol)
        return [self._invoices[number] for number in self._by_symbol.get(key, ())] if key else []

    def named_in(self, text: str) -> list[Invoice]:
        """Open invoices whose number stands in the text as a word of its own, in order of the text."""
        found = [self._by_number.get(word) for word in words(text)]
        return [self._invoices[number] for number in dict.fromkeys(found) if number and self._is_open(number)]

    def with_open_amount(self, amount: Money) -> list[Invoice]:
        """Invoices of which exactly this is open, the oldest first."""
        return [self._invoices[number] for number in self._by_open.get(amount, ())]

    def clients_of(self, account: str) -> frozenset[int]:
        """Clients whose payer account this is known to be."""
        return frozenset(self._clients.get(account_key(account), ())) if account else frozenset()

    def is_rejected(self, payment_id: int, invoice_id: int) -> bool:
        return (payment_id, invoice_id) in self._rejected

    def learn(self, account: str, client_id: int) -> None:
        """Know this payer account from now on."""
        if account:
            self._clients[account_key(account)].add(client_id)

    def client_of(self, invoice_id: int) -> int:
        return self._invoices[invoice_id].client_id

    def settle(self, settle: Settle) -> None:
        """Take the amount off what is open. Raises CurrencyMismatch."""
        old = self._invoices[settle.invoice_id]
        self._by_open[old.open].pop(old.id, None)
        self._add(
            Invoice(
                id=old.id,
                number=old.number,
                variable_symbol=old.variable_symbol,
                client_id=old.client_id,
                open=old.open - settle.amount,
                total=old.total,
                due_on=old.due_on,
            )
        )

    def _is_open(self, invoice_id: int) -> bool:
        return bool(self._invoices[invoice_id].open)

    def _add(self, invoice: Invoice) -> None:
        self._invoices[invoice.id] = invoice
        self._by_number[invoice.number.upper()] = invoice.id
        if key := symbol_key(invoice.variable_symbol):
            self._by_symbol[key][invoice.id] = None
        if invoice.open:
            self._by_open[invoice.open][invoice.id] = None
