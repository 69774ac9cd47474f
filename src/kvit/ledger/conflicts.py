"""Conflicts between what is booked here and what a source says now: a person decides, once."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from kvit.audit.recording import Actor, changed, record
from kvit.kernel.errors import Refused, Stale
from kvit.ledger.models import MoneyTransaction, TransactionConflict


def keep(conflict: TransactionConflict, *, actor: Actor) -> None:
    """Leave the movement as it is booked. Raises Stale where the conflict is resolved already."""
    with transaction.atomic():
        _resolve(conflict, actor, "kept as booked")


def accept(conflict: TransactionConflict, *, actor: Actor) -> None:
    """Take over what the source says now.

    Raises Refused where the movement pays an invoice, and Stale where the conflict is resolved already.
    """
    with transaction.atomic():
        _resolve(conflict, actor, "taken over from the source")
        row = MoneyTransaction.objects.select_for_update(of=("self",)).get(pk=conflict.transaction_id)
        if row.settled_minor:
            raise Refused("This payment pays an invoice. Undo that first, then take the change over.")
        facts = ("amount_minor", "currency", "booked_on", "type")
        before = {name: getattr(row, name) for name in facts}
        row.amount_minor, row.currency = conflict.amount_minor, conflict.currency
        row.booked_on = conflict.booked_on
        row.type = MoneyTransaction.Type.EXPENSE if row.amount_minor < 0 else MoneyTransaction.Type.INCOME
        row.changed_at = timezone.now()
        row.save(update_fields=[*facts, "changed_at"])
        after = {name: getattr(row, name) for name in facts}
        record(row.organization, actor, [changed(row, before, after, reason="conflict accepted by a person")])


def _resolve(conflict: TransactionConflict, actor: Actor, reason: str) -> None:
    now = timezone.now()
    resolved = TransactionConflict.objects.filter(pk=conflict.pk, resolved_at__isnull=True).update(
        resolved_at=now, resolved_by=actor.name
    )
    if not resolved:
        raise Stale
    record(
        conflict.organization,
        actor,
        [changed(conflict, {"resolved_at": None}, {"resolved_at": now}, reason=reason)],
    )
