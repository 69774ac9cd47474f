"""What every statement reader yields, whatever the format was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from kvit.kernel.money import Money

NO_CURRENCY = "XXX"
"""ISO 4217 for “no currency”: the amounts of a file that does not say theirs. The account decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One movement as the bank wrote it; incoming is positive, absent text is empty."""

    external_id: str
    """The bank's own id where the format carries one, else a stable digest (see `identity`)."""
    is_bank_id: bool = False
    """Whether the bank gives `external_id` to this movement of the account wherever it tells it, also in its
    API; in doubt it is false."""
    amount: Money
    """Its currency is `NO_CURRENCY` where the file does not say."""
    booked_on: date
    value_on: date | None = None
    counterparty_name: str = ""
    counterparty_account: str = ""
    """IBAN, or `[prefix-]number/bank code`."""
    variable_symbol: str = ""
    constant_symbol: str = ""
    specific_symbol: str = ""
    message: str = ""
    pending: bool = False
    """Announced by the bank and not in the balances; it comes again when it is booked."""
    line: int | None = None
    """Where the record begins in the file, counted from 1, where the format has lines."""
    raw: str = ""
    """The record's own text, for the person who must look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A warning or an error about one place in a file; `field` uses the format's own name."""

    message: str
    line: int | None = None
    field: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One account's movements over a period (both days inclusive)."""

    account: str
    """IBAN or the account number as the file has it."""
    currency: str
    """Empty where the file does not say."""
    entries: tuple[Entry, ...]
    opening_balance: Money | None = None
    closing_balance: Money | None = None
    from_date: date | None = None
    to_date: date | None = None
    number: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementFile:
    """Everything read from one file: `errors` are things left out, `warnings` doubts about things kept."""

    format: str
    statements: tuple[Statement, ...]
    warnings: tuple[Problem, ...] = ()
    errors: tuple[Problem, ...] = ()
