"""OFX: statements, accounts, balances, and what stands around the movements."""

from __future__ import annotations

from datetime import date

import pytest

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.statements import Entry, Hints, Problem, StatementFile, read
from kvit.kernel.statements import ofx as ofx_format
from kvit.kernel.statements.values import NO_CURRENCY
from tests.factories import money
from tests.kernel.statements.ofx_writer import (
    CLOSING,
    HEADER,
    SIGN_ON,
    XML_HEADER,
    movement,
    ofx,
    statement,
    xml_movement,
)


def entries(file: StatementFile) -> list[Entry]:
    return [entry for each in file.statements for entry in each.entries]


def messages(problems: tuple[Problem, ...]) -> list[str]:
    return [problem.message for problem in problems]


def format_of(data: bytes) -> str:
    detection = ofx_format.detect(data)
    return detection.format if detection else ""


def test_a_statement_says_its_account_its_period_and_its_closing_balance() -> None:
    file = read(ofx(statement(movement("100.00"), movement("-25.50", fitid="2026030200002"))))
    (only,) = file.statements
    assert (only.account, only.currency) == ("2000145399/0800", "CZK")
    assert (only.from_date, only.to_date) == (date(2026, 3, 1), date(2026, 3, 31))
    assert (only.opening_balance, only.closing_balance) == (None, money("1100.00 CZK"))
    assert [entry.minor for entry in only.entries] == [10_000, -2_550]
    assert (file.format, file.warnings, file.errors) == ("ofx1", (), ())


def test_an_available_balance_is_not_the_closing_one() -> None:
    available = "<AVAILBAL><BALAMT>9999.00<DTASOF>20260331</AVAILBAL>"
    (only,) = read(ofx(statement(end=available + CLOSING))).statements
    assert only.closing_balance == money("1100.00 CZK")
    (other,) = read(ofx(statement(end=available))).statements
    assert other.closing_balance is None


def test_accounts_and_cards_of_one_file_are_apart() -> None:
    card = "<CCACCTFROM><ACCTID>4111 1111</CCACCTFROM>"
    file = read(ofx(statement(movement()), statement(movement("5.00"), account=card, tag="CCSTMTRS")))
    assert [each.account for each in file.statements] == ["2000145399/0800", "41111111"]
    assert [len(each.entries) for each in file.statements] == [1, 1]


@pytest.mark.parametrize(
    ("account", "written"),
    [
        ("<BANKID>0237<ACCTID>34545", "34545"),
        ("<BANKID>COBADEFF<ACCTID>DE02 1203 0000 0000 2020 51", "DE02120300000000202051"),
        ("<BANKID>0800<BRANCHID>1<ACCTID>19-2000145399", "19-2000145399/0800"),
    ],
)
def test_an_account_gets_its_bank_code_only_where_it_surely_is_czech(account: str, written: str) -> None:
    (only,) = read(ofx(statement(account=f"<BANKACCTFROM>{account}</BANKACCTFROM>"))).statements
    assert only.account == written


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (ofx(statement()), "ofx1"),
        (b"\r\n" + ofx(statement()), "ofx1"),
        (ofx(statement(), header="", sign_on=""), "ofx1"),
        (ofx(statement(), header=XML_HEADER), "ofx2"),
        (ofx(statement(), header='<?xml version="1.0"?>\n<!-- from the bank -->'), "ofx2"),
        (ofx(statement(), header="", encoding="utf-16"), "ofx1"),
        (b"<html><body>OFX</body></html>", ""),
        (b"date;amount\n2026-03-02;<OFX>\n", ""),
    ],
)
def test_the_content_tells_the_version(data: bytes, name: str) -> None:
    assert format_of(data) == name


@pytest.mark.parametrize(
    "data",
    [
        ofx(statement(movement()), header=""),
        ofx(statement(xml_movement(NAME="Jana Pokusna")), header=XML_HEADER),
        ofx(statement(movement()), encoding="utf-16"),
        ofx(statement(movement())).replace(b"OFX>", b"ofx>").replace(b"STMTTRN>", b"stmttrn>"),
        ofx(statement(movement()), header=XML_HEADER)
        .replace(b"<OFX>", b'<o:OFX xmlns:o="urn:x">')
        .replace(b"</OFX>", b"</o:OFX>")
        .replace(b"STMTTRN>", b"STMTTRN  >"),
        ofx(statement(movement())).replace(b"\n", b"\r\n"),
        ofx(statement(movement())).replace(b"><", b">\n  <"),
    ],
)
def test_every_way_of_writing_the_tags_means_the_same(data: bytes) -> None:
    (entry,) = entries(read(data))
    assert (entry.minor, entry.currency, entry.booked_on) == (10_000, "CZK", date(2026, 3, 2))
    assert (entry.counterparty_name, entry.external_id) == ("Jana Pokusna", "2026030200001")


@pytest.mark.parametrize(
    ("header", "doubt"),
    [
        ("\r\n" + HEADER, "The header does not begin the file"),
        (HEADER.replace("\r\n", ""), "The header stands on one line"),
        (HEADER.replace("CHARSET:1252", "CHARSET:NONE"), "The header names no character set"),
    ],
)
def test_an_unusual_header_is_told_and_the_file_read(header: str, doubt: str) -> None:
    file = read(ofx(statement(movement()), header=header))
    assert len(entries(file)) == 1
    assert doubt in file.warnings[0].message
    assert file.warnings[0].line is not None


@pytest.mark.parametrize(
    ("encoding", "declared", "currency"),
    [
        ("utf-8", "1252", "CZK"),
        ("cp1250", "1252", "CZK"),
        ("cp1250", "1250", "EUR"),
        ("cp1250", "8859-2", "EUR"),
    ],
)
def test_the_text_itself_tells_its_encoding_where_the_header_lies(
    encoding: str, declared: str, currency: str
) -> None:
    head = HEADER.replace("1252", declared)
    data = ofx(
        statement(movement(name="Řehoř Příkladný"), currency=f"<CURDEF>{currency}"),
        header=head,
        encoding=encoding,
    )
    file = read(data)
    assert entries(file)[0].counterparty_name == "Řehoř Příkladný"
    assert "there are other characters" in file.warnings[0].message


def test_western_text_is_read_as_the_header_says() -> None:
    data = ofx(statement(movement(name="Crédit à Genève"), currency="<CURDEF>EUR"), encoding="cp1252")
    assert entries(read(data))[0].counterparty_name == "Crédit à Genève"


def test_what_the_bank_refuses_is_told_in_its_words() -> None:
    status = "<STATUS><CODE>2000</CODE><SEVERITY>ERROR</SEVERITY><MESSAGE>Try again later</MESSAGE></STATUS>"
    file = read(ofx(status, header=XML_HEADER))
    assert file.statements == ()
    assert messages(file.warnings) == ["The bank answered with error 2000: Try again later"]
    assert file.warnings[0].line == 4


def test_an_investment_account_shows_its_money_and_says_that_trades_are_not_read() -> None:
    trade = "<BUYSTOCK><INVBUY><INVTRAN><FITID>7<DTTRADE>20260302</INVTRAN><TOTAL>-50.00</INVBUY></BUYSTOCK>"
    money_moved = f"<INVBANKTRAN>{movement()}<SUBACCTFUND>CASH</INVBANKTRAN>"
    text = (
        "<INVSTMTRS><CURDEF>USD<INVACCTFROM><BROKERID>b<ACCTID>X1</INVACCTFROM>"
        f"<INVTRANLIST>{trade}{money_moved}</INVTRANLIST></INVSTMTRS>"
    )
    file = read(ofx(text))
    assert [(each.account, each.currency, len(each.entries)) for each in file.statements] == [
        ("X1", "USD", 1)
    ]
    assert [problem.field for problem in file.warnings] == ["INVTRAN"]


def test_a_statement_without_account_or_currency_says_so_and_a_hint_helps() -> None:
    data = ofx(statement(movement(), currency="", account=""))
    file = read(data)
    assert [problem.field for problem in file.warnings] == ["ACCTID", "CURDEF"]
    assert entries(file)[0].currency == NO_CURRENCY
    hinted = read(data, hints=Hints(account="1/0800", currency="EUR"))
    assert (hinted.statements[0].account, entries(hinted)[0].currency) == ("1/0800", "EUR")


def test_an_empty_or_unreadable_balance_is_told_with_its_line() -> None:
    empty = read(ofx(statement(end="<LEDGERBAL><BALAMT><DTASOF>20260331</LEDGERBAL>")))
    assert [(each.field, each.line) for each in empty.warnings] == [("BALAMT", 14)]
    broken = read(ofx(statement(end="<LEDGERBAL><BALAMT>$5<DTASOF>20260331</LEDGERBAL>")))
    assert [(each.field, each.line) for each in broken.errors] == [("BALAMT", 14)]


def test_a_period_that_cannot_be_read_is_no_reason_to_refuse() -> None:
    file = read(ofx(statement(movement(), period="<DTSTART>010326<DTEND>20260331")))
    assert [problem.field for problem in file.warnings] == ["DTSTART"]
    assert (file.statements[0].from_date, len(entries(file))) == (None, 1)


def test_fio_has_no_header_and_its_ids_are_those_of_its_api() -> None:
    account = "<BANKACCTFROM><BANKID>2010<ACCTID>2000145399<ACCTTYPE>CHECKING</BANKACCTFROM>"
    other = "<BANKACCTTO><BANKID>0800<ACCTID>19-2000145399<ACCTTYPE>CHECKING</BANKACCTTO>"
    moved = movement("-15.0000", fitid="114760", name="Platba prevodem", memo="Najem", more=other)
    plain_one = movement("20.0000", fitid="114761", name="Pripsany urok")
    file = read(ofx(statement(moved, plain_one, account=account), header="", sign_on=""))
    first, second = entries(file)
    assert (first.external_id, first.is_bank_id, first.minor) == ("114760", True, -1_500)
    assert (first.counterparty_name, first.counterparty_account) == ("", "19-2000145399/0800")
    assert (first.message, second.message) == ("Najem", "Pripsany urok")
    assert (second.counterparty_name, second.is_bank_id) == ("", True)
    named = read(ofx(statement(plain_one, account=account)))
    assert not entries(named)[0].is_bank_id


def test_a_cut_file_says_so_and_gives_no_cut_movement() -> None:
    data = ofx(statement(movement(), movement("1006.60", fitid="2026030200002")))
    cut = data[: data.index(b"1006.60") + 2]
    file = read(cut)
    assert [entry.minor for entry in entries(file)] == [10_000]
    assert [(each.message, each.line) for each in file.errors] == [
        ("The file ends within a movement; it was left out.", 14)
    ]
    assert any("</OFX>" in message for message in messages(file.warnings))


def test_a_balance_cut_by_the_end_of_the_file_is_not_taken() -> None:
    data = ofx(statement(movement()))
    file = read(data[: data.index(b"1100.00") + 2])
    assert file.statements[0].closing_balance is None


@pytest.mark.parametrize("header", [HEADER, XML_HEADER, ""])
def test_a_doctype_is_refused(header: str) -> None:
    doctype = '<!DOCTYPE OFX [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>\n'
    with pytest.raises(StatementUnreadable) as error:
        read(ofx(statement(movement()), header=header + doctype))
    assert error.value.field == "DOCTYPE"


def test_ofc_is_named_for_what_it_is() -> None:
    with pytest.raises(StatementUnreadable, match="OFC") as error:
        read(b"\n<OFC><ACCTSTMT></ACCTSTMT></OFC>")
    assert (error.value.line, error.value.field) == (2, "OFC")


def test_a_sign_on_that_went_well_is_no_doubt() -> None:
    assert read(ofx(sign_on=SIGN_ON)).warnings == ()
