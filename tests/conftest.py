"""Fixtures that every test may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import stamina
from django.db import connection

from kvit.audit.faults import Fault
from kvit.audit.verifying import verify
from kvit.users.models import Organization
from tests.commands import Kvit, database_variables
from tests.factories import an_organization
from tests.personas import Personas
from tests.personas import personas as make_personas
from tests.postgres import fresh_database

_AUDITED_ROOMS: Final = ("invoices", "ledger", "matching", "web")
"""Elsewhere, a test that connects the pretend bank is audited too; others insert what they look at."""
_INSERTED_BY_TESTS: Final = ("sync_pluginconfiguration", "users_membership", "users_user")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "past_the_audit: writes to the database as Kvit never does")
    stamina.set_testing(True, attempts=100, cap=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """After a test on a database, every row must be as the audit says: a write past it fails the test."""
    yield
    if _is_audited(item):
        found = [fault for fault in verify().faults if not _was_inserted_to_look_at(fault)]
        assert not found, "\n".join(map(str, found))


def _is_audited(item: pytest.Item) -> bool:
    """Whether the test writes only as Kvit does, and left the database in a state that can be read."""
    fixtures = set(getattr(item, "fixturenames", ()))
    if not {"db", "transactional_db"} & fixtures or item.get_closest_marker("past_the_audit"):
        return False
    room = item.path.relative_to(Path(__file__).parent).parts[0]
    if room not in _AUDITED_ROOMS and "bank" not in fixtures:
        return False
    return not (connection.in_atomic_block and connection.needs_rollback)


def _was_inserted_to_look_at(fault: Fault) -> bool:
    """Whether a test put the row there itself, which it may where the row is no money."""
    return fault.table in _INSERTED_BY_TESTS and "the audit holds no creation of it" in fault.problem


@pytest.fixture
def organization(db: None) -> Organization:
    return an_organization()


@pytest.fixture
def personas(db: None) -> Personas:
    return make_personas()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kvit]:
    """A migrated installation with the organization “Eva Nová”; only to be copied."""
    with fresh_database() as url:
        kvit = Kvit(tmp_path_factory.mktemp("kvit") / "data", database_variables(url))
        kvit.ok("migrate")
        kvit.add_organization()
        yield kvit
