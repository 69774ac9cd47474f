"""Commands forked from a process that has imported what they need, since imports take most of their time.

A forked command is a process with arguments, an environment, a folder and streams of its own, and it reads
settings and models for itself. Only what depends on none of these was imported before: the parent of the
commands never reads a setting. It ends with the process that asked for it.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

ROOT: Final = Path(__file__).resolve().parents[1]
_IMPORTED: Final = (
    "cryptography.hazmat.primitives.ciphers.aead",
    "cryptography.hazmat.primitives.kdf.hkdf",
    "django.contrib.auth.hashers",
    "django.core.management",
    "django.db.backends.sqlite3.base",
    "django.db.migrations.executor",
    "django.db.models.sql.compiler",
    "django.forms",
    "django.template.backends.django",
    "django.urls",
    "httpx",
    "kvit.cli.commands",
    "kvit.kernel.matching",
    "kvit.kernel.statements",
    "kvit.plugin",
    "psycopg",
    "structlog",
)


class Ended(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str


def run(words: Sequence[str], *, environment: Mapping[str, str], input: str, timeout_seconds: float) -> Ended:
    """Run `kvit` with these words and wait for its end. Raises TimeoutError, and kills it then."""
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as stdin,
        tempfile.TemporaryFile("w+", encoding="utf-8") as out,
        tempfile.TemporaryFile("w+", encoding="utf-8") as err,
        socket.socket(socket.AF_UNIX) as parent,
    ):
        stdin.write(input)
        stdin.seek(0)
        parent.connect(_parent_of_commands())
        socket.send_fds(parent, [b"."], [file.fileno() for file in (stdin, out, err)])
        parent.sendall(json.dumps({"words": list(words), "environment": dict(environment)}).encode())
        parent.shutdown(socket.SHUT_WR)
        code = _code_told_by(parent, timeout_seconds)
        out.seek(0)
        err.seek(0)
        return Ended(code, out.read(), err.read())


def _code_told_by(parent: socket.socket, timeout_seconds: float) -> int:
    with parent.makefile(encoding="ascii") as lines:
        pid = int(lines.readline())
        parent.settimeout(timeout_seconds)
        try:
            return int(lines.readline())
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise


@cache
def _parent_of_commands() -> str:
    """Start it, and return the path of the socket on which it is asked for commands."""
    folder = tempfile.TemporaryDirectory(prefix="kvit-forking-")
    path = str(Path(folder.name) / "socket")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.forking", path],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith(("KVIT_", "DJANGO_"))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )

    def end() -> None:
        process.communicate()  # it ends with its stdin
        folder.cleanup()

    atexit.register(end)
    assert process.stdout is not None
    assert process.stdout.readline(), "The parent of commands did not start."
    return path


def _serve(path: str) -> None:
    """Fork a command for each connection until stdin ends."""
    for name in _IMPORTED:
        import_module(name)
    gc.collect()
    gc.freeze()  # else each command would copy the memory of all modules when it looks for garbage
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(16)
        print("ready", flush=True)  # noqa: T201  # whoever started it waits for this line
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system clears up after those that have ended
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            asked, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _answer(asked)
            asked.close()


def _answer(asked: socket.socket) -> NoReturn:
    """Start the command, and tell its process and its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(asked, 1, 3)
    with asked.makefile("rb") as told:
        request = json.loads(told.read())
    pid = os.fork()
    if pid == 0:
        asked.close()
        _be_the_command(streams, **request)
    asked.sendall(f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    asked.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _be_the_command(streams: Sequence[int], words: list[str], environment: dict[str, str]) -> NoReturn:
    """End as Python does, only without taking all modules apart, which takes longer than most commands."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace")
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["kvit", *words]
    code: object = 1
    try:
        code = import_module("kvit.cli").main()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001  # as Python does with an error that nobody catches
        traceback.print_exc()
    for thread in threading.enumerate():
        if not (thread.daemon or thread is threading.current_thread()):
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else code is not None)


if __name__ == "__main__":
    _serve(sys.argv[1])
