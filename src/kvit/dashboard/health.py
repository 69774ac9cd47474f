"""The figures of the health page: does this installation work, and what waits for a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from django.db import connection as database
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Max, Q

from kvit.audit.models import AuditEntry, AuditSeal
from kvit.dashboard.connections import SOON_DAYS
from kvit.ledger.models import PossibleDuplicate, TransactionConflict
from kvit.sync.models import PluginConfiguration, QuarantinedRecord, SyncHistory, WorkerPresence
from kvit.users import keys
from kvit.users.models import Organization

SILENT_AFTER: Final = timedelta(minutes=2)
"""A worker shows itself several times a minute; after this long it is taken for gone."""
OVERDUE_AFTER: Final = timedelta(minutes=15)
"""So long after its time a run that was not even queued is overdue."""
STUCK_AFTER: Final = timedelta(minutes=10)
"""So long may a run that is due wait for a worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """The database, whose size is that of the whole installation."""

    vendor: str
    version: str
    size_bytes: int
    missing_migrations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """The worker processes seen lately."""

    at_work: int
    last_seen_at: datetime | None
    """When any worker was seen last; None where none was within a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubled:
    """Connections that a person should look at; each stands in one tuple only, the first that fits."""

    needing_attention: tuple[PluginConfiguration, ...]
    failing: tuple[PluginConfiguration, ...]
    expired: tuple[PluginConfiguration, ...]
    expiring: tuple[PluginConfiguration, ...]
    overdue: tuple[PluginConfiguration, ...]
    count: int
    """All connections of the organization."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Runs that have not ended."""

    running: int
    waiting: int
    """For a worker."""
    deferred: int
    """Until the moment the source asked for, or the next try."""
    stuck: int
    """Due for long, or left behind by a worker, and taken by nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What waits for a person's decision."""

    quarantined: int
    conflicts: int
    possible_duplicates: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The record of all changes of the installation, and how far it is sealed."""

    entries: int
    sealed_at: datetime | None
    unsealed: int
    """Entries newer than the last seal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Everything the health page shows."""

    database: Database
    workers: Workers
    missing_master_keys: tuple[str, ...]
    connections: Troubled
    runs: Runs
    review: Review
    audit: Audit


def health(organization: Organization, now: datetime, today: date) -> Health:
    """Examine the installation, and of its rows those of this organization.

    `today` is the date in the organization's time zone.
    """
    return Health(
        database=_database(),
        workers=_workers(now),
        missing_master_keys=tuple(keys.missing_master_keys()),
        connections=_connections(organization, now, today),
        runs=_runs(organization, now),
        review=_review(organization),
        audit=_audit(),
    )


def _database() -> Database:
    executor = MigrationExecutor(database)
    return Database(
        vendor=database.vendor,
        version=".".join(str(part) for part in database.get_database_version()),
        size_bytes=_size_bytes(),
        missing_migrations=len(executor.migration_plan(executor.loader.graph.leaf_nodes())),
    )


def _size_bytes() -> int:
    with database.cursor() as cursor:
        if database.vendor == "sqlite":
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        else:
            cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0])


def _workers(now: datetime) -> Workers:
    found = WorkerPresence.objects.aggregate(
        at_work=Count("name", filter=Q(seen_at__gte=now - SILENT_AFTER)), last_seen_at=Max("seen_at")
    )
    return Workers(**found)


def _connections(organization: Organization, now: datetime, today: date) -> Troubled:
    rows = list(PluginConfiguration.objects.filter(organization=organization))
    busy = set(
        SyncHistory.objects.active().filter(organization=organization).values_list("connection_id", flat=True)
    )
    found: dict[str, list[PluginConfiguration]] = {}
    for row in rows:
        found.setdefault(_trouble(row, row.pk in busy, now, today), []).append(row)
    return Troubled(
        needing_attention=tuple(found.get("needing_attention", ())),
        failing=tuple(found.get("failing", ())),
        expired=tuple(found.get("expired", ())),
        expiring=tuple(found.get("expiring", ())),
        overdue=tuple(found.get("overdue", ())),
        count=len(rows),
    )


def _trouble(row: PluginConfiguration, is_busy: bool, now: datetime, today: date) -> str:
    """The first trouble that fits, or nothing; of a paused connection nobody expects anything."""
    if not row.enabled:
        return ""
    if row.state == PluginConfiguration.State.NEEDS_ATTENTION:
        return "needing_attention"
    if row.failing_since is not None:
        return "failing"
    if row.credentials_expire_on is not None and row.credentials_expire_on < today:
        return "expired"
    if row.credentials_expire_on is not None and row.credentials_expire_on <= today + timedelta(SOON_DAYS):
        return "expiring"
    if not is_busy and row.next_run_at is not None and row.next_run_at < now - OVERDUE_AFTER:
        return "overdue"
    return ""


def _runs(organization: Organization, now: datetime) -> Runs:
    pending, running = (Q(status=status) for status in SyncHistory.ACTIVE)
    deferred = pending & Q(not_before__gt=now)
    since = now - STUCK_AFTER
    never_taken = pending & (Q(not_before__lt=since) | Q(not_before=None, created_at__lt=since))
    found = (
        SyncHistory.objects.active()
        .filter(organization=organization)
        .aggregate(
            running=Count("id", filter=running),
            waiting=Count("id", filter=pending & ~Q(not_before__gt=now)),
            deferred=Count("id", filter=deferred),
            stuck=Count("id", filter=never_taken | (running & Q(lease_until__lt=since))),
        )
    )
    return Runs(**found)


def _review(organization: Organization) -> Review:
    waiting = {"organization": organization, "resolved_at": None}
    return Review(
        quarantined=QuarantinedRecord.objects.filter(**waiting).count(),
        conflicts=TransactionConflict.objects.filter(**waiting).count(),
        possible_duplicates=PossibleDuplicate.objects.filter(**waiting).count(),
    )


def _audit() -> Audit:
    newest = AuditSeal.objects.order_by("-id").only("last_id", "sealed_at").first()
    unsealed = AuditEntry.objects.filter(id__gt=newest.last_id) if newest else AuditEntry.objects.all()
    return Audit(
        entries=AuditEntry.objects.count(),
        sealed_at=newest.sealed_at if newest else None,
        unsealed=unsealed.count(),
    )
