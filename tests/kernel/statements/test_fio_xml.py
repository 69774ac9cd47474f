"""The rules by which Fio's XML is read."""

from __future__ import annotations

from datetime import date

import pytest

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.money import Money
from kvit.kernel.statements import Entry, detect, read
from tests.kernel.statements.fio_xml_writer import fio_xml, fio_xml_movement
from tests.kernel.statements.writers import IBAN, fio, fio_movement


def only_entry(data: bytes) -> Entry:
    (statement,) = read(data).statements
    (entry,) = statement.entries
    return entry


def test_a_statement_tells_its_account_period_and_balances() -> None:
    data = fio_xml(
        fio_xml_movement(),
        closingBalance="100.00",
        dateStart="2026-03-01+01:00",
        dateEnd="2026-03-31+02:00",
        idList="004",
    )
    (statement,) = read(data).statements

    assert (statement.account, statement.currency, statement.number) == (IBAN, "CZK", "4")
    assert (statement.opening_balance, statement.closing_balance) == (Money(0, "CZK"), Money(10000, "CZK"))
    assert (statement.from_date, statement.to_date) == (date(2026, 3, 1), date(2026, 3, 31))
    assert read(data).format == "fio-xml"
    assert read(data).warnings == ()


def test_a_movement_is_the_same_in_xml_and_in_json() -> None:
    columns: dict[str, str] = {
        "c2": "19-2005",
        "c3": "0800",
        "c10": "Jana",
        "c5": "0012",
        "c4": "0308",
        "c6": "7",
        "c16": "Děkuji",
        "c25": "poznámka",
        "c18": "15.90 EUR",
        "c27": "E2E-1",
    }
    in_xml = only_entry(fio_xml(fio_xml_movement(**columns)))
    in_json = only_entry(fio(fio_movement(**columns)))

    for field in Entry.__struct_fields__:
        if field not in {"line", "offset", "raw"}:
            assert getattr(in_xml, field) == getattr(in_json, field), field
    assert in_xml.is_bank_id
    assert in_xml.counterparty_account == "19-2005/0800"


def test_the_line_and_the_text_of_a_movement_are_kept() -> None:
    first, second = read(fio_xml(fio_xml_movement(), fio_xml_movement(c22="2"))).statements[0].entries

    assert (first.line, second.line) == (4, 5)
    assert second.raw == fio_xml_movement(c22="2")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("c1", "8.855"),
        ("c1", "--5.00"),
        ("c1", "1 000.00"),
        ("c1", "1,50"),
        ("c1", None),
        ("c0", "27.7.2012"),
        ("c0", None),
        ("c14", "Kč"),
    ],
)
def test_a_movement_that_cannot_be_read_is_an_error_and_the_others_go_on(
    column: str, value: str | None
) -> None:
    movements = [fio_xml_movement(c22=str(26000000000 + each)) for each in range(600)]
    movements[550] = fio_xml_movement(**{column: value})
    file = read(fio_xml(*movements))

    assert len(file.statements[0].entries) == 599
    (error,) = file.errors
    assert (error.line, error.field) == (554, column.replace("c", "column_"))


def test_a_column_that_stands_twice_with_different_values_is_an_error() -> None:
    twice = fio_xml_movement().replace("</Transaction>", "<column_1>900.00</column_1></Transaction>")
    file = read(fio_xml(twice, fio_xml_movement()))

    assert len(file.statements[0].entries) == 1
    assert [error.field for error in file.errors] == ["column_1"]


def test_no_movements_are_an_empty_statement() -> None:
    assert read(fio_xml()).statements[0].entries == ()


def test_a_movement_without_an_id_is_doubtful_and_kept() -> None:
    file = read(fio_xml(fio_xml_movement(c22=None)))

    assert not file.statements[0].entries[0].is_bank_id
    assert [warning.field for warning in file.warnings] == ["column_22"]


def test_the_reason_why_there_is_no_statement_is_told_in_the_bank_s_words() -> None:
    refusal = (
        "<response><result><errorCode>21</errorCode><message>Výpis neexistuje</message></result></response>"
    )
    file = read(refusal.encode())

    assert (file.format, file.statements, file.errors) == ("fio-xml", (), ())
    assert "Výpis neexistuje (error 21)" in file.warnings[0].message


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (
            "<Import><Orders><DomesticTransaction/></Orders></Import>",
            "order for Fio, not a statement",
        ),
        ("<responseImport><result/></responseImport>", "answer of Fio to a payment order, not a statement"),
    ],
)
def test_a_payment_order_and_its_answer_are_refused_by_their_name(document: str, words: str) -> None:
    with pytest.raises(StatementUnreadable, match=words):
        read(document.encode())


@pytest.mark.parametrize("root", ["AccountStatement", "response", "Import"])
def test_another_document_of_the_same_root_is_not_taken(root: str) -> None:
    found = detect(f"<{root}><other/></{root}>".encode())

    assert found is None or not found.format.startswith("fio")


@pytest.mark.parametrize("length", [150, 400, -5])
def test_cut_xml_is_refused(length: int) -> None:
    with pytest.raises(StatementUnreadable):
        read(fio_xml(fio_xml_movement())[:length])
