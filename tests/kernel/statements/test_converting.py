"""What `convert` writes is read again as equal entries, whatever they say."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Sequence
from datetime import date
from io import StringIO
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from msgspec.structs import replace

from kvit.kernel.errors import StatementError
from kvit.kernel.money import Money
from kvit.kernel.statements import (
    NO_CURRENCY,
    Detail,
    Entry,
    Event,
    OrderStatus,
    Statement,
    StatementFile,
    parse,
    read,
)
from kvit.kernel.statements.fields import one_line
from kvit.kernel.statements.writing import WRITERS, outline_of
from tests.kernel.statements.clean_files import CLEAN, LONG, entry
from tests.kernel.statements.writers import IBAN
from tests.samples import Sample, samples

every_target = pytest.mark.parametrize("target", WRITERS)
READABLE: Final = [
    sample
    for folder in (
        "camt052",
        "camt053",
        "camt054",
        "csob-xml",
        "csv",
        "fio-json",
        "fio-xml",
        "gpc",
        "mt940",
        "ofx1",
        "ofx2",
    )
    for sample in samples(folder)
]


def converted(data: bytes, target: str) -> bytes:
    return "".join(WRITERS[target](outline_of(parse(data)), parse(data))).encode()


def written(entries: Sequence[Entry], target: str, *, account: str = IBAN, currency: str = "CZK") -> bytes:
    events: list[Event] = [Statement(account=account, currency=currency, format="invented"), *entries]
    return "".join(WRITERS[target](outline_of(events), events)).encode()


def facts(file: StatementFile, *, with_details: bool = False) -> list[tuple[str, Entry]]:
    """Return account and entry without where it stood, in an order that formats may change.

    OFX has pending movements behind the booked ones, and what reads CSV keeps currencies apart.
    """
    found = [
        (statement.account, bare(entry, with_details=with_details))
        for statement in file.statements
        for entry in statement.entries
    ]
    return sorted(found, key=lambda pair: (pair[0], *place(pair[1])))


def place(entry: Entry) -> tuple[str, bool]:
    return entry.currency, entry.pending


def bare(entry: Entry, *, with_details: bool = False) -> Entry:
    return replace(entry, line=None, offset=None, raw="", details=entry.details if with_details else ())


def read_again(entries: Sequence[Entry], target: str) -> list[Entry]:
    file = read(written(entries, target))
    assert file.errors == ()
    return [found for _, found in facts(file)]


@every_target
@pytest.mark.parametrize("name", sorted(CLEAN.keys() - {"pain002"}))
def test_every_format_is_converted_to_every_other(name: str, target: str) -> None:
    for data in (CLEAN[name], LONG[name]):
        before, after = read(data), read(converted(data, target))
        assert facts(after) == facts(before)
        assert after.errors == ()


@pytest.mark.parametrize("sample", READABLE, ids=lambda sample: sample.path.name)
def test_a_real_file_is_read_again_as_equal_entries(sample: Sample) -> None:
    data = sample.path.read_bytes()
    try:
        before = read(data)
    except StatementError:
        assert not sample.entries  # a manifest that counts entries expects the file to be read
        return
    for target in WRITERS if before.statements else ():
        assert facts(read(converted(data, target))) == facts(before), target


DAYS: Final = st.dates(date(1970, 1, 1), date(2099, 12, 31))
LETTERS: Final = st.characters(
    blacklist_categories=("Cc", "Cs", "Co", "Cn"), blacklist_characters="\u2028\u2029"
)
TEXTS: Final = st.one_of(
    st.text(LETTERS, max_size=30).map(one_line),
    st.sampled_from(
        [
            '"',
            "'",
            "''",
            "';=,\"",
            "=1+1",
            "-5",
            "+420 123",
            "@SUM(A1)",
            "VS:1",
            "VS:1 VS:2",
            "/VS/5/SS/6/KS/7",
            "<b>&amp;</b>",
            "]]>",
            "&",
            "&lt;",
            "NOTPROVIDED",
            "NONREF",
            "0",
            "000",
            "NaN",
            "null",
            "a;b,c\td".replace("\t", " "),
            "<KVIT.MESSAGE>",
            "</STMTTRN>",
            "{}",
            "{0}",
            "\\",
            "\\n",
            "x" * 300,
            "word " * 80 + "end",
            "ﬁ",
            "e\u0301",
            "🧾",
            "\u00a0".strip(),
        ]
    ),
)
IDS: Final = st.one_of(
    st.sampled_from(["17", "0000017", "h1:" + "0" * 40, "26000000001", "-1", "=A1", "a b", "Ž&<>"]),
    st.text(LETTERS, min_size=1, max_size=90).map(one_line).filter(bool),
)
ENTRIES: Final = st.builds(
    Entry,
    booked_on=DAYS,
    minor=st.integers(-(10**15), 10**15),
    currency=st.sampled_from(["CZK", "EUR", "JPY", NO_CURRENCY]),
    external_id=IDS,
    is_bank_id=st.booleans(),
    value_on=st.none() | DAYS,
    counterparty_name=TEXTS,
    counterparty_account=TEXTS | st.sampled_from([IBAN, "2000145399/0800", "19-2000145399/0800"]),
    variable_symbol=TEXTS | st.sampled_from(["0", "0000000012", "2026001"]),
    constant_symbol=TEXTS | st.just("0308"),
    specific_symbol=TEXTS,
    message=TEXTS,
    reference=TEXTS,
    pending=st.booleans(),
)
FILES: Final = st.lists(ENTRIES, max_size=5, unique_by=lambda entry: (entry.external_id, entry.pending))


@every_target
@given(entries=FILES)
def test_whatever_entries_say_is_read_again(target: str, entries: list[Entry]) -> None:
    assert read_again(entries, target) == sorted(entries, key=place)


@every_target
def test_an_empty_statement_is_read_again(target: str) -> None:
    file = read(written([], target))
    assert [each.entries for each in file.statements] in ([()], [])


@every_target
def test_ids_survive_even_short_counters_and_digests(target: str) -> None:
    ids = ["17", "h1:75acd162495d80b337d82c16cf7f9fd9503f0609", "B-1"]
    for is_bank_id in (False, True):
        entries = [replace(entry(0), external_id=each, is_bank_id=is_bank_id) for each in ids]
        again = read_again(entries, target)
        assert [(each.external_id, each.is_bank_id) for each in again] == [(each, is_bank_id) for each in ids]


@pytest.mark.parametrize("target", ["camt053", "csv", "ofx"])
def test_a_character_that_a_file_cannot_hold_becomes_a_replacement(target: str) -> None:
    [again] = read_again([replace(entry(1), message="before\0\x01\ud800\ufffe after\nbelow")], target)
    assert again.message == "before\ufffd\ufffd\ufffd\ufffd after below"
    assert bare(again) == replace(entry(1), message=again.message)


def test_json_keeps_every_character_but_half_ones() -> None:
    [again] = read_again([replace(entry(1), message="a\0\x01\ufffe\n\t b")], "json")
    assert again.message == "a\0\x01\ufffe\n\t b"


def test_json_keeps_the_payments_of_a_batch() -> None:
    before = read(LONG["batch"])
    assert len(before.statements[0].entries[0].details) > 100
    after = read(converted(LONG["batch"], "json"))
    assert facts(after, with_details=True) == facts(before, with_details=True)


def test_json_keeps_what_the_bank_says_of_orders() -> None:
    before, after = read(CLEAN["pain002"]), read(converted(CLEAN["pain002"], "json"))
    assert [replace_line(each) for each in after.order_statuses] == [
        replace_line(each) for each in before.order_statuses
    ]
    assert len(after.order_statuses) > 5


def replace_line(status: OrderStatus) -> OrderStatus:
    return dataclasses.replace(status, line=None)


def test_camt_keeps_the_payments_of_a_batch() -> None:
    details = (
        Detail(minor=30_000, counterparty_name="Jana", variable_symbol="1", message="první", reference="E-1"),
        Detail(minor=20_000, counterparty_name="Petr", variable_symbol="2", external_id="26000000002"),
    )
    batch = replace(entry(1), minor=50_000, details=details)
    [(_, again)] = facts(read(written([batch], "camt053")), with_details=True)
    assert [(each.minor, each.variable_symbol) for each in again.details] == [(30_000, "1"), (20_000, "2")]


@pytest.mark.parametrize("target", ["camt053", "json"])
def test_what_is_said_of_the_statement_is_read_again(target: str) -> None:
    head = Statement(
        account=IBAN,
        currency="CZK",
        opening_balance=Money(100, "CZK"),
        closing_balance=Money(-50, "CZK"),
        from_date=date(2026, 3, 1),
        to_date=date(2026, 3, 31),
        number="7",
        format="invented",
    )
    events: list[Event] = [head, replace(entry(0), minor=-150)]
    file = read("".join(WRITERS[target](outline_of(events), events)).encode())
    [again] = file.statements
    for name in (
        "account",
        "currency",
        "opening_balance",
        "closing_balance",
        "from_date",
        "to_date",
        "number",
    ):
        assert getattr(again, name) == getattr(head, name), name
    assert file.warnings == ()


@every_target
@pytest.mark.parametrize("account", ["", IBAN, "2000145399/0800", "19-2000145399/0800", "BE68539007547034"])
def test_the_own_account_is_read_again(target: str, account: str) -> None:
    file = read(written([entry(1)], target, account=account))
    assert [each.account for each in file.statements] == [account]


@every_target
def test_equal_files_are_written_from_equal_entries(target: str) -> None:
    assert written([entry(1), entry(2)], target) == written([entry(1), entry(2)], target)


def test_csv_runs_nothing_in_a_spreadsheet() -> None:
    formula = '=HYPERLINK("http://example.com","click")'
    data = written([replace(entry(1), message=formula, counterparty_name="'quoted'")], "csv").decode()
    [row] = csv.DictReader(StringIO(data))
    assert (row["message"], row["counterparty_name"]) == (f"'{formula}", "''quoted'")


def test_camt_is_in_the_order_of_the_standard() -> None:
    root = etree.fromstring(CLEAN["camt053"])
    [statement] = root.iter("{*}Stmt")
    in_statement = ["Id", "ElctrncSeqNb", "Acct", "Bal", "Bal", *["Ntry"] * 6]
    assert [etree.QName(each).localname for each in statement] == in_statement
    first = next(root.iter("{*}Ntry"))
    in_entry = ["Amt", "CdtDbtInd", "Sts", "BookgDt", "ValDt", "AcctSvcrRef", "BkTxCd", "NtryDtls"]
    assert [etree.QName(each).localname for each in first] == in_entry
    details = next(root.iter("{*}TxDtls"))
    in_details = ["Refs", "Amt", "CdtDbtInd", "RltdPties", "RltdAgts", "RmtInf"]
    assert [name for each in details if (name := etree.QName(each).localname) != "SplmtryData"] == in_details


def test_camt_adds_nothing_where_the_standard_has_a_place() -> None:
    assert b"SplmtryData" not in CLEAN["camt053"]
    assert b"SplmtryData" in written([replace(entry(1), external_id="17", is_bank_id=True)], "camt053")


def test_ofx_tells_of_pending_movements_apart() -> None:
    data = written([replace(entry(1), pending=True), entry(2)], "ofx")
    assert data.count(b"<STMTTRN>") == data.count(b"<STMTTRNP>") == 1
    assert data.index(b"<BANKTRANLISTP>") > data.index(b"</BANKTRANLIST>")


def test_what_was_left_out_is_told_again_by_json() -> None:
    broken = CLEAN["mt940"].replace(b"NTRFNONREF", b"X", 1).replace(b"C124,45", b"CXX", 1)
    errors = read(broken).errors
    assert errors
    assert [each.message for each in read(converted(broken, "json")).errors] == [
        each.message for each in errors
    ]


def test_several_json_objects_in_one_file_are_read() -> None:
    one, other = written([entry(1)], "json"), written([entry(2)], "json", account="BE68539007547034")
    file = read(one + other)
    assert [each.account for each in file.statements] == [IBAN, "BE68539007547034"]


def test_json_is_read_with_any_spaces_and_tells_places() -> None:
    data = json.dumps(json.loads(LONG["kvit-json"]), indent=1).encode()
    [statement] = read(data).statements
    assert facts(read(data)) == facts(read(LONG["kvit-json"]))
    for found in statement.entries:
        assert found.line is not None
        assert data.splitlines()[found.line - 1].strip() == b"{"
        assert found.offset is not None
        assert data[found.offset :].startswith(found.raw.encode())


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (b'"booked_on": "2026-03-02"', b'"booked_on": "2026-02-30"', "booked_on"),
        (b'"amount": "124.45"', b'"amount": "124.455"', "amount"),
        (b'"amount": "124.45"', b'"amount": [124]', "amount"),
        (
            b'"currency": "CZK", "booked_on": "2026-03-02"',
            b'"currency": "K", "booked_on": "2026-03-02"',
            "amount",
        ),
    ],
)
def test_a_damaged_record_of_json_does_not_stop_the_others(old: bytes, new: bytes, field: str) -> None:
    assert old in CLEAN["kvit-json"]
    file = read(CLEAN["kvit-json"].replace(old, new, 1))
    assert [each.field for each in file.errors] == [field]
    assert len(file.statements[0].entries) == len(read(CLEAN["kvit-json"]).statements[0].entries) - 1
