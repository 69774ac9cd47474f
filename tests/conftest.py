"""Fixtures that every test may use."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import certifi
import pytest
import stamina
from django.conf import settings
from django.contrib.contenttypes.management import create_contenttypes
from django.db import connection
from django.db.models.signals import post_migrate
from hypothesis import settings as examples

from kvit.audit.faults import Fault
from kvit.audit.verifying import verify
from kvit.users.models import Organization
from tests.commands import Kvit, database_variables, prepare, prepared
from tests.factories import an_organization
from tests.personas import Personas
from tests.personas import personas as make_personas
from tests.postgres import database_name, fresh_database

_AUDITED_ROOMS: Final = ("invoices", "ledger", "matching", "payments", "web")
"""Elsewhere, a test that connects the pretend bank is audited too; others insert what they look at."""
_INSERTED_BY_TESTS: Final = ("sync_pluginconfiguration", "users_membership", "users_user")


examples.register_profile("suite", max_examples=40, deadline=None)
examples.register_profile("soak", max_examples=2000, deadline=None)
examples.load_profile("suite")
"""Without a deadline: how long one example takes tells how busy the machine is."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "past_the_audit: writes to the database as Kvit never does")
    stamina.set_testing(True, attempts=100, cap=True)
    _leave_out_rows_nobody_reads()


def _leave_out_rows_nobody_reads() -> None:
    """Django's permissions, which Kvit has none of, would be made anew after every test that commits."""
    post_migrate.disconnect(create_contenttypes)
    post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")


@pytest.fixture(scope="session", autouse=True)
def one_certificate_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trust one authority instead of all: reading them all takes longer than most syncs of the tests."""
    first = certifi.contents().partition("-----END CERTIFICATE-----")
    file = tmp_path_factory.mktemp("tls") / "authority.pem"
    file.write_text("".join(first[:2]) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


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
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Let the database of the tests begin as a copy of the prepared one: migrating takes seconds."""
    copied, chosen = prepared(), settings.DATABASES["default"]["TEST"]
    if copied is None:
        return
    if url := copied.env.get("KVIT_DATABASE_URL"):
        chosen["TEMPLATE"] = database_name(url)
    else:
        shutil.copy(copied.folder / "kvit.sqlite3", chosen["NAME"])


@pytest.fixture(scope="session")
def django_db_keepdb(django_db_keepdb: bool) -> bool:
    """Keep the copied file as what it is: Django would begin by removing it."""
    copied = prepared()
    return django_db_keepdb or (copied is not None and not copied.env)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kvit]:
    """A migrated installation with the organization “Eva Nová”; only to be copied."""
    folder, copied = tmp_path_factory.mktemp("kvit") / "data", prepared()
    with fresh_database(like=copied.env.get("KVIT_DATABASE_URL", "") if copied else "") as url:
        if copied:
            shutil.copytree(copied.folder, folder)
        else:
            prepare(folder, url)
        kvit = Kvit(folder, database_variables(url))
        kvit.add_organization()
        yield kvit
