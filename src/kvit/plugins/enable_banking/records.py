"""What the bank says of one movement, read into the contract's words, before it is known which one it is."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from kvit.kernel.errors import RecordError
from kvit.kernel.money import Money
from kvit.kernel.statements.fields import (
    Symbols,
    find_symbols,
    is_symbol,
    one_line,
    read_day,
    read_money,
    shortened,
    without_zero_symbol,
)
from kvit.kernel.statements.identity import bank_reference
from kvit.plugin import Transaction, Unreadable
from kvit.plugins.enable_banking.accounts import CURRENCY, number_of

BOOKED: Final = "BOOK"
PENDING: Final = ("PDNG", "HOLD")
NO_MOVEMENT: Final = ("CNCL", "RJCT", "SCHD")
"""Cancelled, rejected, or an order for a later day: no money has moved (“TransactionStatus”)."""
_DAYS: Final = ("booking_date", "value_date", "transaction_date")
_POSITION: Final = re.compile(r"\d{4}-?\d{2}-?\d{2}[-_/.]\d{1,5}")
"""A day and the movement's place in it: it names another movement once one is booked before it."""
_SYMBOL: Final = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Record:
    """One movement as it was told now; `movement` still wants its id."""

    movement: Transaction
    day: date
    minor: int
    """Hundredths, incoming positive."""
    reference: str
    """What may be the bank's own id; empty for a placeholder, a counter or a place within a day."""
    details: str
    """SHA-256 of all that tells equal amounts of one day apart."""
    party: str
    """SHA-256 of the other side's account and of the variable symbol; empty where neither is told."""
    page: int
    place: str
    """SHA-256 of the whole record where it holds what tells two equal records apart; else empty."""


def read(told: Mapping[str, Any], account_id: str, *, page: int) -> Record | Unreadable | None:
    """Read one record of an answer; None where no money moved, or where a pending one has no day yet.

    What cannot be read becomes Unreadable with its reason; nothing is guessed.
    """
    try:
        status = _status(told)
        if status is None:
            return None
        day = _day(told)
        if day is None and status == "pending":
            return None
        if day is None:
            raise RecordError("The booked movement has no day.", field="booking_date")
        return _record(told, account_id, page, day, status == "pending")
    except RecordError as error:
        return Unreadable(
            reason=str(error),
            account_id=account_id,
            external_id=str(told.get("entry_reference") or "")[:100],
            field=error.field or "",
            raw=told,
        )


def currency_of(told: Mapping[str, Any]) -> str:
    """Return the currency that a record is told in; empty where that is none."""
    amount = told.get("transaction_amount")
    currency = str(amount.get("currency") or "").upper() if isinstance(amount, dict) else ""
    return currency if CURRENCY.fullmatch(currency) else ""


def _record(told: Mapping[str, Any], account_id: str, page: int, day: date, is_pending: bool) -> Record:
    is_credit = _is_credit(told)
    money = _money(told, is_credit)
    lines = _lines(told)
    symbols, reference = _references(lines, _text(told, "reference_number"))
    side = "debtor" if is_credit else "creditor"
    party = told.get(side)
    movement = Transaction(
        external_id="",
        account_id=account_id,
        amount=money.amount,
        currency=money.currency,
        booked_on=day,
        value_on=_optional_day(told, "value_date"),
        counterparty_name=_text(party, "name") if isinstance(party, dict) else "",
        counterparty_account=number_of(told.get(f"{side}_account")),
        variable_symbol=symbols.variable,
        constant_symbol=symbols.constant,
        specific_symbol=symbols.specific,
        message=one_line(*(line for line in lines if not is_symbol(line))),
        reference=reference,
        status="pending" if is_pending else "booked",
        raw=told,
    )
    return Record(
        movement=movement,
        day=day,
        minor=money.minor,
        reference=_bank_reference(told),
        details=_digest(_details(movement, lines)),
        party=_party(movement),
        page=page,
        place=_place(told),
    )


def _status(told: Mapping[str, Any]) -> str | None:
    status = _text(told, "status")
    if status == BOOKED:
        return "booked"
    if status in PENDING:
        return "pending"
    if status in NO_MOVEMENT:
        return None
    raise RecordError(
        "The bank does not say whether the movement is booked (status “{status}”).",
        field="status",
        status=shortened(status),
    )


def _day(told: Mapping[str, Any]) -> date | None:
    """Return the day of booking; where the bank tells none, the first other day that it tells."""
    return next((day for name in _DAYS if (day := _optional_day(told, name)) is not None), None)


def _optional_day(told: Mapping[str, Any], name: str) -> date | None:
    text = _text(told, name)
    return read_day(text, name) if text else None


def _is_credit(told: Mapping[str, Any]) -> bool:
    indicator = _text(told, "credit_debit_indicator")
    if indicator not in ("CRDT", "DBIT"):
        raise RecordError(
            "The record does not say whether money came or went.", field="credit_debit_indicator"
        )
    return indicator == "CRDT"


def _money(told: Mapping[str, Any], is_credit: bool) -> Money:
    """Read the amount, which the provider always tells without a sign."""
    amount = told.get("transaction_amount")
    text = str(amount.get("amount", "")).strip() if isinstance(amount, dict) else ""
    if text.startswith(("-", "+")):
        raise RecordError(
            "The amount {text} has a sign of its own, so it is not clear whether money came or went.",
            field="transaction_amount",
            text=shortened(text),
        )
    money = read_money(text, currency_of(told), "transaction_amount")
    return money if is_credit else -money


def _lines(told: Mapping[str, Any]) -> list[str]:
    lines = told.get("remittance_information")
    if isinstance(lines, str):
        lines = [lines]
    return [one_line(line) for line in lines if isinstance(line, str)] if isinstance(lines, list) else []


def _references(lines: Iterable[str], number: str) -> tuple[Symbols, str]:
    """Return the symbols, and the reference number where it is not one of them.

    A reference number of at most ten digits is the variable symbol, unless the text names another one.
    """
    symbols, doubtful = find_symbols([*lines, number])
    symbols = Symbols(*map(without_zero_symbol, symbols))
    if not number or is_symbol(number):
        return symbols, ""
    is_new = not symbols.variable and "VS" not in doubtful and _SYMBOL.fullmatch(number)
    if is_new and without_zero_symbol(number):
        return symbols._replace(variable=number), ""
    return symbols, number


def _bank_reference(told: Mapping[str, Any]) -> str:
    reference = bank_reference(_text(told, "entry_reference"), counts=True)
    return "" if _POSITION.fullmatch(reference) else reference


def _details(movement: Transaction, lines: Iterable[str]) -> list[str]:
    texts = [
        movement.counterparty_account,
        movement.counterparty_name,
        movement.variable_symbol,
        movement.constant_symbol,
        movement.specific_symbol,
        movement.reference,
        *lines,
    ]
    return [one_line(text).casefold() for text in texts]


def _party(movement: Transaction) -> str:
    told = (movement.counterparty_account, movement.variable_symbol.lstrip("0"))
    return _digest(told) if any(told) else ""


def _place(told: Mapping[str, Any]) -> str:
    if not (told.get("transaction_id") or told.get("balance_after_transaction")):
        return ""
    return _digest([json.dumps(told, sort_keys=True, default=str)])


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RecordError("A text field holds something else than text.", field=name)
    return value.strip()
