"""`kvit demo`: made once, read through HTTP, on both databases."""

from __future__ import annotations

import re

from tests.commands import Kvit


def numbers(printed: str) -> dict[str, int]:
    words = ("movements", "created", "invoices", "paid", "open", "overdue", "drafts", "review")
    found = {word: re.search(rf"\b{word} (\d+)", printed) for word in words}
    assert all(found.values()), printed
    return {word: int(match[1]) for word, match in found.items() if match}


def check_demo(kvit: Kvit) -> None:
    first = kvit.ok("demo")
    made = numbers(first)
    assert 40 <= made["invoices"] <= 80
    assert made["created"] == made["movements"] > 80
    assert made["paid"] > made["invoices"] / 2
    assert made["overdue"] >= 2
    assert made["drafts"] == 2
    assert made["review"] >= 5
    assert made["paid"] + made["open"] + made["drafts"] == made["invoices"]
    rows = kvit.transactions()
    again = kvit.ok("demo")
    assert numbers(again) == made | {"created": 0}
    assert sign_in(again) == sign_in(first)
    assert kvit.transactions() == rows


def sign_in(printed: str) -> str:
    found = re.search(r"Sign in as demo@kvit\.example, password \S+", printed)
    assert found is not None, printed
    return found[0]


def test_the_demo_is_made_once(fresh: Kvit) -> None:
    check_demo(fresh)
    for name in ("bank.json", "password"):
        assert (fresh.folder / "demo" / name).stat().st_mode & 0o077 == 0
    assert "Everything is in order." in fresh.ok("doctor")


def test_a_lost_bank_file_is_made_again_without_doubling_anything(fresh: Kvit) -> None:
    made = numbers(fresh.ok("demo"))
    (fresh.folder / "demo" / "bank.json").unlink()
    assert numbers(fresh.ok("demo")) == made | {"created": 0}
