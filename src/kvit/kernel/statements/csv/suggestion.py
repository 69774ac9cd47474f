"""What the columns of an unknown table seem to be, by the words above them and by what they hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from kvit.kernel.statements.csv import words
from kvit.kernel.statements.csv.layout import Layout, fits, sniff
from kvit.kernel.statements.csv.profile import Column, Profile, Role, refused, require_sound
from kvit.kernel.statements.csv.words import normalized, without_currency
from kvit.kernel.statements.source import Source

CUSTOM: Final = "custom"

_WORDS: Final[Mapping[Role, frozenset[str]]] = {
    Role.VALUE_ON: words.words(words.VALUE),
    Role.AMOUNT: words.words(words.AMOUNT),
    Role.INCOME: words.words(words.INCOME),
    Role.EXPENSE: words.words(words.EXPENSE),
    Role.SIGN_MARK: words.words(words.SIGN_MARK),
    Role.FEE: words.words(words.FEE),
    Role.CURRENCY: words.words(words.CURRENCY),
    Role.ACCOUNT: words.words(words.OWN_ACCOUNT),
    Role.COUNTERPARTY_NAME: words.words(words.COUNTERPARTY_NAME),
    Role.COUNTERPARTY_ACCOUNT: words.words(words.COUNTERPARTY_ACCOUNT),
    Role.COUNTERPARTY_BANK: words.words(words.COUNTERPARTY_BANK),
    Role.VARIABLE_SYMBOL: words.words(words.VARIABLE_SYMBOL),
    Role.CONSTANT_SYMBOL: words.words(words.CONSTANT_SYMBOL),
    Role.SPECIFIC_SYMBOL: words.words(words.SPECIFIC_SYMBOL),
    Role.MESSAGE: words.words(words.MESSAGE),
    Role.EXTERNAL_ID: words.words(words.EXTERNAL_ID),
    Role.REFERENCE: words.words(words.REFERENCE),
    Role.BALANCE: words.words(words.BALANCE),
    Role.STATUS: words.words(words.STATUS),
}
_INCOMING: Final = words.words(words.MARKS_INCOMING)
_OUTGOING: Final = words.words(words.MARKS_OUTGOING)
_BOOKED: Final = words.words(words.BOOKED)
_DATE: Final = words.words(words.DATE)
_SOME_ACCOUNT: Final = words.words(words.SOME_ACCOUNT)
_KINDS: Final[Mapping[Role, frozenset[str]]] = {
    Role.BOOKED_ON: frozenset({"date"}),
    Role.VALUE_ON: frozenset({"date", "empty"}),
    Role.AMOUNT: frozenset({"amount", "number"}),
    Role.INCOME: frozenset({"amount", "number", "empty"}),
    Role.EXPENSE: frozenset({"amount", "number", "empty"}),
    Role.FEE: frozenset({"amount", "number", "empty"}),
    Role.BALANCE: frozenset({"amount", "number"}),
    Role.CURRENCY: frozenset({"currency"}),
}
"""What a column of a role must hold, whatever stands above it."""
_MANY: Final = frozenset({Role.MESSAGE})
"""Roles that several columns may have."""


def fitting(source: Source, profiles: Iterable[Profile]) -> Profile | None:
    """Return the one profile that fits the table; None where none does, or more than one."""
    profiles = tuple(profiles)
    layout = sniff(source, profiles)
    found = [profile for profile in profiles if fits(profile, layout)]
    return found[0] if len(found) == 1 else None


def suggest(layout: Layout) -> Profile:
    """Return the best guess at a profile, which may lack what the table does not tell."""
    roles = _roles(layout)
    if not {Role.AMOUNT, Role.INCOME, Role.EXPENSE}.intersection(roles):
        money = [
            index for index, kind in enumerate(layout.kinds) if kind == "amount" and roles[index] is None
        ]
        if len(money) == 1:
            roles[money[0]] = Role.AMOUNT
    return _profile(layout, roles, _marks(layout, roles))


def unequivocal(layout: Layout) -> Profile:
    """Return the profile that the table leaves no choice about.

    Raises StatementUnreadable with `field` where a person must say what the columns are.
    """
    if not layout.header:
        raise refused("The table has no header. Say what its columns are.", "columns")
    roles = _roles(layout)
    for role in (Role.BOOKED_ON, Role.AMOUNT, Role.INCOME, Role.EXPENSE):
        if roles.count(role) > 1:
            raise refused("Several columns may be the {role}. Say which one is.", role, role=role)
    if (Role.INCOME in roles) != (Role.EXPENSE in roles):
        raise refused("Say which columns are income and expense.", Role.INCOME)
    profile = _profile(layout, roles, _marks(layout, roles))
    require_sound(profile)
    return profile


def roles_of(profile: Profile, layout: Layout) -> tuple[Role | None, ...]:
    """Return the role that a profile gives each column of a table."""
    roles: list[Role | None] = [None] * layout.width
    for column in profile.columns:
        index = index_of(column, layout)
        if index is not None and roles[index] is None:
            roles[index] = column.role
    return tuple(roles)


def index_of(column: Column, layout: Layout) -> int | None:
    """Return where a column stands in a table, from 0; None where it is not there."""
    if column.position:
        return column.position - 1 if column.position <= layout.width else None
    for name in map(normalized, column.names):
        found = [
            index for index, each in enumerate(layout.names) if name in (each, without_currency(each)[0])
        ]
        if len(found) >= column.occurrence:
            return found[column.occurrence - 1]
    return None


def mapped(
    layout: Layout,
    roles: Sequence[Role | None],
    *,
    name: str = CUSTOM,
    title: str = "",
    decimal: str = "",
    date_order: str = "",
    incoming: Sequence[str] = (),
    outgoing: Sequence[str] = (),
    inverted: bool = False,
    fee: str = "",
    account: str = "",
    currency: str = "",
) -> Profile:
    """Return the profile of a person's choice: `roles` has one for each column of the layout, or None.

    Raises StatementUnreadable with `field` where it cannot give movements.
    """
    profile = replace(
        _profile(layout, roles, (tuple(incoming), tuple(outgoing))),
        name=name,
        title=title,
        decimal=decimal,
        date_order=date_order,
        inverted=inverted,
        fee=fee,
        account=account,
        currency=currency,
    )
    require_sound(profile)
    return profile


def _profile(
    layout: Layout, roles: Sequence[Role | None], marks: tuple[tuple[str, ...], tuple[str, ...]]
) -> Profile:
    profile = Profile(
        name=CUSTOM,
        headers=(tuple(name for name in layout.header if name.strip()),) if layout.header else (),
        shape=() if layout.header else tuple(_shape(kind) for kind in layout.kinds),
        columns=tuple(_column(layout, index, role) for index, role in enumerate(roles) if role is not None),
        delimiter=layout.delimiter,
        incoming=marks[0],
        outgoing=marks[1],
        currency=_currency(layout, roles),
    )
    return _with_statuses(profile) if Role.STATUS in roles else profile


def _with_statuses(profile: Profile) -> Profile:
    return replace(
        profile,
        booked=tuple(sorted(words.words(words.STATUSES_BOOKED))),
        pending=tuple(sorted(words.words(words.STATUSES_PENDING))),
        skipped=tuple(sorted(words.words(words.STATUSES_SKIPPED))),
    )


def _column(layout: Layout, index: int, role: Role) -> Column:
    name = layout.header[index] if index < len(layout.header) else ""
    if not name.strip():
        return Column(role=role, position=index + 1)
    occurrence = layout.names[: index + 1].count(normalized(name))
    return Column(role=role, names=(name,), occurrence=occurrence)


def _shape(kind: str) -> str:
    return kind if kind == "date" else "text"


def _roles(layout: Layout) -> list[Role | None]:
    names = [without_currency(name)[0] for name in layout.names]
    roles: list[Role | None] = [None] * layout.width
    for index, name in enumerate(names):
        roles[index] = _role(name, layout.names[index], layout.kinds[index])
    _choose_day(names, layout.kinds, roles)
    _choose_amount(names, roles)
    _choose_account(names, layout, roles)
    _choose_marks(layout, roles)
    for role in set(Role) - _MANY - {Role.BOOKED_ON, Role.AMOUNT, Role.INCOME, Role.EXPENSE}:
        for index in [index for index, each in enumerate(roles) if each is role][1:]:
            roles[index] = None
    return roles


def _role(name: str, whole: str, kind: str) -> Role | None:
    for role, known in _WORDS.items():
        if (name in known or whole in known) and kind in _KINDS.get(role, frozenset({kind})):
            return role
    # The Dutch and Italian word for a currency is the German one for the value date.
    return Role.CURRENCY if name in ("valuta", "val") and kind == "currency" else None


def _choose_day(names: Sequence[str], kinds: Sequence[str], roles: list[Role | None]) -> None:
    """The day of booking has a word of its own, else it is the only day that is not the value date."""
    days = [index for index, kind in enumerate(kinds) if kind == "date"]
    for chosen in (
        [index for index in days if names[index] in _BOOKED],
        [index for index in days if names[index] in _DATE],
        [index for index in days if roles[index] is None],
        [index for index in days if roles[index] is Role.VALUE_ON],
    ):
        if chosen:
            for index in chosen:
                roles[index] = Role.BOOKED_ON
            return


def _choose_amount(names: Sequence[str], roles: list[Role | None]) -> None:
    """One amount makes columns of income and expense needless; `net` counts before `amount` and `gross`."""
    amounts = [index for index, role in enumerate(roles) if role is Role.AMOUNT]
    net = [index for index in amounts if names[index] in ("net", "netto")]
    for index in amounts if len(net) == 1 else ():
        roles[index] = Role.AMOUNT if index in net else None
    if amounts:
        for index, role in enumerate(roles):
            roles[index] = None if role in (Role.INCOME, Role.EXPENSE) else role


def _choose_account(names: Sequence[str], layout: Layout, roles: list[Role | None]) -> None:
    """A column that is only called account is the own one where it never changes, else the other party's."""
    for index, name in enumerate(names):
        if name not in _SOME_ACCOUNT or roles[index] is not None:
            continue
        values = [row[index].strip() if index < len(row) else "" for row in layout.rows]
        is_own = all(values) and len(set(values)) == 1 and Role.COUNTERPARTY_BANK not in roles
        role = Role.ACCOUNT if is_own else Role.COUNTERPARTY_ACCOUNT
        # One row shows no difference between the two, and an empty column none at all.
        if any(values) and role not in roles and (len(values) > 1 or not is_own):
            roles[index] = role


def _choose_marks(layout: Layout, roles: list[Role | None]) -> None:
    """Where no amount has a minus, a column of nothing but sign marks says which way the money went."""
    if Role.AMOUNT not in roles or Role.SIGN_MARK in roles:
        return
    amounts = _filled(layout, roles.index(Role.AMOUNT))
    if any(amount.strip().startswith(("-", "−", "(")) or amount.endswith("-") for amount in amounts):
        return
    for index in range(layout.width):
        marks = set(map(normalized, _filled(layout, index)))
        if marks and marks <= _INCOMING | _OUTGOING and roles[index] in (None, Role.MESSAGE):
            roles[index] = Role.SIGN_MARK
            return


def _filled(layout: Layout, index: int) -> list[str]:
    return [row[index] for row in layout.rows if index < len(row) and row[index].strip()]


def _marks(layout: Layout, roles: Sequence[Role | None]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if Role.SIGN_MARK not in roles:
        return (), ()
    index = roles.index(Role.SIGN_MARK)
    values = dict.fromkeys(row[index].strip() for row in layout.rows if index < len(row))
    incoming = tuple(value for value in values if normalized(value) in _INCOMING)
    outgoing = tuple(value for value in values if normalized(value) in _OUTGOING)
    for mark in (*incoming, *outgoing):
        pair = _OPPOSITES.get(normalized(mark))
        if pair and mark in incoming and pair not in map(normalized, outgoing):
            outgoing = (*outgoing, pair)
        elif pair and mark in outgoing and pair not in map(normalized, incoming):
            incoming = (*incoming, pair)
    return incoming, outgoing


def _currency(layout: Layout, roles: Sequence[Role | None]) -> str:
    """The currency in the name of the amount's column, such as `Bedrag (EUR)`."""
    if Role.CURRENCY in roles:
        return ""
    found = {
        without_currency(layout.names[index])[1]
        for index, role in enumerate(roles)
        if role in (Role.AMOUNT, Role.INCOME, Role.EXPENSE) and index < len(layout.names)
    }
    return found.pop() if len(found) == 1 else ""


_PAIRS: Final = (
    ("c", "d"), ("cr", "dr"), ("credit", "debit"), ("crdt", "dbit"), ("kredit", "debet"), ("bij", "af"),
    ("h", "s"), ("haben", "soll"), ("in", "out"), ("inflow", "outflow"), ("prijem", "vydaj"),
    ("prichozi", "odchozi"), ("bevetel", "kiadas"), ("jovairas", "terheles"), ("+", "-"),
)  # fmt: skip
_OPPOSITES: Final = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}
