"""What the machine stores, in the reader's language: errors, reasons, actors, states, amounts and days."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_decimal
from django.utils import timezone, translation
from django.utils.translation import gettext, gettext_lazy, gettext_noop

from kvit.dashboard.connections import Card, Standing
from kvit.kernel.errors import Cancelled, KvitError
from kvit.kernel.matching.explain import WORDS
from kvit.kernel.money import Money
from kvit.sync.models import SyncHistory
from kvit.sync.registry import catalogue

_LOCALES: Final = {"cs": "cs_CZ", "en": "en_GB"}
_DAYS: Final = {"cs": "d. M. y", "en": "d MMM y"}
_MONEY: Final = {"cs": "#,##0.00\u00a0¤", "en": "¤¤\u00a0#,##0.00"}
_MONTHS: Final = {"cs": "LLLL y", "en": "MMMM y"}
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_AMOUNT: Final = re.compile(r"-?\d{1,14}\.\d\d [A-Z]{3}", re.ASCII)
_NO_BREAK_SPACE: Final = "\u00a0"

_ADVICE: Final = {
    "AuthExpired": gettext_noop("Enter the credentials again in the connection's settings."),
    "Misconfigured": gettext_noop("Correct the setting, or hand over another file, and sync again."),
    "RateLimited": gettext_noop("Nothing to do: Kvit waits as long as the source asks."),
    "Temporary": gettext_noop("Nothing to do: Kvit tries again by itself."),
    "PluginUnavailable": gettext_noop("Install the plugin again or update it, then sync again."),
    "KeyMissing": gettext_noop("Put the master key back, or enter the credentials again."),
    "SealBroken": gettext_noop("Enter the credentials again in the connection's settings."),
    "PluginCrashed": gettext_noop("Update the plugin, or send its author the run's log below."),
}


@dataclass(frozen=True, slots=True)
class State:
    """How one state looks: a word, an icon and a tone (good, bad, warn, calm, busy)."""

    word: Any
    icon: str
    tone: str


STATES: Final[Mapping[str, State]] = {
    "draft": State(gettext_lazy("draft"), "pencil", "calm"),
    "issued": State(gettext_lazy("issued"), "send", "busy"),
    "overdue": State(gettext_lazy("overdue"), "clock", "bad"),
    "paid": State(gettext_lazy("paid"), "check", "good"),
    "pending": State(gettext_lazy("pending"), "clock", "calm"),
    "running": State(gettext_lazy("running"), "sync", "busy"),
    "completed": State(gettext_lazy("completed"), "check", "good"),
    "failed": State(gettext_lazy("failed"), "cross", "bad"),
    "ok": State(gettext_lazy("in order"), "check", "good"),
    "needs_attention": State(gettext_lazy("needs attention"), "warning", "warn"),
    "paused": State(gettext_lazy("paused"), "pause", "calm"),
    "broken": State(gettext_lazy("plugin broken"), "cross", "bad"),
    "missing": State(gettext_lazy("plugin missing"), "cross", "bad"),
    "failing": State(gettext_lazy("failing"), "cross", "bad"),
    "waiting": State(gettext_lazy("waiting for the source"), "clock", "calm"),
    "syncing": State(gettext_lazy("syncing"), "sync", "busy"),
    "fine": State(gettext_lazy("fine"), "check", "good"),
    "look": State(gettext_lazy("look at this"), "warning", "warn"),
    "booked": State(gettext_lazy("booked"), "check", "calm"),
    "auto": State(gettext_lazy("matched automatically"), "check", "good"),
    "manual": State(gettext_lazy("matched by a person"), "check", "good"),
    "suggest": State(gettext_lazy("to be confirmed"), "question", "warn"),
    "none": State(gettext_lazy("unexplained"), "question", "warn"),
    "duplicate": State(gettext_lazy("paid twice?"), "warning", "warn"),
    "dismissed": State(gettext_lazy("pays no invoice"), "minus", "calm"),
    "settled": State(gettext_lazy("pays an invoice"), "check", "good"),
    "undone": State(gettext_lazy("undone"), "undo", "calm"),
    "withdrawn": State(gettext_lazy("withdrawn"), "undo", "calm"),
}


def error_text(error: KvitError) -> str:
    """Return the error in the reader's language."""
    return _filled(error.message, error.params)


def run_error_text(run: SyncHistory) -> str:
    """Return what went wrong in a failed run, in the reader's language; empty where nothing did."""
    if not run.error_message:
        return ""
    params = run.error_params
    if run.error_kind == Cancelled.__name__ and "who" in params:
        params = params | {"who": actor_text(params["who"])}
    return _filled(run.error_message, params)


def run_advice(run: SyncHistory) -> str:
    """Return what a person can do about a failed run; empty where nothing is known."""
    advice = _ADVICE.get(run.error_kind)
    return gettext(advice) if advice else ""


def reason_text(reason: Mapping[str, Any]) -> str:
    """Return a stored reason `{"code", "values"}` in the reader's language; an unknown code as it is."""
    words = WORDS.get(reason["code"])
    return _filled(words, reason["values"]) if words else str(reason["code"])


def actor_text(actor: str) -> str:
    """Return who it was: `user:EMAIL`, `plugin:NAME@VERSION`, `command` or `system` in words."""
    kind, _, name = actor.partition(":")
    if kind == "user":
        return name
    if kind == "plugin":
        return gettext("the plugin {name}").format(name=name.replace("@", " "))
    if actor == "command":
        return gettext("a command on the server")
    return gettext("Kvit by itself")


def source_text(source: str) -> str:
    """Return who told a movement: `fio:CZ79…` as the plugin's title and its account."""
    plugin, _, account = source.partition(":")
    title = next((listing.title for listing in catalogue() if listing.name == plugin), plugin)
    return f"{gettext(title)} · {account}" if account else gettext(title)


def standing_text(card: Card) -> str:
    """Return how a connection stands, with the moment since or until where there is one."""
    if card.at is not None and card.standing == Standing.FAILING:
        return gettext("failing since {moment}").format(moment=moment_text(card.at))
    if card.at is not None and card.standing == Standing.WAITING:
        return gettext("put back until {moment}").format(moment=moment_text(card.at))
    return str(STATES[card.standing].word)


def duration_text(duration: timedelta) -> str:
    """Return how long something took, as `8 s`, `2 min 5 s` or `1 h 2 min`."""
    seconds = round(duration.total_seconds())
    minutes, hours = seconds // 60, seconds // 3600
    if seconds < 1:
        return gettext("under 1 s")
    if minutes < 1:
        return gettext("{seconds} s").format(seconds=seconds)
    if hours < 1:
        return gettext("{minutes} min {seconds} s").format(minutes=minutes, seconds=seconds % 60)
    return gettext("{hours} h {minutes} min").format(hours=hours, minutes=minutes % 60)


def size_text(size_bytes: int) -> str:
    """Return a size in megabytes of a million bytes, with one decimal."""
    return f"{format_decimal(size_bytes / 1_000_000, '#,##0.0', locale=_locale())} MB"


def money_text(amount: Money) -> str:
    """Return the amount with its currency and always two decimals."""
    return format_currency(
        amount.amount, amount.currency, _MONEY[_language()], locale=_locale(), currency_digits=False
    )


def day_text(day: date) -> str:
    """Return the day; of a moment, the day it is in the organization's time zone."""
    if isinstance(day, datetime):
        day = timezone.localdate(day)
    return _joined(format_date(day, _DAYS[_language()], locale=_locale()))


def month_text(day: date) -> str:
    """Return the name of the day's month and its year."""
    return format_date(day, _MONTHS[_language()], locale=_locale())


def short_month_text(day: date) -> str:
    """Return the month as a few letters or a number, for the axis of a chart."""
    return format_date(day, "M." if _language() == "cs" else "MMM", locale=_locale())


def moment_text(moment: datetime) -> str:
    """Return the day and the time in the organization's time zone."""
    local = timezone.localtime(moment)
    return f"{day_text(local)} {format_datetime(local, 'H:mm', locale=_locale())}"


def _filled(template: str, values: Mapping[str, Any]) -> str:
    """Translate a template and fill it in; what cannot be filled in is shown as it is stored."""
    try:
        return gettext(template).format(**{name: _shown(value) for name, value in values.items()})
    except (KeyError, IndexError, ValueError):
        return template


def _shown(value: Any) -> Any:
    """Return an amount or a day, also one stored as `1210.00 CZK` or `2026-01-05`, as pages write it."""
    if isinstance(value, str) and _AMOUNT.fullmatch(value):
        value = Money.of(*value.split(" "))
    if isinstance(value, str) and _DAY.fullmatch(value):
        with suppress(ValueError):
            return day_text(date.fromisoformat(value))
    if isinstance(value, date):
        return day_text(value)
    return money_text(value) if isinstance(value, Money) else value


def _joined(text: str) -> str:
    return text.replace(" ", _NO_BREAK_SPACE)


def _language() -> str:
    language = (translation.get_language() or "en")[:2]
    return language if language in _LOCALES else "en"


def _locale() -> str:
    return _LOCALES[_language()]
