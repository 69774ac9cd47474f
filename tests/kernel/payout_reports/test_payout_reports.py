"""Reports of each provider become payouts whose lines make up what the bank receives."""

from __future__ import annotations

from datetime import date

import pytest

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.matching import Line
from kvit.kernel.matching.payouts import Payout, PayoutLine, Settled, credit_of, settle_payout
from kvit.kernel.payout_reports import read, recognise
from tests.kernel.matching.cases import index, invoice, payment
from tests.kernel.payout_reports.payout_report_files import (
    SUMUP_HEADER,
    SUMUP_PAYOUTS_HEADER,
    comgate,
    comgate_daily,
    comgate_row,
    gopay,
    gopay_row,
    paypal,
    paypal_row,
    plain,
    stripe,
    stripe_row,
    table,
)

DAY = date(2026, 10, 7)


def made_up(payout: Payout) -> int:
    return sum(line.gross_minor - line.fee_minor for line in payout.lines)


def test_kvits_own_report_holds_several_payouts_with_costs_of_their_own() -> None:
    report = plain(
        "P-1;2026-10-07;2026001;1210,00;12,10;CZK",
        "P-2;2026-10-08;2026002;500;;CZK",
        "P-1;2026-10-07;2026-003;-210,00;-2,10;CZK",
        "P-1;2026-10-07;;;149,00;CZK",
    )
    first, second = read(report)
    assert first == Payout(
        "P-1",
        "CZK",
        84100,
        DAY,
        (PayoutLine("2026001", 121000, 1210), PayoutLine("2026-003", -21000, -210), PayoutLine("", 0, 14900)),
    )
    assert second == Payout("P-2", "CZK", 50000, date(2026, 10, 8), (PayoutLine("2026002", 50000),))


def test_the_account_that_pays_may_stand_in_kvits_own_report() -> None:
    header = "payout;paid_on;reference;gross;fee;currency;account"
    [payout] = read(table(header, "P-1;2026-10-07;2026001;10.00;0.10;EUR;2000145399/0800"))
    assert payout.account == "2000145399/0800"


def test_stripe_gives_a_payout_of_each_automatic_payout_id_and_leaves_out_what_is_not_paid_yet() -> None:
    report = stripe(
        stripe_row("txn_1", "45.91", "0.94", "44.97", order="1234"),
        stripe_row("txn_2", "19.00", "0.52", "18.48", text="Shop - Order 1235"),
        stripe_row(
            "txn_3", "-19.00", "0.00", "-19.00", "refund", text="REFUND FOR CHARGE (Shop - Order 1235)"
        ),
        stripe_row("txn_4", "-5.00", "0.00", "-5.00", "fee", text="Radar (2026-09-01 - 2026-09-30)"),
        stripe_row("txn_5", "0.00", "1.00", "-1.00", "network_cost"),
        stripe_row("txn_6", "-50.00", "15.00", "-65.00", "dispute", text="Chargeback withdrawal"),
        stripe_row("txn_7", "100.00", "1.50", "98.50", order="1299", payout="", paid_on=""),
        stripe_row(
            "txn_8", "30.00", "0.30", "29.70", order="1300", payout="po_2", paid_on="2026-10-08 00:00:00"
        ),
    )
    first, second = read(report)
    assert first.lines == (
        PayoutLine("1234", 4591, 94),
        PayoutLine("1235", 1900, 52),
        PayoutLine("1235", -1900),
        PayoutLine("", 0, 500),
        PayoutLine("", 0, 100),
        PayoutLine("Chargeback withdrawal", -5000, 1500),
    )
    assert (first.reference, first.currency, first.paid_on) == ("po_1Autumn", "EUR", DAY)
    assert first.net_minor == made_up(first) == 4497 + 1848 - 1900 - 500 - 100 - 6500
    assert second == Payout("po_2", "EUR", 2970, date(2026, 10, 8), (PayoutLine("1300", 3000, 30),))


def test_the_row_of_the_payout_itself_tells_its_sum() -> None:
    rows = [stripe_row("txn_1", "45.91", "0.94", "44.97", order="1234")]
    whole = read(stripe(*rows, stripe_row("txn_9", "-44.97", "0.00", "-44.97", "payout")))
    assert whole == read(stripe(*rows))
    [cut] = read(stripe(*rows, stripe_row("txn_9", "-60.00", "0.00", "-60.00", "payout")))
    assert (cut.net_minor, made_up(cut)) == (6000, 4497)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("Payment for Invoice 2026-0012", "2026-0012"),
        ("Faktura č. 20260012.", "20260012"),
        ("Objednávka #A-77/2026, Praha", "A-77/2026"),
        ("VS:2026001", "2026001"),
        ("2026001", "2026001"),
        ("Order 12, Invoice 2026001", "Order 12, Invoice 2026001"),
        ("Subscription update", "Subscription update"),
        ("Accord 2026 service", "Accord 2026 service"),
        ("", "txn_1"),
    ],
)
def test_the_number_is_found_in_a_text_that_announces_just_one(text: str, reference: str) -> None:
    [payout] = read(stripe(stripe_row("txn_1", "10.00", "0.30", "9.70", text=text)))
    assert payout.lines == (PayoutLine(reference, 1000, 30),)


def test_comgate_gives_the_transfers_of_a_month_with_their_totals() -> None:
    report = comgate(
        comgate_row("AB12-CD34-EF56", "2447,50", "2423,51", "23,99", order="2026501"),
        comgate_row("GH78-IJ90-KL12", "1 000,00", "990,00", "10,00", symbol="2026502", text="Objednávka 1"),
        comgate_row("", "0,00", "-149,00", "149,00"),
        comgate_row("", "3447,50", "3264,51", "182,99", text="suma", merchant=""),
        comgate_row(
            "MN12-OP34-QR56", "500,00", "495,00", "5,00", order="7", payout="77", paid_on="29.03.2026"
        ),
    )
    first, second = read(report)
    assert first == Payout(
        "1816480742",
        "CZK",
        326451,
        date(2026, 3, 28),
        (PayoutLine("2026501", 244750, 2399), PayoutLine("2026502", 100000, 1000), PayoutLine("", 0, 14900)),
    )
    assert (second.reference, second.net_minor, second.paid_on) == ("77", 49500, date(2026, 3, 29))


def test_comgates_daily_statement_says_its_day_in_its_name_and_needs_its_currency() -> None:
    report = comgate_daily(
        '"123456";"AB12-CD34-EF56";"Karta online";"2447,50";"2423,51";"";"1816656820";"108966761"',
        '"123456";"GH78-IJ90-KL12";"Karta online";"611,88";"605,88";"";"1816656820";"108592573"',
        '"suma";"";"";"3059,38";"3029,39";"";"";""',
    )
    name = "vypis-2026-03-27_1816656820.csv"
    [payout] = read(report, source=name, currency="CZK")
    lines = (PayoutLine("108966761", 244750, 2399), PayoutLine("108592573", 61188, 600))
    assert payout == Payout("1816656820", "CZK", 302939, date(2026, 3, 27), lines)
    assert read(report, source="x.csv", currency="CZK", paid_on=date(2026, 3, 27)) == (payout,)
    with pytest.raises(StatementUnreadable, match="does not say its currency") as no_currency:
        read(report, source=name)
    assert (no_currency.value.field, no_currency.value.source) == ("currency", name)
    with pytest.raises(StatementUnreadable, match="does not say when it was paid out") as no_day:
        read(report, currency="CZK")
    assert no_day.value.field == "paid_on"


def test_a_total_that_rows_do_not_make_up_is_the_payouts_sum() -> None:
    rows = [comgate_row("AB12-CD34-EF56", "100,00", "99,00", "1,00", order="1")]
    [payout] = read(comgate(*rows, comgate_row("", "200,00", "198,00", "2,00", text="suma")))
    assert (payout.net_minor, made_up(payout)) == (19800, 9900)


def test_a_total_is_a_row_without_an_id() -> None:
    [payout] = read(comgate(comgate_row("AB12-CD34-EF56", "100,00", "99,00", "1,00", order="1", text="suma")))
    assert payout.lines == (PayoutLine("1", 10000, 100),)


def test_a_total_of_a_payout_without_rows_is_an_error() -> None:
    row = comgate_row("AB12-CD34-EF56", "100,00", "99,00", "1,00", order="1")
    total = comgate_row("", "50,00", "49,00", "1,00", text="suma", payout="77")
    with pytest.raises(StatementUnreadable, match="do not make up this total"):
        read(comgate(row, total))


def test_a_total_of_all_payouts_that_rows_do_not_make_up_is_an_error() -> None:
    rows = [
        comgate_row("AB12-CD34-EF56", "100,00", "99,00", "1,00", order="1"),
        comgate_row("GH78-IJ90-KL12", "50,00", "49,00", "1,00", order="2", payout="77"),
    ]
    right = comgate_row("", "150,00", "148,00", "2,00", text="suma", payout="")
    assert [each.net_minor for each in read(comgate(*rows, right))] == [9900, 4900]
    wrong = comgate_row("", "250,00", "248,00", "2,00", text="suma", payout="")
    with pytest.raises(StatementUnreadable, match="do not make up this total") as failure:
        read(comgate(*rows, wrong))
    assert failure.value.line == 4


def test_gopay_pays_out_what_came_before() -> None:
    report = gopay(
        gopay_row("3001", "01.10.2026 10:00", "Platba", "500,00", order="2026101"),
        gopay_row("3002", "01.10.2026 10:00", "Poplatek za platbu", "-11,50", whose="3001"),
        gopay_row("3003", "02.10.2026 11:00", "Vrácení platby", "-100,00", order="2026100"),
        gopay_row("3004", "05.10.2026 06:00", "Výplata na účet", "-388,50"),
        gopay_row("3005", "06.10.2026 06:00", "Platba", "10,00", order="2026102"),
    )
    expected = Payout(
        "3004",
        "CZK",
        38850,
        date(2026, 10, 5),
        (PayoutLine("2026101", 50000), PayoutLine("", 0, 1150), PayoutLine("2026100", -10000)),
    )
    assert read(report) == (expected,)


def test_each_payout_of_a_running_account_takes_only_what_came_after_the_last_one() -> None:
    rows = [
        gopay_row("1", "01.10.2026", "Platba", "500,00", order="2026101"),
        gopay_row("2", "02.10.2026", "Výplata na účet", "-500,00"),
        gopay_row("3", "03.10.2026", "Platba", "70,00", order="2026102"),
        gopay_row("4", "04.10.2026", "Výplata na účet", "-70,00"),
    ]
    first, second = read(gopay(*rows))
    assert (first.lines, second.lines) == ((PayoutLine("2026101", 50000),), (PayoutLine("2026102", 7000),))
    assert read(gopay(*reversed(rows))) == (first, second)


def test_a_payout_that_came_back_is_a_line_for_a_person() -> None:
    came_back = gopay_row("1", "01.10.2026", "Výplata na účet", "500,00")
    [payout] = read(gopay(came_back, gopay_row("2", "02.10.2026", "Výplata na účet", "-500,00")))
    assert payout.lines == (PayoutLine("1", 50000),)
    reversal = stripe_row("txn_2", "44.97", "0.00", "44.97", "payout", text="STRIPE PAYOUT")
    [payout] = read(stripe(stripe_row("txn_1", "45.91", "0.94", "44.97", order="1"), reversal))
    assert payout.lines == (PayoutLine("1", 4591, 94), PayoutLine("STRIPE PAYOUT", 4497))


def test_a_running_account_is_read_from_either_end_and_each_currency_for_itself() -> None:
    rows = [
        paypal_row(
            "1AB",
            "10/01/2026",
            "Express Checkout Payment",
            "1,250.00",
            "-43.40",
            "1,206.60",
            invoice="WC-777",
        ),
        paypal_row(
            "2AB", "10/02/2026", "Website Payment", "20.00", "-1.00", "19.00", currency="USD", invoice="8"
        ),
        paypal_row("3AB", "10/13/2026", "Account Hold for Open Authorization", "-10.00"),
        paypal_row("4AB", "10/13/2026", "Website Payment", "5.00", "-0.40", "4.60", status="Pending"),
        paypal_row("5AB", "10/14/2026", "Payment Refund", "-50.00", "1.00", "-49.00", invoice="WC-770"),
        paypal_row("6AB", "10/14/2026", "Chargeback Fee", "-16.00"),
        paypal_row("7AB", "10/15/2026", "General Withdrawal", "-1,141.60"),
        paypal_row("8AB", "10/16/2026", "General Withdrawal", "-19.00", currency="USD"),
    ]
    euros = Payout(
        "7AB",
        "EUR",
        114160,
        date(2026, 10, 15),
        (PayoutLine("WC-777", 125000, 4340), PayoutLine("WC-770", -5000, -100), PayoutLine("", 0, 1600)),
    )
    dollars = Payout("8AB", "USD", 1900, date(2026, 10, 16), (PayoutLine("8", 2000, 100),))
    assert read(paypal(*rows)) == (euros, dollars)
    backwards = read(paypal(*reversed(rows)))
    assert {(each.reference, frozenset(each.lines)) for each in backwards} == {
        (each.reference, frozenset(each.lines)) for each in (euros, dollars)
    }


def test_a_withdrawal_that_leaves_something_does_not_add_up_so_nothing_is_settled() -> None:
    report = paypal(
        paypal_row("1AB", "10/01/2026", "Website Payment", "100.00", "-3.00", "97.00", invoice="2026001"),
        paypal_row("2AB", "10/14/2026", "General Withdrawal", "-50.00", "-1.00", "-51.00"),
    )
    [payout] = read(report)
    assert (payout.net_minor, payout.lines[-1]) == (5000, PayoutLine("", 0, 100))
    assert not isinstance(settle_payout(payout, index()), Settled)


def test_rows_out_of_order_are_refused() -> None:
    days = ["10/13/2026", "10/15/2026", "10/14/2026"]
    rows = [paypal_row(f"{at}AB", day, "Website Payment", "1.00") for at, day in enumerate(days)]
    with pytest.raises(StatementUnreadable, match="not in the order of days") as failure:
        read(paypal(*rows))
    assert (failure.value.line, failure.value.field) == (4, "Date")


def test_sumup_counts_the_rows_of_payouts_and_takes_the_text_from_those_of_payments() -> None:
    report = table(
        SUMUP_HEADER,
        '"01.10.2026, 12:00",TAAA111,Zahlung,Rechnung 2026001,"100,00","1,39",,,,EUR',
        '"01.10.2026, 12:05",TAAA111,Zahlung,Kopie,"100,00","1,39",,,,EUR',
        ',TAAA111,Auszahlung,,"100,00","1,39","98,61",02.10.2026,SUMUP PID128396 PAYOUT 021026,EUR',
        ',TBBB222,Auszahlung,,"50,00","0,70","49,30",02.10.2026,SUMUP PID128396 PAYOUT 021026,EUR',
    )
    lines = (PayoutLine("2026001", 10000, 139), PayoutLine("TBBB222", 5000, 70))
    assert read(report) == (Payout("PID128396", "EUR", 14791, date(2026, 10, 2), lines),)


@pytest.mark.parametrize("fee", ["0,70", "-0,70"])
def test_what_sumup_withholds_for_a_refund_makes_the_sum_differ(fee: str) -> None:
    row = f',TBBB222,Auszahlung,,"50,00","{fee}","39,30",02.10.2026,SUMUP PID128396 PAYOUT 021026,EUR'
    [payout] = read(table(SUMUP_HEADER, row))
    assert (payout.net_minor, payout.lines) == (3930, (PayoutLine("TBBB222", 5000, 70),))


def test_sumups_list_of_payouts_tells_amounts_without_fees_and_names_deductions_by_no_payout() -> None:
    report = table(
        SUMUP_PAYOUTS_HEADER,
        "1,PAYOUT,98.61,2026-10-02,EUR,1.39,SUCCESSFUL,SUMUP PID128396 PAYOUT 021026,TAAA111",
        "2,PAYOUT,49.30,2026-10-02,EUR,0.70,SUCCESSFUL,SUMUP PID128396 PAYOUT 021026,TBBB222",
        "3,PAYOUT,10.00,2026-10-02,EUR,0.10,FAILED,SUMUP PID128396 PAYOUT 021026,TCCC333",
        "4,REFUND_DEDUCTION,-20.00,2026-10-02,EUR,0.00,SUCCESSFUL,TDDD444,TDDD444",
    )
    lines = (PayoutLine("TAAA111", 10000, 139), PayoutLine("TBBB222", 5000, 70))
    assert read(report) == (Payout("PID128396", "EUR", 14791, date(2026, 10, 2), lines),)


def test_what_was_read_finds_its_credit_and_settles_its_invoices() -> None:
    report = plain(
        "PO-77123;2026-03-02;2026-001;10,00;0,12;CZK",
        "PO-77123;2026-03-02;OBJ-9001;20,00;0,24;CZK",
        "PO-77123;2026-03-02;;0,00;1,00;CZK",
    )
    [payout] = read(report)
    credit = payment("", "payout PO-77123", id=1, minor=payout.net_minor)
    assert credit_of(payout, [credit]) == credit
    result = settle_payout(payout, index(invoice(1), invoice(2, minor=2000, aliases=("OBJ 9001",))))
    assert isinstance(result, Settled)
    assert (result.settle, result.fee_minor) == ((Line(1, 1000), Line(2, 2000)), 136)


def test_a_report_says_whose_it_is() -> None:
    assert recognise(stripe(stripe_row("txn_1", "1.00", "0.10", "0.90"))).name == "stripe"
    assert recognise(gopay(gopay_row("1", "01.10.2026", "Platba", "1,00"))).name == "gopay"
