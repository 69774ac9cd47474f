"""The way in: formats are found by content, and no bytes at all bring anything but a typed error."""

from __future__ import annotations

import json
from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvit.kernel.errors import StatementError, StatementUnreadable, UnknownFormat
from kvit.kernel.statements import (
    Entry,
    Hints,
    OrderStatus,
    Problem,
    Statement,
    StatementFile,
    as_json,
    detect,
    parse,
    read,
)
from tests.kernel.statements.clean_files import CLEAN, LONG
from tests.kernel.statements.writers import (
    camt,
    camt_balance,
    camt_entry,
    fio,
    fio_movement,
    gpc,
    gpc_head,
    gpc_movement,
)

CAMT = camt(
    camt_entry(details=["<RmtInf><Ustrd>VS:12</Ustrd></RmtInf>"]),
    camt_entry("3.00", "DBIT"),
    head=camt_balance("OPBD", "1.00") + camt_balance("CLBD", "98.00"),
)
GPC = gpc(gpc_head(), gpc_movement(), b"078zprava", gpc_movement(500, "1", reference="0026000000002"))
FIO = fio(fio_movement(), fio_movement(c22=26000000002), openingBalance=0, closingBalance=200)
SAMPLES = (CAMT, GPC, FIO)


@pytest.mark.parametrize(("data", "name"), [(CAMT, "camt.053"), (GPC, "gpc"), (FIO, "fio-json")])
def test_the_format_is_found_by_content(data: bytes, name: str) -> None:
    for beginning in (b"", b"\xef\xbb\xbf\n "):
        detection = detect(beginning + data)
        assert detection is not None
        assert (detection.format, detection.is_sure) == (name, True)
    assert read(data).format == name


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" \r\n",
        b"%PDF-1.7 ...",
        b"<!doctype html><html><body>BkToCstmrStmt</body></html>",
        b"\0" * 500,
        b"\xff\xfe\xfd",
        b'{"accounts": []}',
        b"074 but no account",
    ],
)
def test_what_is_no_statement_is_refused_with_advice(data: bytes) -> None:
    assert detect(data) is None
    with pytest.raises(UnknownFormat) as caught:
        read(data)
    assert str(caught.value)


@pytest.mark.parametrize("name", CLEAN)
def test_every_format_is_surely_known_by_its_beginning(name: str) -> None:
    detection = detect(CLEAN[name])
    assert detection is not None
    assert detection.is_sure == (name != "csv")
    assert bool(detection.doubt) == (name == "csv")


@pytest.mark.parametrize("name", CLEAN)
def test_a_stream_yields_what_the_whole_file_holds(name: str) -> None:
    whole = read(LONG[name], source="file")
    events = list(parse(BytesIO(LONG[name]), source="file"))
    assert [each for each in events if isinstance(each, Entry)] == [
        entry for statement in whole.statements for entry in statement.entries
    ]
    assert [each for each in events if isinstance(each, Problem) and not each.is_error] == list(
        whole.warnings
    )
    assert [each for each in events if isinstance(each, OrderStatus)] == list(whole.order_statuses)


def test_nothing_is_read_before_it_is_asked_for() -> None:
    events = parse(BytesIO(LONG["camt053"] + b"<"))
    assert isinstance(next(events), Statement)
    assert isinstance(next(events), Entry)
    with pytest.raises(StatementUnreadable):
        list(events)


def test_the_account_and_the_currency_come_from_the_file_before_the_person() -> None:
    hints = Hints(account="1/0100", currency="EUR")
    assert read(CLEAN["gpc"], hints=hints).statements[0].account != "1/0100"
    assert read(CLEAN["csv"], hints=hints).statements[0].account == "1/0100"
    assert {entry.currency for entry in read(CLEAN["csv"], hints=hints).statements[0].entries} == {"CZK"}


def test_an_error_names_the_file() -> None:
    with pytest.raises(StatementUnreadable) as caught:
        read(CLEAN["camt053"][:-30], source="march.xml")
    assert caught.value.source == "march.xml"


def test_braces_in_a_damaged_file_do_not_break_the_message_about_it() -> None:
    file = read(camt(camt_entry("{amount}"), camt_entry("{}")))
    assert "{amount}" in file.errors[0].message


def test_the_plain_shape_is_json_with_exact_text() -> None:
    plain = as_json(read(CAMT))
    assert plain == json.loads(json.dumps(plain))
    assert list(plain) == ["format", "statements", "warnings", "errors", "order_statuses"]
    (statement,) = plain["statements"] if isinstance(plain["statements"], list) else []
    assert isinstance(statement, dict)
    assert (statement["opening_balance"], statement["closing_balance"]) == ("1.00", "98.00")
    entries = statement["entries"]
    assert isinstance(entries, list)
    entry = entries[0]
    assert isinstance(entry, dict)
    assert {entry.pop(name) is not None for name in ("external_id", "line", "offset")} == {True}
    assert entry == {
        "amount": "100.00",
        "currency": "CZK",
        "booked_on": "2026-03-02",
        "value_on": None,
        "counterparty_name": "",
        "counterparty_account": "",
        "variable_symbol": "12",
        "constant_symbol": "",
        "specific_symbol": "",
        "message": "VS:12",
        "reference": "",
        "pending": False,
        "is_bank_id": False,
        "details": [],
    }


def test_the_plain_shape_of_a_problem_says_where() -> None:
    assert as_json(read(camt(camt_entry("x"))))["errors"] == [
        {"line": 3, "field": "Amt", "message": "“x” is not an amount.", "offset": 199}
    ]


def test_an_unknown_currency_is_empty_in_the_plain_shape() -> None:
    text = json.dumps(as_json(read(gpc(gpc_head(), gpc_movement(currency="0000")))))
    assert '"XXX"' not in text
    assert '"currency": ""' in text


def read_or_refuse(data: bytes) -> None:
    with suppress(StatementError):
        assert isinstance(read(data), StatementFile)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    read_or_refuse(data)


@given(st.sampled_from(SAMPLES), st.binary(max_size=200), st.integers(0, 400))
def test_any_bytes_behind_a_true_beginning_are_read_or_refused(
    sample: bytes, tail: bytes, length: int
) -> None:
    read_or_refuse(sample[:length] + tail)


@given(st.sampled_from(SAMPLES), st.data())
def test_damaged_statements_are_read_or_refused(sample: bytes, data: st.DataObject) -> None:
    damaged = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        end = data.draw(st.integers(place, min(place + 60, len(damaged))))
        match data.draw(st.sampled_from(["cut", "flip", "repeat", "null"])):
            case "cut":
                del damaged[place + 1 : end]
            case "flip":
                damaged[place] ^= data.draw(st.integers(1, 255))
            case "repeat":
                damaged[place:place] = damaged[place:end]
            case _:
                damaged[place] = 0
    read_or_refuse(bytes(damaged))


AMOUNTS = st.lists(st.integers(-(10**11), 10**11).filter(bool), max_size=12)


@given(AMOUNTS)
def test_no_crown_is_lost_or_made_in_any_format(amounts: list[int]) -> None:
    texts = [(f"{abs(each) // 100}.{abs(each) % 100:02}", "CRDT" if each > 0 else "DBIT") for each in amounts]
    opening, closing = camt_balance("OPBD", "0.00"), camt_balance("CLBD", *_balance(sum(amounts)))
    as_camt = camt(*(camt_entry(*text) for text in texts), head=opening + closing)
    as_gpc = gpc(gpc_head(), *(gpc_movement(abs(each), "2" if each > 0 else "1") for each in amounts))
    for data in (as_camt, as_gpc):
        (statement,) = read(data).statements
        assert [entry.amount.minor for entry in statement.entries] == amounts
        assert len({entry.external_id for entry in statement.entries}) == len(amounts)
    assert read(as_camt).warnings == ()


def _balance(minor: int) -> tuple[str, str]:
    return f"{abs(minor) // 100}.{abs(minor) % 100:02}", "CRDT" if minor >= 0 else "DBIT"
