"""Connections: tested before they are kept, credentials never shown, broken plugins shown as broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client

from kvit.plugin import Secret
from kvit.sync import registry
from kvit.sync.configuring import open_credentials
from kvit.sync.models import PluginConfiguration, SyncHistory
from tests.banks import demo
from tests.factories import TODAY
from tests.personas import Personas

FIO_TOKEN = "S" * 64

ADD = "/connections/new/demo_bank/"


def written(address: str, *, token: str = demo.TOKEN, name: str = "Demo") -> dict[str, str]:
    return {"name": name, "setting-base_url": address, "setting-api_token": token}


def connect(client: Client, address: str) -> PluginConfiguration:
    response = client.post(ADD, written(address))
    connection = PluginConfiguration.objects.get()
    assert response.headers["Location"] == f"/connections/{connection.pk}/"
    return connection


@pytest.fixture
def bank_file(tmp_path: Path) -> Path:
    path = tmp_path / "bank.json"
    demo.write(path, [demo.account(demo.transaction("1", "100.00", TODAY.isoformat()))])
    return path


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_works_is_kept_and_its_first_sync_queued(
    client: Client, personas: Personas, bank_file: Path
) -> None:
    client.force_login(personas.owner)
    with demo.running_demo_bank(bank_file) as address:
        connection = connect(client, address)
    assert open_credentials(connection) == {"api_token": Secret(demo.TOKEN)}
    assert [run.status for run in connection.runs.all()] == ["pending"]
    for page in (
        "/connections/",
        f"/connections/{connection.pk}/",
        f"/connections/{connection.pk}/settings/",
    ):
        assert demo.TOKEN not in client.get(page).text


@pytest.mark.django_db(transaction=True)
def test_a_refused_token_keeps_nothing_and_is_not_repeated(
    client: Client, personas: Personas, bank_file: Path
) -> None:
    client.force_login(personas.owner)
    with demo.running_demo_bank(bank_file) as address:
        response = client.post(ADD, written(address, token="wrong-token-of-mine"))
    assert response.status_code == 200
    assert "errorlist" in response.text
    assert "wrong-token-of-mine" not in response.text
    assert address in response.text
    assert not PluginConfiguration.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_empty_credential_keeps_the_stored_one(
    client: Client, personas: Personas, bank_file: Path
) -> None:
    client.force_login(personas.owner)
    with demo.running_demo_bank(bank_file) as address:
        connection = connect(client, address)
        response = client.post(
            f"/connections/{connection.pk}/settings/", written(address, token="", name="Jiné jméno")
        )
    assert response.headers["Location"] == f"/connections/{connection.pk}/"
    connection.refresh_from_db()
    assert connection.name == "Jiné jméno"
    assert open_credentials(connection) == {"api_token": Secret(demo.TOKEN)}


@pytest.mark.django_db(transaction=True)
def test_credentials_of_another_account_are_refused(
    client: Client, personas: Personas, bank_file: Path
) -> None:
    client.force_login(personas.owner)
    with demo.running_demo_bank(bank_file) as address:
        connection = connect(client, address)
        demo.write(bank_file, [demo.account(number="2")])
        response = client.post(f"/connections/{connection.pk}/settings/", written(address))
    assert "errorlist" in response.text
    assert demo.TOKEN not in response.text
    before = connection.account_key
    connection.refresh_from_db()
    assert connection.account_key == before


@pytest.mark.django_db
def test_an_error_stands_beside_the_field_it_names(client: Client, personas: Personas) -> None:
    client.force_login(personas.owner)
    token = "too-short-token-🔑"
    response = client.post(
        "/connections/new/fio/",
        {
            "name": "Fio",
            "setting-api_token": token,
            "setting-days_back": "30",
            "setting-base_url": "http://127.0.0.1:9/",
            "setting-token_interval_seconds": "0",
        },
    )
    assert list(response.context["form"].errors) == ["setting-api_token"]
    assert 'id="id_setting-api_token_error"' in response.text
    assert token not in response.text


@pytest.mark.django_db
def test_a_taken_name_is_told_at_the_name(client: Client, personas: Personas) -> None:
    PluginConfiguration.objects.create(organization=personas.organization, plugin="fio", name="Demo")
    client.force_login(personas.owner)
    response = client.post(ADD, written("http://127.0.0.1:9"))
    assert list(response.context["form"].errors) == ["name"]


@pytest.mark.django_db
def test_an_unknown_plugin_is_not_there(client: Client, personas: Personas) -> None:
    client.force_login(personas.owner)
    assert client.get("/connections/new/no_such_plugin/").status_code == 404


@pytest.mark.django_db
def test_a_broken_plugin_is_shown_with_its_problem(
    client: Client, personas: Personas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "kvit_broken-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: kvit-broken\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[kvit.plugins]\nbroken_bank = kvit_not_there:Bank\n")
    connection = PluginConfiguration.objects.create(
        organization=personas.organization, plugin="broken_bank", name="Rozbitá banka"
    )
    client.force_login(personas.owner)
    monkeypatch.syspath_prepend(tmp_path)
    registry.catalogue.cache_clear()
    try:
        pages = ["/connections/", "/connections/new/broken_bank/", f"/connections/{connection.pk}/"]
        pages.append(f"/connections/{connection.pk}/settings/")
        for page in pages:
            response = client.get(page)
            assert response.status_code == 200
            assert "kvit_not_there" in response.text, page
        assert client.post("/connections/new/broken_bank/", {"name": "x"}).status_code == 200
    finally:
        registry.catalogue.cache_clear()
    assert PluginConfiguration.objects.count() == 1


@pytest.mark.django_db
def test_a_connection_of_a_missing_plugin_is_shown(client: Client, personas: Personas) -> None:
    connection = PluginConfiguration.objects.create(
        organization=personas.organization, plugin="no_such_plugin", name="Stará banka"
    )
    client.force_login(personas.owner)
    for page in (
        "/connections/",
        f"/connections/{connection.pk}/",
        f"/connections/{connection.pk}/settings/",
    ):
        assert client.get(page).status_code == 200
    assert f"/connections/{connection.pk}/runs/" not in client.get(f"/connections/{connection.pk}/").text


@pytest.mark.django_db
def test_sync_now_twice_is_one_run(client: Client, personas: Personas) -> None:
    connection = PluginConfiguration.objects.create(
        organization=personas.organization, plugin="fio", name="Fio"
    )
    client.force_login(personas.owner)
    first = client.post(f"/connections/{connection.pk}/runs/")
    second = client.post(f"/connections/{connection.pk}/runs/")
    assert first.headers["Location"] == second.headers["Location"]
    run = SyncHistory.objects.get()
    assert run.requested_by == "user:owner@example.com"


@pytest.mark.django_db
def test_pausing_and_resuming(client: Client, personas: Personas) -> None:
    connection = PluginConfiguration.objects.create(
        organization=personas.organization, plugin="fio", name="Fio"
    )
    client.force_login(personas.owner)
    for noun, enabled in (("pause", False), ("pause", False), ("resume", True)):
        assert client.post(f"/connections/{connection.pk}/{noun}/").status_code == 302
        connection.refresh_from_db()
        assert connection.enabled is enabled


@pytest.mark.django_db
def test_older_runs_are_on_the_next_page(client: Client, personas: Personas) -> None:
    connection = PluginConfiguration.objects.create(
        organization=personas.organization, plugin="fio", name="Fio"
    )
    for _ in range(31):
        SyncHistory.objects.create(
            organization=personas.organization,
            connection=connection,
            status="completed",
            trigger="schedule",
            requested_by="system",
        )
    client.force_login(personas.owner)
    first = client.get(f"/connections/{connection.pk}/")
    assert len(first.context["runs"]) == 30
    older = client.get(f"/connections/{connection.pk}/?before={first.context['older_before']}")
    assert len(older.context["runs"]) == 1
    assert older.context["older_before"] is None
