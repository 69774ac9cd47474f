"""The worker: takes what is due, one run after another, until it is asked to stop."""

from __future__ import annotations

import signal
import threading
from datetime import timedelta
from types import FrameType

import structlog
from django.db import close_old_connections
from django.utils import timezone

from kvit import pipeline
from kvit.kernel.errors import KvitError
from kvit.matching.reconcile import reconcile
from kvit.sync import queue
from kvit.sync.models import SyncHistory
from kvit.users.models import Organization

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0


def work_until(stop: threading.Event) -> None:
    """Look for due runs every second and carry them out, until `stop` is set."""
    log.info("worker.started", worker=queue.worker_name())
    _reconcile_leftovers()
    while not stop.is_set():
        if not work_once(stop):
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
        try:
            reconcile(organization)
        except KvitError as error:
            log.error("reconcile.failed", organization=organization.pk, error=str(error))
