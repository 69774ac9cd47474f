"""What a sync may meet and what a person does about it, in Chromium against `kvit serve`."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.banks.fio import TOKEN, Account, FioBank, Movement
from tests.browser.conftest import Served, sign_in
from tests.browser.test_main_job import connect_bank, faults, movement, sign_in_czech, today
from tests.kernel.statements.writers import gpc, gpc_head, gpc_movement

pytestmark = pytest.mark.browser

NEW_TOKEN, FOREIGN_TOKEN = "b" * 64, "c" * 64
OTHER_BANK_ID = "77000000001"
ENDED_SOON = 25_000


def fill(bank: FioBank, *movements: Movement) -> Account:
    """Let the bank hold these movements of the account, and another owner's account."""
    account = Account(movements=list(movements))
    bank.load(
        account, Account(number="2600170205", tokens=[FOREIGN_TOKEN]), today=today(), interval_seconds=0.2
    )
    return account


def name_it(page: Page) -> None:
    page.get_by_label("Name of the connection").fill("Fio")
    page.get_by_label("Every day at 6:00", exact=True).check()
    page.get_by_role("button", name="Save and sync now").click()


def connected(page: Page, served: Served, bank: FioBank) -> None:
    """Sign in, connect the bank and wait for the first run to be completed."""
    sign_in(page)
    connect_bank(page, served, bank, TOKEN)
    name_it(page)
    expect_completed(page)


def sync_now(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/connections/1/")
    page.get_by_role("button", name="Sync now").click()


def expect_completed(page: Page) -> None:
    expect(page.locator("#live")).to_contain_text("The run is completed", timeout=ENDED_SOON)


def expect_movements(page: Page, served: Served, *amounts: str) -> None:
    """The list of movements shows exactly these amounts, the newest first."""
    page.goto(f"{served.url}/transactions/")
    expect(page.locator("tbody .amount")).to_have_count(len(amounts))
    for amount in amounts:
        expect(page.locator("tbody")).to_contain_text(amount)


def as_file_of_another_bank(account: Account) -> bytes:
    """The account's first movement in a GPC statement that counts movements from an id of its own."""
    told, number = account.movements[0], account.number.zfill(16)
    day = f"{told.booked_on:%d%m%y}"
    line = gpc_movement(
        int(told.amount * 100), "2", account=number, reference=OTHER_BANK_ID.zfill(13),
        variable=told.variable_symbol.zfill(10), booked=day, valued=day,
    )  # fmt: skip
    return gpc(gpc_head(account=number, bank=""), line)


def test_a_dead_token_is_replaced_by_one_of_the_same_account_only(
    page: Page, served: Served, bank: FioBank
) -> None:
    fill(bank, movement(1, "100.00"))
    connected(page, served, bank)

    bank.authorize(NEW_TOKEN, works_after_seconds=0)
    bank.add(movement(2, "250.00"))
    bank.revoke()
    sync_now(page, served)
    expect(page.locator("#live")).to_contain_text("Enter the credentials again", timeout=ENDED_SOON)
    page.goto(f"{served.url}/connections/1/")
    expect(page.get_by_text("needs attention").first).to_be_visible()
    expect(page.get_by_role("definition").filter(has_text=re.compile("^–$"))).to_be_visible()
    assert faults(page) == []

    page.get_by_role("link", name="Enter the credentials again").click()
    page.get_by_label("API token").fill(FOREIGN_TOKEN)
    page.get_by_role("button", name="Test and save the credentials").click()
    expect(page.get_by_text("open another account")).to_be_visible()
    expect_movements(page, served, "100.00")

    page.goto(f"{served.url}/connections/1/credentials/")
    page.get_by_label("API token").fill(NEW_TOKEN)
    page.get_by_role("button", name="Test and save the credentials").click()
    expect_completed(page)
    expect_movements(page, served, "100.00", "250.00")
    page.goto(f"{served.url}/connections/1/history/")
    expect(page.locator("tr[data-row]")).to_have_count(3)
    page.goto(f"{served.url}/connections/1/")
    expect(page.get_by_role("definition").locator("li")).to_have_count(3)


def test_a_conflict_is_decided_with_both_versions_in_sight(page: Page, served: Served, bank: FioBank) -> None:
    first = movement(1, "500.00", variable_symbol="77")
    fill(bank, first)
    connected(page, served, bank)
    fill(bank, replace(first, amount=Decimal("550.00")))
    sync_now(page, served)
    expect_completed(page)

    page.goto(f"{served.url}/review/")
    conflict = page.get_by_role("region", name="The bank now says something else")
    amounts = conflict.get_by_role("row").filter(has_text="Amount")
    expect(amounts.get_by_role("cell")).to_have_text([re.compile("500.00"), re.compile("550.00")])
    assert faults(page) == []
    conflict.get_by_role("button", name="Take over what the bank says").click()
    expect(page.get_by_text("What the bank says now was taken over.")).to_be_visible()
    expect(conflict).to_have_count(0)

    expect_movements(page, served, "550.00")
    page.locator("tbody a").first.click()
    history = page.locator(".timeline")
    expect(history).to_contain_text("amount: CZK\u00a0500.00 →to CZK\u00a0550.00")
    expect(history).to_contain_text("eva@example.com")


def test_a_run_is_taken_back_and_the_next_one_brings_it_again(
    page: Page, served: Served, bank: FioBank
) -> None:
    fill(bank, movement(1, "10.00"), movement(2, "20.00"))
    connected(page, served, bank)
    expect(page.locator("tbody tr[data-row]")).not_to_have_count(0)
    assert faults(page) == []

    page.get_by_text("Take the whole run back").click()
    expect(page.get_by_text("The 2 movements it brought are withdrawn")).to_be_visible()
    page.get_by_role("button", name="Take the run back").click()
    expect(page.get_by_text("2 movements were taken back.")).to_be_visible()
    expect(page.locator("#live")).to_contain_text("Taken back by eva@example.com")
    assert faults(page) == []
    expect_movements(page, served)
    page.goto(f"{served.url}/transactions/?withdrawn=on")
    expect(page.locator("tr.withdrawn")).to_have_count(2)
    assert faults(page) == []
    page.locator("tr.withdrawn a").first.click()
    expect(page.get_by_text("This movement is withdrawn")).to_be_visible()
    assert faults(page) == []

    sync_now(page, served)
    expect_completed(page)
    expect_movements(page, served, "10.00", "20.00")


def test_the_schedule_is_chosen_by_a_preset_and_told_in_words(
    page: Page, served: Served, bank: FioBank
) -> None:
    fill(bank)
    connected(page, served, bank)
    page.goto(f"{served.url}/connections/1/settings/")
    page.get_by_label("Every Monday at 6:00", exact=True).check()
    page.get_by_role("button", name="Save the schedule").click()
    expect(page.get_by_text("The schedule is saved.")).to_be_visible()
    facts = page.get_by_role("definition")
    expect(facts.filter(has_text="Monday")).to_be_visible()
    expect(facts.locator("li")).to_have_count(3)
    for moment in facts.locator("li").all():
        expect(moment).to_contain_text(re.compile(r"\d{1,2}\s\w+\s\d{4} [56]:\d\d"))


def test_a_possible_duplicate_is_answered_and_linked_both_ways(
    page: Page, served: Served, bank: FioBank
) -> None:
    account = fill(bank, movement(1, "1210.00", variable_symbol="42"))
    connected(page, served, bank)
    page.goto(f"{served.url}/import/")
    statement = {
        "name": "vypis.gpc",
        "mimeType": "text/plain",
        "buffer": as_file_of_another_bank(account),
    }
    page.locator("input[type=file]").set_input_files(statement)  # type: ignore[arg-type]  # a FilePayload
    page.locator("[data-drop] button.primary").click()
    expect(page.get_by_text("1 possible duplicate")).to_be_visible()
    page.locator(".confirm-bar button.primary").click()
    expect_completed(page)

    page.goto(f"{served.url}/review/")
    question = page.get_by_role("region", name="Two sources tell a movement")
    expect(question.get_by_role("row").filter(has_text="Source")).to_contain_text("Fio banka")
    assert faults(page) == []
    question.get_by_role("button", name="It is one movement").click()
    expect(page.get_by_text("They are one movement now")).to_be_visible()
    expect_movements(page, served, "1")

    page.locator("tbody a").first.click()
    page.get_by_role("link", name=OTHER_BANK_ID).click()
    expect(page.get_by_text("This movement is withdrawn")).to_be_visible()
    assert faults(page) == []
    page.get_by_role("link", name="Show the one that is kept").click()
    expect(page.get_by_text(str(account.movements[0].id)).first).to_be_visible()


def test_a_run_that_waits_is_cancelled(page: Page, served: Served, bank: FioBank) -> None:
    fill(bank, movement(1, "100.00"))
    sign_in(page)
    connect_bank(page, served, bank, TOKEN, interval_seconds=90)
    name_it(page)
    expect(page.locator("#live")).to_contain_text("Kvit waits for the source", timeout=ENDED_SOON)
    assert faults(page) == []
    page.get_by_role("button", name="Cancel the sync").click()
    expect(page.locator("#live")).to_contain_text("Cancelled by eva@example.com", timeout=ENDED_SOON)
    expect(page.get_by_role("button", name="Sync again")).to_be_visible()
    assert faults(page) == []
    expect_movements(page, served)


def test_axe_finds_no_serious_fault_in_the_dark(browser: Browser, served: Served, bank: FioBank) -> None:
    first = movement(1, "500.00", variable_symbol="77")
    account = fill(bank, first, movement(2, "20.00"))
    context = browser.new_context(locale="cs-CZ", color_scheme="dark")
    page = context.new_page()
    page.goto(served.url)
    sign_in_czech(page)
    served.kvit.ok(
        "connection", "add", "fio", "--name", "Fio", "--setting", f"base_url={bank.base_url}",
        "--setting", "token_interval_seconds=1", "--credential", "api_token=@env:FIO_TOKEN", FIO_TOKEN=TOKEN,
    )  # fmt: skip
    served.kvit.ok("sync", "Fio")
    fill(bank, replace(first, amount=Decimal("550.00")), movement(2, "20.00"))
    served.kvit.ok("sync", "Fio")
    page.goto(f"{served.url}/import/")
    statement = {"name": "a.gpc", "mimeType": "text/plain", "buffer": as_file_of_another_bank(account)}
    page.locator("input[type=file]").set_input_files(statement)  # type: ignore[arg-type]  # a FilePayload
    page.locator("[data-drop] button.primary").click()
    page.locator(".confirm-bar button.primary").click()
    expect(page.locator("#live .state.good")).to_be_visible(timeout=ENDED_SOON)
    for path in ("/review/", "/runs/1/", "/runs/2/", "/runs/3/", "/transactions/1/", "/transactions/3/"):
        page.goto(f"{served.url}{path}")
        page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true })")
        assert faults(page) == [], path
    context.close()
