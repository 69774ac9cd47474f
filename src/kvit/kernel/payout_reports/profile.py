"""What the columns of one provider's payout report are, as a value out of a small TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import cached_property
from importlib.resources import files
from operator import attrgetter
from typing import Final, Literal, overload

import msgspec


class Role(StrEnum):
    """What a column says."""

    PAYOUT = "payout"
    """The payout that a row belongs to, as the bank statement calls it; empty: not paid out yet."""
    PAID_ON = "paid_on"
    """The day of the payout; in a running account the day of each row."""
    KIND = "kind"
    """What the row is; see the lists of kinds."""
    STATE = "state"
    """Whether the row moved money at all."""
    REFERENCE = "reference"
    """Order number, invoice number or variable symbol; the first column that is not empty counts."""
    TEXT = "text"
    """Free text that such a number may stand in."""
    ID = "id"
    """The provider's own number of the sale; rows with the same one share their reference."""
    GROSS = "gross"
    """What the buyer paid, below zero for a refund."""
    FEE = "fee"
    NET = "net"
    """Gross without the fee."""
    CURRENCY = "currency"
    ACCOUNT = "account"
    """The account that the provider pays from."""


class Column(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One column and its role."""

    role: Role
    names: tuple[str, ...]
    """Compared without case, accents and punctuation; the first that the table has counts."""
    pattern: str = ""
    """A regular expression: the part of a cell that counts. A cell without it is empty."""


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the reports of one provider are read. Lists of words take any ending where they end with `*`."""

    name: str
    title: str
    """Provider and report, as the provider calls it."""
    origin: str
    """Where the facts about the columns are from, and what of it nobody has tried."""
    headers: tuple[tuple[str, ...], ...]
    """The profile fits a table whose header has all the names of one of these."""
    columns: tuple[Column, ...]
    grouping: Literal["reference", "account"] = "reference"
    """`reference`: each row names its payout. `account`: the report is a running account, and a payout is a
    row that pays out what came before it."""
    date_order: Literal["", "dmy", "mdy", "ymd"] = ""
    """Empty: told by the days of the file."""
    payout_kinds: tuple[str, ...] = ()
    """Rows that are a payout itself; money that left."""
    fee_kinds: tuple[str, ...] = ()
    """Rows that are neither sale nor refund but costs."""
    total_kinds: tuple[str, ...] = ()
    """Rows that sum others up; they have no id."""
    skipped_kinds: tuple[str, ...] = ()
    skipped_states: tuple[str, ...] = ()
    is_withheld: bool = False
    """Whether a row may pay out less than gross without fee, because a refund was taken out of it."""
    paid_on_in_name: str = ""
    """A regular expression for the day (ISO 8601, group 1) in the file's name."""


class _Shipped(Sequence[Profile]):
    """Read at the first use, so that importing Kvit does not read them."""

    @cached_property
    def _profiles(self) -> tuple[Profile, ...]:
        folder = files("kvit.kernel.payout_reports") / "profiles"
        tables = [
            tomllib.loads(each.read_text("utf-8")) for each in folder.iterdir() if each.name.endswith(".toml")
        ]
        profiles = [msgspec.convert(table, Profile) for table in tables]
        return tuple(sorted(profiles, key=attrgetter("name")))

    @overload
    def __getitem__(self, index: int) -> Profile: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Profile]: ...
    def __getitem__(self, index: int | slice) -> Profile | Sequence[Profile]:
        return self._profiles[index]

    def __iter__(self) -> Iterator[Profile]:
        return iter(self._profiles)

    def __len__(self) -> int:
        return len(self._profiles)


PROFILES: Final[Sequence[Profile]] = _Shipped()
"""Those that come with Kvit."""
