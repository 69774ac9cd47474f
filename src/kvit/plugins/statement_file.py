"""Statement files that people hand over: every format that `kvit.kernel.statements` reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kvit.kernel.errors import StatementError
from kvit.kernel.statements import NO_CURRENCY, Entry, Statement, read
from kvit.kernel.statements import StatementFile as ParsedFile
from kvit.plugin import (
    Account,
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
    name, title, version, Config = "statement_file", "Statement files", "1.0", StatementFileConfig
    description = "Upload statements that you exported from your bank: camt.053, GPC (ABO) or Fio JSON."
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
                ctx.log(f"{file.name}: {_at_line(warning.line)}{warning.message}")
            yield from self._items(parsed, file)
            yield Checkpoint({})
        if refused:
            raise refused[0]

    def _parsed(self, file: SourceFile) -> ParsedFile:
        """Read a file as a whole, so that a refused one leaves nothing behind."""
        try:
            parsed = read(file.data, source=file.name)
        except StatementError as error:
            raise Misconfigured("{file}: {reason}", file=file.name, reason=str(error)) from None
        for statement in parsed.statements:
            self._require_account_and_currency(statement, file)
        return parsed

    def _require_account_and_currency(self, statement: Statement, file: SourceFile) -> None:
        if not statement.account:
            raise Misconfigured(
                "{file} does not say whose account it is. Export it from the bank again.", file=file.name
            )
        if not all(self._currencies(statement)):
            raise Misconfigured(
                "{file} does not say the currency of the account {account}. "
                "Set the currency of such files in this connection and upload the file again.",
                field="currency",
                file=file.name,
                account=statement.account,
            )

    def _currencies(self, statement: Statement) -> Sequence[str]:
        """Return the currencies that a statement moves money in; an unknown one is empty."""
        if not statement.entries:
            return [statement.currency or self.config.currency]
        return list(dict.fromkeys(self._currency(statement, entry) for entry in statement.entries))

    def _currency(self, statement: Statement, entry: Entry) -> str:
        if entry.amount.currency != NO_CURRENCY:
            return entry.amount.currency
        else:
            return statement.currency or self.config.currency

    def _items(self, parsed: ParsedFile, file: SourceFile) -> Iterator[Item]:
        for statement in parsed.statements:
            for currency in self._currencies(statement):
                yield from self._one_currency(parsed.format, statement, currency)
        for problem in parsed.errors:
            yield Unreadable(
                reason=problem.message,
                field=problem.field or "",
                raw={"file": file.name, "line": problem.line},
            )

    def _one_currency(self, format_name: str, statement: Statement, currency: str) -> Iterator[Item]:
        """Yield the part of a statement in one currency, as an account of its own.

        One number may hold several currencies, each with its own statements, so the id names both.
        """
        account_id = f"{statement.account} {currency}"
        yield Account(
            external_id=account_id, name=statement.account, currency=currency, number=statement.account
        )
        for entry in statement.entries:
            if self._currency(statement, entry) == currency:
                yield _transaction(account_id, currency, entry, format_name)


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
        status="pending" if entry.pending else "booked",
        is_bank_id=entry.is_bank_id,
        raw={"format": format_name, "line": entry.line, "text": entry.raw},
    )


def _at_line(line: int | None) -> str:
    return "" if line is None else f"line {line}: "
