"""What matching reads and what it concludes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from kvit.kernel.money import Money


class Port(StrEnum):
    """What is done with a payment."""

    AUTO = "auto"
    """Settled without asking."""
    SUGGEST = "suggest"
    """Waits for a person, with candidates."""
    NONE = "none"
    """Waits for a person, with the reason why there is no candidate."""
    DUPLICATE = "duplicate"
    """Names a debt that is settled already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """The part of an incoming movement that no settlement uses yet."""

    id: int
    amount: Money
    booked_on: date
    is_pending: bool = False
    is_possible_duplicate: bool = False
    """It may be a movement that another source told, or one that was pending; nobody has said yet."""
    variable_symbol: str = ""
    message: str = ""
    counterparty_account: str = ""
    counterparty_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """An issued invoice and what is still open on it; nothing where it is paid."""

    id: int
    number: str
    variable_symbol: str
    client_id: int
    open: Money
    total: Money
    due_on: date


@dataclass(frozen=True, slots=True)
class Reason:
    """One fact for or against, by code; `explain` says it in words."""

    code: str
    values: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settle:
    """A positive amount of an invoice."""

    invoice_id: int
    amount: Money


@dataclass(frozen=True, slots=True)
class Candidate:
    """An invoice a person may choose, with the facts that speak for it and against it."""

    invoice_id: int
    for_: tuple[Reason, ...]
    against: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was concluded for one payment; `settle` is filled exactly when the port is AUTO."""

    port: Port
    tier: str = ""
    settle: tuple[Settle, ...] = ()
    because: tuple[Reason, ...] = ()
    """For AUTO the facts it rests on, else the first condition that failed."""
    candidates: tuple[Candidate, ...] = ()
    """The best first."""
