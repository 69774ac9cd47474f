"""What waits for a person as cards: a movement as the bank sent it, beside what it may pay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.html import conditional_escape, format_html_join
from django.utils.safestring import SafeString

from kvit.invoices.models import Invoice, Settlement
from kvit.kernel.money import Money
from kvit.kernel.references import account_key
from kvit.ledger.models import BankAccount, MoneyTransaction
from kvit.matching.models import Decision
from kvit.users.scoping import Access

type _Reason = Mapping[str, Any]

_IN_THE_DIFFERENCE: Final = frozenset(("amount.difference", "difference.rounding", "difference.fee"))
_WRITE_OFFS: Final = {
    "difference.rounding": Settlement.Source.ROUNDING,
    "difference.fee": Settlement.Source.FEE,
}
_NAMES_A_PAID_ONE: Final = ("document.settled", "refund.of_invoice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The words of a movement as the bank sent them, the references in them marked."""

    variable_symbol: SafeString
    message: SafeString
    reference: SafeString


@dataclass(frozen=True, slots=True)
class Part:
    """One document of an offer, and how much of it the offer settles."""

    invoice: Invoice
    amount: Money

    @property
    def is_whole(self) -> bool:
        return self.amount == self.invoice.open


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A candidate as a card shows it: one document, or several with their sum."""

    place: int
    """Of the candidate in its decision, counted from 0."""
    parts: tuple[Part, ...]
    for_: list[_Reason]
    against: list[_Reason]
    difference: Money | None
    """Paid less open: positive where too much came; None in another currency."""
    write_off: str
    """How a small shortage may be closed: `rounding`, `fee` or not at all."""

    @property
    def key(self) -> str:
        """The key that accepts it where it is not the best."""
        return str(self.place + 1)

    @property
    def invoice(self) -> Invoice:
        return self.parts[0].invoice

    @property
    def numbers(self) -> str:
        return ", ".join(part.invoice.number for part in self.parts)

    @property
    def invoice_ids(self) -> str:
        return " ".join(str(part.invoice.pk) for part in self.parts)

    @property
    def sum(self) -> Money:
        """What is open on all of it."""
        return sum((part.invoice.open for part in self.parts[1:]), self.invoice.open)

    @property
    def missing(self) -> Money | None:
        """How much too little came."""
        return None if self.difference is None else -self.difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """A document that was paid already, and what pays it."""

    invoice: Invoice
    lines: tuple[Settlement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One movement that waits, with the best candidate and the others."""

    decision: Decision
    row: MoneyTransaction
    told: Told
    best: Offer | None
    """None where nothing fits, and where nothing should be accepted without a second look."""
    others: list[Offer]
    paid: Paid | None
    """What the movement names although it is paid."""
    own_account: BankAccount | None
    """The other own account, where the money only moves."""
    next: str
    """Where the reader goes on after an act on this card."""


def cards_of(access: Access, shown: Sequence[Decision], places: Mapping[int, str]) -> list[Card]:
    """Return the cards of decisions loaded with their movement and account; `places` is by movement."""
    open_ones = _open_invoices(access, shown)
    paid = _paid_ones(access, shown)
    accounts = _own_accounts(access, shown)
    cards = []
    for decision in shown:
        row = decision.transaction
        offers = _offers(decision, open_ones)
        is_duplicate = decision.port == Decision.Port.DUPLICATE
        cards.append(
            Card(
                decision=decision,
                row=row,
                told=told(row, decision),
                best=None if is_duplicate or not offers else offers[0],
                others=offers if is_duplicate else offers[1:],
                paid=paid.get(_paid_number(decision)),
                own_account=accounts.get(account_key(row.counterparty_account)),
                next=places[row.pk],
            )
        )
    return cards


def told(row: MoneyTransaction, decision: Decision | None) -> Told:
    """Mark in the movement's words where the references stand that the decision rests on."""
    places: dict[str, set[tuple[int, int]]] = {}
    for reason in _reasons(decision) if decision else ():
        if "span" in reason:
            field, start, end = reason["span"]
            places.setdefault(field, set()).add((start, end))
    return Told(
        variable_symbol=_marked(row.variable_symbol, places.get("variable_symbol", ())),
        message=_marked(row.message, places.get("message", ())),
        reference=_marked(row.reference, places.get("reference", ())),
    )


def _reasons(decision: Decision) -> Iterable[_Reason]:
    yield from decision.because
    for candidate in decision.candidates:
        yield from candidate["for"]
        yield from candidate["against"]


def _marked(text: str, places: Iterable[tuple[int, int]]) -> SafeString:
    pieces, at = [], 0
    for start, end in sorted(places):
        if at <= start < end <= len(text):
            pieces.append((text[at:start], text[start:end]))
            at = end
    return format_html_join("", "{}<mark>{}</mark>", pieces) + conditional_escape(text[at:])


def _open_invoices(access: Access, shown: Iterable[Decision]) -> dict[int, Invoice]:
    wanted = {
        invoice_id
        for decision in shown
        for candidate in decision.candidates
        for invoice_id, _minor in candidate["lines"]
    }
    rows = access.within(Invoice.objects.filter(pk__in=wanted, state=Invoice.State.ISSUED))
    return {invoice.pk: invoice for invoice in rows.select_related("client")}


def _offers(decision: Decision, by_key: Mapping[int, Invoice]) -> list[Offer]:
    return [
        _offer(decision.transaction, place, candidate, by_key)
        for place, candidate in enumerate(decision.candidates)
        if all(invoice_id in by_key for invoice_id, _minor in candidate["lines"])
    ]


def _offer(
    row: MoneyTransaction, place: int, candidate: Mapping[str, Any], by_key: Mapping[int, Invoice]
) -> Offer:
    parts = tuple(
        Part(by_key[invoice_id], Money(minor, by_key[invoice_id].currency))
        for invoice_id, minor in candidate["lines"]
    )
    difference = None
    if all(part.invoice.currency == row.currency for part in parts):
        owed_minor = sum(part.invoice.open.minor for part in parts)
        difference = Money(row.unsettled.minor - owed_minor, row.currency)
    offered = "" if difference is None or difference.minor >= 0 or len(parts) > 1 else _write_off(candidate)
    return Offer(
        place=place,
        parts=parts,
        for_=candidate["for"],
        against=[reason for reason in candidate["against"] if reason["code"] not in _IN_THE_DIFFERENCE],
        difference=difference,
        write_off=offered,
    )


def _write_off(candidate: Mapping[str, Any]) -> str:
    codes = (reason["code"] for reason in candidate["against"])
    return next((_WRITE_OFFS[code].value for code in codes if code in _WRITE_OFFS), "")


def _paid_number(decision: Decision) -> str:
    """The number of the paid document that the movement names; empty where it names none."""
    for reason in decision.because:
        if reason["code"] in _NAMES_A_PAID_ONE:
            return str(reason["values"]["invoice"])
    return ""


def _paid_ones(access: Access, shown: Iterable[Decision]) -> dict[str, Paid]:
    numbers = {number for number in map(_paid_number, shown) if number}
    if not numbers:
        return {}
    invoices = list(access.within(Invoice.objects.filter(number__in=numbers)).select_related("client"))
    lines: dict[int, list[Settlement]] = {}
    live = Settlement.objects.filter(invoice__in=invoices, voids__isnull=True, voided_by__isnull=True)
    for line in live.select_related("transaction").order_by("settled_on", "id"):
        lines.setdefault(line.invoice_id, []).append(line)
    return {
        invoice.number: Paid(invoice=invoice, lines=tuple(lines.get(invoice.pk, ()))) for invoice in invoices
    }


def _own_accounts(access: Access, shown: Iterable[Decision]) -> dict[str, BankAccount]:
    """The own accounts by their key, where a card shows a transfer."""
    if not any(decision.port == Decision.Port.TRANSFER for decision in shown):
        return {}
    return {account_key(row.number): row for row in access.within(BankAccount.objects.all())}
