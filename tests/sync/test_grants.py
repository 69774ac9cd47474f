"""The stored grant: sealed to its row, renewed by one process at a time, replaced by nothing older."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.db import OperationalError, transaction
from django.db import connection as database
from django.utils import timezone

from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM
from kvit.kernel.errors import AuthExpired, PluginCrashed, SealBroken, Temporary
from kvit.plugin import Consent, Grant, Secret
from kvit.sync import consents, grants, rotation
from kvit.sync.configuring import Values, open_credentials
from kvit.sync.consent_models import AccessGrant, ConsentAttempt
from kvit.sync.gates import DatabaseTurnstile
from kvit.sync.grants import KeptGrants, NoGrants, keep, open_grant
from kvit.sync.models import PluginConfiguration
from kvit.sync.opening import opened
from kvit.sync.redaction import Redactor
from kvit.users import keys
from kvit.users.models import Organization
from kvit.users.sealed import sealed_tables
from tests.banks.fio import ROOT
from tests.banks.oauth import CLIENT_ID, CLIENT_SECRET, RETURN_URL, OAuthSource, decide, running_oauth_source
from tests.factories import a_member, an_organization
from tests.sync.consenting import Granted
from tests.sync.installation import Installation, sync
from tests.web.connecting import a_connection

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "a granted token/with+signs"
FIRST = Grant(secrets={"access_token": Secret(TOKEN), "refresh_token": Secret("refresh-1")})
SECOND = Grant(secrets={"access_token": Secret("access-2-2-2"), "refresh_token": Secret("refresh-2")})


@pytest.fixture
def connection(organization: Organization) -> PluginConfiguration:
    connection = a_connection(organization, "granted", name="Granted")
    with transaction.atomic():
        keep(connection, FIRST)
    return connection


def kept(
    connection: PluginConfiguration,
    exchange: Callable[[Grant], Grant] = lambda _grant: SECOND,
    **options: Any,
) -> KeptGrants:
    """The grants of the connection, with a plugin that exchanges them so."""

    @contextmanager
    def aside(go_on: Callable[[], None]) -> Iterator[Consent]:
        go_on()
        yield cast("Consent", SimpleNamespace(refreshed=exchange))

    return KeptGrants(connection, options.pop("redactor", Redactor()), aside=aside, **options)


def stored(connection: PluginConfiguration) -> Grant:
    return open_grant(connection, AccessGrant.objects.get(connection=connection))


def raising(error: Exception) -> Callable[[Grant], Grant]:
    def exchange(_grant: Grant) -> Grant:
        raise error

    return exchange


def test_a_grant_comes_back_as_it_was(connection: PluginConfiguration) -> None:
    told = Grant(
        secrets={"a": Secret(TOKEN), "ž": Secret("ř")},
        renew_at=datetime(2026, 11, 23, 12, 30, 5, tzinfo=UTC),
        ends_on=date(2027, 2, 21),
    )
    with transaction.atomic():
        keep(connection, told)
    assert stored(connection) == told
    assert grants.end_of(connection) == told.ends_on
    assert TOKEN.encode() not in bytes(AccessGrant.objects.get().sealed)


def test_a_grant_opens_in_its_own_row_only(connection: PluginConfiguration) -> None:
    other = a_connection(connection.organization, "granted", name="Other")
    with transaction.atomic():
        keep(other, SECOND)
    AccessGrant.objects.filter(connection=other).update(
        sealed=bytes(AccessGrant.objects.get(connection=connection).sealed)
    )
    with pytest.raises(SealBroken):
        stored(other)


def test_keys_are_changed_under_a_grant_and_under_an_attempt(
    connection: PluginConfiguration, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (rotation, keys):
        monkeypatch.setattr(module, "RING_SECONDS", 0.02)
    before = bytes(AccessGrant.objects.get().sealed)
    rotation.rotate([connection.organization], actor=SYSTEM)
    after = bytes(AccessGrant.objects.get().sealed)
    assert after != before
    assert stored(connection) == FIRST
    assert {AccessGrant, ConsentAttempt} <= {table.model for table in sealed_tables()}


def test_a_grant_is_given_until_its_time_has_come(connection: PluginConfiguration) -> None:
    assert kept(connection, raising(AssertionError())).current() == FIRST
    due = Grant(secrets=FIRST.secrets, renew_at=timezone.now() - timedelta(seconds=1))
    with transaction.atomic():
        keep(connection, due)
    assert kept(connection).current() == SECOND
    assert stored(connection) == SECOND


def test_a_refused_grant_that_was_replaced_already_is_not_exchanged(connection: PluginConfiguration) -> None:
    with transaction.atomic():
        keep(connection, SECOND)
    assert kept(connection, raising(AssertionError())).renewed(FIRST) == SECOND


def test_a_grant_that_ended_is_forgotten(connection: PluginConfiguration) -> None:
    ended = Grant(secrets=FIRST.secrets, ends_on=timezone.localdate() - timedelta(days=2))
    with transaction.atomic():
        keep(connection, ended)
    with pytest.raises(AuthExpired, match="has ended"):
        kept(connection, raising(AssertionError())).current()
    assert_over(connection)


def test_a_grant_works_on_its_last_day(connection: PluginConfiguration) -> None:
    last = Grant(secrets=FIRST.secrets, ends_on=timezone.localdate())
    with transaction.atomic():
        keep(connection, last)
    assert kept(connection).current() == last


def test_a_new_last_day_is_told_to_people(connection: PluginConfiguration) -> None:
    later = Grant(secrets=SECOND.secrets, ends_on=date(2027, 5, 1))
    kept(connection, lambda _grant: later).renewed(FIRST)
    connection.refresh_from_db()
    assert connection.credentials_expire_on == date(2027, 5, 1)
    entry = AuditEntry.objects.filter(table="sync_pluginconfiguration").latest("id")
    assert entry.after == {"credentials_expire_on": "2027-05-01"}


def test_a_refused_exchange_ends_the_grant(connection: PluginConfiguration) -> None:
    with pytest.raises(AuthExpired):
        kept(connection, raising(AuthExpired())).renewed(FIRST)
    assert_over(connection)
    with pytest.raises(AuthExpired):
        kept(connection, raising(AssertionError())).current()


@pytest.mark.parametrize("error", [Temporary(), PluginCrashed(kind="ValueError"), ZeroDivisionError()])
def test_an_exchange_that_fails_otherwise_leaves_the_grant(
    connection: PluginConfiguration, error: Exception
) -> None:
    with pytest.raises(type(error)):
        kept(connection, raising(error)).renewed(FIRST)
    assert stored(connection) == FIRST
    assert kept(connection).renewed(FIRST) == SECOND


def test_what_a_person_grants_meanwhile_stands(connection: PluginConfiguration) -> None:
    """Neither the result nor the refusal of an exchange that began earlier touches it."""
    third = Grant(secrets={"access_token": Secret("access-3-3-3")})

    def granting(answer: Grant | None) -> Callable[[Grant], Grant]:
        def exchange(_grant: Grant) -> Grant:
            with transaction.atomic():
                keep(connection, third)
            if answer is None:
                raise AuthExpired
            return answer

        return exchange

    assert kept(connection, granting(SECOND)).renewed(FIRST) == third
    with transaction.atomic():
        keep(connection, FIRST)
    assert kept(connection, granting(None)).renewed(FIRST) == third
    assert stored(connection) == third
    connection.refresh_from_db()
    assert connection.state == "ok"


def test_others_wait_and_then_give_up_for_now(
    connection: PluginConfiguration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grants, "WAIT_SECONDS", 0.3)
    AccessGrant.objects.update(renewed_by=uuid.uuid4(), renewed_until=timezone.now() + grants.LEASE)
    beats: list[None] = []
    waiting = kept(connection, raising(AssertionError()), while_waiting=lambda: beats.append(None))
    with pytest.raises(Temporary, match="by another process"):
        waiting.renewed(FIRST)
    assert beats


def test_the_lease_of_a_dead_process_is_taken_over(connection: PluginConfiguration) -> None:
    AccessGrant.objects.update(renewed_by=uuid.uuid4(), renewed_until=timezone.now() - timedelta(seconds=1))
    assert kept(connection).renewed(FIRST) == SECOND
    assert AccessGrant.objects.get().renewed_by is None


@pytest.mark.parametrize("faults", [1, 3])
def test_a_database_that_is_away_for_a_moment_loses_no_grant(
    connection: PluginConfiguration, monkeypatch: pytest.MonkeyPatch, faults: int
) -> None:
    monkeypatch.setattr(grants, "SAVE_PAUSES", (0.0, 0.0, 0.0))
    left = iter(range(faults))

    def fail_at_first(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        is_save = sql.startswith("UPDATE") and "kept_at" in sql
        if is_save and next(left, None) is not None:
            raise OperationalError("database is locked")
        return execute(sql, params, many, context)

    with database.execute_wrapper(fail_at_first):
        assert kept(connection).renewed(FIRST) == SECOND
    assert next(left, None) is None
    assert stored(connection) == SECOND


def test_a_worker_that_is_asked_to_stop_takes_the_answer_first(connection: PluginConfiguration) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    assert kept(connection, while_waiting=stop).renewed(FIRST) == SECOND
    assert stored(connection) == SECOND


def test_a_process_asks_no_longer_than_its_lease_allows(
    connection: PluginConfiguration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grants, "MAY_ASK_SECONDS", -1.0)
    with pytest.raises(Temporary, match="took too long"):
        kept(connection, raising(AssertionError())).renewed(FIRST)
    assert stored(connection) == FIRST


def test_new_secrets_are_masked_as_soon_as_they_are_known(connection: PluginConfiguration) -> None:
    redactor = Redactor()
    assert TOKEN in redactor.mask(TOKEN)
    grants_of_it = kept(connection, redactor=redactor)
    grants_of_it.current()
    assert TOKEN not in redactor.mask(f"it is {TOKEN}")
    grants_of_it.renewed(FIRST)
    assert redactor.mask("access-2-2-2 and refresh-2") == "*** and ***"


def test_without_a_grant_there_is_nothing_to_use(organization: Organization) -> None:
    connection = a_connection(organization, "granted")
    for absent in (kept(connection), NoGrants()):
        with pytest.raises(AuthExpired):
            absent.current()
        with pytest.raises(AuthExpired):
            absent.renewed(FIRST)


RENEWING = """
import json, sys
from kvit.cli import database
database.set_up(quiet=True)
from tests.sync.test_grants import renew_in_a_process
print(renew_in_a_process(int(sys.argv[1]), json.loads(sys.stdin.readline())), flush=True)
"""


def renew_in_a_process(pk: int, refused: dict[str, str]) -> str:
    """Renew the connection's access as a worker would whose request was refused; return the new token."""
    connection = PluginConfiguration.objects.select_related("organization").get(pk=pk)
    values = Values(connection.settings, open_credentials(connection))
    turnstile = DatabaseTurnstile(patience=timedelta(0))
    with opened(Granted, values, connection=connection, turnstile=turnstile) as plugin:
        assert isinstance(plugin, Granted)
        grant = Grant(secrets={name: Secret(value) for name, value in refused.items()})
        return plugin.grants.renewed(grant).secrets["access_token"].reveal()


def test_two_processes_renew_a_token_once(installation: Installation, install: Callable[..., None]) -> None:
    install(granted="tests.sync.consenting:Granted")
    with running_oauth_source() as (source, address):
        connection = connected(source, address)
        source.expire()
        source.token_seconds = 1.0
        refused = {name: secret.reveal() for name, secret in stored(connection).secrets.items()}
        processes = [renewing(installation, connection) for _ in range(2)]
        with ThreadPoolExecutor(2) as pool:
            told = f"{json.dumps(refused)}\n"
            ends = [pool.submit(process.communicate, told, 40) for process in processes]
        given = {end.result()[0].strip() for end in ends}
        assert [process.returncode for process in processes] == [0, 0]
        assert given == {stored(connection).secrets["access_token"].reveal()}
        assert (source.refreshes, source.reuses) == (1, 0)


def test_a_process_killed_with_the_answer_on_its_way_ends_in_needs_attention(
    installation: Installation, install: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source replaced the token and nobody has the new one; the old one is tried once, and refused."""
    install(granted="tests.sync.consenting:Granted")
    monkeypatch.setattr(grants, "WAIT_SECONDS", 0.2)
    with running_oauth_source() as (source, address):
        connection = connected(source, address)
        source.expire()
        refused = {name: secret.reveal() for name, secret in stored(connection).secrets.items()}
        process = renewing(installation, connection)
        source.after_answer = lambda _number: process.kill()
        process.communicate(f"{json.dumps(refused)}\n", 40)
        source.after_answer = None
        assert (process.returncode, source.refreshes) == (-signal.SIGKILL, 1)
        assert sync(connection).status == "pending", "the dead one's lease is waited for"
        assert (source.refreshes, source.reuses) == (1, 0)
        AccessGrant.objects.update(renewed_until=timezone.now() - timedelta(seconds=1))
        assert sync(connection).error_kind == "AuthExpired"
        assert (source.refreshes, source.reuses) == (2, 1)
        assert_over(connection)


def renewing(installation: Installation, connection: PluginConfiguration) -> subprocess.Popen[str]:
    """A process that renews the connection's access as soon as it is told what was refused."""
    return subprocess.Popen(
        [sys.executable, "-c", RENEWING, str(connection.pk)],
        env=installation.kvit.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def connected(source: OAuthSource, address: str) -> PluginConfiguration:
    organization = an_organization()
    visitor = consents.Visitor(organization=organization, user=a_member(organization), session_key="session")
    texts = {"base_url": address, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    url = consents.begin(visitor, "granted", texts, return_url=RETURN_URL)
    params = dict(parse_qsl(urlsplit(decide(url)).query))
    return consents.answered(visitor, params, actor=SYSTEM)[0]


def assert_over(connection: PluginConfiguration) -> None:
    connection.refresh_from_db()
    assert (connection.state, connection.next_run_at) == ("needs_attention", None)
    assert bytes(AccessGrant.objects.get().sealed) == b""
