"""What one answer of Fio says, as the items of the contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.statements import Entry
from kvit.kernel.statements.fio_json import FioRecord, FioStatement, read_records
from kvit.kernel.statements.identity import bank_reference
from kvit.plugin import Account, Identity, Item, Temporary, Transaction, Unreadable


def read(body: bytes) -> FioStatement:
    """Read the JSON of an answer; raises Temporary where it is damaged or names no account."""
    try:
        answer = read_records(body)
    except StatementUnreadable:
        raise Temporary("The answer of Fio was damaged or cut off on the way.") from None
    if not answer.statement.account or not answer.statement.currency:
        raise Temporary("Fio did not say which account it answered for.")
    return answer


def identity(answer: FioStatement) -> Identity:
    return Identity(key=answer.statement.account, label=_label(answer))


def doubts(answer: FioStatement) -> Iterator[str]:
    """Yield what is doubtful about the answer as a whole, such as balances that do not agree."""
    for problem in (*answer.warnings, *answer.errors):
        if problem.line is None:
            yield problem.message
        elif problem in answer.warnings:
            yield f"Line {problem.line} of the answer: {problem.message}"


def balance_before(answer: FioStatement, day: date) -> Decimal | None:
    """Return what the account held before a day of the answer's period, or after the period.

    None where the bank gave no opening balance or a movement cannot be read.
    """
    opening = answer.statement.opening_balance
    entries = [record.entry for record in answer.records]
    if opening is None or None in entries:
        return None
    minor = sum(entry.minor for entry in entries if entry is not None and entry.booked_on < day)
    return (opening.amount + Decimal(minor).scaleb(-2)).quantize(Decimal("0.01"))


def items(answer: FioStatement, *, balance: Decimal | None) -> Iterator[Item]:
    """Yield the account and every record of the answer, in the bank's order."""
    statement = answer.statement
    yield Account(
        external_id=statement.account,
        name=_label(answer),
        currency=statement.currency,
        number=statement.account,
        balance=balance,
    )
    for record in answer.records:
        yield _item(record, statement.account)


def _item(record: FioRecord, account_id: str) -> Item:
    raw = record.as_object()
    if record.entry is not None:
        return _transaction(record.entry, account_id, raw)
    return Unreadable(
        reason=record.problem.message if record.problem else "The record cannot be read.",
        account_id=account_id,
        external_id=_text(raw, "column22"),
        field=(record.problem.field if record.problem else None) or "",
        raw=raw,
    )


def _transaction(entry: Entry, account_id: str, raw: Mapping[str, Any]) -> Transaction:
    """Keep the bank's own id even where it stands at two records: Fio gives no id twice (manual 5.3)."""
    bank_id = bank_reference(_text(raw, "column22"))
    return Transaction(
        external_id=bank_id or entry.external_id,
        account_id=account_id,
        amount=entry.amount.amount,
        currency=entry.amount.currency,
        booked_on=entry.booked_on,
        value_on=entry.value_on,
        counterparty_name=entry.counterparty_name,
        counterparty_account=entry.counterparty_account,
        variable_symbol=entry.variable_symbol,
        constant_symbol=entry.constant_symbol,
        specific_symbol=entry.specific_symbol,
        message=entry.message,
        reference=_text(raw, "column27"),
        is_bank_id=bool(bank_id),
        raw=raw,
    )


def _text(raw: Mapping[str, Any], column: str) -> str:
    """Return a column's text; the columns are read with every number as text."""
    cell = raw.get(column)
    value = cell.get("value") if isinstance(cell, dict) else None
    return value.strip() if isinstance(value, str) else ""


def _label(answer: FioStatement) -> str:
    """Write the account as its owner knows it: `[prefix-]number/bank`, from a Czech or Slovak IBAN."""
    number, currency = answer.statement.account, answer.statement.currency
    if number[:2] in ("CZ", "SK") and len(number) == 24:
        bank, prefix, own = number[4:8], number[8:14].lstrip("0"), number[14:].lstrip("0")
        number = f"{prefix}-{own}/{bank}" if prefix else f"{own}/{bank}"
    return f"{number} {currency}"
