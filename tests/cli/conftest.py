"""Installations to run commands in, on the database of this run of the suite."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import Kvit, database_variables
from tests.postgres import fresh_database


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Kvit]:
    """An installation where nothing was done yet."""
    with fresh_database() as url:
        yield Kvit(tmp_path / "data", database_variables(url))


@pytest.fixture
def kvit(template: Kvit, tmp_path: Path) -> Iterator[Kvit]:
    """An installation with the organization “Eva Nová”."""
    shutil.copytree(template.folder, tmp_path / "data")
    with fresh_database(like=template.env.get("KVIT_DATABASE_URL", "")) as url:
        yield Kvit(tmp_path / "data", database_variables(url))
