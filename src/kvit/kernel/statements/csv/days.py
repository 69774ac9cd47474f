"""Calendar days as banks write them in tables, and which part of one is the day and which the month."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import Final

from kvit.kernel.errors import RecordError
from kvit.kernel.statements.csv.words import normalized
from kvit.kernel.statements.fields import shortened

FIRST_YEAR: Final = 80
"""Two digits from here on are of the twentieth century."""

_TIME: Final = r"(?:(?:T|[ ,] ?)[0-9][^\n]{0,39})?"
_PARTS: Final = re.compile(
    rf"([0-9]{{1,4}})(\. ?|[-/ ])([0-9]{{1,2}})(?:\. ?|[-/ ])([0-9]{{4}}|[0-9]{{1,2}})\.?{_TIME}"
)
_COMPACT: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:T?[0-9]{6})?")
_NAMED: Final = re.compile(
    rf"([0-9]{{1,2}})[-./ ]{{1,2}}([^\W\d_]{{3,12}})[-./ ]{{1,2}}([0-9]{{4}}|[0-9]{{2}}){_TIME}"
)
_NAMED_FIRST: Final = re.compile(rf"([^\W\d_]{{3,12}})[. ]{{1,2}}([0-9]{{1,2}}),? ([0-9]{{4}}){_TIME}")
_MAY_BE: Final = re.compile(r"\s*(?:[0-9]{1,4}[-./ ]|[0-9]{8}|[^\W\d_]{3,12}[. ]{1,2}[0-9])")
_MONTHS: Final = tuple(
    frozenset(names.split())
    for names in (
        "jan january januar ledna leden enero janvier januari gennaio",
        "feb february februar unora unor febrero fevrier februari febbraio",
        "mar march marz maerz mrz brezna brezen marzo mars maart mrt",
        "apr april dubna duben abril avril aprile",
        "may mai kvetna kveten mayo mei maggio",
        "jun june juni cervna cerven junio juin giugno",
        "jul july juli cervence cervenec julio juillet luglio",
        "aug august srpna srpen agosto aout augustus",
        "sep sept september zari septiembre septembre settembre",
        "oct october okt oktober rijna rijen octubre octobre ottobre",
        "nov november listopadu listopad noviembre novembre",
        "dec december dez dezember prosince prosinec diciembre decembre dicembre",
    )
)
_MONTH_OF: Final = {name: number for number, names in enumerate(_MONTHS, start=1) for name in names}
_MOST_CACHED: Final = 20_000


class Days(dict[str, date]):
    """Reads days, each text once; `order` says what the parts are where the text leaves it open."""

    def __init__(self, order: str = "") -> None:
        super().__init__()
        self.order = order

    def __missing__(self, text: str) -> date:
        """Read a day; raises RecordError where there is none, or where its month could be its day."""
        if len(self) > _MOST_CACHED:
            self.clear()
        self[text] = day = read_day(text, self.order)
        return day


def read_day(text: str, order: str = "") -> date:
    """Read the calendar day of a date or date-time as it is written; the zone is not converted.

    `order` (`dmy`, `mdy`, `ymd`) is needed only where the text could be read in two ways. Raises RecordError.
    """
    year, month, day = _parts(text.strip(), order)
    if year < 100:
        year += 1900 if year >= FIRST_YEAR else 2000
    try:
        return date(year, month, day)
    except ValueError:
        raise RecordError("There is no day {text}.", text=shortened(text.strip())) from None


def is_day(text: str) -> bool:
    """Whether the text is a day in any order of its parts."""
    if not _MAY_BE.match(text):
        return False
    for order in ("dmy", "mdy", "ymd"):
        try:
            read_day(text, order)
        except RecordError:
            continue
        return True
    return False


def order_of(texts: Iterable[str]) -> str:
    """Return the one order in which all these days exist, as far as texts that are days tell; else nothing.

    Stops reading where only one order is left. A dotted date is `dmy`: nobody writes the month first so.
    """
    possible = {"dmy", "mdy", "ymd"}
    seen = False
    for text in texts:
        here = _orders(text.strip())
        if here and here & possible:
            possible &= here
            seen = True
        if len(possible) == 1:
            return possible.pop()
    return "dmy" if seen and possible == {"dmy", "ymd"} else ""


def needs_order(text: str) -> bool:
    """Whether the order of its parts is what makes the text a day."""
    return bool(_orders(text.strip()))


def is_open(text: str) -> bool:
    """Whether a day reads differently in different orders."""
    days = set()
    for order in _orders(text.strip()):
        days.add(read_day(text, order))
    return len(days) > 1


def _parts(text: str, order: str) -> tuple[int, int, int]:
    match = _PARTS.fullmatch(text)
    if match is not None:
        return _ordered(match, order)
    if match := _COMPACT.fullmatch(text):
        if order == "dmy" and len(text) == 8:
            return int(text[4:8]), int(text[2:4]), int(text[:2])
        if match[1][:2] in ("19", "20"):
            return int(match[1]), int(match[2]), int(match[3])
    if match := _NAMED.fullmatch(text):
        return int(match[3]), _month(match[2], text), int(match[1])
    if match := _NAMED_FIRST.fullmatch(text):
        return int(match[3]), _month(match[1], text), int(match[2])
    raise RecordError("“{text}” is not a date.", text=shortened(text))


def _ordered(match: re.Match[str], order: str) -> tuple[int, int, int]:
    first, second, third = int(match[1]), int(match[3]), int(match[4])
    if len(match[1]) == 4 and len(match[4]) <= 2:
        return first, second, third
    if len(match[1]) > 2 or len(match[4]) not in (2, 4):
        raise RecordError("“{text}” is not a date.", text=shortened(match[0]))
    if order == "ymd" and len(match[4]) == 2:
        return first, second, third
    if order == "mdy":
        return third, first, second
    if order == "dmy" or match[2].startswith(".") or first == second:
        return third, second, first
    raise RecordError("“{text}” can be two days: say which part is the month.", text=shortened(match[0]))


def _orders(text: str) -> set[str]:
    """The orders in which a text of numbers is a day; none where it is no day or needs no order."""
    match = _PARTS.fullmatch(text)
    if match is None or len(match[1]) == 4:
        return set()
    candidates = {"dmy", "ymd"} if match[2].startswith(".") else {"dmy", "mdy", "ymd"}
    if len(match[4]) == 4:
        candidates.discard("ymd")
    return {order for order in candidates if _exists(text, order)}


def _exists(text: str, order: str) -> bool:
    try:
        read_day(text, order)
    except RecordError:
        return False
    return True


def _month(name: str, text: str) -> int:
    month = _MONTH_OF.get(normalized(name))
    if month is None:
        raise RecordError("“{text}” is not a date.", text=shortened(text))
    return month
