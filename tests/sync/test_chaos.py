"""Sixty runs, eight workers and everything that goes wrong at once: in the end the ledger is exact."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date

import pytest

from kvit.audit.models import AuditEntry
from kvit.audit.verifying import verify
from kvit.ledger.models import MoneyTransaction, PossibleDuplicate, TransactionConflict
from kvit.sync.models import PluginConfiguration, QuarantinedRecord, SyncHistory
from kvit.users.models import Organization
from tests.banks.fio import Account, Fault, FioBank, generated
from tests.factories import an_organization
from tests.sync.installation import (
    Installation,
    Worker,
    a_connection,
    a_token,
    change_settings,
    installation_at,
    requested,
    stored,
    today,
    told,
    wait_until,
)

pytestmark = [pytest.mark.soak, pytest.mark.django_db(transaction=True)]

LEASE_SECONDS = 3
BANK_SECONDS, OUR_SECONDS = 3.0, 4.0
"""The bank's interval between two uses of a token and ours, a second apart as 30 and 31 are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    connections: int
    movements: int
    workers: int
    kills: int


SMALL = Size(connections=4, movements=60, workers=2, kills=3)
WHOLE = Size(connections=60, movements=500, workers=8, kills=45)


@pytest.mark.parametrize("size", [SMALL, WHOLE], ids=["small", "whole"])
def test_chaos_loses_doubles_and_alters_nothing(
    bank: FioBank, tmp_path_factory: pytest.TempPathFactory, size: Size
) -> None:
    seed = int(os.environ.get("KVIT_TEST_SEED", "") or random.SystemRandom().randrange(10**6))
    print(f"KVIT_TEST_SEED={seed}")  # noqa: T201  # shown where the test fails
    organization = an_organization()
    connections = connected(organization, bank, size, seed)
    installation = installation_at(tmp_path_factory.mktemp("chaos"), KVIT_LEASE_SECONDS=str(LEASE_SECONDS))
    for connection in connections:
        requested(connection)
    with ExitStack() as stack:
        storm = Storm(bank, installation, stack, random.Random(seed), size)
        storm.rage()
        print(f"killed {storm.kills}, paused {storm.pauses}, faults {dict(storm.faults)}")  # noqa: T201
        storm.calm_down()
        finish(connections)
    assert storm.kills >= size.kills
    assert_exact(organization, bank, size)
    assert_no_run_ended_twice(installation)


def connected(organization: Organization, bank: FioBank, size: Size, seed: int) -> list[PluginConfiguration]:
    """One account a connection, each with a token of its own; answers hold a third of what there is."""
    accounts = [
        Account(
            number=f"{2_000_000_000 + number}",
            tokens=[a_token(number)],
            movements=generated(
                seed=seed + number,
                count=size.movements,
                last_day=today(),
                days=80,
                first_id=26_000_000_001 + number * 10_000,
            ),
        )
        for number in range(size.connections)
    ]
    bank.load(*accounts, today=today(), interval_seconds=0)
    connections = [
        a_connection(organization, bank, name=f"Fio {number}", token=a_token(number))
        for number in range(size.connections)
    ]
    for connection in connections:
        change_settings(connection, token_interval_seconds=OUR_SECONDS)
    bank.change(interval_seconds=BANK_SECONDS, largest_answer=max(size.movements // 3, busiest_day(accounts)))
    return connections


def busiest_day(accounts: list[Account]) -> int:
    """The most movements of one day and account: the bank must be able to tell one day."""
    days: Counter[tuple[str, date]] = Counter(
        (account.number, movement.booked_on) for account in accounts for movement in account.movements
    )
    return max(days.values())


@dataclass(slots=True)
class Storm:
    """Workers, and what befalls them and the bank."""

    bank: FioBank
    installation: Installation
    stack: ExitStack
    dice: random.Random
    size: Size
    workers: list[Worker] = field(default_factory=list)
    kills: int = 0
    pauses: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def rage(self) -> None:
        """Kill, pause and spoil until there were enough kills, also when all runs have ended before."""
        self.workers = [self._worker() for _ in range(self.size.workers)]
        wait_until(lambda: all(worker.events("worker.started") for worker in self.workers))
        while self.kills < self.size.kills:
            self._spoil()
            if self.dice.random() < 0.15:
                self._pause()
            self._kill()
            time.sleep(self.dice.uniform(0.2, 1.5))

    def calm_down(self) -> None:
        """Let everything that is left behind be finished in peace."""
        self.bank.recover()
        wait_until(lambda: not SyncHistory.objects.active().exists(), seconds=600)

    def _worker(self) -> Worker:
        return self.stack.enter_context(self.installation.worker())

    def _kill(self) -> None:
        place = self.dice.randrange(len(self.workers))
        self.workers[place].kill()
        self.workers[place] = self._worker()
        self.kills += 1

    def _pause(self) -> None:
        """Stop a worker for longer than its lease; it wakes up in the middle of what it was doing."""
        worker = self.dice.choice(self.workers)
        worker.pause()
        time.sleep(LEASE_SECONDS + self.dice.uniform(0.5, 2))
        worker.go_on()
        self.pauses += 1

    def _spoil(self) -> None:
        fault = self.dice.choice(
            [
                Fault(kind="reset"),
                Fault(kind="cut"),
                Fault(kind="cut_json"),
                Fault(kind="slow", seconds=self.dice.uniform(0.5, LEASE_SECONDS + 2)),
                Fault(kind="answer", status=409, body=""),
                Fault(kind="answer", status=500, body="<html>Error</html>", content_type="text/html"),
                Fault(kind="answer", status=200, body="<html>Maintenance</html>", content_type="text/html"),
            ]
        )
        self.faults[f"{fault.kind} {fault.status if fault.kind == 'answer' else ''}".strip()] += 1
        self.bank.fail(fault)


def finish(connections: list[PluginConfiguration]) -> None:
    """Sync again whatever failed, as its owner would; the runs that failed stay readable."""
    for _ in range(3):
        failed = [one for one in connections if not one.runs.filter(status="completed").exists()]
        for connection in failed:
            requested(connection)
        wait_until(lambda: not SyncHistory.objects.active().exists(), seconds=600)


def assert_exact(organization: Organization, bank: FioBank, size: Size) -> None:
    listed = told(bank.movements())
    assert len(listed) == size.connections * size.movements
    assert stored(organization) == listed
    created = AuditEntry.objects.filter(table="ledger_moneytransaction", action="created")
    assert created.count() == len(listed)
    assert created.values("object_id").distinct().count() == len(listed)
    changes = AuditEntry.objects.filter(table="ledger_moneytransaction").exclude(action="created")
    assert not changes.exists(), "nothing was told differently"
    assert sum(SyncHistory.objects.values_list("created", flat=True)) == len(listed)
    for model in (TransactionConflict, PossibleDuplicate, QuarantinedRecord):
        assert not model._default_manager.exists()
    assert set(MoneyTransaction.objects.values_list("status", flat=True)) == {"booked"}
    ended = SyncHistory.objects.values_list("status", "finished_at", "lease_until", "worker")
    assert {row[0] for row in ended} <= {"completed", "failed"}
    assert all(finished and lease is None and worker == "" for _, finished, lease, worker in ended)
    assert bank.state().violations == 0
    assert not verify().faults


def assert_no_run_ended_twice(installation: Installation) -> None:
    ends = Counter(event["run"] for event in installation.events("run.ended"))
    assert ends, "the log tells of every end"
    assert {run: times for run, times in ends.items() if times > 1} == {}
