"""What a person says about a movement: this pays these documents, not this one, none at all, or undo.

Every act ends with another look at what else it touches. Whoever acts on what somebody else has changed
meanwhile gets Stale, and nothing is half-done.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.utils import timezone

from kvit.audit.recording import Actor, changed, created, deleted, record
from kvit.invoices import settling
from kvit.invoices.models import Invoice, Settlement
from kvit.kernel.errors import Refused, Stale
from kvit.kernel.matching import Reason
from kvit.ledger.models import MoneyTransaction
from kvit.ledger.whole import whole
from kvit.matching import attention, learning, thanks
from kvit.matching.models import Decision, MatchingRun, Rejection
from kvit.matching.reconcile import reconcile
from kvit.matching.recording import append_decision
from kvit.users.models import Organization

_Source = Settlement.Source
_CANDIDATES = MoneyTransaction.MatchDue.CANDIDATES


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A document that a person says the movement pays."""

    invoice: Invoice
    minor: int
    """How much of it, in positive hundredths of its currency."""
    source_minor: int | None = None
    """What that uses of a movement in another currency, in positive hundredths of that; else nothing."""
    write_off: Settlement.Source | None = None
    """Closes what is left open as a rounding or a fee; nothing leaves it open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """What became of several decisions at once: how many were done, and why the others were not."""

    count: int
    refused: tuple[tuple[Decision, Refused], ...]


def accept(
    decision: Decision, candidate: int = 0, *, write_off: Settlement.Source | None = None, actor: Actor
) -> Decision:
    """Settle what one of the candidates says; what is left of the movement stays the client's credit.

    Raises Stale where the decision waits no more or the candidate is not what it was, and Refused for what
    cannot be.
    """
    new = _accept(decision, candidate, write_off, actor)
    _look_again(decision.organization)
    return new


def accept_all(organization: Organization, decisions: Iterable[Decision], *, actor: Actor) -> Handled:
    """Accept the best candidate of each; one that is refused does not stop the others."""
    count, refused = 0, []
    for decision in decisions:
        try:
            _accept(decision, 0, None, actor)
            count += 1
        except Refused as error:
            refused.append((decision, error))
    _look_again(organization)
    return Handled(count=count, refused=tuple(refused))


def settle_chosen(
    row: MoneyTransaction,
    chosen: Sequence[Chosen],
    *,
    revision: int | None = None,
    asks_about_rest: bool = False,
    actor: Actor,
) -> Decision:
    """Settle the chosen documents by the movement.

    What is left of it stays the client's credit, or waits for a person where `asks_about_rest`. `revision`
    is the movement's as the person saw it. Raises CurrencyMismatch and Refused for what can never be, and
    Stale where somebody else was faster.
    """
    decision = _settle_chosen(row, chosen, revision, asks_about_rest, actor)
    _look_again(row.organization)
    return decision


def confirm(row: MoneyTransaction, invoice: Invoice, *, actor: Actor) -> Decision:
    """Settle as much of one document of the movement's currency as both still hold. Raises as above."""
    if row.currency != invoice.currency:
        raise Refused("The payment and the invoice are in two currencies.")
    minor = min(invoice.open, row.unsettled).minor
    return settle_chosen(row, [Chosen(invoice=invoice, minor=minor)], actor=actor)


def reject(row: MoneyTransaction, invoice: Invoice, *, actor: Actor) -> None:
    """Remember that this movement does not pay this document, and look for others."""
    with whole():
        _remember_rejection(row, invoice, actor)
    _look_again(row.organization)


def withdraw_rejection(row: MoneyTransaction, invoice: Invoice, *, actor: Actor) -> None:
    """Forget that this movement does not pay this document. Raises Stale where that is done already."""
    with whole():
        rejection = Rejection.objects.select_for_update().filter(transaction=row, invoice=invoice).first()
        if rejection is None:
            raise Stale("This was undone already.")
        record(row.organization, actor, [deleted(rejection, reason="undone")])
        rejection.delete()
        _touch(row)
    _look_again(row.organization)


def dismiss(row: MoneyTransaction, category: str = Decision.Category.OTHER, *, actor: Actor) -> Decision:
    """Say that a movement pays no invoice, and what it is. Raises Refused where it pays one already."""
    return _put_away(row, Decision.Port.DISMISSED, category, "person.dismissed", actor)


def ignore(row: MoneyTransaction, *, actor: Actor) -> Decision:
    """Take a movement out of the review without saying what it is. Raises Refused where it pays one."""
    return _put_away(row, Decision.Port.IGNORED, "", "person.ignored", actor)


def undo(decision: Decision, *, actor: Actor) -> None:
    """Take a decision back: its documents are open again, what was learned from it is forgotten.

    The engine never makes the undone pairs again by itself. Raises Stale where it is undone already, and
    Refused where it cannot be.
    """
    _undo(decision, actor)
    _look_again(decision.organization)


def undo_run(run: MatchingRun, *, actor: Actor) -> Handled:
    """Take back all that a pass decided by itself, the latest first; a refused one does not stop the others.

    Raises Stale where the run is undone already.
    """
    undone = {"undone_at": timezone.now(), "undone_by": actor.name}
    if not MatchingRun.objects.filter(pk=run.pk, undone_at__isnull=True).update(**undone):
        raise Stale("This was undone already.")
    count, refused = 0, []
    decisions = run.decisions.filter(undone_at__isnull=True).exclude(port__in=Decision.WAITING)
    for decision in decisions.select_related("transaction", "organization").order_by("-pk"):
        try:
            count += _undo(decision, actor)
        except Refused as error:
            refused.append((decision, error))
    if refused:
        MatchingRun.objects.filter(pk=run.pk).update(undone_at=None, undone_by="")
    _look_again(run.organization)
    return Handled(count=count, refused=tuple(refused))


def _accept(
    decision: Decision, candidate: int, write_off: Settlement.Source | None, actor: Actor
) -> Decision:
    current = Decision.objects.waiting().filter(pk=decision.pk)
    fresh = current.select_related("transaction__organization").first()
    if fresh is None or not 0 <= candidate < len(fresh.candidates):
        raise Stale
    lines = fresh.candidates[candidate]["lines"]
    found = Invoice.objects.select_related("organization").filter(organization=fresh.organization_id)
    invoices = found.in_bulk([invoice_id for invoice_id, _ in lines])
    row = fresh.transaction
    chosen = [
        Chosen(
            invoice=invoices[invoice_id],
            minor=minor,
            source_minor=None if invoices[invoice_id].currency == row.currency else row.unsettled.minor,
            write_off=write_off,
        )
        for invoice_id, minor in lines
    ]
    return _settle_chosen(row, chosen, row.match_revision, False, actor)


def _settle_chosen(
    row: MoneyTransaction,
    chosen: Sequence[Chosen],
    revision: int | None,
    asks_about_rest: bool,
    actor: Actor,
) -> Decision:
    _require_room(row, chosen, revision)
    with whole():
        decision = append_decision(row, Decision.Port.MANUAL, actor=actor, because=[Reason("person.chose")])
        lines = [line for one in chosen for line in _lines(row, one, decision)]
        settling.settle_lines(row.organization, lines, actor=actor)
        clients = dict.fromkeys(one.invoice.client_id for one in chosen)
        learning.learn(row.organization, [(decision, client_id) for client_id in clients], actor=actor)
        if asks_about_rest:
            Decision.objects.filter(pk=decision.pk).update(is_current=False)
            _touch(row)
    attention.money_moved(row, [one.invoice for one in chosen])
    return decision


def _require_room(row: MoneyTransaction, chosen: Sequence[Chosen], revision: int | None) -> None:
    if revision is not None and row.match_revision != revision:
        raise Stale
    if not chosen:
        raise Refused("Choose at least one invoice.")
    if not row.unsettled or any(not one.invoice.open for one in chosen):
        raise Stale("Nothing is open on this invoice or left of this payment any more.")
    if len({one.invoice.pk for one in chosen}) < len(chosen):
        raise Refused("An invoice is chosen twice.")
    for one in chosen:
        if one.minor > one.invoice.open.minor:
            raise Refused(
                "Only {open} is open on {number}.", open=one.invoice.open, number=one.invoice.number
            )
    used = sum(one.minor if one.source_minor is None else one.source_minor for one in chosen)
    if used > row.unsettled.minor:
        raise Refused("Only {left} is left of this payment.", left=row.unsettled)


def _lines(row: MoneyTransaction, one: Chosen, decision: Decision) -> list[settling.Line]:
    paid = settling.Line(
        invoice=one.invoice,
        minor=one.minor,
        kind=_Source.TRANSACTION,
        on=row.booked_on,
        transaction=row,
        source_minor=one.source_minor,
        decision_id=decision.pk,
    )
    left = one.invoice.open.minor - one.minor
    if one.write_off is None or not left:
        return [paid]
    return [
        paid,
        settling.Line(
            invoice=one.invoice, minor=left, kind=one.write_off, on=row.booked_on, decision_id=decision.pk
        ),
    ]


def _put_away(row: MoneyTransaction, port: str, category: str, reason: str, actor: Actor) -> Decision:
    with whole():
        fresh = MoneyTransaction.objects.select_for_update(of=("self",)).get(pk=row.pk)
        if fresh.settled_minor:
            raise Refused("This payment pays an invoice already. Undo that first.")
        decision = append_decision(row, port, actor=actor, because=[Reason(reason)], category=category)
        _touch(row)
    _look_again(row.organization)
    return decision


def _undo(decision: Decision, actor: Actor) -> int:
    """Take a decision back, and its other side where it is a transfer; return how many decisions it was."""
    with whole():
        pair = [decision]
        if decision.mirror_id is not None:
            pair += Decision.objects.filter(
                transaction=decision.mirror_id, mirror=decision.transaction_id, undone_at__isnull=True
            ).select_related("transaction", "organization")
        freed = [invoice for one in pair for invoice in _take_back(one, actor)]
    attention.money_moved(decision.transaction, freed)
    return len(pair)


def _take_back(decision: Decision, actor: Actor) -> list[Invoice]:
    """Void what the decision settled and forget what it taught; return the documents that are open again."""
    taken = Decision.objects.filter(pk=decision.pk, undone_at__isnull=True).exclude(port__in=Decision.WAITING)
    undone = {"undone_at": timezone.now(), "undone_by": actor.name}
    if not taken.update(is_current=False, **undone):
        raise Stale("This was undone already.")
    before = {"undone_at": None, "undone_by": ""}
    record(decision.organization, actor, [changed(decision, before, undone, reason="undone")])
    found = Settlement.objects.filter(
        decision_id=decision.pk, voids__isnull=True, voided_by__isnull=True
    ).select_related("invoice", "credit_note", "transaction", "organization")
    lines = list(found.order_by("transaction_id", "invoice_id", "pk"))
    for line in lines:
        settling.unsettle(line, actor=actor, reason="decision undone")
        _remember_rejection(decision.transaction, line.invoice, actor)
    learning.unlearn(decision, actor=actor)
    thanks.cancel(decision)
    _touch(decision.transaction)
    return [line.invoice for line in lines]


def _remember_rejection(row: MoneyTransaction, invoice: Invoice, actor: Actor) -> None:
    rejection, is_new = Rejection.objects.get_or_create(
        transaction=row,
        invoice=invoice,
        defaults={"organization_id": row.organization_id, "created_by": actor.name},
    )
    if is_new:
        record(row.organization, actor, [created(rejection)])
    _touch(row)


def _touch(row: MoneyTransaction) -> None:
    """Have what was concluded about the movement until now not be applied any more."""
    MoneyTransaction.objects.filter(pk=row.pk).mark_to_match(_CANDIDATES)


def _look_again(organization: Organization) -> None:
    reconcile(organization, trigger=MatchingRun.Trigger.PERSON)
