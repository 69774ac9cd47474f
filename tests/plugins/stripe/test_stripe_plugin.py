"""The Stripe plugin, through the engine's HTTP client, against the pretend Stripe."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvit.kernel.matching import payouts as kernel
from kvit.kernel.money import Money
from kvit.plugin import (
    Account,
    AuthExpired,
    Checkpoint,
    Identity,
    Item,
    Json,
    Misconfigured,
    Payout,
    PluginError,
    RateLimited,
    Secret,
    Temporary,
    Transaction,
    Unreadable,
)
from kvit.plugins.stripe import Stripe, StripeConfig
from kvit.plugins.stripe.client import VERSION
from kvit.sync.egress import Egress
from kvit.sync.http import HttpClient
from kvit.sync.redaction import Redactor
from kvit.testing import InProcess, serving
from tests.kernel.matching.cases import index, invoice
from tests.plugins.harness import Run, http_client
from tests.plugins.stripe.stripe_bank import ACCOUNT, Row, StripeBank

DAY = timedelta(days=1)
TODAY = StripeBank().today
MARCH = TODAY - 30 * DAY
CZK, EUR = f"{ACCOUNT} CZK", f"{ACCOUNT} EUR"


@pytest.fixture
def bank() -> StripeBank:
    return StripeBank()


@contextlib.contextmanager
def opened(bank: StripeBank, **more: Any) -> Iterator[Stripe]:
    """The plugin over the engine's client, which tries each request once."""
    key = Secret(more.pop("key", bank.secret))
    http = HttpClient(
        redactor=Redactor([key]),
        egress=Egress(hosts=Stripe.hosts),
        turnstile=None,
        before_request=lambda: None,
        transport=InProcess(bank),
        tries=1,
    )
    try:
        yield Stripe(StripeConfig(api_key=key, **{"keep_balance": True, **more}), http)
    finally:
        http.close()


def run_of(bank: StripeBank, items: list[Item] | None = None) -> Run:
    """A run that goes on from the last checkpoint among the items of the one before."""
    return Run(today=bank.today, cursor=last_cursor(items or []))


def synced(bank: StripeBank, before: list[Item] | None = None, **more: Any) -> list[Item]:
    with opened(bank, **more) as plugin:
        return list(plugin.sync(run_of(bank, before)))


def last_cursor(items: list[Item]) -> Mapping[str, Json]:
    return next((item.cursor for item in reversed(items) if isinstance(item, Checkpoint)), {})


def of[T: Item](items: list[Item], kind: type[T]) -> list[T]:
    return [item for item in items if isinstance(item, kind)]


def told(items: list[Item]) -> dict[str, Transaction]:
    """The movements by their ids, as the engine stores them: the last telling of each."""
    return {item.external_id: item for item in of(items, Transaction)}


def payouts(items: list[Item]) -> dict[str, Payout]:
    found = of(items, Payout)
    assert len(found) == len({item.external_id for item in found}), "a payout was told twice"
    return {item.external_id: item for item in found}


def lines(payout: Payout) -> list[tuple[str, str, str]]:
    return [(line.reference, str(line.gross), str(line.fee)) for line in payout.lines]


def as_kernel(payout: Payout) -> kernel.Payout:
    """What matching is given, in hundredths."""

    def minor(amount: Decimal | int | str) -> int:
        return Money.of(amount, payout.currency).minor

    return kernel.Payout(
        reference=payout.external_id,
        currency=payout.currency,
        net_minor=minor(payout.net),
        paid_on=payout.paid_on,
        lines=tuple(
            kernel.PayoutLine(line.reference, minor(line.gross), minor(line.fee)) for line in payout.lines
        ),
    )


def a_month(bank: StripeBank) -> list[str]:
    """Three weeks of sales, refunds, disputes and costs in two currencies, paid out every week."""
    made = []
    for day in range(21):
        on = MARCH + day * DAY
        charge = bank.sale(on, 121_000 + day, 2_415, metadata={"variable_symbol": f"20260{day:03d}"})
        bank.sale(on, 9_900, 317, currency="eur", description=f"Faktura č. 2026-{day:04d}")
        if day % 6 == 2:
            bank.refund(charge, on + DAY, 21_000, metadata={"invoice_number": f"D2026-{day:03d}"})
        if day % 9 == 4:
            dispute = bank.dispute(charge, on + DAY, 38_000)
            bank.dispute_won(dispute, on + 5 * DAY)
        if day % 7 == 6:
            bank.cost(on, 4_900)
            made += [bank.pay_out(on), bank.pay_out(on, currency="eur")]
    return made


# Movements


def test_a_month_adds_up_to_the_balance_to_the_hundredth(bank: StripeBank) -> None:
    a_month(bank)
    items = synced(bank)

    assert not of(items, Unreadable)
    for currency in ("CZK", "EUR"):
        amounts = [item.amount for item in told(items).values() if item.currency == currency]
        assert Money.of(sum(map(Decimal, amounts)), currency) == bank.total(currency.lower())


def test_what_is_booked_adds_up_to_the_balance_that_stripe_tells_as_available(bank: StripeBank) -> None:
    bank.sale(TODAY - 10 * DAY, 121_000, 2_415)
    bank.sale(TODAY, 50_000, 900)
    items = synced(bank)

    [account] = of(items, Account)
    assert (account.external_id, account.currency) == (CZK, "CZK")
    assert account.balance == Decimal("1185.85")
    assert [(item.amount, item.status) for item in told(items).values()] == [
        (Decimal("1185.85"), "booked"),
        (Decimal("491.00"), "pending"),
    ]


def test_a_movement_of_the_balance_names_no_invoice(bank: StripeBank) -> None:
    charge = bank.sale(
        MARCH, 121_000, 2_415, description="Faktura 2026-0042", metadata={"variable_symbol": "20260042"}
    )
    [item] = told(synced(bank)).values()

    assert item.message == f"Charge {charge}"
    assert not any((item.variable_symbol, item.reference, item.counterparty_name))


def test_money_pending_is_read_again_until_it_can_be_paid_out(bank: StripeBank) -> None:
    bank.sale(TODAY - 20 * DAY, 100_000, 0)
    held = bank.sale(TODAY - 12 * DAY, 50_000, 0)
    bank.books.rows[-1] = hold(bank, until=TODAY + 4 * DAY)
    first = synced(bank)
    bank.today += 3 * DAY
    second = synced(bank, first)
    bank.today += 3 * DAY
    third = synced(bank, second)

    def status(items: list[Item]) -> str:
        return next(item.status for item in told(items).values() if held in item.message)

    assert [status(first), status(second), status(third)] == ["pending", "pending", "booked"]
    assert last_cursor(third)["again_from"] is None


def hold(bank: StripeBank, until: date) -> Row:
    """The last balance transaction, with its money kept until that day."""
    moment = int(datetime(until.year, until.month, until.day, tzinfo=UTC).timestamp())
    return replace(bank.books.rows[-1], available_on=moment)


def test_days_stay_those_of_the_zone_of_the_first_sync(bank: StripeBank) -> None:
    bank.sale(TODAY - DAY, 100_000, 0, seconds=23 * 3600)
    first = synced(bank)

    class Moved(StripeBank):
        zone = ZoneInfo("America/New_York")

    moved = Moved()
    moved.books = bank.books
    second = synced(moved, first)
    assert [item.booked_on for item in told(first).values()] == [TODAY]
    assert told(second) == told(first)


def test_a_key_that_may_not_read_the_account_gives_days_as_stripe_reports_them(bank: StripeBank) -> None:
    bank.lacks = {"/v1/account": "rak_accounts_kyc_basic_read"}
    bank.sale(TODAY - DAY, 100_000, 0, seconds=23 * 3600)

    assert [item.booked_on for item in told(synced(bank)).values()] == [TODAY - DAY]


@pytest.mark.parametrize(
    ("currency", "units", "amount"),
    [
        ("jpy", 1_500, "1500"),
        ("vnd", 7, "7"),
        ("isk", 50_000, "500.00"),
        ("ugx", 50_000, "500.00"),
        ("huf", 123_45, "123.45"),
        ("kwd", 5_120, "5.120"),
        ("eur", 1, "0.01"),
    ],
)
def test_amounts_have_the_decimals_that_stripe_gives_the_currency(
    bank: StripeBank, currency: str, units: int, amount: str
) -> None:
    bank.sale(MARCH, units, 0, currency=currency)
    [item] = told(synced(bank)).values()

    assert item.amount == Decimal(amount)
    assert Money.of(item.amount, item.currency).amount == Decimal(amount)


def test_thousandths_are_left_to_the_ledger_and_never_stop_the_balance(bank: StripeBank) -> None:
    bank.sale(MARCH, 5_123, 0, currency="kwd")
    bank.sale(MARCH, 100_000, 0)
    items = synced(bank)

    assert {item.currency: item.amount for item in told(items).values()} == {
        "KWD": Decimal("5.123"),
        "CZK": Decimal("1000.00"),
    }
    assert {item.currency: item.balance for item in of(items, Account)} == {
        "KWD": None,
        "CZK": Decimal("1000.00"),
    }


def test_a_reserve_is_an_account_beside_the_payments(bank: StripeBank) -> None:
    bank.sale(MARCH, 100_000, 0)
    bank.other("reserve_hold", MARCH, -30_000)
    bank.other("reserve_hold", MARCH, 30_000, balance_type="risk_reserved")
    items = synced(bank)

    sums: Counter[str] = Counter()
    for item in told(items).values():
        sums[item.account_id] += int(Decimal(item.amount))
    assert sums == {CZK: 700, f"{CZK} risk_reserved": 300}
    assert {item.external_id for item in of(items, Account)} == set(sums)


@pytest.mark.parametrize(
    "damage",
    [
        {"amount": 1.5},
        {"amount": "100"},
        {"amount": True},
        {"net": 1},
        {"id": " "},
        {"id": None},
        {"currency": "zzz"},
        {"currency": None},
        {"created": None},
        {"created": -1},
        {"status": "settled"},
    ],
)
def test_a_record_that_does_not_hold_is_put_aside_and_the_others_go_on(
    bank: StripeBank, damage: dict[str, Any]
) -> None:
    bank.sale(MARCH, 100_000, 0)
    bank.sale(MARCH, 200_000, 0)
    real = StripeBank.answer

    class Damaged(StripeBank):
        def answer(self, request: httpx.Request) -> httpx.Response:
            response = real(self, request)
            if request.url.path != "/v1/balance_transactions":
                return response
            page = response.json()
            if page["data"]:
                page["data"][0] |= damage
            return httpx.Response(200, json=page)

    damaged = Damaged()
    damaged.books = bank.books
    items = synced(damaged)

    assert [item.amount for item in told(items).values()] == [Decimal("1000.00")]
    [aside] = {item.reason for item in of(items, Unreadable)}
    assert aside


# Going on


def test_a_reading_stopped_at_any_request_goes_on_to_exactly_the_whole() -> None:
    bank = with_pages_of(7)
    a_month(bank)
    whole = synced(bank)
    asked = len(bank.requests)

    for stop in range(asked):
        got = stopped(bank, after=stop)
        both = [*got, *synced(bank, got)]
        assert told(both) == told(whole)
        assert payouts(both) == payouts(whole)
    assert asked > 20


def with_pages_of(size: int) -> StripeBank:
    class Small(StripeBank):
        page_size = size

    return Small()


def stopped(bank: StripeBank, before: list[Item] | None = None, *, after: int, **more: Any) -> list[Item]:
    """Return what a sync told and kept that was throttled after so many requests."""
    got: list[Item] = []
    bank.requests.clear()
    bank.fault = lambda request: bank.slowed(request) if len(bank.requests) > after else None
    with opened(bank, **more) as plugin, pytest.raises(RateLimited):
        got.extend(plugin.sync(run_of(bank, before)))
    bank.fault = None
    return got[: max((at for at, item in enumerate(got) if isinstance(item, Checkpoint)), default=-1) + 1]


def test_what_is_sold_between_two_pages_is_told_once_and_not_lost() -> None:
    bank = with_pages_of(4)
    for day in range(12):
        bank.sale(TODAY - day * DAY, 100_000 + day, 0)
    news = iter(range(100))

    def sell(_: int) -> None:
        bank.sale(TODAY, 500_000 + next(news), 0, seconds=80_000)

    bank.after_answer = sell
    first = synced(bank)
    bank.after_answer = None
    second = synced(bank, first)

    amounts = Counter(item.amount for item in of(first, Transaction))
    assert max(amounts.values()) == 1
    assert {**told(first), **told(second)}.keys() == {row.id for row in bank.rows()}


def test_movements_of_one_second_are_all_told_over_two_syncs(bank: StripeBank) -> None:
    for _ in range(3):
        bank.sale(TODAY, 100_000, 0)
    first = synced(bank)
    for _ in range(30):
        bank.sale(TODAY, 100_000, 0)

    assert len(told([*first, *synced(bank, first)])) == 33


def test_the_second_sync_reads_a_week_and_not_the_quarter(bank: StripeBank) -> None:
    for day in range(60):
        bank.sale(TODAY - day * DAY, 100_000, 0)
    first = synced(bank)

    assert len(told(first)) == 60
    assert 7 <= len(told(synced(bank, first))) <= 9


def test_a_wish_for_older_movements_reads_them_also_after_a_stop(bank: StripeBank) -> None:
    for day in range(100):
        bank.sale(TODAY - day * DAY, 100_000 + day, 0)
    first = synced(bank, days_back=5)
    assert len(told(first)) <= 6

    got = stopped(bank, first, after=5, days_back=95)
    assert 0 < len(told(got)) < 90
    rest = synced(bank, got, days_back=95)
    assert len(told([*got, *rest])) == 96


def test_the_balance_is_read_only_where_its_owner_wants_it(bank: StripeBank) -> None:
    made = a_month(bank)
    with opened(bank) as plugin:
        unsaid = Stripe(StripeConfig(api_key=Secret(bank.secret)), plugin.http)
        items = list(unsaid.sync(run_of(bank)))

    assert not of(items, Account)
    assert not of(items, Transaction)
    assert set(payouts(items)) == set(made)
    assert not any("created[gte]" in str(each.url) for each in bank.requests if "balance" in each.url.path)


def test_a_balance_wanted_later_is_read_from_the_first_day_on(bank: StripeBank) -> None:
    a_month(bank)
    first = synced(bank, keep_balance=False)
    second = synced(bank, first)

    assert told(second).keys() == {row.id for row in bank.rows()}
    assert not payouts(second)


# Payouts


def test_payouts_of_a_month_are_what_matching_expects(bank: StripeBank) -> None:
    made = a_month(bank)
    found = payouts(synced(bank, payer_account="IE29AIBK93115212345678"))

    assert list(found) == made
    for id_, payout in found.items():
        assert kernel.sum_differs(as_kernel(payout)) is None
        assert Money.of(payout.net, payout.currency) == bank.total(payout.currency.lower(), payout=id_)
        assert payout.bank_account == "IE29AIBK93115212345678"
        assert payout.paid_on == paid_out_on(bank, id_) + 2 * DAY


def paid_out_on(bank: StripeBank, payout: str) -> date:
    return datetime.fromtimestamp(bank.books.objects[payout]["created"], UTC).date()


def test_lines_are_sales_refunds_disputes_and_costs(bank: StripeBank) -> None:
    sold = bank.sale(MARCH, 121_000, 2_415, metadata={"variable_symbol": "20260042"})
    bank.sale(MARCH, 50_000, 1_000, description="Platba faktury č. 2026-0043", seconds=36_010)
    nameless = bank.sale(MARCH, 20_000, 400, seconds=36_020)
    bank.refund(sold, MARCH, 21_000)
    dispute = bank.dispute(sold, MARCH, 38_000)
    bank.dispute_won(dispute, MARCH)
    bank.cost(MARCH, 4_900)
    id_ = bank.pay_out(MARCH + 5 * DAY)
    payout = payouts(synced(bank))[id_]

    assert lines(payout) == [
        ("20260042", "1210.00", "24.15"),
        ("2026-0043", "500.00", "10.00"),
        (nameless, "200.00", "4.00"),
        ("20260042", "-210.00", "0.00"),
        ("20260042", "-1210.00", "380.00"),
        (dispute, "1210.00", "0.00"),
        ("", "0.00", "49.00"),
    ]
    assert (payout.currency, payout.net) == ("CZK", Decimal("1232.85"))


def test_a_payout_settles_its_invoices_and_credit_note(bank: StripeBank) -> None:
    sold = bank.sale(MARCH, 1_000, 30, metadata={"variable_symbol": "2026001"})
    bank.refund(sold, MARCH, 400, metadata={"invoice_number": "2026-002"})
    id_ = bank.pay_out(MARCH + 5 * DAY)
    payout = as_kernel(payouts(synced(bank))[id_])
    result = kernel.settle_payout(payout, index(invoice(1), invoice(2, minor=400, is_credit_note=True)))

    assert result == kernel.Settled(((1, 1_000), (2, 400)), 30, ())  # type: ignore[arg-type]  # lines are tuples


def test_money_that_comes_back_names_no_invoice(bank: StripeBank) -> None:
    sold = bank.sale(MARCH, 1_000, 30, metadata={"variable_symbol": "2026001"})
    refund = bank.refund(sold, MARCH, 1_000)
    bank.refund_failure(refund, MARCH)
    id_ = bank.pay_out(MARCH + 5 * DAY)

    assert [line.reference for line in payouts(synced(bank))[id_].lines] == ["2026001", "2026001", refund]


def test_a_reserve_and_a_top_up_are_no_cost_and_name_nothing(bank: StripeBank) -> None:
    bank.sale(MARCH, 100_000, 0, metadata={"variable_symbol": "2026001"})
    bank.other("payout_minimum_balance_hold", MARCH, -10_000)
    bank.other("topup", MARCH, 5_000)
    id_ = bank.pay_out(MARCH + 5 * DAY)
    _, hold_row, topup_row, _ = bank.books.rows

    assert lines(payouts(synced(bank))[id_])[1:] == [
        (hold_row.id, "-100.00", "0.00"),
        (topup_row.id, "50.00", "0.00"),
    ]


def test_of_a_sale_captured_in_part_the_line_is_what_was_captured(bank: StripeBank) -> None:
    sold = bank.sale(MARCH, 100_000, 2_000, metadata={"variable_symbol": "2026001"})
    bank.uncaptured(sold, MARCH, 20_000)
    id_ = bank.pay_out(MARCH + 5 * DAY)

    assert lines(payouts(synced(bank))[id_]) == [("2026001", "800.00", "20.00")]


def test_the_fee_of_the_payout_itself_is_a_cost(bank: StripeBank) -> None:
    bank.sale(MARCH, 100_000, 2_000, metadata={"variable_symbol": "2026001"})
    id_ = bank.pay_out(MARCH + 5 * DAY, fee=1_500)
    payout = payouts(synced(bank))[id_]

    assert payout.net == Decimal("965.00")
    assert lines(payout) == [("2026001", "1000.00", "20.00"), ("", "0.00", "15.00")]


def test_a_payout_is_told_once_it_is_paid_and_known(bank: StripeBank) -> None:
    bank.sale(TODAY - 5 * DAY, 100_000, 2_000)
    id_ = bank.pay_out(TODAY, status="in_transit")
    bank.unreconciled = {id_}
    first = synced(bank)
    bank.arrive(id_)
    second = synced(bank, first)
    bank.unreconciled = set()
    bank.today += 20 * DAY
    third = synced(bank, second)
    bank.today += DAY
    fourth = synced(bank, third)

    assert [list(payouts(items)) for items in (first, second, third, fourth)] == [[], [], [id_], []]


@pytest.mark.parametrize("absent", ["reconciliation_status", "automatic"])
def test_a_payout_that_does_not_say_how_far_it_is_is_told_where_its_lines_make_up_the_sum(
    bank: StripeBank, monkeypatch: pytest.MonkeyPatch, absent: str
) -> None:
    bank.sale(TODAY - 9 * DAY, 100_000, 2_000)
    id_ = bank.pay_out(TODAY - DAY)
    whole = bank.rows()
    told_whole = StripeBank._payout

    def told_less(bank: StripeBank, payout: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in told_whole(bank, payout).items() if name != absent}

    monkeypatch.setattr(StripeBank, "_payout", told_less)
    bank.books.rows = [row for row in whole if row.category != "charge"]
    first = synced(bank)
    bank.books.rows = whole
    second = synced(bank, first)

    assert [list(payouts(items)) for items in (first, second)] == [[], [id_]]


def test_a_payout_that_waits_is_not_lost_behind_later_ones(bank: StripeBank) -> None:
    bank.sale(TODAY - 40 * DAY, 100_000, 2_000)
    slow = bank.pay_out(TODAY - 35 * DAY, status="in_transit")
    bank.sale(TODAY - 10 * DAY, 50_000, 1_000)
    quick = bank.pay_out(TODAY - 5 * DAY)
    first = synced(bank)
    bank.arrive(slow)
    second = synced(bank, first)

    assert [list(payouts(items)) for items in (first, second, synced(bank, second))] == [[quick], [slow], []]


def test_a_payout_told_once_is_never_asked_for_again(bank: StripeBank) -> None:
    a_month(bank)
    first = synced(bank)
    bank.requests.clear()
    second = synced(bank, first)

    assert not payouts(second)
    assert not any("payout" in each.url.params for each in bank.requests)


def test_a_payout_by_hand_is_mentioned_once_and_its_lines_are_not_asked_for(bank: StripeBank) -> None:
    bank.sale(TODAY - 9 * DAY, 100_000, 2_000)
    id_ = bank.pay_out(TODAY - DAY, automatic=False, amount=50_000)
    with opened(bank) as plugin:
        run = run_of(bank)
        first = list(plugin.sync(run))
        again = run_of(bank, first)
        second = list(plugin.sync(again))

    assert not of([*first, *second], Payout)
    assert not of(first, Unreadable)
    assert [id_ in warning for warning in run.warnings] == [True]
    assert not again.warnings
    assert Decimal("-500.00") in {item.amount for item in told(first).values()}


def test_a_payout_that_came_back_is_paid_out_with_a_later_one(bank: StripeBank) -> None:
    bank.sale(MARCH, 100_000, 2_000, metadata={"variable_symbol": "2026001"})
    former = bank.pay_out(MARCH + 4 * DAY, status="in_transit")
    bank.send_back(former, MARCH + 6 * DAY)
    bank.sale(MARCH + DAY, 50_000, 1_000, metadata={"variable_symbol": "2026002"})
    later = bank.pay_out(MARCH + 8 * DAY)
    found = payouts(synced(bank))

    assert set(found) == {later}
    assert found[later].net == Decimal("1470.00")
    assert sorted(lines(found[later])) == [("2026001", "1000.00", "20.00"), ("2026002", "500.00", "10.00")]


def test_a_payout_by_hand_that_came_back_is_a_line_of_its_own(bank: StripeBank) -> None:
    bank.sale(MARCH, 100_000, 0, metadata={"variable_symbol": "2026001"})
    bank.pay_out(MARCH + 4 * DAY)
    former = bank.pay_out(MARCH + 5 * DAY, automatic=False, amount=30_000, status="in_transit")
    bank.send_back(former, MARCH + 6 * DAY)
    later = bank.pay_out(MARCH + 8 * DAY)

    assert (former, "300.00", "0.00") in lines(payouts(synced(bank))[later])


def test_lines_that_do_not_make_up_the_payout_are_put_aside_until_they_do(bank: StripeBank) -> None:
    bank.sale(TODAY - 9 * DAY, 100_000, 2_000, metadata={"variable_symbol": "2026001"})
    id_ = bank.pay_out(TODAY - 4 * DAY)
    bank.books.objects[id_]["amount"] += 1
    first = synced(bank)
    bank.books.objects[id_]["amount"] -= 1
    second = synced(bank, first)

    [aside] = of(first, Unreadable)
    assert (aside.external_id, aside.field) == (id_, "amount")
    assert "980.00 CZK" in aside.reason
    assert "980.01" in aside.reason
    assert not payouts(first)
    assert set(payouts(second)) == {id_}


def test_a_payout_in_thousandths_is_put_aside(bank: StripeBank) -> None:
    bank.sale(MARCH, 5_123, 0, currency="kwd")
    id_ = bank.pay_out(MARCH + 4 * DAY, currency="kwd")

    assert [item.external_id for item in of(synced(bank), Unreadable)] == [id_]


def test_a_payout_that_never_arrives_is_given_up_with_a_word(bank: StripeBank) -> None:
    bank.sale(TODAY - 9 * DAY, 100_000, 2_000)
    id_ = bank.pay_out(TODAY - 4 * DAY, status="in_transit")
    first = synced(bank)
    bank.today += 61 * DAY
    run = run_of(bank, first)
    with opened(bank) as plugin:
        second = list(plugin.sync(run))

    assert [id_ in warning for warning in run.warnings] == [True]
    assert not payouts(second)
    assert synced(bank, second)


def test_pages_that_overlap_double_no_line() -> None:
    bank = with_pages_of(5)
    bank.overlap = 2
    for at in range(17):
        bank.sale(MARCH, 100_000 + at, 2_000, metadata={"variable_symbol": f"2026{at:03d}"})
    id_ = bank.pay_out(MARCH + 5 * DAY)

    assert len(payouts(synced(bank))[id_].lines) == 17


@pytest.mark.parametrize(
    ("text", "metadata", "reference"),
    [
        ("Faktura 2026-0042", {}, "2026-0042"),
        ("faktura č. 20260042 za březen", {}, "20260042"),
        ("VS: 0042", {}, "0042"),
        ("Order #9001", {}, "9001"),
        ("Invoice INV-2026/7", {}, "INV-2026/7"),
        ("2026-0042", {}, "2026-0042"),
        ("Faktury 2026-1 a faktura 2026-2", {}, "Faktury 2026-1 a faktura 2026-2"),
        ("Faktura 2026-0042", {"variable_symbol": "77"}, "77"),
        ("", {"note": "5", "invoice_number": " 2026-9 "}, "2026-9"),
        ("", {"orderId": "3", "order_id": "4"}, "4"),
        ("Kurz vaření", {}, "Kurz vaření"),
        ("x" * 900, {}, "x" * 200),
    ],
)
def test_a_sale_names_what_the_shop_wrote_to_it(
    bank: StripeBank, text: str, metadata: dict[str, str], reference: str
) -> None:
    bank.sale(MARCH, 100_000, 0, description=text, metadata=metadata)
    id_ = bank.pay_out(MARCH + 5 * DAY)

    assert [line.reference for line in payouts(synced(bank))[id_].lines] == [reference]


@pytest.mark.parametrize(
    ("text", "metadata"), [("2026-0042", {}), ("Faktura 2026-0042", {}), ("", {"order_id": "2026-0042"})]
)
def test_a_refund_that_says_nothing_is_of_what_its_charge_is_of(
    bank: StripeBank, text: str, metadata: dict[str, str]
) -> None:
    sold = bank.sale(MARCH, 100_000, 0, description=text, metadata=metadata)
    bank.refund(sold, MARCH, 60_000)
    id_ = bank.pay_out(MARCH + 5 * DAY)

    assert [line.reference for line in payouts(synced(bank))[id_].lines] == ["2026-0042", "2026-0042"]


def test_the_owner_may_say_which_metadata_holds_the_number(bank: StripeBank) -> None:
    bank.sale(MARCH, 100_000, 0, metadata={"order_id": "9001", "doklad": "2026-0042"})
    id_ = bank.pay_out(MARCH + 5 * DAY)
    [line] = payouts(synced(bank, metadata_field="doklad"))[id_].lines

    assert line.reference == "2026-0042"


steps = st.lists(
    st.tuples(
        st.sampled_from(("sale", "refund", "dispute", "won", "cost", "hold", "uncaptured", "pay", "back")),
        st.integers(1, 10_000_000),
        st.integers(0, 50_000),
        st.integers(0, 2),
    ),
    max_size=40,
)


def played(steps: list[tuple[str, int, int, int]]) -> StripeBank:
    """Let things happen at Stripe, at most two days apart."""
    bank, on = StripeBank(), TODAY - 85 * DAY
    charges: list[str] = []
    disputes: list[str] = []
    paid: list[str] = []
    for kind, amount, fee, later in steps:
        on += later * DAY
        if kind == "sale" or not charges:
            charges.append(bank.sale(on, amount, fee, metadata={"variable_symbol": str(len(charges))}))
        elif kind == "refund":
            bank.refund(charges[-1], on, amount)
        elif kind == "uncaptured":
            bank.uncaptured(charges[-1], on, amount)
        elif kind == "dispute":
            disputes.append(bank.dispute(charges[-1], on, fee))
        elif kind == "won" and disputes:
            bank.dispute_won(disputes.pop(), on)
        elif kind == "cost":
            bank.cost(on, amount)
        elif kind == "hold":
            bank.other("reserve_hold", on, -amount)
        elif kind == "pay":
            paid.append(bank.pay_out(on))
        elif kind == "back" and paid:
            bank.send_back(paid.pop(), on)
    bank.pay_out(on + 5 * DAY)
    return bank


@given(steps)
@settings(max_examples=60, deadline=None)
def test_whatever_happens_movements_make_up_the_balance_and_lines_the_payouts(
    steps: list[tuple[str, int, int, int]],
) -> None:
    bank = played(steps)
    items = synced(bank)
    amounts = [Decimal(item.amount) for item in told(items).values()]

    assert Money.of(sum(amounts, Decimal()), "CZK") == bank.total("czk")
    for payout in payouts(items).values():
        assert kernel.sum_differs(as_kernel(payout)) is None
        assert Money.of(payout.net, "CZK").minor == bank.books.objects[payout.external_id]["amount"]
    paid = {
        id_
        for id_, each in bank.books.objects.items()
        if each["object"] == "payout" and each["status"] == "paid"
    }
    aside = {item.external_id: item.reason for item in of(items, Unreadable)}
    assert set(payouts(items)) | set(aside) == paid
    assert all(bank.books.objects[id_]["amount"] == 0 for id_ in aside), aside


# Check and errors


def test_check_says_whose_key_it_is(bank: StripeBank) -> None:
    with opened(bank) as plugin:
        assert plugin.check() == Identity(key=ACCOUNT, label="Eva Nová")


def test_test_data_are_another_account_than_real_money(bank: StripeBank) -> None:
    class Testing(StripeBank):
        secret = "rk_test_pretend7f3a9c41e8d25b60"

    testing = Testing()
    testing.sale(MARCH, 100_000, 0)
    with opened(testing) as plugin:
        identity = plugin.check()
        items = list(plugin.sync(run_of(testing)))

    assert identity == Identity(key=f"{ACCOUNT} test", label="Eva Nová test")
    assert {item.account_id for item in told(items).values()} == {f"{ACCOUNT} test CZK"}


def test_every_request_pins_the_version_and_carries_the_key(bank: StripeBank) -> None:
    a_month(bank)
    synced(bank)

    assert {each.headers["Stripe-Version"] for each in bank.requests} == {VERSION}
    assert {each.headers["Authorization"] for each in bank.requests} == {f"Bearer {bank.secret}"}


def test_it_works_over_real_http(bank: StripeBank) -> None:
    made = a_month(bank)
    with serving(bank) as address, http_client(Secret(bank.secret)) as http:
        plugin = Stripe(StripeConfig(api_key=Secret(bank.secret), base_url=address), http)
        assert plugin.check().key == ACCOUNT
        assert set(payouts(list(plugin.sync(run_of(bank))))) == set(made)


def raised(bank: StripeBank, **more: Any) -> PluginError:
    with opened(bank, **more) as plugin, pytest.raises(PluginError) as caught:
        plugin.check()
    assert bank.secret not in f"{caught.value!r} {caught.value}"
    assert bank.secret[-4:] not in str(caught.value)
    return caught.value


def test_a_refused_key_asks_for_a_new_one(bank: StripeBank) -> None:
    assert isinstance(raised(bank, key="rk_live_another"), AuthExpired)


@pytest.mark.parametrize(
    ("path", "right"),
    [
        ("/v1/balance", "rak_balance_read"),
        ("/v1/balance_transactions", "rak_balance_transaction_source_read"),
        ("/v1/payouts", "rak_payout_read"),
    ],
)
def test_a_missing_right_is_named(bank: StripeBank, path: str, right: str) -> None:
    bank.lacks = {path: right}
    error = raised(bank)

    assert isinstance(error, Misconfigured)
    assert error.field == "api_key"
    assert f"“{right}”" in str(error)
    with opened(bank) as plugin, pytest.raises(Misconfigured, match=right):
        list(plugin.sync(run_of(bank)))


def test_a_key_without_the_right_to_the_account_is_told_its_id_all_the_same(bank: StripeBank) -> None:
    bank.lacks = {"/v1/account": "rak_accounts_kyc_basic_read"}
    with opened(bank) as plugin:
        assert plugin.check() == Identity(key=ACCOUNT, label=ACCOUNT)


@pytest.mark.parametrize(
    ("answer", "kind", "field"),
    [
        (httpx.Response(403, json={"error": {"message": "no"}}), Misconfigured, "api_key"),
        (httpx.Response(404, json={}), Misconfigured, "base_url"),
        (httpx.Response(400, json={}), Misconfigured, None),
        (httpx.Response(409, json={"error": {"code": "lock_timeout"}}), Temporary, None),
        (httpx.Response(500), Temporary, None),
        (httpx.Response(302, headers={"Location": "https://elsewhere.example"}), Temporary, None),
        (httpx.Response(200, content=b"<html>"), Temporary, None),
        (httpx.Response(200, json=[]), Temporary, None),
        (httpx.Response(200, json={"id": 7}), Temporary, None),
    ],
)
def test_other_answers_say_what_to_do(
    bank: StripeBank, answer: httpx.Response, kind: type[PluginError], field: str | None
) -> None:
    bank.fault = lambda request: answer
    error = raised(bank)

    assert type(error) is kind
    assert getattr(error, "field", None) == field


@pytest.mark.parametrize(
    ("headers", "wait"),
    [({}, 60), ({"Retry-After": "7"}, 7), ({"Retry-After": "999999"}, 86_400), ({"Retry-After": "soon"}, 60)],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_request_too_many_waits(bank: StripeBank, status: int, headers: dict[str, str], wait: int) -> None:
    bank.fault = lambda request: httpx.Response(status, headers=headers, json={})
    error = raised(bank)

    if status == 503 and not headers:
        assert isinstance(error, Temporary)
    else:
        assert isinstance(error, RateLimited)
        assert error.retry_after == timedelta(seconds=wait)


@pytest.mark.parametrize("key", ["", "pk_live_abc", "rk_live_a b", "rk_live_ž", "sk_live_a\nb"])
def test_what_is_no_key_is_never_sent(bank: StripeBank, key: str) -> None:
    error = raised(bank, key=key)

    assert isinstance(error, Misconfigured)
    assert error.field == "api_key"
    assert not bank.requests


@pytest.mark.parametrize(
    "page",
    [
        {"data": None},
        {"data": [1]},
        {"data": [], "has_more": True},
        {"data": [{"id": ""}], "has_more": True},
        {"data": [{"id": "txn_1"}], "has_more": True},
    ],
)
def test_a_list_that_does_not_say_how_it_goes_on_is_tried_later(
    bank: StripeBank, page: dict[str, Any]
) -> None:
    def answer(request: httpx.Request) -> httpx.Response | None:
        is_list = request.url.path in ("/v1/balance_transactions", "/v1/payouts")
        return httpx.Response(200, json=page) if is_list else None

    bank.fault = answer
    with opened(bank) as plugin, pytest.raises(Temporary):
        list(plugin.sync(run_of(bank)))


@pytest.mark.parametrize(
    "rows",
    [
        [{"amount": 1.5, "currency": "czk"}],
        [{"amount": 1, "currency": "zzz"}],
        [None],
        ["czk"],
        {"amount": 1, "currency": "czk"},
        7,
    ],
)
def test_a_balance_that_is_none_is_tried_later(bank: StripeBank, rows: object) -> None:
    def answer(request: httpx.Request) -> httpx.Response | None:
        is_balance = request.url.path == "/v1/balance"
        return httpx.Response(200, json={"available": rows}) if is_balance else None

    bank.fault = answer
    with opened(bank) as plugin, pytest.raises(Temporary, match="balance"):
        list(plugin.sync(run_of(bank)))
