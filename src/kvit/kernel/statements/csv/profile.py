"""A profile: what the columns of one bank's CSV file are, as a value and as TOML that people share."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.statements.csv.words import normalized

LONGEST_TOML: Final = 100_000
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_CURRENCY = re.compile(r"[A-Z]{3}")


class Role(StrEnum):
    """What a column says; the value stands in TOML and in forms."""

    BOOKED_ON = "booked_on"
    VALUE_ON = "value_on"
    AMOUNT = "amount"
    INCOME = "income"
    EXPENSE = "expense"
    SIGN_MARK = "sign_mark"
    FEE = "fee"
    CURRENCY = "currency"
    ACCOUNT = "account"
    """The own account."""
    COUNTERPARTY_NAME = "counterparty_name"
    COUNTERPARTY_ACCOUNT = "counterparty_account"
    COUNTERPARTY_BANK = "counterparty_bank"
    VARIABLE_SYMBOL = "variable_symbol"
    CONSTANT_SYMBOL = "constant_symbol"
    SPECIFIC_SYMBOL = "specific_symbol"
    MESSAGE = "message"
    EXTERNAL_ID = "external_id"
    REFERENCE = "reference"
    BALANCE = "balance"
    """The balance after the movement."""
    STATUS = "status"
    IS_BANK_ID = "is_bank_id"
    """`true` or `false`, in Kvit's own export."""
    PENDING = "pending"
    """`true` or `false`, in Kvit's own export."""


FACTS: Final = ("account", "currency", "opening_balance", "closing_balance", "from_date", "to_date", "number")
"""What the lines around the table may say of the statement."""
SHAPES: Final = frozenset({"date", "amount", "currency", "iban", "number", "empty", "text"})
"""What a column of a table without a header may hold; a trailing `?` says or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column and its role: found by any of its names, or by its position in a table without a header."""

    role: Role
    names: tuple[str, ...] = ()
    """Compared without case, accents and punctuation; the first that the table has counts."""
    occurrence: int = 1
    """Which of several columns of that name, counted from 1."""
    position: int = 0
    """Counted from 1; 0 where the names tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """The words before a fact in the lines around the table."""

    name: str
    """One of `FACTS`."""
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How the CSV files of one bank are read; an empty value is told by the content of each file."""

    name: str
    title: str = ""
    bank: str = ""
    headers: tuple[tuple[str, ...], ...] = ()
    """The profile fits a table whose header has all the names of one of these."""
    shape: tuple[str, ...] = ()
    """For a table without a header: what each of its columns holds (see `SHAPES`)."""
    columns: tuple[Column, ...] = ()
    encoding: str = ""
    delimiter: str = ""
    decimal: str = ""
    """`.` or `,`."""
    date_order: str = ""
    """`dmy`, `mdy` or `ymd`."""
    inverted: bool = False
    """Whether a positive amount is money that left, as on the statement of a card."""
    fee: str = ""
    """`besides`: the money moved is the amount without the fee. Else a fee is a doubt for a person."""
    account: str = ""
    currency: str = ""
    is_bank_id: bool = False
    """Whether the ids are those of the bank's API too (see `Entry.is_bank_id`)."""
    exact: bool = False
    """Whether texts and ids are taken as they stand, but for the apostrophe before what a spreadsheet would
    run: so Kvit's own export writes them."""
    incoming: tuple[str, ...] = ()
    """Sign marks of money that came, such as `Bij`."""
    outgoing: tuple[str, ...] = ()
    booked: tuple[str, ...] = ()
    """Statuses of booked rows; where they are given, a status nobody named is an error of its row."""
    pending: tuple[str, ...] = ()
    """Statuses of rows that are announced and not booked."""
    skipped: tuple[str, ...] = ()
    """Statuses of rows that moved no money, such as declined payments."""
    facts: tuple[Fact, ...] = ()


def profile_from_toml(text: str) -> Profile:
    """Read a profile; raises StatementUnreadable with `field` where it is none."""
    if len(text) > LONGEST_TOML:
        raise refused("This profile is too long to be one.", "toml")
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise refused("This is not TOML: {reason}.", "toml", reason=str(error)) from None
    marks, statuses = _table(table, "marks", _MARKS), _table(table, "statuses", _STATUSES)
    profile = Profile(
        name=_text(table, "name"),
        title=_text(table, "title"),
        bank=_text(table, "bank"),
        headers=tuple(_names(names, "headers") for names in _list(table, "headers")),
        shape=_names(table.get("shape", []), "shape"),
        columns=tuple(_column(each) for each in _list(table, "columns")),
        encoding=_text(table, "encoding"),
        delimiter=_text(table, "delimiter"),
        decimal=_text(table, "decimal"),
        date_order=_text(table, "date_order"),
        inverted=_flag(table, "inverted"),
        fee=_text(table, "fee"),
        account=_text(table, "account"),
        currency=_text(table, "currency"),
        is_bank_id=_flag(table, "is_bank_id"),
        exact=_flag(table, "exact"),
        incoming=_names(marks.get("incoming", []), "incoming"),
        outgoing=_names(marks.get("outgoing", []), "outgoing"),
        booked=_names(statuses.get("booked", []), "booked"),
        pending=_names(statuses.get("pending", []), "pending"),
        skipped=_names(statuses.get("skipped", []), "skipped"),
        facts=_facts(_table(table, "facts", FACTS)),
    )
    _require_known(table, {*_TEXTS, *_FLAGS, "headers", "shape", "columns", "marks", "statuses", "facts"})
    require_sound(profile)
    return profile


def profile_to_toml(profile: Profile) -> str:
    """Write a profile, so that `profile_from_toml` gives the same one."""
    lines = [f"{name} = {_quoted(getattr(profile, name))}" for name in _TEXTS if getattr(profile, name)]
    lines += [f"{name} = true" for name in _FLAGS if getattr(profile, name)]
    if profile.headers:
        lines += ["headers = [", *(f"    {_array(each)}," for each in profile.headers), "]"]
    if profile.shape:
        lines.append(f"shape = {_array(profile.shape)}")
    for table, names in (("marks", _MARKS), ("statuses", _STATUSES)):
        given = [f"{name} = {_array(getattr(profile, name))}" for name in names if getattr(profile, name)]
        lines += ["", f"[{table}]", *given] if given else []
    if profile.facts:
        lines += ["", "[facts]", *(f"{fact.name} = {_quoted(fact.after)}" for fact in profile.facts)]
    for column in profile.columns:
        lines += ["", "[[columns]]", *_column_lines(column)]
    return "\n".join(lines) + "\n"


def require_sound(profile: Profile) -> None:
    """Raise StatementUnreadable with `field` where the profile cannot give movements."""
    if not _NAME.fullmatch(profile.name):
        raise refused("A profile's name is of small letters, digits and hyphens.", "name")
    if profile.currency and not _CURRENCY.fullmatch(profile.currency):
        raise refused("A currency is three capital letters.", "currency")
    for field, value, allowed in (
        ("decimal", profile.decimal, (".", ",")),
        ("date_order", profile.date_order, ("dmy", "mdy", "ymd")),
        ("delimiter", profile.delimiter, (",", ";", "\t", "|")),
        ("encoding", profile.encoding, ENCODINGS),
        ("fee", profile.fee, ("besides",)),
    ):
        if value and value not in allowed:
            raise refused("“{value}” is none of {allowed}.", field, value=value, allowed=" ".join(allowed))
    _require_columns(profile)


ENCODINGS: Final = (
    "utf-8", "utf-16-le", "utf-16-be", "cp1250", "cp852", "cp1252", "iso-8859-1", "iso-8859-2",
)  # fmt: skip
_TEXTS: Final = (
    "name",
    "title",
    "bank",
    "encoding",
    "delimiter",
    "decimal",
    "date_order",
    "fee",
    "account",
    "currency",
)
_FLAGS: Final = ("inverted", "is_bank_id", "exact")
_MARKS: Final = ("incoming", "outgoing")
_STATUSES: Final = ("booked", "pending", "skipped")


def _require_columns(profile: Profile) -> None:
    roles = {column.role for column in profile.columns}
    if Role.BOOKED_ON not in roles:
        raise refused("Say which column is the day of booking.", "booked_on")
    if not roles & {Role.AMOUNT, Role.INCOME, Role.EXPENSE}:
        raise refused("Say which column is the amount, or which are income and expense.", "amount")
    if Role.AMOUNT in roles and roles & {Role.INCOME, Role.EXPENSE}:
        raise refused(
            "The amount is in one column, or in those of income and expense, not in both.", "amount"
        )
    if Role.SIGN_MARK in roles and not (profile.incoming and profile.outgoing):
        raise refused("Say which marks stand for money that came and that left.", "sign_mark")
    if {*map(normalized, profile.incoming)} & {*map(normalized, profile.outgoing)} - {""}:
        raise refused("A mark stands for money that came or that left, not for both.", "sign_mark")
    for shape in profile.shape:
        if shape.removesuffix("?") not in SHAPES:
            raise refused("“{value}” is none of {allowed}.", "shape", value=shape, allowed=" ".join(SHAPES))


def refused(message: str, field: str, **params: str) -> StatementUnreadable:
    """Make the error that names the key of a profile, or what a table does not tell."""
    error = StatementUnreadable(message, field=field)
    error.params |= params
    return error


def _column(table: object) -> Column:
    if not isinstance(table, dict):
        raise refused("Each of the columns is a table.", "columns")
    _require_known(table, {field.name for field in fields(Column)})
    role = _text(table, "role")
    if role not in set(Role):
        raise refused("“{value}” is no role of a column.", "role", value=role)
    column = Column(
        role=Role(role),
        names=_names(table.get("names", []), "names"),
        occurrence=_count(table, "occurrence", 1),
        position=_count(table, "position", 0),
    )
    if bool(column.names) == bool(column.position):
        raise refused("A column has names or a position.", "columns")
    return column


def _column_lines(column: Column) -> Iterator[str]:
    yield f"role = {_quoted(column.role)}"
    if column.names:
        yield f"names = {_array(column.names)}"
    if column.occurrence != 1:
        yield f"occurrence = {column.occurrence}"
    if column.position:
        yield f"position = {column.position}"


def _facts(table: dict[str, Any]) -> tuple[Fact, ...]:
    return tuple(Fact(name=name, after=_text(table, name)) for name in table)


def _table(table: dict[str, Any], name: str, keys: Iterable[str]) -> dict[str, Any]:
    value = table.get(name, {})
    if not isinstance(value, dict):
        raise refused("This is a table.", name)
    _require_known(value, set(keys))
    return value


def _list(table: dict[str, Any], name: str) -> list[Any]:
    value = table.get(name, [])
    if not isinstance(value, list):
        raise refused("This is a list.", name)
    return value


def _names(value: object, field: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise refused("This is a list of texts.", field)
    return tuple(value)


def _text(table: dict[str, Any], name: str) -> str:
    value = table.get(name, "")
    if not isinstance(value, str):
        raise refused("This is a text.", name)
    return value


def _flag(table: dict[str, Any], name: str) -> bool:
    value = table.get(name, False)
    if not isinstance(value, bool):
        raise refused("This is true or false.", name)
    return value


def _count(table: dict[str, Any], name: str, least: int) -> int:
    value = table.get(name, least)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= 1000:
        raise refused("This is a number from {least} to 1000.", name, least=str(least))
    return value


def _require_known(table: dict[str, Any], known: set[str]) -> None:
    for name in table:
        if name not in known:
            raise refused("A profile has no “{name}”.", name, name=name)


def _array(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"


def _quoted(text: str) -> str:
    # A JSON string is a TOML string, but for DEL, which JSON leaves as it is.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
