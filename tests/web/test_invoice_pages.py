"""Invoices: from the draft's editor to the paid paper, and back by undo."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client as Browser
from django.utils import timezone, translation

from kvit.audit.models import AuditEntry
from kvit.invoices.models import Invoice, Settlement
from kvit.web.amounts import NumberField, read_number
from kvit.work.models import Client
from tests.factories import TODAY, a_client, a_draft, a_payment, an_account, an_invoice
from tests.personas import Personas


@pytest.fixture
def browser(personas: Personas, client: Browser) -> Browser:
    personas.owner.language = "en"
    personas.owner.save()
    client.force_login(personas.owner)
    return client


@pytest.fixture
def customer(personas: Personas) -> Client:
    return a_client(personas.organization, "Pekařství")


def form_of(client: Client, *lines: tuple[str, str, str, str], **changes: str) -> dict[str, Any]:
    form: dict[str, Any] = {
        "client": client.pk,
        "account": "",
        "currency": "CZK",
        "due_on": "2030-01-31",
        "variable_symbol": "",
        "note": "",
        "lines-TOTAL_FORMS": str(len(lines)),
        "lines-INITIAL_FORMS": "0",
    }
    for place, line in enumerate(lines):
        for name, value in zip(("description", "quantity", "unit", "unit_price"), line, strict=True):
            form[f"lines-{place}-{name}"] = value
    return form | changes


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("1250", "1250"),
        ("1250,50", "1250.50"),
        ("1250.5", "1250.5"),
        ("1 250,50", "1250.50"),
        ("1\u00a0250\u00a0000,5", "1250000.5"),
        ("1\u202f250", "1250"),
        ("1,250.50", "1250.50"),
        ("1.250,50", "1250.50"),
        (" -12,5 ", "-12.5"),
        ("−12", "-12"),
        ("0", "0"),
    ],
)
def test_amounts_are_read_as_people_write_them(written: str, number: str) -> None:
    assert read_number(written) == Decimal(number)


@pytest.mark.parametrize(
    "written",
    ["", "-", "12 50", "1,250,000", "1.2.3", "1e3", "NaN", "1 250.5.", "٣", "1,25 0", "12a", "1" * 13, "+5"],
)
def test_what_is_no_amount_is_not_guessed(written: str) -> None:
    with pytest.raises(ValueError):
        read_number(written)


def test_a_third_decimal_of_a_price_is_asked_about_even_when_it_is_zero() -> None:
    with pytest.raises(ValidationError):
        NumberField(decimals=2).clean("1,250")
    assert NumberField(decimals=3).clean("1,250") == Decimal("1.25")


def test_a_number_is_shown_the_way_it_is_read_back() -> None:
    field = NumberField(decimals=2)
    for language in ("cs", "en"):
        with translation.override(language):
            assert field.clean(field.prepare_value(Decimal("-1250000.50"))) == Decimal("-1250000.50")


def test_a_draft_is_written_issued_paid_by_hand_and_opened_again(browser: Browser, customer: Client) -> None:
    form = form_of(customer, ("Práce", "2,5", "h", "1 000,00"), ("", "1", "", ""), ("Sleva", "", "", "-0,01"))
    response = browser.post("/invoices/new/", form)
    invoice = Invoice.objects.get()
    assert response["Location"] == f"/invoices/{invoice.pk}/"
    assert str(invoice.total) == "2499.99 CZK"
    assert [line.description for line in invoice.lines.all()] == ["Práce", "Sleva"]

    issued = {"issued_on": timezone.localdate().isoformat()}
    browser.post(f"/invoices/{invoice.pk}/issue/", issued)
    again = browser.post(f"/invoices/{invoice.pk}/issue/", issued, follow=True)
    assert "issued already" in again.content.decode()
    invoice.refresh_from_db()
    year = timezone.localdate().year
    assert (invoice.state, invoice.number) == ("issued", f"{year}-001")

    paid = {"paid_on": timezone.localdate().isoformat()}
    first = browser.post(f"/invoices/{invoice.pk}/payment/", paid, follow=True).content.decode()
    browser.post(f"/invoices/{invoice.pk}/payment/", paid)
    line = Settlement.objects.get()
    invoice.refresh_from_db()
    assert invoice.state == "paid"
    assert f'action="/settlements/{line.pk}/undo/"' in first
    assert "marked by hand by owner@example.com" in first

    browser.post(f"/settlements/{line.pk}/undo/")
    browser.post(f"/settlements/{line.pk}/undo/")
    invoice.refresh_from_db()
    assert (invoice.state, invoice.settled_minor) == ("issued", 0)
    page = browser.get(f"/invoices/{invoice.pk}/").content.decode()
    for text in (f"Issued as {invoice.number}.", "was undone.", "Nothing has been paid", "Draft of"):
        assert (text in page) == (text != "Nothing has been paid")


def test_money_that_came_before_the_issue_pays_at_once_and_the_banner_says_why(
    browser: Browser, personas: Personas, customer: Client
) -> None:
    account = an_account(personas.organization)
    draft = a_draft(customer, symbol="77", account=account, due_on=TODAY.replace(year=2030))
    a_payment(account, variable_symbol="0077")
    page = browser.post(
        f"/invoices/{draft.pk}/issue/", {"issued_on": timezone.localdate().isoformat()}, follow=True
    ).content.decode()
    assert "matched automatically by variable symbol and amount." in page
    assert "/decisions/" in page


def test_undoing_a_settlement_of_the_bank_undoes_its_decision(
    browser: Browser, personas: Personas, customer: Client
) -> None:
    account = an_account(personas.organization)
    invoice = an_invoice(customer, account=account)
    row = a_payment(account)
    browser.post(f"/transactions/{row.pk}/confirmation/", {"invoice": invoice.pk})
    line = Settlement.objects.get()
    browser.post(f"/settlements/{line.pk}/undo/")
    invoice.refresh_from_db()
    assert invoice.state == "issued"
    assert row.decisions.get(port="manual").undone_at is not None


def test_a_payment_by_hand_undone_makes_room_for_the_one_from_the_bank(
    browser: Browser, personas: Personas, customer: Client
) -> None:
    account = an_account(personas.organization)
    invoice = an_invoice(customer, account=account)
    browser.post(f"/invoices/{invoice.pk}/payment/", {"paid_on": "2026-11-20"})
    by_hand = Settlement.objects.get()
    row = a_payment(account, variable_symbol=invoice.variable_symbol)
    browser.post(f"/settlements/{by_hand.pk}/undo/")
    row.refresh_from_db()
    assert not row.unsettled


@pytest.mark.parametrize(
    ("lines", "changes", "said"),
    [
        ((("Práce", "1", "", "12 50"),), {}, "Write a number such as"),
        ((("Práce", "1", "", "1,250"),), {}, "At most 2 decimals."),
        ((("", "1", "", "5"),), {}, "Say what the line is for."),
        ((("Práce", "1", "", ""),), {}, "Fill in the price."),
        ((("Práce", "999999999999", "", "999999999999"),), {}, "too large to be true"),
        ((("Práce", "1", "", "5"),), {"variable_symbol": "12a"}, "at most ten digits"),
        ((("Práce", "1", "", "5"),), {"due_on": "soon"}, "Enter a valid date"),
        ((("Práce", "1", "", "5"),), {"currency": "XXX"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_read_is_said_beside_its_field_and_nothing_is_saved(
    browser: Browser, customer: Client, lines: Any, changes: dict[str, str], said: str
) -> None:
    response = browser.post("/invoices/new/", form_of(customer, *lines, **changes))
    assert response.status_code == 200
    assert said in response.content.decode()
    assert not Invoice.objects.exists()


def test_lines_are_added_and_removed_without_javascript(browser: Browser, customer: Client) -> None:
    form = form_of(customer, ("A", "1", "", "x"), ("B", "2", "", "3"), note="keep me")
    grown = browser.post("/invoices/new/", form | {"add-line": "1"}).context
    assert [line["description"].value() for line in grown["lines"]] == ["A", "B", None]
    shrunk = browser.post("/invoices/new/", form | {"remove-line": "0"}).context
    assert [line["description"].value() for line in shrunk["lines"]] == ["B"]
    assert shrunk["head"]["note"].value() == "keep me"
    assert not Invoice.objects.exists()


def test_another_organizations_client_and_account_cannot_be_chosen(
    browser: Browser, personas: Personas, customer: Client
) -> None:
    theirs = personas.stranger.memberships.get().organization
    for change in ({"client": str(a_client(theirs).pk)}, {"account": str(an_account(theirs).pk)}):
        response = browser.post("/invoices/new/", form_of(customer, ("A", "1", "", "1")) | change)
        assert response.status_code == 200
    assert not Invoice.objects.exists()


def test_a_draft_is_changed_and_deleted_but_an_issued_invoice_is_not(
    browser: Browser, customer: Client
) -> None:
    draft = a_draft(customer)
    browser.post(f"/invoices/{draft.pk}/edit/", form_of(customer, ("Jiné", "3", "", "7")))
    draft.refresh_from_db()
    assert str(draft.total) == "21.00 CZK"
    browser.post(f"/invoices/{draft.pk}/discard/")
    assert not Invoice.objects.exists()

    invoice = an_invoice(customer)
    browser.post(f"/invoices/{invoice.pk}/edit/", form_of(customer, ("Jiné", "3", "", "7")))
    browser.post(f"/invoices/{invoice.pk}/discard/")
    invoice.refresh_from_db()
    assert str(invoice.total) == "1210.00 CZK"


@pytest.mark.parametrize("day", ["", "0206-11-22", "2126-11-22"])
def test_an_unlikely_day_of_issue_spends_no_number(browser: Browser, customer: Client, day: str) -> None:
    draft = a_draft(customer)
    assert browser.post(f"/invoices/{draft.pk}/issue/", {"issued_on": day}).status_code == 200
    draft.refresh_from_db()
    assert draft.is_draft


def test_an_empty_draft_is_refused_with_words(browser: Browser, customer: Client) -> None:
    browser.post("/invoices/new/", form_of(customer, ("", "1", "", "")))
    draft = Invoice.objects.get()
    response = browser.post(
        f"/invoices/{draft.pk}/issue/", {"issued_on": timezone.localdate().isoformat()}, follow=True
    )
    assert "An invoice without an amount cannot be issued." in response.content.decode()


def test_a_payment_in_the_future_is_refused(browser: Browser, customer: Client) -> None:
    invoice = an_invoice(customer)
    response = browser.post(f"/invoices/{invoice.pk}/payment/", {"paid_on": "2126-01-01"})
    assert "cannot lie in the future" in response.content.decode()
    assert not Settlement.objects.exists()


def test_tabs_count_and_sum_each_currency(browser: Browser, customer: Client) -> None:
    a_draft(customer, "10.00 CZK")
    an_invoice(customer, "100.00 CZK", due_on=TODAY.replace(year=2030))
    an_invoice(customer, "50.00 EUR", due_on=TODAY.replace(year=2030))
    context = browser.get("/invoices/?tab=all").context
    assert dict(context["tabs"]) == {"all": 3, "drafts": 1, "open": 2, "overdue": 0, "paid": 0}
    assert [(str(total), str(owed)) for total, owed in context["sums"]] == [
        ("110.00 CZK", "100.00 CZK"),
        ("50.00 EUR", "50.00 EUR"),
    ]
    assert browser.get("/invoices/?tab=nonsense").status_code == 404


def test_an_accountant_looks_and_a_stranger_finds_nothing(
    client: Browser, personas: Personas, customer: Client
) -> None:
    draft, invoice = a_draft(customer), an_invoice(customer)
    posts = ["/invoices/new/"]
    posts += [f"/invoices/{draft.pk}/{act}/" for act in ("edit", "issue", "discard", "payment")]
    posts += [f"/invoices/{invoice.pk}/payment/"]
    before = AuditEntry.objects.count()
    form = form_of(customer, ("A", "1", "", "1")) | {"issued_on": "2026-11-22", "paid_on": "2026-11-20"}
    client.force_login(personas.accountant)
    assert client.get(f"/invoices/{invoice.pk}/").status_code == 200
    assert client.get(f"/invoices/{draft.pk}/edit/").status_code == 403
    assert {client.post(url, form).status_code for url in posts} == {403}
    client.force_login(personas.stranger)
    for url in (f"/invoices/{invoice.pk}/", f"/invoices/{draft.pk}/edit/"):
        assert client.get(url).status_code == 404
    assert {client.post(url, form).status_code for url in posts[1:]} == {404}
    assert client.get("/invoices/").context["rows"] == []
    assert AuditEntry.objects.count() == before
