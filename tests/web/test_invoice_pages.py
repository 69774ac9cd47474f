"""Invoices: from the draft's editor to the paid paper, and back by undo."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client as Browser
from django.utils import timezone, translation

from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM
from kvit.invoices import crediting, settling
from kvit.invoices.models import Invoice, InvoiceLine, Settlement
from kvit.ledger.models import MoneyTransaction
from kvit.matching import review
from kvit.matching.models import Decision
from kvit.matching.reconcile import reconcile
from kvit.web.amounts import NumberField, read_number
from kvit.work.models import Client
from tests.factories import TODAY, a_client, a_draft, a_payment, an_account, an_invoice, money
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
        "order_number": "",
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
    a_payment(account, variable_symbol="0077", booked_on=timezone.localdate())
    page = browser.post(
        f"/invoices/{draft.pk}/issue/", {"issued_on": timezone.localdate().isoformat()}, follow=True
    ).content.decode()
    assert "Kvit matched it by itself." in page
    assert "one symbol, exactly what is open (A1)" in page
    assert "<mark>0077</mark>" in page
    assert "The references can be read in one way only." in page
    line = Settlement.objects.get()
    assert f'action="/settlements/{line.pk}/undo/"' in page


def test_undoing_a_settlement_of_the_bank_undoes_its_decision(
    browser: Browser, personas: Personas, customer: Client
) -> None:
    account = an_account(personas.organization)
    invoice = an_invoice(customer, account=account)
    row = a_payment(account)
    review.confirm(row, invoice, actor=SYSTEM)
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


LATER = TODAY.replace(year=2030)


def text_of(browser: Browser, url: str) -> str:
    """The page with every space an ordinary one."""
    return browser.get(url).content.decode().replace("\N{NO-BREAK SPACE}", " ")


def issue(browser: Browser, pk: int) -> str:
    day = timezone.localdate().isoformat()
    return browser.post(f"/invoices/{pk}/issue/", {"issued_on": day}, follow=True).content.decode()


def test_an_invoice_is_declared_void_with_its_reason(browser: Browser, customer: Client) -> None:
    invoice = an_invoice(customer, due_on=LATER)
    assert "Its number stays used and is never given again." in text_of(browser, f"/invoices/{invoice.pk}/")
    for _ in range(2):
        page = browser.post(f"/invoices/{invoice.pk}/void/", {"reason": "sent twice"}, follow=True)
    assert "is void already." in page.content.decode()
    shown = text_of(browser, f"/invoices/{invoice.pk}/")
    for text in ("nobody owes it", "Declared void: sent twice", "owner@example.com"):
        assert text in shown
    assert 'popovertarget="void-dialog"' not in shown
    listed = browser.get("/invoices/").context
    assert [state for _, state, _, _ in listed["rows"]] == ["void"]
    assert dict(listed["tabs"]) == {"all": 1, "drafts": 0, "open": 0, "overdue": 0, "paid": 0}
    assert listed["sums"] == []


def test_a_paid_invoice_offers_no_void_and_refuses_it(browser: Browser, customer: Client) -> None:
    invoice = an_invoice(customer)
    settling.settle_by_hand(invoice, TODAY, actor=SYSTEM)
    assert "void-dialog" not in text_of(browser, f"/invoices/{invoice.pk}/")
    page = browser.post(f"/invoices/{invoice.pk}/void/", follow=True).content.decode()
    assert "Undo its payments first." in page


def test_declaring_it_void_withdraws_what_was_offered(
    browser: Browser, personas: Personas, customer: Client
) -> None:
    invoice = an_invoice(customer)
    row = a_payment(an_account(personas.organization))
    reconcile(personas.organization)
    assert Decision.objects.waiting().get(transaction=row).candidates
    browser.post(f"/invoices/{invoice.pk}/void/")
    assert not Decision.objects.waiting().get(transaction=row).candidates


def test_a_credit_note_is_drafted_edited_issued_and_shown_with_a_minus(
    browser: Browser, customer: Client
) -> None:
    invoice = an_invoice(customer, due_on=LATER)
    response = browser.post(f"/invoices/{invoice.pk}/credit-note/")
    note = Invoice.objects.get(kind="credit_note")
    assert response["Location"] == f"/invoices/{note.pk}/edit/"
    assert browser.post(f"/invoices/{invoice.pk}/credit-note/")["Location"] == response["Location"]
    form = form_of(a_client(customer.organization), ("Sleva", "1", "", "210"), currency="EUR")
    browser.post(f"/invoices/{note.pk}/edit/", form)
    note.refresh_from_db()
    assert (note.client, str(note.total)) == (customer, "210.00 CZK")
    assert "Credit note" in issue(browser, note.pk)

    page = text_of(browser, f"/invoices/{note.pk}/")
    for text in ("Used up on", "-CZK 210.00", f'href="/invoices/{invoice.pk}/"', "Corrects invoice"):
        assert text in page
    shown = text_of(browser, f"/invoices/{invoice.pk}/")
    for text in ("partly paid", "CZK 1,000.00 is to be paid", "CZK 210.00 has been paid", "pays CZK 210.00."):
        assert text in shown
    listed = browser.get("/invoices/?tab=credit-notes").context
    assert [(state, str(row.signed_total)) for row, state, _, _ in listed["rows"]] == [
        ("used", "-210.00 CZK")
    ]
    sums = browser.get("/invoices/").context["sums"]
    assert [(str(total), str(owed)) for total, owed in sums] == [("1000.00 CZK", "1000.00 CZK")]


def test_too_large_a_credit_note_is_refused_with_what_is_left(browser: Browser, customer: Client) -> None:
    invoice = an_invoice(customer, due_on=LATER)
    note = crediting.draft_credit_note(invoice, timezone.localdate(), actor=SYSTEM)
    note.write([InvoiceLine.of("Moc", Decimal(1), "", money("1210.01 CZK"))], actor=SYSTEM)
    assert "is not taken back yet." in issue(browser, note.pk)
    note.refresh_from_db()
    assert note.is_draft


def test_an_offset_is_undone_on_the_page_and_made_again(browser: Browser, customer: Client) -> None:
    invoice = an_invoice(customer, due_on=LATER)
    note = crediting.draft_credit_note(invoice, timezone.localdate(), actor=SYSTEM)
    issue(browser, note.pk)
    line = Settlement.objects.get()
    browser.post(f"/settlements/{line.pk}/undo/")
    page = text_of(browser, f"/invoices/{note.pk}/")
    for text in ("CZK 1,210.00 is owed to the client.", "void-dialog", f"Use it for {invoice.number}"):
        assert text in page
    assert "is left of credit note" in text_of(browser, f"/invoices/{invoice.pk}/")
    done = browser.post(
        f"/invoices/{note.pk}/offset/", {"invoice": invoice.pk, "from": "invoice"}, follow=True
    )
    assert done.redirect_chain[-1][0] == f"/invoices/{invoice.pk}/"
    invoice.refresh_from_db()
    assert invoice.state == "paid"
    again = browser.post(f"/invoices/{note.pk}/offset/", {"invoice": invoice.pk}, follow=True)
    assert "Nothing is open on one of them any more." in again.content.decode()


def test_what_is_left_of_a_payment_is_used_for_another_invoice(
    browser: Browser, personas: Personas, customer: Client
) -> None:
    first, second = an_invoice(customer, "100.00 CZK"), an_invoice(customer, "50.00 CZK")
    row = a_payment(an_account(personas.organization), "130.00 CZK")
    url = f"/invoices/{second.pk}/"
    assert "is left of the payment of" not in text_of(browser, url)
    review.confirm(row, first, actor=SYSTEM)
    assert "CZK 30.00 is left of the payment of" in text_of(browser, url)
    browser.post(f"/invoices/{second.pk}/credit/", {"payment": row.pk})
    second.refresh_from_db()
    assert (str(second.open), MoneyTransaction.objects.get().unsettled.minor) == ("20.00 CZK", 0)
    page = text_of(browser, url)
    assert "is left of the payment of" not in page
    assert "Matched by owner@example.com." in page
    browser.post(f"/settlements/{Settlement.objects.get(invoice=second).pk}/undo/")
    assert "is left of the payment of" not in text_of(browser, url)  # this pair was said to be wrong


def test_a_difference_written_off_and_another_currency_are_said_in_words(
    browser: Browser, personas: Personas, customer: Client
) -> None:
    account = an_account(personas.organization)
    invoice, euros = an_invoice(customer, "1210.40 CZK"), an_invoice(customer, "50.00 EUR")
    paid, changed = a_payment(account), a_payment(account, "1255.00 CZK")
    rounding = review.Chosen(invoice=invoice, minor=121000, write_off=Settlement.Source.ROUNDING)
    review.settle_chosen(paid, [rounding], actor=SYSTEM)
    exchanged = review.Chosen(invoice=euros, minor=5000, source_minor=125500)
    review.settle_chosen(changed, [exchanged], actor=SYSTEM)
    page = text_of(browser, f"/invoices/{invoice.pk}/")
    assert (
        page.count("CZK 0.40 was left and written off as rounding.") == 2
    )  # by its payment, and in the history
    assert "It took CZK 1,255.00 of the payment, at a rate of 25.1" in text_of(
        browser, f"/invoices/{euros.pk}/"
    )


def test_a_payment_of_several_invoices_names_the_others(
    browser: Browser, personas: Personas, customer: Client
) -> None:
    one, two = an_invoice(customer, "100.00 CZK"), an_invoice(customer, "50.00 CZK")
    row = a_payment(an_account(personas.organization), "150.00 CZK")
    chosen = [review.Chosen(invoice=each, minor=each.total_minor) for each in (one, two)]
    review.settle_chosen(row, chosen, actor=SYSTEM)
    page = text_of(browser, f"/invoices/{one.pk}/")
    assert f'The same payment also pays <a href="/invoices/{two.pk}/">{two.number}</a> (CZK 50.00)' in page


def test_the_order_number_is_kept_shown_and_matched(
    browser: Browser, personas: Personas, customer: Client
) -> None:
    browser.post("/invoices/new/", form_of(customer, ("Zboží", "1", "", "300"), order_number="OBJ-778812"))
    invoice = Invoice.objects.get()
    issue(browser, invoice.pk)
    assert "OBJ-778812" in text_of(browser, f"/invoices/{invoice.pk}/")
    booked_on = timezone.localdate()
    a_payment(
        an_account(personas.organization), "300.00 CZK", message="objednavka OBJ-778812", booked_on=booked_on
    )
    assert reconcile(personas.organization).settled == 1


def test_who_may_only_look_corrects_nothing(client: Browser, personas: Personas, customer: Client) -> None:
    invoice = an_invoice(customer)
    before = AuditEntry.objects.count()
    urls = [f"/invoices/{invoice.pk}/{act}/" for act in ("void", "credit-note", "credit", "offset")]
    client.force_login(personas.accountant)
    assert {client.post(url).status_code for url in urls} == {403}
    assert "void-dialog" not in client.get(f"/invoices/{invoice.pk}/").content.decode()
    client.force_login(personas.stranger)
    assert {client.post(url, {"payment": "1", "invoice": "1"}).status_code for url in urls} == {404}
    assert AuditEntry.objects.count() == before
