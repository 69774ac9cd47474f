"""Clients and the accounts they are known to pay from."""

from __future__ import annotations

import pytest
from django.test import Client as Browser

from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM
from kvit.invoices.crediting import draft_credit_note
from kvit.invoices.settling import settle_by_hand
from kvit.ledger.models import MoneyTransaction
from kvit.matching import review
from kvit.matching.models import Decision
from kvit.matching.reconcile import reconcile
from kvit.work.clients import add_payer_account
from kvit.work.models import Client, PayerAccount
from tests.factories import TODAY, a_client, a_payment, an_account, an_invoice
from tests.personas import Personas

FORM = {"name": "Studio Jabloň a.s.", "country": "cz", "city": "Brno"}


@pytest.fixture
def browser(personas: Personas, client: Browser) -> Browser:
    personas.owner.language = "en"
    personas.owner.save()
    client.force_login(personas.owner)
    return client


def test_a_client_is_made_and_changed_with_an_audit_entry_each(browser: Browser) -> None:
    browser.post("/clients/new/", FORM)
    row = Client.objects.get()
    assert (row.name, row.country) == ("Studio Jabloň a.s.", "CZ")
    browser.post(f"/clients/{row.pk}/", FORM | {"city": "Praha"})
    browser.post(f"/clients/{row.pk}/", FORM | {"city": "Praha"})
    entries = AuditEntry.objects.filter(table="work_client").order_by("id")
    assert [(entry.action, entry.before) for entry in entries] == [
        ("created", None),
        ("changed", {"city": "Brno"}),
    ]
    assert {entry.actor for entry in entries} == {"user:owner@example.com"}


def test_a_client_made_on_the_way_to_an_invoice_is_chosen_there(browser: Browser) -> None:
    response = browser.post("/clients/new/?invoice", FORM, follow=True)
    assert response.context["head"]["client"].value() == str(Client.objects.get().pk)


def test_a_name_is_used_once(browser: Browser, personas: Personas) -> None:
    a_client(personas.organization, FORM["name"])
    response = browser.post("/clients/new/", FORM)
    assert "has the name" in response.content.decode()
    assert Client.objects.count() == 1


def test_forgetting_a_payer_account_lifts_its_veto_for_a_person_and_adding_it_twice_is_refused(
    browser: Browser, personas: Personas
) -> None:
    organization, number = personas.organization, "2000145399/0800"
    other = a_client(organization, "Jiný")
    invoice = an_invoice(a_client(organization), account=an_account(organization))
    known = add_payer_account(other, number, actor=SYSTEM)
    row = a_payment(
        an_account(organization), variable_symbol=invoice.variable_symbol, counterparty_account=number
    )
    reconcile(organization)
    assert MoneyTransaction.objects.get(pk=row.pk).settled_minor == 0
    again = browser.post(f"/clients/{other.pk}/accounts/", {"number": "CZ79 0800 0000 0020 0014 5399"})
    assert "is known already" in again.content.decode()

    page = browser.post(f"/payer-accounts/{known.pk}/removal/", follow=True).content.decode()
    assert browser.post(f"/payer-accounts/{known.pk}/removal/").status_code == 404
    assert MoneyTransaction.objects.get(pk=row.pk).settled_minor == 0
    waiting = Decision.objects.current().get(transaction=row)
    assert (waiting.port, waiting.because[0]["code"]) == ("suggest", "payment.waited")
    assert f'value="{number}"' in page
    entry = AuditEntry.objects.get(table="work_payeraccount", action="deleted")
    told = {"client_id": other.pk, "number": number, "provenance": "human", "decision_id": None}
    assert entry.before == told

    review.accept(waiting, actor=SYSTEM)
    browser.post(f"/clients/{other.pk}/accounts/", {"number": number})
    assert PayerAccount.objects.get(client=other).provenance == "human"
    assert "Also known for" in browser.get(f"/clients/{other.pk}/").content.decode()


def test_an_account_that_becomes_known_settles_what_waited_only_for_it(
    browser: Browser, personas: Personas
) -> None:
    organization, number = personas.organization, "2000145399/0800"
    ours, rival = a_client(organization), a_client(organization)
    invoice = an_invoice(ours)
    an_invoice(rival)
    row = a_payment(
        an_account(organization), variable_symbol=invoice.variable_symbol, counterparty_account=number
    )
    reconcile(organization)
    assert Decision.objects.current().get(transaction=row).port == "suggest"
    browser.post(f"/clients/{ours.pk}/accounts/", {"number": number})
    assert Decision.objects.current().get(transaction=row).port == "auto"


def test_a_learned_account_leads_to_the_payment_that_showed_it_and_the_rest_of_it_is_a_credit(
    browser: Browser, personas: Personas
) -> None:
    organization = personas.organization
    client = a_client(organization)
    invoice = an_invoice(client, "1000.00 CZK")
    row = a_payment(an_account(organization), "1250.00 CZK", counterparty_account="2000145399/0800")
    reconcile(organization)
    decision = review.confirm(row, invoice, actor=SYSTEM)
    page = browser.get(f"/clients/{client.pk}/").content.decode()
    assert "left of the payment of CZK\u00a01,250.00" in page
    assert "CZK\u00a0250.00" in page
    assert page.count(f'href="/transactions/{row.pk}/"') == 2
    review.undo(decision, actor=SYSTEM)
    page = browser.get(f"/clients/{client.pk}/").content.decode()
    assert "Owed to the client" not in page
    assert "None yet. They are learned" in page


def test_an_open_credit_note_is_a_refund_owed_and_no_money_to_receive(
    browser: Browser, personas: Personas
) -> None:
    client = a_client(personas.organization)
    invoice = an_invoice(client, "1000.00 CZK")
    settle_by_hand(invoice, TODAY, actor=SYSTEM)
    invoice.refresh_from_db()
    note = draft_credit_note(invoice, TODAY, actor=SYSTEM)
    note.issue(TODAY, actor=SYSTEM)
    page = browser.get(f"/clients/{client.pk}/").content.decode()
    assert f"credit note {note.number}" in page
    assert "CZK\u00a01,000.00 open" not in page
    assert "1 open" not in browser.get("/clients/").content.decode()


def test_an_accountant_looks_and_a_stranger_finds_nothing(client: Browser, personas: Personas) -> None:
    row = a_client(personas.organization)
    known = add_payer_account(row, "1234567890/0800", actor=SYSTEM)
    posts = ["/clients/new/", f"/clients/{row.pk}/", f"/clients/{row.pk}/accounts/"]
    posts += [f"/payer-accounts/{known.pk}/removal/"]
    form = FORM | {"number": "111/0100"}
    before = AuditEntry.objects.count()
    client.force_login(personas.accountant)
    assert [client.get(url).status_code for url in ("/clients/", f"/clients/{row.pk}/")] == [200, 200]
    assert client.get("/clients/new/").status_code == 403
    assert {client.post(url, form).status_code for url in posts} == {403}
    client.force_login(personas.stranger)
    assert client.get(f"/clients/{row.pk}/").status_code == 404
    assert {client.post(url, form).status_code for url in posts[1:]} == {404}
    assert AuditEntry.objects.count() == before
