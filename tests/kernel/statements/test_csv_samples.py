"""Every sample CSV is read as it was checked by hand: the manifest has no expected values for them."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.statements import read as read_file
from tests.samples import Sample, require_samples, samples

FOLDER = "csv"


class Expected(NamedTuple):
    """The facts of one statement of a sample: amounts in hundredths, balances where the file continues."""

    profile: str
    currency: str
    entries: int
    sum_minor: int
    opening_minor: int | None = None
    closing_minor: int | None = None
    errors: int = 0


EXPECTED = {
    "CZ-NIC__example_ebanka.csv": [
        Expected("csv:ebanka", "CZK", 150, 1_409_356_705),
        Expected("csv:ebanka", "USD", 1, 512_700),
    ],
    "OCA__debit_credit.csv": [Expected("csv", "", 1, -3_350, 1_000, -2_350, errors=1)],
    "OCA__debit_credit_amount.csv": [Expected("csv", "", 2, -1_350, errors=2)],
    "OCA__multi_currency.csv": [
        Expected("csv", "USD", 1, -3_350),
        Expected("csv", "EUR", 1, 152_500),
    ],
    "OCA__original_currency.csv": [Expected("csv", "EUR", 1, 152_500)],
    "OCA__original_currency_empty.csv": [Expected("csv", "", 1, 152_500)],
    "bank2ynab__test-data-2018-04-14_10-52-13_bunq-transactieoverzicht.csv": [
        Expected("csv:bunq", "", 3, 72_854)
    ],
    "bank2ynab__test-data-20180226-1000594757-umsatz.CSV": [
        Expected("csv:sparkasse-mt940", "EUR", 1, -3_699)
    ],
    "bank2ynab__test-data-Movements_1234512345_201805271848.csv": [
        Expected("csv:raiffeisenbank-cz", "CZK", 1, -100)
    ],
    "bank2ynab__test-data-TH_20180101-20180523_page_1.csv": [Expected("csv:cs-servis24", "CZK", 9, -259_999)],
    "bank2ynab__test-data-TH_20180101-20180523_strana_1.csv": [
        Expected("csv:cs-servis24", "CZK", 9, -259_999)
    ],
    "bank2ynab__test-data-TH_20180521-20180523.csv": [Expected("csv:cs-servis24", "CZK", 1, -11_111)],
    "bank2ynab__test-data-Umsaetze_KtoNr538917600_EUR_02-03-2018_1503.CSV": [
        Expected("csv:commerzbank", "EUR", 1, -1_722)
    ],
    "bank2ynab__test-data-W80844_EBH_201945.202122.csv": [Expected("csv:erste-hu", "HUF", 2, 94_000)],
    "bank2ynab__test-data-export_BE11123456789012_20180304_1422.csv": [
        Expected("csv:kbc", "EUR", 1, -340, 22_335, 21_995)
    ],
    "bank2ynab__test-data-export_KBC-Mastercard_Business_Essential_20200204_1604.csv": [
        Expected("csv:kbc-mastercard", "EUR", 3, 273)
    ],
    "bank2ynab__test-data-test_BOI_TransactionExport.csv": [Expected("csv:bank-of-ireland", "", 27, -41_961)],
    "beancount__csvbank-statement.csv": [Expected("csv:chase", "USD", 6, -149_016, 490_002, 340_986)],
    "fjacquet__testdata-viseca.csv": [Expected("csv:viseca", "CHF", 9, -4_920)],
    "gpaulissen__Account_20190101_20200317.csv": [
        Expected("csv:degiro", "EUR", 26, 79_881, -503, 1_388),
        Expected("csv:degiro", "USD", 1, -2, -507, -509),
    ],
    "gpaulissen__ing_ok_Mutatiesoort_Extra_Unquoted.csv": [Expected("csv:ing-nl", "EUR", 6, 1_938)],
    "gpaulissen__transactie-historie_NL00ASNB9999999999_20220717204133.csv": [
        Expected("csv:asn", "EUR", 11, -4_620)
    ],
    "gpaulissen__transactie-historie_fail.csv": [
        Expected("csv:asn", "EUR", 11, 51_380),
        Expected("csv:asn", "EUR", 1, -56_000),
    ],
    "kedder__sample-statement.csv": [Expected("csv:wise", "USD", 5, -22_373)],
    "mlaitinen__2021-october.csv": [Expected("csv:revolut", "EUR", 7, 16_531, 41_552, 58_083)],
    "mlaitinen__2022-january.csv": [Expected("csv:revolut", "EUR", 9, -3_159)],
    "nblock__easybank-creditcard.csv": [Expected("csv:easybank", "EUR", 3, 231)],
    "nblock__ing-diba.csv": [Expected("csv:ing-diba-at", "EUR", 6, -99_203)],
    "nblock__livebank.csv": [Expected("csv:livebank", "EUR", 6, 505_000)],
    "nblock__oberbank.csv": [Expected("csv:oberbank", "EUR", 5, -900)],
    "nblock__raiffeisen.csv": [Expected("csv:raiffeisen-at", "EUR", 7, -15_789)],
    "sebastienrousseau__golden-csv_french_headers.csv": [Expected("csv", "EUR", 3, 226_094)],
    "sebastienrousseau__golden-csv_spanish_headers.csv": [Expected("csv", "EUR", 3, 226_094)],
    "simonmichael__banking-csb43.csv": [Expected("csv:csb43", "EUR", 2, 100_000)],
    "simonmichael__other-stripe.csv": [Expected("csv:stripe", "USD", 2, 1_123)],
}
"""Errors are of the whole file. Balances are missing where those beside the movements do not continue."""
ASKED_FOR = {
    "OCA__original_currency_no_header.csv": "columns",
    "bank2ynab__test-data-dba33fceecd62c3c727893361e0ba4d3.P000000027355791.csv": "columns",
    "bank2ynab__test-data-statement_1.csv": "columns",
    "gpaulissen__NL99INGB9999999999_25-11-2019_30-05-2020.csv": "amount",
}
"""Tables without a header, of which nothing says what they are, and one of balances only."""


def test_every_sample_was_checked() -> None:
    assert {sample.path.name for sample in require_samples(FOLDER)} == EXPECTED.keys() | ASKED_FOR.keys()


@pytest.mark.parametrize(
    "sample",
    [each for each in samples(FOLDER) if each.path.name in EXPECTED],
    ids=lambda sample: sample.path.name,
)
def test_a_sample_has_the_movements_checked_by_hand(sample: Sample) -> None:
    file = read_file(sample.path.read_bytes())
    found = [
        Expected(
            each.format,
            each.currency,
            len(each.entries),
            sum(entry.minor for entry in each.entries),
            each.opening_balance.minor if each.opening_balance else None,
            each.closing_balance.minor if each.closing_balance else None,
            len(file.errors),
        )
        for each in file.statements
    ]
    assert found == EXPECTED[sample.path.name]


@pytest.mark.parametrize(
    "sample",
    [each for each in samples(FOLDER) if each.path.name in ASKED_FOR],
    ids=lambda sample: sample.path.name,
)
def test_a_sample_that_does_not_say_enough_asks_a_person(sample: Sample) -> None:
    with pytest.raises(StatementUnreadable) as error:
        read_file(sample.path.read_bytes())
    assert error.value.field == ASKED_FOR[sample.path.name]
