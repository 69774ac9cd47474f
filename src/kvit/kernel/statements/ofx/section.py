"""One statement of an OFX file (`STMTRS`, `CCSTMTRS`, `INVSTMTRS`) while its tags go by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from kvit.kernel.errors import RecordError
from kvit.kernel.money import Money
from kvit.kernel.statements.ofx.elements import account_of, plain, read_amount, read_currency, read_ofx_day
from kvit.kernel.statements.ofx.movements import Account
from kvit.kernel.statements.values import NO_CURRENCY, Hints, Problem, Statement, StatementEnd

STATEMENTS: Final = frozenset({"STMTRS", "CCSTMTRS", "INVSTMTRS"})
_ACCOUNTS: Final = frozenset({"BANKACCTFROM", "CCACCTFROM", "INVACCTFROM"})
_LISTS: Final = frozenset({"BANKTRANLIST", "INVTRANLIST"})
_FIO: Final = frozenset({"2010", "8330"})
"""Fio's bank codes in Czechia and Slovakia."""


@dataclass(slots=True)
class Section:
    """What is known of one statement so far."""

    line: int
    hints: Hints
    may_be_fio: bool
    """Whether the file has no header and no sign-on, as only Fio writes it."""
    currency: str = ""
    account_id: str = ""
    bank_id: str = ""
    from_date: date | None = None
    to_date: date | None = None
    closing: Money | None = None
    is_open: bool = False
    """Whether its Statement has been yielded."""
    problems: list[Problem] = field(default_factory=list)
    _account: Account | None = None

    def take(self, within: str, name: str, value: str, line: int) -> None:
        """Take an element of the statement outside its movements; `within` is the aggregate it stands in."""
        text = plain(value)
        self._account = None
        try:
            if name == "CURDEF" and text:
                self.currency = read_currency(text, name)
            elif within in _ACCOUNTS and name in {"BANKID", "ACCTID"}:
                self._take_account(name, text)
            elif within in _LISTS and name in {"DTSTART", "DTEND"} and text:
                self._take_day(name, read_ofx_day(text, name))
            elif within == "LEDGERBAL" and name == "BALAMT":
                self._take_balance(text, line)
        except RecordError as error:
            is_error = name == "BALAMT"
            self.problems.append(Problem(message=str(error), line=line, field=error.field, is_error=is_error))

    @property
    def account(self) -> Account:
        if self._account is None:
            is_of_fio = self.may_be_fio and self.bank_id in _FIO
            self._account = Account(
                account=account_of(self.bank_id, self.account_id, is_fio=is_of_fio),
                currency=self.currency or self.hints.currency or NO_CURRENCY,
                is_of_fio=is_of_fio,
            )
        return self._account

    def beginning(self) -> Iterator[Statement | Problem]:
        """Yield the statement, once, and what its head lacks."""
        if self.is_open:
            return
        self.is_open = True
        yield Statement(
            account=self.account.account,
            currency=self.currency or self.hints.currency,
            closing_balance=self.closing,
            from_date=self.from_date,
            to_date=self.to_date,
            line=self.line,
        )
        if not self.account_id:
            yield Problem(message="The statement does not say its account.", line=self.line, field="ACCTID")
        if not self.currency:
            message = "The statement does not say its currency; the account decides."
            yield Problem(message=message, line=self.line, field="CURDEF")

    def end(self) -> Iterator[Statement | StatementEnd | Problem]:
        """Yield what is left to say of the statement."""
        yield from self.beginning()
        yield StatementEnd(closing_balance=self.closing, from_date=self.from_date, to_date=self.to_date)
        yield from self.problems

    def _take_account(self, name: str, text: str) -> None:
        if name == "BANKID":
            self.bank_id = self.bank_id or text
        else:
            self.account_id = self.account_id or text

    def _take_day(self, name: str, day: date) -> None:
        if name == "DTSTART":
            self.from_date = min(self.from_date or day, day)
        else:
            self.to_date = max(self.to_date or day, day)

    def _take_balance(self, text: str, line: int) -> None:
        if text:
            self.closing = read_amount(text, self.account.currency, "BALAMT")
        else:
            self.problems.append(Problem(message="The closing balance is empty.", line=line, field="BALAMT"))
