"""What an audit entry says was changed, column by column, in the reader's words."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final, NamedTuple

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.utils.translation import gettext as _

from kvit.audit.models import AuditEntry
from kvit.kernel.money import Money
from kvit.kernel.statements import NO_CURRENCY
from kvit.web.words import actor_text, day_text, moment_text, money_text

NOTHING: Final = "–"
_NOT_SHOWN: Final = ("fingerprint", "is_current", "is_bank_id")
_PEOPLE: Final = ("resolved_by", "undone_by", "actor", "created_by")


class Difference(NamedTuple):
    """One column's value before and after, and its name for people."""

    column: str
    name: str
    before: str
    after: str


def differences(entry: AuditEntry, model: type[models.Model], currency: str = "") -> tuple[Difference, ...]:
    """Return what a changed row's columns held before and after; nothing for a new or deleted row.

    `currency` is the row's, for amounts of an entry that does not tell one itself.
    """
    if entry.action != AuditEntry.Action.CHANGED:
        return ()
    before, after = entry.before or {}, entry.after or {}
    return tuple(
        Difference(
            name,
            field_name(name),
            _value_text(model, name, before.get(name), before.get("currency") or currency),
            _value_text(model, name, after[name], after.get("currency") or currency),
        )
        for name in after
        if name not in _NOT_SHOWN and before.get(name) != after[name]
    )


def field_name(name: str) -> str:
    """Return a column's name for people; one that pages never show keeps its own."""
    return {
        "amount_minor": _("amount"),
        "total_minor": _("total"),
        "settled_minor": _("settled"),
        "currency": _("currency"),
        "booked_on": _("booking date"),
        "value_on": _("value date"),
        "paid_on": _("paid on"),
        "status": _("state"),
        "state": _("state"),
        "type": _("direction"),
        "counterparty_name": _("counterparty"),
        "counterparty_account": _("counterparty's account"),
        "counterparty_bank": _("counterparty's bank"),
        "variable_symbol": _("variable symbol"),
        "constant_symbol": _("constant symbol"),
        "specific_symbol": _("specific symbol"),
        "message": _("message"),
        "reference": _("reference"),
        "external_id": _("the bank's id"),
        "source": _("source"),
        "duplicate_of_id": _("the same as movement"),
        "number": _("number"),
        "name": _("name"),
        "identification_number": _("company number (IČO)"),
        "tax_number": _("tax number (DIČ)"),
        "email": _("e-mail"),
        "street": _("street"),
        "city": _("city"),
        "postal_code": _("postal code"),
        "country": _("country"),
        "port": _("conclusion"),
        "verdict": _("answer"),
        "undone_at": _("undone"),
        "undone_by": _("undone by"),
        "resolved_at": _("resolved"),
        "resolved_by": _("resolved by"),
        "enabled": _("schedule is on"),
        "schedule": _("schedule"),
        "settings": _("settings"),
        "account_label": _("account"),
        "account_key": _("account's key"),
        "credentials_expire_on": _("credentials work until"),
        "credentials_entered_on": _("credentials entered on"),
    }.get(name, name)


def _value_text(model: type[models.Model], name: str, value: Any, currency: str) -> str:
    """Write an audited value for people; nothing becomes a dash."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if name.endswith("_minor") and isinstance(value, int):
        amount = Money(value, currency or NO_CURRENCY)  # a row that is gone no longer tells its currency
        return money_text(amount) if currency else f"{amount.amount:.2f}"
    if name in _PEOPLE:
        return actor_text(value)
    try:
        field: Any = model._meta.get_field(name)
    except FieldDoesNotExist:
        return str(value)
    if field.choices:
        return str(dict(field.flatchoices).get(value, value))
    if field.is_relation:
        return f"#{value}"
    return _time_text(field, value)


def _time_text(field: models.Field[Any, Any], value: Any) -> str:
    try:
        if isinstance(field, models.DateTimeField):
            return moment_text(datetime.fromisoformat(value))
        if isinstance(field, models.DateField):
            return day_text(date.fromisoformat(value))
    except (TypeError, ValueError):
        return str(value)
    return str(value)
