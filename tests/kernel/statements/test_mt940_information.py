"""How the information to the owner (:86:, :NS:) is read in the dialects of the banks."""

from __future__ import annotations

import pytest

from kvit.kernel.statements import Entry, read
from tests.kernel.statements.mt940_writer import movement, mt940


def told(information: str, *, tag: str = "86", references: str = "NONREF", detail: str = "") -> Entry:
    line = movement(references=references, information="") + (f"\n{detail}" if detail else "")
    (statement,) = read(mt940(f"{line}\n:{tag}:{information}")).statements
    (entry,) = statement.entries
    return entry


def test_german_subfields_are_read() -> None:
    entry = told(
        "166?00GUTSCHRIFT?109310?20EREF+E2E-77?21SVWZ+Rechnung 2026001 vom A?22pril"
        "?30BYLADEMM?31DE02120300000000202051?32Erika Muster?33frau"
    )
    assert entry.message == "Rechnung 2026001 vom April"
    assert (entry.counterparty_name, entry.counterparty_account) == (
        "Erika Muster frau",
        "DE02120300000000202051",
    )
    assert entry.reference == "E2E-77"


def test_a_full_subfield_goes_on_in_the_next_one() -> None:
    entry = told("166?20SVWZ+Zahlung der Rechnung 2?21026")
    assert entry.message == "Zahlung der Rechnung 2026"


@pytest.mark.parametrize("separator", ["?", "<", "~", ">", "^"])
def test_every_separator_is_known(separator: str) -> None:
    entry = told("020?00Prevod?20Faktura 7?21VS2026001?3121212?32Jana Pokusna".replace("?", separator))
    assert (entry.message, entry.counterparty_name) == ("Faktura 7 VS2026001", "Jana Pokusna")
    assert entry.variable_symbol == "2026001"


def test_a_separator_inside_the_text_is_text() -> None:
    assert told("166?20Was nun? Nichts?32Erika").message == "Was nun? Nichts"


def test_a_czech_account_is_written_with_its_bank() -> None:
    entry = told("111?20VS:2026001?21KS:0308 SS:7?300100?3119-2000145399?32Jana Pokusna")
    assert entry.counterparty_account == "19-2000145399"
    assert told("111?20x?300100?312000145399").counterparty_account == "2000145399/0100"
    assert (entry.variable_symbol, entry.constant_symbol, entry.specific_symbol) == ("2026001", "0308", "7")


def test_polish_titles_end_before_the_repeated_name() -> None:
    entry = told("020<00Przelew<20ZAPLATA ZA<21FAKTURE 7<27FIRMA<32FIRMA<38PL61109010140000071219812874")
    assert entry.message == "ZAPLATA ZA FAKTURE 7"
    assert entry.counterparty_account == "PL61109010140000071219812874"


def test_dutch_words_between_slashes_are_read() -> None:
    entry = told("/TRTP/SEPA OVERBOEKING/IBAN/NL91ABNA0417164300/NAME/J. Jan\nsen/REMI/Factuur 7/EREF/E2E-1")
    assert (entry.counterparty_name, entry.counterparty_account) == ("J. Jansen", "NL91ABNA0417164300")
    assert (entry.message, entry.reference) == ("Factuur 7", "E2E-1")


def test_the_counterparty_of_ing_is_read() -> None:
    entry = told("/EREF/E2E-2//CNTP/NL91ABNA0417164300/ABNANL2A/J. Jansen///REMI/USTD//Factuur 8/")
    assert (entry.counterparty_name, entry.counterparty_account) == ("J. Jansen", "NL91ABNA0417164300")
    assert (entry.message, entry.reference) == ("Factuur 8", "E2E-2")


def test_an_iban_for_the_reference_or_below_it_is_the_counterparty() -> None:
    asn = told("x", references="NL91ABNA0417164300", detail="j. jansen")
    assert (asn.counterparty_account, asn.counterparty_name) == ("NL91ABNA0417164300", "j. jansen")
    rabobank = told("/BENM//NAME/J. Jansen/REMI/x", references="EREF", detail="NL91ABNA0417164300")
    assert (rabobank.counterparty_account, rabobank.counterparty_name) == ("NL91ABNA0417164300", "J. Jansen")
    assert told("x", references="NL92ABNA0417164300").counterparty_account == ""


def test_numbered_lines_are_read() -> None:
    entry = told("01Rechnung 7\n02vom April\n15Erika\n16Muster\n3310020030\n341234567", tag="NS")
    assert (entry.message, entry.counterparty_name) == ("Rechnung 7 vom April", "Erika Muster")
    assert entry.counterparty_account == "1234567/10020030"


@pytest.mark.parametrize("text", ["/VS/2026001/SS/7/KS/0308", "Faktura VS:2026001 SS:7 KS:0308"])
def test_symbols_are_found_in_plain_text(text: str) -> None:
    entry = told(text)
    assert (entry.variable_symbol, entry.specific_symbol, entry.constant_symbol) == ("2026001", "7", "0308")


def test_a_number_that_nobody_calls_a_symbol_is_none() -> None:
    entry = told("Faktura 2026001", references="2026001")
    assert (entry.variable_symbol, entry.reference) == ("", "2026001")


def test_full_lines_of_plain_text_are_joined_without_a_blank() -> None:
    assert told("x" * 65 + "\ny\nz").message == "x" * 65 + "y z"


def test_details_stand_in_for_absent_information() -> None:
    (statement,) = read(mt940(movement(information="") + "\nVisa")).statements
    assert statement.entries[0].message == "Visa"
