"""The rules by which Fio's JSON is read."""

from __future__ import annotations

import json
from datetime import date

import pytest
from stdnum import iban

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.money import Money
from kvit.kernel.statements import Entry, Hints, parse, read
from kvit.kernel.statements.fio_json import read_records
from tests.kernel.statements.writers import IBAN, fio, fio_movement, gpc, gpc_head, gpc_movement


def only_entry(data: bytes) -> Entry:
    (statement,) = read(data).statements
    (entry,) = statement.entries
    return entry


def test_a_movement_is_read_from_its_columns() -> None:
    texts = {
        "c2": "19-2005",
        "c3": "0800",
        "c10": "Jana",
        "c5": "0012",
        "c4": "0308",
        "c6": "7",
        "c16": "Děkuji",
    }
    entry = only_entry(fio(fio_movement(**texts)))
    assert (entry.external_id, entry.amount, entry.booked_on) == (
        "26000000001",
        Money(10000, "CZK"),
        date(2026, 3, 2),
    )
    assert (entry.counterparty_account, entry.counterparty_name) == ("19-2005/0800", "Jana")
    assert (entry.variable_symbol, entry.constant_symbol, entry.specific_symbol) == ("0012", "0308", "7")
    assert entry.message == "Děkuji"


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2012-10-18+0200", date(2012, 10, 18)),
        ("2012-07-27+02:00", date(2012, 7, 27)),
        ("2012-07-27", date(2012, 7, 27)),
        (1340661600000, date(2012, 6, 26)),
        (1767222000000, date(2026, 1, 1)),
    ],
)
def test_the_three_shapes_of_a_day_are_read(written: object, day: date) -> None:
    assert only_entry(fio(fio_movement(c0=written))).booked_on == day


@pytest.mark.parametrize(
    ("number", "minor"),
    [
        ("0.1", 10),
        ("-0.07", -7),
        ("1.0E7", 1_000_000_000),
        ("1e2", 10_000),
        ("90071992547409.93", 9007199254740993),
    ],
)
def test_amounts_are_exact(number: str, minor: int) -> None:
    data = fio(fio_movement(c1=424242)).replace(b"424242", number.encode())
    assert only_entry(data).amount == Money(minor, "CZK")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("c1", 8.855),
        ("c1", None),
        ("c1", True),
        ("c1", "1,50"),
        ("c1", 1e40),
        ("c0", "18.10.2012"),
        ("c0", "2012-02-30"),
        ("c0", 10**20),
        ("c0", None),
        ("c14", "koruna"),
        ("c5", ["1"]),
    ],
)
def test_a_movement_that_cannot_be_read_is_an_error_and_the_others_go_on(column: str, value: object) -> None:
    file = read(fio(fio_movement(**{column: value}), fio_movement(c22=26000000002)))
    assert [entry.external_id for entry in file.statements[0].entries] == ["26000000002"]
    assert [problem.field for problem in file.errors] == [column.replace("c", "column")]


def test_a_record_of_another_shape_does_not_stop_the_others() -> None:
    file = read(fio("what", fio_movement(), {"column1": 5}))
    assert (len(file.statements[0].entries), len(file.errors)) == (1, 2)


@pytest.mark.parametrize("transactions", [None, {"transaction": None}, {"transaction": []}])
def test_no_movements_are_an_empty_statement(transactions: object) -> None:
    document = json.loads(fio())
    document["accountStatement"]["transactionList"] = transactions
    assert read(json.dumps(document).encode()).statements[0].entries == ()


def test_keys_of_the_head_are_read_in_any_case() -> None:
    data = fio(openingBalance=1.5, closingBalance=1.5).replace(b'"iban"', b'"IBAN"')
    (statement,) = read(data).statements
    assert (statement.account, statement.opening_balance) == (IBAN, Money(150, "CZK"))


def test_a_single_space_is_nothing() -> None:
    entry = only_entry(fio(fio_movement(c5=" ", c10=" ", c2=" ")))
    assert (entry.variable_symbol, entry.counterparty_name, entry.counterparty_account) == ("", "", "")


def test_unknown_columns_are_ignored_and_stay_in_the_raw_record() -> None:
    assert '"Novinka"' in only_entry(fio(fio_movement(c99="Novinka"))).raw


def test_the_payer_s_reference_gives_symbols_where_the_columns_have_none() -> None:
    assert only_entry(fio(fio_movement(c27="/VS2026001/SS/KS"))).variable_symbol == "2026001"


def test_the_currency_of_the_account_serves_where_the_movement_has_none() -> None:
    assert only_entry(fio(fio_movement(c14=None), currency="EUR")).amount.currency == "EUR"


def test_no_currency_at_all_is_an_error() -> None:
    assert read(fio(fio_movement(c14=None), currency=None)).errors[0].field == "column14"


def test_balances_that_do_not_agree_are_a_warning() -> None:
    file = read(fio(fio_movement(), openingBalance=1, closingBalance=2))
    assert "do not agree" in file.warnings[0].message


def test_records_keep_their_object_beside_what_was_read() -> None:
    answer = read_records(fio(fio_movement(c1=100.5), fio_movement(c1=None)))
    good, bad = answer.records
    assert good.entry is not None
    assert good.as_object()["column1"] == {"value": "100.5", "name": "?", "id": "1"}
    assert bad.entry is None
    assert bad.problem is not None
    assert bad.as_object()["column1"] is None
    assert [each.entry for each in answer.records if each.entry] == list(answer.statement.entries)


def test_the_line_is_where_the_record_begins() -> None:
    document = json.dumps(json.loads(fio(fio_movement(), fio_movement(c22=2))), indent=1).encode()
    lines = [entry.line for entry in read(document).statements[0].entries]
    assert [document.splitlines()[line - 1].strip() for line in lines if line] == [b"{", b"{"]
    assert len(set(lines)) == 2


@pytest.mark.parametrize("length", [25, 200, -1])
def test_cut_json_is_refused(length: int) -> None:
    with pytest.raises(StatementUnreadable):
        read(fio(fio_movement())[:length])


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(StatementUnreadable):
        read(b'{"accountStatement":' + b"[" * 100_000)


def test_the_same_movement_has_the_same_id_in_fio_s_gpc_file() -> None:
    (statement,) = read(gpc(gpc_head(), gpc_movement(reference="0026000000001"))).statements
    assert statement.entries[0].external_id == only_entry(fio(fio_movement(c22=26000000001))).external_id


def test_the_message_says_everything_once() -> None:
    texts = {"c16": "Nájem  06", "c7": "Nájem 06", "c25": "poznámka", "c18": "15.90 EUR"}

    assert only_entry(fio(fio_movement(**texts))).message == "Nájem 06 / poznámka / 15.90 EUR"
    assert only_entry(fio(fio_movement(c16="za 15.90 EUR", c18="15.90 EUR"))).message == "za 15.90 EUR"


@pytest.mark.parametrize(
    ("number", "bank_code", "expected"),
    [
        ("2000145399", "2010", "CZ9320100000002000145399"),
        ("19-2000145399", "2010", "CZ7920100000192000145399"),
        ("2900123457", "8330", "SK7083300000002900123457"),
        ("2000145399", "0800", "2000145399/0800"),
        ("", "2010", ""),
    ],
)
def test_an_account_without_an_iban_has_the_name_it_has_with_one(
    number: str, bank_code: str, expected: str
) -> None:
    (statement,) = read(fio(iban=None, accountId=number, bankId=bank_code)).statements

    assert statement.account == expected
    assert "/" in expected or not expected or iban.is_valid(expected)


def many(count: int) -> bytes:
    """A file of several slices; every movement differs in its length."""
    return fio(*(fio_movement(c22=26000000000 + each, c16="é" * (each % 7)) for each in range(count)))


@pytest.mark.parametrize("indent", [None, 1])
def test_every_movement_of_a_long_file_stands_at_its_offset_and_line(indent: int | None) -> None:
    document = json.dumps(json.loads(many(2_000)), indent=indent, ensure_ascii=False).encode()
    (statement,) = read(document).statements

    assert [int(entry.external_id) - 26000000000 for entry in statement.entries] == list(range(2_000))
    for entry in statement.entries:
        assert entry.offset is not None
        assert document[entry.offset :].startswith(entry.raw.encode())
        assert entry.line == document.count(b"\n", 0, entry.offset) + 1


def test_records_that_are_parted_in_several_ways_are_read_one_by_one() -> None:
    document = many(5).replace(b'"}}, {"column', b'"}},{"column', 1).replace(b"}}, {", b"}} ,\n{", 2)

    assert len(read(document).statements[0].entries) == 5


def test_a_text_that_looks_like_the_end_of_a_record_does_not_cut_it() -> None:
    tricky = '"}},{"column22": {"value": 5}}, {"column1": 7}]}}}'
    file = read(fio(*(fio_movement(c22=26000000000 + each, c16=tricky) for each in range(3))))

    assert [entry.message for entry in file.statements[0].entries] == [tricky] * 3
    assert file.errors == ()


def test_a_damaged_record_does_not_stop_the_others() -> None:
    document = many(2_000).replace(b'"value": 26000001000', b'"value": 26000001000"')
    file = read(document)

    assert len(file.statements[0].entries) == 1_999
    (error,) = file.errors
    assert error.offset is not None
    assert b"26000001000" in document[error.offset : error.offset + 100]


def test_what_stands_before_the_cut_of_a_file_is_read_and_the_cut_is_told() -> None:
    document = many(2_000)
    events = parse(document[: len(document) // 2])
    read_before = 0
    with pytest.raises(StatementUnreadable) as raised:
        for event in events:
            read_before += isinstance(event, Entry)

    assert 0 < read_before < 1_000
    assert raised.value.line == 1


def test_the_account_may_stand_behind_the_movements() -> None:
    statement = json.loads(many(500))["accountStatement"]
    turned = {"transactionList": statement["transactionList"], "info": statement["info"]}
    (found,) = read(b'{"accountStatement":' + json.dumps(turned).encode() + b"}").statements

    assert (found.account, len(found.entries)) == (IBAN, 500)


def test_more_data_behind_the_movements_is_ignored() -> None:
    document = many(3).removesuffix(b"]}}}") + b'], "pages": {"list": [{"column1": [{}]}]}}}}'

    assert len(read(document).statements[0].entries) == 3


def test_a_movement_of_megabytes_is_refused() -> None:
    with pytest.raises(StatementUnreadable, match="longer than"):
        read(fio(fio_movement(c16="x" * 9_000_000)))


def test_a_person_may_say_the_currency_that_a_file_does_not() -> None:
    file = read(fio(fio_movement(c14=None), currency=None), hints=Hints(currency="EUR"))

    assert file.statements[0].entries[0].currency == "EUR"


def test_an_id_that_stands_at_two_movements_names_the_first() -> None:
    answer = read_records(fio(fio_movement(c1=1.0), fio_movement(c1=2.0)))

    first, second = answer.statement.entries
    assert (first.external_id, first.is_bank_id) == ("26000000001", True)
    assert (second.external_id[:3], second.is_bank_id) == ("h1:", False)
    assert len(answer.warnings) == 1
