"""From a draft to the movement that executes it, at the pretend Fio bank, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone

from kvit.audit.recording import SYSTEM
from kvit.payments import batching, orders, recognising, sending
from kvit.payments.models import PaymentBatch, PaymentOrder
from kvit.payments.recognising import Recognised
from kvit.sync import connections
from kvit.sync.models import PluginConfiguration, SourceAccount
from tests.banks.fio import ORDERS_TOKEN, TOKEN, Fault, FioBank, running_fio_bank
from tests.factories import an_organization
from tests.payments.paying import SUPPLIER, states
from tests.sync.installation import installation_at, sync, today, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def fio_process() -> Iterator[FioBank]:
    with running_fio_bank() as bank:
        yield bank


@pytest.fixture
def fio(fio_process: FioBank) -> PluginConfiguration:
    """A synced connection that may enter orders."""
    fio_process.load(today=today(), interval_seconds=0)
    texts = {
        "api_token": TOKEN,
        "orders_token": ORDERS_TOKEN,
        "base_url": fio_process.base_url,
        "token_interval_seconds": "0",
    }
    connection = connections.add(an_organization(), "fio", "Fio", texts, actor=SYSTEM)
    sync(connection)
    return connection


def ordered(connection: PluginConfiguration) -> PaymentOrder:
    order = PaymentOrder(
        organization=connection.organization,
        account=SourceAccount.objects.get(connection=connection).account,
        amount_minor=150_050,
        currency="CZK",
        counterparty_account=SUPPLIER,
        counterparty_name="Dodavatel s.r.o.",
        variable_symbol="20260077",
        constant_symbol="0308",
        message="Faktura 77, děkujeme",
        due_on=today(),
    )
    return orders.draft(order, actor=SYSTEM)


def test_an_order_is_handed_over_authorized_executed_and_recognised(
    fio: PluginConfiguration, fio_process: FioBank
) -> None:
    order = ordered(fio)
    batch = batching.make_batch(fio, [order], actor=SYSTEM)
    assert sending.send_due(timezone.now()) == 1
    taken = fio_process.state().batches
    assert len(taken) == 1
    batch.refresh_from_db()
    assert batch.reference == str(taken[0].id)
    assert recognising.recognise(fio.organization) == Recognised()
    fio_process.execute(taken[0].id)
    sync(fio)
    recognising.recognise(fio.organization)
    order.refresh_from_db()
    assert states(batch) == ("accepted", ["executed"])
    assert order.executed_by is not None
    assert order.executed_by.amount == -order.amount


def test_a_lost_answer_is_proved_by_the_movement_that_comes_of_it(
    fio: PluginConfiguration, fio_process: FioBank
) -> None:
    batch = batching.make_batch(fio, [ordered(fio)], actor=SYSTEM)
    fio_process.fail(Fault(kind="reset"))
    assert sending.send_due(timezone.now()) == 0
    assert states(batch) == ("unknown", ["in_batch"])
    assert sending.send_due(timezone.now()) == 0
    assert fio_process.state().uploads == 1
    fio_process.execute(fio_process.state().batches[0].id)
    sync(fio)
    recognising.recognise(fio.organization)
    assert states(batch) == ("accepted", ["executed"])
    assert PaymentBatch.objects.get().resolved_by != ""


def test_a_worker_killed_while_it_uploads_leaves_one_batch_at_the_bank_and_an_unknown_one_here(
    fio: PluginConfiguration, fio_process: FioBank, tmp_path: Path
) -> None:
    installation = installation_at(tmp_path)
    batch = batching.make_batch(fio, [ordered(fio)], actor=SYSTEM)
    fio_process.fail(Fault(kind="slow", seconds=20))
    with installation.worker() as worker:
        wait_until(lambda: fio_process.state().uploads == 1)
        worker.kill()
    assert states(batch) == ("sending", ["in_batch"])
    PaymentBatch.objects.update(lease_until=timezone.now())
    with installation.worker() as worker:
        wait_until(lambda: states(batch)[0] != "sending")
        assert worker.stop() == 0
    assert states(batch) == ("unknown", ["in_batch"])
    assert fio_process.state().uploads == 1
