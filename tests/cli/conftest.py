"""Installations to run commands in, on the database of this run of the suite."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import Kvit
from tests.postgres import fresh_database


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Kvit]:
    """An installation where nothing was done yet."""
    with fresh_database() as url:
        yield Kvit(tmp_path / "data", environment(url))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kvit]:
    """A migrated installation with one organization; only to be copied."""
    with fresh_database() as url:
        kvit = Kvit(tmp_path_factory.mktemp("kvit") / "data", environment(url))
        kvit.ok("migrate")
        kvit.add_organization()
        yield kvit


@pytest.fixture
def kvit(template: Kvit, tmp_path: Path) -> Iterator[Kvit]:
    """An installation with the organization “Eva Nová”."""
    shutil.copytree(template.folder, tmp_path / "data")
    with fresh_database(like=template.env.get("KVIT_DATABASE_URL", "")) as url:
        yield Kvit(tmp_path / "data", environment(url))


def environment(database_url: str) -> dict[str, str]:
    return {"KVIT_DATABASE_URL": database_url} if database_url else {}
