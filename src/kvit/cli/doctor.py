"""`kvit doctor`: is this installation in order, and what to do where it is not."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import Error, connection
from django.utils import timezone

from kvit.cli import database
from kvit.cli.tables import counted
from kvit.kernel.errors import KeyMissing, KvitError, SealBroken
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.sync.registry import catalogue
from kvit.sync.workers import is_left_behind
from kvit.users.keys import data_key_of
from kvit.users.models import DataKey

WAITING_TOO_LONG: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; what is wrong has an `advice`."""

    about: str
    text: str
    advice: str = ""


def doctor(_options: argparse.Namespace) -> int:
    """Print every finding; exit 1 where anything is wrong."""
    findings = []
    for finding in _examination():
        findings.append(finding)
        print(f"{'WRONG' if finding.advice else 'ok':<6} {finding.about:<12} {finding.text}")
        if finding.advice:
            print(f"{'':<19} → {finding.advice}")
    wrong = sum(bool(finding.advice) for finding in findings)
    print()
    print(f"{counted(wrong, 'thing is', 'things are')} wrong." if wrong else "Everything is in order.")
    return 1 if wrong else 0


def _examination() -> Iterator[Finding]:
    """Look at the files, then at plugins, then at the database as far as it can be read."""
    yield from _data_folder(settings.KVIT.data_dir)
    yield from _key_files(settings.KVIT.data_dir)
    yield from _plugins()
    for look in _IN_DATABASE:
        findings = list(look())
        yield from findings
        if look in (_database, _migrations) and any(finding.advice for finding in findings):
            return


def _data_folder(folder: Path) -> Iterator[Finding]:
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield Finding("data folder", str(folder), "Let the user that runs Kvit read and write this folder.")
    elif folder.stat().st_mode & 0o022:
        yield Finding("data folder", f"{folder} can be changed by others", f"Run: chmod go-w '{folder}'")
    else:
        yield Finding("data folder", str(folder))


def _key_files(folder: Path) -> Iterator[Finding]:
    named = os.environ.get("KVIT_MASTER_KEY_FILE")
    paths = [folder / "secret.key", folder / "master.key", *([Path(named)] if named else [])]
    for path in paths:
        if not path.exists():
            continue
        if path.stat().st_mode & 0o077:
            yield Finding("keys", f"{path} can be read by others", f"Run: chmod 600 '{path}'")
        else:
            yield Finding("keys", f"{path} is for its owner only")


def _plugins() -> Iterator[Finding]:
    for listing in catalogue():
        if listing.plugin is None:
            yield Finding(
                "plugin",
                f"{listing.name}: {listing.problem}",
                "Install the plugin again or update it; the others go on.",
            )
        else:
            yield Finding("plugin", f"{listing.name} {listing.version} ({listing.title})")


def _database() -> Iterator[Finding]:
    try:
        connection.ensure_connection()
    except Error as error:
        reason = " ".join(str(error).split())
        yield Finding("database", reason, "Check KVIT_DATABASE_URL and whether the server runs.")
        return
    if connection.vendor != "sqlite":
        yield Finding("database", f"{connection.vendor} answers")
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        mode = cursor.fetchone()[0]
    name = connection.settings_dict["NAME"]
    if mode == "wal":
        yield Finding("database", f"{name} (sqlite, journal mode wal)")
    else:
        yield Finding(
            "database",
            f"{name}: journal mode {mode}",
            "Move the data folder to a local disk: pages and worker need SQLite's WAL, "
            "which network file systems refuse.",
        )


def _migrations() -> Iterator[Finding]:
    missing = database.missing_migrations()
    if missing:
        yield Finding(
            "database", f"{counted(missing, 'migration is', 'migrations are')} missing", "Run: kvit migrate"
        )
    else:
        yield Finding("database", "has all migrations")


def _data_keys() -> Iterator[Finding]:
    """Open every data key with the master keys; none is made here."""
    opened = 0
    for row in DataKey.objects.select_related("organization").order_by("id"):
        try:
            data_key_of(row, row.organization)
        except KeyMissing as error:
            yield Finding(
                "keys",
                f"the master key {error.key_id} of “{row.organization}” is missing",
                "Put it back into KVIT_MASTER_KEY, the file KVIT_MASTER_KEY_FILE names or master.key:"
                " without it, stored credentials cannot be opened, the pages only show and nothing syncs.",
            )
        except SealBroken:
            yield Finding(
                "keys",
                f"the data key {row.key_id} of “{row.organization}” is damaged",
                "Restore the database from a backup.",
            )
        else:
            opened += 1
    yield Finding("keys", f"{counted(opened, 'data key opens', 'data keys open')} with the master key")


def _connections() -> Iterator[Finding]:
    rows = PluginConfiguration.objects.select_related("organization").order_by("organization__name", "name")
    in_order = 0
    for row in rows:
        if row.state == PluginConfiguration.State.NEEDS_ATTENTION:
            yield Finding(
                "connection",
                f"“{row.name}” of “{row.organization}” needs attention: {_last_error(row)}",
                "Correct it on the page of the connection, where it is tested and saved.",
            )
        else:
            in_order += 1
    yield Finding("connection", f"{counted(in_order, 'connection', 'connections')} in order")


def _last_error(row: PluginConfiguration) -> str:
    run = row.runs.filter(status=SyncHistory.Status.FAILED).order_by("-id").first()
    return "it was never read" if run is None else str(KvitError(run.error_message, **run.error_params))


def _runs() -> Iterator[Finding]:
    now = timezone.now()
    active = SyncHistory.objects.active().select_related("connection").order_by("id")
    stuck = [run for run in active if _is_stuck(run)]
    for run in stuck:
        since = timezone.localtime(run.started_at or run.created_at).strftime("%Y-%m-%d %H:%M")
        yield Finding(
            "run",
            f"the sync of “{run.connection}” is {run.status} since {since} and nobody carries it out",
            "Start “kvit worker”, or “kvit serve” for pages and worker together.",
        )
    if not stuck:
        yield Finding("run", f"no sync is stuck at {timezone.localtime(now):%H:%M}")


def _is_stuck(run: SyncHistory) -> bool:
    """Whether a run has lost its worker, or has been due for long without one."""
    now = timezone.now()
    if run.status == SyncHistory.Status.RUNNING:
        return run.is_due(now) or is_left_behind(run)
    return (run.not_before or run.created_at) < now - WAITING_TOO_LONG


_IN_DATABASE: Final[tuple[Callable[[], Iterator[Finding]], ...]] = (
    _database,
    _migrations,
    _data_keys,
    _connections,
    _runs,
)
