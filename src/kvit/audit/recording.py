"""Writing audit entries: always in the transaction of the change itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection, models
from django.utils import timezone

from kvit.audit.models import AuditEntry
from kvit.users.models import Organization, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who makes a change; `name` is `user:EMAIL`, `plugin:NAME@VERSION`, `command` or `system`."""

    name: str
    run_id: int | None = None
    request_id: str = ""

    @classmethod
    def of_user(cls, user: User, request_id: str = "") -> Actor:
        return cls(name=f"user:{user.email}", request_id=request_id)


SYSTEM = Actor(name="system")
COMMAND = Actor(name="command")


@dataclass(frozen=True, slots=True)
class Change:
    """One row's change; a new row has no `before`, a deleted one no `after`. Secrets are never given."""

    table: str
    object_id: int
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    reason: str = ""


def created(row: models.Model, *fields: str, reason: str = "") -> Change:
    """Describe a new row by the named fields."""
    return Change(row._meta.db_table, row.pk, None, {name: getattr(row, name) for name in fields}, reason)


def changed(
    row: models.Model, before: Mapping[str, Any], after: Mapping[str, Any], reason: str = ""
) -> Change:
    """Describe what changed on a row."""
    return Change(row._meta.db_table, row.pk, before, after, reason)


def record(organization: Organization, actor: Actor, changes: Iterable[Change]) -> None:
    """Write the entries of these changes in one statement.

    Raises RuntimeError outside a transaction: an entry stands or falls with its change.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("Audit entries are written in the transaction of the change.")
    now = timezone.now()
    AuditEntry.objects.bulk_create(
        AuditEntry(
            organization=organization,
            at=now,
            actor=actor.name,
            run_id=actor.run_id,
            request_id=actor.request_id,
            table=change.table,
            object_id=change.object_id,
            action=_action(change),
            reason=change.reason,
            before=_plain(change.before),
            after=_plain(change.after),
        )
        for change in changes
    )


def _action(change: Change) -> AuditEntry.Action:
    if change.before is None:
        return AuditEntry.Action.CREATED
    if change.after is None:
        return AuditEntry.Action.DELETED
    return AuditEntry.Action.CHANGED


def _plain(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if values is None:
        return None
    return {name: _plain_value(value) for name, value in values.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, models.Model):
        return value.pk
    return value
