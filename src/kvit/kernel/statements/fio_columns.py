"""What Fio banka's columns and account data mean: the same in its JSON and in its XML.

Columns are known by their number (API Bankovnictví of Fio banka, 5.3.1.1); unknown ones are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from itertools import repeat
from operator import attrgetter
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from kvit.kernel.errors import RecordError
from kvit.kernel.money import Money
from kvit.kernel.statements.accounts import account_of_text
from kvit.kernel.statements.fields import (
    Symbols,
    find_symbols,
    one_line,
    read_day,
    read_money,
    shortened,
)
from kvit.kernel.statements.identity import bank_reference
from kvit.kernel.statements.values import NO_CURRENCY, Entry, Problem, Statement

_PRAGUE: Final = ZoneInfo("Europe/Prague")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS: Final = re.compile(r"-?[0-9]{1,14}")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[+-][0-9]{2}:?[0-9]{2}|Z)?")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_USUAL_AMOUNTS: Final = re.compile(r"(?:-?[0-9]{1,13}(?:\.[0-9]{1,2})? )*+")
_OWN_ACCOUNT: Final = re.compile(r"(?:([0-9]{1,6})-)?([0-9]{2,10})/(2010|8330)")
_NO_SYMBOLS: Final = Symbols()
_external_id: Final = attrgetter("external_id")
_variable: Final = attrgetter("variable")
_constant: Final = attrgetter("constant")
_specific: Final = attrgetter("specific")


class Table(NamedTuple):
    """The columns that Kvit reads of some movements, as text, with nothing where a movement has none."""

    movement_id: Sequence[str]
    booked_on: Sequence[str]
    amount: Sequence[str]
    currency: Sequence[str]
    account: Sequence[str]
    name: Sequence[str]
    bank_code: Sequence[str]
    constant_symbol: Sequence[str]
    variable_symbol: Sequence[str]
    specific_symbol: Sequence[str]
    note: Sequence[str]
    message: Sequence[str]
    detail: Sequence[str]
    comment: Sequence[str]
    reference: Sequence[str]


class Places(NamedTuple):
    """Where the same movements stand: lines and offsets, and the records' own texts."""

    lines: Sequence[int | None]
    offsets: Sequence[int | None]
    texts: Sequence[str]


COLUMNS: Final[Mapping[str, int]] = {
    "movement_id": 22,
    "booked_on": 0,
    "amount": 1,
    "currency": 14,
    "account": 2,
    "name": 10,
    "bank_code": 3,
    "constant_symbol": 4,
    "variable_symbol": 5,
    "specific_symbol": 6,
    "note": 7,
    "message": 16,
    "detail": 18,
    "comment": 25,
    "reference": 27,
}
"""The number of each column of a `Table`, in the order in which the bank writes them."""


class Columns:
    """Makes entries of the columns of one statement's movements."""

    def __init__(self, prefix: str, account_currency: str) -> None:
        """Name columns by `prefix` and number in errors; the account's currency serves where none is."""
        self._names = {name: f"{prefix}{number}" for name, number in COLUMNS.items()}
        self._account_currency = account_currency

    def entries(self, table: Table, places: Places) -> list[Entry]:
        """Make an entry of each movement; raises RecordError where one of them cannot be read."""
        names = self._names
        currencies = [currency.strip() or self._account_currency for currency in table.currency]
        for currency in set(currencies):
            if not _CURRENCY.fullmatch(currency):
                raise _no_currency(currency, names["currency"])
        ids = list(map(bank_reference, table.movement_id))
        references = list(map(str.strip, table.reference))
        told = list(map(_symbols, references)) if any(references) else [_NO_SYMBOLS] * len(ids)
        return list(
            map(
                Entry,
                map(read_fio_day, table.booked_on, repeat(names["booked_on"])),
                _minors(table.amount, currencies, names["amount"]),
                currencies,
                ids,
                map(bool, ids),
                repeat(None),
                [" ".join(name.split()) for name in table.name],
                _accounts(table.account, map(str.strip, table.bank_code)),
                _symbol_column(table.variable_symbol, map(_variable, told)),
                _symbol_column(table.constant_symbol, map(_constant, told)),
                _symbol_column(table.specific_symbol, map(_specific, told)),
                _messages(table),
                references,
                repeat(False),
                places.lines,
                places.offsets,
                places.texts,
            )
        )

    def doubts(self, entries: list[Entry]) -> Iterator[Problem]:
        """Yield a warning for each movement without an ID, which the bank gives to every one."""
        for entry in entries if not all(map(_external_id, entries)) else ():
            if not entry.external_id:
                yield Problem(
                    message="The movement has no ID (ID pohybu).",
                    line=entry.line,
                    offset=entry.offset,
                    field=self._names["movement_id"],
                )


class Head:
    """What `info` says of the account; keys are in lower case, since the bank's manual and answers differ."""

    def __init__(self, info: Mapping[str, str], line: int | None = None) -> None:
        """Take texts without outer blanks. A value that cannot be read is a problem and stays unknown."""
        self._info = info
        self.problems: list[Problem] = []
        self.currency = self._currency()
        self.statement = Statement(
            account=account_of_text(info.get("iban", "")) or _iban(info),
            currency=self.currency,
            opening_balance=self._balance("openingbalance"),
            closing_balance=self._balance("closingbalance"),
            from_date=self._day("datestart"),
            to_date=self._day("dateend"),
            number=info.get("idlist", "").lstrip("0"),
            line=line,
        )

    def _currency(self) -> str:
        currency = self._info.get("currency", "")
        if currency and not _CURRENCY.fullmatch(currency):
            self._add(_no_currency(currency, "currency"))
            return ""
        return currency

    def _balance(self, key: str) -> Money | None:
        text = self._info.get(key)
        try:
            return _exact(text, self.currency or NO_CURRENCY, key) if text else None
        except RecordError as error:
            self._add(error)
            return None

    def _day(self, key: str) -> date | None:
        text = self._info.get(key)
        try:
            return read_fio_day(text, key) if text else None
        except RecordError as error:
            self._add(error)
            return None

    def _add(self, error: RecordError) -> None:
        self.problems.append(Problem(message=str(error), field=f"info.{error.field}", is_error=True))


@lru_cache(maxsize=4096)
def read_fio_day(text: str, field: str) -> date:
    """Read the local calendar day of `2012-10-18+0200`, `2012-07-27+02:00` or epoch milliseconds.

    Milliseconds are midnight in Prague: in any other zone they become the day before. Raises RecordError.
    """
    if _DAY.fullmatch(text):
        return read_day(text, field)
    if not _MILLISECONDS.fullmatch(text):
        raise RecordError("“{text}” is not a date.", field=field, text=shortened(text))
    try:
        return (_EPOCH + timedelta(milliseconds=int(text))).astimezone(_PRAGUE).date()
    except OverflowError:
        raise RecordError("“{text}” is not a date.", field=field, text=text) from None


def _accounts(numbers: Iterable[str], bank_codes: Iterable[str]) -> list[str]:
    """Write the other side's accounts as `account_of_text` does; most are a number without a prefix."""
    return [
        f"{number.lstrip('0')}/{code}"
        if code and 2 <= len(number) <= 10 and number.isdecimal() and number.isascii() and number.strip("0")
        else account_of_text(number, code)
        for number, code in zip(numbers, bank_codes, strict=True)
    ]


def _symbols(reference: str) -> Symbols:
    return find_symbols((reference,))[0] if reference else _NO_SYMBOLS


def _symbol_column(written: Iterable[str], told: Iterable[str]) -> list[str]:
    """Return the symbols of a column, else of the payers' references; zeros only mean that there is none."""
    return [
        symbol if symbol.strip("0") else in_reference
        for symbol, in_reference in zip(map(str.strip, written), told, strict=True)
    ]


def _messages(table: Table) -> Iterable[str]:
    if table.note == table.message and not any(table.comment) and not any(table.detail):
        return [" ".join(message.split()) for message in table.message]
    return map(_message, table.message, table.note, table.comment, table.detail)


def _message(message: str, note: str, comment: str, detail: str) -> str:
    """Say once what the payer, the bank and the owner wrote, and what a card payment was originally.

    The detail, such as `15.90 EUR`, is told where no other text holds it.
    """
    if not comment and not detail and note in ("", message):
        return one_line(message)
    written = list(dict.fromkeys(map(one_line, (message, note, comment))))
    detail = one_line(detail)
    if not any(detail in each for each in written):
        written.append(detail)
    return " / ".join(filter(None, written))


def _minors(texts: Sequence[str], currencies: Sequence[str], field: str) -> list[int]:
    """Read hundredths: where all are of the usual form, their digits are the numbers."""
    together = " ".join((*texts, ""))
    if _USUAL_AMOUNTS.fullmatch(together) and together.count(" ") == len(texts):
        parted = map(str.partition, texts, repeat("."))
        return [int(whole + fraction.ljust(2, "0")) for whole, _, fraction in parted]
    return [
        _exact(text.strip(), currency, field).minor for text, currency in zip(texts, currencies, strict=True)
    ]


def _exact(text: str, currency: str, field: str) -> Money:
    """Read a JSON number exactly, also one with an exponent such as `1.0E7`."""
    if len(text) <= 60 and ("e" in text or "E" in text):
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise RecordError("“{text}” is not an amount.", field=field, text=shortened(text)) from None
        if number.is_finite() and -30 < number.adjusted() < 30:
            text = format(number, "f")
    return read_money(text, currency, field)


def _no_currency(text: str, field: str) -> RecordError:
    return RecordError(
        "“{text}” is not a currency code of three capital letters.", field=field, text=shortened(text)
    )


def _iban(info: Mapping[str, str]) -> str:
    """Write an account of Fio as the IBAN that other answers name it by, with the check of ISO 7064.

    An account of another bank, which Fio never gives, stays `[prefix-]number/bank`.
    """
    written = account_of_text(info.get("accountid", ""), info.get("bankid", ""))
    own = _OWN_ACCOUNT.fullmatch(written)
    if own is None:
        return written
    country, letters = ("CZ", "1235") if own[3] == "2010" else ("SK", "2820")
    digits = f"{own[3]}{own[1] or '':0>6}{own[2]:0>10}"
    return f"{country}{98 - int(f'{digits}{letters}00') % 97:02}{digits}"
