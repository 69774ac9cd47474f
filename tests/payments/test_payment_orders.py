from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from kvit.audit.recording import SYSTEM
from kvit.invoices import crediting, settling
from kvit.invoices.models import Invoice
from kvit.kernel.errors import Misconfigured, Refused, Stale
from kvit.ledger.models import MoneyTransaction
from kvit.payments import batching, orders, recognising, refunds
from kvit.payments.models import PaymentBatch, PaymentOrder
from kvit.plugin import PaymentFile
from kvit.sync.models import PluginConfiguration
from kvit.users.models import Organization
from tests.factories import a_client, a_payment, an_account, an_invoice, an_organization, money
from tests.payments.paper_bank import NUMBER, TOKEN, Paper, PaperBank
from tests.payments.paying import (
    SUPPLIER,
    SUPPLIER_IBAN,
    a_batch,
    a_sent_batch,
    an_expense,
    an_order,
    states,
    today,
)


def an_income(organization: Organization, amount: str = "1000.00 CZK", **fields: object) -> MoneyTransaction:
    told: dict[str, object] = {"counterparty_account": SUPPLIER, "counterparty_name": "Jan Novák"}
    return a_payment(an_account(organization, NUMBER), amount, **(told | fields))


def a_credit_note(invoice: Invoice) -> Invoice:
    note = crediting.draft_credit_note(invoice, today(), actor=SYSTEM)
    note.issue(today(), actor=SYSTEM)
    return note


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("counterparty_account", "2212-2000000699/0300"),
        ("counterparty_account", "CZ6508000000192000145398"),
        ("counterparty_account", ""),
        ("counterparty_account", NUMBER),
        ("counterparty_account", "19-2000145399/0800"),
        ("variable_symbol", "12345678901"),
        ("variable_symbol", "2026-1"),
        ("specific_symbol", "１２"),
        ("counterparty_bic", "FIOB"),
        ("counterparty_country", "CZE"),
        ("message", "x" * 141),
        ("message", "one\x00two"),
    ],
)
def test_a_field_that_is_wrong_is_named(firm: Organization, field: str, value: str) -> None:
    with pytest.raises(Misconfigured) as refusal:
        an_order(firm, **{field: value})
    assert refusal.value.field == field
    assert not PaymentOrder.objects.exists()


@pytest.mark.parametrize("amount", ["0.00 CZK", "-1.00 CZK"])
def test_only_amounts_above_zero_are_paid(firm: Organization, amount: str) -> None:
    with pytest.raises(Misconfigured, match="above zero"):
        an_order(firm, amount)


def test_texts_are_kept_without_spare_spaces(firm: Organization) -> None:
    order = an_order(
        firm, counterparty_account="cz30 0300 0000 3520 0014 5399", message="  for \n March  ", reason="a1"
    )
    assert (order.counterparty_account, order.message, order.reason) == (SUPPLIER_IBAN, "for March", "A1")


def test_a_form_sent_twice_makes_one_order(firm: Organization) -> None:
    uid = uuid.uuid4()
    an_order(firm, uid=uid)
    with pytest.raises(Stale):
        an_order(firm, uid=uid)
    assert PaymentOrder.objects.count() == 1


def test_what_belongs_to_another_organization_is_refused(firm: Organization) -> None:
    stranger = an_organization()
    with pytest.raises(Refused, match="two organizations"):
        an_order(firm, account=an_account(stranger))
    with pytest.raises(Refused, match="two organizations"):
        an_order(firm, refunds=an_income(stranger))


def test_an_order_changes_until_it_is_in_a_batch(connection: PluginConfiguration) -> None:
    order = an_order(connection.organization)
    order.message = "March"
    orders.change(order, actor=SYSTEM)
    a_batch(connection, order)
    order.amount_minor = 1
    with pytest.raises(Stale):
        orders.change(order, actor=SYSTEM)
    with pytest.raises(Stale):
        orders.cancel(order, actor=SYSTEM)
    order.refresh_from_db()
    assert (order.message, order.amount) == ("March", money("1500.00 CZK"))


def test_an_order_that_was_deleted_in_the_bank_is_given_up(connection: PluginConfiguration) -> None:
    order = an_order(connection.organization)
    a_sent_batch(connection, order)
    order.refresh_from_db()
    orders.cancel(order, actor=SYSTEM, reason="deleted in the bank")
    assert order.state == "cancelled"
    with pytest.raises(Stale):
        orders.cancel(order, actor=SYSTEM)


def test_a_second_payment_of_the_same_is_pointed_out(firm: Organization) -> None:
    first = an_order(firm)
    other = an_order(firm, variable_symbol="1")
    again = PaymentOrder(
        organization=firm,
        account=first.account,
        amount_minor=first.amount_minor,
        currency="CZK",
        counterparty_account=SUPPLIER_IBAN,
        variable_symbol=first.variable_symbol,
        due_on=today(),
    )
    assert list(orders.similar(again)) == [first]
    assert not orders.similar(other).exists()
    again.amount_minor, again.document_number = 1, "FV-7"
    assert not orders.similar(again).exists()
    third = an_order(firm, variable_symbol="2", document_number="FV-7")
    assert list(orders.similar(again)) == [third]
    again.amount_minor, again.document_number = first.amount_minor, ""
    orders.cancel(first, actor=SYSTEM)
    assert not orders.similar(again).exists()


@pytest.mark.parametrize(
    "columns",
    [
        {"amount_minor": 0},
        {"amount_minor": -100},
        {"state": "in_batch"},
        {"state": "executed"},
        {"state": "accepted"},
    ],
)
def test_the_database_itself_holds_the_rules_of_an_order(
    db: None, organization: Organization, columns: dict[str, object]
) -> None:
    order = an_order(organization)
    with pytest.raises(IntegrityError), transaction.atomic():
        PaymentOrder.objects.filter(pk=order.pk).update(**columns)


def test_one_movement_executes_one_order(connection: PluginConfiguration) -> None:
    one, other = an_order(connection.organization), an_order(connection.organization)
    a_sent_batch(connection, one, other)
    movement = an_expense(one)
    recognising.link(one, movement, actor=SYSTEM)
    other.refresh_from_db()
    with pytest.raises(Stale):
        recognising.link(other, movement, actor=SYSTEM)
    with pytest.raises(IntegrityError), transaction.atomic():
        PaymentOrder.objects.filter(pk=other.pk).update(state="executed", executed_by=movement)


def test_the_file_is_sealed_and_bound_to_its_batch(connection: PluginConfiguration) -> None:
    batch, other = a_batch(connection), a_batch(connection)
    file = batching.file_of(batch)
    assert isinstance(file, PaymentFile)
    assert SUPPLIER.encode() in file.data
    assert SUPPLIER.encode() not in bytes(batch.file_sealed)
    assert (batch.size, batch.totals()) == (len(file.data), [money("1500.00 CZK")])
    batch.file_sealed = other.file_sealed
    with pytest.raises(Exception, match="does not belong to this row"):
        batching.file_of(batch)


def test_a_batch_asked_for_twice_with_one_key_is_made_once(connection: PluginConfiguration) -> None:
    uid = uuid.uuid4()
    order, other = an_order(connection.organization), an_order(connection.organization)
    batching.make_batch(connection, [order, order], actor=SYSTEM, uid=uid)
    with pytest.raises(Stale):
        batching.make_batch(connection, [other], actor=SYSTEM, uid=uid)
    batch = PaymentBatch.objects.get()
    assert batch.order_ids == [order.pk]
    assert len(batching.file_of(batch).data.splitlines()) == 2
    other.refresh_from_db()
    assert other.state == "draft"


def test_an_order_changed_since_it_was_read_is_not_handed_over(connection: PluginConfiguration) -> None:
    order = an_order(connection.organization)
    read = PaymentOrder.objects.get(pk=order.pk)
    order.amount_minor = 99
    orders.change(order, actor=SYSTEM)
    with pytest.raises(Stale):
        batching.make_batch(connection, [read], actor=SYSTEM)
    assert not PaymentBatch.objects.exists()


def test_what_can_never_be_handed_over_together_is_refused(connection: PluginConfiguration) -> None:
    firm = connection.organization
    other_account = an_order(firm, account=an_account(firm, "CZ4103000000272000145399"))
    with pytest.raises(Refused, match="at least one"):
        batching.make_batch(connection, [], actor=SYSTEM)
    with pytest.raises(Refused, match="one account"):
        batching.make_batch(connection, [an_order(firm), other_account], actor=SYSTEM)
    with pytest.raises(Refused, match="told nothing"):
        batching.make_batch(connection, [other_account], actor=SYSTEM)
    with pytest.raises(Refused, match="two organizations"):
        batching.make_batch(connection, [an_order(an_organization())], actor=SYSTEM)
    assert batching.connections_for(an_account(firm, NUMBER)) == [connection]
    assert batching.connections_for(other_account.account) == []
    assert not PaymentBatch.objects.exists()


def test_what_the_plugin_refuses_names_the_order_and_its_field(connection: PluginConfiguration) -> None:
    order = an_order(connection.organization, "10.00 EUR")
    with pytest.raises(Misconfigured, match="crowns only") as refusal:
        batching.make_batch(connection, [order], actor=SYSTEM)
    assert refusal.value.field == f"{order.id_for_bank}.currency"
    order.refresh_from_db()
    assert order.state == "draft"


def test_a_plugin_that_fails_while_it_writes_leaks_nothing(
    connection: PluginConfiguration, paper: PaperBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Paper, "mistake", "writing")
    with pytest.raises(Exception, match="ZeroDivisionError") as crash:
        a_batch(connection)
    assert TOKEN not in repr(crash.value)
    assert not PaymentBatch.objects.exists()


def test_what_is_left_of_a_payment_goes_back_to_the_payer(firm: Organization) -> None:
    invoice = an_invoice(a_client(firm), "700.00 CZK", symbol="77")
    payment = an_income(firm, variable_symbol="77")
    settling.settle(invoice, payment, money("700.00 CZK"), actor=SYSTEM)
    payment.refresh_from_db()
    order = orders.draft(refunds.refund_of(payment, today()), actor=SYSTEM)
    assert (order.amount, order.counterparty_account) == (money("300.00 CZK"), SUPPLIER)
    assert (order.counterparty_name, order.variable_symbol) == ("Jan Novák", "77")
    assert not refunds.left_of(payment)
    with pytest.raises(Refused, match="Nothing"):
        refunds.refund_of(payment, today())
    orders.cancel(order, actor=SYSTEM)
    assert refunds.left_of(payment) == money("300.00 CZK")


def test_a_refund_never_gives_back_more_than_is_left(connection: PluginConfiguration) -> None:
    payment = an_income(connection.organization)
    order = refunds.refund_of(payment, today())
    order.amount_minor += 1
    with pytest.raises(Refused, match=r"Only 1000.00 CZK"):
        orders.draft(order, actor=SYSTEM)
    order.amount_minor -= 1
    orders.draft(order, actor=SYSTEM)
    order.message = "změna"
    orders.change(order, actor=SYSTEM)
    invoice = an_invoice(a_client(connection.organization), "700.00 CZK")
    settling.settle(invoice, payment, money("700.00 CZK"), actor=SYSTEM)
    with pytest.raises(Refused, match=r"Only 300.00 CZK"):
        batching.make_batch(connection, [order], actor=SYSTEM)
    order.amount_minor, order.currency = 100, "EUR"
    with pytest.raises(Refused, match="currency"):
        orders.change(order, actor=SYSTEM)


def test_a_refund_under_way_whose_money_was_used_otherwise_is_told(connection: PluginConfiguration) -> None:
    payment = an_income(connection.organization)
    order = orders.draft(refunds.refund_of(payment, today()), actor=SYSTEM)
    a_sent_batch(connection, order)
    assert refunds.is_covered(order)
    invoice = an_invoice(a_client(connection.organization), "0.01 CZK")
    settling.settle(invoice, payment, money("0.01 CZK"), actor=SYSTEM)
    assert not refunds.is_covered(PaymentOrder.objects.get())
    assert refunds.is_covered(an_order(connection.organization))


def test_an_executed_refund_still_counts(connection: PluginConfiguration) -> None:
    payment = an_income(connection.organization)
    order = orders.draft(refunds.refund_of(payment, today()), actor=SYSTEM)
    batch = a_sent_batch(connection, order)
    an_expense(order)
    assert recognising.recognise(connection.organization).executed == 1
    assert states(batch) == ("accepted", ["executed"])
    assert not refunds.left_of(payment)


def test_money_that_left_is_never_given_back(firm: Organization) -> None:
    with pytest.raises(Refused, match="came in"):
        refunds.refund_of(an_income(firm, "-10.00 CZK"), today())


def test_a_credit_note_is_paid_out_to_whom_paid_the_invoice(connection: PluginConfiguration) -> None:
    firm = connection.organization
    invoice = an_invoice(a_client(firm, "Klient a.s."), "1000.00 CZK")
    payment = an_income(firm)
    settling.settle(invoice, payment, money("1000.00 CZK"), actor=SYSTEM)
    invoice.refresh_from_db()
    note = a_credit_note(invoice)
    order = orders.draft(refunds.refund_of_credit_note(note, today()), actor=SYSTEM)
    assert (order.amount, order.counterparty_account) == (money("1000.00 CZK"), SUPPLIER)
    assert (order.variable_symbol, order.counterparty_name) == (note.variable_symbol, "Klient a.s.")
    with pytest.raises(Refused, match="Nothing is open"):
        refunds.refund_of_credit_note(note, today())
    a_sent_batch(connection, order)
    movement = an_expense(order)
    recognising.recognise(firm)
    assert not refunds.left_of_credit_note(note)
    settling.settle(note, movement, money("1000.00 CZK"), actor=SYSTEM)
    note.refresh_from_db()
    assert note.state == "paid"
    assert not refunds.left_of_credit_note(note)


def test_a_credit_note_of_several_payers_asks_for_the_account(firm: Organization) -> None:
    invoice = an_invoice(a_client(firm), "1000.00 CZK")
    for account in (SUPPLIER, "2000145399/0300"):
        payment = an_income(firm, "500.00 CZK", counterparty_account=account)
        invoice.refresh_from_db()
        settling.settle(invoice, payment, money("500.00 CZK"), actor=SYSTEM)
    invoice.refresh_from_db()
    order = refunds.refund_of_credit_note(a_credit_note(invoice), today())
    assert order.counterparty_account == ""
    with pytest.raises(Misconfigured):
        orders.draft(order, actor=SYSTEM)
    with pytest.raises(Refused, match="credit note"):
        refunds.refund_of_credit_note(invoice, today() + timedelta(days=1))
