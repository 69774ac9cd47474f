"""The movements of OFX: amounts, days, texts, and the two ways of reading them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from io import BytesIO
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kvit.kernel.statements import Entry, Problem, parse, read, source
from kvit.kernel.statements.ofx import columns
from kvit.kernel.statements.source import BLOCK_BYTES
from tests.kernel.statements.ofx_writer import XML_HEADER, movement, ofx, statement, xml_movement
from tests.kernel.statements.test_ofx import entries


def one(text: str, **statement_parts: str) -> Entry:
    (entry,) = entries(read(ofx(statement(text, **statement_parts), encoding="utf-8")))
    return entry


def refusal(text: str) -> Problem:
    file = read(ofx(statement(text, movement("1.00", fitid="2026030200009"))))
    assert [entry.minor for entry in entries(file)] == [100]
    (error,) = file.errors
    return error


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("120", 12_000),
        ("-80", -8_000),
        ("+ 10", 1_000),
        (".5", 50),
        ("-.05", -5),
        ("5.", 500),
        ("-530,86", -53_086),
        ("1.006,60", 100_660),
        ("+1 006,60", 100_660),
        ("-1\xa0234\xa0567,5", -123_456_750),
        ("1,234.56", 123_456),
        ("1.234.567", 123_456_700),
        ("-00000000001500.0000", -150_000),
        ("0,500", 50),
        ("1.000", 100),
    ],
)
def test_an_amount_with_one_reading_is_read(text: str, minor: int) -> None:
    assert one(movement(text)).minor == minor


@pytest.mark.parametrize(
    "text", ["", ".", "$120", "1,000", "12.345", "1 23", "7.760.0000", "1e5", "--5", "5-", "１２", "9" * 30]
)
def test_an_amount_without_one_reading_is_left_out_and_the_others_go_on(text: str) -> None:
    file = read(ofx(statement(movement(text), movement("1.00", fitid="2026030200009")), encoding="utf-8"))
    assert [entry.minor for entry in entries(file)] == [100]
    assert [(error.field, error.line) for error in file.errors] == [("TRNAMT", 13)]


def test_an_unusual_way_of_writing_amounts_is_told_once() -> None:
    file = read(ofx(statement(movement("1,50"), movement("2,50", fitid="2026030200002"))))
    assert [(each.field, each.line) for each in file.warnings] == [("TRNAMT", 13)]


@pytest.mark.parametrize(
    ("posted", "day"),
    [
        ("20260302", date(2026, 3, 2)),
        ("20260302235959.999[-11:SST]", date(2026, 3, 2)),
        ("20240229", date(2024, 2, 29)),
        ("2026-03-02", date(2026, 3, 2)),
    ],
)
def test_a_day_is_the_first_eight_digits_whatever_the_zone(posted: str, day: date) -> None:
    assert one(movement(posted=posted)).booked_on == day


@pytest.mark.parametrize(
    "posted", ["", "00000000", "20260231", "020326", "2026030", "202603021", "yesterday"]
)
def test_a_day_that_is_none_is_left_out(posted: str) -> None:
    assert refusal(movement(posted=posted)).field == "DTPOSTED"


def test_a_movement_without_amount_is_left_out() -> None:
    assert refusal("<STMTTRN><DTPOSTED>20260302<FITID>7</STMTTRN>").field == "TRNAMT"


def test_two_movements_that_ran_into_one_are_left_out() -> None:
    assert "twice" in refusal("<STMTTRN><DTPOSTED>20260302<TRNAMT>1.00<TRNAMT>2.00</STMTTRN>").message


def test_a_correction_of_an_earlier_movement_is_left_to_a_person() -> None:
    error = refusal(movement("90.00", more="<CORRECTFITID>20260228001<CORRECTACTION>REPLACE"))
    assert (error.field, error.line) == ("CORRECTFITID", 13)
    assert "20260228001" in error.message


def test_the_currency_of_a_movement_is_its_own_where_it_says_one() -> None:
    foreign = "<CURRENCY><CURRATE>25.0<CURSYM>EUR</CURRENCY>"
    assert one(movement(more=foreign)).currency == "EUR"
    assert one(movement(more=foreign.replace("CURRENCY", "ORIGCURRENCY"))).currency == "CZK"


def test_a_currency_that_is_none_is_left_out() -> None:
    assert refusal(movement(more="<CURRENCY><CURSYM>EURO</CURRENCY>")).field == "CURRENCY/CURSYM"


def test_the_other_party_is_read_from_a_name_or_a_payee() -> None:
    payee = "<PAYEE><NAME>Pokus s.r.o.<ADDR1>Dlouha 1<CITY>Praha</PAYEE>"
    account = "<BANKACCTTO><BANKID>0800<ACCTID>2000145399<ACCTTYPE>CHECKING</BANKACCTTO>"
    entry = one(movement(name=None, more=payee + account))
    assert (entry.counterparty_name, entry.counterparty_account) == ("Pokus s.r.o.", "2000145399/0800")


def test_payment_symbols_in_a_memo_are_found() -> None:
    entry = one(movement(memo="Faktura VS:2026001 KS:0308"))
    assert (entry.variable_symbol, entry.constant_symbol) == ("2026001", "0308")
    assert entry.message == "Faktura VS:2026001 KS:0308"


def test_entities_and_cdata_are_read_and_a_lone_ampersand_stays() -> None:
    text = xml_movement(NAME="R&amp;D &#233;&nbsp;x AT&T &unknown;", MEMO="<![CDATA[a <b> &amp; c]]>")
    (entry,) = entries(read(ofx(statement(text), header=XML_HEADER)))
    assert entry.counterparty_name == "R&D é x AT&T &unknown;"
    assert entry.message == "a <b> &amp; c"


def test_a_movement_in_a_comment_or_in_cdata_is_none() -> None:
    hidden = xml_movement(TRNAMT="999999.00", FITID="1")
    shown = xml_movement(MEMO=f"<![CDATA[</MEMO></STMTTRN>{hidden}]]>")
    file = read(ofx(statement(f"<!-- {hidden} -->", shown), header=XML_HEADER))
    (entry,) = entries(file)
    assert (entry.minor, file.errors) == (10_000, ())
    assert "999999.00" in entry.message


def test_an_empty_element_is_absent() -> None:
    file = read(ofx(statement(movement(name=None, more="<NAME/><MEMO>Pokus"))))
    (entry,) = entries(file)
    assert (entry.counterparty_name, entry.message) == ("", "Pokus")
    assert [(each.field, each.line) for each in file.warnings] == [("NAME", 13)]


def test_a_pending_movement_is_marked_and_has_no_id_of_the_bank() -> None:
    pending = f"<BANKTRANLISTP><DTASOF>20260331{movement('7.00', tag='STMTTRNP')}</BANKTRANLISTP>"
    booked, announced = entries(read(ofx(statement(movement(), end=pending))))
    assert (booked.pending, announced.pending, announced.minor) == (False, True, 700)
    assert announced.external_id.startswith("h1:")


def test_movements_without_end_tags_are_read_and_told() -> None:
    bare = "<STMTTRN><DTPOSTED>20260302<TRNAMT>{}<FITID>{}<NAME>Jana"
    file = read(ofx(statement(bare.format("1.00", "2026030211"), bare.format("2.00", "2026030212"))))
    assert [entry.minor for entry in entries(file)] == [100, 200]
    assert [each.field for each in file.warnings] == ["STMTTRN"]


def test_a_movement_without_an_end_whose_amount_comes_last_may_be_cut() -> None:
    assert "may be cut" in refusal("<STMTTRN><DTPOSTED>20260302<FITID>7<TRNAMT>10").message


def test_a_number_of_the_statement_is_no_id_of_the_bank() -> None:
    assert one(movement(fitid="1")).external_id.startswith("h1:")
    assert one(movement(fitid="")).external_id.startswith("h1:")
    assert one(movement(fitid="0" * 20)).external_id.startswith("h1:")


def test_an_entry_knows_its_line_its_bytes_and_its_text() -> None:
    second = movement("2.00", fitid="2026030200002", name="Žofie")
    data = ofx(statement(movement(name="Číslo jedna"), second), encoding="utf-8")
    entry = entries(read(data))[1]
    assert (entry.line, entry.raw) == (14, second)
    assert entry.offset == data.index(second.encode())


UNUSUAL = "<IMAGEDATA><IMAGEREF>1</IMAGEDATA>"
"""What `columns` leaves to the careful reader, and no entry shows."""
values = st.text(st.characters(exclude_characters="<>&\0", exclude_categories=("Cs", "Co")), max_size=20)


@given(
    st.lists(
        st.tuples(
            st.integers(-(10**8), 10**8),
            st.dates(date(1990, 1, 1), date(2090, 12, 31)),
            values,
            values,
            st.one_of(st.none(), values),
            st.sampled_from(["", "<BANKACCTTO><BANKID>0800<ACCTID>2000145399</BANKACCTTO>"]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_reading_by_column_is_reading_one_by_one(
    rows: list[tuple[int, date, str, str, str | None, str]],
) -> None:
    texts = [
        movement(
            f"{'-' if minor < 0 else ''}{abs(minor) // 100}.{abs(minor) % 100:02}",
            posted=f"{day:%Y%m%d}",
            fitid=fitid,
            name=name,
            memo=memo,
        ).replace("<MEMO>", f"{other}<MEMO>")
        for minor, day, fitid, name, memo, other in rows
    ]
    careful = [text.replace("</STMTTRN>", f"{UNUSUAL}</STMTTRN>") for text in texts]

    def facts(each: Iterator[str]) -> list[object]:
        found = entries(read(ofx(statement(*each), encoding="utf-8")))
        return [replace(entry, offset=None, raw="") for entry in found]

    assert facts(iter(texts)) == facts(iter(careful))


def test_a_long_file_is_read_the_same_across_its_blocks() -> None:
    count = 3 * BLOCK_BYTES // 150
    texts = [
        movement(f"{number}.00", fitid=f"FIT{number:08}", name="Žluťoučký kůň " + "x" * (number % 50))
        for number in range(1, count)
    ]
    texts[::50] = [text.replace("</STMTTRN>", f"{UNUSUAL}</STMTTRN>") for text in texts[::50]]
    data = ofx(statement(*texts), encoding="utf-8")
    file = read(data)
    assert [entry.minor for entry in entries(file)] == [number * 100 for number in range(1, count)]
    assert file.errors == ()
    for entry in entries(file)[:: count // 7]:
        assert entry.offset is not None
        assert data[entry.offset :].startswith(entry.raw.encode())
        assert entry.line == data.count(b"\n", 0, entry.offset) + 1


@pytest.mark.parametrize("block_bytes", [7, 64, 301])
def test_where_a_block_ends_changes_nothing(block_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = xml_movement(NAME="Žofie", MEMO="<![CDATA[a <STMTTRN> b]]><!-- x -->")
    pending = f"<BANKTRANLISTP>{movement('7.00', tag='STMTTRNP')}</BANKTRANLISTP>"
    bare = "<STMTTRN><DTPOSTED>20260302<TRNAMT>1.00<FITID>2026030211<NAME>Jana"
    data = ofx(
        statement(movement(), shown, bare, movement("2,50", more=UNUSUAL), end=pending), encoding="utf-8"
    )
    whole = read(data)
    monkeypatch.setattr(source, "BLOCK_BYTES", block_bytes)
    pieces = read(data)
    assert pieces.statements == whole.statements
    assert sorted(map(str, pieces.warnings)) == sorted(map(str, whole.warnings))
    assert (len(entries(whole)), whole.errors, pieces.errors) == (5, (), ())


def test_a_usual_file_is_read_by_column() -> None:
    assert columns.usual(movement().removeprefix("<STMTTRN>"))
    assert not columns.usual(movement(more=UNUSUAL).removeprefix("<STMTTRN>"))
    other = "<BANKACCTTO>\n<BANKID>0800\n<ACCTID>2000145399\n<ACCTTYPE>CHECKING\n</BANKACCTTO>\n"
    assert columns.usual(movement(more=other).removeprefix("<STMTTRN>"))


def test_entries_come_before_the_end_of_the_file_is_read() -> None:
    data = ofx(statement(*(movement(fitid=f"FIT{number:08}") for number in range(20_000))))
    stream = BytesIO(data)
    events = parse(stream)
    assert isinstance(next(event for event in events if isinstance(event, Entry)), Entry)
    assert stream.tell() < len(data)


@pytest.mark.parametrize(
    "unit",
    [
        "<!--",
        "<![CDATA[",
        "<STMTTRN>",
        "<STMTTRN><TRNAMT>",
        "<",
        "<STMTTRNP>",
        "&",
        "<A ",
        "<STMTTRN>\n<!-- -->",
    ],
)
def test_no_repeated_piece_takes_more_than_its_share_of_time(unit: str) -> None:
    def took(size: int) -> float:
        data = ofx(statement(movement(name="A" + unit * (size // len(unit)))))
        begin = process_time()
        list(_all_of(data))
        return process_time() - begin

    took(10_000)
    assert took(160_000) < 40 * max(took(20_000), 0.005)


def _all_of(data: bytes) -> Iterator[object]:
    from kvit.kernel.errors import StatementUnreadable

    try:
        yield from parse(data)
    except StatementUnreadable as error:
        yield error
