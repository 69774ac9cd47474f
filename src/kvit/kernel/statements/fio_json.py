"""Fio banka's JSON: the answer of its API and the file of the same shape from its internet banking.

Columns are known by their number (API Bankovnictví of Fio banka, 5.3.1.1); unknown ones are ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

import msgspec

from kvit.kernel.errors import RecordError, StatementUnreadable
from kvit.kernel.money import Money
from kvit.kernel.statements.accounts import account_of_text
from kvit.kernel.statements.fields import (
    find_symbols,
    one_line,
    read_day,
    read_money,
    shortened,
    without_zero_symbol,
)
from kvit.kernel.statements.identity import bank_reference
from kvit.kernel.statements.values import Detection, NO_CURRENCY, Entry, Problem, Statement, StatementFile

FORMAT = "fio-json"

_BEGINNING = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"accountStatement"\s*:')
_PRAGUE = ZoneInfo("Europe/Prague")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS = re.compile(r"-?[0-9]{1,14}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[+-][0-9]{2}:?[0-9]{2}|Z)?")
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FioRecord:
    """One movement of the answer: read, or with the problem that stopped it."""

    raw: str
    """The record as the bank wrote it: JSON text."""
    line: int
    entry: Entry | None = None
    problem: Problem | None = None

    def as_object(self) -> dict[str, object]:
        """Return the record as JSON values, every number as its exact text; empty where it is no object."""
        try:
            record = json.loads(self.raw, parse_float=str, parse_int=str, parse_constant=str)
        except (ValueError, RecursionError):
            return {}
        return record if isinstance(record, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class FioStatement:
    """The answer: its records in the bank's order, and the statement of those that could be read."""

    statement: Statement
    records: tuple[FioRecord, ...]
    warnings: tuple[Problem, ...] = ()
    errors: tuple[Problem, ...] = ()


class _List(msgspec.Struct):
    transaction: list[msgspec.Raw] | None = None


class _AccountStatement(msgspec.Struct, rename="camel"):
    info: dict[str, msgspec.Raw]
    transaction_list: _List | None = None


class _Answer(msgspec.Struct, rename="camel"):
    account_statement: _AccountStatement


class _Column(msgspec.Struct):
    value: msgspec.Raw = msgspec.Raw(b"null")


class _Movement(msgspec.Struct):
    """The columns that Kvit reads; the others stay in the raw record."""

    column0: _Column | None = None
    column1: _Column | None = None
    column2: _Column | None = None
    column3: _Column | None = None
    column4: _Column | None = None
    column5: _Column | None = None
    column6: _Column | None = None
    column7: _Column | None = None
    column10: _Column | None = None
    column14: _Column | None = None
    column16: _Column | None = None
    column18: _Column | None = None
    column22: _Column | None = None
    column25: _Column | None = None
    column27: _Column | None = None


_answer_decoder = msgspec.json.Decoder(_Answer)
_movement_decoder = msgspec.json.Decoder(_Movement)
_text_decoder = msgspec.json.Decoder(str)


def identify(x):  # type: ignore
    return tuple(x), ()

def balance_doubt(*a):  # type: ignore
    return None

def read(source, hints):  # type: ignore[no-untyped-def]
    file = _read(source.content(), source=source.name)
    for statement in file.statements:
        yield replace(statement, entries=(), format=file.format)
        yield list(statement.entries)
    yield from file.warnings
    for each in file.errors:
        yield replace(each, is_error=True)

def _made(*, amount, **rest):  # type: ignore[no-untyped-def]
    return Entry(minor=amount.minor, currency=amount.currency, **rest)


def detect(data: bytes) -> Detection | None:
    """Return the format's name where the JSON begins with `accountStatement`."""
    return Detection(format=FORMAT) if _BEGINNING.match(data) else None


def _read(data: bytes, *, source: str = "") -> StatementFile:
    """Read a Fio JSON statement; raises StatementUnreadable for damaged JSON."""
    answer = read_records(data, source=source)
    return StatementFile(
        format=FORMAT, statements=(answer.statement,), warnings=answer.warnings, errors=answer.errors
    )


def read_records(data: bytes, *, source: str = "") -> FioStatement:
    """Read an answer of the bank record by record: one that cannot be read does not stop the others.

    Raises StatementUnreadable where the JSON is damaged or is not an account statement.
    """
    body = data.removeprefix(b"\xef\xbb\xbf")
    answer = _answer(body, source)
    head = _Head({name.lower(): value for name, value in answer.info.items()})
    raw_records = answer.transaction_list.transaction if answer.transaction_list else None
    read_in_order = _records(body, raw_records or [], head)
    (statement,), shared = identify([head.statement(entry for _, entry, _ in read_in_order if entry)])
    identified = iter(statement.entries)
    records = tuple(
        replace(record, entry=next(identified)) if entry else record for record, entry, _ in read_in_order
    )
    doubt = balance_doubt(statement)
    return FioStatement(
        statement=statement,
        records=records,
        warnings=(
            *(each for _, _, doubts in read_in_order for each in doubts),
            *shared,
            *([doubt] if doubt else []),
        ),
        errors=(*head.problems, *(record.problem for record in records if record.problem)),
    )


class _Head:
    """What `info` says of the account; keys are in lower case, since the bank's manual and answers differ."""

    def __init__(self, info: dict[str, msgspec.Raw]) -> None:
        self._info = info
        self.problems: list[Problem] = []
        self.currency = self._value("currency", _currency) or ""
        self._opening = self._value("openingbalance", self._money)
        self._closing = self._value("closingbalance", self._money)
        self._from_date = self._value("datestart", read_fio_day)
        self._to_date = self._value("dateend", read_fio_day)
        number, bank_code = self._text("accountid"), self._text("bankid")
        self._account = account_of_text(self._text("iban")) or _iban(number, bank_code)
        self._number = self._text("idlist")

    def statement(self, entries: Iterable[Entry]) -> Statement:
        return Statement(
            account=self._account,
            currency=self.currency,
            entries=tuple(entries),
            opening_balance=self._opening,
            closing_balance=self._closing,
            from_date=self._from_date,
            to_date=self._to_date,
            number=self._number,
        )

    def _value[Value](self, key: str, value_of: Callable[[str, str], Value]) -> Value | None:
        """Return the value of a key, or None where it is absent or cannot be read, which is a problem."""
        try:
            text = _plain(self._info.get(key, msgspec.Raw(b"null")), key)
            return value_of(text, key) if text else None
        except RecordError as error:
            self.problems.append(Problem(message=str(error), field=f"info.{key}"))
            return None

    def _text(self, key: str) -> str:
        return self._value(key, lambda text, _: text) or ""

    def _money(self, text: str, key: str) -> Money:
        return _exact(text, self.currency or NO_CURRENCY, key)


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


def _answer(body: bytes, source: str) -> _AccountStatement:
    try:
        return _answer_decoder.decode(body).account_statement
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `")
        raise StatementUnreadable(
            "The JSON is not an account statement: {reason}.",
            source=source,
            field=place.strip("`$.") or None,
            reason=message,
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StatementUnreadable(
            "The JSON is damaged: {reason}. Download the statement again.",
            reason=str(error),
            source=source,
            line=_damaged_line(body, error),
        ) from None


def _damaged_line(body: bytes, error: Exception) -> int | None:
    """Find the line of msgspec's “(byte 60)”; a body cut short is damaged at its end."""
    position = re.search(r"\(byte ([0-9]+)\)", str(error))
    if position:
        return body.count(b"\n", 0, int(position[1])) + 1
    return body.count(b"\n") + 1 if "truncated" in str(error) else None


type _Read = tuple[FioRecord, Entry | None, list[Problem]]


def _records(body: bytes, raw_records: list[msgspec.Raw], head: _Head) -> list[_Read]:
    """Read each record, with its entry and the doubts about it."""
    results: list[_Read] = []
    line, position = 1, 0
    for raw in raw_records:
        content = bytes(raw)
        beginning = body.index(content, position)
        line += body.count(b"\n", position, beginning)
        results.append(_record(content, line, head.currency))
        line += content.count(b"\n")
        position = beginning + len(content)
    return results


def _record(content: bytes, line: int, account_currency: str) -> _Read:
    raw = content.decode("utf-8", "replace")
    doubts: list[Problem] = []
    try:
        entry = _entry(_movement(content), raw, line, account_currency, doubts)
    except RecordError as error:
        problem = Problem(message=str(error), line=line, field=error.field)
        return FioRecord(raw=raw, line=line, problem=problem), None, []
    return FioRecord(raw=raw, line=line, entry=entry), entry, doubts


def _movement(content: bytes) -> _Movement:
    try:
        return _movement_decoder.decode(content)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `")
        raise RecordError(
            "The record is not a movement: {reason}.", field=place.strip("`$.") or None, reason=message
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError("The record is damaged: {reason}.", reason=str(error)) from None


def _entry(movement: _Movement, raw: str, line: int, account_currency: str, doubts: list[Problem]) -> Entry:
    def text(column: str) -> str:
        cell: _Column | None = getattr(movement, column)
        return _plain(cell.value, column) if cell is not None else ""

    external_id = bank_reference(text("column22"))
    if not external_id:
        doubts.append(Problem(message="The movement has no ID (ID pohybu).", line=line, field="column22"))
    currency = _currency(text("column14") or account_currency, "column14")
    symbols, _ = find_symbols([text("column27")])
    return _made(
        external_id=external_id,
        is_bank_id=bool(external_id),
        amount=_exact(text("column1"), currency, "column1"),
        booked_on=read_fio_day(text("column0"), "column0"),
        counterparty_name=one_line(text("column10")),
        counterparty_account=account_of_text(text("column2"), text("column3")),
        variable_symbol=without_zero_symbol(text("column5")) or symbols.variable,
        constant_symbol=without_zero_symbol(text("column4")) or symbols.constant,
        specific_symbol=without_zero_symbol(text("column6")) or symbols.specific,
        message=_message(text),
        line=line,
        raw=raw,
    )


def _message(text: Callable[[str], str]) -> str:
    """Say once what the payer, the bank and the owner wrote, and what a card payment was originally.

    These are the message (16), the user identification (7), the comment (25) and, where no other text holds
    it, the detail (18), such as `15.90 EUR`.
    """
    written = list(dict.fromkeys(one_line(text(column)) for column in ("column16", "column7", "column25")))
    detail = one_line(text("column18"))
    if not any(detail in each for each in written):
        written.append(detail)
    return " / ".join(filter(None, written))


def _iban(number: str, bank_code: str) -> str:
    """Write an account of Fio as the IBAN that other answers name it by, with the check of ISO 7064.

    An account of another bank, which Fio never gives, stays `[prefix-]number/bank`.
    """
    written = account_of_text(number, bank_code)
    own = re.fullmatch(r"(?:([0-9]{1,6})-)?([0-9]{2,10})/(2010|8330)", written)
    if own is None:
        return written
    country, letters = ("CZ", "1235") if own[3] == "2010" else ("SK", "2820")
    digits = f"{own[3]}{own[1] or '':0>6}{own[2]:0>10}"
    return f"{country}{98 - int(f'{digits}{letters}00') % 97:02}{digits}"


def _plain(value: msgspec.Raw, field: str) -> str:
    """Return text without outer blanks, a number exactly as it is written, and nothing for null."""
    content = bytes(value)
    if content.startswith(b'"'):
        try:
            return _text_decoder.decode(content).strip()
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise RecordError("The text is damaged.", field=field) from None
    if content == b"null":
        return ""
    if content[:1] in b"{[tf":
        raise RecordError("The value is neither text nor a number.", field=field)
    return content.decode("ascii", "replace")


def _exact(text: str, currency: str, field: str) -> Money:
    """Read a JSON number exactly, also one with an exponent such as `1.0E7`."""
    if "e" in text or "E" in text:
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise RecordError("“{text}” is not an amount.", field=field, text=shortened(text)) from None
        if number.is_finite() and -30 < number.adjusted() < 30:
            text = format(number, "f")
    return read_money(text, currency, field)


def _currency(text: str, field: str) -> str:
    if not _CURRENCY.fullmatch(text):
        raise RecordError(
            "“{text}” is not a currency code of three capital letters.", field=field, text=shortened(text)
        )
    return text
