"""Cron expressions on a local clock: checked with words a person understands, and their ticks in UTC.

The dialect is Debian cron's with five fields, read by cronsim: names of months and days, lists, ranges,
steps, `L`, `LW` and `#`. Day of month and day of week both hold where one begins with a star, else either is
enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from kvit.kernel.errors import Misconfigured

LONGEST_EXPRESSION: Final = 100
EXAMPLE: Final = "0 6 * * 1-5"
FIELDS: Final = 5
EVERY_HOUR: Final = frozenset(range(24))
_START: Final = datetime(2000, 1, 1)  # noqa: DTZ001  # a local clock; the cycle of weekdays and leap years is whole after it


@lru_cache(maxsize=256)
def checked(expression: str) -> str:
    """Return the expression with single spaces between its fields.

    Raises Misconfigured(field="schedule"), saying which field is wrong, for what is no cron expression of
    five fields or never comes true within fifty years, such as 31 February.
    """
    fields = expression.split()
    text = " ".join(fields)
    if len(fields) == FIELDS + 1:
        raise Misconfigured(
            "A schedule has five fields without seconds: a connection is synced once a minute at most."
            " Leave the first of the six out, or choose one of the presets.",
            field="schedule",
        )
    if len(fields) != FIELDS or len(text) > LONGEST_EXPRESSION:
        raise Misconfigured(
            "A schedule has five fields: minute, hour, day of month, month and day of week. “{example}” is"
            " every working day at 6:00. Or choose one of the presets.",
            field="schedule",
            example=EXAMPLE,
        )
    try:
        next(CronSim(text, _START))
    except CronSimError:
        _refuse_field(fields)
        raise _never() from None
    except StopIteration:
        raise _never() from None
    return text


def ticks(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Yield the ticks of a checked expression that come after a moment, in UTC and in order, none twice.

    Where every hour is meant, real time counts: five minutes stay five minutes when the clocks change.
    Where hours are named, the local clock counts and each named time comes once a day: one that the change
    to summer time leaps over comes at the leap, one that the change back repeats comes the first time.
    """
    while True:
        # Ticks are whole minutes, so all moments of one minute have the same next tick.
        after = _tick(expression, zone, after.replace(second=0, microsecond=0))
        yield after


def shortest_pause(expression: str) -> timedelta:
    """Return how close two ticks of a checked expression may come, at most an hour.

    Only minutes are looked at, so the true pause may be longer.
    """
    minutes = sorted(parsed(expression).minutes)
    following = [*minutes[1:], minutes[0] + 60]
    return timedelta(minutes=min(b - a for a, b in zip(minutes, following, strict=True)))


@lru_cache(maxsize=256)
def parsed(expression: str) -> CronSim:
    """Return the fields of a checked expression; nobody iterates this one."""
    return CronSim(expression, _START)


@lru_cache(maxsize=4096)
def _tick(expression: str, zone: ZoneInfo, after: datetime) -> datetime:
    """The first tick after a moment. Many connections share a schedule, so answers are kept."""
    if parsed(expression).hours >= EVERY_HOUR:
        found = _in_real_time(expression, zone, after)
    else:
        found = _on_the_local_clock(expression, zone, after)
    return next(tick for tick in found if tick > after)


def _in_real_time(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    minute, _hour, *days = expression.split()
    # cronsim lets real time count where a field begins with a star.
    for local in CronSim(" ".join((minute, "*", *days)), after.astimezone(zone)):
        yield local.astimezone(UTC)


def _on_the_local_clock(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    for local in CronSim(expression, after.astimezone(zone).replace(tzinfo=None)):
        yield _moment(local, zone)


def _moment(local: datetime, zone: ZoneInfo) -> datetime:
    """The moment of a time of the local clock: the first of two, the end of the leap where there is none."""
    while True:
        moment = local.replace(tzinfo=zone).astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None) == local:
            return moment
        local += timedelta(minutes=1)


def _refuse_field(fields: list[str]) -> None:
    """Raise Misconfigured for the first field that is wrong by itself."""
    minute, hour, day, month, weekday = fields
    if not _is_readable(f"{minute} * * * *"):
        raise Misconfigured(
            "“{value}” is no minute. Write 0 to 59, a list such as 0,30 or a step such as */15, or choose one"
            " of the presets.",
            field="schedule",
            value=minute,
        )
    if not _is_readable(f"0 {hour} * * *"):
        raise Misconfigured(
            "“{value}” is no hour. Write 0 to 23, a range such as 8-17 or a step such as */4, or choose one"
            " of the presets.",
            field="schedule",
            value=hour,
        )
    if not _is_readable(f"0 0 {day} * *"):
        raise Misconfigured(
            "“{value}” is no day of the month. Write 1 to 31, L for the last day, or * for every day.",
            field="schedule",
            value=day,
        )
    if not _is_readable(f"0 0 * {month} *"):
        raise Misconfigured(
            "“{value}” is no month. Write 1 to 12 or * for every month.", field="schedule", value=month
        )
    if not _is_readable(f"0 0 * * {weekday}"):
        raise Misconfigured(
            "“{value}” is no day of the week. Write 0 to 7 (0 and 7 are Sunday), a range such as 1-5, or *"
            " for every day.",
            field="schedule",
            value=weekday,
        )


def _is_readable(expression: str) -> bool:
    try:
        CronSim(expression, _START)
    except CronSimError:
        return False
    return True


def _never() -> Misconfigured:
    return Misconfigured(
        "No day fits this schedule: the months it names never have such a day. Look at the day of month, the"
        " month and the day of week, or choose one of the presets.",
        field="schedule",
    )
