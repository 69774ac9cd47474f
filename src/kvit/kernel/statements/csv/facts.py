"""What the lines above and below a table say of the statement: account, period and balances."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from kvit.kernel.errors import RecordError
from kvit.kernel.statements.accounts import account_of_text
from kvit.kernel.statements.csv.amounts import Amounts
from kvit.kernel.statements.csv.days import read_day
from kvit.kernel.statements.csv.profile import Fact

_ACCOUNT: Final = re.compile(
    r"[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{2,4}){2,8}|(?:[0-9]{1,6}-)?[0-9]{2,16}(?:/[0-9]{4})?"
)
_CURRENCY: Final = re.compile(r"(?<![A-Z])[A-Z]{3}(?![A-Z])")
_DAY: Final = re.compile(r"[0-9]{1,4}(?:\. ?|[-/])[0-9]{1,2}(?:\. ?|[-/])[0-9]{2,4}")
_NUMBER: Final = re.compile(r"[0-9]{1,9}")


@dataclass(slots=True)
class Facts:
    """Collects what a profile's words stand before; what cannot be read is no fact."""

    words: tuple[Fact, ...]
    amounts: Amounts
    date_order: str
    texts: dict[str, str] = field(default_factory=dict)
    days: dict[str, date] = field(default_factory=dict)
    balances: dict[str, int] = field(default_factory=dict)

    def observe(self, rows: Iterable[Sequence[str]]) -> None:
        """Look for the words in rows that are no movements."""
        for row in rows if self.words else ():
            for fact in self.words:
                after = _after(row, fact.after)
                if after and not self._has(fact.name):
                    self._take(fact.name, after)

    def _has(self, name: str) -> bool:
        return name in self.texts or name in self.days or name in self.balances

    def _take(self, name: str, after: str) -> None:
        if name in ("opening_balance", "closing_balance"):
            self._take_balance(name, after)
        elif name in ("from_date", "to_date"):
            self._take_day(name, after)
        elif name == "account":
            match = _ACCOUNT.search(after)
            self.texts |= {name: account_of_text(match[0])} if match else {}
        elif name == "currency":
            match = _CURRENCY.search(after)
            self.texts |= {name: match[0]} if match else {}
        else:
            match = _NUMBER.search(after)
            self.texts |= {name: match[0].lstrip("0")} if match else {}

    def _take_balance(self, name: str, after: str) -> None:
        # The words may go on with the day of the balance: “Opening balance on 1. 3. 2026: 12,00 CZK”.
        try:
            self.balances[name] = self.amounts.cell(after.rpartition(": ")[2])[0]
        except RecordError:
            return

    def _take_day(self, name: str, after: str) -> None:
        days = _DAY.findall(after)
        try:
            if days:
                self.days[name] = read_day(days[0 if name == "from_date" else -1], self.date_order)
        except RecordError:
            return


def _after(row: Sequence[str], words: str) -> str:
    """The rest of the cell behind the words, or where it ends with them the next cell that is not empty."""
    for index, cell in enumerate(row):
        position = cell.find(words)
        if position >= 0:
            rest = cell[position + len(words) :].strip(" :\"'\t\u00a0")
            following = (each.strip(" \"'\t\u00a0") for each in row[index + 1 :])
            return (rest or next(filter(None, following), ""))[:200]
    return ""
