"""The wizard: guide, test, name; nothing unsealed waits between the steps, and clicking twice is harmless."""

from __future__ import annotations

import uuid
from pathlib import Path
from xml.etree import ElementTree

import pytest
from django.test import Client

from kvit.plugin import Secret
from kvit.sync import schedule
from kvit.sync.configuring import open_credentials
from kvit.sync.models import PluginConfiguration
from tests.banks import demo
from tests.factories import TODAY
from tests.personas import Personas
from tests.web.connecting import a_connection

ADD = "/connections/new/demo_bank/credentials/"
SVG = "{http://www.w3.org/2000/svg}svg"


def written(address: str, *, token: str = demo.TOKEN, attempt: str = "") -> dict[str, str]:
    return {"setting-base_url": address, "setting-api_token": token, "attempt": attempt or str(uuid.uuid4())}


@pytest.fixture
def bank_file(tmp_path: Path) -> Path:
    path = tmp_path / "bank.json"
    demo.write(path, [demo.account(demo.transaction("1", "100.00", TODAY.isoformat()))])
    return path


@pytest.mark.django_db
def test_the_first_step_shows_where_the_credentials_are(client: Client, personas: Personas) -> None:
    client.force_login(personas.owner)
    page = client.get("/connections/new/fio/")
    assert "/connections/new/fio/credentials/" in page.text
    assert "/plugins/fio/picture.svg" in page.text
    picture = client.get("/plugins/fio/picture.svg")
    assert ElementTree.fromstring(picture.content).tag == SVG
    assert picture.headers["Content-Type"].startswith("image/svg+xml")
    assert picture.headers["X-Content-Type-Options"] == "nosniff"
    policy = picture.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert policy.endswith("sandbox")


@pytest.mark.django_db
def test_a_plugin_without_a_guide_begins_with_the_test(client: Client, personas: Personas) -> None:
    client.force_login(personas.owner)
    assert client.get("/connections/new/demo_bank/").headers["Location"] == ADD
    assert client.get("/plugins/demo_bank/picture.svg").status_code == 404
    assert client.get(ADD).context["steps"] == 2


@pytest.mark.django_db(transaction=True)
def test_from_the_test_to_the_first_run(client: Client, personas: Personas, bank_file: Path) -> None:
    client.force_login(personas.owner)
    with demo.running_demo_bank(bank_file) as address:
        tested = client.post(ADD, written(address))
    connection = PluginConfiguration.objects.get()
    assert connection.name == "Account 1"
    assert connection.credentials_entered_on is not None
    assert open_credentials(connection) == {"api_token": Secret(demo.TOKEN)}
    naming = f"/connections/{connection.pk}/name/"
    assert tested.headers["Location"] == naming
    page = client.get(naming)
    assert "Account 1" in page.text
    assert demo.TOKEN not in page.text
    assert not connection.runs.exists()
    preset = schedule.PRESETS[1]
    for _ in range(2):
        saved = client.post(naming, {"name": "Hlavní účet", "preset": preset.key})
        run = connection.runs.get()
        assert saved.headers["Location"] == f"/runs/{run.pk}/"
    connection.refresh_from_db()
    assert (connection.name, connection.schedule) == ("Hlavní účet", preset.expression)
    for path in (
        "/connections/",
        f"/connections/{connection.pk}/",
        f"/connections/{connection.pk}/settings/",
    ):
        assert demo.TOKEN not in client.get(path).text


@pytest.mark.django_db(transaction=True)
def test_sending_the_credentials_twice_keeps_one_connection(
    client: Client, personas: Personas, bank_file: Path
) -> None:
    client.force_login(personas.owner)
    with demo.running_demo_bank(bank_file) as address:
        form = written(address)
        first, second = client.post(ADD, form), client.post(ADD, form)
        again = client.post(ADD, written(address))
    connection = PluginConfiguration.objects.get()
    assert first.headers["Location"] == second.headers["Location"] == f"/connections/{connection.pk}/name/"
    assert list(again.context["form"].errors) == ["__all__"]


@pytest.mark.django_db(transaction=True)
def test_a_second_account_of_the_same_name_gets_a_name_of_its_own(
    client: Client, personas: Personas, bank_file: Path
) -> None:
    a_connection(personas.organization, "fio", name="Account 1")
    client.force_login(personas.owner)
    with demo.running_demo_bank(bank_file) as address:
        client.post(ADD, written(address))
    connection = PluginConfiguration.objects.get(plugin="demo_bank")
    assert connection.name == "Account 1 (2)"
    taken = client.post(
        f"/connections/{connection.pk}/name/", {"name": "Account 1", "preset": schedule.PRESETS[0].key}
    )
    assert list(taken.context["form"].errors) == ["name"]
    assert not connection.runs.exists()


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


@pytest.mark.django_db
def test_an_error_stands_beside_the_field_it_names(client: Client, personas: Personas) -> None:
    client.force_login(personas.owner)
    token = "too-short-token-🔑"
    response = client.post(
        "/connections/new/fio/credentials/",
        {
            "attempt": str(uuid.uuid4()),
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
def test_an_unknown_plugin_is_not_there(client: Client, personas: Personas) -> None:
    client.force_login(personas.owner)
    for path in (
        "/connections/new/nothing/",
        "/connections/new/nothing/credentials/",
        "/plugins/nothing/picture.svg",
    ):
        assert client.get(path).status_code == 404


@pytest.mark.django_db
def test_files_need_no_schedule(client: Client, personas: Personas) -> None:
    connection = a_connection(personas.organization, "statement_file", name="Výpisy")
    client.force_login(personas.owner)
    naming = f"/connections/{connection.pk}/name/"
    assert "preset" not in client.get(naming).text
    assert client.post(naming, {"name": "Výpisy z banky"}).headers["Location"] == "/import/"
    assert not connection.runs.exists()
