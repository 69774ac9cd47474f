"""From a plugin's record to the exact values the ledger stores, or a reason why not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from kvit.kernel.errors import AmountUnreadable, RecordError
from kvit.kernel.money import Money
from kvit.plugin import Transaction

if TYPE_CHECKING:
    from kvit.ledger.models import MoneyTransaction

LONGEST_EXTERNAL_ID: Final = 255
_EARLIEST, _LATEST = date(1970, 1, 1), date(2200, 1, 1)
_CZECH_ACCOUNT = re.compile(r"(?:\d{1,6}-)?\d{2,10}/(\d{4})")
_DOMESTIC_IBAN = re.compile(r"(?:CZ|SK)\d{2}(\d{4})\d{16}")


class Movement(NamedTuple):
    """One checked movement by the names of the ledger's columns; incoming is positive."""

    external_id: str
    is_bank_id: bool
    type: str
    status: str
    amount_minor: int
    currency: str
    booked_on: date
    value_on: date | None
    counterparty_name: str
    counterparty_account: str
    counterparty_bank: str
    variable_symbol: str
    constant_symbol: str
    specific_symbol: str
    message: str
    reference: str
    raw: Mapping[str, Any]


_TOLD: Final = slice(Movement._fields.index("status"), Movement._fields.index("raw"))
"""What the fingerprint covers: all that the source told, but its id and its record."""
_TOLD_COLUMNS: Final = Movement._fields[_TOLD]
_encode = msgspec.json.Encoder().encode


def fingerprint(movement: Movement) -> str:
    """Return the BLAKE2b-128 of what the source told, as 32 hexadecimal digits.

    The digested bytes are a JSON array of status, amount, currency, both days, counterparty, symbols,
    message and reference in the order of `Movement`; two different movements never write the same bytes.
    """
    return blake2b(_encode(movement[_TOLD]), digest_size=16).hexdigest()


def fingerprint_of_row(row: MoneyTransaction) -> str:
    """Return what `MoneyTransaction.fingerprint` holds for the row's columns as they are now.

    The days must be dates, as the database gives them back.
    """
    told = tuple(getattr(row, name) for name in _TOLD_COLUMNS)
    return blake2b(_encode(told), digest_size=16).hexdigest()


def movement_of(transaction: Transaction) -> Movement:
    """Check a plugin's record. Raises RecordError naming the field that does not hold."""
    money = _money(transaction)
    account = _text(transaction.counterparty_account)
    if transaction.status not in ("booked", "pending"):
        raise RecordError("“{status}” is not a status.", field="status", status=transaction.status)
    return Movement(
        external_id=_external_id(transaction.external_id),
        is_bank_id=bool(transaction.is_bank_id),
        type="expense" if money.minor < 0 else "income",
        status=transaction.status,
        amount_minor=money.minor,
        currency=money.currency,
        booked_on=_day(transaction.booked_on, "booked_on"),
        value_on=None if transaction.value_on is None else _day(transaction.value_on, "value_on"),
        counterparty_name=_text(transaction.counterparty_name),
        counterparty_account=account,
        counterparty_bank=_bank_of(account),
        variable_symbol=_text(transaction.variable_symbol),
        constant_symbol=_text(transaction.constant_symbol),
        specific_symbol=_text(transaction.specific_symbol),
        message=_text(transaction.message),
        reference=_text(transaction.reference),
        raw=transaction.raw,
    )


def _money(transaction: Transaction) -> Money:
    if isinstance(transaction.amount, bool | float):
        raise RecordError("The amount is a float, which cannot hold money exactly.", field="amount")
    try:
        return Money.of(transaction.amount, transaction.currency)
    except AmountUnreadable as error:
        raise RecordError(error.message, field="amount", **error.params) from None
    except TypeError:
        raise RecordError("The amount or its currency is missing.", field="amount") from None


def _external_id(value: object) -> str:
    text = _text(value)
    if not text:
        raise RecordError("The record has no id.", field="external_id")
    if len(text) > LONGEST_EXTERNAL_ID:
        raise RecordError("The record's id is too long.", field="external_id")
    return text


def _text(value: object) -> str:
    """Trim; a NUL cannot be stored by PostgreSQL and means nothing in a bank's text."""
    if not isinstance(value, str):
        raise RecordError("A text field holds something else than text.")
    if not value.isascii() and _has_lone_surrogate(value):
        raise RecordError("A text field holds characters that are none.")
    return value.replace("\x00", "").strip()


def _has_lone_surrogate(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False


def _day(value: date | str, field: str) -> date:
    try:
        day = date.fromisoformat(value) if isinstance(value, str) else value
        if _EARLIEST <= day <= _LATEST:
            return day
    except (TypeError, ValueError):
        pass
    raise RecordError("“{value}” is not a date.", field=field, value=value)


def _bank_of(account: str) -> str:
    """The four-digit bank code inside a Czech or Slovak account number or IBAN, else nothing."""
    found = _CZECH_ACCOUNT.fullmatch(account) or _DOMESTIC_IBAN.fullmatch(account.replace(" ", ""))
    return found[1] if found else ""
