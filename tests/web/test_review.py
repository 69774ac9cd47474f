"""Review: confirm, reject, dismiss, resolve, and undo all of it."""

from __future__ import annotations

import pytest
from django.test import Client as Browser

from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM
from kvit.invoices.models import Invoice, Settlement
from kvit.ledger.models import MoneyTransaction, TransactionConflict
from kvit.matching.models import Decision, Rejection
from kvit.matching.reconcile import reconcile
from kvit.work.clients import add_payer_account
from tests.factories import a_client, a_movement, a_payment, an_account, an_invoice, post
from tests.personas import Personas


@pytest.fixture
def browser(personas: Personas, client: Browser) -> Browser:
    personas.owner.language = "en"
    personas.owner.save()
    client.force_login(personas.owner)
    return client


@pytest.fixture
def invoice(personas: Personas) -> Invoice:
    return an_invoice(a_client(personas.organization), account=an_account(personas.organization))


@pytest.fixture
def payment(invoice: Invoice) -> MoneyTransaction:
    """A payment of the invoice's amount without its symbol, waiting for a person."""
    account = an_account(invoice.organization)
    row = a_payment(account, counterparty_account="19-2000145399/0800")
    reconcile(invoice.organization)
    return row


def conflict_of(personas: Personas) -> TransactionConflict:
    account = an_account(personas.organization)
    post(account, [a_movement("C1", "500.00 CZK")])
    post(account, [a_movement("C1", "550.00 CZK")])
    return TransactionConflict.objects.get()


def page(browser: Browser, url: str = "/review/") -> str:
    return browser.get(url).content.decode()


def test_a_card_shows_the_reason_the_candidate_and_the_difference(
    browser: Browser, personas: Personas, invoice: Invoice
) -> None:
    account = an_account(personas.organization)
    a_payment(account, "1000.00 CZK", variable_symbol=invoice.variable_symbol)
    reconcile(personas.organization)
    shown = browser.get("/review/").context["cards"][0]
    assert shown.best.invoice == invoice
    assert str(shown.best.missing) == "210.00 CZK"
    text = page(browser)
    assert "too little" in text
    assert "same variable symbol" in text


def test_a_known_payer_account_of_another_client_is_named_as_the_reason(
    browser: Browser, personas: Personas, invoice: Invoice
) -> None:
    add_payer_account(a_client(personas.organization, "Jiný"), "19-2000145399/0800", actor=SYSTEM)
    a_payment(
        an_account(personas.organization),
        variable_symbol=invoice.variable_symbol,
        counterparty_account="19-2000145399/0800",
    )
    reconcile(personas.organization)
    text = page(browser)
    assert "19-2000145399/0800 is known for another client only." in text
    assert "payer account of another client" in text
    assert not Settlement.objects.exists()


def test_confirming_twice_pays_once_and_undo_opens_the_invoice_again(
    browser: Browser, invoice: Invoice, payment: MoneyTransaction
) -> None:
    url, form = f"/transactions/{payment.pk}/confirmation/", {"invoice": invoice.pk}
    assert browser.post(url, form).status_code == 302
    assert browser.post(url, form, follow=True).status_code == 200
    line = Settlement.objects.get()
    invoice.refresh_from_db()
    assert (invoice.state, invoice.settled_minor) == ("paid", 121000)

    undo = f"/decisions/{line.decision_id}/undo/"
    assert undo in page(browser, "/review/?tab=matched")
    browser.post(undo)
    browser.post(undo)
    invoice.refresh_from_db()
    payment.refresh_from_db()
    assert (invoice.state, invoice.settled_minor, payment.settled_minor) == ("issued", 0, 0)
    assert Settlement.objects.count() == 2
    assert Decision.objects.waiting().get().transaction == payment


def test_an_act_offers_to_undo_it_and_goes_on_where_the_form_says(
    browser: Browser, invoice: Invoice, payment: MoneyTransaction
) -> None:
    form = {"invoice": invoice.pk, "next": "/review/#movement-7"}
    response = browser.post(f"/transactions/{payment.pk}/confirmation/", form)
    assert response["Location"] == "/review/#movement-7"
    decision = Decision.objects.get(port="manual")
    assert f'action="/decisions/{decision.pk}/undo/"' in page(browser)

    form["next"] = "https://elsewhere.example/"
    response = browser.post(f"/transactions/{payment.pk}/confirmation/", form)
    assert response["Location"] == "/review/"


def test_another_invoice_may_be_paid_in_part(
    browser: Browser, personas: Personas, payment: MoneyTransaction
) -> None:
    larger = an_invoice(a_client(personas.organization), "5000.00 CZK")
    browser.post(f"/transactions/{payment.pk}/confirmation/", {"invoice": larger.pk})
    larger.refresh_from_db()
    assert (larger.state, str(larger.open)) == ("issued", "3790.00 CZK")


def test_an_invoice_in_another_currency_is_refused_with_a_message(
    browser: Browser, personas: Personas, payment: MoneyTransaction
) -> None:
    euros = an_invoice(a_client(personas.organization), "1210.00 EUR")
    response = browser.post(f"/transactions/{payment.pk}/confirmation/", {"invoice": euros.pk}, follow=True)
    assert "two currencies" in response.content.decode()
    assert not Settlement.objects.exists()


def test_a_rejected_pair_is_offered_no_more_until_that_is_undone(
    browser: Browser, invoice: Invoice, payment: MoneyTransaction
) -> None:
    form = {"invoice": invoice.pk}
    browser.post(f"/transactions/{payment.pk}/rejection/", form)
    assert browser.get("/review/").context["cards"][0].best is None
    assert "Marked as not paying invoice" in page(browser, f"/transactions/{payment.pk}/")

    browser.post(f"/transactions/{payment.pk}/rejection/undo/", form)
    again = browser.post(f"/transactions/{payment.pk}/rejection/undo/", form, follow=True)
    assert "undone already" in again.content.decode()
    assert not Rejection.objects.exists()
    assert browser.get("/review/").context["cards"][0].best.invoice == invoice
    entry = AuditEntry.objects.get(table="matching_rejection", action="deleted")
    assert entry.actor == "user:owner@example.com"


def test_a_dismissed_payment_leaves_the_review_and_can_be_restored(
    browser: Browser, payment: MoneyTransaction
) -> None:
    browser.post(f"/transactions/{payment.pk}/dismissal/")
    assert browser.get("/review/").context["cards"] == []
    assert "Everything is matched until" in page(browser)
    decision = Decision.objects.current().get()
    assert f"/decisions/{decision.pk}/undo/" in page(browser, "/review/?tab=dismissed")
    browser.post(f"/decisions/{decision.pk}/undo/")
    assert [card.row for card in browser.get("/review/").context["cards"]] == [payment]


@pytest.mark.parametrize(("answer", "amount"), [("keep", 50000), ("accept", 55000)])
def test_a_conflict_is_decided_once(browser: Browser, personas: Personas, answer: str, amount: int) -> None:
    conflict = conflict_of(personas)
    url = f"/conflicts/{conflict.pk}/resolution/"
    assert url in page(browser)
    browser.post(url, {"answer": answer})
    browser.post(url, {"answer": "accept"})
    assert MoneyTransaction.objects.get().amount_minor == amount
    assert url not in page(browser)


def test_what_was_not_asked_for_properly_is_not_there(
    browser: Browser, personas: Personas, payment: MoneyTransaction
) -> None:
    other = an_invoice(a_client(personas.stranger.memberships.get().organization))
    url = f"/transactions/{payment.pk}/confirmation/"
    for invoice in ("", "x", "9" * 30, "²", str(other.pk), "0"):
        assert browser.post(url, {"invoice": invoice}).status_code == 404
    assert browser.get("/review/?tab=nonsense").status_code == 404
    assert browser.get(url).status_code == 405


def test_an_accountant_looks_and_a_stranger_finds_nothing(
    client: Browser, personas: Personas, invoice: Invoice, payment: MoneyTransaction
) -> None:
    conflict = conflict_of(personas)
    decision = Decision.objects.current().get(transaction=payment)
    posts = [
        f"/transactions/{payment.pk}/confirmation/",
        f"/transactions/{payment.pk}/rejection/",
        f"/transactions/{payment.pk}/rejection/undo/",
        f"/transactions/{payment.pk}/dismissal/",
        f"/decisions/{decision.pk}/undo/",
        f"/conflicts/{conflict.pk}/resolution/",
    ]
    form = {"invoice": invoice.pk, "answer": "accept"}
    before = AuditEntry.objects.count()
    client.force_login(personas.accountant)
    assert 'action="/transactions/' not in page(client).replace('action="/transactions/"', "")
    assert {client.post(url, form).status_code for url in posts} == {403}
    client.force_login(personas.stranger)
    assert client.get("/review/").context["cards"] == []
    assert {client.post(url, form).status_code for url in posts} == {404}
    client.logout()
    assert {client.post(url, form).status_code for url in posts} == {302}
    assert AuditEntry.objects.count() == before
