"""What Kvit's posting is compared with: the same columns stored with Django's own means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import batched
from typing import Any

from django.db import transaction
from django.utils import timezone

from kvit.audit.models import AuditEntry
from kvit.ledger.models import BankAccount, MoneyTransaction
from kvit.ledger.movements import Movement

_AT_ONCE = 2_000
_COLUMNS = Movement._fields[:-1]
_DETAILS = _COLUMNS[1:]
_AUDITED = ("amount_minor", "currency", "booked_on", "status", "variable_symbol")


def per_row(account: BankAccount, source: str, movements: Iterable[Movement]) -> None:
    """`update_or_create` row by row in one transaction, without audit."""
    now = timezone.now()
    with transaction.atomic():
        for movement in movements:
            values = dict(zip(_COLUMNS, movement, strict=False))
            MoneyTransaction.objects.update_or_create(
                organization=account.organization,
                source=source,
                external_id=values.pop("external_id"),
                defaults=values | {"account": account, "created_at": now, "changed_at": now},
            )


def well_made(account: BankAccount, source: str, movements: Sequence[Movement]) -> None:
    """Known rows fetched in 2,000s, compared in Python, written in bulk with an audit entry for each."""
    with transaction.atomic():
        BankAccount.objects.select_for_update().get(pk=account.pk)
        for some in batched(movements, _AT_ONCE):
            _post(account, source, some)


def _post(account: BankAccount, source: str, movements: Sequence[Movement]) -> None:
    now = timezone.now()
    known = {
        external_id: (pk, details)
        for pk, external_id, *details in MoneyTransaction.objects.filter(
            organization=account.organization_id,
            source=source,
            external_id__in=[movement.external_id for movement in movements],
        ).values_list("id", *_COLUMNS)
    }
    new, changed, entries = [], [], []
    for movement in movements:
        stored = known.get(movement.external_id)
        if stored is None:
            new.append(
                MoneyTransaction(
                    organization_id=account.organization_id,
                    account_id=account.pk,
                    source=source,
                    run_id=1,
                    created_at=now,
                    changed_at=now,
                    **dict(zip(_COLUMNS, movement, strict=False)),
                )
            )
        elif stored[1] != list(movement[1:-1]):
            values = dict(zip(_DETAILS, movement[1:], strict=False))
            before = dict(zip(_DETAILS, stored[1], strict=True))
            changed.append(MoneyTransaction(pk=stored[0], changed_at=now, **values))
            differing = [name for name in _DETAILS if values[name] != before[name]]
            entries.append(
                _entry(
                    account,
                    stored[0],
                    "changed",
                    {name: before[name] for name in differing},
                    {name: values[name] for name in differing},
                )
            )
    MoneyTransaction.objects.bulk_create(new)
    MoneyTransaction.objects.bulk_update(changed, [*_DETAILS, "changed_at"])
    for row in new:
        after = {name: getattr(row, name) for name in _AUDITED}
        after |= {"account_id": account.pk, "source": source, "external_id": row.external_id}
        entries.append(_entry(account, row.pk, "created", None, after | {"booked_on": str(row.booked_on)}))
    AuditEntry.objects.bulk_create(entries)


def _entry(account: BankAccount, pk: int, action: str, before: Any, after: Any) -> AuditEntry:
    return AuditEntry(
        organization_id=account.organization_id,
        at=timezone.now(),
        actor="bench",
        run_id=1,
        table="ledger_moneytransaction",
        object_id=pk,
        action=action,
        before=before,
        after=after,
    )
