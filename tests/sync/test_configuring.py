from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.conf import settings

from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM
from kvit.kernel.errors import KeyMissing, Misconfigured, Refused, SealBroken
from kvit.kernel.sealing import Key, KeyRing
from kvit.plugin import Context, Identity, Item, Plugin, Secret, field
from kvit.sync import connections
from kvit.sync.configuring import (
    config_fields,
    make_config,
    open_credentials,
    read_values,
    seal_credentials,
)
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.users.models import DataKey, Organization
from tests.banks.fio import TOKEN, Account, FioBank
from tests.factories import an_organization
from tests.sync.installation import a_connection, a_token, movement, sync, today, words


@dataclass(frozen=True, kw_only=True)
class ManyConfig:
    password: Secret = field("Password", pattern=r"[a-z]{8,}", help="As at the bank.")
    pin: Secret = field("PIN", default=Secret(""))
    region: str = field("Region", choices=("eu", "us"), default="eu")
    customer: str = field("Customer number", pattern=r"\d{4}")
    days: int = field("Days", default=30, min=1, max=90)
    is_company: bool = field("Company", default=False)


class Many(Plugin[ManyConfig]):
    name, title, version, Config = "many", "Many", "1", ManyConfig

    def check(self) -> Identity:
        return Identity(key="many", label="Many")

    def sync(self, ctx: Context) -> Iterator[Item]:
        yield from ()


GOOD = {"password": "hunterhunter", "customer": "1234"}


def test_form_fields_come_from_the_config_in_its_order() -> None:
    fields = config_fields(Many)
    assert [item.name for item in fields] == ["password", "pin", "region", "customer", "days", "is_company"]
    by_name = {item.name: item for item in fields}
    assert [item.name for item in fields if item.is_secret] == ["password", "pin"]
    assert [item.name for item in fields if item.is_required] == ["password", "customer"]
    assert by_name["region"].choices == ("eu", "us")
    assert (by_name["days"].kind, by_name["days"].min, by_name["days"].max) == (int, 1, 90)
    assert (by_name["password"].label, by_name["password"].help) == ("Password", "As at the bank.")


def test_checked_values_are_split_into_settings_and_credentials() -> None:
    values = read_values(Many, GOOD | {"days": " 90 ", "is_company": "on"})
    assert values.settings == {"region": "eu", "customer": "1234", "days": 90, "is_company": True}
    assert values.credentials == {"password": Secret("hunterhunter"), "pin": Secret("")}
    config = make_config(Many, values)
    assert config == ManyConfig(password=Secret("hunterhunter"), customer="1234", days=90, is_company=True)
    assert "hunterhunter" not in f"{values} {config!r} {values.credentials}"


def test_an_empty_credential_keeps_the_stored_one_and_a_form_cannot_blank_it() -> None:
    kept = {"password": Secret("hunterhunter")}
    assert read_values(Many, {"password": "", "customer": "1234"}, kept).credentials["password"] == (
        Secret("hunterhunter")
    )
    replaced = read_values(Many, {"password": "anotherone", "customer": "1234"}, kept)
    assert replaced.credentials["password"] == Secret("anotherone")


@pytest.mark.parametrize(
    ("texts", "name", "says"),
    [
        ({"password": ""}, "password", "Fill in “Password”"),
        ({"password": "Sh0rt-and-wrong"}, "password", "“Password” does not have the right form"),
        ({"customer": " "}, "customer", "Fill in “Customer number”"),
        ({"customer": "12345"}, "customer", "right form"),
        ({"region": "asia"}, "region", "“Region” can be eu, us"),
        ({"days": "0"}, "days", "between 1 and 90"),
        ({"days": "91"}, "days", "between 1 and 90"),
        ({"days": "3.5"}, "days", "whole number"),
        ({"is_company": "perhaps"}, "is_company", "true or false"),
        ({"passwort": "hunterhunter"}, "passwort", "“passwort” is not a field of this plugin"),
    ],
)
def test_a_wrong_value_names_its_field_and_never_repeats_a_secret(
    texts: dict[str, str], name: str, says: str
) -> None:
    with pytest.raises(Misconfigured) as caught:
        read_values(Many, GOOD | texts)
    assert caught.value.field == name
    assert says in str(caught.value)
    for secret in ("hunterhunter", "Sh0rt-and-wrong"):
        assert secret not in f"{caught.value} {caught.value!r} {caught.value.params}"


def test_sealed_credentials_open_again_and_do_not_show(organization: Organization) -> None:
    connection = PluginConfiguration(organization=organization, plugin="many", name="Many")
    credentials = {"password": Secret("hunterhunter"), "pin": Secret("žluťoučký")}
    connection.credentials_sealed = seal_credentials(connection, credentials)
    connection.save()
    again = PluginConfiguration.objects.get(pk=connection.pk)
    assert open_credentials(again) == credentials
    assert again.credentials_sealed is not None
    for word in ("hunterhunter", "password", "žluťoučký"):
        assert word.encode() not in bytes(again.credentials_sealed)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("elsewhere", [False, True], ids=["same organization", "other organization"])
def test_credentials_moved_to_another_connection_do_not_open(bank: FioBank, elsewhere: bool) -> None:
    bank.load(Account(), Account(number="2900123465", tokens=[a_token(2)]), today=today(), interval_seconds=0)
    owner = an_organization()
    mine = a_connection(owner, bank)
    other = a_connection(an_organization() if elsewhere else owner, bank, name="Druhý", token=a_token(2))
    PluginConfiguration.objects.filter(pk=other.pk).update(credentials_sealed=mine.credentials_sealed)
    other.refresh_from_db()
    with pytest.raises((SealBroken, KeyMissing)):
        open_credentials(other)
    asked = len(bank.state().requests)
    run = sync(other)
    other.refresh_from_db()
    assert len(bank.state().requests) == asked
    assert run.status == SyncHistory.Status.FAILED
    assert other.state == PluginConfiguration.State.NEEDS_ATTENTION
    assert other.next_run_at is None
    if elsewhere:
        assert run.error_kind == "KeyMissing"
        assert "Restore the master key" in words(run)
    else:
        assert run.error_kind == "SealBroken"
        assert "Enter it again" in words(run)


@pytest.mark.django_db(transaction=True)
def test_entering_moved_credentials_again_heals_the_connection(bank: FioBank) -> None:
    connection = a_connection(an_organization(), bank)
    PluginConfiguration.objects.filter(pk=connection.pk).update(credentials_sealed=b"KV1 nonsense")
    sync(connection)
    connection.refresh_from_db()
    texts = {"base_url": bank.base_url, "token_interval_seconds": "0"}
    with pytest.raises(Misconfigured, match="Fill in “API token”"):
        connections.change(connection, "", texts, actor=SYSTEM)
    connections.change(connection, "", texts | {"api_token": TOKEN}, actor=SYSTEM)
    assert sync(connection).status == SyncHistory.Status.COMPLETED


@pytest.mark.django_db(transaction=True)
def test_with_a_wrong_master_key_runs_fail_by_its_name_and_nothing_is_sealed(
    bank: FioBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.add(movement(1, "5.00"))
    organization = an_organization()
    connection = a_connection(organization, bank)
    sealed = bytes(connection.credentials_sealed or b"")
    right = settings.KVIT
    key_id = right.master_keys.active.id
    wrong = dataclasses.replace(right, master_keys=KeyRing([Key.generate()]))
    monkeypatch.setattr(settings, "KVIT", wrong)
    run = sync(connection)
    assert (run.status, run.error_kind) == (SyncHistory.Status.FAILED, "KeyMissing")
    assert key_id in words(run)
    assert "KVIT_MASTER_KEY" in words(run)
    texts = {"api_token": TOKEN, "base_url": bank.base_url, "token_interval_seconds": "0"}
    with pytest.raises(KeyMissing, match=key_id):
        connections.change(connection, "", texts, actor=SYSTEM)
    with pytest.raises(KeyMissing, match=key_id):
        a_connection(organization, bank, name="Druhý")
    assert DataKey.objects.count() == 1
    assert PluginConfiguration.objects.count() == 1
    monkeypatch.setattr(settings, "KVIT", right)
    connection.refresh_from_db()
    assert bytes(connection.credentials_sealed or b"") == sealed
    assert sync(connection).created == 1


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_fails_its_test_is_not_kept(bank: FioBank, organization: Organization) -> None:
    with pytest.raises(Exception, match="Fio does not know this token"):
        a_connection(organization, bank, token=a_token(9))
    assert not PluginConfiguration.objects.exists()
    a_connection(organization, bank)
    with pytest.raises(Refused, match="connected already"):
        a_connection(organization, bank, name="Again")
    with pytest.raises(Misconfigured, match="named “Fio” already"):
        a_connection(organization, bank)


@pytest.mark.django_db(transaction=True)
def test_changing_settings_leaves_the_cursor_to_the_run_that_moves_it(
    bank: FioBank, organization: Organization
) -> None:
    stale = a_connection(organization, bank)
    sync(stale)
    moved = PluginConfiguration.objects.get(pk=stale.pk)
    connections.set_enabled(moved, False, actor=SYSTEM)
    assert stale.cursor == {}
    connections.change(stale, "Renamed", {"base_url": bank.base_url, "days_back": "10"}, actor=SYSTEM)
    kept = PluginConfiguration.objects.get(pk=stale.pk)
    assert (kept.name, kept.settings["days_back"]) == ("Renamed", 10)
    assert kept.cursor == moved.cursor
    assert kept.cursor["synced_through"] == today().isoformat()
    assert not kept.enabled


@pytest.mark.django_db(transaction=True)
def test_credentials_of_another_account_are_refused(bank: FioBank, organization: Organization) -> None:
    bank.load(Account(), Account(number="2900123465", tokens=[a_token(2)]), today=today(), interval_seconds=0)
    connection = a_connection(organization, bank)
    with pytest.raises(Refused, match="open another account"):
        connections.change(connection, "", {"api_token": a_token(2), "base_url": bank.base_url}, actor=SYSTEM)
    assert open_credentials(PluginConfiguration.objects.get(pk=connection.pk))["api_token"] == Secret(TOKEN)
    assert AuditEntry.objects.get(table="sync_pluginconfiguration").action == "created"
