"""From a bank's statement file to what a plugin yields, for every plugin that reads such files.

    statements = read_statements(SourceFile(name="june.xml", data=data))
    yield from statements.items()
    yield Checkpoint(cursor)

A file is read whole before anything of it is told, so a refused one leaves nothing behind. The ids of
accounts and movements come from the file alone: whoever reads it tells the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kvit.kernel.errors import FileIncomplete, Misconfigured, StatementError, StatementUnreadable
from kvit.kernel.money import Money
from kvit.kernel.statements import NO_CURRENCY, Detail, Entry, Hints, Problem, Statement, StatementFile, read
from kvit.plugin.engine import SourceFile
from kvit.plugin.items import Account, AccountStatement, Item, Transaction, Unreadable


@dataclass(frozen=True, slots=True)
class FileStatements:
    """The statements of one file, read whole and known to be of known accounts and currencies."""

    file: SourceFile
    parsed: StatementFile
    currency: str = ""
    """Of what the file, and the person who handed it over, leave without one."""

    @property
    def accounts(self) -> tuple[str, ...]:
        """The numbers of the accounts it speaks of, each once, as it writes them."""
        return tuple(dict.fromkeys(statement.account for statement in self.parsed.statements))

    @property
    def warnings(self) -> tuple[str, ...]:
        """The doubts about the file, for people, each beginning with its name."""
        return tuple(f"{self.file.name}: {_at_line(each)}{each.message}" for each in self.parsed.warnings)

    def items(self, accounts: Collection[str] | None = None) -> Iterator[Item]:
        """Yield accounts, movements and statements, and what cannot be read; a Checkpoint belongs after them.

        With `accounts`, which are some of its own, only their statements.
        """
        for statement in self.parsed.statements:
            if accounts is None or statement.account in accounts:
                for currency in self._currencies(statement):
                    yield from self._one_currency(statement, currency)
        for problem in self.parsed.errors:
            yield Unreadable(
                reason=problem.message,
                field=problem.field or "",
                raw={"file": self.file.name, "line": problem.line},
            )

    def require_complete(self) -> None:
        """Raise FileIncomplete where somebody must say whose account it is, or in which currency."""
        missing = set()
        if not all(statement.account for statement in self.parsed.statements):
            missing.add("account")
        if not all(all(self._currencies(statement)) for statement in self.parsed.statements):
            missing.add("currency")
        if missing == {"account"}:
            raise FileIncomplete(
                "{file} does not say whose account it is. Say it when you import the file.",
                needs=frozenset(missing),
                file=self.file.name,
            )
        if missing == {"currency"}:
            raise FileIncomplete(
                "{file} does not say the currency of the account {account}. Say it when you import the file.",
                needs=frozenset(missing),
                file=self.file.name,
                account=self.parsed.statements[0].account,
            )
        if missing:
            raise FileIncomplete(needs=frozenset(missing), file=self.file.name)

    def _currencies(self, statement: Statement) -> Sequence[str]:
        """Return the currencies that a statement moves money in; an unknown one is empty."""
        if not statement.entries:
            return [self._currency_of_statement(statement)]
        return list(dict.fromkeys(self._currency(statement, entry) for entry in statement.entries))

    def _currency(self, statement: Statement, entry: Entry) -> str:
        if entry.currency != NO_CURRENCY:
            return entry.currency
        else:
            return self._currency_of_statement(statement)

    def _currency_of_statement(self, statement: Statement) -> str:
        return statement.currency or self.file.currency or self.currency

    def _one_currency(self, statement: Statement, currency: str) -> Iterator[Item]:
        """Yield the part of a statement in one currency, as an account of its own.

        One number may hold several currencies, each with its own statements, and two formats give one
        movement two ids, so the account's id names all three. It once did not name the format.
        """
        former_id = f"{statement.account} {currency}"
        account_id = f"{former_id} {statement.format}"
        yield Account(
            external_id=account_id,
            name=statement.account,
            currency=currency,
            number=statement.account,
            former_id=former_id,
        )
        entries = [entry for entry in statement.entries if self._currency(statement, entry) == currency]
        for entry in entries:
            yield _transaction(account_id, currency, entry, statement.format)
        yield AccountStatement(
            account_id=account_id,
            format=statement.format,
            number=statement.number,
            from_date=statement.from_date,
            to_date=statement.to_date,
            opening_balance=_balance(statement.opening_balance, currency),
            closing_balance=_balance(statement.closing_balance, currency),
            entries=len(entries),
            file=statement.file or self.file.name,
        )


def read_statements(file: SourceFile, *, currency: str = "") -> FileStatements:
    """Read a file of any known format as a whole; `currency` is that of files that do not say theirs.

    Raises Misconfigured where it cannot be read, and FileIncomplete where the file does not say whose account
    or which currency it is about and nobody else does.
    """
    hints = Hints(account=file.account, currency=file.currency, profile=file.profile)
    try:
        parsed = read(file.data, source=file.name, hints=hints)
    except StatementError as error:
        about = error.field if isinstance(error, StatementUnreadable) else None
        raise Misconfigured(
            "{file}: {reason}", field=about, file=file.name, reason=f"{_at_line(error)}{error}"
        ) from None
    statements = FileStatements(file, parsed, currency)
    statements.require_complete()
    return statements


def _transaction(account_id: str, currency: str, entry: Entry, format_name: str) -> Transaction:
    return Transaction(
        external_id=entry.external_id,
        account_id=account_id,
        amount=entry.amount.amount,
        currency=currency,
        booked_on=entry.booked_on,
        value_on=entry.value_on,
        counterparty_name=entry.counterparty_name,
        counterparty_account=entry.counterparty_account,
        variable_symbol=entry.variable_symbol,
        constant_symbol=entry.constant_symbol,
        specific_symbol=entry.specific_symbol,
        message=entry.message,
        reference=entry.reference,
        status="pending" if entry.pending else "booked",
        is_bank_id=entry.is_bank_id,
        raw=_raw(entry, format_name),
    )


def _raw(entry: Entry, format_name: str) -> dict[str, Any]:
    """Return the record as it stands in the file; of a batch also its single payments, as they were read."""
    raw: dict[str, Any] = {"format": format_name, "line": entry.line, "text": entry.raw}
    if entry.details:
        raw["details"] = [_told(detail) for detail in entry.details]
    return raw


def _told(detail: Detail) -> dict[str, Any]:
    return {name: value for name in detail.__struct_fields__ if (value := getattr(detail, name))}


def _balance(balance: Money | None, currency: str) -> Decimal | None:
    """A balance of this currency; one without a currency is the account's."""
    if balance is None or balance.currency not in (currency, NO_CURRENCY):
        return None
    return balance.amount


def _at_line(place: Problem | StatementError) -> str:
    line = getattr(place, "line", None)
    return "" if line is None else f"line {line}: "
