"""GPC, also called ABO: the fixed-width statement of nearly every Czech bank.

Positions are bytes counted from 1, both ends inclusive, as the banks' manuals count them (API Bankovnictví of
Fio banka, 5.3.1.3):

    074  own account 4-19, name 20-39, day of the opening balance 40-45, opening balance 46-59 and its
         sign 60, closing balance 61-74 and its sign 75, statement number 106-108, its day 109-114,
         the bank's name 115-128 where it is Fio (`FIO`)
    075  own account 4-19, other account 20-35, the bank's id 36-48, amount in hundredths 49-60, code 61,
         variable symbol 62-71, bank code 74-77, constant symbol 78-81, specific symbol 82-91,
         value day 92-97, other party 98-117, numeric currency 119-122, booking day 123-128
    076  further text 36-128 of the movement above
    078, 079  message 4-128 of the movement above
"""

from __future__ import annotations

import re

import msgspec
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date

from kvit.kernel.errors import RecordError, StatementUnreadable
from kvit.kernel.money import Money
from kvit.kernel.statements.accounts import account_of_digits
from kvit.kernel.statements.currencies import CURRENCIES
from kvit.kernel.statements.fields import money_of, one_line
from kvit.kernel.statements.identity import bank_reference
from kvit.kernel.statements.values import Detection, NO_CURRENCY, Entry, Problem, Statement, StatementFile

FORMAT = "gpc"

_BEGINNING = re.compile(rb"(?:\xef\xbb\xbf)?\s*07[45][0-9]{16}")
_SIGNS = {b"1": -1, b"2": 1, b"4": 1, b"5": -1}
"""Debit, credit, cancelled debit, cancelled credit."""
_SHORTEST_MOVEMENT = 97
_NAME_END = 117
_LONGEST_RECORD = 128
_CONTINUATIONS = {b"076": 36, b"078": 4, b"079": 4}
"""Where the text of a continuation begins."""
_FIO = "FIO"
"""How the head names the one bank that is known to write the id of its API into the movements."""
_CZECH_LETTERS = "áčďéěíňóřšťúůýžÁČĎÉĚÍŇÓŘŠŤÚŮÝŽ"
_FIRST_YEAR = 80
"""Two digits from here on are of the twentieth century."""


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
    """Return the format's name where the first record is a head or a movement of an account."""
    return Detection(format=FORMAT) if _BEGINNING.match(data) else None


def _read(data: bytes, *, source: str = "") -> StatementFile:
    """Read a GPC statement; raises StatementUnreadable where a head does not say its account."""
    reader = _Reader(source=source, encoding=_encoding(data))
    for number, content in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        line = content.rstrip(b" \x1a")
        if line:
            reader.read_record(_Record(number, *_by_bytes(line, reader.encoding)))
    reader.finish_movement()
    statements, warnings = identify([section.statement() for section in reader.sections])
    return StatementFile(
        format=FORMAT,
        statements=statements,
        warnings=(*reader.warnings, *_doubts(statements, reader.sections), *warnings),
        errors=tuple(reader.errors),
    )


@dataclass(frozen=True, slots=True)
class _Record:
    """One line of the file."""

    number: int
    line: bytes
    encoding: str

    @property
    def kind(self) -> bytes:
        return self.line[:3]

    def raw(self, first: int, last: int) -> bytes:
        return self.line[first - 1 : last].strip()

    def text(self, first: int, last: int) -> str:
        # A name cut inside a character of two bytes loses that character only.
        errors = "ignore" if self.encoding == "utf-8" else "replace"
        return self.line[first - 1 : last].decode(self.encoding, errors).strip()

    def digits(self, first: int, last: int) -> str:
        value = self.line[first - 1 : last]
        if len(value) != last - first + 1 or not value.isdigit():
            raise RecordError(
                "“{text}” is not a number of {length} digits.",
                field=_at(first, last),
                text=self.text(first, last),
                length=last - first + 1,
            )
        return value.decode("ascii")

    def day(self, first: int, last: int) -> date | None:
        """Read a day written DDMMYY; blanks and zeros are no day."""
        if not self.raw(first, last).strip(b"0"):
            return None
        digits = self.digits(first, last)
        year = int(digits[4:])
        try:
            return date(year + (1900 if year >= _FIRST_YEAR else 2000), int(digits[2:4]), int(digits[:2]))
        except ValueError:
            raise RecordError("There is no day {text}.", field=_at(first, last), text=digits) from None


@dataclass(slots=True)
class _Section:
    """A head and the movements below it, until the next head."""

    account: str
    line: int
    head: _Record | None = None
    opening_minor: int | None = None
    closing_minor: int | None = None
    entries: list[Entry] = field(default_factory=list)

    @property
    def is_of_fio(self) -> bool:
        return self.head is not None and self.head.text(115, 128) == _FIO

    def statement(self) -> Statement:
        currencies = {entry.amount.currency for entry in self.entries}
        currency = currencies.pop() if len(currencies) == 1 else NO_CURRENCY
        return Statement(
            account=self.account,
            currency="" if currency == NO_CURRENCY else currency,
            entries=tuple(self.entries),
            opening_balance=None if self.opening_minor is None else Money(self.opening_minor, currency),
            closing_balance=None if self.closing_minor is None else Money(self.closing_minor, currency),
            from_date=_day_or_none(self.head, 40, 45),
            to_date=_day_or_none(self.head, 109, 114),
            number=self.head.text(106, 108).lstrip("0") if self.head else "",
        )


@dataclass(slots=True)
class _Reader:
    """What has been read so far."""

    source: str
    encoding: str
    sections: list[_Section] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    errors: list[Problem] = field(default_factory=list)
    texts: list[_Record] | None = None
    """Further text of the movement above; None where there is none or it could not be read."""

    def read_record(self, record: _Record) -> None:
        if record.kind == b"074":
            self._read_head(record)
        elif record.kind == b"075":
            self._read_movement(record)
        elif record.kind in _CONTINUATIONS:
            self._read_text(record)
        else:
            kind = record.text(1, 3)
            self.warnings.append(
                Problem(message=f"Records of the kind “{kind}” are not read.", line=record.number)
            )

    def finish_movement(self) -> None:
        """Give the movement above its further text."""
        if self.texts:
            entries = self.sections[-1].entries
            entries[-1] = _with_texts(entries[-1], self.texts)
        self.texts = None

    def _read_head(self, record: _Record) -> None:
        self.finish_movement()
        try:
            account = account_of_digits(record.digits(4, 19))
        except RecordError as error:
            raise StatementUnreadable(
                "The head of the statement does not say its account: {reason}",
                reason=str(error),
                source=self.source,
                line=record.number,
                field=error.field,
            ) from None
        self.sections.append(
            _Section(
                account=account,
                line=record.number,
                head=record,
                opening_minor=self._balance(record, 46, 59),
                closing_minor=self._balance(record, 61, 74),
            )
        )

    def _balance(self, record: _Record, first: int, last: int) -> int | None:
        """Read a balance and the sign behind it; a blank one is absent."""
        if not record.raw(first, last + 1):
            return None
        try:
            minor = int(record.digits(first, last))
            sign = record.raw(last + 1, last + 1)
            if minor and sign not in {b"+", b"-"}:
                raise RecordError("The balance has no sign.", field=_at(last + 1, last + 1))
        except RecordError as error:
            self.errors.append(_problem(error, record))
            return None
        return -minor if sign == b"-" else minor

    def _read_movement(self, record: _Record) -> None:
        self.finish_movement()
        try:
            section = self._section_of(record)
            section.entries.append(self._entry(record, section))
        except RecordError as error:
            self.errors.append(_problem(error, record))
        else:
            self.texts = []

    def _section_of(self, record: _Record) -> _Section:
        account = account_of_digits(record.digits(4, 19))
        if not self.sections:
            self._warn(record, "The statement has no head (074), so its balances are not known.")
            self.sections.append(_Section(account=account, line=record.number))
        section = self.sections[-1]
        if account != section.account:
            # A movement of another account must never be booked to this one.
            raise RecordError(
                "The movement belongs to account {account}, not to {head}.",
                field=_at(4, 19),
                account=account,
                head=section.account,
            )
        return section

    def _entry(self, record: _Record, section: _Section) -> Entry:
        if len(record.line) < _SHORTEST_MOVEMENT:
            raise RecordError(
                "The record is cut after {length} bytes.",
                field=_at(1, _SHORTEST_MOVEMENT),
                length=len(record.line),
            )
        sign = _SIGNS.get(record.raw(61, 61))
        if sign is None:
            raise RecordError(
                "“{text}” does not say whether the money came or went.",
                field=_at(61, 61),
                text=record.text(61, 61),
            )
        booked_on, value_on = record.day(123, 128), record.day(92, 97)
        if booked_on is None and value_on is not None:
            self._warn(record, "The movement has no booking day; the value day was taken.", _at(123, 128))
        day = booked_on or value_on
        if day is None:
            raise RecordError("The movement has no day.", field=_at(123, 128))
        external_id = bank_reference(record.text(36, 48).lstrip("0"), counts=not section.is_of_fio)
        return _made(
            external_id=external_id,
            is_bank_id=bool(external_id) and section.is_of_fio,
            amount=money_of(sign * int(record.digits(49, 60)), self._currency(record), _at(49, 60)),
            booked_on=day,
            value_on=value_on,
            counterparty_name=one_line(record.text(98, 117)),
            counterparty_account=self._other_account(record),
            variable_symbol=self._symbol(record, 62, 71).lstrip("0"),
            constant_symbol=self._constant_symbol(record),
            specific_symbol=self._symbol(record, 82, 91).lstrip("0"),
            line=record.number,
            raw=record.line.decode(record.encoding, "replace"),
        )

    def _currency(self, record: _Record) -> str:
        if not record.raw(119, 122).strip(b"0"):
            return NO_CURRENCY
        code = record.digits(119, 122)
        currency = CURRENCIES.get(code[1:]) if code[0] == "0" else None
        if currency is None:
            raise RecordError("“{text}” is not a currency.", field=_at(119, 122), text=code)
        return currency

    def _other_account(self, record: _Record) -> str:
        if not record.raw(20, 35):
            return ""
        return account_of_digits(record.digits(20, 35), self._symbol(record, 74, 77))

    def _constant_symbol(self, record: _Record) -> str:
        return self._symbol(record, 78, 81)

    def _symbol(self, record: _Record, first: int, last: int) -> str:
        """Read digits that may be missing: zeros mean that there are none."""
        value = record.raw(first, last)
        if not value.strip(b"0"):
            return ""
        if not value.isdigit():
            self._warn(
                record, f"“{record.text(first, last)}” is not a symbol; it was left out.", _at(first, last)
            )
            return ""
        return value.decode("ascii")

    def _read_text(self, record: _Record) -> None:
        if self.texts is None:
            self._warn(record, "The text belongs to no movement that was read.")
        else:
            self.texts.append(record)

    def _warn(self, record: _Record, message: str, place: str | None = None) -> None:
        self.warnings.append(Problem(message=message, line=record.number, field=place))


def _with_texts(entry: Entry, records: list[_Record]) -> Entry:
    lines = (record.line.decode(record.encoding, "replace") for record in records)
    return msgspec.structs.replace(
        entry,
        message=one_line(*(record.text(_CONTINUATIONS[record.kind], 128) for record in records)),
        raw="\n".join((entry.raw, *lines)),
    )


def _doubts(statements: tuple[Statement, ...], sections: list[_Section]) -> Iterator[Problem]:
    for statement, section in zip(statements, sections, strict=True):
        silent = next((entry for entry in statement.entries if entry.amount.currency == NO_CURRENCY), None)
        if silent:
            message = "Movements do not say their currency; the account decides."
            yield Problem(message=message, line=silent.line, field=_at(119, 122))
        if doubt := balance_doubt(statement, section.line):
            yield doubt


def _day_or_none(record: _Record | None, first: int, last: int) -> date | None:
    """The period of a statement is told to people only, so a day that cannot be read is no problem."""
    try:
        return record.day(first, last) if record else None
    except RecordError:
        return None


def _encoding(data: bytes) -> str:
    """Find the encoding: cp1250 unless the bytes are UTF-8 or make more Czech letters in cp852."""
    if data.isascii():
        return "cp1250"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        letters = {name: set(_CZECH_LETTERS.encode(name)) for name in ("cp1250", "cp852")}
        return max(letters, key=lambda name: sum(byte in letters[name] for byte in data))
    return "utf-8"


def _by_bytes(line: bytes, encoding: str) -> tuple[bytes, str]:
    """Return the line so that byte positions hold, and its encoding.

    A bank may count the bytes of UTF-8; a file that somebody converted to UTF-8 counts characters. The
    numbers behind the name tell them apart.
    """
    if encoding != "utf-8" or line.isascii():
        return line, encoding
    if line.startswith(b"074"):
        holds = line[45:59].isdigit() and line[59:60] in {b"+", b"-"} and line[60:74].isdigit()
    else:
        holds = len(line) <= _NAME_END or (len(line) <= _LONGEST_RECORD and line[_NAME_END:].isascii())
    if holds:
        return line, encoding
    return line.decode("utf-8", "replace").encode("cp1250", "replace"), "cp1250"


def _problem(error: RecordError, record: _Record) -> Problem:
    return Problem(message=str(error), line=record.number, field=error.field)


def _at(first: int, last: int) -> str:
    return f"bytes {first}-{last}"
