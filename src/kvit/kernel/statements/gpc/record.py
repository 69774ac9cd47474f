"""One record of a GPC file: its fields by the positions of the banks' manuals."""

from __future__ import annotations

from datetime import date
from typing import Final

from kvit.kernel.errors import RecordError
from kvit.kernel.statements.fields import shortened
from kvit.kernel.statements.values import Problem

LONGEST_RECORD: Final = 128
_NAME_END: Final = 117
_FIRST_YEAR: Final = 80
"""Two digits from here on are of the twentieth century."""


class Record:
    """One line of the file."""

    __slots__ = ("_is_utf_8", "as_read", "line", "number")

    def __init__(self, number: int, line: str, encoding: str) -> None:
        """Take a line whose characters are the bytes of the file, of `encoding`."""
        self.number = number
        self._is_utf_8 = encoding == "utf-8" and not line.isascii()
        self.as_read = line
        """The text for people."""
        if self._is_utf_8:
            self.as_read = line.encode("latin-1").decode("utf-8", "replace")
            if not _holds_by_bytes(line):
                line, self._is_utf_8 = self.as_read, False
        self.line = line

    @property
    def kind(self) -> str:
        return self.line[:3]

    def raw(self, first: int, last: int) -> str:
        return self.line[first - 1 : last].strip()

    def text(self, first: int, last: int) -> str:
        value = self.line[first - 1 : last]
        # A name cut inside a character of two bytes loses that character only.
        return (value.encode("latin-1").decode("utf-8", "ignore") if self._is_utf_8 else value).strip()

    def digits(self, first: int, last: int) -> str:
        value = self.line[first - 1 : last]
        if len(value) != last - first + 1 or not is_digits(value):
            raise RecordError(
                "“{text}” is not a number of {length} digits.",
                field=at(first, last),
                text=shortened(self.text(first, last)),
                length=last - first + 1,
            )
        return value

    def day(self, first: int, last: int) -> date | None:
        """Read a day written DDMMYY; blanks and zeros are no day."""
        if not self.raw(first, last).strip("0"):
            return None
        digits = self.digits(first, last)
        try:
            return day_of(digits)
        except ValueError:
            raise RecordError("There is no day {text}.", field=at(first, last), text=digits) from None


def day_of(digits: str) -> date:
    """Make the day of DDMMYY; raises ValueError where there is none."""
    year = int(digits[4:])
    return date(year + (1900 if year >= _FIRST_YEAR else 2000), int(digits[2:4]), int(digits[:2]))


def is_digits(text: str) -> bool:
    """Whether the text is nothing but the digits 0 to 9."""
    return text.isascii() and text.isdigit()


def at(first: int, last: int) -> str:
    """Name a field by its bytes."""
    return f"bytes {first}-{last}"


def problem_of(error: RecordError, record: Record) -> Problem:
    return Problem(message=str(error), line=record.number, field=error.field, is_error=True)


def _holds_by_bytes(line: str) -> bool:
    """Whether the positions of a line in UTF-8 count bytes.

    A bank may count the bytes; a file that somebody converted to UTF-8 counts characters. The numbers behind
    the name tell them apart.
    """
    if line.startswith("074"):
        return is_digits(line[45:59]) and line[59:60] in {"+", "-"} and is_digits(line[60:74])
    return len(line) <= _NAME_END or (len(line) <= LONGEST_RECORD and line[_NAME_END:].isascii())
