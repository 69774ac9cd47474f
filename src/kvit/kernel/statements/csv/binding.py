"""A profile bound to the columns of one file, with everything that is decided once for all its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kvit.kernel.errors import RecordError
from kvit.kernel.statements.csv.amounts import Amounts
from kvit.kernel.statements.csv.days import Days
from kvit.kernel.statements.csv.layout import Layout
from kvit.kernel.statements.csv.profile import Profile, Role, refused
from kvit.kernel.statements.csv.suggestion import index_of
from kvit.kernel.statements.csv.words import normalized
from kvit.kernel.statements.values import NO_CURRENCY, Entry, Problem


class Batch(NamedTuple):
    """The entries of one block, in the order of the file."""

    entries: list[Entry]
    accounts: Sequence[str]
    """The own account of each entry; only one where it is the same of all, and so is the currency."""
    balances: Sequence[int | None]
    """The balance after each entry in hundredths; nothing where the table has no such column."""
    problems: list[Problem]


@dataclass(slots=True)
class Binding:
    """Where each role stands in the table, and how its cells are read."""

    profile: Profile
    layout: Layout
    amounts: Amounts
    days: Days
    account: str
    """The own account where the rows do not say it."""
    currency: str
    columns: dict[Role, list[int]] = field(init=False)
    signs: dict[str, int] = field(init=False)
    """Of each sign mark, without case and accents."""
    expense_sign: int = 0
    """Whether expenses are written with a plus or a minus; the first one of the file tells."""

    def __post_init__(self) -> None:
        self.columns = _columns(self.profile, self.layout)
        incoming, outgoing = map(normalized, self.profile.incoming), map(normalized, self.profile.outgoing)
        self.signs = dict.fromkeys(incoming, 1) | dict.fromkeys(outgoing, -1)

    def has(self, role: Role) -> bool:
        return role in self.columns

    def name(self, role: Role) -> str:
        """Return the name of a role's column as it stands in the file, else the role."""
        index = self.columns.get(role, [self.layout.width])[0]
        name = self.layout.header[index] if index < len(self.layout.header) else ""
        return name.strip() or role

    def is_expense_sound(self, minor: int) -> bool:
        """Whether an expense has the sign that the first one of the file had."""
        sign = (minor > 0) - (minor < 0)
        self.expense_sign = self.expense_sign or sign
        return sign in (0, self.expense_sign)


def bound(
    profile: Profile, layout: Layout, amounts: Amounts, days: Days, account: str, currency: str
) -> Binding:
    """Bind a profile to a table; raises StatementUnreadable where the table lacks a column it needs."""
    binding = Binding(profile, layout, amounts, days, account, currency or NO_CURRENCY)
    if not binding.has(Role.BOOKED_ON):
        raise refused("The table has no column for the day of booking.", Role.BOOKED_ON)
    amount = {column.role for column in profile.columns} & {
        Role.AMOUNT,
        Role.INCOME,
        Role.EXPENSE,
        Role.SIGN_MARK,
    }
    for role in sorted(amount):
        if not binding.has(role):
            raise refused("The table has no column for the {role}.", role, role=role)
    return binding


def of_field(error: RecordError, name: str) -> RecordError:
    """Return the error with the column it is about."""
    error.field = error.field or name
    return error


def _columns(profile: Profile, layout: Layout) -> dict[Role, list[int]]:
    columns: dict[Role, list[int]] = {}
    for column in profile.columns:
        index = index_of(column, layout)
        if index is not None and index not in columns.get(column.role, []):
            columns.setdefault(column.role, []).append(index)
    return columns
