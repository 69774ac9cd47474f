"""The switches of matching, the list of its runs, and undoing one as a whole."""

from __future__ import annotations

import pytest
from django.test import Client as Browser
from django.test import override_settings

from kvit.invoices.models import Invoice
from kvit.matching.models import MatchingRun, MatchingSettings
from kvit.matching.reconcile import reconcile
from kvit.users.models import Organization
from tests.factories import a_client, a_payment, an_account, an_invoice, an_organization
from tests.personas import Personas

FORM = {"auto_a1": "on", "auto_a2": "on", "auto_a3": "on", "auto_a4": "on"}


@pytest.fixture
def browser(personas: Personas, client: Browser) -> Browser:
    personas.owner.language = "en"
    personas.owner.save()
    client.force_login(personas.owner)
    return client


def a_run(organization: Organization, count: int = 2) -> MatchingRun:
    """Some invoices paid in one pass, beside a payment that waits."""
    account = an_account(organization)
    for place in range(count):
        invoice = an_invoice(a_client(organization), f"{place + 10}.00 CZK")
        a_payment(account, f"{place + 10}.00 CZK", variable_symbol=invoice.variable_symbol)
    a_payment(account, "999.00 CZK")
    reconcile(organization)
    return MatchingRun.objects.get(organization=organization)


def test_the_switches_are_saved_and_without_a_mail_server_thanks_cannot_be(
    browser: Browser, personas: Personas
) -> None:
    page = browser.get("/matching/").content.decode()
    assert "KVIT_SMTP_URL" in page
    browser.post("/matching/", FORM | {"sends_thanks": "on", "grace_hours": "5"})
    saved = MatchingSettings.of(personas.organization)
    assert sorted(saved.enabled) == ["A1", "A2", "A3", "A4"]
    assert (saved.sends_thanks, saved.grace_hours) == (False, 24)
    with override_settings(MAILERS={"default": {"OPTIONS": {"host": "127.0.0.1"}}}):
        assert "KVIT_SMTP_URL" not in browser.get("/matching/").content.decode()
        browser.post("/matching/", FORM | {"sends_thanks": "on", "grace_hours": "5"})
        refused = browser.post("/matching/", FORM | {"sends_thanks": "on", "grace_hours": "721"})
    saved = MatchingSettings.of(personas.organization)
    assert (saved.sends_thanks, saved.grace_hours) == (True, 5)
    assert "720" in refused.content.decode()


def test_a_run_is_listed_told_and_undone_as_a_whole(browser: Browser, personas: Personas) -> None:
    run = a_run(personas.organization)
    page = browser.get("/matching/runs/").content.decode()
    assert f"/matching/runs/{run.pk}/" in page
    page = browser.get(f"/matching/runs/{run.pk}/").content.decode()
    for number in Invoice.objects.values_list("number", flat=True):
        assert number in page
    page = browser.post(f"/matching/runs/{run.pk}/undo/", follow=True).content.decode()
    assert "2 matches were undone." in page
    assert f"/matching/runs/{run.pk}/undo/" not in page
    assert not Invoice.objects.exclude(state="issued").exists()
    again = browser.post(f"/matching/runs/{run.pk}/undo/", follow=True).content.decode()
    assert "This was undone already." in again


def test_what_cannot_be_undone_is_named_with_its_reason(browser: Browser, personas: Personas) -> None:
    run = a_run(personas.organization)
    first = Invoice.objects.order_by("pk")[0]
    an_invoice(a_client(personas.organization), "5.00 CZK", symbol=first.variable_symbol)
    page = browser.post(f"/matching/runs/{run.pk}/undo/", follow=True).content.decode()
    assert "1 match was undone." in page
    assert f"Invoice {first.number} cannot be opened again" in page
    assert sorted(Invoice.objects.values_list("state", flat=True)) == ["issued", "issued", "paid"]
    assert f"/matching/runs/{run.pk}/undo/" in page


def test_an_accountant_looks_and_a_stranger_finds_nothing(client: Browser, personas: Personas) -> None:
    run = a_run(personas.organization)
    urls = ["/matching/", "/matching/runs/", f"/matching/runs/{run.pk}/"]
    client.force_login(personas.accountant)
    assert [client.get(url).status_code for url in urls] == [200, 200, 200]
    page = client.get("/matching/").content.decode()
    assert page.count(" disabled") == 7
    assert '<button class="button primary"' not in page
    assert "/undo/" not in client.get(urls[2]).content.decode()
    assert {client.post(url).status_code for url in (urls[0], f"{urls[2]}undo/")} == {403}
    client.force_login(personas.stranger)
    assert client.get(urls[2]).status_code == 404
    assert client.post(f"{urls[2]}undo/").status_code == 404
    assert not Invoice.objects.filter(state="issued").exists()


def test_runs_of_others_are_not_listed(browser: Browser) -> None:
    a_run(an_organization())
    assert not browser.get("/matching/runs/").context["passes"]


def test_the_menu_leads_there(browser: Browser) -> None:
    assert 'href="/matching/"' in browser.get("/").content.decode()
