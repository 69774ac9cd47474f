"""Profiles are TOML that people share; those that come with Kvit know their files and no others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.statements import detect, read
from kvit.kernel.statements.csv import (
    SHIPPED,
    Column,
    Fact,
    Profile,
    Role,
    profile_from_toml,
    profile_to_toml,
)
from kvit.kernel.statements.csv.words import normalized
from tests.kernel.statements.csv_writer import table

DOCS = Path(__file__).resolve().parents[3] / "docs" / "csv-profiles.md"
SMALL = """
name = "small"
headers = [["Kdy", "Kolik"]]

[[columns]]
role = "booked_on"
names = ["Kdy"]

[[columns]]
role = "amount"
names = ["Kolik"]
"""
WITH_HEADER = [profile for profile in SHIPPED.values() if profile.headers]
texts = st.text(st.characters(codec="utf-8"), max_size=10)
names = st.lists(texts, max_size=3).map(tuple)


@pytest.mark.parametrize("profile", SHIPPED.values(), ids=SHIPPED)
def test_a_shipped_profile_comes_back_from_its_toml(profile: Profile) -> None:
    assert profile.title
    assert profile_from_toml(profile_to_toml(profile)) == profile


@given(
    title=texts,
    names=names.filter(bool),
    booked=names,
    facts=st.lists(
        st.builds(Fact, name=st.sampled_from(["account", "number"]), after=texts),
        max_size=2,
        unique_by=lambda fact: fact.name,
    ),
)
def test_any_profile_comes_back_from_its_toml(
    title: str, names: tuple[str, ...], booked: tuple[str, ...], facts: list[Fact]
) -> None:
    small = profile_from_toml(SMALL)
    profile = replace(
        small,
        title=title,
        headers=(names, *small.headers),
        columns=(
            *small.columns,
            Column(role=Role.MESSAGE, names=names, occurrence=2),
            Column(role=Role.STATUS, position=3),
        ),
        booked=booked,
        facts=tuple(facts),
        exact=True,
    )
    assert profile_from_toml(profile_to_toml(profile)) == profile


@pytest.mark.parametrize("profile", WITH_HEADER, ids=lambda profile: profile.name)
def test_a_table_with_the_header_of_a_shipped_profile_is_surely_its(profile: Profile) -> None:
    for header in profile.headers:
        delimiter = profile.delimiter or ";"
        names = [
            f'"{name}"'
            for name in dict.fromkeys([*header, *(_name(column, header) for column in profile.columns)])
        ]
        detection = detect(table(delimiter.join(names)))
        assert detection is not None
        assert (detection.format, detection.is_sure) == (f"csv:{profile.name}", True)


def _name(column: Column, header: tuple[str, ...]) -> str:
    """The name of the column in a table of that header."""
    known = set(map(normalized, header))
    return next((name for name in column.names if normalized(name) in known), header[0])


@pytest.mark.parametrize(
    ("toml", "field"),
    [
        ("name =", "toml"),
        ("x" * 200_000, "toml"),
        ("[[" * 20_000, "toml"),
        ("name = 5", "name"),
        (SMALL.replace("small", "Not Small"), "name"),
        (SMALL.replace('role = "amount"', 'role = "money"'), "role"),
        (SMALL.replace('role = "amount"', 'role = "message"'), "amount"),
        (SMALL.replace('role = "booked_on"', 'role = "message"'), "booked_on"),
        (SMALL.replace('role = "amount"', 'role = "sign_mark"'), "amount"),
        (SMALL + "position = 2", "columns"),
        (SMALL + 'colour = "red"', "colour"),
        ('colour = "red"\n' + SMALL, "colour"),
        ('decimal = ";"\n' + SMALL, "decimal"),
        ('date_order = "myd"\n' + SMALL, "date_order"),
        ('encoding = "rot13"\n' + SMALL, "encoding"),
        ('delimiter = "x"\n' + SMALL, "delimiter"),
        ('currency = "Kc"\n' + SMALL, "currency"),
        ('shape = ["colour"]\n' + SMALL, "shape"),
        ('exact = "yes"\n' + SMALL, "exact"),
        ("marks = 1\n" + SMALL, "marks"),
        (SMALL + '[facts]\nowner = "x"', "owner"),
        (SMALL + "occurrence = 0", "occurrence"),
        (SMALL + "occurrence = true", "occurrence"),
    ],
)
def test_what_is_no_profile_is_refused_with_its_key(toml: str, field: str) -> None:
    with pytest.raises(StatementUnreadable) as error:
        profile_from_toml(toml)
    assert error.value.field == field
    assert str(error.value)


def test_names_are_compared_without_case_accents_and_punctuation() -> None:
    assert normalized("  #Částka  (transakce):") == normalized("CASTKA TRANSAKCE") == "castka transakce"
    assert normalized("Zażółć Łódź") == "zazolc lodz"


def test_the_docs_tell_every_key_and_role() -> None:
    text = DOCS.read_text("utf-8")
    keys = {name for name in Profile.__slots__ if name != "columns"}
    assert [name for name in sorted(keys | set(Role)) if f"`{name}`" not in text] == []
    example = text.partition("```toml\n")[2].partition("```")[0]
    assert profile_from_toml(example).headers


def test_the_docs_name_every_shipped_profile() -> None:
    text = DOCS.read_text("utf-8")
    assert [name for name in SHIPPED if f"`{name}`" not in text] == []


def test_an_english_and_a_czech_export_of_one_bank_give_the_same() -> None:
    czech = (
        "Datum provedení;Datum zaúčtování;Číslo účtu;Název účtu;Číslo protiúčtu;"
        "VS;Zaúčtovaná částka;Měna účtu"
    )
    english = (
        "Transaction Date;Booking Date;Account number;Account Name;Accocunt Number;"
        "VS;Booked amount;Account Currency"
    )
    row = "1.3.2026;02.03.2026 06:20;2000145399/5500;Firma;19-1/0800;0042;1 234,50;CZK"
    one, other = (read(table(header, row, row)) for header in (czech, english))
    assert one == other
    assert one.statements[0].account == "2000145399/5500"
    assert one.statements[0].entries[0].minor == 123_450
    assert one.statements[0].entries[0].variable_symbol == "0042"


def test_a_card_statement_is_turned_around() -> None:
    header = "TransactionId,CardId,Date,ValutaDate,Amount,Currency,MerchantName,StateType,Details"
    row = "TRX2026030100001,0000,2026-03-01 15:12:22,2026-03-03 00:00:00,{},CHF,Café,BOOKED,Coffee"
    file = read(table(header, row.format("29.000")))
    assert [entry.minor for entry in file.statements[0].entries] == [-2_900]


def test_the_statement_of_komercni_banka_has_its_facts_in_cells() -> None:
    file = read(
        table(
            "KB+, vypis v csv. formatu;;;;;",
            "IBAN;CZ5520100000002000145399;;;;",
            "Vypis od;01.03.2026;;;;",
            "Vypis do;31.03.2026;;;;",
            "Pocatecni zustatek;1000,00;;;;",
            "Konecny zustatek;900,50;;;;",
            ";;;;;",
            "Datum zauctovani;Datum provedeni;Protistrana;Castka;Mena;Identifikace transakce",
            "02.03.2026;01.03.2026;19-1/0800;-99,50;CZK;8J39R7P2FA5Y4YYY",
        )
    )
    (statement,) = file.statements
    assert (file.format, file.errors, file.warnings) == ("csv:kb-plus", (), ())
    assert statement.account == "CZ5520100000002000145399"
    assert statement.from_date is not None
    assert str(statement.closing_balance) == "900.50 CZK"
