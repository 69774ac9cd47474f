"""Worker processes: what each is called, whether it still lives, and when it was seen last."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

from kvit.sync.models import SyncHistory, WorkerPresence

FORGOTTEN_AFTER: Final = timedelta(days=1)


@cache
def worker_name() -> str:
    """Name this process for ever: machine, process id and the moment the process started."""
    return f"{_machine()}|{os.getpid()}@{_start_of(os.getpid())}"


def is_left_behind(run: SyncHistory) -> bool:
    """Whether the run's worker was a process of this machine that no longer lives.

    Its lease need not lapse then. Were this ever wrong, the fence still keeps the other worker from writing.
    """
    if run.status != SyncHistory.Status.RUNNING or not run.worker:
        return False
    machine, _, process = run.worker.rpartition("|")
    pid, _, started = process.partition("@")
    return machine == _machine() and started != "" and _start_of(int(pid)) != started


def show_presence(now: datetime) -> None:
    """Write down that this worker is at work, and forget those not seen for a day."""
    WorkerPresence.objects.update_or_create(
        name=worker_name(), defaults={"seen_at": now}, create_defaults={"seen_at": now, "started_at": now}
    )
    WorkerPresence.objects.filter(seen_at__lt=now - FORGOTTEN_AFTER).delete()


def still_here(now: datetime) -> None:
    """Write down that this worker is busy with a run; a command in the foreground is no worker."""
    WorkerPresence.objects.filter(name=worker_name()).update(seen_at=now)


def leave() -> None:
    """Write down that this worker is at work no more."""
    WorkerPresence.objects.filter(name=worker_name()).delete()


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
