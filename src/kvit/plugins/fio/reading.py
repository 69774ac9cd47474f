"""One reading of an account: which days to ask for next, and what the cursor may promise afterwards.

Days are read upwards. An ordinary reading begins 14 days before the last one ended; once a day it begins
at the first day Fio gives without an unlock, so that a movement booked with an old date is found as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from kvit.kernel.statements.fio_json import FioStatement
from kvit.plugin import Misconfigured
from kvit.plugins.fio import answer
from kvit.plugins.fio.cursor import Balance, Cursor, Unfinished

OVERLAP: Final = timedelta(days=14)
"""Movements are booked late and corrected; what is read again is stored once."""
FREE: Final = timedelta(days=89)
"""How far back Fio answers without an unlock; the manual says 90 days (3.1), the last of them is not safe."""
LARGEST_ANSWER: Final = 50_000
"""How many movements Fio gives in one answer (8.6)."""
CONTINUES_FOR: Final = timedelta(days=7)
"""A reading stopped earlier than this begins again, so that every day stays overlapped by a week at least."""

_DAY: Final = timedelta(days=1)
_ANY_SPAN: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The balance before a day is another one than it was when the day was read."""

    before: date
    was: Decimal
    now: Decimal
    reads_again: bool
    """Whether this reading goes back to find what was booked with an earlier date."""


class Reading:
    """The days still to be asked for, and which of them must not be skipped."""

    def __init__(self, cursor: Cursor, *, today: date, days_back: int) -> None:
        """Plan a reading up to `today` inclusive; `days_back` says how old movements the owner wishes."""
        self._stored = cursor
        self._today = today
        self._free_from = today - FREE
        self._days_back = days_back
        self._is_new_wish = self._wishes_more()
        self._is_whole = self._is_new_wish or cursor.read_all_on != today
        self._begun_on = today
        self._reads_from = self._first_day_wanted()
        self._next_day = min(self._first_day(), today)
        self._needed_from = self._first_day_needed()
        self._continue(cursor.unfinished)
        self._read_through = min(cursor.synced_through, today) if cursor.synced_through else None
        self._span_days = cursor.span_days or _ANY_SPAN
        self._balance = cursor.balance
        self._seam: Balance | None = None
        self._is_doubtful = False
        self._is_narrowed = False
        self._locked: Misconfigured | None = None
        self._locked_from = today
        self._too_large: Misconfigured | None = None
        self._left_out = [day for day in cursor.too_large if day >= self._free_from]
        self.left_out: Sequence[date] = tuple(self._left_out) if self._is_whole else ()
        """Days known to be too large for the API, which this reading steps over."""
        self._step_over()

    @property
    def period(self) -> tuple[date, date] | None:
        """The next days to ask for, both inclusive; None where all are read."""
        if self._next_day > self._today:
            return None
        last = min(self._today, self._next_day + timedelta(days=self._span_days - 1))
        stops = [day - _DAY for day in self._left_out if self._next_day < day <= last]
        return self._next_day, min([last, *stops])

    @property
    def refusal(self) -> Misconfigured | None:
        """What a person must do about days that stayed unread."""
        return self._locked or self._too_large

    def answered(self, first: date, last: date, read: FioStatement) -> list[Moved]:
        """Take the answer about a period into account and return the balances that moved meanwhile."""
        seam_moved = self._moved(self._seam, first, last, read)
        moved = [each for each in (self._moved(self._balance, first, last, read), seam_moved) if each]
        self._go_on_after(last)
        self._keep_balance(first, last, read)
        if (last - first).days + 1 == self._span_days and 2 * len(read.records) <= LARGEST_ANSWER:
            self._span_days = min(2 * self._span_days, _ANY_SPAN)
        if moved and not self._is_whole:
            self._begin_again()
        elif seam_moved:
            self._is_doubtful = True
        return moved

    def halve(self, first: date, last: date) -> None:
        """Ask for fewer days at once; a single day is left out, and `refusal` tells."""
        self._span_days = ((last - first).days + 2) // 2
        if first == last:
            self._left_out.append(first)
            self._too_large = self._too_large or _too_large(first)
            self._go_on_after(first)

    def narrow(self, first: date, told: date | None) -> date:
        """Go on from the first day Fio gives and return it; needed days before it become a `refusal`.

        Raises Misconfigured where that was tried already or leaves nothing to ask for.
        """
        free_from = told or (self._free_from if first < self._free_from else None)
        unread_from = max(first, self._needed_from)
        if self._is_narrowed or free_from is None or not first < free_from <= self._today:
            raise _locked(first)
        self._is_narrowed = True
        if unread_from < free_from:
            self._locked, self._locked_from = _locked(unread_from, free_from), first
        self._next_day, self._seam = free_from, None
        self._step_over()
        return free_from

    def cursor(self) -> Cursor:
        """Return what may be promised now: nothing past the first day that is needed and locked."""
        stored = self._stored
        is_over = self.period is None and self._locked is None
        keeps_wish = is_over or stored.synced_through is None
        return Cursor(
            synced_through=self._read_through,
            reads_from=self._reads_from if keeps_wish else stored.reads_from,
            read_all_on=self._read_all_on() if is_over else stored.read_all_on,
            span_days=self._span_days if self._span_days < _ANY_SPAN else None,
            unfinished=None if is_over else self._unfinished(),
            balance=self._balance,
            too_large=tuple(self._left_out),
        )

    def _wishes_more(self) -> bool:
        """Whether nothing was read yet, or the owner now wishes older movements than were ever asked for."""
        stored, earliest = self._stored, self._today - timedelta(days=self._days_back)
        return stored.synced_through is None or (
            stored.reads_from is not None and earliest < stored.reads_from
        )

    def _first_day_wanted(self) -> date:
        stored, earliest = self._stored, self._today - timedelta(days=self._days_back)
        if self._is_new_wish or stored.synced_through is None:
            return earliest
        return stored.reads_from or min(earliest, stored.synced_through - OVERLAP)

    def _first_day(self) -> date:
        synced_through = self._stored.synced_through
        if self._is_new_wish or synced_through is None:
            return self._reads_from
        first = min(synced_through, self._today) - OVERLAP
        if synced_through >= self._free_from:
            first = self._free_from if self._is_whole else max(first, self._free_from)
        return max(first, self._reads_from)

    def _first_day_needed(self) -> date:
        """Return the first day that may not be left out: what the owner asked for, or the last day read.

        The default wish reaches to the edge of what Fio gives, which may be a day later than we think.
        """
        needed = min(self._stored.synced_through or self._today, self._today)
        if self._is_new_wish and self._reads_from < self._free_from:
            needed = min(needed, self._reads_from)
        return needed

    def _continue(self, unfinished: Unfinished | None) -> None:
        if unfinished is None or unfinished.days_back != self._days_back:
            return
        if self._today - unfinished.begun_on <= CONTINUES_FOR and unfinished.next_day <= self._today:
            self._next_day = unfinished.next_day
            self._begun_on = unfinished.begun_on
            self._is_whole = unfinished.is_whole

    def _unfinished(self) -> Unfinished:
        return Unfinished(
            next_day=self._locked_from if self._locked else self._next_day,
            begun_on=self._begun_on,
            is_whole=self._is_whole,
            days_back=self._days_back,
        )

    def _read_all_on(self) -> date | None:
        if self._is_doubtful:
            return None
        return self._today if self._is_whole else self._stored.read_all_on

    def _go_on_after(self, last: date) -> None:
        self._next_day = last + _DAY
        if self._locked is None:
            self._read_through = max(last, self._read_through or last)
        self._step_over()

    def _step_over(self) -> None:
        while self._next_day in self._left_out:
            self._next_day += _DAY

    def _begin_again(self) -> None:
        """Read all that is free: something was booked before the days of an ordinary reading."""
        self._is_whole = True
        self._next_day, self._seam = max(self._free_from, self._reads_from), None
        self._step_over()

    def _moved(self, known: Balance | None, first: date, last: date, read: FioStatement) -> Moved | None:
        if known is None or not first <= known.before <= last + _DAY:
            return None
        now = answer.balance_before(read, known.before)
        if now is None or now == known.amount:
            return None
        return Moved(before=known.before, was=known.amount, now=now, reads_again=not self._is_whole)

    def _keep_balance(self, first: date, last: date, read: FioStatement) -> None:
        """Keep the balance where the next answer begins, and where the next ordinary reading will."""
        closing = answer.balance_before(read, last + _DAY)
        is_adjacent = self._next_day == last + _DAY
        self._seam = Balance(self._next_day, closing) if is_adjacent and closing is not None else None
        next_first = max(self._today - OVERLAP, self._reads_from)
        if first <= next_first <= last + _DAY:
            amount = answer.balance_before(read, next_first)
            self._balance = Balance(next_first, amount) if amount is not None else None


def _too_large(day: date) -> Misconfigured:
    return Misconfigured(
        "On {day} the account has more movements than Fio gives in one answer. "
        "Export that day as a statement file and upload it to Kvit. The next sync goes on without that day.",
        day=day,
    )


def _locked(first: date, free_from: date | None = None) -> Misconfigured:
    if free_from is None:
        return Misconfigured(
            "Fio gives movements since {first} only after an unlock. In the internet banking of Fio open "
            "Settings → API, click the lock icon at the token and authorize it. It stays open for "
            "10 minutes: click “Sync now” here within them.",
            first=first,
        )
    return Misconfigured(
        "Movements since {first} are unread: Fio gives those before {free_from} only after an unlock. "
        "In the internet banking of Fio open Settings → API, click the lock icon at the token and authorize "
        "it. It stays open for 10 minutes: click “Sync now” here within them.",
        first=first,
        free_from=free_from,
    )
