"""`kvit serve` and its children."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.commands import Kvit

PATIENCE_SECONDS = 60


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(kvit: Kvit, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = kvit.command("serve", "--port", str(port))
    with subprocess.Popen(
        command, env=kvit.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_until(lambda: answers(port))
            yield process
        finally:
            process.kill()


def answers(port: int) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            f"http://127.0.0.1:{port}/", timeout=5
        ):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return error.code < 500
    except OSError:
        return False


def wait_until(holds: object, seconds: float = PATIENCE_SECONDS) -> None:
    assert callable(holds)
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def descendants(pid: int) -> list[int]:
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [found for child in children for found in descendants(child)]


def alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks at Linux’s /proc")


@needs_proc
def test_serve_answers_restarts_a_dead_child_and_leaves_none_behind(fresh: Kvit) -> None:
    port = free_port()
    with serving(fresh, port) as process:
        before = descendants(process.pid)
        assert len(before) >= 3
        taken = fresh.run("web", "--port", str(port))
        assert taken.code == 1
        assert f"port {port}" in taken.sentence()
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: not answers(port) or not alive(before[0]))
        wait_until(lambda: answers(port) and before[0] not in descendants(process.pid))
        now = descendants(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert not any(alive(pid) for pid in {*before, *now})


@needs_proc
def test_children_do_not_outlive_a_killed_serve(fresh: Kvit) -> None:
    with serving(fresh, free_port()) as process:
        children = descendants(process.pid)
        process.kill()
        process.wait()
        wait_until(lambda: not any(alive(pid) for pid in children))


def test_production_pages_wait_for_migrations(fresh: Kvit) -> None:
    production = Kvit(
        fresh.folder,
        {
            **fresh.env,
            "KVIT_ENV": "production",
            "KVIT_SECRET_KEY": "x" * 50,
            "KVIT_ALLOWED_HOSTS": "kvit.example",
            "KVIT_MASTER_KEY": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoxMjM0NTY=",
        },
    )
    answer = production.run("web", "--port", str(free_port()))
    assert answer.code == 1
    assert "kvit migrate" in answer.sentence()
