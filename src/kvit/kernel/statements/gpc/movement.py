"""One movement of a GPC file, field by field: exact words about whatever cannot be read."""

from __future__ import annotations

from typing import Final

from kvit.kernel.errors import RecordError
from kvit.kernel.statements.accounts import account_of_digits
from kvit.kernel.statements.currencies import CURRENCIES
from kvit.kernel.statements.fields import one_line
from kvit.kernel.statements.gpc.record import LONGEST_RECORD, Record, at
from kvit.kernel.statements.gpc.section import Section
from kvit.kernel.statements.identity import bank_reference
from kvit.kernel.statements.values import Entry, Problem

MOVEMENT: Final = "075"
TEXTS: Final = {"076": 36, "078": 4, "079": 4}
"""The records of a movement's further text, and where it begins."""
SIGNS: Final = {"1": -1, "2": 1, "4": 1, "5": -1}
"""Debit, credit, cancelled debit, cancelled credit."""
_SHORTEST_MOVEMENT: Final = 97


def entry_of(records: list[Record], section: Section, problems: list[Problem]) -> Entry:
    """Read a movement (075) and its texts; doubts go to `problems`.

    Raises RecordError where it cannot be read.
    """
    return _Movement(records[0], section, problems).entry(records)


class _Movement:
    """The movement that is being read."""

    def __init__(self, record: Record, section: Section, problems: list[Problem]) -> None:
        self.record = record
        self.section = section
        self.problems = problems

    def entry(self, records: list[Record]) -> Entry:
        record, section = self.record, self.section
        self._require_own_account()
        if len(record.line) < _SHORTEST_MOVEMENT:
            raise RecordError(
                "The record is cut after {length} bytes.",
                field=at(1, _SHORTEST_MOVEMENT),
                length=len(record.line),
            )
        sign = self._sign()
        booked_on, value_on = record.day(123, 128), record.day(92, 97)
        if booked_on is None and value_on is not None:
            self._warn("The movement has no booking day; the value day was taken.", at(123, 128))
        day = booked_on or value_on
        if day is None:
            raise RecordError("The movement has no day.", field=at(123, 128))
        external_id = bank_reference(record.text(36, 48).lstrip("0"), counts=not section.is_of_fio)
        return Entry(
            booked_on=day,
            minor=sign * int(record.digits(49, 60)),
            currency=self._currency(),
            external_id=external_id,
            is_bank_id=bool(external_id) and section.is_of_fio,
            value_on=value_on,
            counterparty_name=one_line(record.text(98, 117)),
            counterparty_account=self._other_account(),
            variable_symbol=self._symbol(62, 71).lstrip("0"),
            constant_symbol=self._symbol(78, 81),
            specific_symbol=self._symbol(82, 91).lstrip("0"),
            message=one_line(*(text.text(TEXTS[text.kind], LONGEST_RECORD) for text in records[1:])),
            line=record.number,
            raw="\n".join(each.as_read for each in records),
        )

    def _require_own_account(self) -> None:
        """A movement of another account must never be booked to this one."""
        account = account_of_digits(self.record.digits(4, 19), known=self.section.account)
        if account != self.section.account:
            raise RecordError(
                "The movement belongs to account {account}, not to {head}.",
                field=at(4, 19),
                account=account,
                head=self.section.account,
            )

    def _sign(self) -> int:
        sign = SIGNS.get(self.record.raw(61, 61))
        if sign is None:
            raise RecordError(
                "“{text}” does not say whether the money came or went.",
                field=at(61, 61),
                text=self.record.text(61, 61),
            )
        return sign

    def _currency(self) -> str:
        if not self.record.raw(119, 122).strip("0"):
            return self.section.silent_currency
        code = self.record.digits(119, 122)
        currency = CURRENCIES.get(code[1:]) if code[0] == "0" else None
        if currency is None:
            raise RecordError("“{text}” is not a currency.", field=at(119, 122), text=code)
        return currency

    def _other_account(self) -> str:
        if not self.record.raw(20, 35):
            return ""
        return account_of_digits(self.record.digits(20, 35), self._symbol(74, 77))

    def _symbol(self, first: int, last: int) -> str:
        """Read digits that may be missing: zeros mean that there are none."""
        value = self.record.raw(first, last)
        if not value.strip("0"):
            return ""
        if not (value.isascii() and value.isdigit()):
            text = self.record.text(first, last)
            self._warn(f"“{text}” is not a symbol; it was left out.", at(first, last))
            return ""
        return value

    def _warn(self, message: str, place: str) -> None:
        self.problems.append(Problem(message=message, line=self.record.number, field=place))
