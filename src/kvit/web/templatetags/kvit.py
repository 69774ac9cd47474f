"""The tags and filters of the pages; money and days are written here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from kvit.dashboard.connections import Card
from kvit.kernel.money import Money
from kvit.kernel.references import readable_account
from kvit.kernel.statements import Problem
from kvit.ledger.models import BankAccount
from kvit.ledger.statements import Gap
from kvit.sync.models import SyncHistory
from kvit.web import words

register = template.Library()


@register.filter
def money(value: Money | None) -> str:
    """`{{ invoice.total|money }}`: the amount and its currency, two decimals."""
    return "" if value is None else words.money_text(value)


@register.filter
def account(number: str) -> str:
    """`CZ65 0800 0000 1920 0014 5399`"""
    return readable_account(number)


@register.filter
def own_account(value: BankAccount) -> str:
    """`{{ row.account|own_account }}`: an own account by its name or number, and its currency."""
    return words.account_text(value)


@register.filter
def day(value: date | None) -> str:
    """`{{ invoice.due_on|day }}`: `22. 11. 2026` or `22 Nov 2026`; nothing for no day."""
    return "" if value is None else words.day_text(value)


@register.filter
def month(value: date) -> str:
    """`{{ month.first_day|month }}`: the month's name and year."""
    return words.month_text(value)


@register.filter
def moment(value: datetime | str | None) -> str:
    """`{{ run.started_at|moment }}`: day and time; ISO text is read first."""
    if not value:
        return ""
    return words.moment_text(datetime.fromisoformat(value) if isinstance(value, str) else value)


@register.filter
def reason(value: Mapping[str, Any]) -> str:
    """`{{ decision.because.0|reason }}`: a stored reason in words."""
    return words.reason_text(value)


@register.filter
def actor(value: str) -> str:
    """`{{ entry.actor|actor }}`: who it was, in words."""
    return words.actor_text(value)


@register.filter
def source(value: str) -> str:
    """`{{ row.source|source }}`: who told a movement, in words."""
    return words.source_text(value)


@register.filter
def format_name(value: str) -> str:
    """`{{ look.format|format_name }}`: a statement format as people call it."""
    return words.format_text(value)


@register.filter
def order_field(name: str) -> str:
    """`{{ name|order_field }}`: a column of a payment order as its form calls it."""
    return words.field_text(name)


@register.filter
def problem(value: Problem) -> str:
    """`{{ one|problem }}`: what is wrong at one place of a file."""
    return words.problem_text(value)


@register.filter
def gap(value: Gap) -> str:
    """`{{ one|gap }}`: what is missing between two statements."""
    return words.gap_text(value)


@register.filter
def run_error(run: SyncHistory) -> str:
    """`{{ run|run_error }}`: what went wrong, in words; nothing for a run that did not fail."""
    return words.run_error_text(run)


@register.filter
def advice(run: SyncHistory | None) -> str:
    """`{{ run|advice }}`: what a person can do about a failed run."""
    return "" if run is None else words.run_advice(run)


@register.filter
def duration(run: SyncHistory) -> str:
    """`{{ run|duration }}`: how long a run took; nothing for one that did not start or end."""
    if run.started_at is None or run.finished_at is None:
        return ""
    return words.duration_text(run.finished_at - run.started_at)


@register.simple_tag
def icon(name: str) -> SafeString:
    """`{% icon "check" %}`: an icon of static/kvit/icons.svg; decoration, the word stands beside it."""
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        static("kvit/icons.svg"),
        name,
    )


@register.simple_tag
def state(name: str) -> SafeString:
    """`{% state "paid" %}`: a state as icon, word and colour (the names are in words.STATES)."""
    shown = words.STATES[name]
    return format_html('<span class="state {}">{}{}</span>', shown.tone, icon(shown.icon), shown.word)


@register.simple_tag
def standing(card: Card) -> SafeString:
    """`{% standing card %}`: how a connection stands, as icon, words and colour."""
    shown = words.STATES[card.standing]
    return format_html(
        '<span class="state {}">{}<span>{}</span></span>',
        shown.tone,
        icon(shown.icon),
        words.standing_text(card),
    )
