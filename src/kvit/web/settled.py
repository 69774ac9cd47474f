"""What settled a document, as its page tells it: who matched it, why, and which words of the bank say so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from django.db.models import F, Q, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from kvit.invoices.models import Invoice, Settlement
from kvit.ledger.models import MoneyTransaction
from kvit.matching.models import Decision, MatchingSettings, Rejection

_FIELDS: Final[Mapping[str, Promise]] = {
    "variable_symbol": _("Variable symbol"),
    "message": _("Message"),
    "reference": _("Reference"),
}
_CHECKS: Final[Mapping[str, Promise]] = {
    "V1": _("The payer's account is not known for another client only."),
    "V2": _("Nobody else owes the same amount, or the payer is told from whoever does."),
    "V3": _("The references do not contradict one another."),
    "V4": _("No reference a slip away names an equal debt of somebody whom the payer looks like."),
    "V5": _("The reference is not one that the client writes whatever it pays."),
    "V6": _("The same money was not sent back later."),
    "V7": _("The reference names one document only."),
    "V8": _("The references can be read in one way only."),
}
"""What a veto that did not stop a match made sure of."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of what the bank sent; the marked ones are what the match rests on."""

    text: str
    is_marked: bool


@dataclass(frozen=True, slots=True)
class Quote:
    """One field of a movement in the bank's words."""

    name: Promise
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """What one decision settled of a document, or one line that rests on none."""

    lines: tuple[Settlement, ...]
    """Of the document whose page it is, the money first and what was written off after it."""
    decision: Decision | None
    elsewhere: tuple[Settlement, ...]
    """What the same decision settled of other documents; its undo takes them back too."""

    @property
    def first(self) -> Settlement:
        return self.lines[0]

    @property
    def is_live(self) -> bool:
        return any(line.is_live for line in self.lines)

    @property
    def tier(self) -> str:
        """On what kind of evidence Kvit matched it by itself; empty for what a person matched."""
        if self.decision is None or not self.decision.tier:
            return ""
        switch: Any = MatchingSettings._meta.get_field(f"auto_{self.decision.tier.lower()}")
        return str(switch.verbose_name)

    @property
    def reasons(self) -> list[dict[str, Any]]:
        """What the decision rests on; that a person chose it is said by whose it is."""
        stored = [] if self.decision is None else self.decision.because
        return [reason for reason in stored if reason["code"] != "person.chose"]

    @property
    def checks(self) -> list[Promise]:
        """What was made sure of before it was matched."""
        stored = [] if self.decision is None else self.decision.checked
        return [_CHECKS[check["veto"]] for check in stored if check["ok"] and check["veto"] in _CHECKS]

    @property
    def quotes(self) -> list[Quote]:
        """The fields of the movement in which the reference stands, with it marked."""
        row = self.first.transaction
        spans = [reason["span"] for reason in self.reasons if "span" in reason]
        if row is None:
            return []
        return [
            Quote(name, pieces)
            for field, name in _FIELDS.items()
            if (pieces := _marked(getattr(row, field), [place for of, *place in spans if of == field]))
        ]

    @property
    def rate(self) -> Decimal | None:
        """How much of the dearer currency's other one it took for one, rounded to thousandths."""
        line = self.first
        if line.source_minor is None:
            return None
        larger, smaller = max(line.source_minor, line.amount_minor), min(line.source_minor, line.amount_minor)
        return (Decimal(larger) / smaller).quantize(Decimal("0.001"), ROUND_HALF_UP)


def of_document(document: Invoice) -> list[Settled]:
    """Return what settles a document or did until it was undone, in the order of time."""
    lines = list(
        Settlement.objects.filter(Q(invoice=document) | Q(credit_note=document), voids__isnull=True)
        .select_related("transaction__account", "credit_note", "invoice", "voided_by")
        .order_by("id")
    )
    ids = {line.decision_id for line in lines if line.decision_id is not None}
    decisions = Decision.objects.in_bulk(ids)
    elsewhere = list(
        Settlement.objects.filter(
            decision_id__in=ids,
            source_kind=Settlement.Source.TRANSACTION,
            voids__isnull=True,
        )
        .exclude(invoice=document)
        .select_related("invoice")
        .order_by("id")
    )
    return [
        Settled(
            tuple(together),
            decisions.get(together[0].decision_id or 0),
            tuple(line for line in elsewhere if line.decision_id == together[0].decision_id),
        )
        for together in _by_decision(lines)
    ]


def credits_for(invoice: Invoice) -> QuerySet[MoneyTransaction]:
    """Payments of the invoice's client of which something is left that nobody is asked about.

    None for what owes nothing, or is a credit note.
    """
    if invoice.is_credit_note or not invoice.open:
        return MoneyTransaction.objects.none()
    organization = invoice.organization_id
    asked = Decision.objects.waiting().filter(organization=organization, transaction__settled_minor__gt=0)
    said_no = Rejection.objects.filter(invoice=invoice)
    return (
        MoneyTransaction.objects.booked()
        .income()
        .filter(
            pk__in=Settlement.objects.filter(
                invoice__client=invoice.client_id,
                transaction__isnull=False,
                voids__isnull=True,
                voided_by__isnull=True,
            ).values("transaction"),
            organization=organization,
            currency=invoice.currency,
            settled_minor__gt=0,
            settled_minor__lt=F("amount_minor"),
        )
        .exclude(pk__in=asked.values("transaction"))
        .exclude(pk__in=said_no.values("transaction"))
        .order_by("booked_on", "id")
    )


def counterparts_of(document: Invoice) -> QuerySet[Invoice]:
    """The client's open credit notes that may pay an open invoice, or the invoices a credit note may pay."""
    if not document.open:
        return Invoice.objects.none()
    open_ones = Invoice.objects.receivable() if document.is_credit_note else Invoice.objects.payable()
    return open_ones.filter(client=document.client_id, currency=document.currency).order_by("due_on", "id")


def _by_decision(lines: Iterable[Settlement]) -> list[list[Settlement]]:
    """Group the lines of one decision, the money before what was written off."""
    groups: dict[tuple[str, int], list[Settlement]] = {}
    for line in lines:
        key = ("line", line.pk) if line.decision_id is None else ("decision", line.decision_id)
        groups.setdefault(key, []).append(line)
    return [sorted(group, key=lambda line: line.transaction_id is None) for group in groups.values()]


def _marked(text: str, places: Iterable[tuple[int, int] | list[int]]) -> tuple[Piece, ...]:
    """Cut a text at the places that are marked; nothing where none lies in it any more."""
    pieces: list[Piece] = []
    done = 0
    for start, end in sorted(places):
        if done <= start < end <= len(text):
            pieces += [Piece(text[done:start], is_marked=False), Piece(text[start:end], is_marked=True)]
            done = end
    if not pieces:
        return ()
    return tuple(piece for piece in (*pieces, Piece(text[done:], is_marked=False)) if piece.text)
