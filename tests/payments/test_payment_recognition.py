from __future__ import annotations

from datetime import timedelta

import pytest

from kvit.audit.recording import SYSTEM
from kvit.kernel.errors import Refused, Stale
from kvit.ledger import duplicates
from kvit.ledger.models import MoneyTransaction, PossibleDuplicate
from kvit.payments import recognising, resolving
from kvit.payments.models import PaymentOrder
from kvit.payments.recognising import Recognised
from kvit.sync.models import PluginConfiguration
from tests.factories import a_movement, a_payment, an_account, post
from tests.payments import paper_bank
from tests.payments.paper_bank import PaperBank
from tests.payments.paying import SUPPLIER_IBAN, a_batch, a_sent_batch, an_expense, an_order, states, today


def recognise(connection: PluginConfiguration) -> Recognised:
    return recognising.recognise(connection.organization)


def executed_by(order: PaymentOrder) -> int | None:
    order.refresh_from_db()
    return order.executed_by_id


def test_the_one_movement_that_fits_executes_the_order(connection: PluginConfiguration) -> None:
    order = an_order(connection.organization, constant_symbol="0308", message="Faktura 77")
    batch = a_sent_batch(connection, order)
    movement = an_expense(
        order, counterparty_account=SUPPLIER_IBAN, variable_symbol="0020260077", constant_symbol="308"
    )
    assert recognise(connection) == Recognised(executed=1)
    assert executed_by(order) == movement.pk
    assert states(batch) == ("accepted", ["executed"])
    assert recognise(connection) == Recognised()


@pytest.mark.parametrize(
    "otherwise",
    [
        {"amount": "-1500.01 CZK"},
        {"amount": "1500.00 CZK"},
        {"amount": "-1500.00 EUR"},
        {"counterparty_account": "2000145399/0300"},
        {"counterparty_account": ""},
        {"variable_symbol": "20260078"},
        {"variable_symbol": ""},
        {"constant_symbol": "0558"},
        {"specific_symbol": ""},
        {"booked_on": today() - timedelta(days=1)},
        {"booked_on": today() + timedelta(days=31)},
        {"status": "pending"},
    ],
)
def test_what_differs_in_one_fact_is_another_payment(
    connection: PluginConfiguration, otherwise: dict[str, object]
) -> None:
    order = an_order(connection.organization, constant_symbol="308", specific_symbol="42")
    a_sent_batch(connection, order)
    an_expense(order, **otherwise)
    assert recognise(connection) == Recognised()


def test_a_movement_on_another_own_account_is_another_payment(connection: PluginConfiguration) -> None:
    order = an_order(connection.organization)
    a_sent_batch(connection, order)
    other = an_account(connection.organization, "CZ4103000000272000145399")
    a_payment(
        other,
        "-1500.00 CZK",
        booked_on=today(),
        counterparty_account=order.counterparty_account,
        variable_symbol=order.variable_symbol,
    )
    assert recognise(connection) == Recognised()


def test_a_movement_from_before_the_batch_was_sent_is_another_payment(
    connection: PluginConfiguration,
) -> None:
    order = an_order(connection.organization, due_on=today() - timedelta(days=20))
    a_sent_batch(connection, order)
    an_expense(order, booked_on=today() - timedelta(days=2))
    assert recognise(connection) == Recognised()
    an_expense(order, booked_on=today() + timedelta(days=30))
    assert recognise(connection) == Recognised(executed=1)


@pytest.mark.parametrize(("days", "is_executed"), [(9, True), (8, False), (40, True), (41, False)])
def test_an_order_due_later_is_executed_from_the_day_before_for_thirty_days(
    connection: PluginConfiguration, days: int, is_executed: bool
) -> None:
    order = an_order(connection.organization, due_on=today() + timedelta(days=10))
    a_sent_batch(connection, order)
    an_expense(order, booked_on=today() + timedelta(days=days))
    assert recognise(connection).executed == is_executed


def test_two_movements_that_fit_one_order_leave_it_open(connection: PluginConfiguration) -> None:
    order = an_order(connection.organization)
    a_sent_batch(connection, order)
    first, second = an_expense(order), an_expense(order, booked_on=today() + timedelta(days=1))
    assert recognise(connection) == Recognised()
    assert [each.transaction for each in recognising.candidates(order)] == [first, second]
    recognising.link(order, second, actor=SYSTEM)
    assert executed_by(order) == second.pk


def test_one_movement_that_fits_two_orders_leaves_both_open(connection: PluginConfiguration) -> None:
    one, other = an_order(connection.organization), an_order(connection.organization)
    a_sent_batch(connection, one, other)
    first = an_expense(one)
    assert recognise(connection) == Recognised()
    recognising.link(other, first, actor=SYSTEM)
    second = an_expense(one)
    assert recognise(connection) == Recognised(executed=1)
    assert (executed_by(one), executed_by(other)) == (second.pk, first.pk)


def test_equal_messages_break_a_tie(connection: PluginConfiguration) -> None:
    one = an_order(connection.organization, message="Nájem březen")
    other = an_order(connection.organization, message="Nájem duben")
    a_sent_batch(connection, one, other)
    april = an_expense(other, message="NÁJEM  DUBEN")
    march = an_expense(one)
    assert recognise(connection) == Recognised(executed=2)
    assert (executed_by(one), executed_by(other)) == (march.pk, april.pk)


def test_the_orders_own_id_told_by_the_bank_names_it(connection: PluginConfiguration) -> None:
    one, other = an_order(connection.organization), an_order(connection.organization)
    a_sent_batch(connection, one, other)
    second = an_expense(other, reference=other.id_for_bank.upper(), variable_symbol="")
    first = an_expense(one)
    assert recognise(connection) == Recognised(executed=2)
    assert (executed_by(one), executed_by(other)) == (first.pk, second.pk)


def test_a_movement_proves_that_the_bank_has_an_unknown_batch(
    connection: PluginConfiguration, paper: PaperBank
) -> None:
    paper.behaviour = paper_bank.falling_silent
    one, other = an_order(connection.organization), an_order(connection.organization, "7.00 CZK")
    batch = a_sent_batch(connection, one, other)
    an_expense(one)
    assert recognise(connection) == Recognised(executed=1, proved=1)
    assert states(batch) == ("accepted", ["executed", "handed_over"])
    assert not resolving.waiting_for_a_person(connection.organization).exists()
    with pytest.raises(Stale):
        resolving.bank_does_not_have_it(batch, actor=SYSTEM)


def test_a_movement_that_may_be_of_two_orders_proves_nothing(
    connection: PluginConfiguration, paper: PaperBank
) -> None:
    paper.behaviour = paper_bank.falling_silent
    one, other = an_order(connection.organization), an_order(connection.organization)
    batch = a_sent_batch(connection, one, other)
    an_expense(one)
    assert recognise(connection) == Recognised()
    assert states(batch) == ("unknown", ["in_batch", "in_batch"])


def test_an_order_that_was_not_sent_is_executed_by_nothing(connection: PluginConfiguration) -> None:
    order = an_order(connection.organization)
    movement = an_expense(order)
    assert recognise(connection) == Recognised()
    a_batch(connection, order)
    order.refresh_from_db()
    assert recognise(connection) == Recognised()
    assert recognising.candidates(order) == []
    with pytest.raises(Stale):
        recognising.link(order, movement, actor=SYSTEM)


def test_candidates_come_with_what_differs_the_least_first(connection: PluginConfiguration) -> None:
    order = an_order(connection.organization, message="Faktura 77")
    a_sent_batch(connection, order)
    order.refresh_from_db()
    far = an_expense(order, variable_symbol="1", counterparty_account="2000145399/0300")
    near = an_expense(order, variable_symbol="1")
    an_expense(order, amount="-9.00 CZK")
    foreign = an_expense(order, amount="-60.00 EUR")
    found = recognising.candidates(order)
    assert [(each.transaction.pk, each.differing) for each in found] == [
        (near.pk, ("variable_symbol",)),
        (foreign.pk, ("amount",)),
        (far.pk, ("counterparty_account", "variable_symbol")),
    ]


def test_a_person_links_what_can_be_and_takes_it_back(connection: PluginConfiguration) -> None:
    order = an_order(connection.organization)
    batch = a_sent_batch(connection, order)
    order.refresh_from_db()
    for impossible in (
        an_expense(order, amount="-1.00 CZK"),
        an_expense(order, amount="1500.00 CZK"),
        an_expense(order, status="pending"),
    ):
        with pytest.raises(Refused):
            recognising.link(order, impossible, actor=SYSTEM)
    movement = an_expense(order, variable_symbol="")
    recognising.link(order, movement, actor=SYSTEM)
    assert states(batch) == ("accepted", ["executed"])
    recognising.unlink(order, actor=SYSTEM)
    assert states(batch) == ("accepted", ["handed_over"])
    with pytest.raises(Stale):
        recognising.unlink(order, actor=SYSTEM)


def test_an_order_whose_movement_was_withdrawn_finds_the_one_that_was_kept(
    connection: PluginConfiguration,
) -> None:
    order = an_order(connection.organization)
    a_sent_batch(connection, order)
    kept = an_expense(order)
    told_again = a_movement(
        "again",
        "-1500.00 CZK",
        booked_on=order.due_on,
        counterparty_account=order.counterparty_account,
        variable_symbol=order.variable_symbol,
    )
    post(order.account, [told_again], source="other:source")
    assert recognise(connection) == Recognised()
    recognising.link(order, MoneyTransaction.objects.get(external_id="again"), actor=SYSTEM)
    duplicates.same(PossibleDuplicate.objects.get(), actor=SYSTEM)
    assert recognise(connection) == Recognised(executed=1, released=1)
    assert executed_by(order) == kept.pk


def test_orders_that_nothing_executes_are_overdue_after_thirty_days(
    connection: PluginConfiguration,
) -> None:
    order = an_order(connection.organization)
    a_sent_batch(connection, order)
    overdue = recognising.overdue
    assert list(overdue(connection.organization, today() + timedelta(days=30))) == []
    assert list(overdue(connection.organization, today() + timedelta(days=31))) == [order]


def test_the_orders_own_id_is_known_in_a_message_too(connection: PluginConfiguration) -> None:
    one, other = an_order(connection.organization), an_order(connection.organization)
    a_sent_batch(connection, one, other)
    movement = an_expense(other, message=f"Dodavatel s.r.o. {other.id_for_bank}")
    assert recognise(connection) == Recognised(executed=1)
    assert (executed_by(one), executed_by(other)) == (None, movement.pk)
