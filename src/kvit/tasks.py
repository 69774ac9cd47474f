"""The worker: takes what is due, one run after another, until it is asked to stop."""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType

import structlog
from django.db import close_old_connections
from django.utils import timezone

from kvit import pipeline
from kvit.matching.reconcile import reconcile
from kvit.sync import queue
from kvit.sync.models import SyncHistory
from kvit.users.models import Organization

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0


def work_until(stop: threading.Event) -> None:
    """Look for due runs every second and carry them out, until `stop` is set."""
    log.info("worker.started", worker=queue.worker_name())
    with _surviving():
        _reconcile_leftovers()
    while not stop.is_set():
        found = False
        with _surviving():
            found = work_once(stop)
        if not found:
            stop.wait(POLL_SECONDS)
    log.info("worker.stopped")


def work_once(stop: threading.Event) -> bool:
    """Queue what is due and carry out one run. Return whether there was one."""
    close_old_connections()
    now = timezone.now()
    queue.enqueue_due(now)
    for run in queue.due_runs(now):
        held = queue.claim(run)
        if held is not None:
            pipeline.carry_out(held, should_stop=stop.is_set)
            return True
    return False


def run_to_the_end(run: SyncHistory, *, patience: timedelta) -> SyncHistory:
    """Carry this run to its end in this process, or wait for the worker that has it, and return it.

    It waits where the source asks to wait.
    """
    pause = threading.Event()
    while True:
        run = SyncHistory.objects.select_related("connection", "organization").get(pk=run.pk)
        if not run.is_active:
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
