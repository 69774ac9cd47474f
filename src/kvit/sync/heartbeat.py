"""A thread that keeps a run's lease while its plugin is busy with something long."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from kvit.sync.models import SyncHistory
from kvit.sync.workers import still_here

log = structlog.get_logger(__name__)

LONGEST_SILENCE: Final = timedelta(minutes=15)
"""A plugin that neither asks its source nor yields for so long has hung; the next worker gets its run."""


class Heartbeat:
    """Renews the lease of one claim three times per lease, until it is lost, ended or silent for too long."""

    def __init__(self, run: SyncHistory) -> None:
        self._held = SyncHistory.objects.filter(pk=run.pk, fence=run.fence, status=SyncHistory.Status.RUNNING)
        self._lease = timedelta(seconds=settings.KVIT.lease_seconds)
        self._stop = threading.Event()
        self._last_sign = time.monotonic()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat-{run.pk}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def sign(self) -> None:
        """Note that the run goes forward."""
        self._last_sign = time.monotonic()

    def _beat(self) -> None:
        while not self._stop.wait(self._lease.total_seconds() / 3):
            if time.monotonic() - self._last_sign > LONGEST_SILENCE.total_seconds():
                log.warning("run.silent", minutes=LONGEST_SILENCE.total_seconds() / 60)
                return
            if not self._renewed():
                return

    def _renewed(self) -> bool:
        """Whether the run is still held; a database that is away for a moment is asked again later."""
        now = timezone.now()
        try:
            still_here(now)
            return bool(self._held.update(lease_until=now + self._lease))
        except DatabaseError as error:
            log.warning("heartbeat.missed", kind=type(error).__name__)
            return True
        finally:
            connection.close()
