"""Transfers between own accounts and money that was sent back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kvit.kernel.matching import Movement, returned, transfers
from tests.kernel.matching.cases import ALFA_ACCOUNT, DAY

MAIN = "CZ6508000000192000145399"
SAVINGS = "CZ5508000000001234567899"
OWN = ("19-2000145399/0800", SAVINGS)


def movement(id: int, account: str, other: str, minor: int, days: int = 0, **more: Any) -> Movement:
    values: dict[str, Any] = {"currency": "CZK", "booked_on": DAY + timedelta(days=days), **more}
    return Movement(id=id, account=account, counterparty_account=other, minor=minor, **values)


def test_a_unique_mirror_is_a_transfer() -> None:
    rows = [movement(1, MAIN, SAVINGS, -500), movement(2, SAVINGS, OWN[0], 500, days=5)]
    assert transfers(rows, OWN) == [(1, 2)]
    assert transfers(rows[::-1], OWN) == [(1, 2)]


@pytest.mark.parametrize(
    "mirror",
    [
        movement(2, SAVINGS, MAIN, 500, days=6),
        movement(2, SAVINGS, MAIN, 501),
        movement(2, SAVINGS, MAIN, 500, currency="EUR"),
        movement(2, SAVINGS, ALFA_ACCOUNT, 500),
        movement(2, MAIN, SAVINGS, 500),
        movement(2, ALFA_ACCOUNT, MAIN, 500),
    ],
)
def test_what_differs_is_no_mirror(mirror: Movement) -> None:
    assert transfers([movement(1, MAIN, SAVINGS, -500), mirror], OWN) == []


def test_one_side_may_name_nobody_but_not_both() -> None:
    assert transfers([movement(1, MAIN, SAVINGS, -500), movement(2, SAVINGS, "", 500)], OWN) == [(1, 2)]
    assert transfers([movement(1, MAIN, "", -500), movement(2, SAVINGS, "", 500)], OWN) == []


def test_of_two_equal_transfers_none_is_told() -> None:
    rows = [
        movement(1, MAIN, SAVINGS, -500),
        movement(2, MAIN, SAVINGS, -500),
        movement(3, SAVINGS, MAIN, 500),
    ]
    assert transfers(rows, OWN) == []


def test_money_sent_back_to_the_same_account_is_returned() -> None:
    rows = [
        movement(1, MAIN, ALFA_ACCOUNT, 500),
        movement(2, MAIN, ALFA_ACCOUNT, 500, days=1),
        movement(3, MAIN, ALFA_ACCOUNT, -500, days=3, text="Vratka omylem zaslané platby"),
    ]
    assert returned(rows) == {2: 3}


@pytest.mark.parametrize(
    "out",
    [
        movement(3, MAIN, ALFA_ACCOUNT, -500, days=3, text="faktura"),
        movement(3, MAIN, ALFA_ACCOUNT, -400, days=3, text="storno"),
        movement(3, MAIN, SAVINGS, -500, days=3, text="storno"),
        movement(3, MAIN, ALFA_ACCOUNT, -500, days=31, text="storno"),
        movement(3, MAIN, ALFA_ACCOUNT, -500, days=-1, text="storno"),
        movement(3, MAIN, "", -500, days=3, text="storno"),
    ],
)
def test_other_outgoing_money_returns_nothing(out: Movement) -> None:
    assert returned([movement(1, MAIN, ALFA_ACCOUNT, 500), out]) == {}
