"""Statement files that people hand over: every format that `kvit.kernel.statements` reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kvit.kernel.errors import FileIncomplete, StatementError, StatementUnreadable
from kvit.kernel.money import Money
from kvit.kernel.statements import NO_CURRENCY, Detail, Entry, Hints, Problem, Statement, read
from kvit.kernel.statements import StatementFile as ParsedFile
from kvit.plugin import (
    Account,
    AccountStatement,
    Checkpoint,
    Context,
    Identity,
    Item,
    Misconfigured,
    Plugin,
    SourceFile,
    Transaction,
    Unreadable,
    field,
)


@dataclass(frozen=True, kw_only=True)
class StatementFileConfig:
    currency: str = field(
        "Currency of files that do not say theirs",
        help="Three letters, such as CZK. Some GPC (ABO) files leave the currency out.",
        default="",
        pattern=r"([A-Z]{3})?",
    )


class StatementFile(Plugin[StatementFileConfig]):
    name, title, version, Config = "statement_file", "Statement files", "1.1", StatementFileConfig
    description = "Upload what your bank exports: camt, GPC (ABO), MT940, OFX, CSV and more."
    accepts_files = True

    def check(self) -> Identity:
        return Identity(key=self.name, label=self.title)

    def sync(self, ctx: Context) -> Iterator[Item]:
        """Yield what the files hold; a file that cannot be read is reported after the others were."""
        refused: list[Misconfigured] = []
        for file in ctx.files:
            try:
                parsed = self._parsed(file)
            except Misconfigured as error:
                refused.append(error)
                continue
            for warning in parsed.warnings:
                ctx.log(f"{file.name}: {_at_line(warning)}{warning.message}")
            yield from self._items(parsed, file)
            yield Checkpoint({})
        if refused:
            raise refused[0]

    def _parsed(self, file: SourceFile) -> ParsedFile:
        """Read a file as a whole, so that a refused one leaves nothing behind."""
        hints = Hints(account=file.account, currency=file.currency, profile=file.profile)
        try:
            parsed = read(file.data, source=file.name, hints=hints)
        except StatementError as error:
            about = error.field if isinstance(error, StatementUnreadable) else None
            raise Misconfigured(
                "{file}: {reason}", field=about, file=file.name, reason=f"{_at_line(error)}{error}"
            ) from None
        self._require_accounts_and_currencies(parsed, file)
        return parsed

    def _require_accounts_and_currencies(self, parsed: ParsedFile, file: SourceFile) -> None:
        """Raise FileIncomplete where somebody must say whose account it is, or in which currency."""
        missing = set()
        if not all(statement.account for statement in parsed.statements):
            missing.add("account")
        if not all(all(self._currencies(statement, file)) for statement in parsed.statements):
            missing.add("currency")
        if missing == {"account"}:
            raise FileIncomplete(
                "{file} does not say whose account it is. Say it when you import the file.",
                needs=frozenset(missing),
                file=file.name,
            )
        if missing == {"currency"}:
            raise FileIncomplete(
                "{file} does not say the currency of the account {account}. Say it when you import the file.",
                needs=frozenset(missing),
                file=file.name,
                account=parsed.statements[0].account,
            )
        if missing:
            raise FileIncomplete(needs=frozenset(missing), file=file.name)

    def _currencies(self, statement: Statement, file: SourceFile) -> Sequence[str]:
        """Return the currencies that a statement moves money in; an unknown one is empty."""
        if not statement.entries:
            return [self._currency_of_statement(statement, file)]
        return list(dict.fromkeys(self._currency(statement, entry, file) for entry in statement.entries))

    def _currency(self, statement: Statement, entry: Entry, file: SourceFile) -> str:
        if entry.currency != NO_CURRENCY:
            return entry.currency
        else:
            return self._currency_of_statement(statement, file)

    def _currency_of_statement(self, statement: Statement, file: SourceFile) -> str:
        return statement.currency or file.currency or self.config.currency

    def _items(self, parsed: ParsedFile, file: SourceFile) -> Iterator[Item]:
        for statement in parsed.statements:
            for currency in self._currencies(statement, file):
                yield from self._one_currency(statement, currency, file)
        for problem in parsed.errors:
            yield Unreadable(
                reason=problem.message,
                field=problem.field or "",
                raw={"file": file.name, "line": problem.line},
            )

    def _one_currency(self, statement: Statement, currency: str, file: SourceFile) -> Iterator[Item]:
        """Yield the part of a statement in one currency, as an account of its own.

        One number may hold several currencies, each with its own statements, and two formats give one
        movement two ids, so the account's id names all three. It did not name the format before version 1.1.
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
        entries = [entry for entry in statement.entries if self._currency(statement, entry, file) == currency]
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
            file=statement.file or file.name,
        )


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
