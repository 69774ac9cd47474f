"""What the machine stores, in the reader's language: errors, reasons, actors, states, amounts and days."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from babel.dates import format_date, format_datetime
from babel.numbers import format_currency
from django.utils import timezone, translation
from django.utils.translation import gettext, gettext_lazy, gettext_noop

from kvit.kernel.errors import KvitError, PluginUnavailable
from kvit.kernel.matching.explain import WORDS
from kvit.kernel.money import Money
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.sync.registry import plugin_class

_LOCALES: Final = {"cs": "cs_CZ", "en": "en_GB"}
_DAYS: Final = {"cs": "d. M. y", "en": "d MMM y"}
_MONEY: Final = {"cs": "#,##0.00\u00a0¤", "en": "¤¤\u00a0#,##0.00"}
_MONTHS: Final = {"cs": "LLLL y", "en": "MMMM y"}
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
    "booked": State(gettext_lazy("booked"), "check", "calm"),
    "auto": State(gettext_lazy("matched automatically"), "check", "good"),
    "manual": State(gettext_lazy("matched by a person"), "check", "good"),
    "suggest": State(gettext_lazy("to be confirmed"), "question", "warn"),
    "none": State(gettext_lazy("unexplained"), "question", "warn"),
    "duplicate": State(gettext_lazy("paid twice?"), "warning", "warn"),
    "dismissed": State(gettext_lazy("pays no invoice"), "minus", "calm"),
    "settled": State(gettext_lazy("pays an invoice"), "check", "good"),
    "undone": State(gettext_lazy("undone"), "undo", "calm"),
}


def error_text(error: KvitError) -> str:
    """Return the error in the reader's language."""
    return _filled(error.message, error.params)


def run_error_text(run: SyncHistory) -> str:
    """Return what went wrong in a failed run, in the reader's language; empty where nothing did."""
    return _filled(run.error_message, run.error_params) if run.error_message else ""


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


def connection_state(connection: PluginConfiguration) -> str:
    """Return the connection's key in STATES: broken, paused, needs_attention or ok."""
    try:
        plugin_class(connection.plugin)
    except PluginUnavailable:
        return "broken"
    if not connection.enabled:
        return "paused"
    return connection.state


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
    """Return an amount, also one stored as `1210.00 CZK`, as pages write it; anything else as it is."""
    if isinstance(value, str) and _AMOUNT.fullmatch(value):
        value = Money.of(*value.split(" "))
    return money_text(value) if isinstance(value, Money) else value


def _joined(text: str) -> str:
    return text.replace(" ", _NO_BREAK_SPACE)


def _language() -> str:
    language = (translation.get_language() or "en")[:2]
    return language if language in _LOCALES else "en"


def _locale() -> str:
    return _LOCALES[_language()]
