"""What a person may choose for a payment that is not settled by itself: the best first, with facts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Final

from kvit.kernel.matching.evidence import Evidence
from kvit.kernel.matching.near import is_near
from kvit.kernel.matching.subsets import ways
from kvit.kernel.matching.values import Candidate, Invoice, Line, Reason, written
from kvit.kernel.references import symbol_key

MOST: Final = 3
_FEW_OWING: Final = 3
"""Where the same amount is owed by more clients than these, the amount alone suggests nobody."""
_SOME_OWING: Final = 20
_MOST_CLIENTS: Final = 5
_MOST_WRITTEN: Final = 2
_LARGEST_ROUNDING_MINOR: Final = 100
_LARGEST_FEE: Final = Decimal("0.05")
"""Of what is owed: what banks on the way take, at most (OUR, SHA and BEN in SWIFT MT103, field 71A)."""
_LEAST_FEE_MINOR: Final = 30_000
_FX_BAND: Final = Decimal("0.04")
"""How far the rate of the payer's bank lies from the one we know, at most."""

type _Lines = tuple[Line, ...]


def candidates(evidence: Evidence) -> tuple[Candidate, ...]:
    """Return at most three ways to settle, ranked by reference, amount, payer, then the day they are due."""
    suggestions = _Suggestions(evidence)
    found: dict[_Lines, None] = {}
    for lines in suggestions.ranked():
        if not _is_rejected(evidence, lines):
            found[lines] = None
        if len(found) == MOST:
            break
    return tuple(map(suggestions.explained, found))


class _Suggestions:
    """The ways to settle one payment."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.index = evidence.index
        structured = map(symbol_key, evidence.symbols)
        self.written = list(dict.fromkeys([*structured, *evidence.strange]))[:_MOST_WRITTEN]
        self.near: dict[int, str] = {}
        """Documents one slip away from what is written, as far as asked, and what is written."""

    def ranked(self) -> Iterator[_Lines]:
        evidence, index = self.evidence, self.index
        named = [each for each in evidence.named if index.owed(each.id) and self._is_of_direction(each)]
        yield from (self._one(each) for each in named if self._is_exact(each))
        clients = self._likely_clients()
        yield from map(self._one, self._exact_debts(clients))
        yield from map(self._one, self._near_debts())
        if len(named) > 1 and sum(index.owed(each.id) for each in named) == evidence.minor:
            yield self._together(named)
        for client_id in clients[:_MOST_CLIENTS]:
            yield from self._sums(client_id)
        yield from map(self._one, named)
        if len(evidence.owing) <= _FEW_OWING:
            for client_id in sorted(evidence.owing):
                yield from map(self._one, evidence.exact_debts(client_id))

    def explained(self, lines: _Lines) -> Candidate:
        invoices = [self.index.invoices[line.invoice_id] for line in lines]
        for_: list[Reason] = []
        against: list[Reason] = []
        self._explain_reference(invoices, for_, against)
        self._explain_amount(invoices, for_, against)
        self._explain_payer(invoices[0].client_id, for_, against)
        return Candidate(lines, tuple(for_), tuple(against))

    def _exact_debts(self, clients: Iterable[int]) -> list[Invoice]:
        """The clients' documents that owe exactly this; those one slip away from what is written first."""
        found = [invoice for client_id in clients for invoice in self.evidence.exact_debts(client_id)]
        return sorted(found, key=lambda invoice: not self._is_near(invoice)) if self.written else found

    def _near_debts(self) -> Iterator[Invoice]:
        """Documents of anybody that owe exactly this and are one slip away from what is written.

        Where many owe it, many lie a slip away. Not for money that leaves: its numbers are the suppliers'.
        """
        evidence = self.evidence
        if self.written and evidence.payment.minor > 0 and len(evidence.owing) <= _SOME_OWING:
            for client_id in sorted(evidence.owing):
                yield from filter(self._is_near, evidence.exact_debts(client_id))

    def _is_near(self, invoice: Invoice) -> bool:
        symbol = symbol_key(invoice.variable_symbol)
        for digits in self.written:
            if is_near(digits, symbol):
                self.near[invoice.id] = digits
                return True
        return False

    def _likely_clients(self) -> list[int]:
        """Clients by the payer's account or symbol, owners of what is named, then those of a like name."""
        evidence = self.evidence
        always = evidence.index.always_writing(symbol_key(evidence.payer_symbol))
        owners = (invoice.client_id for invoice in evidence.named)
        by_name = evidence.clients_by_name[:_MOST_CLIENTS]
        return list(dict.fromkeys([*sorted(evidence.payers), *sorted(always), *owners, *by_name]))

    def _is_of_direction(self, invoice: Invoice) -> bool:
        return invoice.is_credit_note is (self.evidence.payment.minor < 0)

    def _is_exact(self, invoice: Invoice) -> bool:
        return (
            self.index.owed(invoice.id) == self.evidence.minor
            and invoice.currency == self.evidence.payment.currency
            and self._is_of_direction(invoice)
        )

    def _sums(self, client_id: int) -> Iterator[_Lines]:
        if len(self.index.open_of.get(client_id, ())) > 1:
            debts = self.evidence.debts([client_id])
            amounts = [self.index.open_minor[each.id] for each in debts]
            for positions in ways(amounts, self.evidence.minor, most=2):
                yield self._together([debts[position] for position in positions])

    def _one(self, invoice: Invoice) -> _Lines:
        owed_minor = self.index.owed(invoice.id)
        if invoice.currency == self.evidence.payment.currency:
            owed_minor = min(owed_minor, self.evidence.minor)
        return (Line(invoice.id, owed_minor),)

    def _together(self, invoices: Iterable[Invoice]) -> _Lines:
        return tuple(sorted(Line(each.id, self.index.owed(each.id)) for each in invoices))

    def _explain_reference(
        self, invoices: Sequence[Invoice], for_: list[Reason], against: list[Reason]
    ) -> None:
        evidence = self.evidence
        if any(each.id in evidence.by_reference for each in invoices):
            for_.append(Reason("symbol.equal", {"symbol": evidence.reference(invoices[0])}))
        elif invoices[0].id in self.near:
            against.append(Reason("symbol.near", {"symbol": self.near[invoices[0].id]}))
        elif evidence.symbols:
            against.append(Reason("symbol.other", {"symbol": evidence.symbols[0]}))
        if any(each.id in evidence.by_number for each in invoices):
            for_.append(Reason("number.in_message", {"symbol": evidence.by_number.get(invoices[0].id, "")}))

    def _explain_amount(self, invoices: Sequence[Invoice], for_: list[Reason], against: list[Reason]) -> None:
        paid, currency = self.evidence.minor, self.evidence.payment.currency
        owed_minor = sum(self.index.owed(each.id) for each in invoices)
        if any(each.currency != currency for each in invoices):
            against.append(self._exchange(owed_minor, invoices[0].currency))
        elif owed_minor == paid:
            for_.append(Reason("amount.equal", {"amount": written(paid, currency)}))
        else:
            code = _difference(paid - owed_minor, owed_minor)
            against.append(Reason(code, {"difference": written(paid - owed_minor, currency)}))

    def _exchange(self, owed_minor: int, currency: str) -> Reason:
        """Say the rate that the payment would mean; near the one we know, it is a difference of rates."""
        paid_currency = self.evidence.payment.currency
        rate = Decimal(self.evidence.minor) / max(owed_minor, 1)
        known = self.index.rates.get((paid_currency, currency))
        is_near = known is not None and abs(rate - known) <= known * _FX_BAND
        values = {"open": written(owed_minor, currency), "rate": f"{rate:.4f}"}
        return Reason("difference.exchange" if is_near else "currency.other", values)

    def _explain_payer(self, client_id: int, for_: list[Reason], against: list[Reason]) -> None:
        evidence, payment = self.evidence, self.evidence.payment
        if client_id in evidence.payers:
            for_.append(Reason("payer.known", {"account": payment.counterparty_account}))
        elif evidence.payers:
            against.append(Reason("payer.of_other_client", {"account": payment.counterparty_account}))
        elif not evidence.words.isdisjoint(evidence.index.words.get(client_id, ())):
            for_.append(Reason("payer.alike", {"name": payment.counterparty_name}))


def _difference(difference_minor: int, owed_minor: int) -> str:
    """Tell what kind of difference it may be; negative where less was paid."""
    if abs(difference_minor) <= _LARGEST_ROUNDING_MINOR:
        return "difference.rounding"
    if -max(_LEAST_FEE_MINOR, int(owed_minor * _LARGEST_FEE)) <= difference_minor < 0:
        return "difference.fee"
    return "amount.difference"


def _is_rejected(evidence: Evidence, lines: _Lines) -> bool:
    rejected = evidence.index.rejected
    return bool(rejected) and any((evidence.payment.id, line.invoice_id) in rejected for line in lines)
