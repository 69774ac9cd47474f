"""The statement line (:61:) of MT940 and MT942: a movement's days, mark, amount and references.

SWIFT, Category 9, field 61: `6!n[4!n]2a[1!a]15d1!a3!c16x[//16x][34x]`. Banks write more than that: blanks for
the entry date, a point for the comma, a blank before the type, Fio its currency and a sign (`DCZK-3000,00`).
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from kvit.kernel.errors import RecordError
from kvit.kernel.statements.fields import shortened
from kvit.kernel.statements.identity import bank_reference

STATEMENT_LINE: Final = re.compile(
    r"""
    \s?([0-9]{6}(?:[0-9]{4}|[ ]{4})?)  # value date and entry date
    (R?[CDcd]|E[CD])                   # mark
    ([A-Z]{3}|[A-Z]|)                  # third letter of the currency; Fio writes all three
    \s?(-?)                            # Fio's sign
    ([0-9]{1,15})[,.]([0-9]{0,15})     # amount
    \s?[A-Z][A-Z0-9 ]{3}               # type of transaction
    ([^\n]*)                           # references
    \n?([^\n]*)                        # supplementary details
    [\s\S]*
    """,
    re.VERBOSE,
)
SIGNS: Final = {"C": 1, "D": -1, "RC": -1, "RD": 1, "EC": 1, "ED": -1, "c": 1, "d": -1, "Rc": -1, "Rd": 1}
"""Credit, debit, reversal of a credit, reversal of a debit, expected credit, expected debit."""
EXPECTED: Final = frozenset({"EC", "ED"})
FIELD: Final = ":61:"
_POINTERS: Final = frozenset({"NONREF", "NOREF", "EREF", "KREF", "KREF+", "PREF", "MARF", "NOTPROVIDED"})
"""What stands for a customer reference that is absent or stands in the information (:86:)."""
_FIRST_YEAR: Final = 80
"""Two digits from here on are of the twentieth century."""
_MOST_DAYS: Final = 10_000
_DIGIT = re.compile(r"[0-9]")
_LONGEST_COUNTER: Final = 6
_LONGEST_REFERENCE: Final = 16
"""As SWIFT has it."""


class Days(dict[str, tuple[date, date]]):
    """`YYMMDD[MMDD]` to the value day and the booking day; without an entry date both are the same.

    Raises RecordError for a day that does not exist.
    """

    def __missing__(self, digits: str) -> tuple[date, date]:
        value_on = day_of(digits[:6])
        if len(self) > _MOST_DAYS:
            self.clear()
        days = self[digits] = value_on, _entry_day(digits[6:], value_on)
        return days


def day_of(digits: str) -> date:
    """Make the day of YYMMDD; raises RecordError where there is none."""
    year = int(digits[:2])
    try:
        return date(year + (1900 if year >= _FIRST_YEAR else 2000), int(digits[2:4]), int(digits[4:]))
    except ValueError:
        raise RecordError("There is no day {text}.", field=FIELD, text=digits) from None


def _entry_day(digits: str, value_on: date) -> date:
    """Put a day without a year nearest to the value day: the two may stand in different years."""
    if not digits.strip():
        return value_on
    days = []
    for year in (value_on.year - 1, value_on.year, value_on.year + 1):
        try:
            days.append(date(year, int(digits[:2]), int(digits[2:])))
        except ValueError:
            continue
    if not days:
        raise RecordError("There is no day {text}.", field=FIELD, text=digits)
    return min(days, key=lambda day: abs(day - value_on))


def minor_of(whole: str, fraction: str) -> int:
    """Return hundredths; raises RecordError for more than two decimals that matter."""
    decimals = fraction.rstrip("0")
    if len(decimals) > 2:
        raise RecordError(
            "The amount {text} has more than two decimals.", field=FIELD, text=f"{whole},{fraction}"
        )
    return int(whole + decimals.ljust(2, "0"))


def unreadable(text: str) -> RecordError:
    """Say that a whole statement line cannot be read."""
    first = shortened(text.partition("\n")[0])
    return RecordError("“{text}” is not a statement line.", field=FIELD, text=first)


def customer_reference(text: str) -> str:
    """Return the reference of who gave the order; nothing for a word that stands for none."""
    return "" if text in _POINTERS else text


def reference_of_bank(text: str) -> str:
    """Return the bank's id of a movement; a word such as `Gebyrer`, which some banks write there, is none."""
    if (
        _LONGEST_COUNTER < len(text) <= _LONGEST_REFERENCE
        and text.isalnum()
        and not text.isalpha()
        and text.strip("0")
    ):
        # Nothing but a reference; `bank_reference` would only take longer to say so.
        return text
    return bank_reference(text, counts=True) if _DIGIT.search(text) else ""
