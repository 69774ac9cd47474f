"""The worker: takes what is due, one run after another, until it is asked to stop."""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import FrameType
from typing import Final

import structlog
from django.db import close_old_connections
from django.utils import timezone

from kvit import pipeline
from kvit.audit import sealing
from kvit.matching import thanks
from kvit.matching.reconcile import reconcile
from kvit.payments import sending
from kvit.sync import queue, retention, schedule, workers
from kvit.sync.models import SyncHistory
from kvit.users.keys import missing_master_keys
from kvit.users.models import Organization

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0


def work_until(stop: threading.Event) -> None:
    """Look for due runs every second and carry them out, until `stop` is set; do the chores in between."""
    log.info("worker.started", worker=workers.worker_name())
    with _surviving():
        _reconcile_leftovers()
    chores = [
        Chore(workers.show_presence, every=PRESENCE),
        *(Chore(act, every=every) for act, every in CHORES),
    ]
    while not stop.is_set():
        found = False
        for chore in chores:
            with _surviving():
                chore.do_if_due(timezone.now())
        with _surviving():
            found = work_once(stop)
        if not found:
            stop.wait(POLL_SECONDS)
    with _surviving():
        workers.leave()
    log.info("worker.stopped")


def work_once(stop: threading.Event) -> bool:
    """Queue what is due and carry out one run. Return whether there was one; none while a key is missing."""
    close_old_connections()
    if not _keys.are_there():
        return False
    now = timezone.now()
    schedule.enqueue_due(now)
    for run in queue.due_runs(now):
        held = queue.claim(run)
        if held is not None:
            pipeline.carry_out(held, should_stop=stop.is_set)
            return True
    return False


def run_to_the_end(run: SyncHistory, *, patience: timedelta) -> SyncHistory:
    """Carry this run to its end in this process, or wait for the worker that has it, and return it.

    It waits where the source asks to wait, at most `patience` at once: a run put back for longer is returned
    as it is, for the workers to take up.
    """
    pause = threading.Event()
    while True:
        run = SyncHistory.objects.select_related("connection", "organization").get(pk=run.pk)
        if not run.is_active or (run.not_before is not None and run.not_before > timezone.now() + patience):
            return run
        held = queue.claim(run)
        if held is not None:
            pipeline.carry_out(held, patience=patience)
        else:
            pause.wait(0.2)


def stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set, so that the worker ends after its current record."""
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    return stop


@dataclass(slots=True)
class Chore:
    """Something a worker does now and then, besides its runs."""

    act: Callable[[datetime], object]
    every: timedelta
    done_at: datetime | None = None

    def do_if_due(self, now: datetime) -> None:
        """Do it where it is time; what fails is tried again the next time it is due."""
        if self.done_at is None or now - self.done_at >= self.every:
            self.done_at = now
            self.act(now)


@dataclass(slots=True)
class KeyCheck:
    """Whether the master keys are there: with a wrong one, every run would fail and ask for attention."""

    missing: tuple[str, ...] = ()

    def are_there(self) -> bool:
        """Look, and log once what is missing and once that it is back."""
        missing = missing_master_keys()
        if missing != self.missing:
            self.missing = missing
            if missing:
                log.error("worker.keys_missing", keys=missing, advice="see “kvit keys status”; nothing runs")
            else:
                log.info("worker.keys_back")
        return not missing


_keys = KeyCheck()


PRESENCE: Final = timedelta(seconds=20)
CHORES: Final[Sequence[tuple[Callable[[datetime], object], timedelta]]] = (
    (sealing.seal, timedelta(minutes=1)),
    (thanks.send_due, timedelta(minutes=1)),
    (sending.send_due, timedelta(seconds=5)),
    (retention.purge, timedelta(hours=1)),
)


def _reconcile_leftovers() -> None:
    """A worker killed between posting and matching leaves movements undecided; decide about them now."""
    for organization in Organization.objects.all():
        with _surviving():
            reconcile(organization)


@contextmanager
def _surviving() -> Iterator[None]:
    """Log what went wrong and go on: a database away for a moment, or one organization's fault, ends nothing.

    The trace is without its chain: what a plugin raised before may hold a secret.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001  # the worker outlives whatever happens to one run
        trace = "".join(traceback.format_exception(error, chain=False))
        log.error("worker.stumbled", kind=type(error).__name__, trace=trace)
