"""A worker is killed again and again at random moments; in the end nothing is lost, doubled or altered."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import Count, Sum
from django.utils import timezone

from kvit.audit.models import AuditEntry
from kvit.invoices.models import Invoice, Settlement
from kvit.ledger.models import MoneyTransaction
from kvit.matching.models import Decision
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.users.models import Organization
from tests.banks.fio import Fault, FioBank, Movement, generated
from tests.factories import a_client, an_invoice, an_organization
from tests.sync.installation import (
    Installation,
    Worker,
    a_connection,
    change_settings,
    movement,
    requested,
    stored,
    today,
    told,
    wait_until,
)

pytestmark = pytest.mark.django_db(transaction=True)

EARLY = 640
CHUNK = 40
INVOICES = 20


@pytest.mark.parametrize("kills", [8, pytest.param(150, marks=pytest.mark.soak)])
def test_kills_lose_double_and_alter_nothing(bank: FioBank, installation: Installation, kills: int) -> None:
    seed = int(os.environ.get("KVIT_TEST_SEED", "") or random.SystemRandom().randrange(10**6))
    print(f"KVIT_TEST_SEED={seed}")  # noqa: T201  # shown where the test fails
    dice = random.Random(seed)
    organization = an_organization()
    chunks = movements_in_chunks(seed, kills)
    connection = slowed_connection(organization, bank, kills)
    client = a_client(organization)
    for number in range(INVOICES):
        an_invoice(client, "1210.00 CZK", symbol=f"{777_000 + number}")
    landed: Counter[str] = Counter()
    for number in range(kills):
        bank.add(*chunks[number])
        bank.fail(*[Fault(kind="slow", seconds=dice.uniform(0, 0.1)) for _ in range(4)])
        requested(connection)
        with installation.worker() as worker:
            wait_for_moment(dice.choice(MOMENTS), dice, connection, worker)
            worker.kill()
        landed[phase(connection)] += 1
    print(f"kills landed: {dict(landed)}")  # noqa: T201
    bank.add(*chunks[kills])
    finish(connection, installation)
    assert landed["running"] >= kills // 4
    assert_nothing_lost_or_doubled(organization, bank, at_least=EARLY + kills * CHUNK)
    assert_settled_at_most_once(organization)


def movements_in_chunks(seed: int, kills: int) -> list[list[Movement]]:
    """The history first, then what is booked while the worker is being killed; some of it pays invoices."""
    early = generated(seed=seed, count=EARLY, last_day=today() - timedelta(days=10), days=70)
    late = generated(seed=seed + 1, count=kills * CHUNK, last_day=today(), days=10, first_id=27_000_000_001)
    chunks = [early, *(late[at : at + CHUNK] for at in range(0, len(late), CHUNK))]
    for number in range(INVOICES):
        paid = movement(
            28_000_000_000 + number, "1210.00", days_ago=2, variable_symbol=f"0{777_000 + number}"
        )
        chunks[number % len(chunks)].append(paid)
    return chunks


def slowed_connection(organization: Organization, bank: FioBank, kills: int = 20) -> PluginConfiguration:
    """Small answers that hold any one day, and a shorter gate than a form would accept."""
    connection = a_connection(organization, bank)
    bank.change(largest_answer=10 * kills, interval_seconds=0.02)
    change_settings(connection, token_interval_seconds=0.05)
    return connection


def phase(connection: PluginConfiguration) -> str:
    return str(SyncHistory.objects.filter(connection=connection).order_by("-id").values_list("status")[0][0])


def created_so_far() -> int:
    return int(SyncHistory.objects.aggregate(sum=Sum("created"))["sum"] or 0)


def _started(worker: Worker, connection: PluginConfiguration) -> Callable[[], object]:
    return lambda: worker.events("http.request") or phase(connection) in ("completed", "failed")


def _posting(worker: Worker, connection: PluginConfiguration) -> Callable[[], object]:
    before = created_so_far()
    return lambda: created_so_far() > before or phase(connection) in ("completed", "failed")


def _matching(worker: Worker, connection: PluginConfiguration) -> Callable[[], object]:
    return lambda: phase(connection) in ("completed", "failed")


def _starting(worker: Worker, connection: PluginConfiguration) -> Callable[[], object]:
    return lambda: worker.events("worker.started")


MOMENTS = (_started, _started, _posting, _posting, _matching, _starting)


def wait_for_moment(
    moment: Callable[[Worker, PluginConfiguration], Callable[[], object]],
    dice: random.Random,
    connection: PluginConfiguration,
    worker: Worker,
) -> None:
    wait_until(moment(worker, connection))
    time.sleep(dice.uniform(0, 0.12))


def finish(connection: PluginConfiguration, installation: Installation) -> None:
    """Let the worker end what is there and sync once more."""
    requested(connection)
    with installation.worker() as worker:
        wait_until(lambda: not SyncHistory.objects.active().exists())
        requested(connection)
        wait_until(lambda: not SyncHistory.objects.active().exists())
        assert worker.stop() == 0


def assert_nothing_lost_or_doubled(organization: Organization, bank: FioBank, *, at_least: int) -> None:
    listed = told(bank.movements())
    assert len(listed) >= at_least
    assert stored(organization) == listed
    entries = AuditEntry.objects.filter(table="ledger_moneytransaction", action="created")
    assert entries.count() == len(listed) == created_so_far()
    assert entries.values("object_id").distinct().count() == len(listed)
    of_movement = dict(MoneyTransaction.objects.values_list("pk", "amount_minor"))
    audited = entries.values_list("object_id", "after__amount_minor")
    assert dict(audited) == of_movement
    runs = SyncHistory.objects.all()
    assert {run.status for run in runs} == {"completed"}
    assert all(run.fetched == run.created + run.unchanged for run in runs)
    for run in runs:
        assert entries.filter(run_id=run.pk).count() == run.created
    assert bank.state().violations == 0
    assert {request.status for request in bank.state().requests} <= {200, 413}


def assert_settled_at_most_once(organization: Organization) -> None:
    paid = Invoice.objects.filter(organization=organization)
    assert {(invoice.state, invoice.settled_minor) for invoice in paid} == {("paid", 121_000)}
    assert Settlement.objects.count() == INVOICES
    used = MoneyTransaction.objects.filter(settled_minor__gt=0)
    assert {(row.amount_minor, row.settled_minor) for row in used} == {(121_000, 121_000)}
    assert used.count() == INVOICES
    assert AuditEntry.objects.filter(table="invoices_settlement").count() == INVOICES
    undecided = MoneyTransaction.objects.filter(type="income", decisions__isnull=True)
    assert not undecided.exists()
    current = Decision.objects.current().values("transaction").annotate(times=Count("pk"))
    assert {row["times"] for row in current} == {1}


def test_a_run_of_another_machine_is_taken_over_when_its_lease_ends(
    bank: FioBank, installation: Installation
) -> None:
    organization = an_organization()
    bank.add(*generated(seed=3, count=60, last_day=today(), days=40))
    connection = a_connection(organization, bank)
    bank.fail(Fault(kind="slow", seconds=30))
    requested(connection)
    with installation.worker() as worker:
        wait_until(lambda: phase(connection) == "running")
        worker.kill()
    lapses = timezone.now() + timedelta(seconds=3)
    SyncHistory.objects.update(worker="another-machine/0000|4711@1", lease_until=lapses)
    bank.load(today=today(), interval_seconds=0)
    bank.add(*generated(seed=3, count=60, last_day=today(), days=40))
    with installation.worker() as worker:
        wait_until(lambda: not SyncHistory.objects.active().exists())
        assert worker.stop() == 0
    run = SyncHistory.objects.get()
    assert (run.status, run.fence, run.created) == ("completed", 2, 60)
    assert run.finished_at is not None
    assert run.finished_at >= lapses
    assert stored(organization) == told(bank.movements())


def test_a_worker_asked_to_stop_gives_its_run_back_and_the_next_goes_on(
    bank: FioBank, installation: Installation
) -> None:
    organization = an_organization()
    bank.add(*generated(seed=4, count=400, last_day=today(), days=80))
    connection = slowed_connection(organization, bank)
    bank.change(largest_answer=30)
    requested(connection)
    with installation.worker() as worker:
        wait_until(lambda: created_so_far() > 0)
        assert worker.stop() == 0
    run = SyncHistory.objects.get()
    assert (run.status, run.worker, run.lease_until) == ("pending", "", None)
    assert 0 < run.created < 400
    with installation.worker() as worker:
        wait_until(lambda: not SyncHistory.objects.active().exists())
        assert worker.stop() == 0
    run.refresh_from_db()
    assert (run.status, run.created) == ("completed", 400)
    assert stored(organization) == told(bank.movements())
