"""What the plugin remembers between syncs, as the cursor's JSON and as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from kvit.plugin import Json


@dataclass(frozen=True, slots=True)
class Balance:
    """What the account held before a day began."""

    before: date
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """A reading that was stopped: it goes on from `next_day`, and every day before is read.

    It goes on only while the owner's wish is the `days_back` it was begun with.
    """

    next_day: date
    begun_on: date
    is_whole: bool
    days_back: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    synced_through: date | None = None
    """Every day from `reads_from` to this one was read; None before the first sync."""
    reads_from: date | None = None
    """The first day the owner wished; earlier ones are asked for only when a later wish reaches there."""
    read_all_on: date | None = None
    """When all days that Fio gives without an unlock were last read again."""
    span_days: int | None = None
    """How many days fitted into one answer, where not all did."""
    unfinished: Unfinished | None = None
    balance: Balance | None = None
    """To be compared with what the next sync is told."""
    too_large: tuple[date, ...] = ()
    """Days that hold more movements than Fio gives; the owner was told."""

    @classmethod
    def of(cls, stored: Mapping[str, Json]) -> Cursor:
        """Read what `as_json` wrote, now or in an earlier version."""
        told: Mapping[str, Any] = stored
        unfinished, balance = told.get("unfinished"), told.get("balance")
        return cls(
            synced_through=_day(told.get("synced_through")),
            reads_from=_day(told.get("reads_from")),
            read_all_on=_day(told.get("read_all_on")),
            span_days=told.get("span_days"),
            unfinished=_unfinished(unfinished) if unfinished else None,
            balance=Balance(date.fromisoformat(balance["before"]), Decimal(balance["amount"]))
            if balance
            else None,
            too_large=tuple(date.fromisoformat(day) for day in told.get("too_large", ())),
        )

    def as_json(self) -> dict[str, Json]:
        """Return what is known as JSON; what is not known is left out."""
        written: dict[str, Json] = {
            "synced_through": _text(self.synced_through),
            "reads_from": _text(self.reads_from),
            "read_all_on": _text(self.read_all_on),
            "span_days": self.span_days,
            "too_large": [day.isoformat() for day in self.too_large],
        }
        if self.unfinished is not None:
            written["unfinished"] = {
                "next_day": self.unfinished.next_day.isoformat(),
                "begun_on": self.unfinished.begun_on.isoformat(),
                "is_whole": self.unfinished.is_whole,
                "days_back": self.unfinished.days_back,
            }
        if self.balance is not None:
            written["balance"] = {
                "before": self.balance.before.isoformat(),
                "amount": str(self.balance.amount),
            }
        return {name: value for name, value in written.items() if value}


def _unfinished(told: Mapping[str, Any]) -> Unfinished:
    return Unfinished(
        next_day=date.fromisoformat(told["next_day"]),
        begun_on=date.fromisoformat(told["begun_on"]),
        is_whole=told["is_whole"],
        days_back=told["days_back"],
    )


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _text(day: date | None) -> str | None:
    return day.isoformat() if day else None
