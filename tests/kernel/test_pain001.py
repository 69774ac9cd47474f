"""pain.001: what is written is valid, adds up, and comes back exactly; what is none is refused."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from kvit.kernel.errors import Misconfigured
from kvit.kernel.money import Money
from kvit.kernel.payment_orders.accounts import (
    DomesticAccount,
    Target,
    domestic_of,
    domestic_of_iban,
    target_of,
)
from kvit.kernel.payment_orders.pain001 import NAMESPACE, CreditTransfer, CreditTransfers, written
from kvit.kernel.references import account_key

SCHEMA: Final = etree.XMLSchema(etree.parse(Path(__file__).with_name("pain001.xsd")))
NAMES: Final = {"p": NAMESPACE}
GERMAN: Final = "DE89370400440532013000"
CZECH: Final = "CZ6508000000192000145399"
DAY: Final = date(2025, 7, 1)


def transfer(id: str = "k1", amount: str = "99.90", **facts: Any) -> CreditTransfer:
    values = {
        "end_to_end_id": id,
        "execute_on": DAY,
        "name": "Müller GmbH",
        "iban": GERMAN,
        **facts,
    }
    return CreditTransfer(id=id, amount=Money.of(amount, "EUR"), **values)


def file(*transfers: CreditTransfer, **facts: Any) -> CreditTransfers:
    values = {
        "id": "abc123",
        "created_at": datetime.combine(DAY, time()),
        "payer_name": "Jana Nováková",
        "payer_iban": CZECH,
        **facts,
    }
    return CreditTransfers(transfers=transfers or (transfer(),), **values)


def read(file: CreditTransfers) -> etree._Element:
    """Read a file back after its schema has approved of it."""
    root = etree.fromstring(written(file))
    SCHEMA.assertValid(root)
    return root


def texts(root: etree._Element, path: str) -> list[str]:
    return [each.text or "" for each in root.iterfind(f".//p:{path}", NAMES)]


def test_a_file_is_written_element_by_element() -> None:
    whole = transfer(
        bic="COBADEFFXXX",
        street="Hauptstraße 1",
        city="München",
        country="DE",
        message="Rechnung č. 7 & <Dank>",
    )

    assert written(file(whole, payer_bic="FIOBCZPP")).decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.03"><CstmrCdtTrfInitn>\n'
        "<GrpHdr><MsgId>abc123</MsgId><CreDtTm>2025-07-01T00:00:00</CreDtTm><NbOfTxs>1</NbOfTxs>"
        "<CtrlSum>99.90</CtrlSum><InitgPty><Nm>Jana Nováková</Nm></InitgPty></GrpHdr>\n"
        "<PmtInf><PmtInfId>abc123-1</PmtInfId><PmtMtd>TRF</PmtMtd><BtchBookg>false</BtchBookg>"
        "<NbOfTxs>1</NbOfTxs><CtrlSum>99.90</CtrlSum><PmtTpInf><SvcLvl><Cd>SEPA</Cd></SvcLvl></PmtTpInf>"
        "<ReqdExctnDt>2025-07-01</ReqdExctnDt><Dbtr><Nm>Jana Nováková</Nm></Dbtr>"
        "<DbtrAcct><Id><IBAN>CZ6508000000192000145399</IBAN></Id><Ccy>EUR</Ccy></DbtrAcct>"
        "<DbtrAgt><FinInstnId><BIC>FIOBCZPP</BIC></FinInstnId></DbtrAgt><ChrgBr>SLEV</ChrgBr>\n"
        "<CdtTrfTxInf><PmtId><InstrId>k1</InstrId><EndToEndId>k1</EndToEndId></PmtId>"
        '<Amt><InstdAmt Ccy="EUR">99.90</InstdAmt></Amt>'
        "<CdtrAgt><FinInstnId><BIC>COBADEFFXXX</BIC></FinInstnId></CdtrAgt>"
        "<Cdtr><Nm>Müller GmbH</Nm><PstlAdr><StrtNm>Hauptstraße 1</StrtNm><TwnNm>München</TwnNm>"
        "<Ctry>DE</Ctry></PstlAdr></Cdtr><CdtrAcct><Id><IBAN>DE89370400440532013000</IBAN></Id></CdtrAcct>"
        "<RmtInf><Ustrd>Rechnung č. 7 &amp; &lt;Dank&gt;</Ustrd></RmtInf></CdtTrfTxInf>\n"
        "</PmtInf>\n</CstmrCdtTrfInitn></Document>\n"
    )
    assert read(file(whole, payer_bic="FIOBCZPP")) is not None


def test_each_day_and_speed_is_a_block_of_its_own_and_every_block_adds_up() -> None:
    later = date(2025, 7, 3)
    root = read(
        file(
            transfer("a", "0.10", execute_on=later),
            transfer("b", "0.20"),
            transfer("c", "0.30", execute_on=later),
            transfer("d", "0.40", is_instant=True),
        )
    )

    assert texts(root, "ReqdExctnDt") == ["2025-07-01", "2025-07-01", "2025-07-03"]
    assert texts(root, "InstrId") == ["b", "d", "a", "c"]
    assert texts(root, "GrpHdr/p:CtrlSum") == ["1.00"]
    assert texts(root, "PmtInf/p:CtrlSum") == ["0.20", "0.40", "0.40"]
    assert texts(root, "PmtInf/p:NbOfTxs") == ["1", "1", "2"]
    assert texts(root, "PmtInfId") == ["abc123-1", "abc123-2", "abc123-3"]
    assert texts(root, "LclInstrm/p:Cd") == ["INST"]


TEXT: Final = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co"))
    | st.sampled_from("ěščřžß&<>'\""),
    max_size=40,
)


@st.composite
def any_transfer(draw: st.DrawFn, id: str) -> CreditTransfer:
    return CreditTransfer(
        id=id,
        end_to_end_id=draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9/-]{0,34}", fullmatch=True)),
        amount=Money(draw(st.integers(1, 10**13)), "EUR"),
        execute_on=draw(st.dates(date(2025, 1, 1), date(2025, 1, 4))),
        name=draw(TEXT.filter(str.strip)),
        iban=draw(st.sampled_from([GERMAN, CZECH, "NL91ABNA0417164300"])),
        bic=draw(st.sampled_from(["", "COBADEFF", "COBADEFFXXX"])),
        message=draw(TEXT),
        is_instant=draw(st.booleans()),
    )


@given(st.data(), st.integers(1, 12))
def test_amounts_texts_and_totals_come_back_exactly(data: st.DataObject, count: int) -> None:
    listed = [data.draw(any_transfer(f"p{number}")) for number in range(count)]

    root = read(file(*listed))

    by_id = {each.id: each for each in listed}
    assert sorted(texts(root, "InstrId")) == sorted(by_id)
    for found in root.iterfind(".//p:CdtTrfTxInf", NAMES):
        asked = by_id[found.findtext("p:PmtId/p:InstrId", "", NAMES)]
        assert Decimal(found.findtext("p:Amt/p:InstdAmt", "", NAMES)) == asked.amount.amount
        assert found.findtext("p:PmtId/p:EndToEndId", "", NAMES) == asked.end_to_end_id
        assert found.findtext("p:CdtrAcct/p:Id/p:IBAN", "", NAMES) == asked.iban
        assert found.findtext("p:Cdtr/p:Nm", "", NAMES) == _folded(asked.name)
        assert found.findtext("p:RmtInf/p:Ustrd", "", NAMES) == _folded(asked.message)
    total = sum((each.amount.amount for each in listed), Decimal(0))
    assert [Decimal(text) for text in texts(root, "GrpHdr/p:CtrlSum")] == [total]
    assert sum(Decimal(text) for text in texts(root, "PmtInf/p:CtrlSum")) == total
    assert written(file(*listed)) == written(file(*listed))


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (file(transfer(amount="0.00")), "k1.amount"),
        (file(transfer(amount="-1.00")), "k1.amount"),
        (file(replace(transfer(), amount=Money.of("1.00", "CZK"))), "k1.currency"),
        (file(transfer(iban="DE89370400440532013001")), "k1.iban"),
        (file(transfer(iban="DE8937040044053201300")), "k1.iban"),
        (file(transfer(bic="COBADEF")), "k1.bic"),
        (file(transfer(bic="COBADE0F")), "k1.bic"),
        (file(transfer(bic="COBADEFO")), "k1.bic"),
        (file(transfer(country="de")), "k1.country"),
        (file(transfer(name=" ")), "k1.name"),
        (file(transfer(name="x" * 71)), "k1.name"),
        (file(transfer(message="x" * 141)), "k1.message"),
        (file(transfer(message="a\x07b")), "k1.message"),
        (file(transfer(street="x" * 71)), "k1.street"),
        (file(transfer(city="x" * 36)), "k1.city"),
        (file(transfer(end_to_end_id="")), "k1.end_to_end_id"),
        (file(transfer(end_to_end_id="x" * 36)), "k1.end_to_end_id"),
        (file(transfer(end_to_end_id="č1")), "k1.end_to_end_id"),
        (file(transfer(), transfer()), "id"),
        (file(id="x" * 31), "id"),
        (file(id="a-b"), "id"),
        (file(payer_iban="CZ00"), "payer_iban"),
        (file(payer_name="x" * 71), "abc123.payer_name"),
        (file(payer_bic="FIO"), "abc123.payer_bic"),
        (replace(file(), transfers=()), None),
    ],
)
def test_what_is_no_transfer_is_refused_by_its_field(wrong: CreditTransfers, field: str | None) -> None:
    with pytest.raises(Misconfigured) as raised:
        written(wrong)

    assert raised.value.field == field
    assert "{" not in str(raised.value)


# Accounts


def test_a_domestic_number_and_its_iban_are_one_account() -> None:
    by_number, by_iban = target_of("19-2000145399/0800", "CZ"), target_of(CZECH, "CZ")

    assert by_number == by_iban
    assert by_number == Target(CZECH, CZECH, DomesticAccount("CZ", "19", "2000145399", "0800"))
    assert domestic_of("SK3112000000198742637541", "CZ") == DomesticAccount("SK", "19", "8742637541", "1200")


@given(
    st.integers(0, 999_999),
    st.integers(1, 9_999_999_999),
    st.integers(0, 9999),
    st.sampled_from(["CZ", "SK"]),
)
def test_an_iban_taken_apart_and_put_together_is_the_same(
    prefix: int, number: int, code: int, country: Any
) -> None:
    account = DomesticAccount(country, str(prefix or ""), str(number), f"{code:04}")

    assert domestic_of_iban(account.iban) == account
    assert len(account.iban) == 24
    if country == "CZ" and number > 9:
        assert account_key(f"{account.without_bank}/{account.bank_code}") == account.iban


@pytest.mark.parametrize(
    "text",
    [
        "",
        "19-2000145398/0800",
        "18-2000145399/0800",
        "0/0800",
        "19-2000145399/08000",
        "CZ6408000000192000145399",
        "CZ650800000019200014539",
        "XX6508000000192000145399",
        "GB29NWBK6016133192681",
        "12-34",
        "x" * 35,
        "ř",
    ],
)
def test_a_slip_in_an_account_is_no_account(text: str) -> None:
    assert target_of(text, "CZ") is None


def test_a_number_of_another_country_is_taken_as_it_is() -> None:
    assert target_of(" 0001 2345 6789", "CZ") == Target("000123456789")
    assert not Target("000123456789").is_in_sepa
