"""The main job as a person does it: connect the bank, sync, see the invoice paid, undo, review."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from tests.banks.fio import TOKEN, FioBank, Movement
from tests.browser.conftest import Served, sign_in

pytestmark = pytest.mark.browser

CLIENT = "Kavárna Na Rohu"
PAGES = ("/", "/connections/", "/connections/new/fio/", "/transactions/", "/review/", "/review/?tab=matched")


def today() -> date:
    return timezone.now().astimezone(ZoneInfo("Europe/Prague")).date()


def movement(number: int, amount: str, **fields: str) -> Movement:
    return Movement(
        id=26_000_000_000 + number,
        booked_on=today(),
        amount=Decimal(amount),
        counter_name=CLIENT,
        **fields,  # type: ignore[arg-type]  # names are the bank's
    )


def issue_invoice(page: Page, served: Served, price: str) -> str:
    """Write and issue an invoice and return its number."""
    page.goto(f"{served.url}/invoices/new/")
    page.get_by_label("Client").select_option(label=CLIENT)
    page.get_by_label("Description").first.fill("Grafické práce")
    page.get_by_label("Unit price").first.fill(price)
    page.get_by_role("button", name="Save draft").last.click()
    page.get_by_role("button", name="Issue invoice").click()
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_contain_text(re.compile(r"\d{4}-\d{3}"))
    return heading.inner_text().removeprefix("Invoice ")


def add_client(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/clients/new/")
    page.get_by_label("Name").fill(CLIENT)
    page.get_by_role("button", name="Save client").click()


def connect_bank(page: Page, served: Served, bank: FioBank, token: str, *, interval_seconds: int = 1) -> None:
    page.goto(f"{served.url}/connections/new/fio/")
    page.get_by_role("link", name="I have them").click()
    page.locator("[name=setting-api_token]").fill(token)
    page.locator("[name=setting-base_url]").fill(bank.base_url)
    page.locator("[name=setting-token_interval_seconds]").fill(str(interval_seconds))
    page.get_by_role("button", name="Test the connection").click()


def test_a_person_connects_the_bank_and_sees_the_invoice_paid(
    page: Page, served: Served, bank: FioBank
) -> None:
    bank.change(today=today())
    sign_in(page, "a wrong password")
    expect(page.get_by_text("Please enter a correct e-mail and password")).to_be_visible()
    sign_in(page)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()

    add_client(page, served)
    first = issue_invoice(page, served, "12 100,00")
    second = issue_invoice(page, served, "2500")
    bank.add(
        movement(1, "12100.00", variable_symbol=first.replace("-", "")),
        movement(2, "2500.00", message="děkujeme"),
        movement(3, "-99.00"),
    )

    wrong = "a" * 64
    connect_bank(page, served, bank, wrong)
    expect(page.get_by_text("Fio does not know this token")).to_be_visible()
    assert wrong not in page.content()
    connect_bank(page, served, bank, TOKEN)
    page.get_by_label("Name of the connection").fill("Fio")
    page.get_by_label("Every hour").check()
    page.get_by_role("button", name="Save and sync now").click()
    expect(page.get_by_text("completed").first).to_be_visible(timeout=20_000)
    assert TOKEN not in page.content()

    page.goto(f"{served.url}/invoices/")
    page.get_by_role("link", name=first).click()
    expect(page.get_by_text("Kvit matched it by itself: one symbol")).to_be_visible()

    page.get_by_role("button", name="Undo").click()
    page.goto(f"{served.url}/review/")
    expect(page.get_by_role("article")).to_have_count(2)
    expect(page.get_by_text(f"A person said that this payment does not pay {first}.")).to_be_visible()

    page.get_by_role("button", name=f"Confirm {second}").click()
    expect(page.get_by_role("article")).to_have_count(1)
    page.goto(f"{served.url}/invoices/?tab=paid")
    expect(page.get_by_role("link", name=second)).to_be_visible()

    page.goto(f"{served.url}/review/")
    page.locator("summary", has_text="Pays no invoice").click()
    page.get_by_role("button", name="something else").click()
    expect(page.get_by_text("Everything is matched until")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_fault(browser: Browser, served: Served, bank: FioBank, theme: str) -> None:
    bank.change(today=today())
    scheme = "dark" if theme == "dark" else "light"
    context = browser.new_context(locale="cs-CZ", color_scheme=scheme)  # type: ignore[arg-type]  # one of its words
    page = context.new_page()
    page.goto(served.url)
    assert faults(page) == []
    sign_in_czech(page)
    served.kvit.ok(
        "connection", "add", "fio", "--name", "Fio", "--setting", f"base_url={bank.base_url}",
        "--setting", "token_interval_seconds=1", "--credential", "api_token=@env:FIO_TOKEN", FIO_TOKEN=TOKEN,
    )  # fmt: skip
    page.goto(f"{served.url}/clients/new/")
    page.locator("[name=name]").fill(CLIENT)
    page.locator("main form button.primary").click()
    page.goto(f"{served.url}/invoices/new/")
    page.locator("[name=client]").select_option(label=CLIENT)
    page.locator("[name$=description]").first.fill("Práce")
    page.locator("[name$=unit_price]").first.fill("100")
    page.locator("main form button.primary").click()
    assert faults(page) == []
    page.locator("main form button.primary").click()
    expect(page.locator("h1")).to_contain_text("-001")
    assert faults(page) == []
    bank.add(movement(1, "100.00"), movement(2, "50.00", variable_symbol="7"))
    served.kvit.ok("sync", "Fio")
    for path in (
        *PAGES,
        "/invoices/",
        "/invoices/new/",
        "/clients/",
        "/connections/new/fio/credentials/",
        "/connections/1/",
        "/connections/1/name/",
        "/connections/1/history/",
        "/connections/1/settings/",
        "/connections/1/events/",
        "/connections/1/credentials/",
        "/health/status/",
        "/runs/1/",
        "/import/",
        "/imports/profiles/",
        "/accounts/",
        "/accounts/1/",
    ):
        page.goto(f"{served.url}{path}")
        assert faults(page, only_colours=theme == "dark") == [], path
    context.close()


def sign_in_czech(page: Page) -> None:
    page.locator("[name=username]").fill("eva@example.com")
    page.locator("[name=password]").fill("correct horse battery")
    page.locator("form button.primary").click()


def faults(page: Page, *, only_colours: bool = False) -> list[str]:
    """What axe calls serious or critical on this page."""
    rules = {"runOnly": ["color-contrast"]} if only_colours else {}
    found = Axe().run(page, options={"resultTypes": ["violations"], **rules}).response["violations"]
    return [
        f"{fault['id']}: {node['html']}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
