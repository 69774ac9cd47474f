"""The figures of the health page in words: each line is fine, or says what to do and where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from kvit.dashboard.health import Audit, Database, Health, Review, Runs, Troubled, Workers
from kvit.sync.models import PluginConfiguration
from kvit.web.words import day_text, duration_text, moment_text, size_text

_DATABASES: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that was looked at; what is not fine says what to do."""

    text: str
    advice: str = ""
    url: str = ""

    @property
    def is_fine(self) -> bool:
        return not self.advice


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Lines about one part of Kvit."""

    title: str
    lines: tuple[Line, ...]


def checkup(health: Health, now: datetime) -> tuple[Group, ...]:
    """Return the lines of the health page; what helps most often comes first."""
    return (
        Group(title=_("Work"), lines=(*_worker_lines(health.workers, now), *_run_lines(health.runs))),
        Group(title=_("Connections"), lines=tuple(_connection_lines(health.connections))),
        Group(title=_("Waiting for you"), lines=tuple(_review_lines(health.review))),
        Group(
            title=_("Installation"),
            lines=(
                *_database_lines(health.database),
                *_key_lines(health.missing_master_keys),
                *_audit_lines(health.audit),
            ),
        ),
    )


def _worker_lines(workers: Workers, now: datetime) -> Iterator[Line]:
    start = _("Start “kvit serve”, or “kvit worker” where pages and worker run apart.")
    if workers.at_work:
        text = ngettext("{count} worker is at work.", "{count} workers are at work.", workers.at_work)
        yield Line(text=text.format(count=workers.at_work))
    elif workers.last_seen_at is None:
        yield Line(text=_("No worker has been seen lately, so nothing is synced."), advice=start)
    else:
        silence = duration_text(now - workers.last_seen_at)
        yield Line(
            text=_("No worker has been seen for {duration}, so nothing is synced.").format(duration=silence),
            advice=start,
        )


def _run_lines(runs: Runs) -> Iterator[Line]:
    if runs.stuck:
        text = ngettext(
            "{count} run is due and nobody takes it.",
            "{count} runs are due and nobody takes them.",
            runs.stuck,
        )
        yield Line(
            text=text.format(count=runs.stuck),
            advice=_("See that a worker runs; it takes them over by itself."),
            url=reverse("connections"),
        )
    yield Line(
        text=_(
            "Runs: {running} running, {waiting} waiting for a worker, {deferred} waiting for the source."
        ).format(running=runs.running, waiting=runs.waiting, deferred=runs.deferred)
    )


def _connection_lines(found: Troubled) -> Iterator[Line]:
    troubles = (
        found.needing_attention,
        found.failing,
        found.expired,
        found.expiring,
        found.overdue,
    )
    yield from _about(
        found.needing_attention,
        _("“{name}” needs attention."),
        _("Open it: it says what is wrong and what to do."),
    )
    yield from _about(
        found.failing,
        _("“{name}” fails since {moment}."),
        _("Kvit tries again by itself; its history says what went wrong."),
    )
    yield from _about(
        found.expired,
        _("The credentials of “{name}” ended on {day}."),
        _("Make new ones at the source and enter them."),
    )
    yield from _about(
        found.expiring,
        _("The credentials of “{name}” work until {day}."),
        _("Make new ones at the source and enter them before that day."),
    )
    yield from _about(
        found.overdue,
        _("“{name}” should have been synced at {next}."),
        _("See that a worker runs, then sync it now."),
    )
    if found.count and not any(troubles):
        text = ngettext("{count} connection is in order.", "{count} connections are in order.", found.count)
        yield Line(text=text.format(count=found.count))
    if not found.count:
        yield Line(text=_("Nothing is connected yet."))


def _about(rows: Iterable[PluginConfiguration], text: str, advice: str) -> Iterator[Line]:
    for row in rows:
        said = text.format(
            name=row.name,
            moment=moment_text(row.failing_since) if row.failing_since else "",
            day=day_text(row.credentials_expire_on) if row.credentials_expire_on else "",
            next=moment_text(row.next_run_at) if row.next_run_at else "",
        )
        yield Line(text=said, advice=advice, url=reverse("connection", args=[row.pk]))


def _review_lines(review: Review) -> Iterator[Line]:
    if review.conflicts:
        text = ngettext(
            "{count} movement was told differently by its source.",
            "{count} movements were told differently by their source.",
            review.conflicts,
        )
        yield _to_decide(text, review.conflicts, "review")
    if review.possible_duplicates:
        text = ngettext(
            "{count} pair of movements may be one.",
            "{count} pairs of movements may be one.",
            review.possible_duplicates,
        )
        yield _to_decide(text, review.possible_duplicates, "review")
    if review.quarantined:
        text = ngettext(
            "{count} record could not be read and is put aside.",
            "{count} records could not be read and are put aside.",
            review.quarantined,
        )
        yield Line(
            text=text.format(count=review.quarantined),
            advice=_("Update the plugin and replay the run, or send us the reason."),
            url=reverse("connections"),
        )
    if not (review.conflicts or review.possible_duplicates or review.quarantined):
        yield Line(text=_("No conflict, no possible duplicate, no unreadable record."))


def _to_decide(text: str, count: int, page: str) -> Line:
    return Line(text=text.format(count=count), advice=_("Decide which is right."), url=reverse(page))


def _database_lines(database: Database) -> Iterator[Line]:
    name = f"{_DATABASES.get(database.vendor, database.vendor)} {database.version}"
    yield Line(
        text=_("The database is {name} and takes {size}.").format(
            name=name, size=size_text(database.size_bytes)
        )
    )
    if database.missing_migrations:
        text = ngettext(
            "{count} migration is missing.", "{count} migrations are missing.", database.missing_migrations
        )
        yield Line(text=text.format(count=database.missing_migrations), advice=_("Run “kvit migrate”."))


def _key_lines(missing: tuple[str, ...]) -> Iterator[Line]:
    for key_id in missing:
        yield Line(
            text=_("The master key {key_id} is missing: what it sealed cannot be opened.").format(
                key_id=key_id
            ),
            advice=_("Put it back into KVIT_MASTER_KEY or the master.key file."),
        )
    if not missing:
        yield Line(text=_("All keys are there; every sealed secret can be opened."))


def _audit_lines(audit: Audit) -> Iterator[Line]:
    entries = ngettext("The audit has {count} entry", "The audit has {count} entries", audit.entries).format(
        count=audit.entries
    )
    if audit.sealed_at is None:
        yield Line(text=_("{entries}; none is sealed yet.").format(entries=entries))
    else:
        yield Line(
            text=_("{entries}, sealed at {moment}; {count} are newer.").format(
                entries=entries, moment=moment_text(audit.sealed_at), count=audit.unsealed
            )
        )
