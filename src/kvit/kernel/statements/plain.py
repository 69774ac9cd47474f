"""The plain JSON shape of a statement file, for `kvit parse-statement`, `kvit convert` and tests."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from kvit.kernel.money import Money
from kvit.kernel.statements.values import (
    NO_CURRENCY,
    Detail,
    Entry,
    OrderStatus,
    Problem,
    Statement,
    StatementFile,
)

type Plain = str | int | bool | list[Plain] | dict[str, Plain] | None


def as_json(file: StatementFile) -> dict[str, Plain]:
    """Return JSON values: amounts are text with two decimals, days ISO 8601, absent text is empty."""
    return {
        "format": file.format,
        "statements": [
            statement_as_json(statement) | {"entries": [entry_as_json(entry) for entry in statement.entries]}
            for statement in file.statements
        ],
        "warnings": _problems(file.warnings),
        "errors": _problems(file.errors),
        "order_statuses": [_order_status(each) for each in file.order_statuses],
    }


def statement_as_json(statement: Statement) -> dict[str, Plain]:
    """Return a statement without its entries."""
    return {
        "account": statement.account,
        "currency": statement.currency,
        "opening_balance": _amount(statement.opening_balance),
        "closing_balance": _amount(statement.closing_balance),
        "from_date": _day(statement.from_date),
        "to_date": _day(statement.to_date),
        "number": statement.number,
        "format": statement.format,
        "file": statement.file,
    }


def entry_as_json(entry: Entry) -> dict[str, Plain]:
    return {
        "external_id": entry.external_id,
        "amount": _amount(entry.amount),
        "currency": _currency(entry.currency),
        "booked_on": _day(entry.booked_on),
        "value_on": _day(entry.value_on),
        "counterparty_name": entry.counterparty_name,
        "counterparty_account": entry.counterparty_account,
        "variable_symbol": entry.variable_symbol,
        "constant_symbol": entry.constant_symbol,
        "specific_symbol": entry.specific_symbol,
        "message": entry.message,
        "reference": entry.reference,
        "pending": entry.pending,
        "is_bank_id": entry.is_bank_id,
        "line": entry.line,
        "offset": entry.offset,
        "details": [_detail(each) for each in entry.details],
    }


def _detail(detail: Detail) -> Plain:
    return {
        "external_id": detail.external_id,
        "amount": str(Decimal(detail.minor).scaleb(-2)),
        "counterparty_name": detail.counterparty_name,
        "counterparty_account": detail.counterparty_account,
        "variable_symbol": detail.variable_symbol,
        "constant_symbol": detail.constant_symbol,
        "specific_symbol": detail.specific_symbol,
        "message": detail.message,
        "reference": detail.reference,
    }


def _order_status(status: OrderStatus) -> Plain:
    return {
        "message_id": status.message_id,
        "status": status.status,
        "level": status.level,
        "payment_id": status.payment_id,
        "end_to_end_id": status.end_to_end_id,
        "amount": _amount(status.amount),
        "currency": "" if status.amount is None else _currency(status.amount.currency),
        "reason": status.reason,
        "text": status.text,
        "line": status.line,
    }


def _problems(problems: Iterable[Problem]) -> list[Plain]:
    return [
        {
            "line": problem.line,
            "field": problem.field,
            "message": problem.message,
            "offset": problem.offset,
        }
        for problem in problems
    ]


def _amount(money: Money | None) -> str | None:
    return None if money is None else str(money.amount)


def _currency(code: str) -> str:
    return "" if code == NO_CURRENCY else code


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
