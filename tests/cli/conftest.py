"""Installations to run commands in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import Kvit
from tests.postgres import PostgresMissing, running_postgres


@pytest.fixture
def fresh(tmp_path: Path) -> Kvit:
    """An installation where nothing was done yet."""
    return Kvit(tmp_path / "data")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Kvit:
    """A migrated installation with one organization; only to be copied."""
    kvit = Kvit(tmp_path_factory.mktemp("kvit") / "data")
    kvit.ok("migrate")
    kvit.add_organization()
    return kvit


@pytest.fixture
def kvit(template: Kvit, tmp_path: Path) -> Kvit:
    """An installation with the organization “Eva Nová”."""
    shutil.copytree(template.folder, tmp_path / "data")
    return Kvit(tmp_path / "data")


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    try:
        with running_postgres() as url:
            yield url
    except PostgresMissing as error:
        pytest.skip(str(error))
