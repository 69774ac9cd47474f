"""Settings and credentials that an earlier version of a plugin stored follow its Config of today."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM
from kvit.kernel.errors import PluginUnavailable
from kvit.plugin import Secret, field
from kvit.sync import connections
from kvit.sync.configuring import values_of
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.users.models import Organization
from tests.sync.installation import sync, words
from tests.sync.invented import ACCOUNT, TOKEN, Scripted

pytestmark = pytest.mark.django_db(transaction=True)

type Install = Callable[..., None]


@dataclass(frozen=True, kw_only=True)
class FirstConfig:
    token: Secret = field("Token")
    town: str = field("Town", default="Brno")
    days: str = field("Days", default="30")


class First(Scripted):
    Config = FirstConfig


@dataclass(frozen=True, kw_only=True)
class SecondConfig:
    api_token: Secret = field("API token")
    city: str = field("City")
    days: int = field("Days", default=7)


class Second(Scripted):
    """A later version: a credential and a setting have other names, and another is a number."""

    version, schema_version, Config = "2.0", 2, SecondConfig

    @classmethod
    def migrate_settings(cls, stored: Mapping[str, Any], from_version: int) -> Mapping[str, Any]:
        assert from_version == 1
        return {"api_token": stored["token"], "city": stored["town"], "days": int(stored["days"]), "gone": 1}


class Careless(Second):
    """Its author mistook a credential for text."""

    @classmethod
    def migrate_settings(cls, stored: Mapping[str, Any], from_version: int) -> Mapping[str, Any]:
        return {"api_token": stored["token"].reveal(), "city": stored["town"]}


class Forgetful(Second):
    """Its author forgot a setting that is required."""

    @classmethod
    def migrate_settings(cls, stored: Mapping[str, Any], from_version: int) -> Mapping[str, Any]:
        return {"api_token": stored["token"]}


class Crashing(Second):
    @classmethod
    def migrate_settings(cls, stored: Mapping[str, Any], from_version: int) -> Mapping[str, Any]:
        raise ValueError(stored["token"].reveal())


@pytest.fixture
def connection(install: Install, organization: Organization) -> PluginConfiguration:
    install(scripted="tests.sync.test_migrating_settings:First")
    return connections.add(organization, "scripted", "Old", {"token": TOKEN, "town": "Zlín"}, actor=SYSTEM)


def script(plugin: Scripted, _ctx: object) -> Any:
    yield ACCOUNT
    config: Any = plugin.config
    assert (config.api_token, config.city, config.days) == (Secret(TOKEN), "Zlín", 30)


def test_the_next_sync_stores_them_as_the_new_version_knows_them(
    connection: PluginConfiguration, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(scripted="tests.sync.test_migrating_settings:Second")
    monkeypatch.setattr(Scripted, "script", staticmethod(script), raising=False)
    assert sync(connection).status == SyncHistory.Status.COMPLETED
    stored = PluginConfiguration.objects.get(pk=connection.pk)
    assert (stored.schema_version, stored.settings) == (2, {"city": "Zlín", "days": 30})
    assert values_of(stored).credentials == {"api_token": Secret(TOKEN)}
    entry = AuditEntry.objects.filter(table="sync_pluginconfiguration").order_by("id").last()
    assert entry is not None
    assert entry.after == {"settings": {"city": "Zlín", "days": 30}, "schema_version": 2}
    assert TOKEN not in f"{entry.before}{entry.after}{entry.reason}"


def test_pages_see_today_s_fields_before_any_sync(connection: PluginConfiguration, install: Install) -> None:
    install(scripted="tests.sync.test_migrating_settings:Second")
    values = values_of(connection)
    assert (values.settings, set(values.credentials)) == ({"city": "Zlín", "days": 30}, {"api_token"})


@pytest.mark.parametrize("author", ["Careless", "Crashing"])
def test_a_mistake_of_the_author_changes_nothing_and_shows_no_secret(
    connection: PluginConfiguration, install: Install, author: str
) -> None:
    install(scripted=f"tests.sync.test_migrating_settings:{author}")
    run = sync(connection)
    assert run.error_kind == "PluginCrashed"
    assert "in migrate_settings" in words(run)
    assert TOKEN not in f"{words(run)}{run.log}{run.error_params}"
    kept = PluginConfiguration.objects.get(pk=connection.pk)
    assert (kept.schema_version, kept.settings) == (1, connection.settings)


def test_what_an_author_forgot_is_still_there_for_the_next_version(
    connection: PluginConfiguration, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(scripted="tests.sync.test_migrating_settings:Forgetful")
    run = sync(connection)
    assert (run.error_kind, words(run)) == ("Misconfigured", "Fill in “City”.")
    kept = PluginConfiguration.objects.get(pk=connection.pk)
    assert (kept.schema_version, kept.settings) == (1, connection.settings)

    install(scripted="tests.sync.test_migrating_settings:Second")
    monkeypatch.setattr(Scripted, "script", staticmethod(script), raising=False)
    assert sync(kept).status == SyncHistory.Status.COMPLETED


def test_settings_of_a_newer_version_wait_for_it(connection: PluginConfiguration, install: Install) -> None:
    PluginConfiguration.objects.filter(pk=connection.pk).update(schema_version=3)
    connection.refresh_from_db()
    with pytest.raises(PluginUnavailable, match="newer version"):
        values_of(connection)
    assert sync(connection).error_kind == "PluginUnavailable"


def test_a_missing_plugin_leaves_the_values_readable(
    connection: PluginConfiguration, install: Install
) -> None:
    install()
    assert values_of(connection).settings["town"] == "Zlín"
