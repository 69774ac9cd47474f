"""Consent that is no OAuth: the source names the state otherwise, and access ends on a day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from django.utils import timezone

from kvit.audit.recording import SYSTEM
from kvit.kernel.errors import (
    AuthExpired,
    Misconfigured,
    PluginCrashed,
    PluginUnavailable,
    Refused,
    Temporary,
)
from kvit.plugin import Identity
from kvit.plugin.consent import code_challenge
from kvit.sync import connections, consents, switches
from kvit.sync.configuring import values_of
from kvit.sync.consent_models import AccessGrant, ConsentAttempt
from kvit.sync.models import PluginConfiguration
from kvit.users.models import Organization
from tests.banks.oauth import RETURN_URL
from tests.factories import a_member
from tests.sync.consenting import Ninety
from tests.sync.installation import sync
from tests.sync.test_secrecy import assert_nowhere, everything_stored

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "application-key-of-the-tests"
CODE = "code-of-the-answer-0123456789"


@pytest.fixture(autouse=True)
def ninety(install: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    install(ninety="tests.sync.consenting:Ninety")
    monkeypatch.setattr(Ninety, "asked", [])
    monkeypatch.setattr(Ninety, "answers", [])


@pytest.fixture
def visitor(organization: Organization) -> consents.Visitor:
    return consents.Visitor(organization=organization, user=a_member(organization), session_key="a session")


def begin(visitor: consents.Visitor, connection: PluginConfiguration | None = None) -> str:
    """Begin and return the state."""
    texts = {"key": "" if connection else KEY}
    url = consents.begin(visitor, "ninety", texts, return_url=RETURN_URL, connection=connection)
    assert url == f"https://ninety.example/start?ref={Ninety.asked[-1].state}"
    return Ninety.asked[-1].state


def come_back(visitor: consents.Visitor, state: str) -> PluginConfiguration:
    return consents.answered(visitor, {"ref": state, "code": CODE}, actor=SYSTEM)[0]


def test_the_state_is_known_by_whatever_name_it_comes_back(visitor: consents.Visitor) -> None:
    connection = come_back(visitor, begin(visitor))
    (answer,) = Ninety.answers
    assert answer.params["code"] == CODE
    assert answer.return_url == Ninety.asked[0].return_url == RETURN_URL
    assert code_challenge(answer.code_verifier.reveal()) == Ninety.asked[0].code_challenge
    assert 43 <= len(answer.code_verifier.reveal()) <= 128
    assert connection.credentials_expire_on == timezone.localdate() + timedelta(days=90)


def test_every_consent_has_a_state_and_a_verifier_of_its_own(visitor: consents.Visitor) -> None:
    states = {begin(visitor) for _ in range(5)}
    assert len(states) == len({request.code_challenge for request in Ninety.asked}) == 5
    assert min(map(len, states)) >= 43
    for state in states:
        assert_nowhere(state, everything_stored())
    assert_nowhere(KEY, everything_stored())


def test_access_ends_on_its_last_day_and_is_granted_again(
    visitor: consents.Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ninety, "days", 0)
    connection = come_back(visitor, begin(visitor))
    assert sync(connection).status == "completed"
    monkeypatch.setattr("kvit.sync.grants._today", lambda _connection: date.max)
    assert sync(connection).error_kind == "AuthExpired"
    connection.refresh_from_db()
    assert connection.state == "needs_attention"
    monkeypatch.undo()
    come_back(visitor, begin(visitor, connection))
    connection.refresh_from_db()
    assert connection.state == "ok"


@pytest.mark.parametrize("way", ["is_revoked", "asks_for_another"])
def test_a_consent_revoked_at_the_source_is_forgotten(
    visitor: consents.Visitor, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Whether the plugin says so, or asks for another grant where there is none."""
    connection = come_back(visitor, begin(visitor))
    monkeypatch.setattr(Ninety, way, True)
    assert sync(connection).error_kind == "AuthExpired"
    assert bytes(AccessGrant.objects.get().sealed) == b""
    connection.refresh_from_db()
    assert (connection.state, connection.next_run_at) == ("needs_attention", None)


def test_a_test_of_the_connection_ends_no_access(
    visitor: consents.Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = come_back(visitor, begin(visitor))

    def refuse(_self: Ninety) -> Identity:
        _self.grants.current()
        raise AuthExpired

    monkeypatch.setattr(Ninety, "check", refuse)
    with pytest.raises(AuthExpired):
        connections.check(Ninety, values_of(connection), connection=connection)
    assert AccessGrant.objects.get().sealed


@pytest.mark.parametrize("error", [Temporary(f"It said {CODE}."), AuthExpired("No: {code}", code=CODE)])
def test_an_error_of_the_plugin_names_nothing_of_the_answer(
    visitor: consents.Visitor, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    state = begin(visitor)
    monkeypatch.setattr(Ninety, "raises", error)
    with pytest.raises(type(error)) as caught:
        come_back(visitor, state)
    assert "***" in str(caught.value)
    assert CODE not in f"{caught.value} {caught.value!r} {caught.value.args} {vars(caught.value)}"


def test_a_crash_of_the_plugin_tells_its_kind_only(
    visitor: consents.Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = begin(visitor)
    monkeypatch.setattr(Ninety, "raises", ValueError(CODE))
    with pytest.raises(PluginCrashed) as caught:
        come_back(visitor, state)
    assert CODE not in f"{caught.value} {caught.value.params}"
    with pytest.raises(Refused):
        come_back(visitor, state)


def test_nothing_is_kept_where_the_source_gives_no_page(
    visitor: consents.Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ninety, "raises", Temporary())
    with pytest.raises(Temporary):
        begin(visitor)
    with pytest.raises(Misconfigured):
        consents.begin(visitor, "ninety", {"key": ""}, return_url=RETURN_URL)
    with pytest.raises(PluginUnavailable):
        consents.begin(visitor, "nowhere", {}, return_url=RETURN_URL)
    assert not ConsentAttempt.objects.exists()


def test_a_plugin_that_is_switched_off_asks_for_nothing(visitor: consents.Visitor) -> None:
    switches.set_plugin_enabled(visitor.organization, "ninety", False, actor=SYSTEM)
    with pytest.raises(Refused, match="switched off"):
        begin(visitor)
    assert Ninety.asked == []
    switches.set_plugin_enabled(visitor.organization, "ninety", True, actor=SYSTEM)
    state = begin(visitor)
    switches.set_plugin_enabled(visitor.organization, "ninety", False, actor=SYSTEM)
    with pytest.raises(Refused, match="switched off"):
        come_back(visitor, state)
    assert Ninety.answers == []


def test_without_a_consent_such_a_plugin_cannot_be_added(organization: Organization) -> None:
    with pytest.raises(AuthExpired, match="on the web pages"):
        connections.add(organization, "ninety", None, {"key": KEY}, actor=SYSTEM)


def test_a_deleted_connection_takes_its_grant_and_its_attempts_along(visitor: consents.Visitor) -> None:
    connection = come_back(visitor, begin(visitor))
    state = begin(visitor, connection)
    connection.delete()
    assert not AccessGrant.objects.exists()
    with pytest.raises(Refused, match="no request"):
        come_back(visitor, state)
