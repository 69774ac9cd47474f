"""When a connection is synced, and the scheduler that queues the runs whose time has come.

Each connection runs a fixed moment after the ticks of its cron expression, so that the connections of one
installation, and the installations of one bank's customers, do not all ask in the same second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import batched, islice
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import IntegrityError, models, transaction
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext_lazy as _

from kvit.audit.recording import SYSTEM
from kvit.kernel.errors import Misconfigured, PluginUnavailable
from kvit.plugin import Plugin
from kvit.sync import cron
from kvit.sync.cron_words import in_words
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.sync.registry import plugin_class

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

__all__ = [
    "PRESETS",
    "Preset",
    "accepts_files",
    "enqueue_due",
    "expression_of",
    "in_words",
    "next_run_at",
    "upcoming",
]

LONGEST_JITTER: Final = timedelta(minutes=5)
CONNECTIONS_PER_TRANSACTION: Final = 25
"""A writer of SQLite waits for one such transaction, some milliseconds."""

NO_ACTIVE_RUN: Final = RawSQL(  # a constant; SQLite uses a partial index only for written-out values
    "NOT EXISTS (SELECT 1 FROM sync_synchistory AS run WHERE run.connection_id = sync_pluginconfiguration.id"
    " AND run.status IN ('pending', 'running'))",
    (),
    output_field=models.BooleanField(),
)
SWITCHED_ON: Final = RawSQL(
    "NOT EXISTS (SELECT 1 FROM sync_pluginswitch AS switch"
    " WHERE switch.organization_id = sync_pluginconfiguration.organization_id"
    " AND switch.plugin = sync_pluginconfiguration.plugin)",
    (),
    output_field=models.BooleanField(),
)


@dataclass(frozen=True, slots=True)
class Preset:
    """A schedule that people choose by its name."""

    key: str
    expression: str
    name: StrPromise


PRESETS: Final = (
    Preset("quarter_hourly", "*/15 * * * *", _("Every 15 minutes")),
    Preset("hourly", "0 * * * *", _("Every hour")),
    Preset("four_hourly", "0 */4 * * *", _("Every 4 hours")),
    Preset("working_days", "0 6 * * 1-5", _("Every working day at 6:00")),
    Preset("daily", "0 6 * * *", _("Every day at 6:00")),
    Preset("weekly", "0 6 * * 1", _("Every Monday at 6:00")),
)


def expression_of(connection: PluginConfiguration) -> str:
    """Return the cron expression that counts: the connection's own, else its plugin's, else Kvit's.

    One that cannot be read, as another version may have stored it, gives way to the next one.
    """
    for expression in (connection.schedule, _plugins_own(connection)):
        with suppress(Misconfigured):
            return cron.checked(expression)
    return Plugin.schedule


def accepts_files(connection: PluginConfiguration) -> bool:
    """Whether the connection lives from files that people hand over; a missing plugin does not."""
    plugin = _plugin(connection)
    return plugin is not None and plugin.accepts_files


def next_run_at(connection: PluginConfiguration, after: datetime) -> datetime | None:
    """Return the connection's first moment after another, in UTC; None where people hand it files.

    A moment is a tick of the expression on the organization's clock plus the connection's jitter, which never
    reaches the next tick.
    """
    return next(_moments(connection, after), None)


def upcoming(connection: PluginConfiguration, now: datetime, count: int = 3) -> list[datetime]:
    """Return when the next runs come: the planned one, where it lies ahead, and the moments after it.

    Empty where people hand it files, or where nothing is planned because the connection is paused or needs
    attention.
    """
    planned = connection.next_run_at
    if planned is None or not connection.enabled or connection.state != PluginConfiguration.State.OK:
        return []
    first = max(planned, now)
    return [first, *islice(_moments(connection, first), count - 1)]


def enqueue_due(now: datetime) -> int:
    """Queue a run for each connection whose time has come; return how many.

    Any number of schedulers on any number of machines may do this at once: who moves `next_run_at` from what
    it was queues the run, in the same transaction. Ticks missed meanwhile come to one run. Only reads where
    nothing is due.
    """
    return sum(_enqueue(batch, now) for batch in batched(_due(now), CONNECTIONS_PER_TRANSACTION))


def _due(now: datetime) -> models.QuerySet[PluginConfiguration]:
    due = _idle().filter(next_run_at__lte=now).select_related("organization")
    # Everybody locks in the same order, so that schedulers wait for each other and never in a circle.
    return due.only("uid", "plugin", "schedule", "next_run_at", "organization__time_zone").order_by("pk")


def _idle() -> models.QuerySet[PluginConfiguration]:
    """The connections in order whose last run has ended."""
    ready = PluginConfiguration.objects.filter(enabled=True, state=PluginConfiguration.State.OK)
    return ready.filter(NO_ACTIVE_RUN, SWITCHED_ON)


def _enqueue(connections: Sequence[PluginConfiguration], now: datetime) -> int:
    """Queue the runs of these connections that nobody else has taken: all of them or, in a crash, none."""
    try:
        with transaction.atomic():
            taken = [connection for connection in connections if _take(connection, now)]
            SyncHistory.objects.bulk_create(_run(connection) for connection in taken)
            return len(taken)
    except IntegrityError:
        # A person asked for a run of one of them in this moment; its tick waits until that one has ended.
        if len(connections) == 1:
            return 0
        return sum(_enqueue([connection], now) for connection in connections)


def _take(connection: PluginConfiguration, now: datetime) -> bool:
    """Move the connection to its next time, unless it was moved, changed or started since it was read."""
    unchanged = _idle().filter(
        pk=connection.pk, next_run_at=connection.next_run_at, schedule=connection.schedule
    )
    return unchanged.update(next_run_at=next_run_at(connection, now)) == 1


def _run(connection: PluginConfiguration) -> SyncHistory:
    return SyncHistory(
        organization_id=connection.organization_id,
        connection=connection,
        trigger=SyncHistory.Trigger.SCHEDULE,
        requested_by=SYSTEM.name,
    )


def _moments(connection: PluginConfiguration, after: datetime) -> Iterator[datetime]:
    if accepts_files(connection):
        return
    expression = expression_of(connection)
    jitter = _jitter(connection, expression)
    for tick in cron.ticks(expression, _zone(connection), after.astimezone(UTC) - jitter):
        yield tick + jitter


def _jitter(connection: PluginConfiguration, expression: str) -> timedelta:
    """Whole seconds, fewer than five minutes and than half of the time between ticks; always the same."""
    most = min(LONGEST_JITTER, cron.shortest_pause(expression) / 2)
    number = int.from_bytes(blake2b(connection.uid.bytes, digest_size=8).digest())
    return timedelta(seconds=number % int(most.total_seconds()))


def _zone(connection: PluginConfiguration) -> ZoneInfo:
    """The organization's clock; UTC where the machine does not know it: another hour is better than never."""
    try:
        return ZoneInfo(connection.organization.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def _plugins_own(connection: PluginConfiguration) -> str:
    plugin = _plugin(connection)
    return "" if plugin is None else plugin.schedule


def _plugin(connection: PluginConfiguration) -> type[Plugin[Any]] | None:
    try:
        return plugin_class(connection.plugin)
    except PluginUnavailable:
        return None
