"""A token dies, its owner enters a new one, and the missed days arrive; in Chromium against `kvit serve`."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.banks.fio import TOKEN, FioBank
from tests.browser.conftest import Served, sign_in
from tests.browser.test_main_job import connect_bank, movement, today

pytestmark = pytest.mark.browser

NEW_TOKEN = "b" * 64


def name_it(page: Page, schedule: str) -> None:
    page.get_by_label("Name of the connection").fill("Fio")
    page.get_by_label(schedule, exact=True).check()
    page.get_by_role("button", name="Save and sync now").click()


def test_a_dead_token_is_replaced_and_the_missed_days_arrive(
    page: Page, served: Served, bank: FioBank
) -> None:
    bank.change(today=today())
    bank.add(movement(1, "100.00"))
    sign_in(page)
    connect_bank(page, served, bank, TOKEN)
    name_it(page, "Every day at 6:00")
    expect(page.get_by_text("completed").first).to_be_visible(timeout=60_000)

    bank.authorize(NEW_TOKEN, works_after_seconds=0)
    bank.revoke()
    bank.add(movement(2, "250.00"), token=NEW_TOKEN)
    page.goto(f"{served.url}/connections/1/")
    expect(page.get_by_text(re.compile("at 6:00")).first).to_be_visible()
    page.get_by_role("button", name="Sync now").click()
    expect(page.get_by_text("failed").first).to_be_visible(timeout=60_000)

    page.goto(served.url)
    page.get_by_role("link", name="Enter the credentials again").click()
    page.get_by_label("API token").fill(NEW_TOKEN)
    page.get_by_role("button", name="Test and save the credentials").click()
    expect(page.get_by_text("completed").first).to_be_visible(timeout=60_000)
    assert NEW_TOKEN not in page.content()
    page.goto(f"{served.url}/transactions/")
    expect(page.get_by_text("250.00")).to_be_visible()
    page.goto(f"{served.url}/connections/1/events/")
    expect(page.get_by_text("The credentials were entered again; they work.")).to_be_visible()


def test_the_schedule_is_changed_by_a_preset(page: Page, served: Served, bank: FioBank) -> None:
    bank.change(today=today())
    sign_in(page)
    connect_bank(page, served, bank, TOKEN)
    name_it(page, "Every hour")
    expect(page.get_by_text("completed").first).to_be_visible(timeout=60_000)
    page.goto(f"{served.url}/connections/1/settings/")
    expect(page.get_by_label("Every hour", exact=True)).to_be_checked()
    page.get_by_label("Every Monday at 6:00", exact=True).check()
    page.get_by_role("button", name="Save the schedule").click()
    expect(page.get_by_text("The schedule is saved.")).to_be_visible()
    expect(page.get_by_role("definition").filter(has_text="Monday")).to_be_visible()
