"""`kvit web`, `kvit worker` and `kvit serve`: the processes that run all the time."""

from __future__ import annotations

import argparse
import errno
import socket
import sys
from collections.abc import Sequence
from typing import Final

from django.conf import settings
from django.db import connection
from granian import Granian
from granian.constants import Interfaces

from kvit import tasks
from kvit.cli import database
from kvit.cli.supervisor import Supervisor
from kvit.kernel.errors import KeyMissing, Refused
from kvit.users.keys import require_master_keys

_SQLITE_THREADS: Final = 4
"""Writers take turns on SQLite; more threads would only wait for each other."""
_POSTGRES_THREADS: Final = 8


def web(options: argparse.Namespace) -> int:
    """Serve the pages in this process until it is asked to stop."""
    require_free_port(options.host, options.port)
    say_which_keys_are_missing()
    on_sqlite = connection.vendor == "sqlite"
    connection.close()
    Granian(
        "kvit.config.wsgi:application",
        address=options.host,
        port=options.port,
        interface=Interfaces.WSGI,
        workers=options.workers or (1 if on_sqlite else 2),
        blocking_threads=_SQLITE_THREADS if on_sqlite else _POSTGRES_THREADS,
        websockets=False,
        workers_kill_timeout=10,
        respawn_failed_workers=True,
    ).serve()
    return 0


def work(_options: argparse.Namespace) -> int:
    """Carry out what is due until this process is asked to stop."""
    tasks.work_until(tasks.stop_on_signals())
    return 0


def serve(options: argparse.Namespace) -> int:
    """Bring the database up to date, then keep web and worker running."""
    require_free_port(options.host, options.port)
    database.bring_up_to_date()
    connection.close()
    supervisor = Supervisor()
    for command in processes(options):
        supervisor.add(command)
    print(f"Kvit is at {address(options)} – stop it with Ctrl-C.", flush=True)
    supervisor.run_until(tasks.stop_on_signals())
    return 0


def say_which_keys_are_missing() -> None:
    """Say it at the start; the pages only show then, and say it too."""
    try:
        require_master_keys()
    except KeyMissing as error:
        print(f"kvit: {error} Until then the pages only show.", file=sys.stderr, flush=True)


def processes(options: argparse.Namespace) -> Sequence[Sequence[str]]:
    """Return the command lines of web and worker."""
    kvit = [sys.executable, "-m", "kvit"]
    workers = ["--workers", str(options.workers)] if getattr(options, "workers", None) else []
    return (
        [*kvit, "web", "--host", options.host, "--port", str(options.port), *workers],
        [*kvit, "worker"],
    )


def address(options: argparse.Namespace) -> str:
    """Return where a person finds the pages: KVIT_BASE_URL behind a proxy, else this computer's own."""
    if settings.KVIT.production:
        return f"{settings.KVIT.base_url}/"
    host = "127.0.0.1" if options.host in ("0.0.0.0", "::") else options.host  # noqa: S104  # compared, not bound
    return f"http://{f'[{host}]' if ':' in host else host}:{options.port}/"


def require_free_port(host: str, port: int) -> None:
    """Raise Refused where nothing can listen there."""
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Refused(
                "Something listens on port {port} already. Stop it, or choose another with --port.", port=port
            ) from None
        raise Refused(
            "Kvit cannot listen on {host}:{port} ({reason}).", host=host, port=port, reason=error.strerror
        ) from None
