"""Payment orders of the Fio plugin: its files against the bank's schema, and every answer of the import."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from kvit.kernel.payment_orders import pain001
from kvit.kernel.payment_orders.accounts import DomesticAccount
from kvit.plugin import (
    AuthExpired,
    Misconfigured,
    PaymentBatch,
    PaymentFile,
    PaymentOrder,
    PluginError,
    RateLimited,
    Receipt,
    Secret,
    Temporary,
    Transaction,
)
from kvit.plugins.fio import Fio, FioConfig, order_answers, orders
from kvit.plugins.fio.order_codes import COUNTRIES, REASONS
from kvit.sync.http import HttpClient
from tests.banks.fio import ORDERS_TOKEN, TODAY, TOKEN, Account, Fault, FioBank, iban_of
from tests.banks.fio_orders import SCHEMA, answered
from tests.plugins.harness import Run, http_client
from tests.samples import require_samples

IMPORT: Final = etree.XMLSchema(etree.parse(SCHEMA))
ANSWER: Final = etree.XMLSchema(etree.parse(Path(SCHEMA).with_name("fio_import_answer.xsd")))
OWN: Final = iban_of("2900123457", "2010")
SLOVAK_OWN: Final = iban_of("2900123457", "8330")
GERMAN: Final = "DE89370400440532013000"
SWISS: Final = "CH9300762011623852957"
ENGLISH: Final = {
    "counterparty_name": "Acme Widgets",
    "counterparty_bic": "CHASUS33",
    "counterparty_street": "1 Main Street",
    "counterparty_city": "New York",
    "counterparty_country": "US",
    "reason": "380",
}
"""What a payment abroad needs besides."""


@pytest.fixture
def http() -> Iterator[HttpClient]:
    with http_client(Secret(TOKEN), Secret(ORDERS_TOKEN)) as client:
        yield client


def fio(bank: FioBank, http: HttpClient, **settings: Any) -> Fio:
    values = {
        "api_token": Secret(TOKEN),
        "orders_token": Secret(ORDERS_TOKEN),
        "base_url": bank.base_url,
        "token_interval_seconds": 0,
        **settings,
    }
    return Fio(FioConfig(**values), http)


def order(id: str = "k1", amount: str = "1250.10", **facts: Any) -> PaymentOrder:
    """A domestic order, unless told otherwise."""
    values = {"currency": "CZK", "counterparty_account": "19-2000145399/0800", "due_on": TODAY, **facts}
    return PaymentOrder(id=id, amount=Decimal(amount), **values)


def euro(id: str = "e1", amount: str = "99.90", **facts: Any) -> PaymentOrder:
    values = {"currency": "EUR", "counterparty_account": GERMAN, "counterparty_name": "Müller GmbH", **facts}
    return order(id, amount, **values)


def foreign(id: str = "f1", amount: str = "500.00", **facts: Any) -> PaymentOrder:
    values = {"currency": "USD", "counterparty_account": "000123456789", "message": "Invoice 7", **ENGLISH}
    return order(id, amount, **{**values, **facts})


def batch(
    *listed: PaymentOrder, account: str = OWN, currency: str = "CZK", key: str = "key-1"
) -> PaymentBatch:
    return PaymentBatch(key=key, account=account, currency=currency, orders=listed or (order(),))


def read(file: PaymentFile) -> list[dict[str, str]]:
    """Read Fio's XML back once the bank's schema has approved of it: each order's fields, and its `kind`."""
    root = etree.fromstring(file.data)
    IMPORT.assertValid(root)
    return [{"kind": str(each.tag), **{str(part.tag): part.text or "" for part in each}} for each in root[0]]


def pushed(plugin: Fio, listed: PaymentBatch) -> Receipt:
    return plugin.push(listed, plugin.payment_file(listed))


def lost(plugin: Fio, listed: PaymentBatch) -> PluginError:
    with pytest.raises(PluginError) as raised:
        pushed(plugin, listed)
    return raised.value


def refused_field(listed: PaymentBatch) -> str | None:
    with pytest.raises(Misconfigured) as raised:
        orders.file_of(listed)
    assert "{" not in str(raised.value)
    return raised.value.field


# The schema of these tests is the bank's


def test_the_schema_takes_the_orders_of_other_programs() -> None:
    refused = {}
    imports = [
        sample.path
        for sample in require_samples("fio-payment-import")
        if etree.parse(sample.path).getroot().tag == "Import"
    ]
    for path in imports:
        try:
            IMPORT.assertValid(etree.parse(path))
        except etree.DocumentInvalid as error:
            refused[path.name] = str(error)

    assert len(imports) == 6
    # One sample was made up with a purpose (333) that the bank's own list does not have.
    (problem,) = refused.items()
    assert problem[0] == "h4kuna__payment-pay-maximum.xml"
    assert "'paymentReason'" in problem[1]
    assert "'333'" in problem[1]


def test_the_schema_takes_the_answers_and_none_of_them_is_an_import() -> None:
    answers = [
        sample.path
        for sample in require_samples("fio-payment-import")
        if etree.parse(sample.path).getroot().tag == "responseImport"
    ]

    assert len(answers) == 3
    for path in answers:
        assert ANSWER.validate(etree.parse(path))
        assert not IMPORT.validate(etree.parse(path))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<amount>1250.10</amount>", "<amount>1250.105</amount>"),
        ("<currency>CZK</currency>", "<currency>czk</currency>"),
        ("<bankCode>0800</bankCode>", "<bankCode>800</bankCode>"),
        ("<accountFrom>2900123457</accountFrom>", "<accountFrom>19-2900123457</accountFrom>"),
        ("<vs>0012</vs>", "<vs>00123456789</vs>"),
        ("<paymentType>431001</paymentType>", "<paymentType>431008</paymentType>"),
        ("<vs>0012</vs><ss>9</ss>", "<ss>9</ss><vs>0012</vs>"),
        ("<date>", "<datum>"),
    ],
)
def test_the_schema_refuses_what_the_bank_refuses(old: str, new: str) -> None:
    data = orders.file_of(batch(order(variable_symbol="0012", specific_symbol="9"))).data.decode()
    assert old in data

    changed = data.replace(old, new).replace("</date>", "</datum>" if new == "<datum>" else "</date>")

    assert IMPORT.validate(etree.fromstring(data.encode()))
    assert not IMPORT.validate(etree.fromstring(changed.encode()))


# What is written


def test_a_domestic_order_is_written_field_by_field() -> None:
    whole = order(
        variable_symbol="0012345678",
        constant_symbol="0308",
        specific_symbol="0000000042",
        message="Faktura č. 2025/014 & <děkujeme>",
        comment="za kancelář",
        speed="priority",
        reason="318",
    )

    (written,) = read(orders.file_of(batch(whole)))

    assert written == {
        "kind": "DomesticTransaction",
        "accountFrom": "2900123457",
        "currency": "CZK",
        "amount": "1250.10",
        "accountTo": "19-2000145399",
        "bankCode": "0800",
        "ks": "0308",
        "vs": "0012345678",
        "ss": "0000000042",
        "date": "2025-06-30",
        "messageForRecipient": "Faktura č. 2025/014 & <děkujeme>",
        "comment": "za kancelář k1",
        "paymentReason": "318",
        "paymentType": "431005",
    }


def test_a_euro_order_is_written_field_by_field() -> None:
    whole = euro(
        variable_symbol="0007",
        constant_symbol="0308",
        specific_symbol="9",
        counterparty_bic="cobadeff xxx",
        counterparty_street="Hauptstraße 1",
        counterparty_city="München",
        counterparty_country="DE",
        message="Rechnung 2025/014, besten Dank für die gute und schnelle Arbeit",
        speed="instant",
        reason="340",
    )

    (written,) = read(orders.file_of(batch(whole)))

    assert written == {
        "kind": "T2Transaction",
        "accountFrom": "2900123457",
        "currency": "EUR",
        "amount": "99.90",
        "accountTo": GERMAN,
        "ks": "0308",
        "vs": "0007",
        "ss": "9",
        "bic": "COBADEFFXXX",
        "date": "2025-06-30",
        "comment": "e1",
        "benefName": "Müller GmbH",
        "benefStreet": "Hauptstraße 1",
        "benefCity": "München",
        "benefCountry": "DE",
        "remittanceInfo1": "Rechnung 2025/014, besten Dank für",
        "remittanceInfo2": "die gute und schnelle Arbeit",
        "paymentReason": "340",
        "paymentType": "431018",
    }


def test_a_foreign_order_is_written_field_by_field() -> None:
    (written,) = read(orders.file_of(batch(foreign(charges="OUR"))))

    assert written == {
        "kind": "ForeignTransaction",
        "accountFrom": "2900123457",
        "currency": "USD",
        "amount": "500.00",
        "accountTo": "000123456789",
        "bic": "CHASUS33",
        "date": "2025-06-30",
        "comment": "f1",
        "benefName": "Acme Widgets",
        "benefStreet": "1 Main Street",
        "benefCity": "New York",
        "benefCountry": "US",
        "remittanceInfo1": "Invoice 7",
        "detailsOfCharges": "470501",
        "paymentReason": "380",
    }


CZECH_IBAN: Final = DomesticAccount("CZ", "19", "2000145399", "0800").iban
WITHIN_FIO: Final = iban_of("2600170205", "2010")


@pytest.mark.parametrize(
    ("own", "account", "currency", "kind", "account_to"),
    [
        (OWN, "19-2000145399/0800", "CZK", "DomesticTransaction", "19-2000145399"),
        (OWN, "000019-2000145399/0800", "CZK", "DomesticTransaction", "19-2000145399"),
        (OWN, CZECH_IBAN, "CZK", "DomesticTransaction", "19-2000145399"),
        (OWN, "cz65 0800 0000 1920 0014 5399", "CZK", "DomesticTransaction", "19-2000145399"),
        (OWN, "19-2000145399/0800", "EUR", "T2Transaction", CZECH_IBAN),
        (OWN, "19-2000145399/0800", "USD", "ForeignTransaction", CZECH_IBAN),
        (OWN, WITHIN_FIO, "EUR", "DomesticTransaction", "2600170205"),
        (OWN, "2600170205/2010", "USD", "DomesticTransaction", "2600170205"),
        (OWN, SLOVAK_OWN, "EUR", "T2Transaction", SLOVAK_OWN),
        (OWN, SLOVAK_OWN, "CZK", "ForeignTransaction", SLOVAK_OWN),
        (OWN, GERMAN, "EUR", "T2Transaction", GERMAN),
        (OWN, GERMAN, "CZK", "ForeignTransaction", GERMAN),
        (OWN, SWISS, "CHF", "ForeignTransaction", SWISS),
        (OWN, "AE070331234567890123456", "EUR", "ForeignTransaction", "AE070331234567890123456"),
        ("2600170205/2010", "19-2000145399/0800", "CZK", "DomesticTransaction", "19-2000145399"),
        (
            "2600170205/8330",
            "2000145399/0900",
            "EUR",
            "T2Transaction",
            DomesticAccount("SK", "", "2000145399", "0900").iban,
        ),
        (SLOVAK_OWN, CZECH_IBAN, "CZK", "ForeignTransaction", CZECH_IBAN),
    ],
)
def test_account_and_currency_decide_which_kind_of_order_it_is(
    own: str, account: str, currency: str, kind: str, account_to: str
) -> None:
    asked = foreign(counterparty_account=account, currency=currency)

    (written,) = read(orders.file_of(batch(asked, account=own)))

    assert (written["kind"], written["accountTo"], written["currency"]) == (kind, account_to, currency)
    assert written["accountFrom"] in ("2900123457", "2600170205")
    assert own.partition("/")[0].endswith(written["accountFrom"])


def test_the_sections_stand_in_the_order_of_the_bank() -> None:
    mixed = batch(foreign("f1"), euro("e1"), order("d1"), foreign("f2"), order("d2"), euro("e2"))

    file = orders.file_of(mixed)

    assert [each["comment"] for each in read(file)] == ["d1", "d2", "e1", "e2", "f1", "f2"]
    assert orders.ids_in_file(mixed, file.format) == ["d1", "d2", "e1", "e2", "f1", "f2"]


def test_the_same_batch_gives_the_same_bytes_and_another_key_another_name() -> None:
    mixed = (foreign(), euro(), order())

    assert orders.file_of(batch(*mixed)) == orders.file_of(batch(*mixed))
    assert orders.file_of(batch(*mixed)).name != orders.file_of(batch(*mixed, key="key-2")).name
    assert orders.file_of(batch(*mixed)).data.isascii() is False


TEXT: Final = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co"))
    | st.sampled_from("ěščřžýáíéůúňďťŘ&<>'\""),
    max_size=60,
)
SYMBOL: Final = st.from_regex(r"[0-9]{1,10}", fullmatch=True)
MONEY: Final = st.integers(1, 10**12).map(lambda minor: Decimal(minor).scaleb(-2))


def folded(text: str) -> str:
    """The text as the bank keeps it: one line, single spaces, composed letters."""
    import unicodedata

    return " ".join(unicodedata.normalize("NFC", text).split())


@st.composite
def any_order(draw: st.DrawFn, id: str) -> PaymentOrder:
    kind = draw(st.sampled_from(["domestic", "euro", "foreign"]))
    common: dict[str, Any] = {
        "amount": draw(MONEY),
        "due_on": draw(st.dates(date(2000, 1, 1), date(2100, 12, 31))),
        "comment": draw(TEXT),
    }
    symbols: dict[str, Any] = {
        "variable_symbol": draw(st.just("") | SYMBOL),
        "specific_symbol": draw(st.just("") | SYMBOL),
        "constant_symbol": draw(st.just("") | st.from_regex("[0-9]{1,4}", fullmatch=True)),
    }
    if kind == "domestic":
        speed: Literal["standard", "priority"] = draw(st.sampled_from(["standard", "priority"]))
        return PaymentOrder(
            id=id,
            currency="CZK",
            counterparty_account=draw(st.sampled_from(["19-2000145399/0800", CZECH_IBAN, "2600170205/2010"])),
            message=draw(TEXT),
            speed=speed,
            **common,
            **symbols,
        )
    payee: dict[str, Any] = {
        "counterparty_name": draw(TEXT.filter(str.strip).map(lambda text: folded(text)[:35])),
        "counterparty_street": draw(TEXT.filter(str.strip).map(lambda text: folded(text)[:35])),
        "counterparty_city": draw(TEXT.filter(str.strip).map(lambda text: folded(text)[:35])),
        "counterparty_country": draw(st.sampled_from(sorted(COUNTRIES))),
        "reason": draw(st.sampled_from(sorted(REASONS))),
    }
    if kind == "euro":
        account = draw(st.sampled_from([GERMAN, SLOVAK_OWN, CZECH_IBAN]))
        return PaymentOrder(
            id=id,
            currency="EUR",
            counterparty_account=account,
            message=draw(TEXT),
            **common,
            **symbols,
            **payee,
        )
    return PaymentOrder(
        id=id,
        currency=draw(st.sampled_from(["USD", "CHF", "JPY"])),
        counterparty_account=draw(st.sampled_from([SWISS, "000123456789"])),
        counterparty_bic=draw(st.sampled_from(["CHASUS33", "UBSWCHZH80A"])),
        message=draw(TEXT.filter(str.strip)),
        charges=draw(st.sampled_from(["SHA", "OUR", "BEN"])),
        **common,
        **payee,
    )


@st.composite
def any_batch(draw: st.DrawFn) -> PaymentBatch:
    count = draw(st.integers(1, 8))
    return batch(*(draw(any_order(f"p{number}")) for number in range(count)), key=draw(st.text(max_size=40)))


def lines_of(written: dict[str, str]) -> list[str]:
    return [text for name, text in written.items() if name.startswith("remittanceInfo")]


@given(any_batch())
def test_whatever_can_be_ordered_is_valid_and_comes_back_exactly(listed: PaymentBatch) -> None:
    file = orders.file_of(listed)

    written = read(file)

    assert [each["comment"].split()[-1] for each in written] == orders.ids_in_file(listed, file.format)
    assert [orders.SECTIONS.index(each["kind"]) for each in written] == sorted(
        orders.SECTIONS.index(each["kind"]) for each in written
    )
    by_id = {each.id: each for each in listed.orders}
    assert len(written) == len(by_id)
    for each in written:
        asked = by_id[each["comment"].split()[-1]]
        assert each["amount"] == f"{asked.amount:.2f}"
        assert Decimal(each["amount"]) == asked.amount
        assert each["currency"] == asked.currency
        assert each["date"] == asked.due_on.isoformat()
        assert each.get("vs", "") == asked.variable_symbol
        assert each.get("ss", "") == asked.specific_symbol
        assert each.get("ks", "") == asked.constant_symbol
        assert each["comment"] == f"{folded(asked.comment)} {asked.id}".strip()
        if each["kind"] == "DomesticTransaction":
            assert each.get("messageForRecipient", "") == folded(asked.message)
        else:
            assert "".join(lines_of(each)).replace(" ", "") == folded(asked.message).replace(" ", "")
            assert max(map(len, lines_of(each)), default=0) <= 35
            assert each["benefName"] == folded(asked.counterparty_name)
    assert orders.file_of(listed) == file


@given(any_batch(), st.randoms(use_true_random=False))
def test_the_order_of_the_orders_changes_no_money(listed: PaymentBatch, dice: Any) -> None:
    shuffled = list(listed.orders)
    dice.shuffle(shuffled)

    other = read(orders.file_of(replace(listed, orders=shuffled)))

    def by_comment(written: Sequence[dict[str, str]]) -> list[dict[str, str]]:
        return sorted(written, key=lambda each: each["comment"].split()[-1])

    assert by_comment(other) == by_comment(read(orders.file_of(listed)))


@given(st.text(st.sampled_from("ab cdř"), max_size=120))
def test_a_message_is_broken_between_words_and_loses_none(text: str) -> None:
    try:
        (written,) = read(orders.file_of(batch(euro(message=text))))
    except Misconfigured:
        assert refused_field(batch(euro(message=text))) == "e1.message"
        assert len(folded(text)) > 70
    else:
        assert "".join(lines_of(written)).replace(" ", "") == text.replace(" ", "")
        if max(map(len, text.split()), default=0) <= 35:
            assert " ".join(lines_of(written)).split() == text.split()


# What is refused


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (order(amount="0.00"), "k1.amount"),
        (order(amount="-5.00"), "k1.amount"),
        (order(amount="0.001"), "k1.amount"),
        (order(amount="NaN"), "k1.amount"),
        (order(amount="1E+30"), "k1.amount"),
        (replace(order(), amount=12.5), "k1.amount"),  # type: ignore[arg-type]  # a float, as a plugin may get it
        (order(currency="Kč"), "k1.currency"),
        (order(variable_symbol="12345678901"), "k1.variable_symbol"),
        (order(variable_symbol="2025/014"), "k1.variable_symbol"),
        (order(variable_symbol="١٢٣"), "k1.variable_symbol"),
        (order(constant_symbol="03080"), "k1.constant_symbol"),
        (order(specific_symbol=" 9"), "k1.specific_symbol"),
        (order(message="x" * 141), "k1.message"),
        (order(message="a\x00b"), "k1.message"),
        (order(message="a\x1fb"), "k1.message"),
        (order(message="a\ufffeb"), "k1.message"),
        (order(message="a\ud800b"), "k1.message"),
        (order(comment="x" * 138), "k1.comment"),
        (order(counterparty_account="19-2000145398/0800"), "k1.counterparty_account"),
        (order(counterparty_account="CZ6408000000192000145399"), "k1.counterparty_account"),
        (order(counterparty_account="CZ650800000019200014539"), "k1.counterparty_account"),
        (order(counterparty_account=""), "k1.counterparty_account"),
        (order(counterparty_account="ahoj!"), "k1.counterparty_account"),
        (order(counterparty_account=OWN), "k1.counterparty_account"),
        (order(counterparty_account="2000145399"), "k1.message"),
        (order(speed="instant"), "k1.speed"),
        (order(charges="OUR"), "k1.charges"),
        (order(reason="999"), "k1.reason"),
        (order("a-b"), "a-b.id"),
        (order("x" * 36), f"{'x' * 36}.id"),
        (euro(counterparty_name=" "), "e1.counterparty_name"),
        (euro(counterparty_name="x" * 36), "e1.counterparty_name"),
        (euro(counterparty_bic="COBADE"), "e1.counterparty_bic"),
        (euro(counterparty_country="XX"), "e1.counterparty_country"),
        (euro(charges="BEN"), "e1.charges"),
        (euro(message="x" * 106), "e1.message"),
        (euro(message="y" * 20 + " " + "z" * 70 + " w"), "e1.message"),
        (foreign(counterparty_bic=""), "f1.counterparty_bic"),
        (foreign(counterparty_street=""), "f1.counterparty_street"),
        (foreign(counterparty_city=""), "f1.counterparty_city"),
        (foreign(counterparty_country=""), "f1.counterparty_country"),
        (foreign(counterparty_name=""), "f1.counterparty_name"),
        (foreign(message=""), "f1.message"),
        (foreign(reason=""), "f1.reason"),
        (foreign(variable_symbol="7"), "f1.variable_symbol"),
        (foreign(constant_symbol="0308"), "f1.constant_symbol"),
        (foreign(specific_symbol="7"), "f1.specific_symbol"),
        (foreign(speed="priority"), "f1.speed"),
    ],
)
def test_what_fio_does_not_take_is_refused_by_order_and_field(asked: PaymentOrder, field: str) -> None:
    assert refused_field(batch(order("good"), asked)) == field


def test_a_refusal_names_the_payee_and_counts() -> None:
    with pytest.raises(Misconfigured) as raised:
        orders.file_of(batch(order("good"), euro(comment="x" * 150)))

    assert "Müller GmbH" in str(raised.value)
    assert "150 characters" in str(raised.value)
    assert raised.value.field == "e1.comment"


def test_texts_are_counted_in_characters_and_not_in_bytes_or_blanks() -> None:
    (written,) = read(orders.file_of(batch(order(message=f"  {'ř' * 138}\n\t🙂 "))))
    (folded_text,) = read(orders.file_of(batch(order(message=" a\n\r\n b\t c  "))))
    (composed,) = read(orders.file_of(batch(order(message="r\u030c" * 140))))

    assert written["messageForRecipient"] == f"{'ř' * 138} 🙂"
    assert folded_text["messageForRecipient"] == "a b c"
    assert composed["messageForRecipient"] == "ř" * 140


@pytest.mark.parametrize(
    "account", ["19-2000145399/0800", GERMAN, "", "2900123458/2010", "19-2000145399/2010", "CZ650800"]
)
def test_only_an_account_at_fio_pays(account: str) -> None:
    assert refused_field(batch(account=account)) == "account"


def test_an_empty_batch_one_id_twice_and_two_megabytes_are_refused() -> None:
    empty = PaymentBatch(key="k", account=OWN, currency="CZK", orders=())
    large = batch(*(order(f"p{number}", message="ř" * 140, comment="ř" * 130) for number in range(2600)))

    assert refused_field(empty) == "orders"
    assert refused_field(batch(order("same"), euro("same"))) == "same.id"
    assert refused_field(large) is None


def test_a_large_euro_payment_from_a_slovak_account_needs_a_purpose() -> None:
    large = euro(amount="50000.01")

    assert refused_field(batch(large, account=SLOVAK_OWN)) == "e1.reason"
    assert read(orders.file_of(batch(large, account=OWN)))
    assert read(orders.file_of(batch(replace(large, reason="345"), account=SLOVAK_OWN)))
    assert read(orders.file_of(batch(euro(amount="50000.00"), account=SLOVAK_OWN)))


# pain.001


def test_plain_euro_goes_as_pain_001_where_the_owner_wants_it(bank: FioBank, http: HttpClient) -> None:
    plugin = fio(bank, http, euro_format="pain.001", payer_name="Jana Nováková")
    listed = batch(
        euro("e1", due_on=date(2025, 7, 2), message="Rechnung č. 7"),
        euro("e2", due_on=date(2025, 7, 1), variable_symbol="0012"),
    )

    file = plugin.payment_file(listed)
    receipt = plugin.push(listed, file)

    assert file.format == "pain.001"
    assert receipt.accepted
    assert orders.ids_in_file(listed, file.format) == ["e2", "e1"]
    (taken,) = bank.state().batches
    assert taken.type == "pain001_xml"
    assert [each["reference"] for each in taken.orders] == ["/VS0012/SS/KS", "e1"]
    assert plugin.payment_file(listed) == file


@pytest.mark.parametrize(
    "other",
    [order("d1"), foreign(), euro("e2", speed="instant"), euro("e2", reason="340")],
    ids=lambda o: o.id,
)
def test_a_batch_with_anything_else_stays_fios_own_xml(other: PaymentOrder) -> None:
    file = orders.file_of(batch(euro("e9"), other), euro_format="pain.001", payer_name="Jana Nováková")

    assert file.format == "fio-xml"
    assert len(read(file)) == 2


def test_pain_001_needs_the_name_of_who_pays() -> None:
    with pytest.raises(Misconfigured) as raised:
        orders.file_of(batch(euro()), euro_format="pain.001")

    assert raised.value.field == "payer_name"
    named = orders.file_of(batch(euro()), euro_format="pain.001", payer_name="Jana")
    assert etree.fromstring(named.data).tag == f"{{{pain001.NAMESPACE}}}Document"


# Handing over


def test_fio_takes_a_batch_of_all_kinds_at_once(bank: FioBank, http: HttpClient) -> None:
    plugin = fio(bank, http)
    listed = batch(foreign(), euro(), order("d1"), order("d2", amount="49.90"))

    file = plugin.payment_file(listed)
    receipt = plugin.push(listed, file)

    (taken,) = bank.state().batches
    assert (receipt.accepted, receipt.reference) == (True, str(taken.id))
    assert taken.sha256 == hashlib.sha256(file.data).hexdigest()
    assert [(each.status, each.code, each.message, each.order_id) for each in receipt.verdicts] == [
        ("ok", "0", "", ""),
        ("ok", "sum", "1300.00 CZK", ""),
        ("ok", "sum", "99.90 EUR", ""),
        ("ok", "sum", "500.00 USD", ""),
        ("ok", "0", "OK", "d1"),
        ("ok", "0", "OK", "d2"),
        ("ok", "0", "OK", "e1"),
        ("ok", "0", "OK", "f1"),
    ]
    assert bank.state().uploads == 1


def test_the_request_is_one_form_with_the_file_as_a_file(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=answered(0, "ok", batch=7))

    caplog.set_level(logging.DEBUG)
    receipt = answered_by(answer)

    (request,) = seen
    body = request.content.decode()
    assert receipt.reference == "7"
    assert (request.method, str(request.url)) == ("POST", "https://fioapi.fio.cz/v1/rest/import/")
    assert ORDERS_TOKEN not in str(request.url)
    assert ORDERS_TOKEN not in caplog.text
    for name, value in (("token", ORDERS_TOKEN), ("type", "xml"), ("lng", "cs")):
        assert f'name="{name}"\r\n\r\n{value}\r\n' in body
    assert 'name="file"; filename="kvit-' in body
    assert body.count("Content-Type: application/xml") == 1


def answered_by(answer: Any, listed: PaymentBatch | None = None) -> Receipt:
    """Hand over a batch to a bank that answers as told."""
    listed = listed or batch()
    client = httpx.Client(transport=httpx.MockTransport(answer))
    plugin = Fio(FioConfig(api_token=Secret(TOKEN), orders_token=Secret(ORDERS_TOKEN)), _Direct(client))
    return pushed(plugin, listed)


class _Direct:
    """The network's edge: httpx with a transport of ours, without the engine's policy."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def request(self, method: str, url: str, *, gate: object = None, **more: Any) -> httpx.Response:
        assert gate is not None
        return self._client.request(method, url, **more)

    def get(self, url: str, **more: Any) -> httpx.Response:
        raise AssertionError(url)

    post = get


def test_errors_of_orders_come_back_with_the_orders_they_are_about(bank: FioBank, http: HttpClient) -> None:
    plugin = fio(bank, http)
    bank.load(Account(number="2600170205"), interval_seconds=0)

    receipt = pushed(plugin, batch(euro(counterparty_street="Hauptstraße 1"), order("d1")))

    assert not receipt.accepted
    assert receipt.reference == ""
    assert [(each.status, each.code, each.order_id) for each in receipt.verdicts] == [
        ("error", "1", ""),
        ("error", "901", "d1"),
        ("error", "901", "e1"),
        ("error", "323", "e1"),
    ]
    assert bank.state().batches == []


def test_warnings_are_an_accepted_batch(bank: FioBank, http: HttpClient) -> None:
    receipt = pushed(fio(bank, http), batch(order("late", due_on=date(2025, 6, 1)), order("good")))

    assert receipt.accepted
    assert [(each.status, each.code, each.order_id) for each in receipt.verdicts] == [
        ("warning", "2", ""),
        ("ok", "sum", ""),
        ("warning", "904", "late"),
        ("ok", "0", "good"),
    ]
    assert receipt.verdicts[2].message.startswith("Datum splatnosti")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"<Import><Orders/></Import>", "12"),
        (b"<Import><Orders><DomesticTransaction/></Orders></Import>", "11"),
        (b"<Import>", "11"),
        (b" " * (2 * 1024 * 1024 + 1), "13"),
        (b"", "14"),
    ],
)
def test_a_file_that_fio_cannot_read_is_refused_as_a_whole(
    bank: FioBank, http: HttpClient, data: bytes, code: str
) -> None:
    plugin, listed = fio(bank, http), batch()

    receipt = plugin.push(listed, replace(plugin.payment_file(listed), data=data))

    assert not receipt.accepted
    (verdict,) = receipt.verdicts
    assert (verdict.status, verdict.code) == ("error", code)
    assert verdict.message
    assert order_answers.explained(code)


def test_the_samples_of_answers_are_understood() -> None:
    told = {
        sample.path.name: sample.path.read_bytes()
        for sample in require_samples("fio-payment-import")
        if b"<responseImport" in sample.path.read_bytes()
    }

    def receipt(name: str) -> Receipt:
        listed = batch(order("p1", amount="100.00"))
        return answered_by(lambda request: httpx.Response(200, content=told[name]), listed)

    ok = receipt("h4kuna__payment-xml-pay-response-ok.xml")
    wrong = receipt("h4kuna__payment-response-error.xml")
    malformed = receipt("14113__invalid_import-body0.xml")

    assert (ok.accepted, ok.reference) == (True, "3401342221")
    assert [(each.code, each.message, each.order_id) for each in ok.verdicts] == [
        ("0", "", ""),
        ("sum", "100.00 CZK", ""),
        ("0", "OK", "p1"),
    ]
    assert not wrong.accepted
    assert [(each.status, each.code, each.order_id) for each in wrong.verdicts] == [
        ("error", "1", ""),
        ("error", "303", "p1"),
        ("error", "323", "p1"),
        ("error", "", "p1"),
    ]
    assert wrong.verdicts[1].message == "Chybný formát zadaného IBAN."
    assert not malformed.accepted
    assert malformed.verdicts[0].code == "11"
    assert "není" in malformed.verdicts[0].message or "decimal" in malformed.verdicts[0].message


@pytest.mark.parametrize("code", ["0", "1", "2", "11", "12", "13", "14", "303", "323", "sum", "sum-differs"])
def test_every_code_is_explained_and_documented(code: str) -> None:
    document = (Path(__file__).resolve().parents[2] / "docs" / "fio.md").read_text(encoding="utf-8")

    assert order_answers.explained(code).endswith(".")
    assert f"| `{code}` |" in document


def test_a_code_nobody_knows_is_not_explained() -> None:
    assert order_answers.explained("777") == ""


def test_a_sum_that_differs_is_pointed_out() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        told = answered(0, "ok", batch=7, orders=[{"currency": "CZK", "amount": "1250.01"}])
        return httpx.Response(200, content=told)

    receipt = answered_by(answer)

    assert receipt.accepted
    assert [(each.status, each.code, each.message) for each in receipt.verdicts[1:]] == [
        ("warning", "sum-differs", "1250.01 CZK ≠ 1250.10 CZK")
    ]


def test_a_message_about_an_order_that_is_not_in_the_file_stays_with_the_batch() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=answered(0, "ok", batch=7, complaints=[[], []]))

    verdicts = answered_by(answer).verdicts

    assert [(each.order_id, each.message) for each in verdicts[1:]] == [("k1", "OK"), ("", "2: OK")]


def test_a_number_that_stands_at_two_orders_blames_neither() -> None:
    complaint = ("error", 303, "IBAN")

    def answer(request: httpx.Request) -> httpx.Response:
        told = answered(1, "error", complaints=[[complaint], [complaint]])
        return httpx.Response(200, content=told.replace(b'id="2"', b'id="1"'))

    verdicts = answered_by(answer).verdicts

    assert [(each.order_id, each.message) for each in verdicts[1:]] == [("", "1: IBAN"), ("", "1: IBAN")]


# Refusals before anything was taken


@pytest.mark.parametrize(
    ("status", "body", "error", "field"),
    [
        (409, b"", RateLimited, None),
        (429, b"", RateLimited, None),
        (500, b"\n", AuthExpired, None),
        (401, b"no", AuthExpired, None),
        (403, b"no", AuthExpired, None),
        (404, b"no", Misconfigured, "base_url"),
        (413, b"no", Misconfigured, "orders"),
        (400, b"no", Misconfigured, None),
        (422, b"no", Misconfigured, None),
    ],
)
def test_a_definite_refusal_says_that_nothing_was_taken(
    status: int, body: bytes, error: type[PluginError], field: str | None
) -> None:
    with pytest.raises(error) as raised:
        answered_by(lambda request: httpx.Response(status, content=body))

    assert "othing was handed over" in str(raised.value)
    assert getattr(raised.value, "field", None) == field


def test_a_token_that_may_only_watch_enters_no_orders(bank: FioBank, http: HttpClient) -> None:
    plugin = fio(bank, http, orders_token=Secret(TOKEN))

    error = lost(plugin, batch())

    assert isinstance(error, AuthExpired)
    assert "may only watch the account" in str(error)
    assert bank.state().batches == []


def test_a_second_batch_within_the_interval_is_not_taken(bank: FioBank, http: HttpClient) -> None:
    bank.change(interval_seconds=30)

    first = pushed(fio(bank, http), batch())
    error = lost(fio(bank, http), batch(key="key-2"))

    assert first.accepted
    assert isinstance(error, RateLimited)
    assert len(bank.state().batches) == 1


def test_without_a_token_for_orders_nothing_is_written_or_sent(bank: FioBank, http: HttpClient) -> None:
    reads_only = fio(bank, http, orders_token=Secret(""))
    spoilt = fio(bank, http, orders_token=Secret("short"))

    for plugin in (reads_only, spoilt):
        with pytest.raises(Misconfigured) as raised:
            plugin.payment_file(batch())
        assert raised.value.field == "orders_token"
        with pytest.raises(Misconfigured):
            plugin.push(batch(), orders.file_of(batch()))
    assert not http.has_sent
    assert bank.state().uploads == 0


# Answers that tell nothing: the batch is unknown


GOOD: Final = answered(0, "ok", batch=7, complaints=[[]])


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"OK"),
        (200, b"<html><body>Signed in</body></html>"),
        (200, b'{"accountStatement": null}'),
        (200, GOOD[: len(GOOD) // 2]),
        (200, GOOD[:-1]),
        (200, GOOD + b"<x/>"),
        (200, b"<!DOCTYPE x><responseImport/>" + GOOD),
        (200, b"<x>" + GOOD.partition(b"?>")[2] + b"</x>"),
        (200, b"<responseImport/>"),
        (200, b"<responseImport><result/></responseImport>"),
        (200, GOOD.replace(b"<errorCode>0</errorCode>", b"")),
        (200, GOOD.replace(b"<errorCode>0<", b"<errorCode>77<")),
        (200, GOOD.replace(b"<status>ok<", b"<status>error<")),
        (200, GOOD.replace(b"<status>ok<", b"<status>hurray<")),
        (200, answered(1, "ok")),
        (200, answered(1, "error", batch=7)),
        (200, answered(0, "fatal")),
        (200, GOOD.replace(b"<idInstruction>7<", b"<idInstruction>seven<")),
        (200, GOOD.replace(b"</result>", b"</result><result><errorCode>1</errorCode></result>")),
        (200, answered(0, "ok", orders=[{"currency": "CZK", "amount": "1"}]).replace(b">1<", b">x<")),
        (200, answered(0, "ok", orders=[{"currency": "CZK", "amount": "1"}]).replace(b">1<", b">sNaN<")),
        (200, answered(0, "ok", orders=[{"currency": "CZK", "amount": "1"}]).replace(b">1<", b">1E999999<")),
        (204, b""),
        (303, b""),
        (302, b""),
        (408, b""),
        (500, b""),
        (500, b"<html>internal error ()</html>"),
        (500, answered(11, "error")),
        (502, b""),
        (503, b""),
        (504, b""),
    ],
)
def test_an_answer_that_tells_nothing_is_never_guessed(status: int, body: bytes) -> None:
    with pytest.raises(Temporary):
        answered_by(lambda request: httpx.Response(status, content=body))


@given(st.integers(0, len(GOOD) - 1))
def test_no_beginning_of_an_answer_is_taken_for_the_whole(length: int) -> None:
    with pytest.raises(Temporary):
        answered_by(lambda request: httpx.Response(200, content=GOOD[:length]))


WHOLE: Final = answered(
    2,
    "warning",
    batch=7,
    orders=[{"currency": "CZK", "amount": "1250.10"}],
    complaints=[[("warning", 904, "!")]],
)


@given(
    st.integers(0, len(WHOLE)), st.integers(0, 12), st.text(st.sampled_from('0129<>/&; ="xé\x00'), max_size=6)
)
def test_a_damaged_answer_is_understood_or_unknown_and_never_a_crash(
    at: int, gone: int, instead: str
) -> None:
    damaged = WHOLE[:at] + instead.encode() + WHOLE[at + gone :]
    try:
        receipt = answered_by(lambda request: httpx.Response(200, content=damaged))
    except Temporary:
        return
    assert receipt.verdicts[0].code.isdecimal()
    assert receipt.accepted is (receipt.verdicts[0].status != "error")


@pytest.mark.parametrize("kind", ["cut", "cut_json", "reset"])
def test_a_lost_answer_is_unknown_and_the_file_is_not_sent_again(
    bank: FioBank, http: HttpClient, kind: Literal["cut", "cut_json", "reset"]
) -> None:
    bank.fail(Fault(kind=kind))

    error = lost(fio(bank, http), batch())

    assert isinstance(error, Temporary)
    assert http.has_sent
    assert (len(bank.state().batches), bank.state().uploads) == (1, 1)


def test_an_upload_that_never_arrived_looks_the_same(bank: FioBank, http: HttpClient) -> None:
    bank.fail(Fault(kind="reset", before=True))

    assert isinstance(lost(fio(bank, http), batch()), Temporary)
    assert (len(bank.state().batches), bank.state().uploads) == (0, 1)


def test_an_answer_that_comes_too_late_is_unknown(
    bank: FioBank, http: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http._client, "timeout", httpx.Timeout(0.2))
    bank.fail(Fault(kind="slow", seconds=0.6))

    error = lost(fio(bank, http), batch())

    assert isinstance(error, Temporary)
    assert (len(bank.state().batches), bank.state().uploads) == (1, 1)


def test_a_file_not_sent_as_a_file_is_no_definite_answer(bank: FioBank) -> None:
    answer = httpx.post(
        f"{bank.base_url}import/", data={"token": ORDERS_TOKEN, "type": "xml", "file": "<x/>"}
    )

    assert answer.status_code == 500
    with pytest.raises(Temporary):
        order_answers.receipt_of(answer, order_ids=[], totals={})


# What comes back


def test_an_executed_order_comes_back_with_its_id(bank: FioBank, http: HttpClient) -> None:
    plugin = fio(bank, http)
    receipt = pushed(plugin, batch(order("k7", variable_symbol="0042", message="č. 7"), euro("k8")))

    bank.execute(int(receipt.reference))
    found = [item for item in plugin.sync(Run(today=TODAY)) if isinstance(item, Transaction)]

    paid = found[0]
    assert (paid.amount, paid.currency, paid.variable_symbol) == (Decimal("-1250.10"), "CZK", "0042")
    assert "k7" in paid.message.split()
    assert "k8" in found[1].message.split()
    assert found[0].counterparty_account == "19-2000145399/0800"


# The connection


def test_a_connection_that_only_reads_asks_with_one_token(bank: FioBank, http: HttpClient) -> None:
    fio(bank, http, orders_token=Secret("")).check()
    fio(bank, http, orders_token=Secret(TOKEN)).check()

    assert len(bank.state().requests) == 2


def test_both_tokens_open_one_account_or_the_check_refuses(bank: FioBank, http: HttpClient) -> None:
    other = Account(number="2600170205", tokens=[], order_tokens=["z" * 64])
    bank.load(Account(), other, interval_seconds=0)

    identity = fio(bank, http).check()
    with pytest.raises(Misconfigured) as of_another:
        fio(bank, http, orders_token=Secret("z" * 64)).check()
    with pytest.raises(Misconfigured) as unknown:
        fio(bank, http, orders_token=Secret("u" * 64)).check()

    assert identity.key == OWN
    assert of_another.value.field == unknown.value.field == "orders_token"


def test_neither_token_is_told(bank: FioBank, http: HttpClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    plugin = fio(bank, http)
    pushed(plugin, batch())
    error = lost(fio(bank, http, orders_token=Secret(TOKEN)), batch())

    for told in (caplog.text, repr(plugin.config), str(error), repr(error.params)):
        assert ORDERS_TOKEN not in told
        assert TOKEN not in told
