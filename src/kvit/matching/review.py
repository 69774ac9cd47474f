"""What a person says about a movement: this invoice, not this one, none at all, or undo."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from kvit.audit.recording import Actor, Change, changed, created, record
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
        learn_payer(invoice, row, decision, PayerAccount.Provenance.HUMAN)
        record(row.organization, actor, [created(decision, "transaction_id", "port")])
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
        rejection = Rejection.objects.filter(transaction=row, invoice=invoice).first()
        if rejection is None:
            raise Stale("This was undone already.")
        facts = {"transaction_id": row.pk, "invoice_id": invoice.pk}
        withdrawn = Change("matching_rejection", rejection.pk, facts, None, "undone")
        rejection.delete()
        record(row.organization, actor, [withdrawn])
    reconcile(row.organization)


def dismiss(row: MoneyTransaction, *, actor: Actor) -> Decision:
    """Take a movement out of the review: it pays no invoice. Raises Refused where it pays one already."""
    if row.settled_minor:
        raise Refused("This payment pays an invoice already. Undo that first.")
    with transaction.atomic():
        decision = append_decision(
            row, Decision.Port.DISMISSED, actor=actor, because=[Reason("person.dismissed")]
        )
        record(row.organization, actor, [created(decision, "transaction_id", "port")])
    return decision


def undo(decision: Decision, *, actor: Actor) -> None:
    """Take a decision back: its invoices are open again, what was learned from it is forgotten.

    The engine never makes the undone pairs again by itself. Raises Stale where it is undone already, and
    Refused where it cannot be.
    """
    with transaction.atomic():
        taken = Decision.objects.filter(pk=decision.pk, undone_at__isnull=True).exclude(
            port__in=Decision.WAITING
        )
        if not taken.update(undone_at=timezone.now(), undone_by=actor.name, is_current=False):
            raise Stale("This was undone already.")
        for line in Settlement.objects.filter(
            decision_id=decision.pk, voids__isnull=True, voided_by__isnull=True
        ).select_related("invoice", "transaction"):
            settling.unsettle(line, actor=actor, reason="decision undone")
            _remember_rejection(decision.transaction, line.invoice, actor)
        PayerAccount.objects.filter(decision_id=decision.pk).delete()
        record(
            decision.organization,
            actor,
            [changed(decision, {"undone_at": None}, {"undone_at": timezone.now()}, reason="undone")],
        )
    reconcile(decision.organization)


def _remember_rejection(row: MoneyTransaction, invoice: Invoice, actor: Actor) -> None:
    rejection, is_new = Rejection.objects.get_or_create(
        transaction=row,
        invoice=invoice,
        defaults={"organization_id": row.organization_id, "created_by": actor.name},
    )
    if is_new:
        record(row.organization, actor, [created(rejection, "transaction_id", "invoice_id")])
