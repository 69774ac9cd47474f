"""What matching reads and what it concludes; amounts are hundredths, incoming is positive."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import NamedTuple

import msgspec


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
    TRANSFER = "transfer"
    """Between own accounts."""
    PAYOUT = "payout"
    """The net sum of a card or payment gateway; its report says what it is for."""


class Tier(StrEnum):
    """On what an automatic decision rests; every tier needs all of its conditions and no veto."""

    A1 = "A1"
    """A structured reference names one document, and exactly what it owes was paid."""
    A2 = "A2"
    """The same by a number in a text."""
    A3 = "A3"
    """Several references of one client name documents that add up to the payment."""
    A4 = "A4"
    """One reference, less than is owed, and the payer is the client: paid in part."""
    A5 = "A5"
    """One reference, more than is owed, and the payer is the client: paid whole, the rest is left."""


class Veto(StrEnum):
    """What turns an automatic match into a suggestion, whatever else speaks for it."""

    V1 = "V1"
    """The payer's account is known for other clients only."""
    V2 = "V2"
    """Others owe the same amount, and nothing shows that the payer is this client: a slip would go unseen."""
    V3 = "V3"
    """The references name documents that cannot be meant together."""
    V4 = "V4"
    """A reference one slip away names the same debt of a client whom the payer looks like as well."""
    V5 = "V5"
    """The reference is the one a client always uses: it names the client and no document."""
    V6 = "V6"
    """The same money was sent back later."""
    V7 = "V7"
    """One reference names several documents."""
    V8 = "V8"
    """The references can be read in two ways that both are exact: one document, or several together."""


class Provenance(StrEnum):
    """How a payer's account became known."""

    HUMAN = "human"
    AUTO = "auto"
    """By an automatic match: it supports a reference and never speaks against one alone."""


class Payment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A movement, or the part of it that no settlement uses yet."""

    id: int
    minor: int
    """Negative where the money left."""
    currency: str
    booked_on: date
    is_pending: bool = False
    is_possible_duplicate: bool = False
    """It may be a movement that another source told, or one that was pending; nobody has said yet."""
    is_rest: bool = False
    """Another part of the movement settles something already."""
    is_returned: bool = False
    """The same money was sent back later; see `returned`."""
    variable_symbol: str = ""
    texts: tuple[str, ...] = ()
    """Message, payer's reference and whatever else the payer could write, each for itself."""
    fields: tuple[str, ...] = ("message", "reference")
    """What the texts are called, in their order; evidence says by it where a reference stands."""
    counterparty_account: str = ""
    counterparty_name: str = ""


class Invoice(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An issued document, paid and void ones too; drafts are never known."""

    id: int
    number: str
    variable_symbol: str
    client_id: int
    currency: str
    open_minor: int
    """Never negative; what is open on a credit note is what we owe."""
    issued_on: date
    due_on: date
    is_void: bool = False
    is_credit_note: bool = False
    """Settled by money that leaves."""
    creditor_reference: str = ""
    """ISO 11649, such as `RF712026001`; empty where none was printed."""
    aliases: tuple[str, ...] = ()
    """Other numbers that name it: of the order, of the proforma, of a document it replaces."""


class Line(NamedTuple):
    """A positive amount of an invoice, in the invoice's currency."""

    invoice_id: int
    minor: int


class Reason(NamedTuple):
    """One fact for or against, by code; `explain` says it in words and `located` where it stands."""

    code: str
    values: Mapping[str, str | int] = {}


class Span(NamedTuple):
    """A place in a field of the payment as the bank sent it; `end` is exclusive."""

    field: str
    start: int
    end: int


class Check(NamedTuple):
    """A veto that was looked at, and whether nothing speaks against the match."""

    veto: Veto
    ok: bool


class Candidate(NamedTuple):
    """What a person may choose: the lines it would settle, and the facts that speak for it and against it."""

    lines: tuple[Line, ...]
    for_: tuple[Reason, ...] = ()
    against: tuple[Reason, ...] = ()


class Verdict(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What was concluded for one payment; `settle` is filled exactly when the port is AUTO."""

    port: Port
    tier: Tier | None = None
    settle: tuple[Line, ...] = ()
    because: tuple[Reason, ...] = ()
    """For AUTO the facts it rests on, else the first condition that failed."""
    candidates: tuple[Candidate, ...] = ()
    """The best first; three at most."""
    checked: tuple[Check, ...] = ()
    """For AUTO all vetoes, which hold; else the one that does not, if it was a veto."""
    client_id: int | None = None
    """Whose documents are settled."""


def written(minor: int, currency: str) -> str:
    """Return an amount as reasons hold it, such as `-1210.00 CZK`."""
    whole, rest = divmod(abs(minor), 100)
    return f"{'-' if minor < 0 else ''}{whole}.{rest:02d} {currency}"
