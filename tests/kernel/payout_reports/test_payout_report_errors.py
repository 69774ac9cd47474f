"""What money depends on and cannot be read is an error that says where it stands and what to do."""

from __future__ import annotations

import pytest

from kvit.kernel.errors import StatementError, StatementUnreadable, UnknownFormat
from kvit.kernel.matching.payouts import PayoutLine
from kvit.kernel.payout_reports import read
from tests.kernel.payout_reports.payout_report_files import (
    PLAIN_HEADER,
    STRIPE_HEADER,
    comgate,
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

GOOD = "P-1;2026-10-07;2026001;10.00;0.10;CZK"
NAME = "report.csv"


def unreadable(data: bytes) -> StatementUnreadable:
    with pytest.raises(StatementUnreadable) as failure:
        read(data, source=NAME)
    assert failure.value.source == NAME
    assert "{" not in str(failure.value)
    return failure.value


@pytest.mark.parametrize(
    ("row", "field", "message"),
    [
        ("P-1;2026-10-07;2026001;ten;0.10;CZK", "gross", "“ten” is not an amount"),
        ("P-1;2026-10-07;2026001;10.005;0.10;CZK", "gross", "“10.005” is not an amount to hundredths"),
        ("P-1;2026-10-07;2026001;10.00;0.101;CZK", "fee", "“0.101” is not an amount to hundredths"),
        ("P-1;2026-10-07;2026001;99999999999999999.00;;CZK", "gross", "is not an amount"),
        ("P-1;2026-10-07;2026001;1e3;;CZK", "gross", "is not an amount"),
        ("P-1;2026-10-07;2026001;;;CZK", "gross", "the amount is missing"),
        ("P-1;2026-10-07;2026001;10,00;;CZK", "gross", "“10,00” may stand before decimals"),
        ("P-1;7.10.;2026001;10.00;0.10;CZK", "paid_on", "“7.10.” is not a day"),
        ("P-1;2026-13-07;2026001;10.00;0.10;CZK", "paid_on", "is not a day"),
        ("P-1;2026-10-07;2026001;10.00;0.10;koruna", "currency", "“KORUNA” is not one currency"),
        ("P-1;2026-10-07;2026001;10.00 EUR;0.10;CZK", "currency", "“CZK EUR” is not one currency"),
        ("P-1;2026-10-07;2026001;10.00;0.10;EUR", "currency", "P-1 has both CZK and EUR"),
        ("P-1;2026-10-08;2026001;10.00;0.10;CZK", "paid_on", "both 2026-10-07 and 2026-10-08"),
        ("P-1;2026-10-07;2026001;10.00", None, "Line 3 has 4 columns and the header 6"),
        ("P-1;2026-10-07;2026001;10.00;0.10;CZK;more", None, "Line 3 has 7 columns"),
        ('P-1;2026-10-07;"2026001;10.00;0.10;CZK', None, "never ends"),
        ("P-1;2026-10-07;2026\ufffd001;10.00;0.10;CZK", "reference", "cannot be read"),
        ("P-1;2026-10-07;2026\0001;10.00;0.10;CZK", None, "null bytes"),
    ],
)
def test_a_row_that_cannot_be_read_stops_the_report(row: str, field: str | None, message: str) -> None:
    error = unreadable(plain(GOOD, row))
    assert message in str(error)
    assert (error.line, error.field) == (3, field)


def test_an_amount_that_can_be_two_is_refused_and_not_guessed() -> None:
    error = unreadable(plain("P-1;2026-10-07;2026001;1,250;;CZK"))
    assert (error.line, error.field) == (2, "gross")
    [payout] = read(plain("P-1;2026-10-07;2026001;1,250;;CZK", "P-1;2026-10-07;2;1.50;;CZK"))
    assert payout.lines[0].gross_minor == 125000


def test_a_day_that_can_be_two_is_refused_unless_another_tells_the_order() -> None:
    sale = paypal_row("1AB", "01/02/2026", "Website Payment", "1.00")
    error = unreadable(paypal(sale, paypal_row("2AB", "01/03/2026", "General Withdrawal", "-1.00")))
    assert "can be read in two ways" in str(error)
    assert (error.line, error.field) == (2, "Date")
    [payout] = read(paypal(sale, paypal_row("2AB", "01/13/2026", "General Withdrawal", "-1.00")))
    assert payout.paid_on.isoformat() == "2026-01-13"


def test_amounts_of_a_row_that_contradict_each_other_are_refused() -> None:
    error = unreadable(stripe(stripe_row("txn_1", "10.00", "0.30", "9.60", order="1")))
    assert "contradict each other" in str(error)
    assert (error.line, error.field) == (2, "net")


def test_money_of_an_unknown_kind_is_no_cost() -> None:
    [payout] = read(comgate(comgate_row("", "-10,00", "-10,00", "0,00")))
    assert payout.lines == (PayoutLine("", -1000),)


def test_a_report_in_which_nothing_was_paid_out_says_so() -> None:
    error = unreadable(stripe(stripe_row("txn_1", "10.00", "0.30", "9.70", payout="", paid_on="")))
    assert "None of the 1 rows of the report was paid out yet" in str(error)
    assert error.field == "automatic_payout_id"
    assert unreadable(gopay(gopay_row("1", "01.10.2026", "Platba", "1,00"))).field == "Typ"
    assert "None of the 0 rows" in str(unreadable(table(PLAIN_HEADER)))


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7\n1 0 obj",
        b"PK\x03\x04\x14\x00",
        b"a;b;c\n1;2;3\n",
        "Datum;Částka\n1.1.2026;100,00\n".encode(),
        b"<xml/>",
        b"\xff\xfe\x00\xd8" * 40,
    ],
)
def test_what_is_no_report_names_those_that_can_be_read(data: bytes) -> None:
    with pytest.raises(UnknownFormat, match="not a payout report") as failure:
        read(data, source=NAME)
    assert "Stripe" in str(failure.value)


@pytest.mark.parametrize("data", [b"", b" \r\n", b"\0" * 512])
def test_an_empty_file_says_so(data: bytes) -> None:
    with pytest.raises(UnknownFormat, match="The file is empty"):
        read(data)


def test_a_report_that_lacks_columns_names_them() -> None:
    header = STRIPE_HEADER.replace("automatic_payout_id", "something")
    with pytest.raises(UnknownFormat, match=r"looks like Stripe.* lacks the columns automatic_payout_id\."):
        read(table(header, stripe_row("txn_1", "10.00", "0.30", "9.70")))


def test_a_payout_from_two_accounts_is_refused() -> None:
    header = f"{PLAIN_HEADER};account"
    error = unreadable(table(header, f"{GOOD};2000145399/0800", f"{GOOD};", f"{GOOD};123/0800"))
    assert (error.line, error.field) == (4, "account")


def test_a_table_that_two_profiles_fit_is_refused() -> None:
    header = f"{PLAIN_HEADER};id;type;amount;date;status;transaction_code"
    with pytest.raises(UnknownFormat):
        read(table(header, f"{GOOD};1;PAYOUT;1.00;2026-10-07;SUCCESSFUL;T1"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1250", "utf-16", "utf-16-le"])
def test_the_encoding_is_found(encoding: str) -> None:
    [payout] = read(comgate(comgate_row("A", "10,00", "9,90", "0,10", order="Žluť-1"), encoding=encoding))
    assert payout.lines[0].reference == "Žluť-1"


def test_a_file_in_another_encoding_is_refused() -> None:
    row = "P-1;2026-10-07;Příliš žluťoučký kůň;10.00;0.10;CZK"
    assert unreadable(plain(row).replace("ť".encode(), b"\xff")).field == "reference"
    garbled = comgate(comgate_row("A", "10,00", "9,90", "0,10"), encoding="utf-8").decode("cp1250", "replace")
    with pytest.raises(UnknownFormat):
        read(garbled.encode())


@pytest.mark.parametrize(
    "data",
    [
        plain(GOOD, "P-1;2026-10-07;2026002;20.00;0.20;CZK"),
        stripe(*(stripe_row(f"txn_{at}", "10.00", "0.30", "9.70", order=f"{at}") for at in range(2))),
        comgate(
            comgate_row("A", "10,00", "9,90", "0,10", order="1"), comgate_row("B", "5,00", "4,90", "0,10")
        ),
    ],
)
def test_a_cut_file_never_gives_an_amount_that_is_not_in_it(data: bytes) -> None:
    """A file cut between rows, or within its last column, is taken for a whole one; amounts stay."""
    whole = {line[1:] for payout in read(data) for line in payout.lines}
    for length in range(len(data)):
        try:
            payouts = read(data[:length])
        except StatementError:
            continue
        assert {line[1:] for payout in payouts for line in payout.lines} <= whole
