"""The own accounts that files may speak about, as their owner listed them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

_SEPARATORS: Final = re.compile(r"[,;\n]")
_IBAN: Final = re.compile(r"(?:CZ|SK)\d{2}(?P<bank>\d{4})(?P<prefix>\d{6})(?P<number>\d{10})", re.ASCII)
_DOMESTIC: Final = re.compile(r"(?:(?P<prefix>\d{1,6})-)?(?P<number>\d{2,10})(?:/(?P<bank>\d{4}))?", re.ASCII)
_DIGITS: Final = re.compile(r"(?P<prefix>\d{1,6})(?P<number>\d{10})", re.ASCII)
"""As GPC has it: prefix and number without anything between."""


@dataclass(frozen=True, slots=True)
class Number:
    """An account number, however it is written."""

    text: str
    bank: str = ""
    digits: str = ""
    """Prefix and number of a Czech or Slovak account, sixteen digits; empty for any other number."""

    @classmethod
    def of(cls, text: str) -> Self:
        compact = "".join(text.split()).upper()
        for form in (_IBAN, _DOMESTIC, _DIGITS):
            if parts := form.fullmatch(compact):
                found = parts.groupdict(default="")
                return cls(compact, found.get("bank", ""), f"{found['prefix']:0>6}{found['number']:0>10}")
        return cls(compact)

    def covers(self, told: Number) -> bool:
        """Whether a file that tells this number speaks of the listed one; some formats leave the bank out."""
        if self.text == told.text:
            return True
        return bool(self.digits) and self.digits == told.digits and told.bank in ("", self.bank)


@dataclass(frozen=True, slots=True)
class Listed:
    """The listed numbers; none means any account."""

    numbers: Sequence[Number]

    @classmethod
    def of(cls, text: str) -> Self:
        """Read numbers separated by commas, semicolons or line ends."""
        return cls([Number.of(each) for each in _SEPARATORS.split(text) if each.strip()])

    def __bool__(self) -> bool:
        return bool(self.numbers)

    def allows(self, account: str) -> bool:
        told = Number.of(account)
        return not self.numbers or any(number.covers(told) for number in self.numbers)
