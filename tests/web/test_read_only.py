"""While a master key is missing, pages show everything and name the key, and nothing can be changed."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, override_settings
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from kvit.config.environment import Environment
from kvit.kernel.sealing import Key, KeyRing
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.users.keys import key_ring
from kvit.users.models import DataKey, User
from tests.personas import Personas

PASSWORD = "correct horse battery"
CALM = {"sign-in", "sign-out", "profile", "organization", "health"}
"""What goes on: it changes nothing, or only what is a person's own."""

DOORS = {"consent-return", "webhook"}
"""Sources lead here. Without the key, what they bring cannot be opened, and nothing is kept of it."""

EXAMPLES = {
    "IntConverter": 1,
    "SlugConverter": "fio",
    "StringConverter": "fio",
    "UUIDConverter": uuid.UUID(int=1),
}
"""A value of each kind that a URL may hold."""


@pytest.fixture
def wanted(personas: Personas) -> str:
    """The id of the master key that is not there."""
    key_ring(personas.organization)
    return personas.organization.data_keys.get().master_key_id


@pytest.fixture
def browser(wanted: str, personas: Personas, client: Client) -> Iterator[Client]:
    """The owner's, on an installation with another master key."""
    client.force_login(personas.owner)
    with override_settings(KVIT=without_its_key()):
        yield client


def without_its_key() -> Environment:
    environment: Environment = settings.KVIT
    return dataclasses.replace(environment, master_keys=KeyRing([Key.generate()]))


def every_url() -> Iterator[tuple[str, str]]:
    """The name and an address of every page, with a number wherever it asks for one."""

    def patterns(resolver: URLResolver) -> Iterator[URLPattern]:
        for each in resolver.url_patterns:
            if isinstance(each, URLResolver):
                yield from patterns(each)
            else:
                yield each

    for pattern in patterns(get_resolver()):
        if pattern.name:
            kinds = {name: type(each).__name__ for name, each in pattern.pattern.converters.items()}
            words = {name: EXAMPLES[kind] for name, kind in kinds.items()}
            yield pattern.name, reverse(pattern.name, kwargs=words)


def test_no_page_changes_anything(browser: Client, wanted: str) -> None:
    addresses = [(name, address) for name, address in every_url() if name not in CALM | DOORS]
    assert len(addresses) > 20
    for method in ("post", "put", "delete", "patch"):
        for name, address in addresses:
            response = getattr(browser, method)(address, headers={"accept-language": "en"})
            assert response.status_code == 503, (method, name)
            assert "Nothing was changed" in response.text
            assert wanted in response.text
            assert "KVIT_MASTER_KEY" in response.text


def test_every_page_says_which_key_is_missing_and_what_to_do(browser: Client, wanted: str) -> None:
    for name in ("dashboard", "connections", "transactions", "invoices", "review", "clients", "profile"):
        response = browser.get(reverse(name), headers={"accept-language": "en"})
        assert response.status_code == 200, name
        assert f"The master key {wanted} is missing" in response.text, name


def test_nothing_is_said_while_the_key_is_there(personas: Personas, wanted: str, client: Client) -> None:
    client.force_login(personas.owner)
    assert wanted not in client.get("/").text


def test_people_still_sign_in_and_out_and_choose_language_and_theme(
    browser: Client, personas: Personas
) -> None:
    chosen = browser.post(reverse("profile"), {"theme": "dark", "language": "en"})
    assert chosen.status_code == 302
    owner = User.objects.get(pk=personas.owner.pk)
    assert (owner.theme, owner.language) == ("dark", "en")
    assert browser.post(reverse("sign-out")).status_code == 302
    assert browser.get("/").status_code == 302
    sent = browser.post(reverse("sign-in"), {"username": personas.owner.email, "password": PASSWORD})
    assert sent.status_code == 302
    assert browser.get("/").status_code == 200


def test_a_request_of_htmx_loads_the_page_again_which_says_why(browser: Client) -> None:
    response = browser.post(reverse("clients"), headers={"hx-request": "true"})
    assert (response.status_code, response.headers["HX-Refresh"]) == (503, "true")


def test_a_stranger_is_asked_to_sign_in_first(browser: Client, client: Client) -> None:
    browser.logout()
    response = client.post(reverse("import"))
    assert response.status_code == 302
    assert "sign-in" in response.headers["Location"]


def test_an_import_keeps_nothing(browser: Client, personas: Personas) -> None:
    file = SimpleUploadedFile("statement.gpc", b"074...")
    assert browser.post(reverse("import"), {"statements": [file]}).status_code == 503
    assert not SyncHistory.objects.exists()
    assert not PluginConfiguration.objects.exists()
    assert DataKey.objects.count() == 1


def test_with_the_key_back_the_same_request_works(personas: Personas, wanted: str, client: Client) -> None:
    client.force_login(personas.owner)
    texts = {"name": "Nový klient s.r.o.", "country": "CZ"}
    with override_settings(KVIT=without_its_key()):
        assert client.post(reverse("client-new"), texts).status_code == 503
    assert not personas.organization.clients.exists()
    assert client.post(reverse("client-new"), texts).status_code == 302
    assert personas.organization.clients.count() == 1
