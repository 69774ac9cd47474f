"""How one field of a statement is read in every format: an amount, a day, a symbol, plain text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from kvit.kernel.errors import AmountUnreadable, RecordError
from kvit.kernel.money import Money

_AMOUNT = re.compile(r"([+-]?)(?=\.?[0-9])([0-9]{0,30})(?:\.([0-9]{0,40}))?")
_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?=$|[TZ+-])")
_SYMBOL = re.compile(r"(?<![A-Za-z])(VS|SS|KS)(?:[:/] ?|(?<=/..))([0-9]{1,10})(?![0-9])")


class Symbols(NamedTuple):
    """The three Czech payment symbols; an absent one is empty."""

    variable: str = ""
    constant: str = ""
    specific: str = ""


_NO_SYMBOLS = Symbols()


def read_money(text: str, currency: str, field: str) -> Money:
    """Read an amount with a decimal point, exactly.

    Raises RecordError for anything but plain digits, for more than two decimals that matter and for a
    currency that is not three capital letters.
    """
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise RecordError("“{text}” is not an amount.", field=field, text=shortened(text))
    sign, whole, fraction = match[1], match[2], (match[3] or "").rstrip("0")
    if len(fraction) > 2:
        raise RecordError("The amount {text} has more than two decimals.", field=field, text=shortened(text))
    minor = int(whole or "0") * 100 + int(fraction.ljust(2, "0"))
    return money_of(-minor if sign == "-" else minor, currency, field)


def money_of(minor: int, currency: str, field: str) -> Money:
    """Make Money of hundredths; raises RecordError for an unreal amount or currency code."""
    try:
        return Money(minor, currency)
    except AmountUnreadable as error:
        raise RecordError(error.message, field=field, **error.params) from None


def read_day(text: str, field: str) -> date:
    """Read the calendar day of an ISO 8601 date or date-time as it is written; the zone is not converted.

    Raises RecordError where there is no such day.
    """
    match = _DAY.match(text)
    if match is None:
        raise RecordError("“{text}” is not a date.", field=field, text=shortened(text))
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        raise RecordError("There is no day {text}.", field=field, text=match[0]) from None


def find_symbols(texts: Iterable[str]) -> tuple[Symbols, tuple[str, ...]]:
    """Find the symbols that Czech and Slovak banks write into payment texts.

    Known are `VS:1SS:2KS:3` (Czech Banking Association, since April 2020), `/VS/1/SS/2/KS/3` (before)
    and `/VS1/SS2/KS3` (the Slovak payer's reference). Where a symbol has two values neither is taken and
    its name is in the second part of the result.
    """
    pairs = [pair for text in texts if "S" in text for pair in _SYMBOL.findall(text)]
    if not pairs:
        return _NO_SYMBOLS, ()
    found: dict[str, str] = {}
    doubtful: dict[str, None] = {}
    for name, value in pairs:
        significant = value.lstrip("0")
        if significant and found.setdefault(name, value).lstrip("0") != significant:
            doubtful[name] = None
    for name in doubtful:
        del found[name]
    return Symbols(found.get("VS", ""), found.get("KS", ""), found.get("SS", "")), tuple(doubtful)


def is_symbol(text: str) -> bool:
    """Whether the text is nothing but one symbol, such as `VS:2026001`."""
    return _SYMBOL.fullmatch(text) is not None


def without_zero_symbol(symbol: str) -> str:
    """Return the symbol, or nothing for one of zeros only, which means that there is none."""
    return symbol if symbol.strip("0") else ""


def one_line(*texts: str) -> str:
    """Join texts with single spaces."""
    return " ".join(" ".join(texts).split())


def shortened(text: str) -> str:
    """Cut a text from the file so that it can stand in a message."""
    return text if len(text) <= 40 else text[:40] + "…"
