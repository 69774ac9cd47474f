"""What the columns that a person points at make of a CSV file."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from kvit.kernel.errors import AmountUnreadable, StatementError
from kvit.kernel.money import Money
from kvit.kernel.statements import NO_CURRENCY, Entry, Hints, Problem, parse
from kvit.kernel.statements.csv import Profile, profile_to_toml
from kvit.web.words import error_text

ENTRIES_SHOWN: Final = 8
PROBLEMS_SHOWN: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a mapping makes of the whole file."""

    entries: tuple[Entry, ...] = ()
    """The first ones."""
    problems: tuple[Problem, ...] = ()
    """The first ones."""
    read: int = 0
    left_out: int = 0
    incoming: tuple[Money, ...] = ()
    outgoing: tuple[Money, ...] = ()
    """One sum per currency; negative."""
    error: str = ""
    """Why nothing can be read this way."""


def result_of(data: bytes, profile: Profile, *, account: str, currency: str) -> Result:
    """Read the whole file by a profile; what is wrong with it becomes the result's `error`."""
    hints = Hints(account=account, currency=currency, profile=profile_to_toml(profile))
    tally = _Tally(currency or profile.currency)
    try:
        for event in parse(data, hints=hints):
            tally.take(event)
    except StatementError as error:
        return tally.result(error_text(error))
    return tally.result()


class _Tally:
    """Counts what a file yields and keeps the first of it; amounts without a currency get the given one."""

    def __init__(self, currency: str) -> None:
        self._currency = currency or NO_CURRENCY
        self._entries: list[Entry] = []
        self._problems: list[Problem] = []
        self._read = self._left_out = 0
        self._incoming: dict[str, int] = {}
        self._outgoing: dict[str, int] = {}

    def take(self, event: object) -> None:
        if isinstance(event, Entry):
            self._count(event)
        elif isinstance(event, Problem):
            self._left_out += event.is_error
            if len(self._problems) < PROBLEMS_SHOWN:
                self._problems.append(event)

    def result(self, error: str = "") -> Result:
        return Result(
            entries=tuple(self._entries),
            problems=tuple(self._problems),
            read=self._read,
            left_out=self._left_out,
            incoming=_sums(self._incoming),
            outgoing=_sums(self._outgoing),
            error=error,
        )

    def _count(self, entry: Entry) -> None:
        currency = self._currency if entry.currency == NO_CURRENCY else entry.currency
        sums = self._incoming if entry.minor >= 0 else self._outgoing
        sums[currency] = sums.get(currency, 0) + entry.minor
        self._read += 1
        if len(self._entries) < ENTRIES_SHOWN:
            self._entries.append(replace(entry, currency=currency))


def _sums(minor: dict[str, int]) -> tuple[Money, ...]:
    """One sum per currency; one too large to be money is left out, as its columns are certainly wrong."""
    sums = []
    for currency, amount in minor.items():
        with suppress(AmountUnreadable):
            sums.append(Money(amount, currency))
    return tuple(sums)
