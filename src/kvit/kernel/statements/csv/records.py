"""A block of rows becomes entries row by row: totals and notes are passed over, doubts are told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final, NamedTuple

from kvit.kernel.errors import RecordError
from kvit.kernel.statements.csv import texts, words
from kvit.kernel.statements.csv.binding import Batch, Binding, of_field
from kvit.kernel.statements.csv.facts import Facts
from kvit.kernel.statements.csv.layout import kind_of
from kvit.kernel.statements.csv.profile import Role
from kvit.kernel.statements.csv.rows import Block
from kvit.kernel.statements.csv.words import SYMBOLS, normalized
from kvit.kernel.statements.fields import money_of, shortened
from kvit.kernel.statements.values import NO_CURRENCY, Entry, Problem

_TOTALS: Final = words.words(words.TOTALS)


class _Row(NamedTuple):
    """One row, and the line it begins at."""

    cells: Sequence[str]
    line: int
    raw: str


class Records:
    """Reads rows one by one; what is to be said once for a file is said at its first row."""

    def __init__(self, binding: Binding, facts: Facts) -> None:
        self._binding = binding
        self._facts = facts
        self._said: set[str] = set()
        profile = binding.profile
        self._booked, self._pending, self._skipped = (
            frozenset(map(normalized, names)) for names in (profile.booked, profile.pending, profile.skipped)
        )
        self._amount_roles = [role for role in (Role.AMOUNT, Role.INCOME, Role.EXPENSE) if binding.has(role)]
        self.amount_end = max(binding.columns[role][0] for role in self._amount_roles) + 1
        """How many cells a row has at least, to hold its amount."""

    def batch(self, block: Block) -> Batch:
        batch = Batch(
            [], accounts := list[str](), balances := list[int | None](), problems := list[Problem]()
        )
        for cells, line, raw in zip(block.rows, block.lines, block.raws, strict=True):
            row = _Row(cells, line, raw)
            try:
                entry = self._entry(row, problems) if any(map(str.strip, cells)) else None
            except RecordError as error:
                problems.append(Problem(message=str(error), line=line, field=error.field, is_error=True))
                continue
            if entry is not None:
                batch.entries.append(entry)
                accounts.append(self._own_account(row))
                balances.append(self._balance(row))
        return batch if self._binding.has(Role.BALANCE) else batch._replace(balances=())

    def _entry(self, row: _Row, problems: list[Problem]) -> Entry | None:
        """Read one row; None where it is no movement. Raises RecordError where it cannot be read."""
        statuses = self._statuses(row)
        if statuses & self._skipped or not self._is_movement(row, problems):
            return None
        self._require_whole(row)
        pending = self._is_pending(row, statuses)
        minor, currency = self._money(row, problems)
        binding = self._binding
        profile = binding.profile
        plain = str if profile.exact else texts.cleaned
        symbol = str if profile.exact else texts.symbol
        value_on = self._text(row, Role.VALUE_ON)
        return Entry(
            booked_on=binding.days[self._text(row, Role.BOOKED_ON)],
            minor=minor,
            currency=currency,
            external_id=self._id(row),
            is_bank_id=self._flag(row, Role.IS_BANK_ID, profile.is_bank_id),
            value_on=self._day(value_on, Role.VALUE_ON) if value_on.strip() else None,
            counterparty_name=plain(self._text(row, Role.COUNTERPARTY_NAME)),
            counterparty_account=self._counterparty_account(row),
            variable_symbol=symbol(self._text(row, Role.VARIABLE_SYMBOL)),
            constant_symbol=symbol(self._text(row, Role.CONSTANT_SYMBOL)),
            specific_symbol=symbol(self._text(row, Role.SPECIFIC_SYMBOL)),
            message=self._message(row),
            reference=plain(self._text(row, Role.REFERENCE)),
            pending=pending,
            line=row.line,
            raw=row.raw,
        )

    def _is_movement(self, row: _Row, problems: list[Problem]) -> bool:
        """Whether the row has a day and an amount; totals, notes and repeated headers have not both.

        Raises RecordError for an amount without a readable day, and for a row cut before its amount.
        """
        has_amount = any(self._text(row, role).strip() for role in self._amount_roles)
        day = self._text(row, Role.BOOKED_ON)
        try:
            has_day = bool(day.strip()) and bool(self._binding.days[day])
        except RecordError as error:
            if has_amount and not self._is_total(row):
                raise of_field(error, self._binding.name(Role.BOOKED_ON)) from None
            has_day = False
        if has_day and not has_amount:
            self._pass_over(row, problems)
            return False
        if not has_day:
            if has_amount and not self._is_total(row):
                raise RecordError(
                    "The row has an amount and no day.", field=self._binding.name(Role.BOOKED_ON)
                )
            self._facts.observe([row.cells])
        return has_day

    def _pass_over(self, row: _Row, problems: list[Problem]) -> None:
        if len(row.cells) < self.amount_end:
            raise RecordError(
                "The row ends before its amount.", field=self._binding.name(self._amount_roles[0])
            )
        message = "A row has a day and no amount. Such rows move no money and are left out."
        self._say_once(message, row, self._amount_roles[0], problems)

    def _is_total(self, row: _Row) -> bool:
        filled = [normalized(cell) for cell in row.cells if cell.strip()]
        if tuple(map(normalized, row.cells))[: self._binding.layout.width] == self._binding.layout.names:
            return True
        first = filled[0] if filled else ""
        return first.partition(" ")[0] in _TOTALS

    def _require_whole(self, row: _Row) -> None:
        """Refuse rows that may have lost or gained a column by a stray delimiter or quote."""
        layout = self._binding.layout
        if "\n" in row.raw:
            most = max(line.count(layout.delimiter) for line in row.raw.split("\n")[1:])
            if most >= max(layout.width - 1, 1):
                raise RecordError("A quoted text in this row swallows the rows below it.")
        if any(map(str.strip, row.cells[layout.width :])):
            self._require_in_place(row)

    def _require_in_place(self, row: _Row) -> None:
        """Where a row has more cells than the table has columns, its days and amounts must be in theirs."""
        layout = self._binding.layout
        for index, kind in enumerate(layout.kinds):
            if kind in ("date", "amount", "currency") and kind_of(row.cells[index : index + 1]) not in (
                kind,
                "empty",
            ):
                raise RecordError("The row has more cells than the table has columns.")
        mark = self._binding.amounts.decimal
        if not any(mark in self._text(row, role) for role in self._amount_roles):
            raise RecordError("The row has more cells than the table has columns.")

    def _statuses(self, row: _Row) -> set[str]:
        indexes = self._binding.columns.get(Role.STATUS, ())
        return {normalized(row.cells[index]) for index in indexes if index < len(row.cells)} - {""}

    def _is_pending(self, row: _Row, statuses: set[str]) -> bool:
        if statuses & self._pending:
            return True
        unknown = statuses - self._booked
        if self._booked and self._binding.has(Role.STATUS) and (unknown or not statuses):
            raise RecordError(
                "Nobody said what the status “{status}” means.",
                field=self._binding.name(Role.STATUS),
                status=shortened(", ".join(unknown)),
            )
        return self._flag(row, Role.PENDING, False)

    def _money(self, row: _Row, problems: list[Problem]) -> tuple[int, str]:
        binding = self._binding
        minor, beside = self._signed(row)
        if binding.has(Role.FEE):
            fee, _ = self._amount(row, Role.FEE)
            if binding.profile.fee == "besides":
                minor -= fee
            elif fee:
                message = "There are fees, and the file does not say whether the amounts are without them."
                self._say_once(message, row, Role.FEE, problems)
        currency = self._currency(row, beside)
        money_of(minor, currency, binding.name(self._amount_roles[0]))
        return minor, currency

    def _signed(self, row: _Row) -> tuple[int, str]:
        """The amount without fees, incoming positive, and the currency beside it."""
        binding = self._binding
        if not binding.has(Role.AMOUNT):
            minor, currency = self._difference(row)
        else:
            minor, currency = self._amount(row, Role.AMOUNT)
        if binding.has(Role.SIGN_MARK):
            minor = self._marked(row, minor)
        return -minor if binding.profile.inverted else minor, currency

    def _difference(self, row: _Row) -> tuple[int, str]:
        income, currency = self._amount(row, Role.INCOME)
        expense, other = self._amount(row, Role.EXPENSE)
        name = self._binding.name(Role.EXPENSE if expense else Role.INCOME)
        if income and expense:
            raise RecordError("The row has an income and an expense.", field=name)
        if income < 0 or not self._binding.is_expense_sound(expense):
            raise RecordError("The sign of this amount contradicts its column.", field=name)
        return income - abs(expense), currency or other

    def _marked(self, row: _Row, minor: int) -> int:
        mark = self._text(row, Role.SIGN_MARK)
        sign = self._binding.signs.get(normalized(mark))
        name = self._binding.name(Role.SIGN_MARK)
        if sign is None:
            raise RecordError("Nobody said what the mark “{mark}” means.", field=name, mark=shortened(mark))
        if minor < 0 < sign:
            raise RecordError("The amount is negative and marked as money that came.", field=name)
        return abs(minor) * sign

    def _amount(self, row: _Row, role: Role) -> tuple[int, str]:
        text = self._text(row, role)
        if not text.strip():
            return 0, ""
        try:
            return self._binding.amounts.cell(text)
        except RecordError as error:
            raise of_field(error, self._binding.name(role)) from None

    def _currency(self, row: _Row, beside: str) -> str:
        """The currency of the row, which the one beside the amount must not contradict."""
        written = self._text(row, Role.CURRENCY).strip()
        own = SYMBOLS.get(written, written.upper()) or self._binding.currency
        if beside and own not in (beside, NO_CURRENCY):
            name = self._binding.name(self._amount_roles[0])
            raise RecordError(
                "The amount is in {one}, the row in {other}.", field=name, one=beside, other=own
            )
        return beside or own

    def _balance(self, row: _Row) -> int | None:
        text = self._text(row, Role.BALANCE)
        try:
            return self._binding.amounts.cell(text)[0] if text.strip() else None
        except RecordError:
            return None

    def _day(self, text: str, role: Role) -> date:
        try:
            return self._binding.days[text]
        except RecordError as error:
            raise of_field(error, self._binding.name(role)) from None

    def _id(self, row: _Row) -> str:
        text = self._text(row, Role.EXTERNAL_ID)
        return text if self._binding.profile.exact else texts.reference(text)

    def _counterparty_account(self, row: _Row) -> str:
        text = self._text(row, Role.COUNTERPARTY_ACCOUNT)
        if self._binding.profile.exact:
            return text
        return texts.account(text, self._text(row, Role.COUNTERPARTY_BANK))

    def _own_account(self, row: _Row) -> str:
        text = self._text(row, Role.ACCOUNT)
        return (text if self._binding.profile.exact else texts.account(text)) or self._binding.account

    def _message(self, row: _Row) -> str:
        columns = self._binding.columns.get(Role.MESSAGE, [])
        if self._binding.profile.exact:
            return self._text(row, Role.MESSAGE)
        return texts.joined([row.cells[index] for index in columns if index < len(row.cells)])

    def _flag(self, row: _Row, role: Role, default: bool) -> bool:
        text = self._text(row, role).strip()
        if text not in ("", "true", "false"):
            raise RecordError(
                "“{text}” is not true or false.", field=self._binding.name(role), text=shortened(text)
            )
        return text == "true" if text else default

    def _text(self, row: _Row, role: Role) -> str:
        """The first filled cell of a role, else its first one."""
        text = self._cell(row, role)
        return texts.unguarded(text) if self._binding.profile.exact else text

    def _cell(self, row: _Row, role: Role) -> str:
        first = ""
        for index in self._binding.columns.get(role, ()):
            cell = row.cells[index] if index < len(row.cells) else ""
            if cell and not cell.isspace():
                return cell
            first = first or cell
        return first

    def _say_once(self, message: str, row: _Row, role: Role, problems: list[Problem]) -> None:
        if message not in self._said:
            self._said.add(message)
            problems.append(Problem(message=message, line=row.line, field=self._binding.name(role)))
