"""Every sample statement is read as its manifest says."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

import pytest

from kvit.kernel.errors import StatementError
from kvit.kernel.statements import StatementFile
from kvit.kernel.statements import read as read_file
from tests.samples import Sample, require_samples, samples

FOLDERS = ("camt053", "gpc", "fio-json")
SOUND = [sample for folder in FOLDERS for sample in samples(folder) if not sample.malformed]
MALFORMED = [sample for folder in (*FOLDERS, "camt052") for sample in samples(folder) if sample.malformed]


def read(sample: Sample) -> StatementFile:
    return read_file(sample.path.read_bytes(), source=sample.path.name)


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_samples_of_every_format_are_there(folder: str) -> None:
    assert all(sample.path.is_file() for sample in require_samples(folder))


@pytest.mark.parametrize("sample", SOUND, ids=lambda sample: sample.path.name)
def test_a_sample_has_the_movements_of_its_manifest(sample: Sample) -> None:
    file = read(sample)
    entries = [entry for statement in file.statements for entry in statement.entries]
    assert file.errors == ()
    assert len(entries) == sample.entries
    if sample.sum_signed is not None:
        assert sum((entry.amount.amount for entry in entries), Decimal(0)) == sample.sum_signed
    if sample.currencies:
        in_file = {entry.amount.currency for entry in entries} or {each.currency for each in file.statements}
        assert in_file == sample.currencies
    if sample.first_booking:
        booked = [entry.booked_on for entry in entries]
        assert (min(booked), max(booked)) == (sample.first_booking, sample.last_booking)


@pytest.mark.parametrize("sample", SOUND, ids=lambda sample: sample.path.name)
def test_a_sample_has_the_balances_of_its_manifest(sample: Sample) -> None:
    statements = read(sample).statements
    opening = tuple(each.opening_balance.amount for each in statements if each.opening_balance is not None)
    closing = tuple(each.closing_balance.amount for each in statements if each.closing_balance is not None)
    assert opening == sample.opening_balances
    assert closing == sample.closing_balances


@pytest.mark.parametrize("sample", SOUND, ids=lambda sample: sample.path.name)
def test_a_sample_gives_every_movement_its_own_lasting_id(sample: Sample) -> None:
    ids = [(each.account, entry.external_id) for each in read(sample).statements for entry in each.entries]
    assert len(set(ids)) == len(ids)
    assert ids == [
        (each.account, entry.external_id) for each in read(sample).statements for entry in each.entries
    ]


@pytest.mark.parametrize("sample", MALFORMED, ids=lambda sample: sample.path.name)
def test_a_malformed_sample_ends_in_an_error_a_person_can_read(sample: Sample) -> None:
    with suppress(StatementError):
        file = read(sample)
        assert file.errors or file.warnings
