"""Importing statement files in Chromium: several formats, an unknown CSV, and all of it taken back."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Served, sign_in
from tests.browser.test_main_job import faults, sign_in_czech
from tests.kernel.statements.writers import camt, camt_balance, camt_entry, gpc, gpc_head, gpc_movement

pytestmark = pytest.mark.browser

ENDED_SOON = 25_000
OTHER_ACCOUNT = "0000001234567899"
CAMT = camt(
    camt_balance("OPBD", "1000.00", day="2026-03-01"),
    camt_balance("CLBD", "1250.50", day="2026-03-31"),
    camt_entry("300.50", more="<AcctSvcrRef>A-1</AcctSvcrRef>"),
    camt_entry("50.00", "DBIT", booked="2026-03-09", more="<AcctSvcrRef>A-2</AcctSvcrRef>"),
)
MT940 = b"""\
:20:1
:25:DE02120300000000202051
:28C:3/1
:60F:C260301EUR500,00
:61:2603020302C120,00NTRFREF-1
:86:Faktura 7
:61:2603050305D20,00NTRFREF-2
:86:Poplatek
:62F:C260331EUR600,00
"""
GPC = gpc(
    gpc_head(account=OTHER_ACCOUNT),
    gpc_movement(10_000, account=OTHER_ACCOUNT),
)
CSV = """\
Kdy;Kolik;Kdo;K čemu
02.03.2026;1 200,00;Kavárna Na Rohu;káva
05.03.2026;-300,50;Papírnictví Sova;papír
09.03.2026;99,00;Jan Vzorný;záloha
""".encode("cp1250")
CSV_IBAN = "CZ6508000000192000145399"


def upload(page: Page, **files: bytes) -> None:
    """Hand over files by the plain input; their names end as `a_gpc` says."""
    payloads: Any = [
        {"name": name.replace("_", "."), "mimeType": "application/octet-stream", "buffer": data}
        for name, data in files.items()
    ]
    page.locator("input[type=file]").set_input_files(payloads)
    page.locator("[data-drop] button.primary").click()


def test_files_of_several_formats_are_looked_at_imported_and_taken_back(page: Page, served: Served) -> None:
    sign_in(page)
    page.goto(f"{served.url}/import/")
    assert faults(page) == []
    upload(page, camt_xml=CAMT, mt940_sta=MT940, vypis_gpc=GPC, neznama_csv=CSV)
    expect(page.get_by_text("Nothing is written yet.")).to_be_visible()
    expect(page.locator(".file-card")).to_have_count(4)
    expect(page.get_by_role("region", name="camt.xml")).to_contain_text("2 new")
    expect(page.get_by_role("region", name="camt.xml")).to_contain_text("agree")
    expect(page.get_by_role("region", name="mt940.sta")).to_contain_text("DE02 1203 0000 0000 2020 51")
    expect(page.get_by_role("button", name=re.compile("Import 5 movements"))).to_be_disabled()
    assert faults(page) == []

    map_the_columns(page)
    expect(page.get_by_role("region", name="neznama.csv")).to_contain_text("3 new")
    page.get_by_role("button", name="Import 8 movements").click()
    expect(page.locator("#live")).to_contain_text("The run is completed: 8 new", timeout=ENDED_SOON)
    page.goto(f"{served.url}/transactions/")
    expect(page.locator("tbody tr[data-row]")).to_have_count(8)

    page.goto(f"{served.url}/import/")
    upload(page, zase_csv=CSV)
    expect(page.get_by_role("region", name="zase.csv")).to_contain_text("3 known already")
    page.get_by_role("button", name="Throw away").click()
    expect(page.get_by_text("nothing of them was imported")).to_be_visible()

    page.get_by_text("Take the import back").click()
    assert faults(page) == []
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_text("8 movements were taken back.")).to_be_visible()
    page.goto(f"{served.url}/transactions/")
    expect(page.locator("tbody tr[data-row]")).to_have_count(0)


def map_the_columns(page: Page) -> None:
    """Say what the columns of the unknown file are; each choice shows its result at once."""
    page.get_by_role("link", name="Map the columns").click()
    for column in ("Kdy", "Kolik", "Kdo", "K čemu"):
        page.get_by_label(column, exact=True).select_option("")
    result = page.get_by_role("region", name="How Kvit reads it then")
    expect(result.locator("tbody tr")).to_have_count(0)
    page.get_by_label("Kdy", exact=True).select_option(label="day booked")
    page.get_by_label("Kolik", exact=True).select_option(label="amount with its sign")
    expect(result).to_contain_text("3 movements")
    page.get_by_label("Kdo", exact=True).select_option(label="name of the other side")
    page.get_by_label("K čemu", exact=True).select_option("message")
    expect(result).to_contain_text("Papírnictví Sova")
    expect(result).to_contain_text("papír")
    page.get_by_label("IBAN or account number").fill(CSV_IBAN)
    page.get_by_label("Currency").select_option("CZK")
    expect(result).to_contain_text("+CZK\u00a01,299.00")
    page.get_by_label("Remember these columns as").fill("Má banka")
    assert faults(page) == []
    page.get_by_role("button", name="Use these columns").click()
    expect(page.get_by_text("remembered as “Má banka”")).to_be_visible()


def test_files_may_be_dropped_on_the_page(page: Page, served: Served) -> None:
    sign_in(page)
    page.goto(f"{served.url}/import/")
    page.evaluate(
        """text => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([text], "pusteny.gpc"));
            const about = {dataTransfer: transfer, bubbles: true, cancelable: true};
            for (const type of ["dragenter", "dragover", "drop"]) {
                document.body.dispatchEvent(new DragEvent(type, about));
            }
        }""",
        GPC.decode("cp1250"),
    )
    expect(page.get_by_role("heading", name="pusteny.gpc")).to_be_visible()


def test_all_of_it_works_without_javascript(browser: Browser, served: Served) -> None:
    context = browser.new_context(locale="cs-CZ", java_script_enabled=False)
    page = context.new_page()
    page.goto(served.url)
    sign_in_czech(page)
    page.goto(f"{served.url}/import/")
    upload(page, neznama_csv=CSV)
    page.locator(".file-card a.button.primary").click()
    page.locator("[name=column-1]").select_option("amount")
    page.locator("[name=act][value=show]").click()
    expect(page.locator("#result tbody tr")).to_have_count(3)
    page.locator("[name=number]").fill(CSV_IBAN)
    page.locator("[name=currency]").select_option("CZK")
    page.locator("[name=act][value=use]").click()
    page.locator(".confirm-bar button.primary").click()
    expect(page.locator("#live")).to_be_visible()
    context.close()
