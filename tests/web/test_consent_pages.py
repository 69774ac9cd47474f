"""Granting access from the pages and coming back: nobody else's answer counts, and addresses stay clean."""

from __future__ import annotations

import hmac
import json
import logging
import re
import uuid
from collections.abc import Iterator
from html import unescape
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM
from kvit.kernel.sealing import Place
from kvit.sync import configuring, connections, registry, schedule
from kvit.sync.consent_models import AccessGrant, ConsentAttempt
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.users.keys import key_ring
from tests.banks.oauth import CLIENT_ID, CLIENT_SECRET, RETURN_URL, OAuthSource, decide, running_oauth_source
from tests.factories import a_member
from tests.personas import Personas
from tests.sync.installation import sync

pytestmark = pytest.mark.django_db(transaction=True)

TRY = "/connections/new/granted/credentials/"
REFUSED = "/consents/refused/"
SIGNING_SECRET = "signing-secret-of-the-tests"


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    invented = [
        EntryPoint(name, f"tests.sync.consenting:{name.title()}", registry.GROUP)
        for name in ("granted", "hooked")
    ]
    real = tuple(entry_points(group=registry.GROUP))
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints([*real, *invented]))
    registry.forget()
    yield
    monkeypatch.undo()
    registry.forget()
    configuring.config_fields.cache_clear()


@pytest.fixture
def served(transactional_db: None) -> Iterator[tuple[OAuthSource, str]]:
    with running_oauth_source() as running:
        yield running


@pytest.fixture
def source(served: tuple[OAuthSource, str]) -> OAuthSource:
    return served[0]


@pytest.fixture
def owner(client: Client, personas: Personas) -> Client:
    client.force_login(personas.owner)
    return client


def written(address: str) -> dict[str, str]:
    return {
        "setting-base_url": address,
        "setting-client_id": CLIENT_ID,
        "setting-client_secret": CLIENT_SECRET,
        "attempt": str(uuid.uuid4()),
    }


def link_in(page: Any) -> str:
    """The address of the source's page, which the page of ours leads to."""
    found = re.search(r'href="(http://127[^"]+/authorize[^"]*)"', page.text)
    assert found, page.text
    return unescape(found[1])


def begun(browser: Client, address: str) -> str:
    return link_in(browser.post(TRY, written(address)))


def returned_to(address: str) -> str:
    """The path and query that the source sent the browser to."""
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}"


def secrets_of(source: OAuthSource, link: str) -> list[str]:
    state = dict(parse_qsl(urlsplit(link).query))["state"]
    return [*source.issued, CLIENT_SECRET, state]


def assert_clean(
    response: Any, secrets: list[str], caplog: pytest.LogCaptureFixture, browser: Client
) -> None:
    """Nothing of the answer is in what comes back, in the logs, in cookies or on the next page."""
    next_page = browser.get(response.headers["Location"], follow=True)
    cookies = str(browser.cookies)
    audit = str(list(AuditEntry.objects.values_list("before", "after", "reason")))
    places = (str(response.headers), response.text, next_page.text, caplog.text, cookies, audit)
    assert not [secret for secret in secrets for place in places if secret in place]


def test_a_person_connects_by_granting_access(
    source: OAuthSource,
    served: tuple[OAuthSource, str],
    owner: Client,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    guide = owner.get("/connections/new/granted/")
    assert RETURN_URL in guide.text
    assert RETURN_URL in owner.get(TRY).text
    page = owner.post(TRY, written(served[1]))
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"
    assert CLIENT_SECRET not in page.text
    assert not PluginConfiguration.objects.exists()
    link = link_in(page)
    answer = owner.get(returned_to(decide(link)))
    connection = PluginConfiguration.objects.get()
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"/connections/{connection.pk}/name/"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer.headers["Cache-Control"]
    assert_clean(answer, secrets_of(source, link), caplog, owner)
    owner.post(f"/connections/{connection.pk}/name/", {"name": "Účet", "preset": schedule.PRESETS[0].key})
    assert connection.runs.get().trigger == "manual"
    for path in ("", "settings/", "credentials/", "events/", "history/"):
        text = owner.get(f"/connections/{connection.pk}/{path}").text
        assert not [secret for secret in secrets_of(source, link) if secret in text]


def test_a_stolen_answer_is_refused_on_a_clean_page(
    source: OAuthSource,
    served: tuple[OAuthSource, str],
    owner: Client,
    personas: Personas,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    link = begun(owner, served[1])
    address = returned_to(decide(link))
    thief, colleague, same_person = Client(), Client(), Client()
    thief.force_login(personas.stranger)
    colleague.force_login(a_member(personas.organization))
    same_person.force_login(personas.owner)
    for browser in (thief, colleague, same_person):
        answer = browser.get(address)
        assert answer.headers["Location"] == REFUSED

        assert_clean(answer, secrets_of(source, link), caplog, browser)
    assert source.exchanges == []
    assert not PluginConfiguration.objects.exists()
    assert owner.get(address).headers["Location"].endswith("/name/")


def test_a_stranger_is_led_to_sign_in_without_the_answer(
    source: OAuthSource, served: tuple[OAuthSource, str], owner: Client, caplog: pytest.LogCaptureFixture
) -> None:
    link = begun(owner, served[1])
    stranger = Client()
    answer = stranger.get(returned_to(decide(link)))
    assert answer.headers["Location"] == REFUSED
    assert stranger.get(REFUSED).headers["Location"] == f"/sign-in/?next={REFUSED}"
    assert_clean(answer, secrets_of(source, link), caplog, stranger)


def test_signing_in_again_begins_anew(
    source: OAuthSource, served: tuple[OAuthSource, str], owner: Client, personas: Personas
) -> None:
    link = begun(owner, served[1])
    owner.logout()
    owner.force_login(personas.owner)
    assert owner.get(returned_to(decide(link))).headers["Location"] == REFUSED
    assert source.exchanges == []


def test_a_replayed_answer_is_refused(
    source: OAuthSource, served: tuple[OAuthSource, str], owner: Client, caplog: pytest.LogCaptureFixture
) -> None:
    link = begun(owner, served[1])
    address = returned_to(decide(link))
    assert owner.get(address).headers["Location"].endswith("/name/")
    again = owner.get(address)
    assert again.headers["Location"] == REFUSED
    assert_clean(again, secrets_of(source, link), caplog, owner)
    assert source.exchanges == ["authorization_code"]
    assert PluginConfiguration.objects.count() == 1


def test_a_fault_of_ours_leaves_nothing_of_the_answer_in_the_address(
    source: OAuthSource,
    served: tuple[OAuthSource, str],
    owner: Client,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An error page would stand at the address of the answer, in the history of the browser."""
    link = begun(owner, served[1])
    attempt = ConsentAttempt.objects.get()
    place = Place("sync_consentattempt", "sealed", attempt.organization.uid, str(attempt.uid))
    attempt.sealed = key_ring(attempt.organization).seal(b"[]", place)
    attempt.save()
    response = owner.get(returned_to(decide(link)))
    assert (response.status_code, response.headers["Location"]) == (302, REFUSED)
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert "consent.crashed" in caplog.text
    assert_clean(response, secrets_of(source, link), caplog, owner)


def test_declining_is_no_fault(source: OAuthSource, served: tuple[OAuthSource, str], owner: Client) -> None:
    answer = owner.get(returned_to(decide(begun(owner, served[1]), allow=False)))
    assert answer.headers["Location"] == REFUSED
    page = owner.get(REFUSED)
    assert page.status_code == 200
    assert "/connections/" in page.text


def test_an_invented_answer_is_refused(owner: Client, personas: Personas) -> None:
    for query in ("", "?state=x&code=y", "?error=access_denied&error_description=<script>"):
        answer = owner.get(f"/consents/return/{query}")
        assert answer.headers["Location"] == REFUSED
        assert "<script>" not in owner.get(REFUSED).text
    assert owner.post("/consents/return/?state=x").status_code == 405


def test_who_may_only_look_grants_nothing(
    source: OAuthSource, served: tuple[OAuthSource, str], owner: Client, personas: Personas
) -> None:
    address = returned_to(decide(begun(owner, served[1])))
    looker = Client()
    looker.force_login(personas.accountant)
    assert looker.post(TRY, written(served[1])).status_code == 403
    assert looker.get(address).headers["Location"] == REFUSED
    assert source.exchanges == []


def test_access_is_granted_again_from_the_banner(
    source: OAuthSource, served: tuple[OAuthSource, str], owner: Client, caplog: pytest.LogCaptureFixture
) -> None:
    owner.get(returned_to(decide(begun(owner, served[1]))))
    connection = PluginConfiguration.objects.get()
    granting = f"/connections/{connection.pk}/credentials/"
    assert RETURN_URL in owner.get(granting).text
    fields = written(served[1]) | {"setting-client_secret": ""}
    page = owner.post(granting, fields)
    link = link_in(page)
    answer = owner.get(returned_to(decide(link)))
    assert answer.headers["Location"] == f"/connections/{connection.pk}/"
    assert_clean(answer, secrets_of(source, link), caplog, owner)
    assert AccessGrant.objects.get().revision == 2
    assert SyncHistory.objects.get().trigger == "manual"
    source.account = "CZ5508000000001234567899"
    other = owner.get(returned_to(decide(link_in(owner.post(granting, fields)))))
    assert other.headers["Location"] == REFUSED
    assert AccessGrant.objects.get().revision == 2


@pytest.mark.parametrize("is_stolen", [False, True])
def test_access_that_ended_is_told_on_the_pages_without_a_secret(
    source: OAuthSource,
    served: tuple[OAuthSource, str],
    owner: Client,
    caplog: pytest.LogCaptureFixture,
    is_stolen: bool,
) -> None:
    """Revoked by the person, or by the source because somebody else has used the refresh token first."""
    link = begun(owner, served[1])
    owner.get(returned_to(decide(link)))
    connection = PluginConfiguration.objects.get()
    if is_stolen:
        source.steal()
        source.expire()
    else:
        source.revoke()
    run = sync(connection)
    assert (run.status, run.error_kind, source.reuses) == ("failed", "AuthExpired", int(is_stolen))
    page = owner.get(f"/connections/{connection.pk}/")
    assert f"/connections/{connection.pk}/credentials/" in page.text
    paths = ("", "settings/", "credentials/", "events/", "history/", "diagnostics/")
    pages = [owner.get(f"/connections/{connection.pk}/{path}").content.decode() for path in paths]
    pages.append(owner.get(f"/runs/{run.pk}/").text)
    secrets = secrets_of(source, link)
    assert not [secret for secret in secrets for text in (*pages, caplog.text) if secret in text]


def test_who_uses_another_address_than_the_source_leads_back_to_is_warned(
    source: OAuthSource, served: tuple[OAuthSource, str], owner: Client
) -> None:
    there = urlsplit(settings.KVIT.base_url).netloc
    warning = f"{settings.KVIT.base_url}, "
    assert warning in owner.post(TRY, written(served[1])).text
    page = owner.post(TRY, written(served[1]), headers={"Host": there})
    assert page.status_code == 200
    assert warning not in page.text


def test_what_is_wrong_in_the_form_is_said_beside_the_field(owner: Client) -> None:
    page = owner.post(TRY, written("http://127.0.0.1:9") | {"setting-client_id": ""})
    assert list(page.context["form"].errors) == ["setting-client_id"]
    assert not ConsentAttempt.objects.exists()


def hooked(personas: Personas) -> PluginConfiguration:
    texts = {"signing_secret": SIGNING_SECRET}
    return connections.add(personas.organization, "hooked", "Hooked", texts, actor=SYSTEM)


def delivered(browser: Client, path: str, body: bytes, secret: str = SIGNING_SECRET) -> Any:
    signature = hmac.new(secret.encode(), body, "sha256").hexdigest()
    return browser.post(path, body, content_type="application/json", headers={"X-Signature": signature})


def test_a_message_of_the_source_comes_in_without_a_session(owner: Client, personas: Personas) -> None:
    connection = hooked(personas)
    path = f"/webhooks/{connection.uid}/"
    address = f"{settings.KVIT.base_url}{path}"
    assert address in owner.get(f"/connections/{connection.pk}/").text
    source = Client(enforce_csrf_checks=True)
    body = json.dumps({"id": "evt_1", "sent_at": timezone.now().timestamp()}).encode()
    wrong = delivered(source, path, body, "another secret")
    assert (wrong.status_code, wrong.headers.get("Location")) == (400, None)
    taken = delivered(source, path, body)
    assert (taken.status_code, taken.content) == (202, b"")
    assert SyncHistory.objects.get().trigger == "webhook"
    assert delivered(source, path, body).status_code == 409
    old = json.dumps({"id": "evt_2", "sent_at": timezone.now().timestamp() - 301}).encode()
    assert delivered(source, path, old).content == wrong.content
    assert not source.cookies
    assert source.get(path).status_code == 405


def test_a_message_too_large_or_for_nobody_is_turned_away(owner: Client, personas: Personas) -> None:
    path = f"/webhooks/{hooked(personas).uid}/"
    assert delivered(owner, path, b"x" * (1024 * 1024 + 1)).status_code == 413
    assert delivered(owner, path, b"x" * 1024 * 1024).status_code == 400
    lying = {"CONTENT_LENGTH": "9" * 6000}
    answer = owner.generic("POST", path, b"{}", content_type="text/plain", **lying)  # type: ignore[arg-type]  # typed as headers
    assert answer.status_code == 413
    for method in ("HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"):
        assert owner.generic(method, path).status_code == 405
    assert delivered(owner, f"/webhooks/{uuid.uuid4()}/", b"{}").status_code == 404


def test_who_may_only_look_sees_no_address_for_messages(client: Client, personas: Personas) -> None:
    connection = hooked(personas)
    client.force_login(personas.accountant)
    assert str(connection.uid) not in client.get(f"/connections/{connection.pk}/").text
