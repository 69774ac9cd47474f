"""A real PostgreSQL server for tests and benchmarks: a scratch cluster on a socket, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg


class PostgresMissing(Exception):
    """PostgreSQL's server programs are not on this machine."""


def server_programs() -> Path:
    """Return the folder of `postgres` and `initdb`. Raises PostgresMissing."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: path.parts[-3])
    if found:
        return found[-1].parent
    program = shutil.which("postgres")
    if program and shutil.which("initdb"):
        return Path(program).resolve().parent
    raise PostgresMissing("Install PostgreSQL's server, for example Debian's package “postgresql”.")


@contextmanager
def running_postgres(**settings: str) -> Iterator[str]:
    """Start a server and yield the URL of its database; as root, it runs as another user.

    Raises PostgresMissing.
    """
    programs = server_programs()
    folder = Path(tempfile.mkdtemp(prefix="kvit-pg-"))
    user = _plain_user()
    command: list[str] = []
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
        command = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    data, log = folder / "data", folder / "log"
    environment = {**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    options = {
        "listen_addresses": "''",
        "unix_socket_directories": str(folder),
        "jit": "off",
        "max_connections": "60",
        "shared_buffers": "256MB",
        **settings,
    }
    try:
        subprocess.run(
            [*command, str(programs / "initdb"), "-D", str(data), "-U", "kvit", "-A", "trust", "-E", "UTF8"],
            check=True,
            capture_output=True,
            env=environment,
            cwd=folder,
        )
        with (data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {_quoted(value)}\n" for name, value in options.items())
        control = [*command, str(programs / "pg_ctl"), "-D", str(data), "-l", str(log), "-w"]
        subprocess.run(
            [*control, "start"], check=True, stdout=subprocess.DEVNULL, env=environment, cwd=folder
        )
        try:
            yield f"postgres://kvit@/postgres?host={folder}"
        finally:
            subprocess.run(
                [*control, "-m", "immediate", "stop"],
                check=True,
                stdout=subprocess.DEVNULL,
                env=environment,
                cwd=folder,
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def fresh_database(*, like: str = "") -> Iterator[str]:
    """A database of its own on the suite's server, empty or like another one; its URL, or "" on SQLite."""
    server = os.environ.get("KVIT_TEST_DATABASE_URL", "")
    if not server:
        yield ""
        return
    name = f"kvit_{uuid4().hex[:12]}"
    origin = f" TEMPLATE {database_name(like)}" if like else ""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}{origin}".encode())
        yield server.replace("/postgres?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def database_name(url: str) -> str:
    """Return which of the server's databases a URL means."""
    return url.partition("?")[0].rpartition("/")[2]


def _plain_user() -> pwd.struct_passwd | None:
    """Whom the server runs as where we are root, which it refuses."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresMissing("PostgreSQL refuses to run as root and there is no other user to run it as.")


def _quoted(value: str) -> str:
    return value if value.startswith("'") else f"'{value}'"
