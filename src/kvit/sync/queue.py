"""The queue of runs: a row is claimed by conditional UPDATE, held by a lease and guarded by a fence."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.expressions import RawSQL
from django.utils import timezone

from kvit.kernel.errors import Cancelled, KvitError, LeaseLost, PluginError, RunPoisoned
from kvit.sync import outcomes
from kvit.sync.connections import refuse_in_transaction
from kvit.sync.models import SyncHistory
from kvit.sync.workers import is_left_behind, worker_name

type Line = dict[str, str]

LONGEST_LOG_LINES: Final = 200
MOST_ATTEMPTS: Final = 5
"""Passing faults of the source in one run; the last one fails it."""
MOST_TAKEOVERS: Final = 5
"""Workers that may die over a run in a row, without anything written in between."""
FIRST_PAUSE: Final = timedelta(seconds=30)
LONGEST_PAUSE: Final = timedelta(minutes=30)
CANDIDATES: Final = 20
"""How many waiting runs a worker looks at; others are faster at the first few."""
LOOK_SECONDS: Final = 1.0
"""How often a run looks whether it is still held and wanted."""


_ACTIVE: Final = RawSQL(  # a constant; SQLite uses a partial index only for written-out values
    "sync_synchistory.status IN ('pending', 'running')", (), output_field=models.BooleanField()
)


def due_runs(now: datetime) -> list[SyncHistory]:
    """Return the runs that a worker may claim now: those left behind first, then the oldest. Only reads."""
    runs = SyncHistory.objects.filter(_ACTIVE).order_by("id").select_related("connection", "organization")
    running = runs.filter(status=SyncHistory.Status.RUNNING)
    waiting = runs.filter(
        Q(not_before__isnull=True) | Q(not_before__lte=now), status=SyncHistory.Status.PENDING
    )
    left = [run for run in running if run.is_due(now) or is_left_behind(run)]
    return [*left, *waiting[:CANDIDATES]]


def claim(run: SyncHistory) -> Claim | None:
    """Take the run for this worker, or return None where another one was faster."""
    now = timezone.now()
    if not (run.is_due(now) or is_left_behind(run)):
        return None
    was_running = run.status == SyncHistory.Status.RUNNING
    left_by = run.worker if was_running else ""
    unchanged = SyncHistory.objects.filter(
        pk=run.pk, fence=run.fence, status=run.status, lease_until=run.lease_until
    )
    changed = unchanged.update(
        status=SyncHistory.Status.RUNNING,
        fence=F("fence") + 1,
        lease_until=now + _lease(),
        worker=worker_name(),
        not_before=None,
        takeovers=F("takeovers") + (1 if was_running and not run.is_waiting else 0),
        is_waiting=False,
        error_kind="",
        error_message="",
        error_params={},
        started_at=run.started_at or now,
        log=_with_takeover(run.log, left_by),
        **_beginning(run, now),
    )
    if not changed:
        return None
    run.refresh_from_db()
    return Claim(run)


def _with_takeover(log: list[Line], left_by: str) -> list[Line]:
    """Add who left the run, at once: the next worker may die before it writes anything."""
    if not left_by:
        return log
    text = f"The worker {left_by} stopped without finishing; the run goes on from the last checkpoint."
    return _with_line(log, text)


def _with_line(log: list[Line], text: str, level: str = "") -> list[Line]:
    line = {"at": timezone.now().isoformat(timespec="seconds"), "text": text}
    if level:
        line["level"] = level
    return [*log, line][-LONGEST_LOG_LINES:]


def _beginning(run: SyncHistory, now: datetime) -> dict[str, Any]:
    """Where and on which day the run begins to read; a replay begins where its run began.

    A run taken up on a later day begins anew from the cursor it has reached.
    """
    if run.replays is not None:
        return {"today": run.replays.today, "cursor_before": run.replays.cursor_before}
    today = now.astimezone(ZoneInfo(run.organization.time_zone)).date()
    if run.today == today:
        return {}
    return {"today": today, "cursor_before": run.connection.cursor}


class Claim:
    """A run held by this worker; every write checks that it is still held."""

    def __init__(self, run: SyncHistory) -> None:
        self.run = run
        self._looked_at = self._renewed_at = time.monotonic()

    def require_sound(self) -> None:
        """Raise RunPoisoned where one worker after another died over this run."""
        if self.run.takeovers >= MOST_TAKEOVERS:
            raise RunPoisoned(count=self.run.takeovers)

    def note(self, text: str, *, level: str = "") -> None:
        """Keep a line for the run's log; it is stored with the next write."""
        self.run.log = _with_line(self.run.log, text, level)

    def warn(self, text: str) -> None:
        """Keep a warning, which pages point out; the same one is kept once in a run."""
        if not any(line["text"] == text for line in self.run.log):
            self.note(text, level="warning")
            self.run.warnings += 1

    def keep(self) -> None:
        """Renew the lease where a third of it has passed.

        Raises LeaseLost where another worker has the run, and RuntimeError inside a database transaction.
        """
        refuse_in_transaction()
        if time.monotonic() - self._renewed_at > settings.KVIT.lease_seconds / 3:
            self.renew()

    def beat(self) -> None:
        """Keep the run, and look every second whether it is still held and wanted.

        Raises what `keep` does, and Cancelled where a person does not want it any more.
        """
        self.keep()
        if time.monotonic() - self._looked_at > LOOK_SECONDS:
            self._look()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Mark the run as waiting for its source: a worker that dies meanwhile does not die over the run."""
        self._write(is_waiting=True)
        try:
            yield
        finally:
            self._write(is_waiting=False)

    def renew(self, **changes: Any) -> None:
        """Extend the lease and write these columns. Raises LeaseLost where another worker has the run."""
        self._write(lease_until=timezone.now() + _lease(), **changes)
        self._renewed_at = time.monotonic()

    def complete(self) -> None:
        """End the run as completed."""
        with transaction.atomic():
            self._end(SyncHistory.Status.COMPLETED)
            if self.run.replays_id is None:
                outcomes.succeeded(self.run)

    def fail(self, error: KvitError, *, needs_attention: bool) -> None:
        """End the run as failed with the error in words; pause the schedule where a person must act."""
        with transaction.atomic():
            self._end(SyncHistory.Status.FAILED, **_in_words(error))
            if self.run.replays_id is None:
                outcomes.failed(self.run, needs_attention=needs_attention)

    def cancel(self, error: Cancelled) -> None:
        """End the run because a person asked for it; the schedule goes on."""
        self._end(SyncHistory.Status.FAILED, **_in_words(error))

    def defer(self, until: datetime, error: PluginError) -> None:
        """Put the run back until the source allows another try; that is neither success nor failure."""
        self._put_back(not_before=until, **_in_words(error))

    def retry(self, error: PluginError) -> None:
        """Put the run back after a passing fault, for a random while that grows; fail it after the last try.

        Full jitter: many runs that failed together do not come back together.
        """
        attempts = self.run.attempts + 1
        if attempts >= MOST_ATTEMPTS:
            self.note(f"That was try {attempts} of {MOST_ATTEMPTS}.")
            self.fail(error, needs_attention=False)
        else:
            longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2**self.run.attempts)
            pause = longest * random.random()  # noqa: S311  # spreads load, guards nothing
            self.note(f"Try {attempts} of {MOST_ATTEMPTS} failed: {error}")
            self._put_back(not_before=timezone.now() + pause, attempts=attempts, **_in_words(error))

    def give_back(self) -> None:
        """Put the run back at once, for the next worker: this one is asked to stop."""
        self.note("The worker was stopped; the run goes on with the next one.")
        self._put_back()

    def _put_back(self, **changes: Any) -> None:
        self._let_go(SyncHistory.Status.PENDING, **changes)

    def _end(self, status: SyncHistory.Status, **changes: Any) -> None:
        self._let_go(status, finished_at=timezone.now(), **changes)

    def _let_go(self, status: SyncHistory.Status, **changes: Any) -> None:
        self._write(status=status, lease_until=None, worker="", is_waiting=False, **changes)
        self.run.status = status

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        found = self._held().values_list("cancel_requested_at", "cancel_requested_by").first()
        if found is None:
            raise LeaseLost
        if found[0] is not None:
            raise Cancelled(who=found[1])

    def _write(self, **changes: Any) -> None:
        if not self._held().update(log=self.run.log, warnings=self.run.warnings, **changes):
            raise LeaseLost

    def _held(self) -> models.QuerySet[SyncHistory]:
        return SyncHistory.objects.filter(
            pk=self.run.pk, fence=self.run.fence, status=SyncHistory.Status.RUNNING
        )


def _in_words(error: KvitError) -> dict[str, Any]:
    return {
        "error_kind": type(error).__name__,
        "error_message": error.message,
        "error_params": {name: str(value) for name, value in error.params.items()},
    }


def _lease() -> timedelta:
    return timedelta(seconds=settings.KVIT.lease_seconds)
