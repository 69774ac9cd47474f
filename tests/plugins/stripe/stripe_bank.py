"""A pretend Stripe, built from its public API reference: balance, balance transactions and payouts.

Amounts are in the smallest units of the currency. What is not told here is refused, as Stripe refuses it.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any, ClassVar, Final

import httpx

from kvit.kernel.money import Money
from kvit.plugins.stripe.client import VERSION
from kvit.testing import Movement, PretendBank

ACCOUNT: Final = "acct_1KvitPretendAbcd"
WEBHOOK_SECRET: Final = "whsec_pretend0123456789abcdef"
SETTLES_AFTER: Final = timedelta(days=3)
_MOST_ROWS: Final = 100
_LIST_PARAMS: Final = {"limit", "starting_after", "created[gte]", "created[lt]", "expand[]"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A balance transaction."""

    id: str
    amount: int
    fee: int
    currency: str
    created: int
    available_on: int
    category: str
    type: str
    source: str = ""
    payout: str = ""
    is_held: bool = False
    """Pending whatever the time."""
    balance_type: str = "payments"


@dataclass
class Books:
    """What Stripe knows besides the movements that the kit fills in."""

    rows: list[Row] = field(default_factory=list)
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Charges, refunds, disputes and payouts by their ids."""
    made: int = 0

    def new_id(self, kind: str) -> str:
        self.made += 1
        return f"{kind}_3Kvit{self.made:08d}"


class StripeBank(PretendBank):
    secret: ClassVar[str] = "rk_live_pretend7f3a9c41e8d25b60"
    tells_pending = True

    def __init__(self) -> None:
        super().__init__()
        self.books = Books()
        self.lacks: dict[str, str] = {}
        """Rights that the key lacks, by path, such as `{"/v1/payouts": "rak_payout_read"}`."""
        self.unreconciled: set[str] = set()
        """Payouts of which Stripe does not know yet what they are made of."""

    # What happens at Stripe

    def sale(
        self,
        day: date,
        amount: int,
        fee: int,
        *,
        currency: str = "czk",
        seconds: int = 36_000,
        description: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Let a buyer pay by card and return the charge's id."""
        charge = self._object(
            "ch", "charge", amount, currency, description=description or None, metadata=metadata or {}
        )
        self._row("charge", "charge", amount, fee, currency, day, seconds, charge)
        return charge

    def refund(
        self,
        charge: str,
        day: date,
        amount: int,
        *,
        seconds: int = 40_000,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Give a part of a charge back; Stripe keeps its fee."""
        currency = self.books.objects[charge]["currency"]
        refund = self._object("re", "refund", amount, currency, charge=charge, metadata=metadata or {})
        self._row("refund", "refund", -amount, 0, currency, day, seconds, refund)
        return refund

    def refund_failure(self, refund: str, day: date, *, seconds: int = 41_000) -> None:
        """The buyer's bank does not take a refund, so the money is back."""
        told = self.books.objects[refund]
        self._row(
            "refund_failure", "refund_failure", told["amount"], 0, told["currency"], day, seconds, refund
        )

    def dispute(self, charge: str, day: date, fee: int, *, seconds: int = 42_000) -> str:
        """The buyer's bank takes the whole charge back, and Stripe a fee."""
        amount, currency = self._sum_of(charge)
        dispute = self._object("dp", "dispute", amount, currency, charge=charge, metadata={})
        self._row("adjustment", "dispute", -amount, fee, currency, day, seconds, dispute)
        return dispute

    def dispute_won(self, dispute: str, day: date, *, seconds: int = 43_000) -> None:
        told = self.books.objects[dispute]
        self._row(
            "adjustment", "dispute_reversal", told["amount"], 0, told["currency"], day, seconds, dispute
        )

    def uncaptured(self, charge: str, day: date, amount: int, *, seconds: int = 36_001) -> None:
        """Less was captured of the charge than had been authorized."""
        currency = self.books.objects[charge]["currency"]
        self._row("adjustment", "partial_capture_reversal", -amount, 0, currency, day, seconds, charge)

    def cost(self, day: date, amount: int, *, currency: str = "czk", seconds: int = 44_000) -> None:
        """Stripe charges something that belongs to no payment."""
        self._row("stripe_fee", "fee", -amount, 0, currency, day, seconds, "")

    def other(self, category: str, day: date, amount: int, **more: Any) -> None:
        """Anything else, such as a reserve or a top-up."""
        self._row(category, category, amount, 0, more.pop("currency", "czk"), day, 45_000, "", **more)

    def pay_out(
        self,
        day: date,
        *,
        currency: str = "czk",
        status: str = "paid",
        automatic: bool = True,
        amount: int | None = None,
        fee: int = 0,
        seconds: int = 3_600,
    ) -> str:
        """Pay out all that is available, or by hand an amount, and return the payout's id."""
        made = _moment(day, seconds)
        open_ids = {
            row.id
            for row in self.books.rows
            if row.currency == currency and not row.payout and row.available_on <= made and not row.is_held
        }
        total = sum(row.amount - row.fee for row in self.books.rows if row.id in open_ids) - fee
        total = total if amount is None else amount
        payout = self._object(
            "po",
            "payout",
            total,
            currency,
            automatic=automatic,
            status=status,
            created=made,
            arrival_date=_moment(day + timedelta(days=2), 0),
        )
        if automatic:
            self.books.rows = [
                replace(row, payout=payout) if row.id in open_ids else row for row in self.books.rows
            ]
        self._row(
            "payout",
            "payout",
            -total,
            fee,
            currency,
            day,
            seconds,
            payout,
            payout=payout if automatic else "",
            available_on=made,
        )
        return payout

    def arrive(self, payout: str) -> None:
        self.books.objects[payout]["status"] = "paid"

    def send_back(self, payout: str, day: date, *, seconds: int = 50_000) -> None:
        """The bank does not take a payout, so the money is on the balance again."""
        told = self.books.objects[payout]
        told["status"] = "failed"
        self._row(
            "payout_failure",
            "payout_reversal",
            told["amount"],
            0,
            told["currency"],
            day,
            seconds,
            payout,
            available_on=_moment(day, seconds),
        )

    def rows(self) -> list[Row]:
        """Return all balance transactions, the newest first; of one second the later made one first."""
        rows = [*self.books.rows, *(self._row_of(item) for item in self.listed())]
        return sorted(rows, key=lambda row: (row.created, row.id), reverse=True)

    def total(self, currency: str, *, payout: str = "") -> Money:
        """Return what the rows moved the balance by: all of them, or those of one payout but itself."""
        net = sum(
            row.amount - row.fee
            for row in self.rows()
            if row.currency == currency and (not payout or (row.payout == payout and row.type != "payout"))
        )
        return Money(net, currency.upper())

    # The API

    def answer(self, request: httpx.Request) -> httpx.Response:
        if not self.carries(request):
            return self.refused(request)
        if request.headers.get("Stripe-Version") != VERSION or request.method != "GET":
            return _error(400, "Invalid Stripe API version or method.")
        path, params = request.url.path, dict(request.url.params)
        if path in self.lacks:
            return self._forbidden(self.lacks[path])
        match path:
            case "/v1/account":
                return httpx.Response(200, json=self._account())
            case "/v1/balance":
                return httpx.Response(200, json=self._balance())
            case "/v1/balance_transactions":
                return self._balance_transactions(params, request.url.params.get_list("expand[]"))
            case "/v1/payouts":
                return self._payouts(params)
            case _:
                return _error(404, f"Unrecognized request URL (GET: {path}).")

    def refused(self, request: httpx.Request) -> httpx.Response:
        return _error(401, f"Invalid API Key provided: {self._masked()}")

    def slowed(self, request: httpx.Request) -> httpx.Response:
        answer = _error(429, "Request rate limit exceeded.", type="rate_limit_error")
        answer.headers["Stripe-Rate-Limited-Reason"] = "global-rate"
        return answer

    def _forbidden(self, right: str) -> httpx.Response:
        return _error(
            403,
            f"The provided key '{self._masked()}' does not have the required permissions for this endpoint "
            f"on account '{ACCOUNT}'. Having the '{right}' permission would allow this request to continue.",
        )

    def _masked(self) -> str:
        return f"{self.secret[:8]}{'*' * 12}{self.secret[-4:]}"

    def _account(self) -> dict[str, Any]:
        return {
            "id": ACCOUNT,
            "object": "account",
            "business_profile": {"name": "Eva Nová"},
            "settings": {"dashboard": {"display_name": "Eva Nová", "timezone": self.zone.key}},
        }

    def _balance(self) -> dict[str, Any]:
        sums: dict[tuple[str, str], int] = {}
        for row in self.rows():
            if row.balance_type == "payments":
                key = self._status(row), row.currency
                sums[key] = sums.get(key, 0) + row.amount - row.fee
        currencies = sorted({row.currency for row in self.rows()} or {"czk"})
        return {
            "object": "balance",
            "livemode": "_live_" in self.secret,
            **{
                status: [{"amount": sums.get((status, each), 0), "currency": each} for each in currencies]
                for status in ("available", "pending")
            },
        }

    def _balance_transactions(self, params: Mapping[str, str], expand: Sequence[str]) -> httpx.Response:
        if unknown := set(params) - _LIST_PARAMS - {"payout"}:
            return _error(400, f"Received unknown parameter: {min(unknown)}")
        rows: Iterable[Row] = self.rows()
        if payout := params.get("payout"):
            if not self.books.objects[payout]["automatic"]:
                return _error(
                    400,
                    "Balance transaction history can only be filtered on automatic transfers, not manual.",
                )
            rows = [row for row in rows if row.payout == payout]
        return self._list([self._told(row, expand) for row in rows], params)

    def _payouts(self, params: Mapping[str, str]) -> httpx.Response:
        if unknown := set(params) - _LIST_PARAMS:
            return _error(400, f"Received unknown parameter: {min(unknown)}")
        payouts = [each for each in self.books.objects.values() if each["object"] == "payout"]
        payouts = sorted(payouts, key=lambda each: (each["created"], each["id"]), reverse=True)
        return self._list([self._payout(each) for each in payouts], params)

    def _payout(self, payout: Mapping[str, Any]) -> dict[str, Any]:
        if not payout["automatic"]:
            reconciliation = "not_applicable"
        elif payout["id"] in self.unreconciled:
            reconciliation = "in_progress"
        else:
            reconciliation = "completed"
        return {**payout, "reconciliation_status": reconciliation}

    def _list(self, found: Sequence[Mapping[str, Any]], params: Mapping[str, str]) -> httpx.Response:
        rows = [
            row
            for row in found
            if int(params.get("created[gte]", 0)) <= row["created"] < int(params.get("created[lt]", 1 << 40))
        ]
        size = min(int(params.get("limit", 10)), _MOST_ROWS, self.page_size)
        start = 0
        if after := params.get("starting_after"):
            place = next((at for at, row in enumerate(found) if row["id"] == after), None)
            if place is None:
                return _error(400, f"No such object: '{after}'")
            older = {row["id"] for row in found[place + 1 :]}
            start = next((at for at, row in enumerate(rows) if row["id"] in older), len(rows))
        page = rows[max(0, start - self.overlap) : start + size] if after else rows[:size]
        return httpx.Response(
            200, json={"object": "list", "data": page, "has_more": start + size < len(rows)}
        )

    def _told(self, row: Row, expand: Sequence[str]) -> dict[str, Any]:
        return {
            "id": row.id,
            "object": "balance_transaction",
            "amount": row.amount,
            "available_on": row.available_on,
            "balance_type": row.balance_type,
            "created": row.created,
            "currency": row.currency,
            "description": self.books.objects.get(row.source, {}).get("description"),
            "exchange_rate": None,
            "fee": row.fee,
            "net": row.amount - row.fee,
            "reporting_category": row.category,
            "source": self._source(row.source, expand),
            "status": self._status(row),
            "type": row.type,
        }

    def _source(self, id: str, expand: Sequence[str]) -> object:
        if "data.source" not in expand or id not in self.books.objects:
            return id or None
        source = dict(self.books.objects[id])
        if "data.source.charge" in expand and source.get("charge"):
            source["charge"] = self.books.objects[source["charge"]]
        return source

    def _status(self, row: Row) -> str:
        return "pending" if row.is_held or row.available_on > int(self.now.timestamp()) else "available"

    def _sum_of(self, id: str) -> tuple[int, str]:
        told = self.books.objects[id]
        return told["amount"], told["currency"]

    def _object(self, kind: str, name: str, amount: int, currency: str, **more: Any) -> str:
        id_ = self.books.new_id(kind)
        self.books.objects[id_] = {"id": id_, "object": name, "amount": amount, "currency": currency, **more}
        return id_

    def _row(
        self,
        type: str,
        category: str,
        amount: int,
        fee: int,
        currency: str,
        day: date,
        seconds: int,
        source: str,
        *,
        available_on: int | None = None,
        **more: Any,
    ) -> None:
        created = _moment(day, seconds)
        settled = _moment(day + SETTLES_AFTER, 0)
        self.books.rows.append(
            Row(
                id=self.books.new_id("txn"),
                amount=amount,
                fee=fee,
                currency=currency,
                created=created,
                available_on=settled if available_on is None else available_on,
                category=category,
                type=type,
                source=source,
                **more,
            )
        )

    def _row_of(self, item: Movement) -> Row:
        """Tell a movement of the kit, without a fee."""
        created = int(item.booked_at.timestamp())
        is_sale = item.amount > 0
        return Row(
            id=item.id and f"txn_{item.id}",
            amount=Money.of(item.amount, item.currency).minor,
            fee=0,
            currency=item.currency.lower(),
            created=created,
            available_on=created,
            category="charge" if is_sale else "refund",
            type="charge" if is_sale else "refund",
            is_held=item.pending,
        )


def signed(body: bytes, moment: datetime, *secrets: str, scheme: str = "v1") -> str:
    """Return the header by which Stripe signs a message with each of these secrets."""
    t = str(int(moment.timestamp()))
    macs = [hmac.new(each.encode(), t.encode() + b"." + body, sha256).hexdigest() for each in secrets]
    return ",".join((f"t={t}", *(f"{scheme}={mac}" for mac in macs)))


def message(type: str, *, id: str = "evt_1Kvit0001", livemode: bool = True, **more: Any) -> bytes:
    """Return the body of a webhook event."""
    return json.dumps({"id": id, "object": "event", "type": type, "livemode": livemode, **more}).encode()


def _moment(day: date, seconds: int) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) + seconds


def _error(status: int, message: str, *, type: str = "invalid_request_error") -> httpx.Response:
    return httpx.Response(status, json={"error": {"message": message, "type": type}})
