"""One balance transaction: a checked value from what the API tells.

What it is, Stripe says by `reporting_category` (docs.stripe.com/reports/reporting-categories), which is finer
than `type`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kvit.plugin import RecordError
from kvit.plugins.stripe.amounts import currency_of

PAYMENTS = "payments"
"""The balance that sales go to and payouts come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A movement on the balance; amounts are in the smallest units of the currency, incoming is positive."""

    id: str
    category: str
    gross: int
    fee: int
    """What Stripe kept of it; negative where it gave a fee back."""
    net: int
    """What the balance moved by: gross less fee."""
    currency: str
    created: int
    """Seconds since 1970."""
    available_on: int
    is_pending: bool
    """Whether its money cannot be paid out yet."""
    balance: str
    source: Mapping[str, Any]
    """The charge, refund, dispute or payout behind it; of one that was not expanded only the `id`."""
    description: str
    record: Mapping[str, Any]

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Entry:
        """Check a record. Raises RecordError naming the field that does not hold."""
        entry = cls(
            id=text_of(record, "id"),
            category=_text(record, "reporting_category") or _text(record, "type"),
            gross=units_of(record, "amount"),
            fee=units_of(record, "fee"),
            net=units_of(record, "net"),
            currency=currency_of(record.get("currency")),
            created=moment_of(record, "created"),
            available_on=moment_of(record, "available_on"),
            is_pending=_is_pending(record),
            balance=_text(record, "balance_type") or PAYMENTS,
            source=_source(record),
            description=_text(record, "description"),
            record=record,
        )
        if entry.gross - entry.fee != entry.net:
            raise RecordError("The amount less the fee is not the net amount.", field="net")
        return entry

    @property
    def source_id(self) -> str:
        return _text(self.source, "id")


def text_of(record: Mapping[str, Any], name: str) -> str:
    """Return a text that must be there. Raises RecordError."""
    text = _text(record, name).strip()
    if not text:
        raise RecordError("The record has no {name}.", field=name, name=name)
    return text


def units_of(record: Mapping[str, Any], name: str) -> int:
    """Return an amount in the smallest units. Raises RecordError."""
    value = record.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise RecordError("The amount is not a whole number of the smallest units.", field=name)
    return value


def moment_of(record: Mapping[str, Any], name: str) -> int:
    """Return a moment in seconds since 1970. Raises RecordError."""
    value = record.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 32:
        raise RecordError("The record does not say when it was.", field=name)
    return value


def _text(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    return value if isinstance(value, str) else ""


def _is_pending(record: Mapping[str, Any]) -> bool:
    status = record.get("status")
    if status not in ("available", "pending"):
        raise RecordError("“{status}” is not a status.", field="status", status=str(status)[:40])
    return bool(status == "pending")


def _source(record: Mapping[str, Any]) -> Mapping[str, Any]:
    source = record.get("source")
    if isinstance(source, dict):
        return source
    return {"id": source} if isinstance(source, str) else {}
