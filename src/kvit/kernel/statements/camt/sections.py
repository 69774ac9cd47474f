"""The sections of a camt message, one for each account: first what the head says, then the entries."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import partial
from operator import attrgetter
from typing import Final

from kvit.kernel.errors import RecordError, StatementUnreadable
from kvit.kernel.money import Money
from kvit.kernel.statements.accounts import account_of_text
from kvit.kernel.statements.camt.entries import is_reversal, read_entry, read_marked_money, turned
from kvit.kernel.statements.fields import read_day
from kvit.kernel.statements.fragments import Closed, Fragment, Opened, fragments
from kvit.kernel.statements.shapes import Element, Node
from kvit.kernel.statements.source import Source
from kvit.kernel.statements.values import Entry, Part, Problem, Statement, StatementEnd

SECTIONS: Final = frozenset({"Stmt", "Rpt", "Ntfctn"})

_CHUNK_ENTRIES: Final = 1000
_OPENING: Final = ("OPBD", "PRCD")
"""Opening booked, else previously closed booked, in this order."""
_CLOSING: Final = ("CLBD",)
_CODE: Final = "Tp/CdOrPrtry/Cd"
_TURNED: Final = "Reversals were turned round, because only so the balances agree."
_ABSENT: Final = Element(Node("", {}, -1), ("",))

_currency_of = attrgetter("currency")


class SectionReader:
    """Reads all sections; the reversals of those whose number (from 0) is in `to_turn` get the other sign."""

    def __init__(self, source: Source, to_turn: frozenset[int] = frozenset()) -> None:
        self._source = source
        self._to_turn = to_turn

    def parts(self) -> Iterator[Part]:
        """Yield what the file holds; raises StatementUnreadable where it is damaged or holds no section."""
        section: _Section | None = None
        number = 0
        for part in fragments(self._source, SECTIONS):
            if isinstance(part, Opened):
                section = _Section(part.line, turns=number in self._to_turn)
                number += 1
            elif section is None:
                continue
            elif isinstance(part, Closed):
                if not section.has_begun:
                    yield section.begin()
                yield from section.end()
            elif part.name == "Ntry":
                if not section.has_begun:
                    yield section.begin()
                section.take_entry(part)
                if section.is_full:
                    yield from section.chunk()
            else:
                section.take_head(part)
        if section is None:
            raise StatementUnreadable("The file holds no statement.", source=self._source.name, field="Stmt")


class _Section:
    """A statement while it is being read."""

    def __init__(self, line: int, *, turns: bool) -> None:
        self._line = line
        self._turns = turns
        self._has_turned = False
        self._head: dict[str, Element] = {}
        self._balances: list[Fragment] = []
        self.has_begun = False
        """Whether its head was read: at the first entry or at the end."""
        self._account = self._currency = ""
        self._opening: Money | None = None
        self._closing: Money | None = None
        self._only_day: date | None = None
        self._entries: list[Entry] = []
        self._currencies: set[str] = set()
        self._problems: list[Problem] = []

    def take_head(self, part: Fragment) -> None:
        """Take anything but an entry; it stands before the entries, or a balance also behind them."""
        if part.name == "Bal":
            self._balances.append(part)
        else:
            self._head.setdefault(part.name, part.element)

    def begin(self) -> Statement:
        """Read the head, now that it is whole."""
        self.has_begun = True
        account, period = self._element("Acct"), self._element("FrToDt")
        self._account = _own_account(account)
        self._opening, self._closing = self._balance(_OPENING), self._balance(_CLOSING)
        self._currency = account.text("Ccy") or (self._opening.currency if self._opening is not None else "")
        self._only_day = _only_day(self._balances, period, self._own_text("CreDtTm"))
        # What stands behind the entries is looked at apart, at the end.
        self._balances = []
        if not self._account:
            message = "The statement does not say its account."
            self._problems.append(Problem(message=message, line=self._line, field="Acct"))
        return Statement(
            account=self._account,
            currency=self._currency,
            opening_balance=self._opening,
            closing_balance=self._closing,
            from_date=_period_day(period, "FrDtTm", "FrDt"),
            to_date=_period_day(period, "ToDtTm", "ToDt"),
            number=(self._own_text("LglSeqNb") or self._own_text("ElctrncSeqNb")).lstrip("0"),
            line=self._line,
        )

    def take_entry(self, fragment: Fragment) -> None:
        warn = partial(self._warn, fragment)
        try:
            entry = read_entry(fragment, self._account, self._only_day, warn)
        except RecordError as error:
            self._fail(fragment, error)
            return
        if entry is None:
            return
        if self._turns and is_reversal(fragment):
            entry = turned(entry)
            if not self._has_turned:
                self._has_turned = True
                warn(_TURNED, "RvslInd")
        self._entries.append(entry)

    @property
    def is_full(self) -> bool:
        """Whether enough was read to yield a chunk."""
        return len(self._entries) + len(self._problems) >= _CHUNK_ENTRIES

    def chunk(self) -> Iterator[Part]:
        """Yield what was read since the last chunk, doubts first."""
        self._currencies.update(map(_currency_of, self._entries))
        problems, self._problems = self._problems, []
        entries, self._entries = self._entries, []
        yield from problems
        if entries:
            yield entries

    def end(self) -> Iterator[Part]:
        """Yield the last chunk and what only the end says."""
        yield from self.chunk()
        end = StatementEnd(
            currency=None if self._currency else self._only_currency(),
            opening_balance=self._balance(_OPENING) if self._opening is None else None,
            closing_balance=self._balance(_CLOSING) if self._closing is None else None,
        )
        yield from self._problems
        yield end

    def _element(self, name: str) -> Element:
        return self._head.get(name, _ABSENT)

    def _own_text(self, name: str) -> str:
        return self._element(name).own_text()

    def _balance(self, codes: tuple[str, ...]) -> Money | None:
        """Read the first balance of the first code there is."""
        balances = {each.element.text(_CODE): each for each in reversed(self._balances)}
        found = next((balances[code] for code in codes if code in balances), None)
        if found is None:
            return None
        try:
            balance = read_marked_money(found.element, "Bal/Amt")
        except RecordError as error:
            self._fail(found, error)
            return None
        if not found.element.text("CdtDbtInd"):
            self._warn(found, "The balance has no CdtDbtInd; it was read as credit.", "Bal/CdtDbtInd")
        return balance

    def _only_currency(self) -> str:
        return next(iter(self._currencies)) if len(self._currencies) == 1 else ""

    def _warn(self, place: Fragment, message: str, field: str) -> None:
        self._problems.append(Problem(message=message, line=place.line, offset=place.offset, field=field))

    def _fail(self, place: Fragment, error: RecordError) -> None:
        problem = Problem(
            message=str(error), line=place.line, offset=place.offset, field=error.field, is_error=True
        )
        self._problems.append(problem)


def _own_account(account: Element) -> str:
    """Return the IBAN or other number; `NOTPROVIDED` stands where none is known."""
    number = account.text("Id/IBAN") or account.text("Id/Othr/Id")
    return "" if number == "NOTPROVIDED" else account_of_text(number)


def _only_day(balances: list[Fragment], period: Element, created: str) -> date | None:
    """Return the day the statement is about, where it names no other.

    It is the day of both booked balances; where there are none and no period, the day it was made.
    """
    days = {
        each.element.text("Dt/Dt") or each.element.text("Dt/DtTm")[:10]
        for each in balances
        if each.element.text(_CODE) in {"OPBD", "CLBD"}
    }
    if not days and period is _ABSENT:
        days = {created}
    try:
        return read_day(days.pop(), "Bal/Dt") if len(days) == 1 else None
    except RecordError:
        return None


def _period_day(period: Element, *names: str) -> date | None:
    """The period is told to people only, so a day that cannot be read is no problem."""
    try:
        return next((read_day(text, "FrToDt") for name in names if (text := period.text(name))), None)
    except RecordError:
        return None
