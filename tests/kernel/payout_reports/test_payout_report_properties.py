"""Whatever a report holds is read back as it was written, and whatever else is a clear error."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvit.kernel.errors import StatementError
from kvit.kernel.matching.payouts import Payout, PayoutLine
from kvit.kernel.payout_reports import read
from tests.kernel.payout_reports.payout_report_files import (
    comgate,
    comgate_row,
    gopay,
    gopay_row,
    paypal,
    paypal_row,
    plain,
    plain_report,
    stripe_report,
)

amounts = st.integers(-(10**12), 10**12)
gross = amounts.filter(bool)
references = st.text("ABCÁŽaž0123456789 /#;,\"'-", min_size=1, max_size=12).map(
    lambda text: " ".join(text.split()) or "0"
)
sales = st.builds(PayoutLine, references, gross, amounts)
costs = st.builds(PayoutLine, st.just(""), st.just(0), amounts.filter(bool))
names = st.text("ABCabc0123456789_-", min_size=1, max_size=10)
days = st.dates(date(2000, 1, 1), date(2099, 12, 31))
currencies = st.sampled_from(["CZK", "EUR", "USD", "JPY"])


def made(reference: str, currency: str, paid_on: date, lines: list[PayoutLine], account: str) -> Payout:
    net = sum(line.gross_minor - line.fee_minor for line in lines)
    return Payout(reference, currency, net, paid_on, tuple(lines), account)


def payouts(accounts: st.SearchStrategy[str]) -> st.SearchStrategy[list[Payout]]:
    lines = st.lists(sales | costs, min_size=1, max_size=6)
    one = st.builds(made, names, currencies, days, lines, accounts)
    return st.lists(one, min_size=1, max_size=4, unique_by=lambda payout: payout.reference)


@given(payouts(st.sampled_from(["", "2000145399/0800"])), st.sampled_from(".,"), st.sampled_from(";,\t|"))
def test_a_written_report_reads_back_equal(written: list[Payout], decimal: str, delimiter: str) -> None:
    assert read(plain_report(written, decimal=decimal, delimiter=delimiter)) == tuple(written)


@given(payouts(st.just("")))
def test_a_report_of_stripe_reads_back_equal(written: list[Payout]) -> None:
    assert read(stripe_report(written)) == tuple(written)


@given(st.lists(st.tuples(gross, st.integers(0, 10**6)), min_size=1, max_size=5), st.randoms())
def test_the_order_of_rows_changes_no_payout(rows: Sequence[tuple[int, int]], random: object) -> None:
    lines = [f"P-{at % 2};2026-10-07;{at};{each / 1};{fee}.00;CZK" for at, (each, fee) in enumerate(rows)]
    forwards, backwards = read(plain(*lines)), read(plain(*reversed(lines)))
    assert {(each.reference, each.net_minor) for each in forwards} == {
        (each.reference, each.net_minor) for each in backwards
    }


SAMPLES = (
    plain("P-1;2026-10-07;2026001;10.00;0.10;CZK", "P-1;2026-10-07;;0.00;1.49;CZK"),
    comgate(
        comgate_row("A", "10,00", "9,90", "0,10", order="1"),
        comgate_row("", "10,00", "9,90", "0,10", text="suma"),
    ),
    gopay(
        gopay_row("1", "01.10.2026 10:00", "Platba", "5,00", order="1"),
        gopay_row("2", "02.10.2026 10:00", "Výplata na účet", "-5,00"),
    ),
    paypal(
        paypal_row("1", "10/01/2026", "Website Payment", "1,250.00", "-43.40", "1,206.60"),
        paypal_row("2", "10/15/2026", "General Withdrawal", "-1,206.60"),
    ),
)


@pytest.mark.parametrize("sample", SAMPLES)
@given(data=st.data())
def test_a_damaged_report_is_read_or_refused_clearly(sample: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(sample) - 1))
    piece = data.draw(st.binary(max_size=4))
    length = data.draw(st.integers(0, 8))
    with suppress(StatementError):
        assert read(sample[:at] + piece + sample[at + length :])


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_clearly(data: bytes) -> None:
    with pytest.raises(StatementError):
        read(data)
