"""Conflicts between what is booked here and what a source says now: a person decides, once.

Both versions stay readable: the conflict holds what the source says, the audit what was booked before.
"""

from __future__ import annotations

from django.utils import timezone

from kvit.audit.recording import Actor, Change, changed, deleted, record
from kvit.kernel.errors import Refused, Stale
from kvit.ledger.models import BankAccount, MoneyTransaction, TransactionConflict
from kvit.ledger.movements import fingerprint_of_row
from kvit.ledger.whole import whole


def keep(conflict: TransactionConflict, *, actor: Actor) -> None:
    """Leave the movement as it is booked. Raises Stale where the conflict is resolved already."""
    with whole():
        _resolve(conflict, actor, "kept as booked")


def reopen(conflict: TransactionConflict, *, actor: Actor) -> None:
    """Ask again about a version that was not taken over.

    Raises Refused where it was taken over or the movement was withdrawn, and Stale where it is open already.
    """
    with whole():
        BankAccount.objects.select_for_update().get(pk=conflict.transaction.account_id)
        row = MoneyTransaction.objects.get(pk=conflict.transaction_id)
        if row.status == MoneyTransaction.Status.WITHDRAWN:
            raise Refused("This movement was withdrawn meanwhile, so there is nothing to decide.")
        if (row.amount, row.booked_on) == (conflict.amount, conflict.booked_on):
            raise Refused("The movement holds this version by now, so there is nothing to decide.")
        resolved = TransactionConflict.objects.select_for_update().filter(
            pk=conflict.pk, resolved_at__isnull=False
        )
        before = resolved.values("resolved_at", "resolved_by").first()
        if before is None:
            raise Stale
        after = {"resolved_at": None, "resolved_by": ""}
        resolved.update(**after)
        record(conflict.organization, actor, [changed(conflict, before, after, reason="asked again")])


def accept(conflict: TransactionConflict, *, actor: Actor) -> None:
    """Take over what the source says now.

    Raises Refused where the movement pays an invoice or was withdrawn, and Stale where the conflict is
    resolved already.
    """
    with whole():
        BankAccount.objects.select_for_update().get(pk=conflict.transaction.account_id)
        row = MoneyTransaction.objects.select_for_update(of=("self",)).get(pk=conflict.transaction_id)
        _resolve(conflict, actor, "taken over from the source")
        if row.settled_minor:
            raise Refused("This payment pays an invoice. Undo that first, then take the change over.")
        if row.status == MoneyTransaction.Status.WITHDRAWN:
            raise Refused("This movement was withdrawn meanwhile, so there is nothing to change.")
        columns = ("amount_minor", "currency", "booked_on", "type", "fingerprint")
        before = {name: getattr(row, name) for name in columns}
        row.amount_minor, row.currency = conflict.amount_minor, conflict.currency
        row.booked_on = conflict.booked_on
        row.type = MoneyTransaction.Type.EXPENSE if row.amount_minor < 0 else MoneyTransaction.Type.INCOME
        row.fingerprint = fingerprint_of_row(row)
        row.changed_at = timezone.now()
        row.save(update_fields=[*columns, "changed_at"])
        _match_again(row)
        after = {name: getattr(row, name) for name in columns}
        change = changed(row, before, after, reason="conflict accepted by a person")
        record(row.organization, actor, [change, *_forget_answers(conflict)])


def _match_again(row: MoneyTransaction) -> None:
    MoneyTransaction.objects.filter(pk=row.pk).mark_to_match(MoneyTransaction.MatchDue.DECISION)


def _forget_answers(accepted: TransactionConflict) -> list[Change]:
    """Remove what was answered about the former version: told again, it is a question about the new one."""
    answered = TransactionConflict.objects.filter(
        transaction_id=accepted.transaction_id, resolved_at__isnull=False
    ).exclude(pk=accepted.pk)
    changes = [deleted(row, reason="answered about the version before") for row in answered]
    answered.delete()
    return changes


def _resolve(conflict: TransactionConflict, actor: Actor, reason: str) -> None:
    resolution = {"resolved_at": timezone.now(), "resolved_by": actor.name}
    still_open = TransactionConflict.objects.filter(pk=conflict.pk, resolved_at__isnull=True)
    if not still_open.update(**resolution):
        raise Stale
    unresolved = {"resolved_at": None, "resolved_by": ""}
    record(conflict.organization, actor, [changed(conflict, unresolved, resolution, reason=reason)])
