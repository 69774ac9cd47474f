"""Movements that a person has judged, that come after an order was given up, or that pay an order again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kvit.audit.recording import SYSTEM
from kvit.kernel.errors import Refused, Stale
from kvit.ledger.models import MoneyTransaction
from kvit.payments import orders, recognising, resolving
from kvit.payments.models import PaymentBatch, PaymentOrder
from kvit.payments.recognising import Recognised
from kvit.sync.models import PluginConfiguration
from tests.payments import paper_bank
from tests.payments.paper_bank import PaperBank
from tests.payments.paying import a_batch, a_sent_batch, an_expense, an_order, states, today

pytestmark = pytest.mark.django_db(transaction=True)


def recognise(connection: PluginConfiguration) -> Recognised:
    return recognising.recognise(connection.organization)


def told_again(connection: PluginConfiguration) -> list[tuple[PaymentOrder, MoneyTransaction]]:
    return recognising.told_again(connection.organization, today())


def executed_by(order: PaymentOrder) -> int | None:
    order.refresh_from_db()
    return order.executed_by_id


def named(order: PaymentOrder, **fields: object) -> MoneyTransaction:
    """A movement with which the bank tells the order's own id."""
    return an_expense(order, message=f"{order.message} / {order.id_for_bank}", **fields)


def denied(connection: PluginConfiguration, paper: PaperBank, *drafts: PaymentOrder) -> PaymentBatch:
    """A batch that the bank took without a word, and of which a person said that it is not there."""
    paper.behaviour = paper_bank.falling_silent
    batch = a_sent_batch(connection, *drafts)
    resolving.bank_does_not_have_it(batch, actor=SYSTEM)
    paper.behaviour = paper_bank.accepting
    for order in drafts:
        order.refresh_from_db()
    return batch


def test_a_pair_that_a_person_took_apart_stays_apart(connection: PluginConfiguration) -> None:
    order = an_order(connection.organization)
    a_sent_batch(connection, order)
    wrong = an_expense(order)
    assert recognise(connection) == Recognised(executed=1)
    order.refresh_from_db()
    recognising.unlink(order, actor=SYSTEM)
    assert recognise(connection) == Recognised()
    right = an_expense(order)
    assert recognise(connection) == Recognised(executed=1)
    assert executed_by(order) == right.pk
    recognising.unlink(order, actor=SYSTEM)
    assert order.rejected_ids == [wrong.pk, right.pk]
    recognising.link(order, wrong, actor=SYSTEM)
    assert (order.executed_by_id, order.rejected_ids) == (wrong.pk, [right.pk])


def test_a_draft_that_the_bank_executed_after_all_is_executed_and_never_handed_over_again(
    connection: PluginConfiguration, paper: PaperBank
) -> None:
    order, other = an_order(connection.organization), an_order(connection.organization, "7.00 CZK")
    batch = denied(connection, paper, order, other)
    assert states(batch) == ("refused", ["draft", "draft"])
    movement = named(order)
    assert recognise(connection) == Recognised(executed=1)
    assert executed_by(order) == movement.pk
    batch.refresh_from_db()
    assert (batch.contradiction, *states(batch)) == ("accepted", "refused", ["executed", "draft"])
    with pytest.raises(Stale):
        a_batch(connection, order)
    with pytest.raises(Refused, match=f"batch {batch.pk}"):
        a_batch(connection, other)
    resolving.acknowledge(batch, actor=SYSTEM)
    a_batch(connection, other)
    assert recognise(connection) == Recognised()


def test_a_movement_that_only_looks_like_a_given_up_order_is_another_payment(
    connection: PluginConfiguration, paper: PaperBank
) -> None:
    order = an_order(connection.organization)
    batch = denied(connection, paper, order)
    an_expense(order)
    named(order, amount="-1500.01 CZK", counterparty_account="2000145399/0300")
    assert recognise(connection) == Recognised()
    assert states(batch) == ("refused", ["draft"])


def test_an_order_deleted_here_but_not_in_the_bank_is_executed(connection: PluginConfiguration) -> None:
    order = an_order(connection.organization)
    batch = a_sent_batch(connection, order)
    orders.cancel(order, actor=SYSTEM)
    movement = named(order)
    assert recognise(connection) == Recognised(executed=1)
    assert executed_by(order) == movement.pk
    assert states(batch) == ("accepted", ["executed"])


def test_a_given_up_order_taken_from_its_movement_is_a_draft(
    connection: PluginConfiguration, paper: PaperBank
) -> None:
    order = an_order(connection.organization)
    batch = denied(connection, paper, order)
    named(order)
    recognise(connection)
    order.refresh_from_db()
    recognising.unlink(order, actor=SYSTEM)
    assert (order.batch_id, *states(batch)) == (None, "refused", ["draft"])
    assert recognise(connection) == Recognised()


def test_both_batches_paid_is_one_execution_and_one_warning(
    connection: PluginConfiguration, paper: PaperBank
) -> None:
    order = an_order(connection.organization)
    denied(connection, paper, order)
    again = a_sent_batch(connection, order)
    first = named(order)
    assert recognise(connection) == Recognised(executed=1)
    assert told_again(connection) == []
    second = named(order)
    assert recognise(connection) == Recognised()
    assert executed_by(order) == first.pk
    assert told_again(connection) == [(order, second)]
    recognising.reject(order, second, actor=SYSTEM)
    assert told_again(connection) == []
    assert states(again) == ("accepted", ["executed"])
    with pytest.raises(Stale):
        recognising.reject(order, first, actor=SYSTEM)


def test_a_movement_of_the_first_batch_is_known_after_the_second_was_sent(
    connection: PluginConfiguration, paper: PaperBank
) -> None:
    order = an_order(connection.organization)
    denied(connection, paper, order)
    a_sent_batch(connection, order)
    movement = named(order, booked_on=today() - timedelta(days=1))
    assert recognise(connection) == Recognised(executed=1)
    assert executed_by(order) == movement.pk


def test_a_fee_that_tells_the_order_is_no_second_payment(connection: PluginConfiguration) -> None:
    order = an_order(connection.organization)
    a_sent_batch(connection, order)
    named(order)
    recognise(connection)
    named(order, amount="-2.50 CZK", counterparty_account="")
    assert told_again(connection) == []


def test_money_that_came_back_is_shown_and_the_order_can_wait_again(connection: PluginConfiguration) -> None:
    order = an_order(connection.organization)
    batch = a_sent_batch(connection, order)
    named(order)
    recognise(connection)
    order.refresh_from_db()
    storno = named(order, amount="1500.00 CZK")
    assert told_again(connection) == [(order, storno)]
    recognising.unlink(order, actor=SYSTEM)
    assert recognise(connection) == Recognised()
    assert states(batch) == ("accepted", ["handed_over"])
    orders.cancel(order, actor=SYSTEM)
    recognising.reject(order, storno, actor=SYSTEM)
    assert told_again(connection) == []
