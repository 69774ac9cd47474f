"""The review as a person clears it: thirty mixed cases, the keyboard alone, in a real Chromium."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from playwright.sync_api import Page, Response, expect

from tests.browser.conftest import Served, sign_in
from tests.commands import ROOT, Kvit

pytestmark = pytest.mark.browser

SETTINGS: Final = "kvit.config.settings"
SAVINGS: Final = "CZ5508000000001234567899"
SLOWEST_SERVER_SECONDS: Final = 1.0
"""Far above what it takes, so that a loaded machine does not fail the test; the median is printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One movement that waits, what a person presses about it, and what must have become of it.

    The latest one is asked about first.
    """

    name: str
    debts: tuple[str, ...] = ()
    """Amounts of open invoices; of one client where `one_client`, else each of another one."""
    one_client: bool = True
    paid: str
    symbol: str = ""
    """`named` for the first debt's, `slip` for one a slip away from it, else as it is."""
    is_known: bool = False
    """Whether the payer's account is known as the client's."""
    keys: tuple[str, ...]
    """Keys, or `add:TEXT` in the choice of other invoices, `{0}` being the number of the first debt."""
    port: str = "manual"
    category: str = ""
    settled: tuple[int, ...] = ()
    """What is settled of each debt in the end, in hundredths."""
    used: int = 0
    """What the movement's settlements use of it in the end, in hundredths."""


def exact(number: int, *keys: str) -> Case:
    """A right reference, but others owe the same and nothing shows who pays."""
    return Case(
        name=f"exact-{number}", debts=("1111.00 CZK",), paid="1111.00 CZK", symbol="named", keys=keys,
        settled=(111100,), used=111100,
    )  # fmt: skip


CASES: Final = (
    exact(1, "a"),
    exact(2, "a"),
    exact(3, "a"),
    exact(4, "x", "A"),
    exact(5, "x"),
    *(
        Case(
            name=f"several-{n}", debts=(f"{n}300.00 CZK", f"{n}450.00 CZK"), paid=f"{2 * n}750.00 CZK",
            is_known=True, keys=("a",), settled=(n * 100000 + 30000, n * 100000 + 45000),
            used=n * 200000 + 75000,
        )
        for n in (1, 2, 3)
    ),
    Case(name="part-1", debts=("9100.00 CZK",), paid="4000.00 CZK", symbol="named", keys=("a",),
         settled=(400000,), used=400000),
    Case(name="part-2", debts=("9200.00 CZK",), paid="4100.00 CZK", keys=("o", "add:{0}", "pay"),
         settled=(410000,), used=410000),
    Case(name="over-1", debts=("1500.00 CZK",), paid="2600.00 CZK", symbol="named", keys=("a",),
         settled=(150000,), used=150000),
    Case(name="over-2", debts=("1510.00 CZK",), paid="2615.00 CZK", symbol="named", keys=("a",),
         settled=(151000,), used=151000),
    Case(name="rounding-1", debts=("5000.40 CZK",), paid="5000.00 CZK", symbol="named", keys=("w",),
         settled=(500040,), used=500000),
    Case(name="rounding-2", debts=("5011.00 CZK",), paid="5010.50 CZK", symbol="named", keys=("w",),
         settled=(501100,), used=501050),
    Case(name="fee-1", debts=("6000.00 CZK",), paid="5800.00 CZK", symbol="named", keys=("w",),
         settled=(600000,), used=580000),
    Case(name="fee-2", debts=("6100.00 CZK",), paid="5950.00 CZK", symbol="named", keys=("w",),
         settled=(610000,), used=595000),
    Case(name="currency-1", debts=("50.00 EUR",), paid="1251.00 CZK", symbol="named", keys=("a",),
         settled=(5000,), used=125100),
    Case(name="currency-2", debts=("100.00 EUR",), paid="2502.00 CZK", keys=("o", "add:{0}", "pay"),
         settled=(10000,), used=250200),
    Case(name="near-1", debts=("7001.00 CZK",), paid="7001.00 CZK", symbol="slip", keys=("a",),
         settled=(700100,), used=700100),
    Case(name="near-2", debts=("7102.00 CZK",), paid="7102.00 CZK", symbol="slip", keys=("a",),
         settled=(710200,), used=710200),
    Case(name="unnamed-1", debts=("7203.00 CZK",), paid="7203.00 CZK", keys=("a",),
         settled=(720300,), used=720300),
    Case(name="unnamed-2", debts=("7304.00 CZK",), paid="7304.00 CZK",
         keys=("a", "u", "o", "add:{0}", "pay"), settled=(730400,), used=730400),
    Case(name="second", debts=("3333.00 CZK", "3333.00 CZK"), one_client=False, paid="3333.00 CZK",
         keys=("2",), settled=(0, 333300), used=333300),
    Case(name="not-this", debts=("4444.00 CZK", "4444.00 CZK"), one_client=False, paid="4444.00 CZK",
         keys=("r", "a"), settled=(0, 444400), used=444400),
    Case(name="paid-twice", debts=("8080.00 CZK",), paid="8080.00 CZK", symbol="named", keys=("a",),
         port="dismissed", category="refund", settled=(808000,)),
    Case(name="transfer", paid="15000.00 CZK", keys=("a",), port="dismissed", category="transfer"),
    Case(name="interest", paid="12.34 CZK", keys=("c", "4"), port="dismissed", category="fee"),
    Case(name="unknown", paid="321.00 CZK", symbol="5550001", keys=("i", "u", "c", "7"),
         port="dismissed", category="other"),
    Case(name="gathered", debts=("610.00 CZK", "720.00 CZK"), one_client=False, paid="1330.55 CZK",
         keys=("o", "add:{0}", "add:{1}", "pay"), settled=(61000, 72000), used=133000),
    Case(name="noise", paid="1.00 CZK", keys=("i",), port="ignored"),
)  # fmt: skip


def test_thirty_mixed_cases_are_cleared_with_the_keyboard_alone(page: Page, served: Served) -> None:
    assert len(CASES) == 30
    seeded = in_kvit(served.kvit, "seed")
    cases = {seeded[case.name]["movement"]: case for case in CASES}
    sign_in(page)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.wait_for_load_state("load")  # keys are heard from then on
    page.keyboard.press("g")
    page.keyboard.press("b")
    expect(page.get_by_text("30 things wait for you.")).to_be_visible()

    decided, server = [], ServerTimes(page)
    while (card := focused(page)) is not None:
        case = cases[card]
        began = time.perf_counter()
        for key in case.keys:
            press(page, key, seeded[case.name]["numbers"])
        decided.append(time.perf_counter() - began)
        if case.keys == ("x",):
            page.keyboard.press("j")
    expect(page.get_by_text("Everything is matched until 22 Nov 2026.")).to_be_visible()
    assert page.locator(".rail .badge").count() == 0

    found = in_kvit(served.kvit, "states")
    wrong = {case.name: found[case.name] for case in CASES if found[case.name] != expected(case)}
    assert wrong == {}
    medians = [statistics.median(times) for times in (decided, server.acts, server.pages)]
    sys.stdout.write(
        f"\nreview: {len(CASES)} cases, median {medians[0] * 1000:.0f} ms a decision"
        f" (from the first key until the next card has the focus);"
        f" server: act {medians[1] * 1000:.0f} ms, page {medians[2] * 1000:.0f} ms (medians)\n"
    )
    assert max(medians[1:]) < SLOWEST_SERVER_SECONDS


class ServerTimes:
    """How long the server took to answer, in seconds, as the browser measured it."""

    def __init__(self, page: Page) -> None:
        self.acts: list[float] = []
        self.pages: list[float] = []
        page.on("response", self._note)

    def _note(self, response: Response) -> None:
        request, timing = response.request, response.request.timing
        seconds = (timing["responseStart"] - timing["requestStart"]) / 1000
        if request.method == "POST":
            self.acts.append(seconds)
        elif request.url.partition("?")[0].endswith("/review/"):
            self.pages.append(seconds)


def focused(page: Page) -> int | None:
    """The movement whose card has the focus; None where no card is left."""
    name = page.evaluate("document.activeElement?.closest('[data-row]')?.id ?? ''")
    if not name:
        expect(page.locator("[data-row]")).to_have_count(0)
        return None
    return int(name.removeprefix("movement-"))


def press(page: Page, key: str, numbers: list[str]) -> None:
    """Press a key and wait until the page has done what it stands for."""
    if key == "x":
        page.keyboard.press("x")
        expect(page.locator("[data-row]:focus-within [type=checkbox]")).to_be_checked()
    elif key == "c":
        page.keyboard.press("c")
        expect(page.locator("[data-row]:focus-within details[open]")).to_be_visible()
    elif key == "o":
        page.keyboard.press("o")
        expect(page.locator("#chooser-text")).to_be_focused()
    elif key.startswith("add:"):
        chosen = page.locator("#chooser .chosen > li")
        count = chosen.count()
        page.keyboard.type(key.removeprefix("add:").format(*numbers))
        page.keyboard.press("Enter")
        expect(chosen).to_have_count(count + 1)
        expect(page.locator("#chooser-text")).to_be_focused()
    else:
        page.evaluate("document.getElementById('queue').dataset.seen = 'yes'")
        page.keyboard.press({"pay": "Enter", "A": "Shift+A"}.get(key, key))
        expect(page.locator("#queue[data-seen]")).to_have_count(0)


def expected(case: Case) -> dict[str, Any]:
    return {
        "settled": list(case.settled),
        "used": case.used,
        "port": case.port,
        "category": case.category,
    }


def in_kvit(kvit: Kvit, word: str) -> dict[str, Any]:
    """Run this module in a process of its own on the data of the served Kvit, and return what it prints.

    While Playwright runs in this process, Django refuses databases here.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.browser.test_review_queue", word],
        env=kvit.environment(DJANGO_SETTINGS_MODULE=SETTINGS),
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _seed() -> dict[str, Any]:
    """Make the invoices and movements of all cases and reconcile; return their numbers and ids by name."""
    from kvit.matching.reconcile import reconcile
    from kvit.users.models import Organization
    from tests.factories import a_client, a_movement, an_account, post

    organization = Organization.objects.get()
    account = an_account(organization)
    an_account(organization, SAVINGS)
    symbols = (str(1_000_000 + (n * 104_729) % 9_000_000) for n in range(1, 1000))
    for _ in range(2):  # others who owe what the exact ones pay
        _owe(a_client(organization), "1111.00 CZK", next(symbols))
    invoices = {case.name: list(_debts(organization, case, symbols)) for case in CASES}
    post(
        account,
        [a_movement("paid-before", "8080.00 CZK", variable_symbol=_symbol(invoices["paid-twice"][0]))],
    )
    reconcile(organization)
    for n, case in enumerate(CASES):
        own = SAVINGS if case.name == "transfer" else f"{1000 + n}/0100"
        post(
            account,
            [
                a_movement(
                    case.name,
                    case.paid,
                    variable_symbol=_reference(case, invoices[case.name]),
                    counterparty_account=own,
                    counterparty_name=f"Plátce {n}",
                    message="děkujeme" if not case.symbol else "",
                )
            ],
        )
    reconcile(organization)
    return {
        name: {"movement": movement.pk, "numbers": [invoice.number for invoice in invoices[name]]}
        for name, movement in _movements().items()
        if name in invoices
    }


def _debts(organization: Any, case: Case, symbols: Iterator[str]) -> Iterator[Any]:
    from kvit.audit.recording import SYSTEM
    from kvit.work.clients import add_payer_account
    from tests.factories import a_client

    client = a_client(organization)
    if case.is_known:
        add_payer_account(client, f"{1000 + CASES.index(case)}/0100", actor=SYSTEM)
    for amount in case.debts:
        yield _owe(client, amount, next(symbols))
        client = client if case.one_client else a_client(organization)


def _owe(client: Any, amount: str, symbol: str) -> Any:
    from tests.factories import an_invoice

    return an_invoice(client, amount, symbol=symbol)


def _reference(case: Case, invoices: list[Any]) -> str:
    if case.symbol == "named":
        return _symbol(invoices[0])
    if case.symbol == "slip":
        digits = _symbol(invoices[0])
        return digits[:-2] + digits[-1] + digits[-2] if digits[-1] != digits[-2] else digits[:-1]
    return case.symbol


def _symbol(invoice: Any) -> str:
    return str(invoice.variable_symbol)


def _movements() -> dict[str, Any]:
    from kvit.ledger.models import MoneyTransaction

    return {row.external_id: row for row in MoneyTransaction.objects.all()}


def _states() -> dict[str, Any]:
    """Return what has become of every case; its invoices are those it was seeded with, by their amounts."""
    from kvit.invoices.models import Invoice
    from kvit.matching.models import Decision

    invoices = iter(Invoice.objects.order_by("id")[2:])
    rows = _movements()
    found = {}
    for case in CASES:
        row = rows[case.name]
        decision = Decision.objects.current().get(transaction=row)
        found[case.name] = {
            "settled": [next(invoices).settled_minor for _ in case.debts],
            "used": row.settled_minor,
            "port": decision.port,
            "category": decision.category,
        }
    return found


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", SETTINGS)
    django.setup()
    sys.stdout.write(json.dumps({"seed": _seed, "states": _states}[sys.argv[1]]()))
