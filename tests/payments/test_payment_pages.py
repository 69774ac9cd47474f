"""The pages of payment orders: written, handed over once, cleared up where the answer was lost."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone, translation

from kvit.audit.recording import SYSTEM
from kvit.invoices import settling
from kvit.invoices.crediting import draft_credit_note
from kvit.kernel.errors import Misconfigured
from kvit.ledger.models import BankAccount, MoneyTransaction
from kvit.matching.reconcile import reconcile
from kvit.payments import sending
from kvit.payments.models import PaymentBatch, PaymentOrder
from kvit.sync.models import PluginConfiguration
from kvit.web.words import order_error_text, told_text
from tests.factories import a_client, a_payment, an_account, an_invoice
from tests.payments.paper_bank import NUMBER, PaperBank, falling_silent, refusing
from tests.payments.paying import SUPPLIER, a_paying_connection, an_expense, an_order, states, today
from tests.personas import Personas

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def browser(personas: Personas, client: Browser) -> Browser:
    personas.owner.language = "en"
    personas.owner.save()
    client.force_login(personas.owner)
    return client


@pytest.fixture
def bank(personas: Personas, paper: PaperBank) -> PluginConfiguration:
    return a_paying_connection(personas.organization, paper)


def written(order: dict[str, Any] | None = None) -> dict[str, Any]:
    values = {
        "uid": str(uuid.uuid4()),
        "account": BankAccount.objects.get(number=NUMBER).pk,
        "amount": "1 500,50",
        "currency": "CZK",
        "counterparty_account": SUPPLIER,
        "counterparty_name": "Dodavatel s.r.o.",
        "variable_symbol": "20260077",
        "due_on": today().isoformat(),
        "speed": "standard",
        "charges": "SHA",
    }
    return values | (order or {})


def text(browser: Browser, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def hand_over(browser: Browser, connection: PluginConfiguration, *orders: PaymentOrder, **values: str) -> str:
    posted = {"order": [order.pk for order in orders], "connection": connection.pk, **values}
    return browser.post("/payments/batches/", posted, follow=True).content.decode()


def test_an_order_is_written_handed_over_and_accepted(
    browser: Browser, bank: PluginConfiguration, paper: PaperBank
) -> None:
    page = browser.post("/payments/new/", written(), follow=True).content.decode()
    assert "Nothing has been sent." in page
    order = PaymentOrder.objects.get()
    assert order.amount_minor == 150050
    assert "Hand over to the bank" in text(browser, "/payments/")
    assert "waits to be sent" in hand_over(browser, bank, order)
    assert paper.batches == []
    sending.send_due(timezone.now())
    batch = PaymentBatch.objects.get()
    page = text(browser, f"/payments/batches/{batch.pk}/")
    assert "authorize it: no money moves before that" in page
    assert "The bank calls it B1." in page
    assert len(paper.batches) == 1


def test_two_clicks_write_one_order_and_make_one_batch(browser: Browser, bank: PluginConfiguration) -> None:
    form = written()
    browser.post("/payments/new/", form)
    assert "saved already" in browser.post("/payments/new/", form).content.decode()
    order = PaymentOrder.objects.get()
    attempt = str(uuid.uuid4())
    for _ in range(2):
        assert "waits to be sent" in hand_over(browser, bank, order, attempt=attempt)
    assert PaymentBatch.objects.count() == 1


def test_a_lost_answer_is_cleared_up_by_a_person(
    browser: Browser, bank: PluginConfiguration, paper: PaperBank
) -> None:
    paper.behaviour = falling_silent
    order = an_order(bank.organization)
    hand_over(browser, bank, order)
    sending.send_due(timezone.now())
    batch = PaymentBatch.objects.get()
    assert "Nobody knows whether the bank has this batch" in text(browser, "/payments/")
    assert "never sends it again by itself" in text(browser, f"/payments/batches/{batch.pk}/")
    resolution = f"/payments/batches/{batch.pk}/resolution/"
    browser.post(resolution, {"found": "taken", "reference": "77"})
    page = browser.post(resolution, {"found": "not-taken"}, follow=True).content.decode()
    assert "Somebody else changed this" in page
    assert states(batch) == ("accepted", ["handed_over"])
    assert "The bank calls it 77." in page
    assert len(paper.batches) == 1


def test_what_the_bank_refuses_is_shown_at_the_order(
    browser: Browser, bank: PluginConfiguration, paper: PaperBank
) -> None:
    order = an_order(bank.organization)
    paper.behaviour = refusing(order.id_for_bank)
    hand_over(browser, bank, order)
    sending.send_due(timezone.now())
    assert "No such account." in text(browser, f"/payments/batches/{PaymentBatch.objects.get().pk}/")
    assert "refused by the bank" in text(browser, "/payments/")


def test_an_order_that_the_plugin_cannot_write_is_named(browser: Browser, bank: PluginConfiguration) -> None:
    order = an_order(bank.organization, "5.00 EUR")
    page = hand_over(browser, bank, order)
    assert "Paper pays in crowns only." in page
    assert "Payment order" in page
    assert not PaymentBatch.objects.exists()


def test_a_payment_is_given_back_and_never_more_than_is_left(
    browser: Browser, bank: PluginConfiguration, personas: Personas
) -> None:
    account = an_account(personas.organization, NUMBER)
    payment = a_payment(account, "300.00 CZK", counterparty_account=SUPPLIER)
    assert f"?refund={payment.pk}" in text(browser, f"/transactions/{payment.pk}/")
    page = text(browser, f"/payments/new/?refund={payment.pk}")
    assert 'value="300.00"' in page or 'value="300"' in page
    too_much = browser.post(f"/payments/new/?refund={payment.pk}", written({"amount": "300,01"}))
    assert "Only" in too_much.content.decode()
    browser.post(f"/payments/new/?refund={payment.pk}", written({"amount": "300"}))
    order = PaymentOrder.objects.get()
    assert (order.refunds_id, order.amount_minor) == (payment.pk, 30000)
    again = browser.get(f"/payments/new/?refund={payment.pk}", follow=True).content.decode()
    assert "Nothing of this payment is left to give back." in again
    assert "goes back by a payment order" in text(browser, f"/transactions/{payment.pk}/")


def test_a_credit_note_is_paid_out(browser: Browser, bank: PluginConfiguration, personas: Personas) -> None:
    invoice = an_invoice(a_client(personas.organization), "1000.00 CZK")
    account = an_account(personas.organization, NUMBER)
    a_payment(account, "1000.00 CZK", variable_symbol=invoice.variable_symbol)
    reconcile(personas.organization)
    invoice.refresh_from_db()
    note = draft_credit_note(invoice, today(), actor=SYSTEM)
    note.issue(today(), actor=SYSTEM)
    assert f"?credit-note={note.pk}" in text(browser, f"/invoices/{note.pk}/")
    browser.post(f"/payments/new/?credit-note={note.pk}", written({"amount": "1000"}))
    assert PaymentOrder.objects.get().credit_note_id == note.pk


def test_a_person_says_which_movement_executed_an_order(browser: Browser, bank: PluginConfiguration) -> None:
    order = an_order(bank.organization)
    hand_over(browser, bank, order)
    sending.send_due(timezone.now())
    movement = an_expense(order, variable_symbol="1")
    assert "not all of it agrees" in text(browser, f"/payments/{order.pk}/")
    browser.post(f"/payments/{order.pk}/execution/", {"transaction": movement.pk})
    order.refresh_from_db()
    assert (order.state, order.executed_by_id) == ("executed", movement.pk)
    assert "It executed a payment order." in text(browser, f"/transactions/{movement.pk}/")
    browser.post(f"/payments/{order.pk}/execution/", {})
    order.refresh_from_db()
    assert order.state == "handed_over"


def test_a_waiting_batch_can_be_withdrawn_and_its_file_read(
    browser: Browser, bank: PluginConfiguration
) -> None:
    order = an_order(bank.organization)
    hand_over(browser, bank, order)
    batch = PaymentBatch.objects.get()
    file = browser.get(f"/payments/batches/{batch.pk}/file/")
    assert order.id_for_bank.encode() in file.content
    assert "attachment" in file.headers["Content-Disposition"]
    browser.post(f"/payments/batches/{batch.pk}/withdrawal/")
    assert states(batch) == ("withdrawn", ["draft"])


def test_others_find_nothing_and_an_accountant_changes_nothing(
    client: Browser, personas: Personas, bank: PluginConfiguration
) -> None:
    order = an_order(bank.organization)
    client.force_login(personas.stranger)
    assert client.get(f"/payments/{order.pk}/").status_code == 404
    client.force_login(personas.accountant)
    assert client.get(f"/payments/{order.pk}/").status_code == 200
    assert client.post(f"/payments/{order.pk}/cancellation/").status_code == 403
    assert client.post("/payments/batches/", {"order": order.pk, "connection": bank.pk}).status_code == 403
    assert not PaymentBatch.objects.exists()


def test_an_order_is_cancelled(browser: Browser, bank: PluginConfiguration) -> None:
    order = an_order(bank.organization)
    browser.post(f"/payments/{order.pk}/cancellation/")
    order.refresh_from_db()
    assert order.state == "cancelled"
    assert MoneyTransaction.objects.count() == 0


def test_a_second_click_on_the_movement_takes_nothing_back(
    browser: Browser, bank: PluginConfiguration
) -> None:
    order = an_order(bank.organization)
    hand_over(browser, bank, order)
    sending.send_due(timezone.now())
    movement = an_expense(order, variable_symbol="1")
    for _click in range(2):
        browser.post(f"/payments/{order.pk}/execution/", {"transaction": movement.pk})
    order.refresh_from_db()
    assert order.executed_by_id == movement.pk
    for _click in range(2):
        browser.post(f"/payments/{order.pk}/execution/", {"rejected": movement.pk})
    order.refresh_from_db()
    assert (order.state, order.rejected_ids) == ("handed_over", [movement.pk])


def test_a_payment_that_went_twice_is_shown_until_somebody_looked(
    browser: Browser, bank: PluginConfiguration
) -> None:
    order = an_order(bank.organization)
    hand_over(browser, bank, order)
    sending.send_due(timezone.now())
    first, second = (an_expense(order, message=order.id_for_bank) for _ in range(2))
    browser.post(f"/payments/{order.pk}/execution/", {"transaction": first.pk})
    assert "Was it paid twice?" in text(browser, "/payments/")
    browser.post(f"/payments/{order.pk}/execution/", {"rejected": second.pk})
    assert "Was it paid twice?" not in text(browser, "/payments/")


@translation.override("en")
def test_a_field_that_the_bank_cannot_take_is_called_as_the_form_calls_it() -> None:
    error = Misconfigured("Fill in “{name}” of {payee}.", field="1.due_on", name="due_on", payee="Řehoř")
    assert order_error_text(error) == "Fill in “Due on” of Řehoř."
    assert told_text("1500.50 CZK ≠ 1.00 CZK") == "CZK\u00a01,500.50 ≠ CZK\u00a01.00"


def test_what_the_bank_said_names_the_order_it_is_about(
    browser: Browser, bank: PluginConfiguration, paper: PaperBank
) -> None:
    one, other = an_order(bank.organization), an_order(bank.organization, counterparty_name="Jiný s.r.o.")
    paper.behaviour = refusing(other.id_for_bank)
    hand_over(browser, bank, one, other)
    sending.send_due(timezone.now())
    page = text(browser, f"/payments/batches/{PaymentBatch.objects.get().pk}/")
    said = page.partition("said-title")[2]
    assert f'href="/payments/{other.pk}/"' in said
    assert f'href="/payments/{one.pk}/"' not in said


def test_money_on_its_way_back_that_was_used_otherwise_is_shown(
    browser: Browser, bank: PluginConfiguration, personas: Personas
) -> None:
    account = an_account(personas.organization, NUMBER)
    payment = a_payment(account, "300.00 CZK", counterparty_account=SUPPLIER)
    browser.post(f"/payments/new/?refund={payment.pk}", written({"amount": "300"}))
    order = PaymentOrder.objects.get()
    hand_over(browser, bank, order)
    sending.send_due(timezone.now())
    warning = "The money that goes back was used otherwise meanwhile."
    assert warning not in text(browser, "/payments/")
    invoice = an_invoice(a_client(personas.organization), "300.00 CZK")
    settling.settle(invoice, payment, payment.amount, actor=SYSTEM)
    assert warning in text(browser, "/payments/")
    assert warning in text(browser, f"/payments/{order.pk}/")
