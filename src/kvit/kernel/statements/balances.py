"""Whether a statement's balances agree with its movements: a doubt for a person, never a refusal."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from operator import attrgetter

from kvit.kernel.statements.values import Entry, Problem, Statement, StatementEnd

_is_pending = attrgetter("pending")
_minor_of = attrgetter("minor")
_currency_of = attrgetter("currency")


class Balances:
    """Adds up the booked entries of one statement while they go by, in whole hundredths."""

    def __init__(self, statement: Statement | None = None) -> None:
        self._opening = statement.opening_balance if statement else None
        self._closing = statement.closing_balance if statement else None
        self._line = statement.line if statement else None
        self._sum_minor = 0
        self._currencies: set[str] = set()

    def add(self, entries: list[Entry]) -> None:
        has_pending = any(map(_is_pending, entries))
        booked = [entry for entry in entries if not entry.pending] if has_pending else entries
        self._sum_minor += sum(map(_minor_of, booked))
        self._currencies.update(map(_currency_of, booked))

    def end(self, end: StatementEnd) -> None:
        if end.opening_balance is not None:
            self._opening = end.opening_balance
        if end.closing_balance is not None:
            self._closing = end.closing_balance

    @property
    def agree(self) -> bool | None:
        """Whether opening balance + booked movements is the closing balance; None where nobody can say."""
        if self._opening is None or self._closing is None or len(self._all_currencies()) > 1:
            return None
        return self._opening.minor + self._sum_minor == self._closing.minor

    def doubts(self) -> Iterator[Problem]:
        """Yield a warning where opening balance + booked movements is not the closing balance.

        Pending movements are not in the balances. Without both balances there is nothing to compare.
        """
        if self._opening is None or self._closing is None:
            return
        currencies = self._all_currencies()
        if len(currencies) > 1:
            message = f"The balances cannot be checked: the amounts are in {', '.join(sorted(currencies))}."
            yield Problem(message=message, line=self._line)
            return
        difference_minor = self._closing.minor - self._opening.minor - self._sum_minor
        if difference_minor:
            yield Problem(
                message=f"The balances do not agree: opening {self._opening.amount}, movements "
                f"{_amount(self._sum_minor)}, closing {self._closing.amount} "
                f"(difference {_amount(difference_minor)}). "
                "A part of the statement may be missing.",
                line=self._line,
            )

    def _all_currencies(self) -> set[str]:
        balances = (self._opening, self._closing)
        return self._currencies | {each.currency for each in balances if each is not None}


def _amount(minor: int) -> Decimal:
    """Write a sum, which may be larger than any one amount of Money."""
    return Decimal(minor).scaleb(-2)
