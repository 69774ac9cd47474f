"""What every statement reader yields, whatever the format was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import msgspec

from kvit.kernel.money import Money

NO_CURRENCY = "XXX"
"""ISO 4217 for “no currency”: the amounts of a file that does not say theirs. The account decides."""


class Detail(msgspec.Struct, frozen=True, gc=False):
    """One of the payments that the bank booked together as one entry; incoming is positive."""

    minor: int
    """The amount in hundredths, in the currency of the entry."""
    counterparty_name: str = ""
    counterparty_account: str = ""
    variable_symbol: str = ""
    constant_symbol: str = ""
    specific_symbol: str = ""
    message: str = ""
    reference: str = ""
    """The payer's own reference (SEPA end-to-end id)."""
    external_id: str = ""
    """The bank's own id of this payment; empty where it has none (see `Entry.detail_ids`)."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One movement as the bank wrote it; incoming is positive, absent text is empty.

    It is a struct of plain values, so that a file of a hundred thousand is read in a second; the order of the
    fields serves the readers that make entries column by column.
    """

    booked_on: date
    minor: int
    """The amount in hundredths of the currency."""
    currency: str
    """`NO_CURRENCY` where the file does not say."""
    external_id: str = ""
    """The bank's own id where the format carries one, else a stable digest (see `identity`)."""
    is_bank_id: bool = False
    """Whether the bank gives `external_id` to this movement of the account wherever it tells it, also in its
    API; in doubt it is false."""
    value_on: date | None = None
    counterparty_name: str = ""
    counterparty_account: str = ""
    """IBAN, or `[prefix-]number/bank code`."""
    variable_symbol: str = ""
    constant_symbol: str = ""
    specific_symbol: str = ""
    message: str = ""
    reference: str = ""
    """The payer's own reference (SEPA end-to-end id)."""
    pending: bool = False
    """Announced by the bank and not in the balances; it comes again when it is booked."""
    line: int | None = None
    """Where the record begins in the file, counted from 1, where the format has lines."""
    offset: int | None = None
    """How many bytes stand before the record, where a file may be one long line."""
    raw: str = ""
    """The record's own text, for the person who must look."""
    details: tuple[Detail, ...] = ()
    """The single payments of a batch, where they add up to exactly this entry; else none."""

    @property
    def amount(self) -> Money:
        return Money(self.minor, self.currency)

    @property
    def detail_ids(self) -> tuple[str, ...]:
        """The id of each detail: the bank's own, else the entry's id, a slash and its place from 1."""
        return tuple(
            detail.external_id or f"{self.external_id}/{place}"
            for place, detail in enumerate(self.details, 1)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One account's movements over a period (both days inclusive)."""

    account: str
    """IBAN or the account number as the file has it; empty where the file does not say."""
    currency: str
    """Empty where the file does not say."""
    entries: tuple[Entry, ...] = ()
    """Every movement, where the whole file was read; none where the statement only opens a stream of them."""
    opening_balance: Money | None = None
    closing_balance: Money | None = None
    from_date: date | None = None
    to_date: date | None = None
    number: str = ""
    """The bank's sequence number of the statement, without leading zeros."""
    line: int | None = None
    format: str = ""
    """The name of the format; `parse` fills it in."""
    file: str = ""
    """The name within a ZIP archive; `parse` fills it in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementEnd:
    """What only the end of a statement says; None adds nothing to its beginning."""

    currency: str | None = None
    opening_balance: Money | None = None
    closing_balance: Money | None = None
    from_date: date | None = None
    to_date: date | None = None
    number: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A warning or an error about one place in a file; `field` uses the format's own name."""

    message: str
    line: int | None = None
    field: str | None = None
    is_error: bool = False
    """An error is about something left out, a warning is a doubt about something kept."""
    offset: int | None = None
    """How many bytes stand before the place, where a file may be one long line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStatus:
    """What the bank says of a payment order that it was given (pain.002); absent text is empty."""

    message_id: str
    """Of the order's message, as its sender named it (`OrgnlMsgId`)."""
    status: str
    """ISO 20022's code, such as `ACCP`, `PDNG` or `RJCT`."""
    level: str
    """What it is about: `group`, `payment` (a batch) or `transaction`."""
    payment_id: str = ""
    end_to_end_id: str = ""
    amount: Money | None = None
    reason: str = ""
    """The code of the reason, such as `AC01`."""
    text: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementFile:
    """Everything read from one file: `errors` are things left out, `warnings` doubts about things kept."""

    format: str
    statements: tuple[Statement, ...]
    warnings: tuple[Problem, ...] = ()
    errors: tuple[Problem, ...] = ()
    order_statuses: tuple[OrderStatus, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """What a file seems to be."""

    format: str
    is_sure: bool = True
    """Whether the content leaves no doubt; a table with a header nobody knows never does."""
    doubt: str = ""
    """Why it is not sure, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What a person knows about a file that does not say it; the file's own word counts more."""

    account: str = ""
    currency: str = ""
    profile: str = ""
    """For a CSV file: the name of a profile that comes with Kvit, or a whole profile as TOML."""


type Part = Statement | list[Entry] | StatementEnd | Problem | OrderStatus
"""What a reader yields: entries by the hundred, so that what follows works on columns instead of rows."""
