"""What a person is offered, in which order and with which facts."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from kvit.kernel.matching import Port, decide
from kvit.kernel.matching.near import is_near
from kvit.kernel.matching.subsets import MOST, adds_up, ways
from tests.kernel.matching.cases import (
    ALFA,
    ALFA_ACCOUNT,
    BETA,
    BETA_ACCOUNT,
    DAY,
    decided,
    index,
    invoice,
    offered,
    payment,
)

KNOWN = [(ALFA_ACCOUNT, ALFA), (BETA_ACCOUNT, BETA)]
BY_ALFA: dict[str, Any] = {"counterparty_account": ALFA_ACCOUNT}


@pytest.mark.parametrize("symbol", ["2026010", "2026601", "202601", "20260001", "2062001", "0226001"])
def test_a_reference_one_slip_away_is_offered_and_never_settled(symbol: str) -> None:
    verdict = decided(payment(symbol), invoice(), *[invoice(n, f"19{n}", client=n) for n in range(20, 30)])
    assert verdict.port is Port.SUGGEST
    assert offered(verdict)[0] == {1: 1000}
    assert "symbol.near" in [reason.code for reason in verdict.candidates[0].against]


def test_of_equal_debts_the_one_a_slip_away_comes_first_then_the_one_due_now() -> None:
    late = invoice(1, due_on=DAY - timedelta(days=200))
    now = invoice(2)
    meant = invoice(3, "2026-777", due_on=DAY - timedelta(days=90))
    verdict = decided(payment("2026776", **BY_ALFA), late, now, meant, known=KNOWN)
    assert offered(verdict) == [{3: 1000}, {2: 1000}, {1: 1000}]


def test_the_payers_debt_comes_before_anybody_elses() -> None:
    verdict = decided(payment("", **BY_ALFA), invoice(1, client=BETA), invoice(2), known=KNOWN)
    assert offered(verdict) == [{2: 1000}, {1: 1000}]
    assert [reason.code for reason in verdict.candidates[1].against] == ["payer.of_other_client"]


def test_debts_that_add_up_are_offered_together() -> None:
    verdict = decided(payment("", minor=2500, **BY_ALFA), invoice(1), invoice(2, minor=1500), known=KNOWN)
    assert offered(verdict) == [{1: 1000, 2: 1500}]


def test_an_amount_that_many_owe_suggests_nobody() -> None:
    clients = [invoice(n, client=n) for n in range(1, 6)]
    assert (decided(payment(""), *clients).port, offered(decided(payment(""), *clients))) == (Port.NONE, [])


@pytest.mark.parametrize(
    ("paid_minor", "kind"),
    [
        (100_050, "difference.rounding"),
        (95_000, "difference.fee"),
        (60_000, "amount.difference"),
        (150_000, "amount.difference"),
    ],
)
def test_a_difference_is_named_by_its_kind(paid_minor: int, kind: str) -> None:
    verdict = decided(payment(minor=paid_minor), invoice(minor=100_000))
    assert [reason.code for reason in verdict.candidates[0].against] == [kind]


@pytest.mark.parametrize(("rate", "kind"), [("25", "difference.exchange"), ("20", "currency.other")])
def test_another_currency_is_a_difference_of_rates_only_near_the_known_one(rate: str, kind: str) -> None:
    euro = invoice(minor=100, currency="EUR")
    verdict = decided(payment(minor=2480), euro, rates={("CZK", "EUR"): Decimal(rate)})
    assert offered(verdict) == [{1: 100}]
    [reason] = verdict.candidates[0].against
    assert (reason.code, reason.values["rate"]) == (kind, "24.8000")


def test_three_are_offered_at_most() -> None:
    books = index(*[invoice(n) for n in range(1, 9)], known=KNOWN)
    assert len(decide(payment("", **BY_ALFA), books).candidates) == 3


@pytest.mark.parametrize(
    "other",
    ["2026002", "202601", "20260001", "12026001", "2026010", "2062001", "226001", "026001", "9026001"],
)
def test_a_digit_wrong_missing_or_too_many_or_two_swapped_is_one_slip(other: str) -> None:
    assert is_near("2026001", other)
    assert is_near(other, "2026001")


@pytest.mark.parametrize("other", ["2026001", "2026999", "2026100", "20260", "12345678901", ""])
def test_the_same_and_everything_else_is_not(other: str) -> None:
    assert not is_near("2026001", other)
    assert not is_near("1234", "1235")


def test_ways_are_the_fewest_first_and_take_no_amount_twice() -> None:
    assert ways([1, 2, 3, 4], 5, most=9) == [(0, 3), (1, 2)]
    assert ways([5, 5], 10, most=2) == [(0, 1)]
    assert ways([5], 10, most=2) == ways([10], 10, most=2) == []
    assert ways([7] * 100, 14, most=2) == [(0, 1), (0, 2)]


def test_too_many_amounts_are_not_tried() -> None:
    assert adds_up([3, 5, 9], 14)
    assert not adds_up([3, 5, 9], 13)
    assert not adds_up([2] * MOST, 7)
    assert adds_up([2] * (MOST + 1), 7)
