"""The way back: payment orders that a plugin hands to the bank, where a person still authorizes them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from kvit.plugin.engine import Http


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentOrder:
    """One payment to be made; amounts are positive, absent text is empty."""

    id: str
    """Kvit's own, at most 35 letters and digits; a plugin uses it as the end-to-end id where it can."""
    amount: Decimal
    currency: str
    counterparty_account: str
    """IBAN, or `[prefix-]number/bank code`."""
    counterparty_name: str = ""
    counterparty_bic: str = ""
    counterparty_street: str = ""
    counterparty_city: str = ""
    counterparty_country: str = ""
    """Two letters (ISO 3166-1)."""
    due_on: date
    variable_symbol: str = ""
    constant_symbol: str = ""
    specific_symbol: str = ""
    message: str = ""
    """For the recipient."""
    comment: str = ""
    """For ourselves."""
    speed: Literal["standard", "priority", "instant"] = "standard"
    charges: Literal["SHA", "OUR", "BEN"] = "SHA"
    """Who pays the banks, where it is a payment abroad."""
    reason: str = ""
    """The code of the payment's purpose, where the bank wants one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentBatch:
    """Orders that are handed over together, all from one account."""

    key: str
    """The idempotency key: the same for every attempt to hand over this batch, and of no other."""
    account: str
    """The own account that pays: IBAN, or `[prefix-]number/bank code`."""
    currency: str
    """The account's."""
    orders: Sequence[PaymentOrder]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFile:
    """A batch as the bank wants it written; the engine stores it before it is sent."""

    name: str
    format: str
    """The name of the format, such as `fio-xml` or `pain.001`."""
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the bank says about the batch as a whole or about one order."""

    status: Literal["ok", "warning", "error"]
    code: str
    """The bank's own code."""
    message: str = ""
    """The bank's own words."""
    order_id: str = ""
    """The order's `id`; empty where it is about the whole batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The bank's definite answer to a batch."""

    accepted: bool
    """Whether the bank has the batch now, be it with warnings; where not, it took nothing of it."""
    reference: str = ""
    """The bank's id of the batch."""
    verdicts: Sequence[Verdict] = ()


class Push(ABC):
    """Mixin of a plugin that hands payment orders to the bank: `class Acme(Push, Plugin[C])`."""

    http: Http

    @abstractmethod
    def payment_file(self, batch: PaymentBatch) -> PaymentFile:
        """Write the batch as the bank wants it; it asks nobody, and the same batch gives the same bytes.

        Raises Misconfigured where an order is none that the bank takes; `field` then names the order's id
        and the field as `id.field`.
        """

    @abstractmethod
    def push(self, batch: PaymentBatch, file: PaymentFile) -> Receipt:
        """Hand over the file once, and return what the bank said.

        Send one request by `self.http`, and never a second: whatever is raised after it has left makes the
        batch “unknown”, and a person looks in the bank. Raises AuthExpired, RateLimited, Temporary or
        Misconfigured.
        """

    @classmethod
    def explained(cls, code: str) -> str:  # noqa: ARG003  # for those who override it
        """Return what a verdict's code means and what to do; empty where the plugin cannot say."""
        return ""
