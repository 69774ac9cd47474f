"""Clients and the accounts they are known to pay from."""

from __future__ import annotations

import pytest
from django.test import Client as Browser

from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM
from kvit.ledger.models import MoneyTransaction
from kvit.matching.reconcile import reconcile
from kvit.work.clients import add_payer_account
from kvit.work.models import Client, PayerAccount
from tests.factories import a_client, a_payment, an_account, an_invoice
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


def test_forgetting_a_payer_account_lifts_its_veto_and_adding_it_twice_is_refused(
    browser: Browser, personas: Personas
) -> None:
    organization, number = personas.organization, "19-2000145399/0800"
    other = a_client(organization, "Jiný")
    invoice = an_invoice(a_client(organization), account=an_account(organization))
    known = add_payer_account(other, number, actor=SYSTEM)
    row = a_payment(
        an_account(organization), variable_symbol=invoice.variable_symbol, counterparty_account=number
    )
    reconcile(organization)
    assert MoneyTransaction.objects.get(pk=row.pk).settled_minor == 0
    again = browser.post(f"/clients/{other.pk}/accounts/", {"number": "CZ65 0800 0000 1920 0014 5399"})
    assert "is known already" in again.content.decode()

    page = browser.post(f"/payer-accounts/{known.pk}/removal/", follow=True).content.decode()
    assert browser.post(f"/payer-accounts/{known.pk}/removal/").status_code == 404
    assert MoneyTransaction.objects.get(pk=row.pk).settled_minor == 121000
    assert f'value="{number}"' in page
    entry = AuditEntry.objects.get(table="work_payeraccount", action="deleted")
    told = {"client_id": other.pk, "number": number, "provenance": "human", "decision_id": None}
    assert entry.before == told

    browser.post(f"/clients/{other.pk}/accounts/", {"number": number})
    assert PayerAccount.objects.get(client=other).provenance == "human"
    assert "Also known for" in browser.get(f"/clients/{other.pk}/").content.decode()


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
