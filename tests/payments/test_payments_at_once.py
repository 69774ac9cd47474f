from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest
from django.db import connection as database
from django.utils import timezone

from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM
from kvit.kernel.errors import Refused, Stale
from kvit.payments import batching, orders, recognising, refunds, resolving, sending
from kvit.payments.models import PaymentBatch, PaymentOrder
from kvit.sync.models import PluginConfiguration
from tests.commands import ROOT
from tests.factories import a_payment, an_account
from tests.payments import paper_bank
from tests.payments.paper_bank import NUMBER, PaperBank
from tests.payments.paying import (
    SUPPLIER,
    a_batch,
    a_sent_batch,
    an_expense,
    an_order,
    states,
    today,
)
from tests.sync.installation import Installation, installation_at

WORKER = """
import sys
from kvit.cli import database
database.set_up(quiet=True)
from tests.payments import paper_bank
paper_bank.install()
from django.utils import timezone
from kvit.payments import sending
sys.stdin.readline()
"""
ONCE = WORKER + "print(sending.send_due(timezone.now()), flush=True)"
"""The chore of a worker in a process of its own, which begins when it is told to."""
ON_AND_ON = WORKER + "while True: sending.send_due(timezone.now())"


@pytest.fixture
def installation(tmp_path: Path, transactional_db: None) -> Installation:
    return installation_at(tmp_path)


@contextmanager
def a_worker(installation: Installation, work: str = ONCE) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", work],
        env=installation.kvit.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def begin(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def at_once(acts: Sequence[Callable[[], object]]) -> Counter[str]:
    """Do these at once, each in a thread of its own; count what came of them by the names of errors."""
    together = Barrier(len(acts))

    def do(act: Callable[[], object]) -> str:
        try:
            together.wait()
            act()
        except (Stale, Refused) as error:
            return type(error).__name__
        else:
            return "done"
        finally:
            database.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return Counter(pool.map(do, acts))


def test_a_worker_killed_between_request_and_answer_leaves_one_request_and_an_unknown_batch(
    connection: PluginConfiguration, paper: PaperBank, installation: Installation
) -> None:
    paper.behaviour = paper_bank.held_back
    batch = a_batch(connection)
    with a_worker(installation) as process:
        begin(process)
        assert paper.arrived.wait(40)
        process.kill()
        process.wait()
    assert states(batch) == ("sending", ["in_batch"])
    paper.behaviour = paper_bank.accepting
    paper.may_answer.set()
    with a_worker(installation) as process:
        assert process.communicate("go\n", 40)[0] == "0\n"
    assert states(batch) == ("sending", ["in_batch"])
    sending.send_due(timezone.now() + sending.LEASE + timedelta(seconds=1))
    assert states(batch) == ("unknown", ["in_batch"])
    sending.send_due(timezone.now() + timedelta(days=30))
    assert states(batch) == ("unknown", ["in_batch"])
    assert len(paper.received) == len(paper.batches) == 1


@pytest.mark.parametrize("kills", [4, pytest.param(100, marks=pytest.mark.soak)])
def test_kills_at_any_moment_send_nothing_twice(
    connection: PluginConfiguration, paper: PaperBank, installation: Installation, kills: int
) -> None:
    seed = int(os.environ.get("KVIT_TEST_SEED", "") or random.SystemRandom().randrange(10**6))
    print(f"KVIT_TEST_SEED={seed}")  # noqa: T201  # shown where the test fails
    dice = random.Random(seed)

    def slow(bank: PaperBank, body: bytes) -> paper_bank.Answer:
        time.sleep(dice.uniform(0, 0.1))
        return paper_bank.accepting(bank, body)

    paper.behaviour = slow
    batches = [a_batch(connection) for _ in range(8 * kills)]
    for _ in range(kills):
        paper.arrived.clear()
        with a_worker(installation, ON_AND_ON) as process:
            begin(process)
            paper.arrived.wait(40)
            time.sleep(dice.uniform(0, 0.25))
            process.kill()
            process.wait()
    left = PaymentBatch.objects.filter(state=PaymentBatch.State.SENDING).count()
    while PaymentBatch.objects.filter(state__in=("waiting", "sending")).exists():
        sending.send_due(timezone.now() + sending.LEASE + timedelta(seconds=1))
    received = Counter(paper.keys)
    assert set(received.values()) == {1}
    ended = Counter(states(batch)[0] for batch in batches)
    assert ended == Counter({"accepted": len(batches) - left, "unknown": left})
    assert all(received[batch.key] == 1 for batch in batches if states(batch)[0] == "accepted")


def test_a_worker_killed_before_it_was_told_of_the_bank_leaves_no_request(
    connection: PluginConfiguration, paper: PaperBank, installation: Installation
) -> None:
    batch = a_batch(connection)
    with a_worker(installation) as process:
        process.kill()
        process.wait()
    assert states(batch) == ("waiting", ["in_batch"])
    assert sending.send_due(timezone.now()) == 1
    assert len(paper.received) == 1


def test_processes_and_threads_at_once_send_each_batch_once(
    connection: PluginConfiguration, paper: PaperBank, installation: Installation
) -> None:
    batches = [a_batch(connection) for _ in range(8)]
    with a_worker(installation) as one, a_worker(installation) as other, ThreadPoolExecutor(2) as pool:
        ends = [pool.submit(process.communicate, "go\n", 60) for process in (one, other)]
        at_once([lambda: sending.send_due(timezone.now())] * 3)
        counts = [int(end.result()[0]) for end in ends]
    assert sum(counts) <= len(batches)
    assert sorted(paper.keys) == sorted(batch.key for batch in batches)
    assert sorted(paper.batches) == sorted(batching.file_of(batch).data for batch in batches)
    assert {states(batch)[0] for batch in batches} == {"accepted"}
    claims = AuditEntry.objects.filter(table="payments_paymentbatch", after__state="sending")
    assert claims.count() == len(batches)


def test_one_order_is_put_into_one_batch_however_many_ask_at_once(connection: PluginConfiguration) -> None:
    order = an_order(connection.organization)

    def put() -> None:
        row = PaymentOrder.objects.get(pk=order.pk)
        batching.make_batch(connection, [row], actor=SYSTEM)

    assert at_once([put] * 4) == {"done": 1, "Stale": 3}
    assert PaymentBatch.objects.count() == 1


def test_of_two_people_who_say_the_opposite_one_is_told_to_look_again(
    connection: PluginConfiguration, paper: PaperBank
) -> None:
    paper.behaviour = paper_bank.falling_silent
    for _ in range(4):
        batch = a_sent_batch(connection)
        said = at_once(
            [
                lambda batch=batch: resolving.bank_has_it(  # type: ignore[misc]
                    PaymentBatch.objects.get(pk=batch.pk), actor=SYSTEM
                ),
                lambda batch=batch: resolving.bank_does_not_have_it(  # type: ignore[misc]
                    PaymentBatch.objects.get(pk=batch.pk), actor=SYSTEM
                ),
            ]
        )
        assert said == {"done": 1, "Stale": 1}
        assert states(batch) in [("accepted", ["handed_over"]), ("refused", ["draft"])]


def test_a_batch_is_withdrawn_or_sent_and_never_both(
    connection: PluginConfiguration, paper: PaperBank
) -> None:
    for _ in range(4):
        batch = a_batch(connection)
        row = PaymentBatch.objects.get(pk=batch.pk)
        sent_before = len(paper.received)
        at_once(
            [
                lambda: sending.send_due(timezone.now()),
                lambda row=row: batching.withdraw(row, actor=SYSTEM),  # type: ignore[misc]
            ]
        )
        sent = len(paper.received) - sent_before
        assert (sent, *states(batch)) in [
            (1, "accepted", ["handed_over"]),
            (0, "withdrawn", ["draft"]),
        ]


def test_refunds_at_once_give_back_no_more_than_is_left(connection: PluginConfiguration) -> None:
    account = an_account(connection.organization, NUMBER)
    payment = a_payment(account, "1000.00 CZK", counterparty_account=SUPPLIER)
    proposed = [refunds.refund_of(payment, today()) for _ in range(4)]
    for order in proposed:
        order.amount_minor = 40_000
    done = at_once([lambda order=order: orders.draft(order, actor=SYSTEM) for order in proposed])  # type: ignore[misc]
    assert done == {"done": 2, "Refused": 2}
    assert refunds.left_of(payment).minor == 20_000


def test_looking_for_executed_orders_at_once_links_each_once(connection: PluginConfiguration) -> None:
    drafts = [an_order(connection.organization, variable_symbol=f"{number}") for number in range(1, 9)]
    a_sent_batch(connection, *drafts)
    for order in drafts:
        an_expense(order)
    at_once([lambda: recognising.recognise(connection.organization)] * 3)
    recognising.recognise(connection.organization)
    rows = PaymentOrder.objects.all()
    assert {row.state for row in rows} == {"executed"}
    assert len({row.executed_by_id for row in rows}) == len(drafts)
    executed = AuditEntry.objects.filter(table="payments_paymentorder", after__state="executed")
    assert executed.count() == len(drafts)
