from __future__ import annotations

import operator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvit.kernel.errors import AmountUnreadable, CurrencyMismatch
from kvit.kernel.money import Money
from tests.factories import money

amounts = st.integers(-(10**12), 10**12)


@given(amounts)
def test_what_is_written_reads_back_exactly(minor: int) -> None:
    value = Money(minor, "CZK")
    assert Money.of(str(value.amount), "CZK") == value
    assert value.amount.as_tuple().exponent == -2


@given(amounts, amounts)
def test_adding_and_subtracting_loses_nothing(one: int, other: int) -> None:
    assert Money(one, "EUR") + Money(other, "EUR") - Money(other, "EUR") == Money(one, "EUR")


@pytest.mark.parametrize(
    "text", ["12,50", "", "1e", "NaN", "Infinity", "0.001", "1.0000000000000000000000000000001", "1e30"]
)
def test_what_is_not_an_exact_amount_is_refused(text: str) -> None:
    with pytest.raises(AmountUnreadable):
        Money.of(text, "CZK")


def test_a_float_is_refused() -> None:
    with pytest.raises(AmountUnreadable):
        Money.of(0.1, "CZK")  # type: ignore[arg-type]  # that is the test


def test_trailing_zeros_are_no_decimals() -> None:
    assert Money.of("8.8500", "EUR") == money("8.85 EUR")


@pytest.mark.parametrize("currency", ["", "czk", "Kč", "CZKX"])
def test_a_currency_is_three_capital_letters(currency: str) -> None:
    with pytest.raises(AmountUnreadable):
        Money(1, currency)


def test_currencies_never_mix() -> None:
    for act in (operator.add, operator.sub, operator.lt):
        with pytest.raises(CurrencyMismatch):
            act(money("1.00 CZK"), money("1.00 EUR"))
    assert money("1.00 CZK") != money("1.00 EUR")


def test_halves_round_away_from_zero() -> None:
    assert money("0.01 CZK").times(Decimal("0.5")) == money("0.01 CZK")
    assert money("-0.01 CZK").times(Decimal("0.5")) == money("-0.01 CZK")
    assert money("0.01 CZK").times(Decimal("0.49")) == money("0.00 CZK")
