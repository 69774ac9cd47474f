"""One account's part of a GPC file: a head and the movements below it, until the next head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from operator import attrgetter
from typing import Final, Self

from kvit.kernel.errors import RecordError, StatementUnreadable
from kvit.kernel.money import Money
from kvit.kernel.statements.accounts import account_of_digits
from kvit.kernel.statements.gpc.record import Record, at, problem_of
from kvit.kernel.statements.values import NO_CURRENCY, Entry, Hints, Part, Problem, Statement, StatementEnd

_FIO: Final = "FIO"
"""How the head names the one bank that is known to write the id of its API into the movements."""

_currency_of = attrgetter("currency")


@dataclass(slots=True, kw_only=True)
class Section:
    """What is known of a statement while its movements are read."""

    account: str
    number: int
    """The line where it begins."""
    encoding: str
    silent_currency: str
    """The currency of movements that do not say theirs."""
    head: Record | None = None
    opening_minor: int | None = None
    closing_minor: int | None = None
    problems: list[Problem] = field(default_factory=list)
    currencies: set[str] = field(default_factory=set)
    has_warned_of_currency: bool = False

    @classmethod
    def of_head(cls, record: Record, encoding: str, hints: Hints, source: str) -> Self:
        """Begin the statement of a head (074).

        Raises StatementUnreadable where it does not say its account.
        """
        try:
            account = account_of_digits(record.digits(4, 19), known=hints.account)
        except RecordError as error:
            raise StatementUnreadable(
                "The head of the statement does not say its account: {reason}",
                reason=str(error),
                source=source,
                line=record.number,
                field=error.field,
            ) from None
        section = cls(
            account=account,
            number=record.number,
            encoding=encoding,
            silent_currency=hints.currency or NO_CURRENCY,
            head=record,
        )
        section.opening_minor = section._balance(46, 59)
        section.closing_minor = section._balance(61, 74)
        return section

    @classmethod
    def without_head(cls, lines: list[str], numbers: Sequence[int], encoding: str, hints: Hints) -> Self:
        """Begin the statement of movements below no head; the first that says its account gives it."""
        account = ""
        for line, number in zip(lines, numbers, strict=True):
            try:
                account = account_of_digits(Record(number, line, encoding).digits(4, 19), known=hints.account)
            except RecordError:
                continue
            break
        warning = "The statement has no head (074), so its balances are not known."
        return cls(
            account=account,
            number=numbers[0],
            encoding=encoding,
            silent_currency=hints.currency or NO_CURRENCY,
            problems=[Problem(message=warning, line=numbers[0])],
        )

    @property
    def is_of_fio(self) -> bool:
        return self.head is not None and self.head.text(115, 128) == _FIO

    def beginning(self) -> Iterator[Part]:
        """Yield the statement without its currency, which only its movements say."""
        yield Statement(
            account=self.account,
            currency="",
            opening_balance=_money(self.opening_minor, NO_CURRENCY),
            closing_balance=_money(self.closing_minor, NO_CURRENCY),
            from_date=_day_or_none(self.head, 40, 45),
            to_date=_day_or_none(self.head, 109, 114),
            number=self.head.text(106, 108).lstrip("0") if self.head else "",
            line=self.number,
        )
        yield from self.problems

    def take(self, entries: list[Entry]) -> Iterator[Problem]:
        """Learn the currency; yield a warning about the first movement that does not say it."""
        currencies = set(map(_currency_of, entries))
        self.currencies |= currencies
        if NO_CURRENCY in currencies and not self.has_warned_of_currency:
            self.has_warned_of_currency = True
            silent = next(entry for entry in entries if entry.currency == NO_CURRENCY)
            message = "Movements do not say their currency; the account decides."
            yield Problem(message=message, line=silent.line, field=at(119, 122))

    def end(self) -> Iterator[Part]:
        currencies = self.currencies or {self.silent_currency}
        currency = next(iter(currencies)) if len(currencies) == 1 else NO_CURRENCY
        if currency != NO_CURRENCY:
            yield StatementEnd(
                currency=currency,
                opening_balance=_money(self.opening_minor, currency),
                closing_balance=_money(self.closing_minor, currency),
            )

    def _balance(self, first: int, last: int) -> int | None:
        """Read a balance of the head and the sign behind it; a blank one is absent."""
        record = self.head
        if record is None or not record.raw(first, last + 1):
            return None
        try:
            minor = int(record.digits(first, last))
            sign = record.raw(last + 1, last + 1)
            if minor and sign not in {"+", "-"}:
                raise RecordError("The balance has no sign.", field=at(last + 1, last + 1))
        except RecordError as error:
            self.problems.append(problem_of(error, record))
            return None
        return -minor if sign == "-" else minor


def _money(minor: int | None, currency: str) -> Money | None:
    return None if minor is None else Money(minor, currency)


def _day_or_none(record: Record | None, first: int, last: int) -> date | None:
    """The period of a statement is told to people only, so a day that cannot be read is no problem."""
    try:
        return record.day(first, last) if record else None
    except RecordError:
        return None
