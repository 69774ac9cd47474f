"""What a cron expression says, in a sentence in the reader's language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cronsim import CronSim
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext, gettext_lazy, ngettext_lazy

from kvit.kernel.errors import Misconfigured
from kvit.sync import cron

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

EVERY_DAY: Final = frozenset(range(1, 32))
EVERY_MONTH: Final = frozenset(range(1, 13))
EVERY_WEEKDAY: Final = frozenset(range(7))
WORKING_DAYS: Final = frozenset(range(1, 6))
MOST_LISTED: Final = 6
"""Longer lists of times or days are no help to a reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentences:
    """What can be said of the times on certain days, each a whole sentence; `number` counts the days."""

    at: StrPromise
    minutes: StrPromise
    hours: StrPromise
    minutes_between: StrPromise
    hourly_between: StrPromise


DAILY: Final = Sentences(
    at=gettext_lazy("Every day at {times}"),
    minutes=ngettext_lazy("Every minute", "Every {count} minutes", "count"),
    hours=ngettext_lazy("Every hour at :{minute}", "Every {count} hours at :{minute}", "count"),
    minutes_between=ngettext_lazy(
        "Every minute from {first} to {last}", "Every {count} minutes from {first} to {last}", "count"
    ),
    hourly_between=gettext_lazy("Every hour from {first} to {last}"),
)
ON_WORKING_DAYS: Final = Sentences(
    at=gettext_lazy("Monday to Friday at {times}"),
    minutes=ngettext_lazy("Monday to Friday every minute", "Monday to Friday every {count} minutes", "count"),
    hours=ngettext_lazy(
        "Monday to Friday every hour at :{minute}",
        "Monday to Friday every {count} hours at :{minute}",
        "count",
    ),
    minutes_between=ngettext_lazy(
        "Monday to Friday every minute from {first} to {last}",
        "Monday to Friday every {count} minutes from {first} to {last}",
        "count",
    ),
    hourly_between=gettext_lazy("Monday to Friday every hour from {first} to {last}"),
)
ON_WEEKDAYS: Final = Sentences(
    at=ngettext_lazy(
        "Every week at {times} on {days}", "Every week at {times} on these days: {days}", "number"
    ),
    minutes=ngettext_lazy(
        "Every minute on these days: {days}", "Every {count} minutes on these days: {days}", "count"
    ),
    hours=ngettext_lazy(
        "Every hour at :{minute} on these days: {days}",
        "Every {count} hours at :{minute} on these days: {days}",
        "count",
    ),
    minutes_between=ngettext_lazy(
        "Every minute from {first} to {last} on these days: {days}",
        "Every {count} minutes from {first} to {last} on these days: {days}",
        "count",
    ),
    hourly_between=gettext_lazy("Every hour from {first} to {last} on these days: {days}"),
)
ON_DAYS_OF_MONTH: Final = Sentences(
    at=ngettext_lazy(
        "Every month at {times} on day {days}",
        "Every month at {times} on these days of the month: {days}",
        "number",
    ),
    minutes=ngettext_lazy(
        "Every minute on these days of the month: {days}",
        "Every {count} minutes on these days of the month: {days}",
        "count",
    ),
    hours=ngettext_lazy(
        "Every hour at :{minute} on these days of the month: {days}",
        "Every {count} hours at :{minute} on these days of the month: {days}",
        "count",
    ),
    minutes_between=ngettext_lazy(
        "Every minute from {first} to {last} on these days of the month: {days}",
        "Every {count} minutes from {first} to {last} on these days of the month: {days}",
        "count",
    ),
    hourly_between=gettext_lazy("Every hour from {first} to {last} on these days of the month: {days}"),
)


def in_words(expression: str) -> str:
    """Say when a schedule comes; an unusual or wrong expression is shown itself."""
    try:
        fields = cron.parsed(cron.checked(expression))
    except Misconfigured:
        return gettext("“{expression}” is not a valid schedule").format(expression=expression)
    spoken = _spoken(fields)
    if spoken is None:
        return gettext("By the cron expression {expression}").format(expression=expression)
    return spoken


def _spoken(fields: CronSim) -> str | None:
    """The sentence for a usual shape, None for another one."""
    if fields.months != EVERY_MONTH:
        return None
    days = _days(fields)
    if days is None:
        return None
    sentences, names = days
    on = {"days": ", ".join(names), "number": len(names)}
    minutes, hours = sorted(fields.minutes), sorted(fields.hours)
    step, is_single = _step(minutes, 60), len(minutes) == 1
    hour_step = _step(hours, 24)
    if is_single and hour_step is not None and len(hours) > 2 and (hour_step == 1 or hours[0] == 0):
        return sentences.hours.format(count=hour_step, minute=f"{minutes[0]:02d}", **on)
    if step is not None and not is_single and len(hours) == 24:
        return sentences.minutes.format(count=step, **on)
    if len(minutes) * len(hours) <= MOST_LISTED and not (_is_range(hours) and len(hours) > 3):
        times = ", ".join(_clock(hour, minute) for hour in hours for minute in minutes)
        return sentences.at.format(times=times, **on)
    if step is None or not _is_range(hours):
        return None
    between = {"first": _clock(hours[0], minutes[0]), "last": _clock(hours[-1], minutes[-1])}
    if is_single:
        return sentences.hourly_between.format(**between, **on)
    return sentences.minutes_between.format(**between, count=step, **on)


def _days(fields: CronSim) -> tuple[Sentences, list[str]] | None:
    """Which sentences fit the days, and the names of the days; None for an unusual choice."""
    weekdays = frozenset(day % 7 for day in fields.weekdays if isinstance(day, int))
    every_day, every_weekday = fields.days >= EVERY_DAY, weekdays == EVERY_WEEKDAY
    if (every_day and every_weekday) or (not fields.day_and and (every_day or every_weekday)):
        return DAILY, []
    if every_day and weekdays == WORKING_DAYS and _is_plain(fields):
        return ON_WORKING_DAYS, []
    if every_day and _is_plain(fields):
        # cron counts from Sunday, Django from Monday.
        names = [str(WEEKDAYS[number]) for number in sorted((day - 1) % 7 for day in weekdays)]
        return ON_WEEKDAYS, names
    if every_weekday and fields.days <= EVERY_DAY and len(fields.days) <= MOST_LISTED:
        return ON_DAYS_OF_MONTH, [str(day) for day in sorted(fields.days) if isinstance(day, int)]
    return None


def _is_plain(fields: CronSim) -> bool:
    """Whether weekdays are meant every week, not as the second or the last of a month."""
    return all(isinstance(day, int) for day in fields.weekdays)


def _step(values: list[int], size: int) -> int | None:
    """How far apart the values lie if they go round the clock evenly, else None."""
    following = [*values[1:], values[0] + size]
    distances = {later - value for value, later in zip(values, following, strict=True)}
    return distances.pop() if len(distances) == 1 else None


def _is_range(values: list[int]) -> bool:
    return values == list(range(values[0], values[-1] + 1))


def _clock(hour: int, minute: int) -> str:
    return f"{hour}:{minute:02d}"
