"""The list of movements, its export and the page of one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client as Browser

from kvit.audit.recording import Actor
from kvit.ledger import duplicates, reverting
from kvit.ledger.models import MoneyTransaction, PossibleDuplicate, TransactionConflict
from kvit.matching.reconcile import reconcile
from tests.factories import TODAY, a_client, a_movement, a_payment, an_account, an_invoice, post
from tests.personas import Personas


@pytest.fixture
def browser(personas: Personas, client: Browser) -> Browser:
    personas.owner.language = "en"
    personas.owner.save()
    client.force_login(personas.owner)
    return client


def ids_of(browser: Browser, query: str = "") -> tuple[list[int], str]:
    context = browser.get(f"/transactions/{query}").context
    return [row.pk for row, _standing in context["rows"]], context["older"]


def test_pages_show_every_movement_once_even_when_new_ones_arrive_meanwhile(
    browser: Browser, personas: Personas
) -> None:
    account = an_account(personas.organization)
    posted = [a_payment(account, booked_on=TODAY - timedelta(days=n // 40)).pk for n in range(110)]

    seen, older = ids_of(browser)
    a_payment(account, booked_on=TODAY)
    while older:
        page, older = ids_of(browser, older)
        seen += page

    assert sorted(seen) == sorted(posted)
    days = dict(MoneyTransaction.objects.values_list("pk", "booked_on"))
    assert seen == sorted(seen, key=lambda pk: (days[pk], pk), reverse=True)


def test_an_unreadable_page_key_shows_the_newest(browser: Browser, personas: Personas) -> None:
    row = a_payment(an_account(personas.organization))
    for key in ("x", "2026-13-01,1", "2026-11-22,y", ","):
        assert ids_of(browser, f"?after={key}")[0] == [row.pk]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?q=pek", ["bakery"]),
        ("?q=2026001", ["bakery"]),
        ("?q=349", ["phone"]),
        ("?q=1 210,00", ["bakery"]),
        ("?type=expense", ["phone"]),
        ("?month=2026-11-01", ["bakery"]),
        ("?from=2026-10-31&to=2026-10-31", ["phone"]),
        ("?from=2026-11-01", ["bakery"]),
        ("?account=nonsense", ["bakery", "phone"]),
    ],
)
def test_filters_narrow_the_list(browser: Browser, personas: Personas, query: str, found: list[str]) -> None:
    account = an_account(personas.organization)
    rows = {
        "bakery": a_payment(account, counterparty_name="Pekárna", variable_symbol="2026001"),
        "phone": a_payment(account, "-349.00 CZK", booked_on="2026-10-31"),
    }
    assert ids_of(browser, query)[0] == [rows[name].pk for name in found]


def test_the_export_holds_exactly_the_filtered_movements(browser: Browser, personas: Personas) -> None:
    account = an_account(personas.organization)
    invoice = an_invoice(a_client(personas.organization), account=account)
    bakery = a_payment(
        account,
        variable_symbol=invoice.variable_symbol,
        counterparty_name='Pekárna "U Lva", s.r.o.',
        counterparty_account="123456789/0100",
        message="=HYPERLINK(1)",
    )
    a_payment(account, "-0.05 CZK")
    reconcile(personas.organization)

    response = browser.get("/transactions/export.csv?type=income")
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]  # it streams

    line = (
        "2026-11-22,CZ6508000000192000145399,1210.00,CZK,"
        f'"Pekárna ""U Lva"", s.r.o.",123456789/0100,{invoice.variable_symbol},,,'
        f"'=HYPERLINK(1),{invoice.number},{bakery.external_id}"
    )
    assert text.splitlines()[1:] == [line]
    assert text.startswith("\ufeffBooked on,Own account,Amount,")


def test_a_czech_export_has_semicolons_and_decimal_commas(browser: Browser, personas: Personas) -> None:
    personas.owner.language = "cs"
    personas.owner.save()
    row = a_payment(an_account(personas.organization), "-1234.50 CZK")
    response = browser.get("/transactions/export.csv")
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]  # it streams
    assert text.splitlines()[1] == f"2026-11-22;{row.account.number};-1234,50;CZK;;;;;;;;{row.external_id}"


def test_the_page_of_a_movement_tells_who_matched_it_and_shows_the_raw_record(
    browser: Browser, personas: Personas
) -> None:
    account = an_account(personas.organization)
    invoice = an_invoice(a_client(personas.organization), account=account)
    row = a_payment(account, variable_symbol=invoice.variable_symbol)
    reconcile(personas.organization)
    page = browser.get(f"/transactions/{row.pk}/").content.decode()
    assert "matched automatically" in page
    assert f"names {invoice.number} and nothing else." in page
    assert f"<mark>{invoice.variable_symbol}</mark>" in page
    assert "The reference names one document only." in page
    assert "&quot;bank&quot;: &quot;says&quot;" in page
    assert f"was used to pay invoice {invoice.number}." in page


def a_withdrawn_one(personas: Personas) -> tuple[MoneyTransaction, MoneyTransaction]:
    """A movement that a person called the same as another one, and the one that is kept."""
    account = an_account(personas.organization)
    post(account, [a_movement("A1", "7.00 CZK")])
    post(account, [a_movement("S1", "7.00 CZK")], source=f"statement_file:{account.number}")
    duplicates.same(PossibleDuplicate.objects.get(), actor=Actor(name="user:owner@example.com"))
    return MoneyTransaction.objects.get(status="withdrawn"), MoneyTransaction.objects.get(status="booked")


def test_withdrawn_movements_are_listed_only_where_asked_for_and_never_exported(
    browser: Browser, personas: Personas
) -> None:
    withdrawn, kept = a_withdrawn_one(personas)
    assert ids_of(browser)[0] == [kept.pk]
    assert 'href="?withdrawn=on"' in browser.get("/transactions/").content.decode()
    assert sorted(ids_of(browser, "?withdrawn=on")[0]) == sorted([kept.pk, withdrawn.pk])
    text = browser.get("/transactions/?withdrawn=on&type=income").content.decode()
    assert '<tr data-row class="withdrawn">' in text
    assert 'href="/transactions/export.csv?type=income"' in text
    assert 'href="?type=income">Hide them' in text
    exported = browser.get("/transactions/export.csv?withdrawn=on").streaming_content  # type: ignore[attr-defined]  # it streams
    assert b"".join(exported).count(b"7.00") == 1


def test_a_withdrawn_movement_and_the_kept_one_lead_to_each_other(
    browser: Browser, personas: Personas
) -> None:
    withdrawn, kept = a_withdrawn_one(personas)
    text = browser.get(f"/transactions/{withdrawn.pk}/").content.decode()
    assert "This movement is withdrawn" in text
    assert f'href="/transactions/{kept.pk}/"' in text
    assert "Search open invoices" not in text
    text = browser.get(f"/transactions/{kept.pk}/").content.decode()
    assert "This movement is withdrawn" not in text
    assert f'<a class="mono" href="/transactions/{withdrawn.pk}/">S1</a>' in text


def test_a_movement_of_a_run_taken_back_says_by_whom(browser: Browser, personas: Personas) -> None:
    actor = Actor(name="plugin:fio@1.0", run_id=71)
    post(an_account(personas.organization), [a_movement("A1")], actor=actor)
    reverting.revert(personas.organization, 71, actor=Actor(name="user:owner@example.com"))
    context = browser.get(f"/transactions/{MoneyTransaction.objects.get().pk}/").context
    assert context["withdrawal"].text == "Withdrawn: run 71, which had brought it, was taken back."
    assert context["withdrawal"].actor == "user:owner@example.com"


def test_other_ids_of_a_movement_are_shown(browser: Browser, personas: Personas) -> None:
    account = an_account(personas.organization)
    for source in ("fio:one", "file:two"):
        post(account, [a_movement("26000000001", is_bank_id=True)], source=source)
    row = MoneyTransaction.objects.get()
    text = browser.get(f"/transactions/{row.pk}/").content.decode()
    assert "Also told as" in text
    assert "file · two" in text
    assert "Fio banka · one" in text


def test_questions_about_a_movement_are_answered_on_its_page(browser: Browser, personas: Personas) -> None:
    account = an_account(personas.organization)
    post(account, [a_movement("A1", "7.00 CZK")])
    post(account, [a_movement("A1", "8.00 CZK")])
    post(account, [a_movement("S1", "7.00 CZK")], source="file:x")
    row = MoneyTransaction.objects.get(external_id="A1")
    here = f"/transactions/{row.pk}/"
    text = browser.get(here).content.decode()
    conflict, question = TransactionConflict.objects.get(), PossibleDuplicate.objects.get()
    for url in (f"/conflicts/{conflict.pk}/resolution/", f"/duplicates/{question.pk}/resolution/"):
        assert f'action="{url}"' in text
        form = {"answer": "keep" if "conflicts" in url else "different", "next": here}
        assert browser.post(url, form)["Location"] == here
    context = browser.get(here).context
    assert (context["conflicts"], context["questions"]) == ([], [])


def test_an_accountant_looks_and_a_stranger_finds_nothing(client: Browser, personas: Personas) -> None:
    row = a_payment(an_account(personas.organization), counterparty_name="Pekárna")
    pages = ["/transactions/", "/transactions/export.csv", f"/transactions/{row.pk}/"]
    client.force_login(personas.accountant)
    assert [client.get(page).status_code for page in pages] == [200, 200, 200]
    client.force_login(personas.stranger)
    assert client.get(f"/transactions/{row.pk}/").status_code == 404
    assert client.get("/transactions/").context["rows"] == []
    exported = client.get("/transactions/export.csv").streaming_content  # type: ignore[attr-defined]  # it streams
    assert "Pekárna" not in b"".join(exported).decode()
