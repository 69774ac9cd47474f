"""Which fields make a statement: where it begins, what its head says and what its end must agree with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from operator import attrgetter
from typing import Final

from kvit.kernel.errors import RecordError
from kvit.kernel.money import Money
from kvit.kernel.statements.accounts import account_of_text, is_iban
from kvit.kernel.statements.currencies import CURRENCIES
from kvit.kernel.statements.fields import money_of, shortened
from kvit.kernel.statements.mt940.lines import Fields
from kvit.kernel.statements.mt940.movements import Movements, Terms, read_movements
from kvit.kernel.statements.mt940.statement_line import FIELD, day_of, minor_of
from kvit.kernel.statements.values import NO_CURRENCY, Entry, Hints, Part, Problem, Statement, StatementEnd

_BALANCE = re.compile(r"\s?([CD])([0-9]{6})([A-Z]{3})?\s?(-?)([0-9]{1,15})[,.]([0-9]{0,15})\s*")
_SUM = re.compile(r"\s?([0-9]{0,5})[A-Z]{3}\s?([0-9]{0,15})[,.]([0-9]{0,15})\s*")
_CURRENCY = re.compile(r"\s?([A-Z]{3})")
_REPORTED = re.compile(r"\s?([0-9]{6})[0-9]{4}")
_CZECH_ACCOUNT = re.compile(r"([0-9]{4})/([0-9-]{2,17})")
_ACCOUNT_WITH_CURRENCY = re.compile(r"(.*[0-9])([A-Z]{3})")
_CURRENCIES: Final = frozenset(CURRENCIES.values())
_INFORMATION: Final = frozenset({"86", "NS"})
_UNUSED: Final = frozenset({"21", "64", "65", "86", "940", "942", "NS"})
"""Related reference, available balances, information to all of the statement, type of the message."""

_minor_of = attrgetter("minor")
_booked_on = attrgetter("booked_on")
_value_on = attrgetter("value_on")


@dataclass(slots=True)
class _Page:
    """The statement, or the page of one, that is being read."""

    line: int
    account: str = ""
    number: str = ""
    opening: Money | None = None
    opened_on: date | None = None
    closing: Money | None = None
    closed_on: date | None = None
    floor_currency: str = ""
    reported_on: date | None = None
    has_begun: bool = False
    """Whether its Statement was yielded."""
    is_closed: bool = False
    latest: date = date.min
    """The last day of any movement, booked or valued, and the line of that movement."""
    latest_line: int = 0
    debits: list[int] = field(default_factory=lambda: [0, 0])
    """How many, and their sum in hundredths; counted in interim reports."""
    credits: list[int] = field(default_factory=lambda: [0, 0])

    @property
    def says_something(self) -> bool:
        return bool(self.account or self.floor_currency or self.has_begun) or self.opening is not None

    @property
    def currency(self) -> str:
        return self.floor_currency if self.opening is None else self.opening.currency

    @property
    def is_interim(self) -> bool:
        return self.opening is None and bool(self.floor_currency or self.reported_on)


class Messages:
    """Makes statements of the fields, in the order of the file."""

    def __init__(self, hints: Hints) -> None:
        self._hints = hints
        self._page = _Page(line=1)
        self._unknown: set[str] = set()
        self._has_statement = False

    def read(self, fields: Fields) -> Iterator[Part]:
        """Yield what these fields say; movements that follow each other are read together."""
        if fields.are_informed_movements():
            yield from self._movements(Movements.informed(fields.lines[::2], fields.texts))
            return
        movements = Movements()
        for tag, text, line in zip(fields.tags, fields.texts, fields.lines, strict=True):
            if tag == "61":
                movements.append(line, text)
            elif tag in _INFORMATION and movements.lines:
                movements.inform(tag, text)
            else:
                yield from self._movements(movements)
                movements = Movements()
                yield from self._field(tag, text, line)
        yield from self._movements(movements)

    def end(self) -> Iterator[Part]:
        """Yield the end of the last statement."""
        yield from self._end_page()
        if not self._has_statement:
            yield Problem(message="The file holds no statement: there is no account and no movement in it.")

    def _field(self, tag: str, text: str, line: int) -> Iterator[Part]:
        page = self._page
        first = text.partition("\n")[0].strip()
        if tag == "20":
            yield from self._end_page()
            self._page = _Page(line=line)
        elif tag == "25":
            if page.account or page.has_begun:
                yield from self._end_page()
                self._page = _Page(line=line)
            self._page.account = _account(first)
        elif tag in {"28", "28C"}:
            page.number = first.partition("/")[0].strip().lstrip("0")
        elif tag == "34F":
            page.floor_currency = match[1] if (match := _CURRENCY.match(first)) else ""
        elif tag in {"13", "13D"}:
            page.reported_on = _day_or_none(match[1]) if (match := _REPORTED.match(first)) else None
        elif tag in {"60F", "60M"}:
            yield from self._opening(tag, first, line)
        elif tag in {"62F", "62M"}:
            yield from self._closing(tag, first, line)
        elif tag in {"90C", "90D"}:
            yield from self._sum(tag, first, line)
        elif tag not in _UNUSED and tag not in self._unknown:
            self._unknown.add(tag)
            yield Problem(message=f"Fields of the kind :{tag}: are not read.", line=line, field=f":{tag}:")

    def _opening(self, tag: str, text: str, line: int) -> Iterator[Part]:
        if self._page.has_begun:
            yield from self._end_page()
            self._page = _Page(line=line)
        elif self._page.opening is not None:
            message = "The statement has a second opening balance; the first one was taken."
            yield Problem(message=message, line=line, field=f":{tag}:")
            return
        self._page.opening, self._page.opened_on, problem = _balance(tag, text, line)
        if problem:
            yield problem

    def _closing(self, tag: str, text: str, line: int) -> Iterator[Part]:
        yield from self._begin_page()
        self._page.is_closed = True
        self._page.closing, self._page.closed_on, problem = _balance(tag, text, line)
        if problem:
            yield problem

    def _sum(self, tag: str, text: str, line: int) -> Iterator[Part]:
        """Compare what an interim report counts with what was read of it."""
        yield from self._begin_page()
        count, total = self._page.debits if tag == "90D" else self._page.credits
        match = _SUM.fullmatch(text)
        if match is None:
            message = f"“{shortened(text)}” is not a count and a sum."
            yield Problem(message=message, line=line, field=f":{tag}:")
        elif (match[1] and int(match[1]) != count) or int((match[2] or "0") + f"{match[3]:0<2}"[:2]) != total:
            message = f"The report counts otherwise: {text}. A part of it may be missing."
            yield Problem(message=message, line=line, field=f":{tag}:")

    def _movements(self, movements: Movements) -> Iterator[Part]:
        if not movements.lines:
            return
        if not self._page.has_begun and not self._page.says_something:
            message = "The statement has no head, so its account and its balances are not known."
            yield Problem(message=message, line=movements.lines[0])
        yield from self._begin_page()
        if self._page.is_closed:
            message = "Movements stand behind the closing balance; they were kept in this statement."
            yield Problem(message=message, line=movements.lines[0])
        for part in read_movements(movements, self._terms()):
            if isinstance(part, list):
                self._note(part)
            yield part

    def _terms(self) -> Terms:
        currency = self._page.currency
        return Terms(
            currency=currency or self._hints.currency or NO_CURRENCY,
            is_currency_known=bool(currency),
            reported_on=self._page.reported_on if self._page.is_interim else None,
        )

    def _note(self, entries: list[Entry]) -> None:
        """Keep what the end of the statement is compared with."""
        page = self._page
        for day_of_entry in (_booked_on, _value_on):
            latest = max(map(day_of_entry, entries), default=page.latest)
            if latest > page.latest:
                page.latest = latest
                page.latest_line = next(each.line for each in entries if day_of_entry(each) == latest) or 0
        for minor in map(_minor_of, entries) if page.is_interim else ():
            side = page.credits if minor > 0 else page.debits
            side[0] += 1
            side[1] += abs(minor)

    def _begin_page(self) -> Iterator[Part]:
        page = self._page
        if not page.has_begun:
            page.has_begun = self._has_statement = True
            yield Statement(
                account=page.account,
                currency=page.currency,
                opening_balance=page.opening,
                from_date=page.opened_on,
                number=page.number,
                line=page.line,
            )

    def _end_page(self) -> Iterator[Part]:
        page = self._page
        if not page.says_something:
            return
        yield from self._begin_page()
        if page.closed_on and page.latest > page.closed_on:
            message = (
                f"A movement of {page.latest} stands in a statement that ends on {page.closed_on}; "
                "one of the days may be wrong."
            )
            yield Problem(message=message, line=page.latest_line, field=FIELD)
        if page.is_closed:
            is_first_to_say = page.closing is not None and not page.currency
            yield StatementEnd(
                currency=page.closing.currency if page.closing is not None and is_first_to_say else None,
                closing_balance=page.closing,
                to_date=page.closed_on,
            )


def _balance(tag: str, text: str, line: int) -> tuple[Money | None, date | None, Problem | None]:
    """Read a balance and its day. What cannot be read is absent, and a Problem says why."""
    place = f":{tag}:"
    match = _BALANCE.fullmatch(text)
    if match is None:
        message = f"“{shortened(text)}” is not a balance."
        return None, None, Problem(message=message, line=line, field=place, is_error=True)
    mark, digits, currency, minus, whole, fraction = match.groups()
    day = _day_or_none(digits)
    if currency is None:
        message = "The balance does not say its currency; it was left out."
        return None, day, Problem(message=message, line=line, field=place)
    try:
        if minus and mark == "C":
            raise RecordError("The mark and the sign of the balance contradict each other.")
        minor = minor_of(whole, fraction)
        balance = money_of(-minor if mark == "D" else minor, currency, place)
    except RecordError as error:
        return None, day, Problem(message=str(error), line=line, field=place, is_error=True)
    problem = None if day else Problem(message=f"There is no day {digits}.", line=line, field=place)
    return balance, day, problem


def _day_or_none(digits: str) -> date | None:
    """The days of a balance are told to people only, so one that does not exist costs nothing else."""
    try:
        return day_of(digits)
    except RecordError:
        return None


def _account(text: str) -> str:
    """Write the account of :25: without blanks and without the currency that some banks put behind it."""
    compact = "".join(text.split())
    if match := _CZECH_ACCOUNT.fullmatch(compact):
        return account_of_text(match[2], match[1])
    match = _ACCOUNT_WITH_CURRENCY.fullmatch(compact)
    if match and match[2] in _CURRENCIES and not is_iban(compact):
        return match[1]
    return compact
