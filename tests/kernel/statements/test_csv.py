"""CSV files are read by profiles, else by the words above their columns, else a person is asked."""

from __future__ import annotations

import csv
import io
from contextlib import suppress
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvit.kernel.errors import StatementError, StatementUnreadable
from kvit.kernel.statements import NO_CURRENCY, Entry, Hints, Problem, StatementFile, detect, read
from kvit.kernel.statements.csv import (
    Role,
    fitting,
    mapped,
    profile_to_toml,
    roles_of,
    sniff,
    suggest,
)
from kvit.kernel.statements.csv import read as read_csv
from kvit.kernel.statements.csv.reading import MOST_ACCOUNTS
from kvit.kernel.statements.csv.shipped import SHIPPED
from kvit.kernel.statements.source import Source
from tests.kernel.statements.csv_writer import KVIT_HEADER, fio, fio_row, revolut, table, unknown

GENERIC = ("date", "amount", "currency", "message")


def entries(file: StatementFile) -> list[Entry]:
    return [entry for statement in file.statements for entry in statement.entries]


def amounts(file: StatementFile) -> list[int]:
    return [entry.minor for entry in entries(file)]


def days(*texts: str, **hints: str) -> list[date]:
    data = unknown([(text, "1,00", "CZK", "x") for text in texts], GENERIC)
    return [entry.booked_on for entry in entries(read(data, hints=Hints(**hints)))]


def test_a_statement_of_fio_is_read_with_the_facts_above_its_table() -> None:
    file = read(fio(fio_row()))
    (statement,) = file.statements
    (entry,) = statement.entries
    assert file.format == "csv:fio"
    assert (file.warnings, file.errors) == ((), ())
    assert (statement.account, statement.currency, statement.number) == ("2000145399/2010", "CZK", "3")
    assert (statement.from_date, statement.to_date) == (date(2026, 3, 1), date(2026, 3, 31))
    assert str(statement.opening_balance) == "1000.00 CZK"
    assert str(statement.closing_balance) == "1150.00 CZK"
    assert entry == Entry(
        booked_on=date(2026, 3, 2),
        minor=15_000,
        currency="CZK",
        external_id="26000000001",
        is_bank_id=True,
        counterparty_name="Jana Pokusná",
        counterparty_account="19-2000145399/0800",
        variable_symbol="2026001",
        constant_symbol="0308",
        message="za fakturu Jana pozn.",
        line=8,
        raw=fio_row(),
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1250", "cp852"])
def test_the_encoding_is_told_by_the_content(encoding: str) -> None:
    (entry,) = entries(read(fio(fio_row(message="žluťoučký kůň"), encoding=encoding)))
    assert entry.message.startswith("žluťoučký kůň")


def test_a_damaged_byte_does_not_change_the_encoding_of_the_rest() -> None:
    data = fio(fio_row(message="žluťoučký"), fio_row("26000000002", message="k\ufffd")).replace(
        "\ufffd".encode(), b"\xff"
    )
    first, second = entries(read(data))
    assert first.message.startswith("žluťoučký")
    assert second.message.startswith("k\ufffd")


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_the_delimiter_is_told_by_the_content(delimiter: str) -> None:
    file = read(unknown([("2026-03-02", "-12.50", "CZK", "coffee")], GENERIC, delimiter))
    assert [(entry.minor, entry.message) for entry in entries(file)] == [(-1250, "coffee")]


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("1 234,56", 123_456),
        ("1\u00a0234,56", 123_456),
        ("1'234,56", 123_456),
        ("1.234,56", 123_456),
        ("-1.234.567,8", -123_456_780),
        ("−5,00", -500),
        ("5,00-", -500),
        ("(5,00)", -500),
        ("+5", 500),
        ("5,", 500),
        (",5", 50),
        ("12,500", 1_250),
        ("12,00 CZK", 1_200),
        ("Kč 12,00", 1_200),
        ("0,00", 0),
    ],
)
def test_an_amount_is_read_exactly_in_any_spelling(text: str, minor: int) -> None:
    profile = profile_to_toml(
        mapped(sniff(Source(unknown([("2026-03-02", text, "CZK", "x")], GENERIC))), ROLES, decimal=",")
    )
    file = read(unknown([("2026-03-02", text, "CZK", "x")], GENERIC), hints=Hints(profile=profile))
    assert file.errors == ()
    assert amounts(file) == [minor]


@pytest.mark.parametrize(
    "text", ["12,345", "1,2,3", "12,00-,", "--5,00", "1 23,00", "12,00 EUR", "5,-", "x", "9" * 20]
)
def test_an_amount_that_is_not_exact_stops_its_row_only(text: str) -> None:
    data = unknown([("2026-03-02", text, "CZK", "x"), ("2026-03-03", "7,00", "CZK", "y")], GENERIC)
    profile = profile_to_toml(mapped(sniff(Source(data)), ROLES, decimal=","))
    file = read(data, hints=Hints(profile=profile))
    assert amounts(file) == [700]
    assert [(problem.line, problem.field) for problem in file.errors] == [(2, "amount")]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-03-02", date(2026, 3, 2)),
        ("2026-03-02T23:59:59Z", date(2026, 3, 2)),
        ("2026-03-02 06:11:59", date(2026, 3, 2)),
        ("2026/03/02", date(2026, 3, 2)),
        ("2026.03.02.", date(2026, 3, 2)),
        ("20260302", date(2026, 3, 2)),
        ("2.3.2026", date(2026, 3, 2)),
        ("2. 3. 2026", date(2026, 3, 2)),
        ("02.03.26", date(2026, 3, 2)),
        ("19.04.99", date(1999, 4, 19)),
        ("2 Mar 2026", date(2026, 3, 2)),
        ("Mar 2, 2026", date(2026, 3, 2)),
        ("2. března 2026", date(2026, 3, 2)),
    ],
)
def test_a_day_is_read_in_any_spelling(text: str, day: date) -> None:
    assert days(text) == [day]


def test_the_order_of_day_and_month_is_told_by_any_row() -> None:
    assert days("01/02/2026", "02/02/2026", "13/02/2026")[0] == date(2026, 2, 1)
    assert days("01/02/2026", "02/02/2026", "02/13/2026")[0] == date(2026, 1, 2)
    late = ["01/02/2026"] * 5000 + ["02/28/2026"]
    assert days(*late)[0] == date(2026, 1, 2)


def test_an_order_that_nothing_tells_is_asked_for() -> None:
    with pytest.raises(StatementUnreadable) as error:
        days("01/02/2026", "03/04/2026")
    assert error.value.field == "date_order"
    assert days("05/05/2026") == [date(2026, 5, 5)]


def test_a_decimal_mark_that_nothing_tells_is_asked_for() -> None:
    with pytest.raises(StatementUnreadable) as error:
        read(unknown([("2026-03-02", "1,500", "CZK", "x")], GENERIC))
    assert error.value.field == "decimal"


def test_a_table_that_no_profile_fits_is_read_by_its_words_with_a_warning() -> None:
    data = table(
        "Fecha;Concepto;Importe;Moneda", "2026-04-02;Alquiler;-1.234,56;EUR", "2026-04-05;Pago;3.500,00;EUR"
    )
    file = read(data)
    detection = detect(data)
    assert detection is not None
    assert not detection.is_sure
    assert detection.doubt
    assert file.format == "csv"
    assert amounts(file) == [-123_456, 350_000]
    assert any("Importe" in warning.message for warning in file.warnings)


@pytest.mark.parametrize(
    ("header", "field"),
    [
        (("datum", "text", "saldo"), "amount"),
        (("betrag", "text", "saldo"), "amount"),
        (("datum", "amount", "amount"), "amount"),
        (("datum", "credit", "text"), "income"),
    ],
)
def test_a_table_with_more_than_one_reading_asks_for_the_column(header: tuple[str, ...], field: str) -> None:
    with pytest.raises(StatementUnreadable) as error:
        read(unknown([("2026-03-02", "5,00", "6,00"), ("2026-03-03", "1,00", "7,50")], header))
    assert error.value.field == field


def test_a_table_without_a_header_is_not_guessed() -> None:
    with pytest.raises(StatementUnreadable, match="no header"):
        read(table("2026-03-02;5,00;x", "2026-03-03;6,00;y"))


def test_a_person_maps_the_columns_of_a_table_without_a_header() -> None:
    data = table("27 Feb 2026,UMC, 7.80, ,Lunch", "28 Feb 2026,ITR, , 90.10,Wages")
    layout = sniff(Source(data))
    roles = [Role.BOOKED_ON, None, Role.EXPENSE, Role.INCOME, Role.MESSAGE]
    profile = mapped(layout, roles, name="canteen", currency="SGD", account="123")
    file = read(data, hints=Hints(profile=profile_to_toml(profile)))
    assert roles_of(profile, layout) == tuple(roles)
    assert file.format == "csv:canteen"
    assert [(each.account, each.currency) for each in file.statements] == [("123", "SGD")]
    assert amounts(file) == [-780, 9_010]


def test_a_mapping_that_gives_no_movements_names_the_missing_role() -> None:
    layout = sniff(Source(unknown([("2026-03-02", "5,00", "CZK", "x")], GENERIC)))
    for roles, field in (([None] * 4, "booked_on"), ([Role.BOOKED_ON, None, None, None], "amount")):
        with pytest.raises(StatementUnreadable) as error:
            mapped(layout, roles)
        assert error.value.field == field


def test_a_suggestion_starts_the_mapping_page() -> None:
    layout = sniff(Source(table("Kdy;Komu;Kolik", "2.3.2026;Jana;12,50", "3.3.2026;Petr;-2,50")))
    assert layout.kinds == ("date", "text", "amount")
    assert (layout.decimal, layout.date_order, layout.header_line) == (",", "dmy", 1)
    assert roles_of(suggest(layout), layout) == (Role.BOOKED_ON, None, Role.AMOUNT)


def test_a_profile_named_by_a_person_is_used() -> None:
    file = read(fio(fio_row()), hints=Hints(profile="fio"))
    assert file.format == "csv:fio"
    with pytest.raises(StatementUnreadable) as error:
        read(fio(fio_row()), hints=Hints(profile="nobody"))
    assert error.value.field == "profile"


def test_a_profile_that_lacks_its_columns_is_refused() -> None:
    with pytest.raises(StatementUnreadable) as error:
        read(fio(fio_row()), hints=Hints(profile="revolut"))
    assert error.value.field == "booked_on"


def test_marks_say_which_way_the_money_went() -> None:
    header = (
        "Datum;Naam / Omschrijving;Rekening;Tegenrekening;Code;Af Bij;Bedrag (EUR);MutatieSoort;Mededelingen"
    )
    row = "20260302;Winkel;NL02ABNA0123456789;;BA;{};12,50;Pin;kaart"
    file = read(table(header, row.format("Af"), row.format("Bij"), row.format("?")))
    assert amounts(file) == [-1250, 1250]
    assert [(problem.line, problem.field) for problem in file.errors] == [(4, "Af Bij")]
    assert file.statements[0].account == "NL02ABNA0123456789"


def test_an_amount_whose_sign_contradicts_its_mark_is_not_guessed() -> None:
    data = table(
        "date;amount;d/c;currency",
        "2026-03-02;-5,00;C;EUR",
        "2026-03-03;-6,00;D;EUR",
        "2026-03-04;7,00;C;EUR",
    )
    file = read(data)
    assert amounts(file) == [-600, 700]
    assert [problem.line for problem in file.errors] == [2]


def test_income_and_expense_stand_in_columns_of_their_own() -> None:
    data = table(
        "Date,Details,Debit,Credit,Balance", "21/09/2026,A,,100.00,100.00", "22/09/2026,B,40.5,,59.50"
    )
    file = read(data)
    assert amounts(file) == [10_000, -4_050]
    assert str(file.statements[0].opening_balance) == f"0.00 {NO_CURRENCY}"
    assert file.warnings == ()


def test_an_expense_with_another_sign_than_the_first_is_not_guessed() -> None:
    data = table(
        "Date,Details,Debit,Credit,Balance",
        "21/09/2026,A,-4.00,,",
        "22/09/2026,B,5.00,,",
        "23/09/2026,C,1,2,",
    )
    file = read(data)
    assert amounts(file) == [-400]
    assert [problem.line for problem in file.errors] == [3, 4]


def test_a_fee_of_revolut_leaves_with_the_amount() -> None:
    file = read(
        revolut(
            "TRANSFER,Current,2026-03-02 10:00,2026-03-02 10:00,To Jana,-10.00,0.50,EUR,COMPLETED,89.50",
            "TOPUP,Current,2026-03-03 10:00:00,2026-03-03 10:00:01,Top-up,10,0,EUR,COMPLETED,99.50",
        )
    )
    (statement,) = file.statements
    assert amounts(file) == [-1_050, 1_000]
    assert str(statement.opening_balance) == "100.00 EUR"
    assert str(statement.closing_balance) == "99.50 EUR"
    assert file.warnings == ()


def test_rows_that_moved_no_money_are_left_out_and_announced_ones_marked() -> None:
    row = "CARD_PAYMENT,Current,2026-03-02 10:00,{},Shop,-10.00,0.00,EUR,{},"
    done = "2026-03-03 08:00:00"
    file = read(
        revolut(
            *(row.format(done, state) for state in ("COMPLETED", "REVERTED", "???")),
            row.format("", "PENDING"),
        )
    )
    assert [(entry.booked_on.day, entry.pending) for entry in entries(file)] == [(3, False), (2, True)]
    assert [(problem.line, problem.field) for problem in file.errors] == [(4, "State")]


def test_a_fee_that_may_be_in_the_amount_is_a_doubt() -> None:
    file = read(table("date;amount;fee;currency", "2026-03-02;-5,00;0,50;EUR", "2026-03-03;-5,00;0,50;EUR"))
    assert amounts(file) == [-500, -500]
    assert [warning.line for warning in file.warnings if warning.field == "fee"] == [2]


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_running_balance_gives_both_balances_in_either_order(newest_first: bool) -> None:
    rows = [("2026-03-02", "5,00", "15,00"), ("2026-03-03", "-2,50", ""), ("2026-03-03", "-2,50", "10,00")]
    file = read(unknown(rows[::-1] if newest_first else rows, ("date", "amount", "balance")))
    (statement,) = file.statements
    assert statement.opening_balance is not None
    assert statement.closing_balance is not None
    assert (statement.opening_balance.minor, statement.closing_balance.minor) == (1_000, 1_000)
    assert not any(warning.field == "balance" for warning in file.warnings)


def test_a_missing_row_is_seen_in_the_running_balance() -> None:
    rows = [(f"2026-03-{day:02}", "1,00", f"{day},00") for day in range(1, 20) if day != 10]
    file = read(unknown(rows, ("date", "amount", "balance")))
    assert [warning.line for warning in file.warnings if warning.field == "balance"] == [11]
    assert any("do not agree" in warning.message for warning in file.warnings)


def test_each_account_and_currency_is_a_statement_of_its_own() -> None:
    rows = [("2026-03-02", "5,00", currency, "x") for currency in ("EUR", "USD", "EUR", "CZK")]
    file = read(unknown(rows, GENERIC))
    assert [(each.currency, len(each.entries)) for each in file.statements] == [
        ("EUR", 2),
        ("USD", 1),
        ("CZK", 1),
    ]
    assert [entry.line for entry in entries(file)] == [2, 4, 3, 5]


def test_mixed_accounts_that_do_not_fit_in_memory_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kvit.kernel.statements.csv.reading._MOST_KEPT", 10)
    codes = ("EUR", "USD", "CZK", "PLN")
    rows = [("2026-03-02", f"{index},00", codes[index % 4], "x") for index in range(80)]
    file = read(unknown(rows, GENERIC))
    assert sorted(amounts(file)) == [index * 100 for index in range(80)]
    assert {(each.currency, len(each.entries)) for each in file.statements} == {(code, 20) for code in codes}


def test_a_column_that_is_no_own_account_is_refused() -> None:
    rows = [f"NL02ABNA{index:010};2026-03-02;1,00" for index in range(MOST_ACCOUNTS + 1)]
    with pytest.raises(StatementUnreadable) as error:
        read(table("own account;date;amount", *rows))
    assert error.value.field == "account"


def test_totals_notes_and_repeated_headers_are_no_movements() -> None:
    data = table(
        "date;amount;currency;message",
        "2026-03-02;5,00;CZK;a",
        "",
        "date;amount;currency;message",
        "2026-03-03;6,00;CZK;b",
        "2026-03-04;7,00;CZK;c",
        "Celkem;11,00;CZK;",
        "Tento výpis je jen informativní",
    )
    file = read(data)
    assert amounts(file) == [500, 600, 700]
    assert file.errors == ()


def test_an_amount_without_a_day_is_an_error() -> None:
    file = read(
        table("date;amount;currency;message", "2026-03-02;5,00;CZK;a", ";6,00;CZK;b", "nikdy;7,00;CZK;c")
    )
    assert amounts(file) == [500]
    assert [(problem.line, problem.field) for problem in file.errors] == [(3, "date"), (4, "date")]


def test_rows_may_be_trimmed_on_the_right() -> None:
    file = read(
        table("date;amount;message;note", "2026-03-02;5,00;a;b", "2026-03-03;6,00", "2026-03-04;7,00;c")
    )
    assert [(entry.minor, entry.message) for entry in entries(file)] == [(500, "a b"), (600, ""), (700, "c")]


def test_a_stray_delimiter_before_the_amount_does_not_give_another_amount() -> None:
    data = table("date;name;vs;amount;balance", "2026-03-02;Jana;1;5,00;5,00", "2026-03-03;A;B;2;6,00;11,00")
    file = read(data)
    assert amounts(file) == [500]
    assert [problem.line for problem in file.errors] == [3]


def test_a_stray_quote_does_not_swallow_the_rows_below_it() -> None:
    data = table("date;amount;message", '2026-03-02;5,00;"a', '2026-03-03;6,00;b"', "2026-03-04;7,00;c")
    file = read(data)
    assert amounts(file) == [700]
    assert [problem.line for problem in file.errors] == [2]


def test_a_quoted_text_of_several_lines_is_one_row() -> None:
    file = read(
        table("date;amount;message", '2026-03-02;5,00;"first', 'second; ""third"""', "2026-03-04;7,00;c")
    )
    assert [(entry.message, entry.line) for entry in entries(file)] == [
        ('first second; "third"', 2),
        ("c", 4),
    ]
    assert entries(file)[0].raw == '2026-03-02;5,00;"first\nsecond; ""third"""'


@pytest.mark.parametrize("tail", ['"never ends', '"' + "x" * 200_000, '"' + "\nx;1" * 400_000])
def test_a_quoted_text_that_never_ends_is_refused(tail: str) -> None:
    with pytest.raises(StatementUnreadable) as error:
        read(table("date;amount;message", "2026-03-02;5,00;a", "2026-03-02;5,00;" + tail))
    assert error.value.line is not None


def test_null_bytes_are_refused() -> None:
    many = ["2026-03-02;5,00;a"] * 5000
    with pytest.raises(StatementUnreadable, match="null bytes") as error:
        read(table("date;amount;message", *many, "2026-03-02;5,00;\0"))
    assert error.value.line == 5002
    with pytest.raises(StatementError):
        read(b"date;amount\0;message\n2026-03-02;5,00;a\n")


def test_a_file_that_ends_within_its_last_amount_says_so() -> None:
    whole = table("date;amount;currency;message", "2026-03-02;5,00;CZK;a", "2026-03-03;-1234,56;CZK;b")
    cut = read(whole[:-9])
    assert amounts(cut) == [500]
    assert [problem.line for problem in cut.errors] == [3]
    short = read(whole[:-3])
    assert amounts(short) == [500, -123_456]
    assert any(warning.line == 3 for warning in short.warnings)


def test_what_a_file_does_not_say_is_taken_from_the_hints() -> None:
    data = table("date;amount;message", "2026-03-02;5,00;a")
    (plain,), (hinted,) = (
        read(data, hints=hints).statements
        for hints in (Hints(), Hints(account="2000145399/2010", currency="CZK"))
    )
    assert (plain.account, plain.currency, plain.entries[0].currency) == ("", "", NO_CURRENCY)
    assert (hinted.account, hinted.currency, hinted.entries[0].currency) == ("2000145399/2010", "CZK", "CZK")


def test_a_column_called_account_is_the_other_partys_where_it_changes() -> None:
    own = read(table("date;amount;account", "2026-03-02;5,00;123/0800", "2026-03-03;6,00;123/0800"))
    other = read(table("date;amount;account", "2026-03-02;5,00;123/0800", "2026-03-03;6,00;456/0800"))
    assert own.statements[0].account == "123/0800"
    assert [entry.counterparty_account for entry in entries(other)] == ["123/0800", "456/0800"]


def test_the_export_of_kvit_comes_back_as_it_was() -> None:
    dutch = 'NL02ABNA0123456789,EUR,2026-03-02,,-5.00,h1:abc,false,A,1/0800,007,,," x  y",E2E,false'
    czech = "2000145399/2010,CZK,2026-03-03,2026-03-04,12.34,"
    rows = [dutch, czech + '26000000001,true,B,,,,,"q""q",,true', czech + '7,false,,,,,,"a\nb",,false']
    file = read(table(KVIT_HEADER, *rows))
    assert file.format == "csv:kvit"
    assert (file.errors, file.warnings) == ((), ())
    assert [each.account for each in file.statements] == ["NL02ABNA0123456789", "2000145399/2010"]
    assert [written(each) for each in entries(file)] == [
        row[1:] for row in csv.reader(io.StringIO("\n".join(rows)))
    ]


def test_an_apostrophe_in_front_keeps_a_text_of_the_export_from_being_a_formula() -> None:
    row = "'+1,CZK,2026-03-03,,12.34,'-7,false,'=A1,'@x,,,,''quoted,'',false"
    statement = read(table(KVIT_HEADER, row)).statements[0]
    (entry,) = statement.entries
    assert (statement.account, entry.external_id, entry.counterparty_name) == ("+1", "-7", "=A1")
    assert (entry.counterparty_account, entry.message, entry.reference) == ("@x", "'quoted", "'")
    assert read(table(KVIT_HEADER, row, "")).statements[0].entries == (entry,)


def written(entry: Entry) -> list[str]:
    """The cells of Kvit's own export but the account."""
    return [
        entry.currency,
        entry.booked_on.isoformat(),
        entry.value_on.isoformat() if entry.value_on else "",
        str(entry.amount.amount),
        entry.external_id,
        str(entry.is_bank_id).lower(),
        entry.counterparty_name,
        entry.counterparty_account,
        entry.variable_symbol,
        entry.constant_symbol,
        entry.specific_symbol,
        entry.message,
        entry.reference,
        str(entry.pending).lower(),
    ]


def test_a_users_profile_is_found_by_the_header() -> None:
    data = table("Kdy;Komu;Kolik", "2.3.2026;Jana;12,50")
    mine = mapped(sniff(Source(data)), [Role.BOOKED_ON, Role.COUNTERPARTY_NAME, Role.AMOUNT], name="mine")
    assert fitting(Source(data), [mine, *SHIPPED.values()]) == mine
    assert fitting(Source(data), SHIPPED.values()) is None
    assert (
        fitting(Source(data), [mine, mapped(sniff(Source(data)), [Role.BOOKED_ON, None, Role.AMOUNT])])
        is None
    )


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"<xml/>", b'{"a": 1}', b"\x00\x01\x02" * 50, b"a letter\nto you\n"]
)
def test_what_is_no_table_is_left_to_others(data: bytes) -> None:
    detection = detect(data)
    assert detection is None or not detection.format.startswith("csv")


cells = st.text(st.characters(exclude_characters="\0\r\x01\x02", codec="utf-8"), max_size=12)


@given(st.lists(st.tuples(cells, st.integers(-(10**12), 10**12), cells), min_size=1, max_size=8))
def test_rows_read_by_the_column_and_one_by_one_are_the_same(rows: list[tuple[str, int, str]]) -> None:
    """A blank line makes the whole block be read row by row, and must change nothing."""

    def written(*, blank: bool) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=";", lineterminator="\n")
        writer.writerow(("date", "amount", "name", "vs", "message"))
        for name, minor, message in rows:
            writer.writerow(("2026-03-02", str(Decimal(minor).scaleb(-2)), name, "0012", message))
        return (text.getvalue() + ("\n" if blank else "")).encode()

    def told(data: bytes) -> list[tuple[object, ...]]:
        toml = profile_to_toml(mapped(sniff(Source(PLAIN)), PLAIN_ROLES, decimal="."))
        # Other formats may know a line of these texts as theirs, so the reader of CSV is asked itself.
        parts = list(read_csv(Source(data), Hints(profile=toml)))
        assert not any(isinstance(part, Problem) for part in parts)
        return [
            (each.minor, each.counterparty_name, each.variable_symbol, each.message, each.line, each.raw)
            for part in parts
            if isinstance(part, list)
            for each in part
        ]

    assert told(written(blank=True)) == told(written(blank=False))
    assert [row[0] for row in told(written(blank=False))] == [minor for _, minor, _ in rows]


@given(st.binary(max_size=300), st.integers(0, 400))
def test_any_bytes_end_in_values_or_the_typed_error(noise: bytes, position: int) -> None:
    data = fio(fio_row(), fio_row("26000000002"))
    for mutated in (data[:position] + noise + data[position:], data[:position], noise):
        with suppress(StatementError):
            assert all(entry.currency for entry in entries(read(mutated)))


ROLES = [Role.BOOKED_ON, Role.AMOUNT, Role.CURRENCY, Role.MESSAGE]
PLAIN = table("date;amount;name;vs;message", "2026-03-02;5.00;a;1;b")
PLAIN_ROLES = [Role.BOOKED_ON, Role.AMOUNT, Role.COUNTERPARTY_NAME, Role.VARIABLE_SYMBOL, Role.MESSAGE]
