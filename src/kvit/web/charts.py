"""Charts as numbers for SVG that the server draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kvit.dashboard.figures import Month
from kvit.kernel.money import Money
from kvit.web.words import short_month_text

HEIGHT = 100
SLOT = 10
"""The width of a month; the drawing is stretched to the page."""
BAR = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One month's two bars, hanging from `top` to the ground at HEIGHT."""

    month: Month
    label: str
    income_x: int
    income_top: int
    income_height: int
    expense_x: int
    expense_top: int
    expense_height: int


def bars(months: Sequence[Month]) -> list[Bar]:
    """Scale the months so that the largest sum fills the height; no months or no money make no bars."""
    largest = max((max(month.income.minor, month.expense.minor) for month in months), default=0)
    if not largest:
        return []
    return [_bar(month, position * SLOT, largest) for position, month in enumerate(months)]


def _bar(month: Month, left: int, largest: int) -> Bar:
    income, expense = _height(month.income, largest), _height(month.expense, largest)
    return Bar(
        month=month,
        label=short_month_text(month.first_day),
        income_x=left + 2,
        income_top=HEIGHT - income,
        income_height=income,
        expense_x=left + 2 + BAR,
        expense_top=HEIGHT - expense,
        expense_height=expense,
    )


def _height(amount: Money, largest: int) -> int:
    """Whole steps of a hundred; a sum that is there is never drawn as nothing, nor below the ground."""
    return max(amount.minor * HEIGHT // largest, 1) if amount.minor > 0 else 0
