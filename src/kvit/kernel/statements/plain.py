"""The plain JSON shape of a statement file: for `kvit parse`, the API and snapshots in tests."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from kvit.kernel.money import Money
from kvit.kernel.statements.values import NO_CURRENCY, Entry, Problem, Statement, StatementFile

type Plain = str | int | list[Plain] | dict[str, Plain] | None


def as_json(file: StatementFile) -> dict[str, Plain]:
    """Return JSON values: amounts are text with two decimals, days ISO 8601, absent text is empty."""
    return {
        "format": file.format,
        "statements": [_statement(statement) for statement in file.statements],
        "warnings": _problems(file.warnings),
        "errors": _problems(file.errors),
    }


def _statement(statement: Statement) -> Plain:
    return {
        "account": statement.account,
        "currency": statement.currency,
        "opening_balance": _amount(statement.opening_balance),
        "closing_balance": _amount(statement.closing_balance),
        "entries": [_entry(entry) for entry in statement.entries],
    }


def _entry(entry: Entry) -> Plain:
    return {
        "external_id": entry.external_id,
        "amount": _amount(entry.amount),
        "currency": "" if entry.amount.currency == NO_CURRENCY else entry.amount.currency,
        "booked_on": _day(entry.booked_on),
        "value_on": _day(entry.value_on),
        "counterparty_name": entry.counterparty_name,
        "counterparty_account": entry.counterparty_account,
        "variable_symbol": entry.variable_symbol,
        "constant_symbol": entry.constant_symbol,
        "specific_symbol": entry.specific_symbol,
        "message": entry.message,
    }


def _problems(problems: Iterable[Problem]) -> list[Plain]:
    return [
        {"line": problem.line, "field": problem.field, "message": problem.message} for problem in problems
    ]


def _amount(money: Money | None) -> str | None:
    return None if money is None else str(money.amount)


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
