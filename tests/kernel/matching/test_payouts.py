"""Payouts of gateways: the report's lines settle, the fee is told, what does not fit is left."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kvit.kernel.matching import Line, Reason
from kvit.kernel.matching.payouts import (
    Payout,
    PayoutLine,
    Settled,
    Share,
    Withheld,
    credit_of,
    settle_payout,
    shares,
    withheld,
)
from tests.kernel.matching.cases import DAY, OTHER_ACCOUNT, index, invoice, payment


def payout(*lines: PayoutLine, net: int | None = None) -> Payout:
    made_up = sum(line.gross_minor - line.fee_minor for line in lines)
    return Payout("PO-77123", "CZK", made_up if net is None else net, DAY, lines, OTHER_ACCOUNT)


def settled(report: Payout, *invoices: object, **more: object) -> Settled:
    result = settle_payout(report, index(*invoices, **more))  # type: ignore[arg-type]  # shorter to read
    assert isinstance(result, Settled)
    return result


def test_lines_settle_by_order_invoice_or_symbol_and_the_fee_is_told() -> None:
    report = payout(
        PayoutLine("OBJ-9001", 1000, 12), PayoutLine("2026-002", 2000, 24), PayoutLine("0002026003", 300, 4)
    )
    ordered = invoice(1, aliases=("OBJ 9001",))
    result = settled(report, ordered, invoice(2, minor=2000), invoice(3, minor=300))
    assert result == Settled((Line(1, 1000), Line(2, 2000), Line(3, 300)), 40, ())


def test_a_refund_settles_its_credit_note() -> None:
    report = payout(PayoutLine("2026-001", 1000), PayoutLine("2026-002", -400))
    note = invoice(2, minor=400, is_credit_note=True)
    assert settled(report, invoice(), note).settle == (Line(1, 1000), Line(2, 400))


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (PayoutLine("nothing", 1000), "payout.unknown"),
        (PayoutLine("2026-002", 1000), "payout.settled"),
        (PayoutLine("2026-001", 900), "payout.amount_differs"),
        (PayoutLine("2026-001", -1000), "payout.refund"),
        (PayoutLine("7", 1000), "reference.ambiguous"),
    ],
)
def test_what_does_not_fit_exactly_is_left_with_its_reason(line: PayoutLine, code: str) -> None:
    twins = [invoice(3, "A7", variable_symbol="7"), invoice(4, "B-7", variable_symbol="7")]
    result = settled(payout(line), invoice(), invoice(2, minor=0), *twins)
    assert (result.settle, [(each, reason.code) for each, reason in result.left]) == ((), [(line, code)])


def test_a_document_is_settled_once() -> None:
    result = settled(payout(PayoutLine("2026001", 1000), PayoutLine("2026-001", 1000)), invoice())
    assert result.settle == (Line(1, 1000),)
    assert [reason.code for _, reason in result.left] == ["payout.settled"]


def test_lines_that_do_not_make_up_the_net_sum_settle_nothing() -> None:
    result = settle_payout(payout(PayoutLine("2026-001", 1000, 10), net=1000), index(invoice()))
    assert isinstance(result, Reason)
    assert (result.code, result.values) == ("payout.sum_differs", {"net": "10.00 CZK", "sum": "9.90 CZK"})


def test_the_credit_is_found_by_reference_else_by_account_and_day() -> None:
    report = payout(PayoutLine("2026-001", 1000, 10))
    named = payment("", "payout PO-77123", id=1, minor=990)
    of_account = payment("", id=2, minor=990, counterparty_account=OTHER_ACCOUNT)
    assert credit_of(report, [named, of_account]) == named
    assert credit_of(report, [of_account]) == of_account
    late = payment("", id=3, minor=990, counterparty_account=OTHER_ACCOUNT, booked_on=DAY + timedelta(days=6))
    assert credit_of(report, [late]) is None
    twin = payment("", id=4, minor=990, counterparty_account=OTHER_ACCOUNT)
    assert credit_of(report, [of_account, twin]) is None
    assert credit_of(report, [payment("", "PO-77123", id=5, minor=991)]) is None


def test_a_cost_of_the_payout_is_only_part_of_the_fee() -> None:
    result = settled(payout(PayoutLine("2026-001", 1000, 12), PayoutLine("", 0, 30)), invoice())
    assert result == Settled((Line(1, 1000),), 42, ())


def test_refunds_and_costs_are_taken_out_of_the_first_sales() -> None:
    sales = [PayoutLine("A", 1000, 10), PayoutLine("B", 500, 5)]
    lines = [*sales, PayoutLine("C", -1100, 2), PayoutLine("", 0, 30)]
    assert withheld(lines) == Withheld(32, 1100)
    assert shares(sales, withheld(lines)) == [Share(0, 42, 958), Share(353, 5, 142)]


def test_fees_given_back_make_refunds_cheaper_and_never_pay_more_than_a_sale() -> None:
    sale = PayoutLine("A", 1000, -20)
    assert withheld([sale, PayoutLine("B", -300, -5)]) == Withheld(0, 275)
    assert shares([sale], withheld([sale])) == [Share(1000, 0, 0)]


@given(
    st.lists(st.tuples(st.integers(1, 5000), st.integers(-50, 6000)), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(-3000, 0), st.integers(-50, 50)), max_size=4),
)
def test_what_pays_the_sales_makes_up_the_net_sum_the_fees_and_the_refunds(
    sold: list[tuple[int, int]], others: list[tuple[int, int]]
) -> None:
    sales = [PayoutLine("S", *each) for each in sold]
    lines = [*sales, *(PayoutLine("R", *each) for each in others)]
    net = sum(line.gross_minor - line.fee_minor for line in lines)
    assume(net >= 0)
    still = withheld(lines)
    parts = shares(sales, still)
    assert [sum(part) for part in parts] == [line.gross_minor for line in sales]
    assert all(min(part) >= 0 for part in parts)
    assert sum(part.offset_minor for part in parts) == still.offset_minor
    assert sum(part.paid_minor for part in parts) <= net
