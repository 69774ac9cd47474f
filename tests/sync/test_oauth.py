"""Access by OAuth, from the consent to its end: nobody else's answer counts, and no token is used twice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.db import connection as database
from django.utils import timezone

from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM, Actor
from kvit.kernel.errors import AuthExpired, KvitError, Misconfigured, Refused
from kvit.ledger.models import MoneyTransaction
from kvit.sync import connections, consents, retention, runs
from kvit.sync.configuring import values_of
from kvit.sync.consent_models import AccessGrant, ConsentAttempt
from kvit.sync.gates import DatabaseTurnstile
from kvit.sync.grants import KeptGrants, open_grant, sealed_grant
from kvit.sync.models import PluginConfiguration, RecordedAnswer
from kvit.sync.opening import opened
from kvit.users.models import Organization, User
from tests.banks.oauth import CLIENT_ID, CLIENT_SECRET, RETURN_URL, OAuthSource, decide, running_oauth_source
from tests.factories import a_member, an_organization
from tests.sync.consenting import Granted
from tests.sync.installation import sync
from tests.sync.test_secrecy import assert_nowhere, everything_stored

pytestmark = pytest.mark.django_db(transaction=True)

SESSION = "session-key-of-the-tests"


@pytest.fixture
def served(install: Callable[..., None], transactional_db: None) -> Iterator[tuple[OAuthSource, str]]:
    install(granted="tests.sync.consenting:Granted")
    with running_oauth_source() as running:
        yield running


@pytest.fixture
def source(served: tuple[OAuthSource, str]) -> OAuthSource:
    return served[0]


class Person:
    """A person in a browser who connects the source."""

    def __init__(self, address: str) -> None:
        self.organization = an_organization()
        self.user = a_member(self.organization)
        self.texts = {"base_url": address, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        self.actor = Actor.of_user(self.user)

    def visitor(
        self,
        *,
        user: User | None = None,
        session_key: str = SESSION,
        organization: Organization | None = None,
    ) -> consents.Visitor:
        return consents.Visitor(
            organization=organization or self.organization,
            user=user or self.user,
            session_key=session_key,
        )

    def begin(self, connection: PluginConfiguration | None = None) -> str:
        texts = {**self.texts, "client_secret": ""} if connection else self.texts
        return consents.begin(self.visitor(), "granted", texts, return_url=RETURN_URL, connection=connection)

    def come_back(self, address: str, **who: object) -> PluginConfiguration:
        params = dict(parse_qsl(urlsplit(address).query))
        return consents.answered(self.visitor(**who), params, actor=self.actor)[0]  # type: ignore[arg-type]  # names are the test's

    def connect(self) -> PluginConfiguration:
        return self.come_back(decide(self.begin()))


@pytest.fixture
def person(served: tuple[OAuthSource, str]) -> Person:
    return Person(served[1])


def grants_of(connection: PluginConfiguration) -> KeptGrants:
    turnstile = DatabaseTurnstile(patience=timedelta(0))
    with opened(Granted, values_of(connection), connection=connection, turnstile=turnstile) as plugin:
        assert isinstance(plugin, Granted)
        assert isinstance(plugin.grants, KeptGrants)
        return plugin.grants


def stored_token(connection: PluginConfiguration, name: str = "refresh_token") -> str:
    row = AccessGrant.objects.get(connection=connection)
    return open_grant(connection, row).secrets[name].reveal()


def state_in(address: str) -> str:
    return dict(parse_qsl(urlsplit(address).query))["state"]


def assert_nothing_leaked(
    source: OAuthSource, caplog: pytest.LogCaptureFixture, *more: str, error: KvitError | None = None
) -> None:
    """Look for every code, token and secret in every row, log line and error."""
    said = caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    if error is not None:
        said += f"{error} {error!r} {error.params} {error.message}"
    for value in (*source.issued, CLIENT_SECRET, *more):
        assert_nowhere(value, everything_stored())
        assert_nowhere(value, iter([("what was said", said.encode())]))


def test_a_person_grants_access_and_the_source_is_synced(
    source: OAuthSource, person: Person, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    connection = person.connect()
    assert (connection.account_key, connection.name) == (source.account, f"Account {source.account}")
    assert connection.credentials_entered_on is not None
    run = sync(connection)
    assert (run.status, run.created) == ("completed", 1)
    assert source.exchanges == ["authorization_code"]
    (created,) = AuditEntry.objects.filter(table="sync_pluginconfiguration", object_id=connection.pk)
    assert created.actor == person.actor.name
    assert_nothing_leaked(source, caplog)


def test_what_waits_for_the_answer_is_sealed_and_gone_once_it_came(
    source: OAuthSource, person: Person
) -> None:
    url = person.begin()
    attempt = ConsentAttempt.objects.get()
    assert_nowhere(CLIENT_SECRET, everything_stored())
    assert_nowhere(state_in(url), everything_stored())
    assert attempt.sealed
    person.come_back(decide(url))
    attempt.refresh_from_db()
    assert bytes(attempt.sealed) == b""
    assert attempt.used_at is not None


def test_a_stolen_answer_counts_for_nobody_else(
    source: OAuthSource, person: Person, caplog: pytest.LogCaptureFixture
) -> None:
    """Another user, another session, another organization; to the right person it still belongs."""
    caplog.set_level(logging.DEBUG)
    url = person.begin()
    address = decide(url)
    colleague = a_member(person.organization)
    elsewhere = an_organization()
    for who in ({"user": colleague}, {"session_key": "another session"}, {"organization": elsewhere}):
        with pytest.raises(Refused, match="somebody else") as refused:
            person.come_back(address, **who)
        assert_nothing_leaked(source, caplog, state_in(url), error=refused.value)
    assert source.exchanges == []
    assert not PluginConfiguration.objects.exists()
    assert person.come_back(address).account_key == source.account


def test_a_stolen_answer_for_a_connection_is_in_its_history(
    source: OAuthSource, person: Person, caplog: pytest.LogCaptureFixture
) -> None:
    connection = person.connect()
    url = person.begin(connection)
    thief = a_member(an_organization())
    with pytest.raises(Refused) as refused:
        consents.answered(
            consents.Visitor(organization=an_organization(), user=thief, session_key="the thief's"),
            dict(parse_qsl(urlsplit(decide(url)).query)),
            actor=Actor.of_user(thief),
        )
    entry = AuditEntry.objects.filter(object_id=connection.pk, table="sync_pluginconfiguration").latest("id")
    assert entry.reason.startswith("consent refused: ")
    assert entry.actor == "system"
    assert thief.email not in entry.reason
    assert_nothing_leaked(source, caplog, state_in(url), error=refused.value)


def test_a_replayed_answer_is_refused_and_asks_nobody(
    source: OAuthSource, person: Person, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = person.begin()
    address = decide(url)
    connection = person.come_back(address)
    with pytest.raises(Refused, match="used already") as refused:
        person.come_back(address)
    assert source.exchanges == ["authorization_code"]
    assert sync(connection).status == "completed"
    assert_nothing_leaked(source, caplog, state_in(url), error=refused.value)


def test_an_answer_that_comes_twice_at_once_is_taken_once(source: OAuthSource, person: Person) -> None:
    address, together = decide(person.begin()), Barrier(2)

    def come_back(_number: int) -> str:
        try:
            together.wait()
            person.come_back(address)
        except Refused as error:
            return error.message
        finally:
            database.close()
        return ""

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(come_back, range(2))) == ["", consents.USED]
    assert source.exchanges == ["authorization_code"]
    assert PluginConfiguration.objects.count() == 1


def test_an_old_answer_is_refused(source: OAuthSource, person: Person) -> None:
    address = decide(person.begin())
    ConsentAttempt.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(Refused, match="too late"):
        person.come_back(address)
    assert source.exchanges == []
    retention.purge(timezone.now())
    assert bytes(ConsentAttempt.objects.get().sealed) == b""
    retention.purge(timezone.now() + timedelta(days=2))
    assert not ConsentAttempt.objects.exists()


def test_an_invented_answer_is_refused(source: OAuthSource, person: Person) -> None:
    address = decide(person.begin())
    for params in ({}, {"code": "x"}, {"state": "", "code": "x"}, {"state": "invented", "code": "x"}):
        with pytest.raises(Refused, match="no request"):
            consents.answered(person.visitor(), params, actor=person.actor)
    assert person.come_back(address)


def test_a_person_who_declines_is_told_so_and_may_start_again(source: OAuthSource, person: Person) -> None:
    with pytest.raises(AuthExpired, match="Start again when you want"):
        person.come_back(decide(person.begin(), allow=False))
    assert source.exchanges == []
    assert person.connect()


def test_a_code_is_worth_nothing_without_the_verifier(source: OAuthSource, person: Person) -> None:
    """Somebody else's code in the person's own answer (RFC 9700, 4.5) ends nothing and connects nothing."""
    foreign = dict(parse_qsl(urlsplit(decide(person.begin())).query))["code"]
    own = dict(parse_qsl(urlsplit(decide(person.begin())).query))
    with pytest.raises(AuthExpired):
        consents.answered(person.visitor(), {**own, "code": foreign}, actor=person.actor)
    assert not PluginConfiguration.objects.exists()


def test_access_granted_again_must_open_the_same_account(source: OAuthSource, person: Person) -> None:
    connection = person.connect()
    before = stored_token(connection)
    source.account = "CZ5508000000001234567899"
    with pytest.raises(Refused, match="another account"):
        person.come_back(decide(person.begin(connection)))
    assert stored_token(connection) == before


def test_one_account_is_connected_once(source: OAuthSource, person: Person) -> None:
    person.connect()
    with pytest.raises(Refused, match="connected already"):
        person.connect()
    assert AccessGrant.objects.count() == 1


def test_a_page_that_is_no_web_page_is_never_visited(
    source: OAuthSource, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in ("javascript:alert(1)", "http://elsewhere.example/", "//x", ""):
        monkeypatch.setattr(Granted, "consent_url", lambda _self, _request, url=url: url)
        with pytest.raises(Misconfigured):
            person.begin()


def test_an_ended_token_is_renewed_and_saved_before_it_is_used(source: OAuthSource, person: Person) -> None:
    connection = person.connect()
    first = stored_token(connection)
    source.expire()
    seen: list[str] = []

    def look(_count: int) -> None:
        last = source.requests[-1]
        if last.url.path == "/movements":
            seen.append(last.headers["Authorization"].removeprefix("Bearer "))

    source.after_answer = look
    assert sync(connection).status == "completed"
    assert source.refreshes == 1
    assert stored_token(connection) != first
    assert seen[-1] == stored_token(connection, "access_token")
    assert sync(connection).status == "completed"
    assert source.refreshes == 1


def test_a_new_token_is_committed_before_anybody_gets_it(source: OAuthSource, person: Person) -> None:
    """Another database connection sees it at once, so that a worker that dies now has lost nothing."""
    connection = person.connect()
    source.expire()
    grants = grants_of(connection)
    renewed = grants.renewed(grants.current())

    def look() -> str:
        try:
            return stored_token(connection)
        finally:
            database.close()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(look).result() == renewed.secrets["refresh_token"].reveal()


def test_a_token_is_renewed_before_it_ends(source: OAuthSource, person: Person) -> None:
    connection = person.connect()
    row = AccessGrant.objects.get(connection=connection)
    due = replace(open_grant(connection, row), renew_at=timezone.now())
    AccessGrant.objects.update(sealed=sealed_grant(connection, row, due))
    assert source.refreshes == 0
    assert sync(connection).status == "completed"
    assert source.refreshes == 1
    assert sync(connection).status == "completed"
    assert (source.refreshes, source.reuses) == (1, 0)


@pytest.mark.parametrize("seconds", [-3600, 0, 30])
def test_a_token_that_is_said_to_end_at_once_is_not_renewed_at_every_request(
    source: OAuthSource, person: Person, seconds: int
) -> None:
    connection = person.connect()
    source.says_lifetime = timedelta(seconds=seconds)
    source.expire()
    assert [sync(connection).status for _ in range(3)] == ["completed"] * 3
    assert (source.refreshes, source.reuses) == (1, 0)


def test_a_connection_deleted_while_access_is_granted_anew_stays_deleted(
    source: OAuthSource, person: Person
) -> None:
    connection = person.connect()
    answer = decide(person.begin(connection))

    def delete(_count: int) -> None:
        PluginConfiguration.objects.filter(pk=connection.pk).delete()
        database.close()

    source.after_answer = delete
    with pytest.raises(Refused, match="deleted"):
        person.come_back(answer)
    assert not PluginConfiguration.objects.exists()
    assert not AccessGrant.objects.exists()


def test_threads_at_once_renew_a_token_once(source: OAuthSource, person: Person) -> None:
    connection = person.connect()
    source.expire()
    source.token_seconds = 0.6
    refused, together = grants_of(connection).current(), Barrier(4)

    def renew(_number: int) -> str:
        try:
            grants = grants_of(connection)
            together.wait()
            return grants.renewed(refused).secrets["access_token"].reveal()
        finally:
            database.close()

    with ThreadPoolExecutor(4) as pool:
        tokens = set(pool.map(renew, range(4)))
    assert tokens == {stored_token(connection, "access_token")}
    assert (source.refreshes, source.reuses) == (1, 0)


def test_a_reused_refresh_token_ends_in_needs_attention(
    source: OAuthSource, person: Person, caplog: pytest.LogCaptureFixture
) -> None:
    """A thief used the token first: the source ends all access when ours comes (RFC 9700, 4.14.2)."""
    caplog.set_level(logging.DEBUG)
    connection = person.connect()
    source.steal()
    source.expire()
    run = sync(connection)
    assert source.reuses == 1
    assert (run.status, run.error_kind) == ("failed", "AuthExpired")
    assert_over(connection)
    assert sync(connection).error_kind == "AuthExpired"
    assert source.refreshes == 1, "what was refused is never sent again"
    assert_nothing_leaked(source, caplog)


def test_a_revoked_consent_ends_in_needs_attention(
    source: OAuthSource, person: Person, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    connection = person.connect()
    assert sync(connection).status == "completed"
    source.revoke()
    run = sync(connection)
    assert (run.status, run.error_kind) == ("failed", "AuthExpired")
    assert_over(connection)
    assert MoneyTransaction.objects.count() == 1
    assert_nothing_leaked(source, caplog)


def test_access_granted_again_goes_on_where_it_ended(source: OAuthSource, person: Person) -> None:
    connection = person.connect()
    assert sync(connection).status == "completed"
    source.revoke()
    assert sync(connection).status == "failed"
    source.rows.append(("m2", "-20.00"))
    again = person.come_back(decide(person.begin(connection)))
    assert again.pk == connection.pk
    again.refresh_from_db()
    assert again.state == "ok"
    assert again.next_run_at is not None
    entry = AuditEntry.objects.filter(object_id=again.pk, table="sync_pluginconfiguration").latest("id")
    assert (entry.reason, entry.actor) == (connections.ACCESS_GRANTED, person.actor.name)
    run = sync(again)
    assert (run.status, run.created, run.unchanged) == ("completed", 1, 1)


def test_a_lost_answer_is_told_as_passing_and_the_grant_stays(
    source: OAuthSource, person: Person, caplog: pytest.LogCaptureFixture
) -> None:
    """The source gave a token that never arrived: what we have is spent, so the next try ends access."""
    connection = person.connect()
    source.expire()
    source.loses_answers = True
    grants = grants_of(connection)
    refused = grants.current()
    with pytest.raises(KvitError) as lost:
        grants.renewed(refused)
    assert type(lost.value).__name__ == "Temporary"
    row = AccessGrant.objects.get()
    assert row.sealed
    assert row.renewed_by is None
    source.loses_answers = False
    with pytest.raises(AuthExpired):
        grants.renewed(refused)
    assert_over(connection)
    assert_nothing_leaked(source, caplog, error=lost.value)


def test_settings_that_are_tried_end_no_grant(source: OAuthSource, person: Person) -> None:
    connection = person.connect()
    source.expire()
    with pytest.raises(Misconfigured, match="does not know this client"):
        connections.change(connection, "", {**person.texts, "client_secret": "wrong secret"}, actor=SYSTEM)
    connection.refresh_from_db()
    assert connection.state == "ok"
    assert sync(connection).status == "completed"


def test_a_replay_needs_no_access(source: OAuthSource, person: Person) -> None:
    connection = person.connect()
    run = sync(connection)
    source.revoke()
    sync(connection)
    assert_over(connection)
    asked = len(source.requests)
    runs.request_replay(run, actor=SYSTEM)
    replayed = sync(connection)
    assert (replayed.status, replayed.unchanged) == ("completed", 1)
    assert len(source.requests) == asked


def test_answers_of_the_token_endpoint_are_recorded_nowhere(source: OAuthSource, person: Person) -> None:
    connection = person.connect()
    source.expire()
    run = sync(connection)
    assert source.refreshes == 1
    assert RecordedAnswer.objects.filter(run=run).count() == 1, "the movements only"


def assert_over(connection: PluginConfiguration) -> None:
    """The grant is gone, the schedule stopped, and a person is asked for."""
    connection.refresh_from_db()
    assert (connection.state, connection.next_run_at) == ("needs_attention", None)
    row = AccessGrant.objects.get(connection=connection)
    assert bytes(row.sealed) == b""
    assert row.renewed_by is None
