"""The queue of runs: a row is claimed by conditional UPDATE, held by a lease and guarded by a fence."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from kvit.audit.recording import SYSTEM
from kvit.kernel.errors import KvitError, LeaseLost, PluginUnavailable
from kvit.sync.connections import refuse_in_transaction
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.sync.registry import plugin_class

LONGEST_LOG_LINES: Final = 200
RETRY_AFTER_FAILURE: Final = timedelta(minutes=15)


def enqueue_due(now: datetime) -> int:
    """Queue a run for each connection whose time has come; any number of schedulers may do this at once."""
    due = PluginConfiguration.objects.filter(
        enabled=True, state=PluginConfiguration.State.OK, next_run_at__lte=now
    ).exclude(runs__in=SyncHistory.objects.active())
    return sum(_enqueue(connection, now) for connection in due)


def due_runs(now: datetime) -> list[SyncHistory]:
    """Return the runs that a worker may claim now, the oldest first. Only reads."""
    active = SyncHistory.objects.active().order_by("id").select_related("connection", "organization")
    return [run for run in active if run.is_due(now) or is_left_behind(run)]


def claim(run: SyncHistory) -> Claim | None:
    """Take the run for this worker, or return None where another one was faster."""
    now = timezone.now()
    if not (run.is_due(now) or is_left_behind(run)):
        return None
    unchanged = SyncHistory.objects.filter(
        pk=run.pk, fence=run.fence, status=run.status, lease_until=run.lease_until
    )
    changed = unchanged.update(
        status=SyncHistory.Status.RUNNING,
        fence=F("fence") + 1,
        lease_until=now + _lease(),
        worker=worker_name(),
        started_at=run.started_at or now,
        not_before=None,
    )
    if not changed:
        return None
    was_running = run.status == SyncHistory.Status.RUNNING
    run.refresh_from_db()
    held = Claim(run)
    if was_running:
        held.note("An earlier worker stopped without finishing; the run goes on from the last checkpoint.")
    return held


class Claim:
    """A run held by this worker; every write checks that it is still held."""

    def __init__(self, run: SyncHistory) -> None:
        self.run = run
        self._renewed_at = time.monotonic()

    def note(self, text: str) -> None:
        """Keep a line for the run's log; it is stored with the next write."""
        line = {"at": timezone.now().isoformat(timespec="seconds"), "text": text}
        self.run.log = [*self.run.log, line][-LONGEST_LOG_LINES:]

    def beat(self) -> None:
        """Renew the lease when a third of it has passed.

        Raises LeaseLost where another worker has the run, and RuntimeError inside a database transaction.
        """
        refuse_in_transaction()
        if time.monotonic() - self._renewed_at > settings.KVIT.lease_seconds / 3:
            self.renew()

    def renew(self, **changes: Any) -> None:
        """Extend the lease and write these columns. Raises LeaseLost where another worker has the run."""
        self._write(lease_until=timezone.now() + _lease(), **changes)
        self._renewed_at = time.monotonic()

    def complete(self) -> None:
        """End the run as completed and plan the next one."""
        with transaction.atomic():
            self._end(SyncHistory.Status.COMPLETED)
            self._plan(PluginConfiguration.State.OK, _interval(self.run.connection))

    def fail(self, error: KvitError, *, needs_attention: bool) -> None:
        """End the run as failed with the error in words; pause the schedule where a person must act."""
        with transaction.atomic():
            self._end(
                SyncHistory.Status.FAILED,
                error_kind=type(error).__name__,
                error_message=error.message,
                error_params={name: str(value) for name, value in error.params.items()},
            )
            if needs_attention:
                self._plan(PluginConfiguration.State.NEEDS_ATTENTION, None)
            else:
                self._plan(self.run.connection.state, RETRY_AFTER_FAILURE)

    def defer(self, until: datetime) -> None:
        """Put the run back until the source allows another try; that is neither success nor failure."""
        self._write(status=SyncHistory.Status.PENDING, lease_until=None, worker="", not_before=until)

    def give_back(self) -> None:
        """Put the run back at once, for the next worker: this one is asked to stop."""
        self.note("The worker was stopped; the run goes on with the next one.")
        self._write(status=SyncHistory.Status.PENDING, lease_until=None, worker="")

    def _end(self, status: SyncHistory.Status, **changes: Any) -> None:
        self._write(status=status, lease_until=None, worker="", finished_at=timezone.now(), **changes)

    def _plan(self, state: str, delay: timedelta | None) -> None:
        connection = PluginConfiguration.objects.get(pk=self.run.connection_id)
        if plugin_accepts_files(connection):
            delay = None
        connection.state = state
        connection.next_run_at = None if delay is None else timezone.now() + delay
        connection.save(update_fields=["state", "next_run_at"])

    def _write(self, **changes: Any) -> None:
        held = SyncHistory.objects.filter(
            pk=self.run.pk, fence=self.run.fence, status=SyncHistory.Status.RUNNING
        )
        if not held.update(log=self.run.log, **changes):
            raise LeaseLost


def is_left_behind(run: SyncHistory) -> bool:
    """Whether the run's worker was a process of this machine that no longer lives.

    Its lease need not lapse then. Were this ever wrong, the fence still keeps the other worker from writing.
    """
    if run.status != SyncHistory.Status.RUNNING or not run.worker:
        return False
    machine, _, process = run.worker.rpartition("|")
    pid, _, started = process.partition("@")
    return machine == _machine() and started != "" and _start_of(int(pid)) != started


@cache
def worker_name() -> str:
    """Name this process for ever: machine, process id and the moment the process started."""
    return f"{_machine()}|{os.getpid()}@{_start_of(os.getpid())}"


@cache
def _machine() -> str:
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = Path("/proc/self/ns/pid").readlink()
        return f"{socket.gethostname()}/{boot[:13]}/{namespace}"
    return socket.gethostname()


def _start_of(pid: int) -> str:
    """When that process started, in clock ticks since boot; empty where it does not live."""
    with suppress(OSError, IndexError):
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        fields = status.rpartition(")")[2].split()
        return "" if fields[0] in ("Z", "X") else fields[19]
    return ""


def _enqueue(connection: PluginConfiguration, now: datetime) -> bool:
    """Move the connection to its next time and queue the run, both or neither."""
    with suppress(IntegrityError), transaction.atomic():
        moved = PluginConfiguration.objects.filter(
            pk=connection.pk, enabled=True, next_run_at=connection.next_run_at
        ).update(next_run_at=now + _interval(connection))
        if moved:
            SyncHistory.objects.create(
                organization_id=connection.organization_id,
                connection=connection,
                trigger=SyncHistory.Trigger.SCHEDULE,
                requested_by=SYSTEM.name,
            )
            return True
    return False


def plugin_accepts_files(connection: PluginConfiguration) -> bool:
    """Whether the connection lives from files that people hand over; a missing plugin does not."""
    try:
        return plugin_class(connection.plugin).accepts_files
    except PluginUnavailable:
        return False


def _interval(connection: PluginConfiguration) -> timedelta:
    try:
        return timedelta(hours=4)
    except PluginUnavailable:
        return timedelta(hours=4)


def _lease() -> timedelta:
    return timedelta(seconds=settings.KVIT.lease_seconds)
