"""The column of the balance after each movement: what it says of the statement, and where it breaks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from operator import attrgetter

from kvit.kernel.money import Money
from kvit.kernel.statements.values import Entry, Problem, StatementEnd


class Running:
    """Follows the balances of one account down a file whose oldest row is the first or the last.

    With the oldest row first, balance - all amounts up to the row is the opening balance, at every row. With
    the newest first, balance + all amounts above the row is the closing one. The one that changes less often
    is the order of the file; each change is a break. A row without a balance only adds its amount.
    """

    def __init__(self) -> None:
        self._sum_minor = 0
        self._rising = _Constant()
        self._falling = _Constant()
        self._first_day = self._last_day = 0

    def add(self, entries: Sequence[Entry], balances: Sequence[int | None]) -> None:
        """Take the next booked entries with the balances (hundredths) after them."""
        if not entries:
            return
        sums = list(accumulate((entry.minor for entry in entries), initial=self._sum_minor))
        self._sum_minor = sums[-1]
        known = [index for index, balance in enumerate(balances) if balance is not None]
        after = [(balances[index] or 0) - sums[index + 1] for index in known]
        before = [(balances[index] or 0) + sums[index] for index in known]
        lines = [entries[index].line or 0 for index in known]
        self._rising.add(after, lines)
        self._falling.add(before, lines)
        self._first_day = self._first_day or entries[0].booked_on.toordinal()
        self._last_day = entries[-1].booked_on.toordinal()

    def end(self, currency: str) -> StatementEnd | None:
        """Return the balances at both ends; None where the file does not tell them for sure."""
        order = self._order()
        if order.last is None or order.first is None or not self._is_credible(order):
            return None
        if order is self._rising:
            opening, closing = order.first, order.last + self._sum_minor
        else:
            opening, closing = order.last - self._sum_minor, order.first
        return StatementEnd(
            opening_balance=Money(opening, currency), closing_balance=Money(closing, currency)
        )

    def doubts(self, column: str) -> list[Problem]:
        """Return a warning where a balance does not follow from the one before it."""
        order = self._order()
        if not order.breaks:
            return []
        times = "once" if order.breaks == 1 else f"{order.breaks} times"
        message = f"The balances after each movement do not continue ({times}). A movement may be missing."
        return [Problem(message=message, line=order.line, field=column)]

    def _order(self) -> _Constant:
        if self._rising.breaks != self._falling.breaks:
            return min(self._rising, self._falling, key=attrgetter("breaks"))
        return self._rising if self._first_day <= self._last_day else self._falling

    def _is_credible(self, order: _Constant) -> bool:
        """Whether the balances continue often enough, and in the order of the days."""
        if not order.breaks:
            return True
        in_order = (
            self._first_day <= self._last_day if order is self._rising else self._first_day >= self._last_day
        )
        return in_order and order.breaks * 3 < order.count - 1


class _Constant:
    """A number that should be the same at every row."""

    def __init__(self) -> None:
        self.first: int | None = None
        self.last: int | None = None
        self.count = 0
        self.breaks = 0
        self.line: int | None = None
        """Where it broke first."""

    def add(self, values: Sequence[int], lines: Sequence[int]) -> None:
        if not values:
            return
        if self.first is None:
            self.first = self.last = values[0]
        if self.last != values[0] or len(set(values)) > 1:
            self._follow(values, lines)
        self.last = values[-1]
        self.count += len(values)

    def _follow(self, values: Sequence[int], lines: Sequence[int]) -> None:
        assert self.last is not None
        for (before, value), line in zip(pairwise((self.last, *values)), lines, strict=True):
            if before != value:
                self.breaks += 1
                self.line = self.line or line
