"""The rules by which ČSOB's XML is read."""

from __future__ import annotations

from datetime import date

import pytest

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.money import Money
from kvit.kernel.statements import Entry, read
from tests.kernel.statements.csob_xml_writer import csob, csob_movement, csob_statement
from tests.samples import require_samples


def only_entry(**fields: str | None) -> Entry:
    (entry,) = read(csob(csob_statement(csob_movement(**fields)))).statements[0].entries
    return entry


def test_a_statement_tells_its_account_period_and_balances() -> None:
    file = read(csob(csob_statement(csob_movement())))
    (statement,) = file.statements

    assert (file.format, statement.account, statement.currency) == ("csob-xml", "2000145399/0300", "CZK")
    assert (statement.opening_balance, statement.closing_balance) == (
        Money(100000, "CZK"),
        Money(110000, "CZK"),
    )
    assert (statement.from_date, statement.to_date) == (date(2026, 3, 2), date(2026, 3, 3))
    assert statement.number == "23"
    assert (file.warnings, file.errors) == ((), ())


def test_a_movement_is_read_from_its_fields() -> None:
    entry = only_entry(
        PART_ACCNO="19-2005",
        PART_BANK_ID="0800",
        PART_ACC_ID="Jana &amp; syn",
        S86_VARSYMOUR="0012",
        S86_KONSTSYM="0308",
        S86_SPECSYMOUR="0",
        S86_SPECSYMPAR="7",
        PART_ID1_1="Nájem",
        PART_ID1_2="06",
        PART_MSG_1="Nájem 06",
        S61_REFERENCE="-",
    )

    assert (entry.booked_on, entry.value_on) == (date(2026, 3, 3), date(2026, 3, 2))
    assert entry.amount == Money(10000, "CZK")
    assert (entry.counterparty_account, entry.counterparty_name) == ("19-2005/0800", "Jana & syn")
    assert (entry.variable_symbol, entry.constant_symbol, entry.specific_symbol) == ("0012", "0308", "7")
    assert (entry.message, entry.reference) == ("Nájem 06", "")


def test_a_movement_without_any_message_says_what_the_bank_did() -> None:
    assert only_entry().message == "Příchozí úhrada"


@pytest.mark.parametrize(
    ("mark", "amount", "minor"),
    [
        ("C", "+100,00", 10000),
        ("D", "-100,00", -10000),
        ("D", "100,5", -10050),
        ("CR", "100,00", -10000),
        ("DR", "+100", 10000),
        ("C", "100.00", 10000),
    ],
)
def test_the_mark_gives_the_sign(mark: str, amount: str, minor: int) -> None:
    assert only_entry(S61_CD_INDIK=mark, S61_CASTKA=amount).minor == minor


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("S61_CASTKA", "-100,00"),
        ("S61_CASTKA", "1 000,00"),
        ("S61_CASTKA", "1.000,00"),
        ("S61_CASTKA", "0,001"),
        ("S61_CASTKA", None),
        ("S61_CD_INDIK", "X"),
        ("S61_CD_INDIK", None),
        ("DPROCD", "31.02.2026"),
        ("DPROCD", "2026-03-03"),
        ("S61_MENA", "Kč"),
    ],
)
def test_a_movement_that_cannot_be_read_is_an_error_and_the_others_go_on(
    field: str, value: str | None
) -> None:
    file = read(csob(csob_statement(csob_movement(**{field: value}), csob_movement())))

    assert len(file.statements[0].entries) == 1
    assert [error.field for error in file.errors] == [field]


def test_a_movement_without_a_date_of_processing_has_the_other_one() -> None:
    assert only_entry(DPROCD="-").booked_on == date(2026, 3, 2)


def test_a_field_that_stands_twice_with_different_values_is_an_error() -> None:
    twice = csob_movement().replace("</FINSTA05>", "<S61_CASTKA>900,00</S61_CASTKA></FINSTA05>")
    file = read(csob(csob_statement(twice, csob_movement())))

    assert len(file.statements[0].entries) == 1
    assert [error.field for error in file.errors] == ["S61_CASTKA"]


def test_a_negative_balance_has_its_mark() -> None:
    (statement,) = read(csob(csob_statement(S60_CD_INDIK="D", S62_CD_INDIK="D"))).statements

    assert (statement.opening_balance, statement.closing_balance) == (
        Money(-100000, "CZK"),
        Money(-110000, "CZK"),
    )


def test_balances_that_do_not_agree_are_a_warning() -> None:
    (warning,) = read(csob(csob_statement(csob_movement(), S62_CASTKA="1200,00"))).warnings

    assert "do not agree" in warning.message


def test_balances_behind_the_movements_count_as_well() -> None:
    late = "<S62_CD_INDIK>C</S62_CD_INDIK><S62_CASTKA>1100,00</S62_CASTKA></FINSTA03>"
    text = csob_statement(csob_movement(), S62_CD_INDIK=None, S62_CASTKA=None)
    file = read(csob(text.replace("</FINSTA03>", late)))

    assert file.statements[0].closing_balance == Money(110000, "CZK")
    assert file.warnings == ()


def test_several_statements_keep_their_own_movements() -> None:
    second = csob_statement(*[csob_movement()] * 1_200, S25_CISLO_UCTU="19/0300", S62_CASTKA="121000,00")
    file = read(csob(csob_statement(csob_movement()), second))

    assert [(each.account, len(each.entries)) for each in file.statements] == [
        ("2000145399/0300", 1),
        ("19/0300", 1_200),
    ]
    assert file.warnings == ()


def test_the_number_within_the_statement_is_no_id_and_a_long_reference_is_one() -> None:
    assert only_entry(REF_TRANS_SYS="776").external_id.startswith("h1:")
    assert only_entry(REF_TRANS_SYS="20260303000776").external_id == "20260303000776"
    assert not only_entry(REF_TRANS_SYS="20260303000776").is_bank_id


@pytest.mark.parametrize("document", [b"<FINSTA/>", b"<FINSTA><STA_VER>01</STA_VER></FINSTA>"])
def test_a_file_without_a_statement_is_refused(document: bytes) -> None:
    with pytest.raises(StatementUnreadable, match="no statement"):
        read(document)


def test_the_sample_adds_up() -> None:
    (sample,) = require_samples("csob-xml")
    file = read(sample.path.read_bytes())

    assert [entry.minor for entry in file.statements[0].entries] == [5_000_000]
    assert (file.warnings, file.errors) == ((), ())
