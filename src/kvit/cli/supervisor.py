"""Child processes that are kept running, and that do not outlive whoever started them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 0.5
FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
HEALTHY_SECONDS: Final = 60.0
"""A child that lived this long did not die of how it was started: the pause begins anew."""
GRACE_SECONDS: Final = 15.0
"""How long children may finish what they are doing when they are asked to stop."""
_PR_SET_PDEATHSIG: Final = 1
"""prctl(2): the signal a child gets when its parent dies."""


class Supervisor:
    """Keeps child processes running until it is asked to stop."""

    def __init__(self) -> None:
        self._children: list[_Child] = []

    def add(self, command: Sequence[str], *, silent: bool = False) -> None:
        """Take a command into care; a silent one's standard output is nobody's concern."""
        self._children.append(_Child(command, subprocess.DEVNULL if silent else None))

    def run_until(self, stop: threading.Event) -> None:
        """Start the children and start again those that die, until `stop` is set; then end all of them."""
        try:
            while not stop.is_set():
                for child in self._children:
                    child.keep_running()
                stop.wait(LOOK_SECONDS)
        finally:
            self._end()

    def _end(self) -> None:
        for child in self._children:
            child.ask_to_stop()
        deadline = time.monotonic() + GRACE_SECONDS
        for child in self._children:
            child.end_by(deadline)


class _Child:
    """One child process, in a process group of its own together with whatever it starts."""

    def __init__(self, command: Sequence[str], stdout: int | None) -> None:
        self._command = list(command)
        self._stdout = stdout
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._not_before = 0.0
        self._pause_seconds = FIRST_PAUSE_SECONDS

    def keep_running(self) -> None:
        """Start it where it does not run; after a death only when the pause is over."""
        if self._process is not None and self._process.poll() is not None:
            self._plan_restart(self._process)
            self._process = None
        if self._process is None and time.monotonic() >= self._not_before:
            self._started_at = time.monotonic()
            self._process = subprocess.Popen(  # noqa: S603  # our own command line
                self._command, stdout=self._stdout, process_group=0, preexec_fn=end_with_parent()
            )

    def ask_to_stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def end_by(self, deadline: float) -> None:
        """Wait for it, and end it and its own children by force when the time is over."""
        if self._process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, deadline - time.monotonic()))
        _kill_group(self._process)
        self._process.wait()

    def _plan_restart(self, process: subprocess.Popen[bytes]) -> None:
        _kill_group(process)
        if time.monotonic() - self._started_at >= HEALTHY_SECONDS:
            self._pause_seconds = FIRST_PAUSE_SECONDS
        log.error(
            "process.died",
            command=" ".join(self._command[1:]),
            code=process.returncode,
            restart_in_seconds=self._pause_seconds,
        )
        self._not_before = time.monotonic() + self._pause_seconds
        self._pause_seconds = min(self._pause_seconds * 2, LONGEST_PAUSE_SECONDS)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End what a child has left behind; its group bears the child's own id."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def end_with_parent() -> Callable[[], None] | None:
    """Return what a new child must do so that it is asked to stop when this process dies (Linux only)."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def bind() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return bind
