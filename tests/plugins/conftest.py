"""Pretend banks for the tests of plugins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.banks.fio import TODAY, FioBank, running_fio_bank


@pytest.fixture(scope="module")
def fio_process() -> Iterator[FioBank]:
    with running_fio_bank() as bank:
        yield bank


@pytest.fixture
def bank(fio_process: FioBank) -> FioBank:
    """A Fio bank with one empty account and no interval."""
    fio_process.load(today=TODAY, interval_seconds=0)
    return fio_process
