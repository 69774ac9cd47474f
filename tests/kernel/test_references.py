from __future__ import annotations

import pytest

from kvit.kernel.references import account_key, readable_account, symbol_key, symbol_of_number


@pytest.mark.parametrize(
    ("symbol", "key"),
    [("0002026001", "2026001"), ("2026001", "2026001"), (" 7 ", "7"), ("000", ""), ("", ""), ("12a", "")],
)
def test_leading_zeros_do_not_matter_and_what_is_no_symbol_names_nothing(symbol: str, key: str) -> None:
    assert symbol_key(symbol) == key


def test_the_symbol_of_a_number_is_its_digits_while_they_fit() -> None:
    assert symbol_of_number("2026-042") == "2026042"
    assert symbol_of_number("FV2026/1") == "20261"
    assert symbol_of_number("2026-00000001") == ""


@pytest.mark.parametrize(
    "written",
    [
        "CZ6508000000192000145399",
        "cz65 0800 0000 1920 0014 5399",
        "19-2000145399/0800",
        "000019-2000145399/0800",
    ],
)
def test_one_account_has_one_key_however_it_is_written(written: str) -> None:
    assert account_key(written) == "CZ6508000000192000145399"


def test_an_iban_is_printed_in_groups_of_four_and_other_numbers_as_they_are() -> None:
    assert readable_account("CZ6508000000192000145399") == "CZ65 0800 0000 1920 0014 5399"
    assert readable_account("19-2000145399/0800") == "19-2000145399/0800"


def test_an_unknown_form_is_kept_without_spaces() -> None:
    assert account_key("  123 456 ") == "123456"
    assert account_key("DE89 3704 0044 0532 0130 00") == "DE89370400440532013000"
