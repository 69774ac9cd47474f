"""What a person says about a movement: this invoice, not this one, none at all, or undo."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from kvit.audit.recording import Actor, changed, created, deleted, record
from kvit.invoices import settling
from kvit.invoices.models import Invoice, Settlement
from kvit.kernel.errors import Refused, Stale
from kvit.kernel.matching import Reason
from kvit.kernel.money import Money
from kvit.ledger.models import MoneyTransaction
from kvit.matching.models import Decision, Rejection
from kvit.matching.reconcile import append_decision, learn_payer, reconcile
from kvit.work.models import PayerAccount


def confirm(row: MoneyTransaction, invoice: Invoice, *, actor: Actor) -> Decision:
    """Settle as much of the invoice as the movement still holds.

    Raises Refused or CurrencyMismatch for what can never be, and Stale where somebody else was faster.
    """
    if row.currency != invoice.currency:
        raise Refused("The payment and the invoice are in two currencies.")
    amount: Money = min(invoice.open, row.unsettled)
    if not amount:
        raise Stale("Nothing is open on this invoice or left of this payment any more.")
    with transaction.atomic():
        decision = append_decision(row, Decision.Port.MANUAL, actor=actor, because=[Reason("person.chose")])
        settling.settle(invoice, row, amount, actor=actor, decision_id=decision.pk)
        learn_payer(invoice, row, decision, PayerAccount.Provenance.HUMAN, actor=actor)
    return decision


def reject(row: MoneyTransaction, invoice: Invoice, *, actor: Actor) -> None:
    """Remember that this movement does not pay this invoice, and decide about it again."""
    with transaction.atomic():
        _remember_rejection(row, invoice, actor)
    reconcile(row.organization)


def withdraw_rejection(row: MoneyTransaction, invoice: Invoice, *, actor: Actor) -> None:
    """Forget that this movement does not pay this invoice, and decide about it again.

    Raises Stale where that is done already.
    """
    with transaction.atomic():
        rejection = Rejection.objects.select_for_update().filter(transaction=row, invoice=invoice).first()
        if rejection is None:
            raise Stale("This was undone already.")
        record(row.organization, actor, [deleted(rejection, reason="undone")])
        rejection.delete()
    reconcile(row.organization)


def dismiss(row: MoneyTransaction, *, actor: Actor) -> Decision:
    """Take a movement out of the review: it pays no invoice. Raises Refused where it pays one already."""
    if row.settled_minor:
        raise Refused("This payment pays an invoice already. Undo that first.")
    return append_decision(row, Decision.Port.DISMISSED, actor=actor, because=[Reason("person.dismissed")])


def undo(decision: Decision, *, actor: Actor) -> None:
    """Take a decision back: its invoices are open again, what was learned from it is forgotten.

    The engine never makes the undone pairs again by itself. Raises Stale where it is undone already, and
    Refused where it cannot be.
    """
    with transaction.atomic():
        taken = Decision.objects.filter(pk=decision.pk, undone_at__isnull=True).exclude(
            port__in=Decision.WAITING
        )
        undone = {"undone_at": timezone.now(), "undone_by": actor.name}
        if not taken.update(is_current=False, **undone):
            raise Stale("This was undone already.")
        record(
            decision.organization,
            actor,
            [changed(decision, {"undone_at": None, "undone_by": ""}, undone, reason="undone")],
        )
        for line in Settlement.objects.filter(
            decision_id=decision.pk, voids__isnull=True, voided_by__isnull=True
        ).select_related("invoice", "transaction"):
            settling.unsettle(line, actor=actor, reason="decision undone")
            _remember_rejection(decision.transaction, line.invoice, actor)
        _forget_payers(decision, actor)
    reconcile(decision.organization)


def _forget_payers(decision: Decision, actor: Actor) -> None:
    """Forget the accounts that were learned from the decision."""
    learned = PayerAccount.objects.select_for_update().filter(decision_id=decision.pk)
    record(decision.organization, actor, [deleted(row, reason="decision undone") for row in learned])
    learned.delete()


def _remember_rejection(row: MoneyTransaction, invoice: Invoice, actor: Actor) -> None:
    rejection, is_new = Rejection.objects.get_or_create(
        transaction=row,
        invoice=invoice,
        defaults={"organization_id": row.organization_id, "created_by": actor.name},
    )
    if is_new:
        record(row.organization, actor, [created(rejection)])
