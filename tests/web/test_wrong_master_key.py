"""A restored backup without its master key: pages open, say what is missing, and nothing is lost."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import transaction
from django.test import Client, override_settings

from kvit.audit.recording import SYSTEM, created, record
from kvit.kernel.sealing import Key, KeyRing
from kvit.plugin import Secret
from kvit.sync.configuring import seal_credentials
from kvit.sync.models import PluginConfiguration
from tests.factories import a_payment, an_account
from tests.personas import Personas


@pytest.fixture
def connection(personas: Personas) -> PluginConfiguration:
    connection = PluginConfiguration(
        organization=personas.organization,
        plugin="demo_bank",
        name="Bank",
        settings={"base_url": "http://127.0.0.1:1/"},
        account_key="1",
    )
    connection.credentials_sealed = seal_credentials(connection, {"api_token": Secret("a secret token")})
    with transaction.atomic():
        connection.save()
        record(personas.organization, SYSTEM, [created(connection)])
    a_payment(an_account(personas.organization))
    return connection


@pytest.fixture
def browser(connection: PluginConfiguration, personas: Personas, client: Client) -> Iterator[Client]:
    stranger = KeyRing([Key.generate()])
    client.force_login(personas.owner)
    with override_settings(KVIT=dataclasses.replace(settings.KVIT, master_keys=stranger)):
        yield client


def test_every_page_still_opens(browser: Client, connection: PluginConfiguration) -> None:
    for path in ("/", "/connections/", f"/connections/{connection.pk}/", "/transactions/", "/review/"):
        assert browser.get(path).status_code == 200, path
    assert browser.get(f"/connections/{connection.pk}/settings/").status_code == 200


def test_a_movement_shows_without_its_raw_record(browser: Client, connection: PluginConfiguration) -> None:
    pk = connection.organization.transactions.get().pk
    response = browser.get(f"/transactions/{pk}/", headers={"accept-language": "en"})
    assert response.status_code == 200
    assert "master key" in response.content.decode()


def test_credentials_stay_as_they_are_and_no_key_is_made(
    browser: Client, connection: PluginConfiguration
) -> None:
    before = bytes(connection.credentials_sealed or b"")
    response = browser.post(
        f"/connections/{connection.pk}/settings/",
        {"name": "Bank", "setting-api_token": "new token", "setting-base_url": "http://127.0.0.1:1/"},
    )
    assert response.status_code == 503
    connection.refresh_from_db()
    assert bytes(connection.credentials_sealed or b"") == before
    assert connection.organization.data_keys.count() == 1
