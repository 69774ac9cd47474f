"""What a plugin yields: accounts, movements, statements, payouts and checkpoints."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

type Json = bool | int | str | Sequence[Json] | Mapping[str, Json] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who answered a check: `key` names the account for ever, `label` is for people."""

    key: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One own account at the source; yield it before its transactions."""

    external_id: str
    """The source's stable name of the account; ids of transactions are unique within it."""
    name: str
    currency: str
    number: str = ""
    """IBAN where known, else `[prefix-]number/bank code`."""
    balance: Decimal | None = None
    former_id: str = ""
    """The `external_id` that an earlier version of the plugin gave this account, where it was another one:
    movements stored under it keep their ids, so telling them again changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStatement:
    """A statement that the source drew up for an account; yield it after its movements.

    It is kept, so that people see which statement is missing. A source that yields them tells all it knows
    of a day at once: until the next Checkpoint, each movement of a statement is told again by the same
    external id or is told otherwise than before.
    """

    account_id: str
    """The `external_id` of its Account."""
    format: str = ""
    """The name of the format it came in, such as `camt.053`."""
    number: str = ""
    """The bank's sequence number."""
    from_date: date | None = None
    to_date: date | None = None
    """Both days inclusive."""
    opening_balance: Decimal | None = None
    closing_balance: Decimal | None = None
    entries: int = 0
    """How many movements it holds in the account's currency."""
    file: str = ""
    """The name of its file, within an archive where it lay in one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One movement on an own account, as the source tells it; absent text is empty.

    Amounts are exact: Decimal, int or text such as `"-1250.00"`, incoming positive; a float is refused.
    Dates are the source's local calendar dates. A record that does not hold together is quarantined alone.
    """

    external_id: str
    account_id: str
    """The `external_id` of its Account."""
    amount: Decimal | int | str
    currency: str
    booked_on: date | str
    value_on: date | str | None = None
    counterparty_name: str = ""
    counterparty_account: str = ""
    """IBAN, or `[prefix-]number/bank code`."""
    variable_symbol: str = ""
    constant_symbol: str = ""
    specific_symbol: str = ""
    message: str = ""
    reference: str = ""
    """The payer's own reference (SEPA end-to-end id)."""
    status: Literal["booked", "pending"] = "booked"
    is_bank_id: bool = False
    """Whether the bank itself minted `external_id` and gives it to no other movement of the account: its API
    and its statement files then tell the same movement, which is stored once."""
    raw: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The source's own record, kept sealed; JSON values and Decimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """The source says that a pending movement no longer exists."""

    external_id: str
    account_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A record the plugin cannot make sense of; it is put aside with its reason and the others go on."""

    reason: str
    account_id: str = ""
    external_id: str = ""
    field: str = ""
    raw: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything yielded so far is covered by this cursor; the next sync starts from it."""

    cursor: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutLine:
    """One sale or refund that a payout is made of, or a cost of the payout as a whole."""

    reference: str
    """The number or symbol of the invoice that was paid; empty for a cost of the whole payout."""
    gross: Decimal | int | str
    """What the buyer paid, negative for what went back; 0 for a cost of the whole payout."""
    fee: Decimal | int | str = 0
    """What the source kept of it; negative where it gave a fee back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """A sum that the source paid out to a bank account, and what it is made of.

    Matching settles the invoices behind its lines by the bank credit of exactly `net`. Yield it once all
    of its lines are known: a payout told otherwise later is pointed out and changes nothing.
    """

    external_id: str
    """The source's name of the payout, never used again."""
    paid_on: date
    currency: str
    net: Decimal | int | str
    """What arrives in the bank: the sum of gross less fee over all lines."""
    lines: Sequence[PayoutLine]
    bank_account: str = ""
    """The account that the source pays from, where it is known: IBAN, or `[prefix-]number/bank code`."""


type Item = Account | Transaction | AccountStatement | Gone | Unreadable | Payout | Checkpoint
