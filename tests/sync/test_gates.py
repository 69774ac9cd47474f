from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection as database
from django.utils import timezone

from kvit.kernel.errors import RateLimited
from kvit.plugin import Gate, Secret
from kvit.sync.configuring import Values
from kvit.sync.connections import client_for
from kvit.sync.gates import DatabaseTurn, DatabaseTurnstile
from kvit.sync.models import GateTurn
from tests.banks.fio import ROOT, TOKEN, FioBank
from tests.sync.installation import Installation, today, wait_until
from tests.sync.invented import Scripted

pytestmark = pytest.mark.django_db(transaction=True)

BANK_SECONDS = 0.15
GATE = Gate(key=Secret(TOKEN), seconds=0.2)
"""A little more than the bank asks for, as with the real one."""
SLOW = Gate(key=Secret(TOKEN), seconds=31)

ASKING = """
import sys
from kvit.cli import database
database.set_up(quiet=True)
from tests.sync.test_gates import ask
ask(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
print("done", flush=True)
"""
RESERVING = """
import sys, time
from kvit.cli import database
database.set_up(quiet=True)
from kvit.plugin import Gate, Secret
from tests.sync.test_gates import enter
enter(Gate(key=Secret(sys.argv[1]), seconds=float(sys.argv[2])))
print("reserved", flush=True)
time.sleep(60)
"""


def ask(base_url: str, times: int, seconds: float) -> None:
    """Ask the bank through the engine's client, as a plugin would."""
    turnstile = DatabaseTurnstile(patience=timedelta(seconds=60))
    url = f"{base_url}periods/{TOKEN}/{today()}/{today()}/transactions.json"
    values = Values({"base_url": base_url}, {"api_token": Secret(TOKEN)})
    with client_for(Scripted, values, turnstile=turnstile) as http:
        for _ in range(times):
            assert http.get(url, gate=Gate(key=Secret(TOKEN), seconds=seconds)).status_code == 200


def enter(
    gate: Gate, *, patience: float = 0, while_waiting: Callable[[], None] = lambda: None
) -> DatabaseTurn:
    """Wait for a turn and take it, as a request does."""
    turnstile = DatabaseTurnstile(patience=timedelta(seconds=patience), while_waiting=while_waiting)
    turn = turnstile.turn(gate)
    turn.wait()
    while not turn.take():
        turn.wait()
    return turn


def start(installation: Installation, program: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *words],
        env=installation.kvit.environment(),
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def answers(processes: Sequence[subprocess.Popen[str]]) -> list[str]:
    said = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return said


def closed_for(gate_count: int = 1) -> float:
    """For how many seconds the only gate stays closed."""
    turns = GateTurn.objects.all()
    assert len(turns) == gate_count
    return (turns[0].opens_at - timezone.now()).total_seconds()


def test_threads_and_processes_share_a_gate(bank: FioBank, installation: Installation) -> None:
    bank.change(interval_seconds=BANK_SECONDS)

    def in_a_thread(_number: int) -> None:
        try:
            ask(bank.base_url, 4, GATE.seconds)
        finally:
            database.close()

    processes = [start(installation, ASKING, bank.base_url, "6", str(GATE.seconds)) for _ in range(2)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(in_a_thread, range(3)))
    assert answers(processes) == ["done", "done"]
    state = bank.state()
    assert (len(state.requests), state.violations) == (3 * 4 + 2 * 6, 0)
    assert {request.status for request in state.requests} == {200}


@pytest.mark.parametrize(("stops", "kills"), [(5, 2), pytest.param(40, 20, marks=pytest.mark.soak)])
def test_processes_killed_and_stopped_at_random_never_break_the_interval(
    bank: FioBank, installation: Installation, stops: int, kills: int
) -> None:
    """Stopped longer than the interval: who reserved before the stop must not send after it."""
    bank.change(interval_seconds=0.3)
    seconds = "0.35"
    stopped = [start(installation, ASKING, bank.base_url, "1000", seconds) for _ in range(2)]
    wait_until(lambda: len(bank.state().requests) >= 3)
    for round_ in range(stops):
        process = stopped[round_ % 2]
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(0.6 + 0.037 * (round_ % 8))
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(0.11 * (round_ % 3))
    for _ in range(kills):
        killed = start(installation, ASKING, bank.base_url, "100", seconds)
        before = len(bank.state().requests)
        wait_until(lambda before=before: len(bank.state().requests) > before + 2)  # type: ignore[misc]  # a closure over the loop's value
        killed.kill()
        killed.communicate()
    for process in stopped:
        process.kill()
        process.communicate()
    state = bank.state()
    assert len(state.requests) > stops + 2 * kills
    assert state.violations == 0


def test_a_turn_reserved_by_a_killed_process_still_counts(installation: Installation) -> None:
    seconds = 3.0
    gate = Gate(key=Secret(TOKEN), seconds=seconds)
    with start(installation, RESERVING, TOKEN, str(seconds)) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "reserved"
        reserved_at = time.monotonic()
        process.kill()
    with pytest.raises(RateLimited):
        enter(gate, patience=0.1)
    waits = 0

    def count() -> None:
        nonlocal waits
        waits += 1

    enter(gate, patience=10, while_waiting=count)
    assert time.monotonic() - reserved_at > seconds
    assert waits >= 1


def test_a_turn_that_nobody_ended_stays_closed_a_little_longer_than_the_interval() -> None:
    turn = enter(SLOW)
    assert 35 < closed_for() <= 36
    turn.end()
    assert 30 < closed_for() <= 31


def test_the_interval_is_counted_from_the_end_of_a_request() -> None:
    gate = Gate(key=Secret(TOKEN), seconds=2)
    turn = enter(gate)
    time.sleep(0.5)
    turn.end()
    assert closed_for() > 1.9


def test_who_cannot_wait_is_told_when_the_gate_opens() -> None:
    enter(SLOW)
    with pytest.raises(RateLimited) as caught:
        enter(SLOW, patience=20)
    told = caught.value.retry_at(timezone.now())
    assert abs(told - GateTurn.objects.get().opens_at) < timedelta(seconds=1)
    assert "one request every 31 seconds" in str(caught.value)


def test_two_tokens_do_not_wait_for_each_other_and_no_token_is_stored() -> None:
    enter(SLOW)
    enter(Gate(key=Secret(TOKEN[::-1]), seconds=31))
    digests = [turn.key_digest for turn in GateTurn.objects.all()]
    assert len(digests) == 2
    assert not any(TOKEN in digest for digest in digests)


@pytest.mark.parametrize("is_new", [True, False])
def test_of_many_at_an_open_gate_one_enters(is_new: bool) -> None:
    if not is_new:
        enter(SLOW)
        GateTurn.objects.update(opens_at=timezone.now() - timedelta(seconds=1))
    together = threading.Barrier(6)

    def try_it(_number: int) -> bool:
        turn = DatabaseTurnstile(patience=timedelta(0)).turn(SLOW)
        try:
            turn.wait()
            together.wait()
            return turn.take()
        finally:
            database.close()

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(try_it, range(6))) == 1


def test_a_late_end_does_not_shorten_the_turn_of_another() -> None:
    late = enter(SLOW)
    GateTurn.objects.update(opens_at=timezone.now() - timedelta(seconds=1))
    enter(SLOW)
    late.end()
    assert closed_for() > 35


def test_the_end_of_a_turn_never_taken_changes_nothing() -> None:
    enter(SLOW)
    turn = DatabaseTurnstile(patience=timedelta(0)).turn(SLOW)
    assert not turn.take()
    at_first = GateTurn.objects.get().opens_at
    turn.end()
    assert GateTurn.objects.get().opens_at == at_first


def test_a_clock_set_back_closes_a_gate_for_one_interval_and_no_longer() -> None:
    enter(SLOW)
    GateTurn.objects.update(opens_at=timezone.now() + timedelta(days=300))
    with pytest.raises(RateLimited) as caught:
        enter(SLOW)
    assert caught.value.retry_at(timezone.now()) - timezone.now() < timedelta(seconds=37)
    assert 35 < closed_for() <= 36


def test_a_process_held_up_right_after_its_reservation_reserves_again(installation: Installation) -> None:
    """The stop falls at the commit of the reservation; another one has its turn meanwhile."""
    program = """
import os, signal, sys
from kvit.cli import database
database.set_up(quiet=True)
from datetime import timedelta
from django.db import connection, transaction
from kvit.plugin import Gate, Secret
from kvit.sync.gates import DatabaseTurnstile
turn = DatabaseTurnstile(patience=timedelta(seconds=30)).turn(Gate(key=Secret(sys.argv[1]), seconds=2))
turn.wait()
stops = []
def stop_after_the_reservation(execute, sql, params, many, context):
    result = execute(sql, params, many, context)
    if sql.startswith("UPDATE") and not stops:
        stops.append(sql)
        print("reserved", flush=True)
        transaction.on_commit(lambda: os.kill(os.getpid(), signal.SIGSTOP))
    return result
with connection.execute_wrapper(stop_after_the_reservation):
    print("taken" if turn.take() else "lost", flush=True)
"""
    gate = Gate(key=Secret(TOKEN), seconds=2)
    with start(installation, program, TOKEN) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "reserved"
        time.sleep(3.5)
        enter(gate)
        os.kill(process.pid, signal.SIGCONT)
        assert process.stdout.readline().strip() == "lost"
