"""Writing audit entries: always in the transaction of the change itself.

A model that is audited names the columns that the audit follows in its class attribute `AUDITED`; whatever
changes one of them records it here, and `audit.verifying` finds what was not recorded.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from django.db import connection, models
from django.utils import timezone

from kvit.audit.models import AuditEntry
from kvit.users.models import Organization, User

_COLUMNS: Final = (
    "organization_id",
    "at",
    "actor",
    "run_id",
    "request_id",
    "table",
    "object_id",
    "action",
    "reason",
    "before",
    "after",
)
_INSERT: Final = (  # a model instance for each entry would take longer than writing it
    f"INSERT INTO {AuditEntry._meta.db_table}"  # noqa: S608 - our own constants
    f" ({', '.join(f'"{name}"' for name in _COLUMNS)}) VALUES ({', '.join(['%s'] * len(_COLUMNS))})"
)


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
    """One row's change; a new row has no `before`, a deleted one no `after`."""

    table: str
    object_id: int
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    reason: str = ""


def created(row: models.Model, reason: str = "") -> Change:
    """Describe a new row by all columns that the audit follows."""
    return Change(row._meta.db_table, row.pk, None, audited_values(row), reason)


def changed(
    row: models.Model, before: Mapping[str, Any], after: Mapping[str, Any], reason: str = ""
) -> Change:
    """Describe what differs between two states of a row; columns that are the same are left out."""
    old, new = plain(row._meta.model, before), plain(row._meta.model, after)
    differing = [name for name in new if name not in old or old[name] != new[name]]
    return Change(
        row._meta.db_table,
        row.pk,
        {name: old[name] for name in differing if name in old},
        {name: new[name] for name in differing},
        reason,
    )


def deleted(row: models.Model, reason: str = "") -> Change:
    """Describe a row that goes away by all columns that the audit follows; it must still have its id."""
    return Change(row._meta.db_table, row.pk, audited_values(row), None, reason)


def record(organization: Organization, actor: Actor, changes: Iterable[Change]) -> None:
    """Write the entries of these changes in one statement.

    One in which nothing differs is written only where it has a reason: somebody saved something that the
    audit does not hold, such as a credential.
    Raises RuntimeError outside a transaction: an entry stands or falls with its change.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("Audit entries are written in the transaction of the change.")
    adapt = connection.ops.adapt_datetimefield_value
    who = (organization.pk, adapt(timezone.now()), actor.name, actor.run_id, actor.request_id)
    rows = [
        (
            *who,
            change.table,
            change.object_id,
            _action(change).value,
            change.reason,
            _json(change.before),
            _json(change.after),
        )
        for change in changes
        if change.before or change.after or change.reason
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(_INSERT, rows)


def audited_columns(model: type[models.Model]) -> tuple[str, ...]:
    """Return the columns of the model that the audit follows, none where it is not audited."""
    columns: tuple[str, ...] = getattr(model, "AUDITED", ())
    return columns


def audited_values(row: models.Model) -> dict[str, Any]:
    """Return the followed columns of a row as the audit writes them.

    Raises TypeError where the audit does not follow the row's table.
    """
    columns = audited_columns(row._meta.model)
    if not columns:
        raise TypeError(f"{row._meta.object_name} has no AUDITED columns.")
    return plain(row._meta.model, {name: getattr(row, name) for name in columns})


def plain(model: type[models.Model], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of a model's columns as the audit writes them; times are in UTC."""
    field_of = model._meta.get_field
    return {name: plain_value(_exact(field_of(name), value)) for name, value in values.items()}


def plain_value(value: Any) -> Any:
    """Return a value as the database holds it as the audit writes it."""
    if value is None or isinstance(value, str | int):
        return value
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case Decimal():
            return str(value)
        case models.Model():
            return value.pk
    return value


def _exact(field: Any, value: Any) -> Any:
    """The value as the database gives it back: a date that was assigned as text is a date."""
    return value if value is None else field.to_python(value)


def _action(change: Change) -> AuditEntry.Action:
    if change.before is None:
        return AuditEntry.Action.CREATED
    if change.after is None:
        return AuditEntry.Action.DELETED
    return AuditEntry.Action.CHANGED


def _json(values: Mapping[str, Any] | None) -> str | None:
    if values is None:
        return None
    return json.dumps({name: plain_value(value) for name, value in values.items()})
