"""The list of movements, its export and the page of one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client as Browser

from kvit.ledger.models import MoneyTransaction
from kvit.matching.reconcile import reconcile
from tests.factories import TODAY, a_client, a_payment, an_account, an_invoice
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
        counterparty_account="19-2000145399/0800",
        message="=HYPERLINK(1)",
    )
    a_payment(account, "-0.05 CZK")
    reconcile(personas.organization)

    response = browser.get("/transactions/export.csv?type=income")
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]  # it streams

    line = (
        "2026-11-22,CZ6508000000192000145399,1210.00,CZK,"
        f'"Pekárna ""U Lva"", s.r.o.",19-2000145399/0800,{invoice.variable_symbol},,,'
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
    assert f"names invoice {invoice.number} and no other open one." in page
    assert "&quot;bank&quot;: &quot;says&quot;" in page
    assert f"was used to pay invoice {invoice.number}." in page


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
