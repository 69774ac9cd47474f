"""ČSOB's XML statement (FINSTA), which some other Czech banks write as well.

`FINSTA03` is a statement and the `FINSTA05` in it are its movements. Meaning and marks follow ČSOB's
description of its XML statements; a lone `-` and an empty element say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from lxml import etree

from kvit.kernel.errors import RecordError, StatementUnreadable
from kvit.kernel.money import Money
from kvit.kernel.statements import xml
from kvit.kernel.statements.accounts import account_of_text
from kvit.kernel.statements.fields import one_line, read_money, shortened, without_zero_symbol
from kvit.kernel.statements.identity import bank_reference
from kvit.kernel.statements.source import Source
from kvit.kernel.statements.values import (
    NO_CURRENCY,
    Detection,
    Entry,
    Hints,
    Part,
    Problem,
    Statement,
    StatementEnd,
)

FORMAT: Final = "csob-xml"
CHUNK: Final = 500

_SIGNS: Final = {"C": 1, "D": -1, "CR": -1, "DR": 1}
"""Credit and debit, and the reversal of each."""
_DAY: Final = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})")
_AMOUNT: Final = re.compile(r"[=+-]?[0-9]{1,17}(?:[.,][0-9]{0,10})?")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_NOTHING: Final = ("", "-")
_WRITTEN_TEXTS: Final = (
    ("PART_MSG_1", "PART_MSG_2"),
    ("PART_ID1_1", "PART_ID1_2"),
    ("PART_ID2_1", "PART_ID2_2"),
)
_BANK_TEXTS: Final = ("S61_POST_NAR", "REMARK")

type _Fields = dict[str, str]


def detect(head: bytes) -> Detection | None:
    """Know the XML by its outermost element."""
    return Detection(format=FORMAT) if xml.is_xml(head) and xml.root_of(head) == "FINSTA" else None


def read(source: Source, hints: Hints) -> Iterator[Part]:
    """Yield each statement and its movements.

    Raises StatementUnreadable for damaged XML and where there is no statement.
    """
    statement: _OpenStatement | None = None
    for element in xml.elements(source, ("FINSTA05", "FINSTA03")):
        is_head = xml.local(element.tag) == "FINSTA03"
        parent = element if is_head else element.getparent()
        if parent is None:
            continue
        if statement is None or statement.element is not parent:
            if statement is not None:
                yield statement.rest()
            statement = _OpenStatement(parent, hints)
            yield statement.head.statement
            yield from statement.head.problems
        if is_head:
            yield from statement.ended()
        else:
            yield from statement.added(element)
    if statement is None:
        raise StatementUnreadable("The file holds no statement.", source=source.name, field="FINSTA03")
    yield statement.rest()


class _OpenStatement:
    """A statement while its movements are being read."""

    def __init__(self, element: etree._Element, hints: Hints) -> None:
        self.element = element
        self.head = _Head(element, hints.currency)
        self._entries: list[Entry] = []

    def added(self, element: etree._Element) -> Iterator[Part]:
        line = xml.line_of(element)
        try:
            raw = etree.tostring(element, encoding="unicode", with_tail=False)
            self._entries.append(_entry(element, self.head.currency, line, raw))
        except RecordError as error:
            yield Problem(message=str(error), line=line, field=error.field, is_error=True)
        if len(self._entries) >= CHUNK:
            yield self.rest()

    def rest(self) -> list[Entry]:
        """Give the entries away that were not yielded yet."""
        entries, self._entries = self._entries, []
        return entries

    def ended(self) -> Iterator[Part]:
        """Yield the last entries, and what the head says behind the movements."""
        yield self.rest()
        head = _Head(self.element, self.head.currency)
        told = head.statement
        if told != self.head.statement:
            yield StatementEnd(
                currency=told.currency or None,
                opening_balance=told.opening_balance,
                closing_balance=told.closing_balance,
                from_date=told.from_date,
                to_date=told.to_date,
                number=told.number or None,
            )
            yield from (each for each in head.problems if each not in self.head.problems)


class _Head:
    """What `FINSTA03` says of the account and its balances."""

    def __init__(self, element: etree._Element, currency: str) -> None:
        self._line = line = xml.line_of(element)
        self.problems: list[Problem] = []
        self._fields, contradictory = _fields(element)
        for name in contradictory:
            self._add(_contradiction(name))
        fields = self._fields
        written = fields.get("S60_MENA", "")
        self.currency = written if _CURRENCY.fullmatch(written) else currency
        if written and not self.currency:
            self._add(_no_currency(written, "S60_MENA"))
        to_date = self._day("S62_DATUM")
        self.statement = Statement(
            account=account_of_text(fields.get("S25_CISLO_UCTU", "")),
            currency=self.currency,
            opening_balance=self._balance("S60"),
            closing_balance=self._balance("S62"),
            from_date=_day_after(self._day("S60_DATUM"), to_date),
            to_date=to_date,
            number=fields.get("S28_CISLO_VYPISU", "").lstrip("0"),
            line=line,
        )

    def _balance(self, name: str) -> Money | None:
        if not self._fields.get(f"{name}_CASTKA"):
            return None
        try:
            minor = _minor(self._fields, name)
        except RecordError as error:
            self._add(error)
            return None
        return Money(minor, self.currency or NO_CURRENCY)

    def _day(self, name: str) -> date | None:
        try:
            return _day(self._fields.get(name, ""), name)
        except RecordError as error:
            self._add(error)
            return None

    def _add(self, error: RecordError) -> None:
        self.problems.append(Problem(message=str(error), line=self._line, field=error.field, is_error=True))


def _day_after(last_statement: date | None, to_date: date | None) -> date | None:
    """Return the first day of the period: the opening balance is that of the last statement's day."""
    if last_statement is None or last_statement == date.max:
        return None
    first = last_statement + timedelta(days=1)
    return min(first, to_date) if to_date else first


def _entry(element: etree._Element, account_currency: str, line: int | None, raw: str) -> Entry:
    """Make an entry of a `FINSTA05`; raises RecordError for an amount, day or currency that is unreadable."""
    fields, contradictory = _fields(element)
    for name in contradictory:
        raise _contradiction(name)
    value_on = _day(fields.get("S61_DATUM", ""), "S61_DATUM")
    booked_on = _day(fields.get("DPROCD", ""), "DPROCD") or value_on
    if booked_on is None:
        raise RecordError("The movement has no date.", field="DPROCD")
    currency = fields.get("S61_MENA") or account_currency or NO_CURRENCY
    if not _CURRENCY.fullmatch(currency):
        raise _no_currency(currency, "S61_MENA")
    return Entry(
        booked_on=booked_on,
        minor=_minor(fields, "S61"),
        currency=currency,
        external_id=bank_reference(fields.get("REF_TRANS_SYS", ""), counts=True),
        value_on=value_on,
        counterparty_name=one_line(fields.get("PART_ACC_ID", "")),
        counterparty_account=account_of_text(fields.get("PART_ACCNO", ""), fields.get("PART_BANK_ID", "")),
        variable_symbol=_symbol(fields, "S86_VARSYMOUR", "S86_VARSYMPAR"),
        constant_symbol=_symbol(fields, "S86_KONSTSYM"),
        specific_symbol=_symbol(fields, "S86_SPECSYMOUR", "S86_SPECSYMPAR"),
        message=_message(fields),
        reference=fields.get("S61_REFERENCE", ""),
        line=line,
        raw=raw,
    )


def _fields(element: etree._Element) -> tuple[_Fields, list[str]]:
    """Return the fields that say something, and apart the names of those that say two different things."""
    fields: _Fields = {}
    contradictory: dict[str, None] = {}
    for each in element:
        name, text = xml.local(each.tag), (each.text or "").strip()
        if text not in _NOTHING and fields.setdefault(name, text) != text:
            contradictory[name] = None
    return {name: text for name, text in fields.items() if name not in contradictory}, list(contradictory)


def _contradiction(name: str) -> RecordError:
    return RecordError("The field stands there twice, with different values.", field=name)


def _minor(fields: _Fields, name: str) -> int:
    """Read hundredths with the sign of the mark beside them (`C`, `D`, `CR`, `DR`).

    The bank writes a sign into the amount as well. A minus where the mark says incoming, or another mark, is
    a contradiction that nobody may guess about. Raises RecordError.
    """
    mark, text = fields.get(f"{name}_CD_INDIK", ""), fields.get(f"{name}_CASTKA", "")
    sign = _SIGNS.get(mark)
    if sign is None:
        raise RecordError(
            "“{text}” says neither credit nor debit.", field=f"{name}_CD_INDIK", text=shortened(mark)
        )
    field = f"{name}_CASTKA"
    if not _AMOUNT.fullmatch(text):
        raise RecordError("“{text}” is not an amount.", field=field, text=shortened(text))
    if text.startswith("-") and sign > 0:
        message = "The amount {text} is negative, but its mark {mark} says incoming."
        raise RecordError(message, field=field, text=shortened(text), mark=mark)
    return sign * read_money(text.lstrip("=+-").replace(",", "."), NO_CURRENCY, field).minor


def _day(text: str, field: str) -> date | None:
    """Read `09.02.2009`; None where there is nothing. Raises RecordError."""
    if not text:
        return None
    found = _DAY.fullmatch(text)
    if found is None:
        raise RecordError("“{text}” is not a date.", field=field, text=shortened(text))
    try:
        return date(int(found[3]), int(found[2]), int(found[1]))
    except ValueError:
        raise RecordError("There is no day {text}.", field=field, text=text) from None


def _symbol(fields: _Fields, *names: str) -> str:
    """Return the account's own symbol, else the other side's."""
    return next(filter(None, (without_zero_symbol(fields.get(name, "")) for name in names)), "")


def _message(fields: _Fields) -> str:
    """Say once what the payer wrote; where that is nothing, what the bank did."""
    written = [one_line(*(fields.get(name, "") for name in names)) for names in _WRITTEN_TEXTS]
    said = list(dict.fromkeys(filter(None, written)))
    return " / ".join(said) or next((one_line(fields[name]) for name in _BANK_TEXTS if name in fields), "")


def _no_currency(text: str, field: str) -> RecordError:
    return RecordError(
        "“{text}” is not a currency code of three capital letters.", field=field, text=shortened(text)
    )
