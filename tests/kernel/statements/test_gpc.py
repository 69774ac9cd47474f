"""The rules by which GPC (ABO) is read."""

from __future__ import annotations

from datetime import date

import pytest

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.money import Money
from kvit.kernel.statements import NO_CURRENCY, Entry, detect, read
from kvit.kernel.statements.accounts import account_of_digits
from tests.kernel.statements.writers import CZECH_ACCOUNT, gpc, gpc_head, gpc_movement


def only_entry(*records: bytes) -> Entry:
    (statement,) = read(gpc(gpc_head(), *records)).statements
    (entry,) = statement.entries
    return entry


def test_a_movement_is_read_from_its_bytes() -> None:
    entry = only_entry(gpc_movement())
    assert entry.amount == Money(10000, "CZK")
    assert (entry.booked_on, entry.value_on) == (date(2026, 3, 3), date(2026, 3, 2))
    assert entry.external_id == "26000000001"
    assert entry.counterparty_account == "19-2005/0800"
    assert entry.counterparty_name == "Jana Pokusna"
    assert (entry.variable_symbol, entry.constant_symbol, entry.specific_symbol) == ("2026001", "0308", "")


def test_the_head_gives_account_balances_and_number() -> None:
    (statement,) = read(gpc(gpc_head("00000000100000-"), gpc_movement())).statements
    assert (statement.account, statement.currency, statement.number) == ("2000145399", "CZK", "3")
    assert (statement.opening_balance, statement.closing_balance) == (
        Money(-100000, "CZK"),
        Money(110000, "CZK"),
    )
    assert (statement.from_date, statement.to_date) == (date(2026, 3, 1), date(2026, 3, 31))


@pytest.mark.parametrize(("code", "minor"), [("1", -10000), ("2", 10000), ("4", 10000), ("5", -10000)])
def test_the_code_gives_the_sign(code: str, minor: int) -> None:
    assert only_entry(gpc_movement(code=code)).amount.minor == minor


@pytest.mark.parametrize(("number", "code"), [("0978", "EUR"), ("0826", "GBP"), ("0203", "CZK")])
def test_the_currency_is_a_numeric_code(number: str, code: str) -> None:
    assert only_entry(gpc_movement(currency=number)).amount.currency == code


def test_a_missing_currency_is_never_guessed() -> None:
    file = read(gpc(gpc_head(), gpc_movement(currency="    ")))
    assert file.statements[0].entries[0].amount.currency == NO_CURRENCY
    assert file.statements[0].currency == ""
    assert "currency" in file.warnings[0].message


@pytest.mark.parametrize(
    ("record", "place"),
    [
        (gpc_movement(code="3"), "bytes 61-61"),
        (gpc_movement().replace(b"000000010000", b"00000001000x"), "bytes 49-60"),
        (gpc_movement(booked="310226"), "bytes 123-128"),
        (gpc_movement(currency="0001"), "bytes 119-122"),
        (gpc_movement(booked="000000", valued="000000"), "bytes 123-128"),
        (gpc_movement()[:90], "bytes 1-97"),
        (gpc_movement(account="0000001000000005"), "bytes 4-19"),
    ],
)
def test_a_movement_that_cannot_be_read_is_an_error_and_the_others_go_on(record: bytes, place: str) -> None:
    file = read(gpc(gpc_head(), record, gpc_movement(500)))
    assert [entry.amount.minor for entry in file.statements[0].entries] == [500]
    assert [(problem.line, problem.field) for problem in file.errors] == [(2, place)]


def test_trimmed_records_are_read_and_the_value_day_stands_in() -> None:
    file = read(gpc(gpc_head().rstrip(), gpc_movement()[:97]))
    assert file.statements[0].entries[0].booked_on == date(2026, 3, 2)
    assert any(problem.field == "bytes 123-128" for problem in file.warnings)


def test_further_records_make_the_message() -> None:
    texts = (b"076" + b"0" * 32 + b"Platba  za", b"078marec", b"079 2026")
    assert only_entry(gpc_movement(), *texts).message == "Platba za marec 2026"


def test_text_below_an_unreadable_movement_does_not_join_the_one_before() -> None:
    file = read(gpc(gpc_head(), gpc_movement(), gpc_movement(code="9"), b"078secret"))
    assert file.statements[0].entries[0].message == ""


@pytest.mark.parametrize("encoding", ["cp1250", "cp852", "utf-8"])
def test_czech_letters_are_read_in_every_encoding_banks_use(encoding: str) -> None:
    head = gpc_head().replace("Zkušební firma".encode("cp1250"), b"Zkusebni firma")
    file = read(gpc(head, gpc_movement(name="Žofie Řeháčková".encode(encoding))))
    assert file.statements[0].entries[0].counterparty_name == "Žofie Řeháčková"
    assert file.errors == ()


def test_a_file_converted_to_utf_8_keeps_its_positions() -> None:
    data = gpc(gpc_head(), gpc_movement(name="Žofie Řeháčková".encode("cp1250")))
    converted = read(data.decode("cp1250").encode())
    assert converted.statements[0].opening_balance == Money(100000, "CZK")
    (entry,) = converted.statements[0].entries
    assert (entry.counterparty_name, entry.booked_on) == ("Žofie Řeháčková", date(2026, 3, 3))


def test_digits_in_the_bank_s_internal_order_are_put_back() -> None:
    plain = "0000192000145399"
    internal = [""] * 16
    for digit, position in zip(plain, (11, 12, 13, 14, 15, 16, 5, 6, 7, 8, 9, 4, 10, 2, 3, 1), strict=True):
        internal[position - 1] = digit
    assert account_of_digits("".join(internal), "0100") == "19-2000145399/0100"
    assert account_of_digits(plain, "0100") == "19-2000145399/0100"


def test_an_account_that_passes_the_check_in_no_order_stays_as_it_is() -> None:
    assert account_of_digits("0000001234567890") == "1234567890"


def test_balances_that_do_not_agree_are_a_warning() -> None:
    file = read(gpc(gpc_head(), gpc_movement(1)))
    assert ["do not agree" in problem.message for problem in file.warnings] == [True]


def test_a_balance_that_cannot_be_read_is_an_error_and_absent() -> None:
    file = read(gpc(gpc_head(opening="0000000010000x+"), gpc_movement()))
    assert file.statements[0].opening_balance is None
    assert [problem.field for problem in file.errors] == ["bytes 46-59"]


def test_two_heads_are_two_statements() -> None:
    other = "0000001000000005"
    data = gpc(gpc_head(), gpc_movement(), gpc_head(account=other), gpc_movement(account=other))
    assert [len(statement.entries) for statement in read(data).statements] == [1, 1]


def test_movements_without_a_head_are_read_with_a_warning() -> None:
    file = read(gpc(gpc_movement()))
    assert file.statements[0].account == CZECH_ACCOUNT.lstrip("0")
    assert "no head" in file.warnings[0].message


def test_a_later_head_without_account_stops_the_file() -> None:
    with pytest.raises(StatementUnreadable) as caught:
        read(gpc(gpc_head(), gpc_movement(), gpc_head(account="x" * 16)))
    assert (caught.value.line, caught.value.field) == (3, "bytes 4-19")


def test_an_unknown_record_is_a_warning() -> None:
    assert "999" in read(gpc(gpc_head(), gpc_movement(), b"999?")).warnings[0].message


def test_a_damaged_head_is_refused_with_its_place() -> None:
    data = b"074no account\r\n075short\r\n"
    detection = detect(data)
    assert detection is not None
    assert (detection.format, detection.is_sure) == ("gpc", False)
    with pytest.raises(StatementUnreadable) as caught:
        read(data)
    assert (caught.value.line, caught.value.field) == (1, "bytes 4-19")
