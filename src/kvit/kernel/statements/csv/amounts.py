"""Amounts as banks write them in tables: exact hundredths out of any spelling, or a reason why not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Final

from kvit.kernel.errors import RecordError
from kvit.kernel.statements.csv.words import SYMBOLS
from kvit.kernel.statements.fields import shortened

SPACES: Final = " \u00a0\u202f\u2009'’"
"""What may stand between thousands, besides the mark that is not the decimal one."""

_CURRENCY: Final = r"[A-Z]{3}|€|£|\$|Kč|zł|Ft"
_CELL: Final = re.compile(
    rf"({_CURRENCY})?[ \u00a0]?([-+−–]?)[ \u00a0]?({_CURRENCY})?[ \u00a0]?"
    rf"([0-9][0-9.,{SPACES}]{{0,40}}|[.,][0-9]{{1,20}})([-+−]?)[ \u00a0]?({_CURRENCY})?"
)
_MINUS: Final = frozenset("-−–")
_UNDERSTOOD_BY_INT: Final = (" ", "_", "+", "\t", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x1f")
"""What `int` passes over besides digits and a minus."""
_LARGEST: Final = 10**16
_LONGEST_PLAIN: Final = 16
"""How many letters an amount may have that is surely not too large."""

_third_last = itemgetter(-3)


class Amounts:
    """Reads amounts with one decimal mark."""

    def __init__(self, decimal: str) -> None:
        """Take `.` or `,`; the other one may stand between thousands."""
        other = "," if decimal == "." else "."
        between = f"[{SPACES}{re.escape(other)}]"
        mark = re.escape(decimal)
        self.decimal = decimal
        self._number = re.compile(
            rf"([0-9]{{1,3}}(?:({between})[0-9]{{3}}(?:\2[0-9]{{3}})*)|[0-9]{{1,24}})?(?:{mark}([0-9]{{0,24}}))?"
        )
        self._grouped = re.compile(
            rf"(?:[+-]?(?:[0-9]{{1,3}}(?:[ \u00a0{re.escape(other)}][0-9]{{3}}){{0,4}}|[0-9]{{1,13}})"
            rf"{mark}[0-9]{{2}}\n)*+"
        )
        self._removed = str.maketrans("", "", f" \u00a0{other}{decimal}")

    def column(self, texts: Sequence[str]) -> list[int] | None:
        """Read a whole column of amounts without currencies; None where one cannot be read."""
        return self._plain_column(texts) or self._any_column(texts)

    def _plain_column(self, texts: Sequence[str]) -> list[int] | None:
        """Read amounts of nothing but digits, two decimals and at most a minus."""
        joined = "\n".join(texts)
        digits = joined.replace(self.decimal, "")
        lengths = set(map(len, texts))
        if (
            min(lengths) < 3
            or max(lengths) > _LONGEST_PLAIN
            or set(map(_third_last, texts)) != {self.decimal}
            or len(joined) - len(digits) != len(texts)
            or not joined.isascii()
            or any(each in joined for each in _UNDERSTOOD_BY_INT)
        ):
            return None
        try:
            return list(map(int, digits.split("\n")))
        except ValueError:
            return None

    def _any_column(self, texts: Sequence[str]) -> list[int] | None:
        joined = "\n".join(texts) + "\n"
        if self._grouped.fullmatch(joined):
            numbers = joined.translate(self._removed).split("\n")
        else:
            return self._one_by_one(texts)
        numbers.pop()
        return list(map(int, numbers)) if len(numbers) == len(texts) else None

    def _one_by_one(self, texts: Sequence[str]) -> list[int] | None:
        try:
            cells = list(map(self.cell, texts))
        except RecordError:
            return None
        return None if any(currency for _, currency in cells) else [minor for minor, _ in cells]

    def cell(self, text: str) -> tuple[int, str]:
        """Return the hundredths of one amount and the currency written beside it, else nothing for that.

        Raises RecordError where it is no amount, has more than two decimals that matter, or could be two.
        """
        text = text.strip()
        bracketed = text.startswith("(") and text.endswith(")")
        match = _CELL.fullmatch(text[1:-1] if bracketed else text)
        if match is None:
            raise RecordError("“{text}” is not an amount.", text=shortened(text))
        before, sign, between, number, behind, after = match.groups(default="")
        named = {SYMBOLS.get(name, name) for name in (before, between, after) if name}
        if len(named) > 1 or (bool(sign) + bool(behind) + bracketed) > 1 or (behind and number[-1] in ".,"):
            raise RecordError("“{text}” is not an amount.", text=shortened(text))
        minor = self._hundredths(number.rstrip(SPACES), text)
        negative = sign in _MINUS or behind in _MINUS or bracketed
        currency = named.pop() if named else ""
        return -minor if negative else minor, "" if currency == "$" else currency

    def _hundredths(self, number: str, text: str) -> int:
        match = self._number.fullmatch(number)
        if match is None:
            raise RecordError("“{text}” is not an amount.", text=shortened(text))
        whole = re.sub(r"[^0-9]", "", match[1] or "0")
        fraction = (match[3] or "").rstrip("0")
        if len(fraction) > 2:
            raise RecordError("The amount {text} has more than two decimals.", text=shortened(text))
        minor = int(whole) * 100 + int(fraction.ljust(2, "0"))
        if minor >= _LARGEST:
            raise RecordError("The amount {text} is too large to be true.", text=shortened(text))
        return minor


def is_amount(text: str) -> bool:
    """Whether the text is an amount with either decimal mark."""
    for amounts in _EITHER:
        try:
            amounts.cell(text)
        except RecordError:
            continue
        return True
    return False


def decimal_mark(texts: Iterable[str]) -> str:
    """Return the decimal mark that these amounts prove, nothing where none has one, `?` where it is open.

    It is proved by an amount with both marks, or with one that thousands cannot be set off by.
    """
    proved: set[str] = set()
    is_open = False
    for text in texts:
        match = _CELL.fullmatch(text.strip().strip("()"))
        if match is None:
            continue
        mark = _mark(match[4].rstrip(SPACES))
        if mark == "?":
            is_open = True
        elif mark:
            proved.add(mark)
    if len(proved) == 1:
        return proved.pop()
    return "?" if is_open or proved else ""


def _mark(number: str) -> str:
    """The decimal mark of one number, `?` where it may be one of thousands, nothing where it has none."""
    marks = [letter for letter in number if letter in ".,"]
    if not marks:
        return ""
    if len(set(marks)) == 2:
        return marks[-1]
    other = "." if marks[0] == "," else ","
    if len(marks) > 1:
        return other
    before, _, after = number.partition(marks[0])
    is_group = len(after) == 3 and 1 <= len(before) <= 3 and before.strip("0") != ""
    return "?" if is_group else marks[0]


_EITHER: Final = (Amounts("."), Amounts(","))
