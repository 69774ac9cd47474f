from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection as database

from kvit.kernel.errors import RateLimited
from kvit.plugin import Gate, Secret
from kvit.sync.configuring import Values
from kvit.sync.connections import client_for
from kvit.sync.gates import DatabaseTurnstile
from kvit.sync.models import GateTurn
from tests.banks.fio import ROOT, TOKEN, FioBank
from tests.sync.installation import Installation, today

pytestmark = pytest.mark.django_db(transaction=True)

BANK_SECONDS = 0.15
GATE = Gate(key=Secret(TOKEN), seconds=0.2)
"""A little more than the bank asks for, as with the real one."""

ASKING = """
import sys
from kvit.cli import database
database.set_up(quiet=True)
from tests.sync.test_gates import ask
ask(sys.argv[1], int(sys.argv[2]))
print("done", flush=True)
"""
RESERVING = """
import sys, time
from kvit.cli import database
database.set_up(quiet=True)
from datetime import timedelta
from kvit.plugin import Gate, Secret
from kvit.sync.gates import DatabaseTurnstile
DatabaseTurnstile(patience=timedelta(0)).enter(Gate(key=Secret(sys.argv[1]), seconds=float(sys.argv[2])))
print("reserved", flush=True)
time.sleep(60)
"""


def ask(base_url: str, times: int) -> None:
    """Ask the bank through the engine's client, as a plugin would."""
    turnstile = DatabaseTurnstile(patience=timedelta(seconds=30))
    url = f"{base_url}periods/{TOKEN}/{today()}/{today()}/transactions.json"
    with client_for(Values({}, {"api_token": Secret(TOKEN)}), turnstile) as http:
        for _ in range(times):
            assert http.get(url, gate=GATE).status_code == 200


def start(installation: Installation, program: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *words],
        env=installation.kvit.environment(),
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def answers(processes: Sequence[subprocess.Popen[str]]) -> list[str]:
    said = [process.communicate(timeout=40)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return said


def test_threads_and_processes_share_a_gate(bank: FioBank, installation: Installation) -> None:
    bank.change(interval_seconds=BANK_SECONDS)

    def in_a_thread(_number: int) -> None:
        try:
            ask(bank.base_url, 4)
        finally:
            database.close()

    processes = [start(installation, ASKING, bank.base_url, "6") for _ in range(2)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(in_a_thread, range(3)))
    assert answers(processes) == ["done", "done"]
    state = bank.state()
    assert (len(state.requests), state.violations) == (3 * 4 + 2 * 6, 0)
    assert {request.status for request in state.requests} == {200}


def test_a_turn_reserved_by_a_killed_process_still_counts(installation: Installation) -> None:
    seconds = 3.0
    gate = Gate(key=Secret(TOKEN), seconds=seconds)
    with start(installation, RESERVING, TOKEN, str(seconds)) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "reserved"
        reserved_at = time.monotonic()
        process.kill()
    hasty = DatabaseTurnstile(patience=timedelta(seconds=0.1))
    with pytest.raises(RateLimited):
        hasty.enter(gate)
    waits = 0

    def count() -> None:
        nonlocal waits
        waits += 1

    DatabaseTurnstile(patience=timedelta(seconds=10), while_waiting=count).enter(gate)
    assert time.monotonic() - reserved_at > seconds - 0.5
    assert waits >= 1


def test_who_cannot_wait_is_told_when_the_gate_opens() -> None:
    slow = Gate(key=Secret(TOKEN), seconds=31)
    DatabaseTurnstile(patience=timedelta(0)).enter(slow)
    with pytest.raises(RateLimited) as caught:
        DatabaseTurnstile(patience=timedelta(seconds=20)).enter(slow)
    turn = GateTurn.objects.get()
    assert caught.value.retry_after == turn.opens_at
    assert "one request every 31 seconds" in str(caught.value)


def test_two_tokens_do_not_wait_for_each_other_and_no_token_is_stored() -> None:
    turnstile = DatabaseTurnstile(patience=timedelta(0))
    turnstile.enter(Gate(key=Secret(TOKEN), seconds=31))
    turnstile.enter(Gate(key=Secret(TOKEN[::-1]), seconds=31))
    digests = [turn.key_digest for turn in GateTurn.objects.all()]
    assert len(digests) == 2
    assert not any(TOKEN in digest for digest in digests)


def test_of_many_at_an_open_gate_one_enters() -> None:
    together = threading.Barrier(6)

    def enter(_number: int) -> bool:
        try:
            together.wait()
            DatabaseTurnstile(patience=timedelta(0)).enter(Gate(key=Secret(TOKEN), seconds=31))
        except RateLimited:
            return False
        else:
            return True
        finally:
            database.close()

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(enter, range(6))) == 1


def test_the_interval_is_counted_from_the_end_of_a_request() -> None:
    gate = Gate(key=Secret(TOKEN), seconds=31)
    turnstile = DatabaseTurnstile(patience=timedelta(0))
    turnstile.enter(gate)
    at_first = GateTurn.objects.get().opens_at
    turnstile.leave(gate)
    assert GateTurn.objects.get().opens_at > at_first
