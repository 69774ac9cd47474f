"""Movements of MT940 and MT942, many at once: column by column, and one by one where any cannot be read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import repeat
from operator import itemgetter, mul
from typing import Final, Self

from kvit.kernel.errors import RecordError
from kvit.kernel.statements.accounts import is_iban
from kvit.kernel.statements.fields import money_of
from kvit.kernel.statements.mt940.information import Columns, information_columns
from kvit.kernel.statements.mt940.statement_line import (
    EXPECTED,
    FIELD,
    SIGNS,
    STATEMENT_LINE,
    Days,
    customer_reference,
    minor_of,
    reference_of_bank,
    unreadable,
)
from kvit.kernel.statements.values import NO_CURRENCY, Entry, Problem

_DAYS: Final = Days()
_END_OF_MESSAGE = re.compile(
    r"\n-(?:\}[^\n]*|XXX|[^ -~\n]{0,3})[ ]*+(?=\n*+(?:\Z|\{|[0-9A-Z ]{6,40}\n[0-9 ]{0,9}94))"
)
"""A hyphen at the end of the text, before the next SWIFT block or the bank's name before the next message.

ING writes `-XXX` there; other files have up to three characters behind it that are not printable ASCII.
"""
_value_on = itemgetter(0)
_booked_on = itemgetter(1)


def without_end(text: str) -> str:
    """Cut the end of the message off a field's text; a line with a hyphen inside the text stays."""
    if "\n-" in text:
        text = _END_OF_MESSAGE.split(text, maxsplit=1)[0]
    return text.rstrip("\n")


@dataclass(slots=True)
class Movements:
    """Movements that follow each other, column by column: the texts of :61: and of what belongs to it."""

    lines: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    information: list[tuple[str, str]] = field(default_factory=list)
    """The tag (`86` or `NS`, or empty) and the text."""

    @classmethod
    def informed(cls, lines: Sequence[int], texts: list[str]) -> Self:
        """Take movements that each have their information behind them."""
        if any("\n" in text for text in texts):
            texts = [without_end(text) for text in texts]
        return cls(list(lines), texts[::2], [("86", text) for text in texts[1::2]])

    def append(self, line: int, text: str) -> None:
        self.lines.append(line)
        self.texts.append(without_end(text))
        self.information.append(("", ""))

    def inform(self, tag: str, text: str) -> None:
        """Add information to the last movement; of two kinds the first counts."""
        known, before = self.information[-1]
        if known in {"", tag}:
            text = without_end(text)
            self.information[-1] = tag, f"{before}\n{text}" if known else text

    def row(self, at: int) -> Movements:
        return Movements([self.lines[at]], [self.texts[at]], [self.information[at]])


@dataclass(frozen=True, slots=True)
class Terms:
    """What the statement says of all its movements."""

    currency: str
    is_currency_known: bool
    reported_on: date | None = None
    """The day of an interim report (MT942): what is booked later is only announced."""


def read_movements(movements: Movements, terms: Terms) -> Iterator[list[Entry] | Problem]:
    """Yield the entries, and a Problem for each movement that cannot be read."""
    try:
        yield _entries(movements, terms)
    except RecordError as error:
        if len(movements.lines) == 1:
            line = movements.lines[0]
            yield Problem(message=str(error), line=line, field=error.field, is_error=True)
            return
        read: list[Entry] = []
        for at in range(len(movements.lines)):
            for part in read_movements(movements.row(at), terms):
                if isinstance(part, list):
                    read += part
                else:
                    yield part
        yield read


def _entries(movements: Movements, terms: Terms) -> list[Entry]:
    """Raises RecordError where one of them cannot be read."""
    matches = list(map(STATEMENT_LINE.fullmatch, movements.texts))
    if None in matches:
        raise unreadable(movements.texts[matches.index(None)])
    days, marks, codes, signs, wholes, fractions, references, details = zip(
        *[match.groups() for match in matches if match], strict=True
    )
    minors = _minors(marks, wholes, fractions)
    _require_true(signs, minors)
    dates = [_DAYS[digits] for digits in days]
    booked = list(map(_booked_on, dates))
    parted = [reference.partition("//") for reference in references]
    customers = [customer.strip() for customer, _, _ in parted]
    told = information_columns(movements.information)
    _find_parties(told, customers, details)
    return list(
        map(
            Entry,
            booked,
            minors,
            _currencies(codes, terms),
            [reference_of_bank(bank) for _, _, bank in parted],
            repeat(False),
            map(_value_on, dates),
            told.names,
            told.accounts,
            told.variable_symbols,
            told.constant_symbols,
            told.specific_symbols,
            [message or below.strip() for message, below in zip(told.messages, details, strict=True)],
            [
                reference or customer_reference(customer)
                for reference, customer in zip(told.references, customers, strict=True)
            ],
            _pending(marks, booked, terms),
            movements.lines,
            repeat(None),
            [
                f":61:{text}\n:{tag}:{information}" if tag else f":61:{text}"
                for text, (tag, information) in zip(movements.texts, movements.information, strict=True)
            ],
        )
    )


def _minors(marks: Iterable[str], wholes: Iterable[str], fractions: Iterable[str]) -> list[int]:
    unsigned = [
        int(whole + fraction) if len(fraction) == 2 else minor_of(whole, fraction)
        for whole, fraction in zip(wholes, fractions, strict=True)
    ]
    return list(map(mul, map(SIGNS.__getitem__, marks), unsigned))


def _currencies(codes: tuple[str, ...], terms: Terms) -> Iterable[str]:
    if all(len(code) < 3 for code in set(codes)):
        return repeat(terms.currency)
    return [_currency(code, terms) for code in codes]


def _currency(code: str, terms: Terms) -> str:
    """Return the movement's currency: Fio alone writes it, and it must be the account's."""
    if len(code) < 3:
        return terms.currency
    if terms.is_currency_known and code != terms.currency:
        raise RecordError(
            "The movement is in {currency}, the statement in {account}.",
            field=FIELD,
            currency=code,
            account=terms.currency,
        )
    return code


def _require_true(signs: tuple[str, ...], minors: list[int]) -> None:
    """Refuse an unreal amount, and Fio's minus where the mark says that money came."""
    money_of(max(minors, key=abs), NO_CURRENCY, FIELD)
    if any(signs) and any(minor > 0 for sign, minor in zip(signs, minors, strict=True) if sign):
        raise RecordError("The mark says that money came, the sign that it went.", field=FIELD)


def _pending(marks: tuple[str, ...], booked: list[date], terms: Terms) -> Iterable[bool]:
    """Tell what is only expected, or booked after the day of the interim report."""
    if terms.reported_on is None and EXPECTED.isdisjoint(marks):
        return repeat(False)
    last_day = terms.reported_on or date.max
    return [mark in EXPECTED or day > last_day for mark, day in zip(marks, booked, strict=True)]


def _find_parties(told: Columns, customers: list[str], details: tuple[str, ...]) -> None:
    """Find the IBAN that the Dutch banks write for the reference or below it, and then the name."""
    for at, (customer, detail) in enumerate(zip(customers, details, strict=True)):
        if (detail or customer[:2].isalpha()) and not told.accounts[at]:
            below = detail.strip()
            if is_iban(customer):
                told.accounts[at] = customer
                told.names[at] = told.names[at] or below
            elif is_iban(below):
                told.accounts[at] = below
