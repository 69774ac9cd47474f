from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection as database
from django.utils import timezone

from kvit import pipeline
from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM
from kvit.invoices.models import Invoice, Settlement
from kvit.kernel.errors import Stale
from kvit.ledger.models import MoneyTransaction
from kvit.matching.models import Decision
from kvit.matching.reconcile import reconcile
from kvit.sync.models import PluginConfiguration, SyncHistory
from tests.banks.fio import ROOT, Account, FioBank, generated
from tests.factories import TODAY, a_client, a_draft, a_payment, an_account, an_invoice, an_organization
from tests.sync.installation import (
    Installation,
    a_connection,
    a_token,
    movement,
    requested,
    stored,
    today,
    told,
    wait_until,
)

pytestmark = pytest.mark.django_db(transaction=True)

ISSUING = """
import sys
from kvit.cli import database
database.set_up(quiet=True)
from tests.sync.test_two_workers import issue_all
sys.stdin.readline()
print(issue_all([int(pk) for pk in sys.argv[1:]]), flush=True)
"""


def test_two_workers_double_nothing(bank: FioBank, installation: Installation) -> None:
    """Four accounts, three rounds of runs each, by hand and by schedule, all in one organization."""
    accounts = [
        Account(
            number=f"290012345{number}",
            tokens=[a_token(number)],
            movements=[
                *generated(seed=number, count=120, last_day=today(), days=60),
                *(
                    movement(30_000 + payment, "500.00", variable_symbol=f"{number}000{payment}")
                    for payment in range(5)
                ),
            ],
        )
        for number in range(1, 5)
    ]
    bank.load(*accounts, today=today(), interval_seconds=0)
    organization = an_organization()
    client = a_client(organization)
    for number in range(1, 5):
        for payment in range(5):
            an_invoice(client, "500.00 CZK", symbol=f"{number}000{payment}")
    connections = [
        a_connection(organization, bank, name=f"Fio {number}", token=a_token(number))
        for number in range(1, 5)
    ]
    with installation.worker() as one, installation.worker() as other:
        for _ in range(3):
            PluginConfiguration.objects.update(next_run_at=timezone.now())
            for connection in connections:
                requested(connection)
            wait_until(lambda: not SyncHistory.objects.active().exists())
        wait_until(lambda: not Invoice.objects.open().exists())
        assert (one.stop(), other.stop()) == (0, 0)
    assert "worker.stumbled" not in installation.logs()
    assert {run.status for run in SyncHistory.objects.all()} == {"completed"}
    assert sum(run.created for run in SyncHistory.objects.all()) == 4 * 125
    assert stored(organization) == told(bank.movements())
    audited = AuditEntry.objects.filter(table="ledger_moneytransaction", action="created")
    assert audited.count() == 4 * 125
    assert Settlement.objects.count() == 4 * 5
    assert set(Invoice.objects.values_list("state", "settled_minor")) == {("paid", 50_000)}
    current = Decision.objects.current().values_list("transaction", flat=True)
    assert len(current) == len(set(current)) == MoneyTransaction.objects.filter(type="income").count()


def issue_all(pks: list[int]) -> int:
    """Issue these drafts and return how many of them this process was first at."""
    issued = 0
    for pk in pks:
        try:
            pipeline.issue(Invoice.objects.get(pk=pk), TODAY, actor=SYSTEM)
            issued += 1
        except Stale:
            continue
    return issued


def test_numbers_issued_by_processes_and_threads_at_once_have_no_gap_and_no_double(
    installation: Installation,
) -> None:
    client = a_client(an_organization())
    pks = [a_draft(client, "100.00 CZK", symbol=f"{number + 1}").pk for number in range(24)]
    together = Barrier(2)

    def in_a_thread(reverse: bool) -> int:
        try:
            together.wait()
            return issue_all(pks[::-1] if reverse else pks)
        finally:
            database.close()

    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ISSUING, *map(str, order)],
            env=installation.kvit.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for order in (pks[12:] + pks[:12], pks[6:] + pks[:6])
    ]
    with ThreadPoolExecutor(4) as pool:
        ends = [pool.submit(process.communicate, "go\n", 40) for process in processes]
        issued = sum(pool.map(in_a_thread, (False, True)))
        issued += sum(int(end.result()[0]) for end in ends)
    assert [process.returncode for process in processes] == [0, 0]
    assert issued == len(pks)
    numbers = sorted(Invoice.objects.values_list("number", flat=True))
    assert numbers == [f"{TODAY.year}-{number:03d}" for number in range(1, len(pks) + 1)]


def test_matching_at_once_settles_each_invoice_once() -> None:
    organization = an_organization()
    account, client = an_account(organization), a_client(organization)
    for number in range(12):
        an_invoice(client, symbol=f"{number + 1}", due_on=TODAY + timedelta(days=number))
        a_payment(account, variable_symbol=f"{number + 1}")
        a_payment(account, variable_symbol=f"{number + 1}")
    together = Barrier(4)

    def act(_number: int) -> int:
        try:
            together.wait()
            return reconcile(organization).settled
        finally:
            database.close()

    with ThreadPoolExecutor(4) as pool:
        settled = sum(pool.map(act, range(4)))
    settled += reconcile(organization).settled
    assert settled == Settlement.objects.count() == 12
    assert set(Invoice.objects.values_list("state", "settled_minor")) == {("paid", 121_000)}
    used = MoneyTransaction.objects.filter(settled_minor__gt=0)
    assert {row.settled_minor for row in used} == {121_000}
    assert used.count() == 12
