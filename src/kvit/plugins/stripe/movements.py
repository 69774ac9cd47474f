"""The movements on the balance, read in slices of time so that a reading that was stopped goes on.

The list has the newest first, so how far it was read may be promised only where a whole slice was.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from kvit.plugin import Account, Checkpoint, Item, RecordError, Transaction, Unreadable
from kvit.plugins.stripe.amounts import amount_of, currency_of, is_in_hundredths
from kvit.plugins.stripe.client import StripeClient
from kvit.plugins.stripe.cursor import Cursor
from kvit.plugins.stripe.entries import PAYMENTS, Entry

PATH: Final = "/v1/balance_transactions"
OVERLAP: Final = int(timedelta(days=7).total_seconds())
"""A list may show a record later than its `created` says; what is read again is stored once."""
SLICE: Final = int(timedelta(days=30).total_seconds())
"""How much is read between two checkpoints."""


@dataclass(frozen=True, slots=True)
class Balance:
    """The balance of one Stripe account, which holds an own account for each currency."""

    owner: str
    """The Stripe account, `acct_…`; of test data with a word behind it."""
    available: Mapping[str, Decimal | None]
    """What can be paid out, by currency; None where Kvit cannot hold the amount."""
    zone: ZoneInfo

    @classmethod
    def of(cls, told: Mapping[str, Any], *, owner: str, zone: ZoneInfo) -> Balance:
        """Read the answer of `/v1/balance`. Raises RecordError for amounts that are none."""
        available: dict[str, Decimal | None] = {}
        for part in ("pending", "available"):
            for row in _rows(told, part):
                currency, units = currency_of(row.get("currency")), row.get("amount")
                if not isinstance(units, int) or isinstance(units, bool):
                    raise RecordError("The balance is not a whole number.", field="amount")
                fits = part == "available" and is_in_hundredths(units, currency)
                available[currency] = amount_of(units, currency) if fits else available.get(currency)
        return cls(owner, available, zone)

    def accounts(self) -> Iterator[Account]:
        """Yield the accounts that the balance itself names, with what can be paid out of them."""
        for currency in self.available:
            yield self.account(currency, PAYMENTS)

    def account(self, currency: str, balance: str) -> Account:
        """Return the own account of a currency; Stripe keeps reserves and the like apart from payments."""
        is_main = balance == PAYMENTS
        name = f"Stripe {currency}" if is_main else f"Stripe {currency} ({balance})"
        return Account(
            external_id=self.account_id(currency, balance),
            name=name,
            currency=currency,
            balance=self.available.get(currency) if is_main else None,
        )

    def account_id(self, currency: str, balance: str) -> str:
        return f"{self.owner} {currency}" if balance == PAYMENTS else f"{self.owner} {currency} {balance}"

    def transaction(self, entry: Entry) -> Transaction:
        """Return the movement: what the balance really moved by, which is gross less fee.

        It names no invoice: the payout does, and the invoice must be settled by one of the two only.
        """
        return Transaction(
            external_id=entry.id,
            account_id=self.account_id(entry.currency, entry.balance),
            amount=amount_of(entry.net, entry.currency),
            currency=entry.currency,
            booked_on=self._day(entry.created),
            value_on=self._day(entry.available_on),
            message=f"{entry.category.replace('_', ' ').capitalize()} {entry.source_id}".strip(),
            status="pending" if entry.is_pending else "booked",
            is_bank_id=True,
            raw=entry.record,
        )

    def _day(self, moment: int) -> date:
        return datetime.fromtimestamp(moment, self.zone).date()


def _rows(told: Mapping[str, Any], part: str) -> Iterable[Mapping[str, Any]]:
    rows = told.get(part) or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise RecordError("The balance is no list of amounts.", field=part)
    return rows


def read(
    client: StripeClient, balance: Balance, cursor: Cursor, today: date
) -> Generator[Item, None, Cursor]:
    """Yield the movements that are new, late or were pending, slice by slice, and return the new cursor."""
    known = {account.external_id for account in balance.accounts()}
    unsettled: int | None = None
    for first, end in _slices(_start(cursor), midnight(today)):
        newest = first
        for entry in _entries(client, first, end):
            if isinstance(entry, Unreadable):
                yield entry
                continue
            account = balance.account(entry.currency, entry.balance)
            if account.external_id not in known:
                known.add(account.external_id)
                yield account
            yield balance.transaction(entry)
            newest = max(newest, entry.created)
            if entry.is_pending:
                unsettled = min(entry.created, unsettled or entry.created)
        cursor = replace(
            cursor,
            read_until=max(newest if end is None else end, cursor.read_until or 0),
            again_from=unsettled if end is None else min(end, unsettled or end),
        )
        yield Checkpoint(cursor.as_json())
    return cursor


def midnight(day: date) -> int:
    """Return when a day begins in UTC, in seconds since 1970."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _start(cursor: Cursor) -> int:
    """Return from when to read; the cursor holds what its owner wishes."""
    moments = [] if cursor.again_from is None else [cursor.again_from]
    if cursor.read_until is not None:
        moments.append(max(cursor.read_until - OVERLAP, cursor.reads_from or 0))
    return min(moments)


def _slices(start: int, midnight_today: int) -> Iterator[tuple[int, int | None]]:
    """Yield periods from `start` on, the end exclusive; the last one has none."""
    while start + SLICE <= midnight_today:
        yield start, start + SLICE
        start += SLICE
    yield start, None


def _entries(client: StripeClient, first: int, end: int | None) -> Iterator[Entry | Unreadable]:
    params = {"created[gte]": str(first), **({} if end is None else {"created[lt]": str(end)})}
    for rows in client.pages(PATH, params):
        for record in rows:
            try:
                yield Entry.of(record)
            except RecordError as error:
                yield unreadable(record, error)


def unreadable(record: Mapping[str, Any], error: RecordError) -> Unreadable:
    """Put a record of the API aside, with the reason."""
    id_ = record.get("id")
    return Unreadable(
        reason=str(error),
        external_id=id_ if isinstance(id_, str) else "",
        field=error.field or "",
        raw=record,
    )
