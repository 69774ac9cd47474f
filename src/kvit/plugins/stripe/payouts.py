"""What a payout is made of: sales, refunds and costs that add up to what arrives in the bank.

Stripe keeps the connection between a payout and its transactions for automatic payouts only
(docs.stripe.com/payouts/reconciliation).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from kvit.plugin import Checkpoint, Context, Item, Payout, PayoutLine, RecordError, Unreadable
from kvit.plugins.stripe.amounts import amount_of, currency_of, is_in_hundredths
from kvit.plugins.stripe.client import StripeClient
from kvit.plugins.stripe.cursor import Cursor
from kvit.plugins.stripe.entries import Entry, moment_of, text_of, units_of
from kvit.plugins.stripe.movements import PATH as ENTRIES_PATH
from kvit.plugins.stripe.movements import midnight, unreadable
from kvit.plugins.stripe.references import reference_of

PATH: Final = "/v1/payouts"
OVERLAP: Final = int(timedelta(days=7).total_seconds())
WAITS_FOR: Final = timedelta(days=60)
"""How long a payout may be on its way, or unclear, until it is no longer asked for."""
EXPANDED: Final = {"expand[]": ("data.source", "data.source.charge")}
"""Charges, refunds and disputes themselves, and the charges of the latter two."""

_SALE: Final = "charge"
_TAKEN_BACK: Final = ("refund", "dispute", "charge_failure")
_UNCAPTURED: Final = "partial_capture_reversal"
_COSTS: Final = ("fee", "network_cost", "other_adjustment")
"""As in the profile that reads the payout report of Stripe."""
_NEVER_ARRIVED: Final = ("failed", "canceled")
_LINES_KNOWN: Final = ("completed", None)
"""Where Stripe does not tell it, whether the lines make up the sum does."""
_NO_LINES: Final = "not_applicable"
_PAYOUT: Final = "payout"
_PAYOUT_RETURNED: Final = "payout_reversal"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the owner of the connection said about the payouts."""

    metadata_field: str
    """The name of the metadata that holds the document's number; empty for the usual names."""
    payer_account: str
    """The account that Stripe pays from, as the bank writes it; empty where it is not known."""


class _Line(NamedTuple):
    """A line in the smallest units of the payout's currency."""

    reference: str
    gross: int
    fee: int

    @property
    def net(self) -> int:
        return self.gross - self.fee


def read(client: StripeClient, wishes: Wishes, cursor: Cursor, ctx: Context) -> Generator[Item, None, Cursor]:
    """Yield the payouts that have become known whole, each with a checkpoint, and return the new cursor.

    A payout is told when Stripe has paid it and knows what it is made of; until then it is asked for again.
    One that was made by hand is only mentioned in the run's log.
    """
    since = cursor.payouts_from or 0
    given_up = midnight(ctx.today - WAITS_FOR)
    waiting: list[int] = []
    newest = since
    moments: dict[str, int] = {}
    for row in _listed(client, since):
        try:
            id_, created = text_of(row, "id"), moment_of(row, "created")
        except RecordError as error:
            yield unreadable(row, error)
            continue
        moments[id_], newest = created, max(newest, created)
        if id_ in cursor.payouts_done:
            continue
        is_over = yield from _tell(client, row, wishes, ctx)
        if not is_over and created >= given_up:
            waiting.append(created)
            continue
        if not is_over:
            ctx.warn(f"Kvit waits no longer for the payout {id_}, made {WAITS_FOR.days} days ago.")
        cursor = replace(cursor, payouts_done=(*cursor.payouts_done, id_))
        yield Checkpoint(cursor.as_json())
    payouts_from = max(since, min((newest - OVERLAP, *waiting)))
    done = tuple(id_ for id_ in cursor.payouts_done if moments.get(id_, -1) >= payouts_from)
    cursor = replace(cursor, payouts_from=payouts_from, payouts_done=done)
    yield Checkpoint(cursor.as_json())
    return cursor


def _listed(client: StripeClient, since: int) -> Iterator[Mapping[str, Any]]:
    """Yield the payouts made from `since` on, the oldest first."""
    pages = list(client.pages(PATH, {"created[gte]": str(since)}))
    for rows in reversed(pages):
        yield from reversed(rows)


def _tell(
    client: StripeClient, row: Mapping[str, Any], wishes: Wishes, ctx: Context
) -> Generator[Item, None, bool]:
    """Yield what there is to tell of a payout, and return whether that was all there ever will be."""
    status = row.get("status")
    if status in _NEVER_ARRIVED:
        return True
    if status != "paid":
        return False
    reconciliation = row.get("reconciliation_status")
    if row.get("automatic") is False or reconciliation == _NO_LINES:
        ctx.warn(
            f"The payout {row['id']} was made by hand; of such a one Stripe does not say what it is made of. "
            "Settle its invoices yourself, or switch on automatic payouts in Stripe."
        )
        return True
    if reconciliation not in _LINES_KNOWN:
        return False
    item = _payout(client, row, wishes)
    yield item
    return isinstance(item, Payout)


def _payout(client: StripeClient, row: Mapping[str, Any], wishes: Wishes) -> Payout | Unreadable:
    try:
        currency, net = currency_of(row.get("currency")), units_of(row, "amount")
        paid_on = datetime.fromtimestamp(moment_of(row, "arrival_date"), UTC).date()
        lines = _Reading(client, currency, wishes.metadata_field).lines(row["id"], frozenset())
        made_up = sum(line.net for line in lines)
        if made_up != net or not lines:
            raise RecordError(
                "The transactions of the payout make up {sum} {currency}, but {net} were paid out.",
                field="amount",
                sum=amount_of(made_up, currency),
                net=amount_of(net, currency),
                currency=currency,
            )
        return Payout(
            external_id=row["id"],
            paid_on=paid_on,
            currency=currency,
            net=_amount(net, currency),
            lines=[
                PayoutLine(
                    reference=line.reference,
                    gross=_amount(line.gross, currency),
                    fee=_amount(line.fee, currency),
                )
                for line in lines
            ],
            bank_account=wishes.payer_account,
        )
    except RecordError as error:
        return unreadable(row, error)


def _amount(units: int, currency: str) -> Decimal:
    if not is_in_hundredths(units, currency):
        raise RecordError(
            "The payout holds {amount} {currency}, and Kvit counts in hundredths.",
            field="amount",
            amount=amount_of(units, currency),
            currency=currency,
        )
    return amount_of(units, currency)


@dataclass(frozen=True, slots=True)
class _Reading:
    """Reads what payouts in one currency are made of."""

    client: StripeClient
    currency: str
    metadata_field: str

    def lines(self, payout_id: str, outer: frozenset[str]) -> list[_Line]:
        """Return the lines of a payout, the oldest first. Raises RecordError where one is unclear.

        A payout that the bank sent back is paid out again with a later one: the lines of the former are
        lines of the latter then. `outer` are the payouts within which it is read.
        """
        inside = outer | {payout_id}
        return [
            line
            for entry in _captured(self._entries(payout_id))
            for line in self._lines_of(entry, payout_id, inside)
            if line.gross or line.fee
        ]

    def _entries(self, payout_id: str) -> list[Entry]:
        rows = [
            row for page in self.client.pages(ENTRIES_PATH, {"payout": payout_id, **EXPANDED}) for row in page
        ]
        entries = {entry.id: entry for entry in map(Entry.of, reversed(rows))}
        if any(entry.currency != self.currency for entry in entries.values()):
            raise RecordError("A transaction of the payout is in another currency.", field="currency")
        return list(entries.values())

    def _lines_of(self, entry: Entry, payout_id: str, inside: frozenset[str]) -> list[_Line]:
        if entry.category == _PAYOUT and entry.source_id == payout_id:
            return [_Line("", 0, entry.fee)]
        if entry.category == _PAYOUT_RETURNED:
            return [*self._returned(entry, inside), _Line("", 0, entry.fee)]
        if entry.category in _COSTS:
            return [_Line("", 0, -entry.net)]
        if not entry.gross:
            return [_Line("", 0, entry.fee)]
        return [_Line(self._reference(entry), entry.gross, entry.fee)]

    def _returned(self, entry: Entry, inside: frozenset[str]) -> list[_Line]:
        """Return the lines of the payout that came back, where they are known and make up its sum."""
        former = entry.source_id
        if entry.source.get("automatic") is True and former not in inside:
            lines = self.lines(former, inside)
            if sum(line.net for line in lines) == entry.gross:
                return lines
        return [_Line(former or entry.id, entry.gross, 0)]

    def _reference(self, entry: Entry) -> str:
        """Return what a line names: money that comes back to us without a sale names no document."""
        if entry.category == _SALE or (entry.category in _TAKEN_BACK and entry.gross < 0):
            return reference_of(entry, self.metadata_field)
        return entry.source_id or entry.id


def _captured(entries: Iterable[Entry]) -> Iterable[Entry]:
    """Take from each sale what was authorized and never captured, which Stripe books as a reversal."""
    kept: dict[str, Entry] = {}
    sales: dict[str, str] = {}
    for entry in entries:
        if entry.category == _SALE:
            sales[entry.source_id] = entry.id
        sale = kept.get(sales.get(entry.source_id, "")) if entry.category == _UNCAPTURED else None
        if sale is None:
            kept[entry.id] = entry
        else:
            kept[sale.id] = replace(
                sale, gross=sale.gross + entry.gross, fee=sale.fee + entry.fee, net=sale.net + entry.net
            )
    return kept.values()
