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
from django.core.exceptions import FieldDoesNotExist
from django.utils import timezone, translation
from django.utils.text import capfirst
from django.utils.translation import gettext, gettext_lazy, gettext_noop, ngettext

from kvit.dashboard.connections import Card, Standing
from kvit.kernel.errors import Cancelled, KvitError
from kvit.kernel.matching.explain import WORDS
from kvit.kernel.money import Money
from kvit.kernel.references import readable_account
from kvit.kernel.statements import NO_CURRENCY, Problem
from kvit.kernel.statements.csv import SHIPPED
from kvit.ledger.models import BankAccount
from kvit.ledger.reverting import Reverted
from kvit.ledger.statements import Gap
from kvit.payments.models import PaymentBatch, PaymentOrder
from kvit.sync.models import SyncHistory
from kvit.sync.registry import catalogue
from kvit.web.sentences import translated

_LOCALES: Final = {"cs": "cs_CZ", "en": "en_GB"}
_DAYS: Final = {"cs": "d. M. y", "en": "d MMM y"}
_MONEY: Final = {"cs": "#,##0.00\u00a0¤", "en": "¤¤\u00a0#,##0.00"}
_MONTHS: Final = {"cs": "LLLL y", "en": "MMMM y"}
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_AMOUNT: Final = re.compile(r"-?\d{1,14}\.\d\d [A-Z]{3}", re.ASCII)
_AMOUNTS: Final = re.compile(rf"(?<![\w.-]){_AMOUNT.pattern}(?!\w)", re.ASCII)
_AT_LINE: Final = re.compile(r"line (\d{1,9}): (.*)", re.ASCII | re.DOTALL)
"""How a plugin logs the place of a problem."""
_NO_BREAK_SPACE: Final = "\u00a0"

_ADVICE: Final = {
    "AuthExpired": gettext_noop("Enter the credentials again in the connection's settings."),
    "Misconfigured": gettext_noop("Correct the setting, or hand over another file, and sync again."),
    "FileIncomplete": gettext_noop("Import the file again and say there what it does not say itself."),
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
    "partly_paid": State(gettext_lazy("partly paid"), "clock", "busy"),
    "void": State(gettext_lazy("void"), "minus", "calm"),
    "owed_back": State(gettext_lazy("owed to the client"), "arrow-out", "busy"),
    "partly_used": State(gettext_lazy("partly used"), "arrow-out", "busy"),
    "used": State(gettext_lazy("used up"), "check", "good"),
    "void_note": State(gettext_lazy("declared void"), "minus", "calm"),
    "pending": State(gettext_lazy("pending"), "clock", "calm"),
    "running": State(gettext_lazy("running"), "sync", "busy"),
    "completed": State(gettext_lazy("completed"), "check", "good"),
    "failed": State(gettext_lazy("failed"), "cross", "bad"),
    "ok": State(gettext_lazy("in order"), "check", "good"),
    "needs_attention": State(gettext_lazy("needs attention"), "warning", "warn"),
    "paused": State(gettext_lazy("paused"), "pause", "calm"),
    "broken": State(gettext_lazy("plugin broken"), "cross", "bad"),
    "batch_waiting": State(gettext_lazy("waits to be sent"), "clock", "calm"),
    "batch_sending": State(gettext_lazy("being sent"), "sync", "busy"),
    "batch_accepted": State(gettext_lazy("the bank has it"), "check", "good"),
    "batch_refused": State(gettext_lazy("not taken by the bank"), "cross", "bad"),
    "batch_unknown": State(gettext_lazy("unknown: look in the bank"), "question", "warn"),
    "batch_withdrawn": State(gettext_lazy("withdrawn"), "undo", "calm"),
    "order_refused": State(gettext_lazy("refused by the bank"), "cross", "bad"),
    "switched_off": State(gettext_lazy("plugin switched off"), "pause", "calm"),
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
    "ignored": State(gettext_lazy("ignored"), "minus", "calm"),
    "transfer": State(gettext_lazy("between own accounts?"), "question", "warn"),
    "transferred": State(gettext_lazy("between own accounts"), "check", "good"),
    "payout": State(gettext_lazy("paid out by a gateway"), "question", "warn"),
    "settled": State(gettext_lazy("pays an invoice"), "check", "good"),
    "undone": State(gettext_lazy("undone"), "undo", "calm"),
    "withdrawn": State(gettext_lazy("withdrawn"), "undo", "calm"),
    "unconfirmed": State(gettext_lazy("waits for you"), "question", "warn"),
    "discarded": State(gettext_lazy("thrown away"), "minus", "calm"),
}

_FORMATS: Final[Mapping[str, str]] = {
    "gpc": "GPC (ABO)",
    "mt940": "MT940",
    "mt942": "MT942",
    "ofx": "OFX",
    "ofx1": "OFX 1",
    "ofx2": "OFX 2",
    "fio_json": "Fio JSON",
    "fio_xml": "Fio XML",
    "csob_xml": "ČSOB XML",
    "csv": "CSV",
    "zip": "ZIP",
}
"""Formats whose name for people is not their own; the others are called as they are (`camt.053`)."""


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


def batch_error_text(batch: PaymentBatch) -> str:
    """Return why a batch of payment orders was not sent or not taken; empty where nothing went wrong."""
    return _filled(batch.error_message, _labelled(batch.error_params)) if batch.error_message else ""


def order_error_text(error: KvitError) -> str:
    """Return why an order cannot be handed over; a field of it is called as its form calls it."""
    return _filled(error.message, _labelled(error.params))


def field_text(name: str) -> str:
    """Return what forms call a column of a payment order, such as `due_on`; another name as it is."""
    if name == "amount":
        return gettext("Amount")
    try:
        column = PaymentOrder._meta.get_field(name)
    except FieldDoesNotExist:
        return name
    return capfirst(getattr(column, "verbose_name", name))


def told_text(message: str) -> str:
    """Return a bank's words with the amounts in them, `1500.50 CZK`, as pages write them."""
    return _AMOUNTS.sub(lambda found: str(_shown(found[0])), message)


def _labelled(params: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**params, "name": field_text(str(params["name"]))} if "name" in params else params


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


def account_text(account: BankAccount) -> str:
    """Return an own account by its name, or by its number in groups, and its currency."""
    has_name = account.name not in ("", account.number)
    return f"{account.name if has_name else readable_account(account.number)} ({account.currency})"


def format_text(name: str) -> str:
    """Return a statement format as people call it: `gpc` as `GPC (ABO)`, `csv:fio` as `CSV · Fio`."""
    kind, _, profile = name.partition(":")
    said = _FORMATS.get(kind.replace("-", "_"), kind)
    if not profile:
        return said
    shipped = SHIPPED.get(profile)
    return f"{said} · {shipped.title or profile if shipped else profile}"


def problem_text(problem: Problem) -> str:
    """Return what is wrong at one place of a file, in the reader's language."""
    at_line = _AT_LINE.fullmatch(problem.message)
    if at_line is None:
        return translated(problem.message)
    return gettext("line {line}: {text}").format(line=at_line[1], text=translated(at_line[2]))


def gap_text(gap: Gap) -> str:
    """Return what is missing between two statements of an account."""
    first = gap.from_date or gap.after.to_date or gap.after.from_date
    last = gap.to_date or gap.before.from_date or gap.before.to_date
    days = {"first": day_text(first) if first else "", "last": day_text(last) if last else ""}
    if gap.kind == "number":
        return _missing_numbers(gap, days)
    if gap.kind == "balance" and gap.difference is not None:
        message = gettext("The balances do not continue: {amount} is missing between {first} and {last}.")
        return message.format(amount=money_text(gap.difference), **days)
    if first == last:
        return gettext("No statement covers {first}.").format(**days)
    return gettext("No statement covers the days from {first} to {last}.").format(**days)


def reverted_text(reverted: Reverted) -> str:
    """Return what was taken back with a run."""
    withdrawn = ngettext(
        "{count} movement was taken back.",
        "{count} movements were taken back.",
        reverted.withdrawn,
    ).format(count=reverted.withdrawn)
    restored = ngettext(
        "{count} movement has its former values again.",
        "{count} movements have their former values again.",
        reverted.restored,
    ).format(count=reverted.restored)
    said = [
        text
        for count, text in (
            (reverted.withdrawn, withdrawn),
            (reverted.restored, restored),
        )
        if count
    ]
    return " ".join(said) or gettext("What the run had noted was taken back.")


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
    """Return the amount with its currency and always two decimals; without one where none is known."""
    if amount.currency == NO_CURRENCY:
        return format_decimal(amount.amount, "#,##0.00", locale=_locale())
    return format_currency(
        amount.amount,
        amount.currency,
        _MONEY[_language()],
        locale=_locale(),
        currency_digits=False,
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


def _missing_numbers(gap: Gap, days: Mapping[str, str]) -> str:
    numbers = ", ".join(gap.missing)
    if gap.from_date is None:
        return ngettext(
            "Statement {numbers} is missing.", "Statements {numbers} are missing.", len(gap.missing)
        ).format(numbers=numbers)
    return ngettext(
        "Statement {numbers} is missing, for {first} to {last}.",
        "Statements {numbers} are missing, for {first} to {last}.",
        len(gap.missing),
    ).format(numbers=numbers, **days)


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
