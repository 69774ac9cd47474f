"""One record of the API in the contract's words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from kvit.plugin import Transaction, Unreadable
from kvit.plugins.enable_banking import records
from kvit.plugins.enable_banking.records import Record

ACCOUNT = "hash-1:CZK"


def told(**more: Any) -> Mapping[str, Any]:
    return {
        "entry_reference": "2026033000001234",
        "transaction_amount": {"currency": "CZK", "amount": "1250.50"},
        "credit_debit_indicator": "CRDT",
        "status": "BOOK",
        "booking_date": "2026-03-30",
        "value_date": "2026-03-31",
        "creditor": {"name": "Eva Nová"},
        "creditor_account": {"iban": "CZ6508000000192000145399"},
        "debtor": {"name": "ACME s.r.o."},
        "debtor_account": {"iban": "CZ94 5500 0000 0010 1103 8930"},
        "remittance_information": ["faktura za březen", "VS:2026001"],
        **more,
    }


def movement(**more: Any) -> Transaction:
    read = records.read(told(**more), ACCOUNT, page=0)
    assert isinstance(read, Record), read
    return read.movement


def unreadable(**more: Any) -> Unreadable:
    read = records.read(told(**more), ACCOUNT, page=0)
    assert isinstance(read, Unreadable)
    return read


def test_a_credit_comes_from_the_debtor() -> None:
    item = movement()

    assert (item.amount, item.currency, item.status) == (Decimal("1250.50"), "CZK", "booked")
    assert (item.booked_on, item.value_on) == (date(2026, 3, 30), date(2026, 3, 31))
    assert (item.counterparty_name, item.counterparty_account) == ("ACME s.r.o.", "CZ9455000000001011038930")
    assert (item.variable_symbol, item.message) == ("2026001", "faktura za březen")
    assert item.raw == told()


def test_a_debit_goes_to_the_creditor_and_is_negative() -> None:
    item = movement(credit_debit_indicator="DBIT")

    assert item.amount == Decimal("-1250.50")
    assert (item.counterparty_name, item.counterparty_account) == ("Eva Nová", "CZ6508000000192000145399")


def test_the_bank_does_not_vouch_that_its_files_use_the_same_ids() -> None:
    assert movement().is_bank_id is False


@pytest.mark.parametrize(
    ("lines", "number", "symbols", "reference"),
    [
        (["/VS/0042/SS/7/KS/0308"], None, ("0042", "0308", "7"), ""),
        (["VS:0042SS:7KS:0308"], None, ("0042", "0308", "7"), ""),
        (["díky"], "2026001", ("2026001", "", ""), ""),
        (["VS:11"], "2026001", ("11", "", ""), "2026001"),
        (["díky"], "RF18539007547034", ("", "", ""), "RF18539007547034"),
        (["díky"], "VS:2026001", ("2026001", "", ""), ""),
        (["VS:0000000000"], "0", ("", "", ""), "0"),
        (["VS:1", "VS:2"], "3", ("", "", ""), "3"),
        (None, None, ("", "", ""), ""),
        ("one text, VS:5", None, ("5", "", ""), ""),
    ],
)
def test_symbols_stand_in_the_text_or_in_the_reference_number(
    lines: object, number: str | None, symbols: tuple[str, str, str], reference: str
) -> None:
    item = movement(remittance_information=lines, reference_number=number)

    assert (item.variable_symbol, item.constant_symbol, item.specific_symbol) == symbols
    assert item.reference == reference


@pytest.mark.parametrize(
    ("account", "number"),
    [
        (
            {"iban": None, "other": {"identification": "19-2000145399/0800", "scheme_name": "BBAN"}},
            "19-2000145399/0800",
        ),
        ({"iban": None, "other": {"identification": "5168********1234", "scheme_name": "CPAN"}}, ""),
        (None, ""),
        ("odd", ""),
    ],
)
def test_a_card_is_no_account(account: object, number: str) -> None:
    assert movement(debtor_account=account).counterparty_account == number


@pytest.mark.parametrize("status", ["PDNG", "HOLD"])
def test_what_is_not_booked_yet_is_pending(status: str) -> None:
    item = movement(status=status, booking_date=None, value_date=None, transaction_date="2026-03-29")

    assert (item.status, item.booked_on) == ("pending", date(2026, 3, 29))


@pytest.mark.parametrize("status", ["CNCL", "RJCT", "SCHD"])
def test_what_moved_no_money_is_no_movement(status: str) -> None:
    assert records.read(told(status=status), ACCOUNT, page=0) is None


def test_a_pending_record_without_any_day_waits_for_one() -> None:
    assert records.read(told(status="PDNG", booking_date=None, value_date=None), ACCOUNT, page=0) is None


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"status": "OTHR"}, "status"),
        ({"status": None}, "status"),
        ({"credit_debit_indicator": None}, "credit_debit_indicator"),
        ({"transaction_amount": {"currency": "CZK", "amount": "-5.00"}}, "transaction_amount"),
        ({"transaction_amount": {"currency": "CZK", "amount": "5.001"}}, "transaction_amount"),
        ({"transaction_amount": {"currency": "korun", "amount": "5"}}, "transaction_amount"),
        ({"transaction_amount": {"currency": "CZK", "amount": "NaN"}}, "transaction_amount"),
        ({"transaction_amount": None}, "transaction_amount"),
        ({"booking_date": "2026-02-30"}, "booking_date"),
        ({"booking_date": None, "value_date": None}, "booking_date"),
        ({"entry_reference": 7}, "entry_reference"),
    ],
)
def test_what_does_not_hold_together_is_put_aside_with_its_field(more: dict[str, Any], field: str) -> None:
    assert unreadable(**more).field == field


def test_an_amount_written_as_a_number_stays_exact() -> None:
    text = json.dumps(told()).replace('"1250.50"', "1250.10")
    read = records.read(json.loads(text, parse_float=Decimal), ACCOUNT, page=0)

    assert isinstance(read, Record)
    assert read.minor == 125010


def test_the_day_is_the_banks_calendar_day_whatever_the_zone_says() -> None:
    assert movement(booking_date="2026-03-30T23:59:59+02:00").booked_on == date(2026, 3, 30)
