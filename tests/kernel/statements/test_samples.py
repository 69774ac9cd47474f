"""Every sample statement is read as its manifest says."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import Final

import pytest

from kvit.kernel.errors import StatementError
from kvit.kernel.statements import NO_CURRENCY, Entry, StatementFile
from kvit.kernel.statements import read as read_file
from tests.samples import Sample, require_samples, samples

FOLDERS: Final = (
    "camt052",
    "camt053",
    "camt054",
    "csob-xml",
    "csv",
    "fio-json",
    "fio-payment-import",
    "fio-xml",
    "gpc",
    "mt940",
    "ofx1",
    "ofx2",
    "pain002",
)
NO_STATEMENTS: Final = frozenset({"fio-payment-import"})
"""Folders of files that hold no movements: orders to the bank and its answers to them."""
TOO_FINE: Final = "amounts finer than hundredths, which are refused and not rounded"
NEEDS_PROFILE: Final = "a table that says nothing of its columns: a person must"
CONTRADICTS: Final = "amounts whose sign contradicts their column, which are refused and not guessed"
DISAGREEING: Final = {
    "aclindsa__valid_responses-moneymrkt1_v103.ofx": TOO_FINE,
    "jseutter__fidelity-savings.ofx": TOO_FINE,
    "aclindsa__valid_responses-inv_v202.ofx": TOO_FINE,
    "aclindsa__valid_responses-ira_v202.ofx": TOO_FINE,
    "aclindsa__valid_responses-moneymrkt1_v203.ofx": TOO_FINE,
    "asgrim__ofxdata-banking-xml200.ofx": "its one movement was cut out by hand, and is an error",
    "my-flow__pending.sta": "the manifest's reader does not know @@ as a line end, and sees no movement",
    "railslove__mt940-headers.txt": "its one movement is of 2036-22-68, and its closing balance is none",
    "OCA__original_currency_no_header.csv": NEEDS_PROFILE,
    "bank2ynab__test-data-dba33fceecd62c3c727893361e0ba4d3.P000000027355791.csv": NEEDS_PROFILE,
    "bank2ynab__test-data-statement_1.csv": NEEDS_PROFILE,
    "gpaulissen__NL99INGB9999999999_25-11-2019_30-05-2020.csv": NEEDS_PROFILE,
    "OCA__debit_credit.csv": CONTRADICTS,
    "OCA__debit_credit_amount.csv": CONTRADICTS,
}
"""Files that do not agree with their manifest, or of which nothing is expected, and why."""
BY_VALUE: Final = frozenset({"mt940"})
"""Folders whose manifest has value dates as days of booking: `:61:` begins with them (SWIFT, subfield 1)."""
ALL: Final = [sample for folder in FOLDERS for sample in samples(folder)]
SOUND: Final = [each for each in ALL if not each.malformed and each.path.parent.name not in NO_STATEMENTS]
AGREEING: Final = [each for each in SOUND if each.path.name not in DISAGREEING]
MALFORMED: Final = [each for each in ALL if each.malformed and each.path.parent.name not in NO_STATEMENTS]

every_agreeing = pytest.mark.parametrize("sample", AGREEING, ids=lambda sample: sample.path.name)


def read(sample: Sample) -> StatementFile:
    return read_file(sample.path.read_bytes(), source=sample.path.name)


def entries(file: StatementFile) -> list[Entry]:
    return [entry for statement in file.statements for entry in statement.entries]


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_samples_of_every_format_are_there(folder: str) -> None:
    assert all(sample.path.is_file() for sample in require_samples(folder))


@every_agreeing
def test_a_sample_has_the_movements_of_its_manifest(sample: Sample) -> None:
    file = read(sample)
    found = entries(file)
    assert file.errors == ()
    if sample.entries is not None:
        assert len(found) == sample.entries
    if sample.sum_signed is not None:
        assert sum((entry.amount.amount for entry in found), Decimal(0)) == sample.sum_signed
    if sample.currencies:
        in_file = {entry.currency for entry in found} or {each.currency for each in file.statements}
        assert in_file - {NO_CURRENCY} == sample.currencies
    if sample.first_booking:
        days = [day_of(entry, sample) for entry in found]
        assert (min(days), max(days)) == (sample.first_booking, sample.last_booking)


def day_of(entry: Entry, sample: Sample) -> date:
    value_on = entry.value_on if sample.path.parent.name in BY_VALUE else None
    return value_on or entry.booked_on


@every_agreeing
def test_a_sample_has_the_balances_of_its_manifest(sample: Sample) -> None:
    statements = read(sample).statements
    if sample.opening_balances:
        opening = [each.opening_balance.amount for each in statements if each.opening_balance is not None]
        assert tuple(opening) == sample.opening_balances
    if sample.closing_balances:
        closing = [each.closing_balance.amount for each in statements if each.closing_balance is not None]
        assert tuple(closing) == sample.closing_balances


@every_agreeing
def test_balances_that_differ_are_doubted_and_no_others(sample: Sample) -> None:
    doubts = [each.message for each in read(sample).warnings if each.message.startswith("The balances")]
    if sample.reconciles is False:
        assert doubts
    elif sample.reconciles:
        assert not any("do not agree" in each for each in doubts)


@pytest.mark.parametrize("sample", ALL, ids=lambda sample: sample.path.name)
def test_a_sample_gives_every_movement_its_own_lasting_id(sample: Sample) -> None:
    with suppress(StatementError):
        assert identified(read(sample)) == identified(read(sample))


def identified(file: StatementFile) -> dict[tuple[str, str, bool], set[tuple[object, ...]]]:
    """Return the movements that each id names; an id is unique for an account, booked and pending apart."""
    named: dict[tuple[str, str, bool], set[tuple[object, ...]]] = {}
    for statement in file.statements:
        here = {(entry.external_id, entry.pending) for entry in statement.entries}
        assert len(here) == len(statement.entries)
        for entry in statement.entries:
            facts = (entry.booked_on, entry.minor, entry.currency)
            named.setdefault((statement.account, entry.external_id, entry.pending), set()).add(facts)
    assert all(len(movements) == 1 for movements in named.values())
    return named


@pytest.mark.parametrize("sample", MALFORMED, ids=lambda sample: sample.path.name)
def test_a_malformed_sample_ends_in_an_error_a_person_can_read(sample: Sample) -> None:
    with suppress(StatementError):
        file = read(sample)
        assert file.errors or file.warnings


@pytest.mark.parametrize("sample", samples("fio-payment-import"), ids=lambda sample: sample.path.name)
def test_an_order_to_the_bank_is_no_statement(sample: Sample) -> None:
    with pytest.raises(StatementError):
        read(sample)
