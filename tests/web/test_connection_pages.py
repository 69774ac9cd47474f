"""Connections: tested before they are kept, credentials never shown, broken plugins shown as broken."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone, translation

from kvit.audit.recording import Actor, changed, record
from kvit.plugin import Secret
from kvit.sync import registry, schedule
from kvit.sync.configuring import open_credentials
from kvit.sync.models import PluginConfiguration, SourceAccount, SyncHistory
from kvit.users.scoping import access_of
from kvit.web.connection_events import events_of
from tests.banks import demo
from tests.factories import TODAY, an_account
from tests.personas import Personas
from tests.web.connecting import a_connection, a_run, refused

MORNING = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
LATER = datetime(2099, 1, 1, tzinfo=UTC)
ADD = "/connections/new/demo_bank/credentials/"


def written(address: str, *, token: str = demo.TOKEN, **more: str) -> dict[str, str]:
    return {"setting-base_url": address, "setting-api_token": token, **more}


def attempted(address: str, *, token: str = demo.TOKEN) -> dict[str, str]:
    """The wizard's form, whose number makes sending it twice harmless."""
    return written(address, token=token, attempt=str(uuid.uuid4()))


def connect(client: Client, address: str) -> PluginConfiguration:
    response = client.post(ADD, attempted(address))
    connection = PluginConfiguration.objects.get()
    assert response.headers["Location"] == f"/connections/{connection.pk}/name/"
    return connection


def fio(personas: Personas, **fields: Any) -> PluginConfiguration:
    return a_connection(personas.organization, **fields)


@pytest.fixture
def bank_file(tmp_path: Path) -> Path:
    path = tmp_path / "bank.json"
    demo.write(path, [demo.account(demo.transaction("1", "100.00", TODAY.isoformat()))])
    return path


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
        for page in ("settings", "credentials"):
            response = client.post(f"/connections/{connection.pk}/{page}/", written(address, name="Demo"))
            assert "errorlist" in response.text
            assert demo.TOKEN not in response.text
    assert not connection.runs.exists()
    before = connection.account_key
    connection.refresh_from_db()
    assert connection.account_key == before


@pytest.mark.django_db
def test_a_broken_plugin_is_shown_with_its_problem(
    client: Client, personas: Personas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "kvit_broken-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: kvit-broken\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[kvit.plugins]\nbroken_bank = kvit_not_there:Bank\n")
    connection = fio(personas, plugin="broken_bank", name="Rozbitá banka")
    client.force_login(personas.owner)
    monkeypatch.syspath_prepend(tmp_path)
    registry.forget()
    try:
        pages = ["/connections/", "/connections/new/broken_bank/", f"/connections/{connection.pk}/"]
        pages.append(f"/connections/{connection.pk}/settings/")
        for page in pages:
            response = client.get(page)
            assert response.status_code == 200
            assert "kvit_not_there" in response.text, page
        assert client.post("/connections/new/broken_bank/credentials/").status_code == 302
    finally:
        registry.forget()
    assert PluginConfiguration.objects.count() == 1


@pytest.mark.django_db
def test_a_connection_of_a_missing_plugin_is_shown(client: Client, personas: Personas) -> None:
    connection = fio(personas, plugin="no_such_plugin", name="Stará banka")
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
    connection = fio(personas, plugin="fio", name="Fio")
    client.force_login(personas.owner)
    first = client.post(f"/connections/{connection.pk}/runs/")
    second = client.post(f"/connections/{connection.pk}/runs/")
    assert first.headers["Location"] == second.headers["Location"]
    run = SyncHistory.objects.get()
    assert run.requested_by == "user:owner@example.com"


@pytest.mark.django_db
def test_pausing_and_resuming(client: Client, personas: Personas) -> None:
    connection = fio(personas, plugin="fio", name="Fio")
    client.force_login(personas.owner)
    for noun, enabled in (("pause", False), ("pause", False), ("resume", True)):
        assert client.post(f"/connections/{connection.pk}/{noun}/").status_code == 302
        connection.refresh_from_db()
        assert connection.enabled is enabled


@pytest.mark.django_db
def test_older_runs_are_on_the_next_page(client: Client, personas: Personas) -> None:
    connection = fio(personas)
    for _ in range(31):
        a_run(connection)
    client.force_login(personas.owner)
    first = client.get(f"/connections/{connection.pk}/history/")
    assert len(first.context["runs"]) == 30
    older = client.get(f"/connections/{connection.pk}/history/?before={first.context['older_before']}")
    assert len(older.context["runs"]) == 1
    assert older.context["older_before"] is None


@pytest.mark.django_db
def test_the_history_tells_what_each_run_did_and_what_to_do(client: Client, personas: Personas) -> None:
    connection = fio(personas)
    began = timezone.now()
    a_run(
        connection,
        fetched=12,
        created=5,
        updated=4,
        conflicting=3,
        quarantined=2,
        warnings=1,
        started_at=began,
        finished_at=began + timedelta(seconds=65),
    )
    refused(connection)
    english(personas)
    client.force_login(personas.owner)
    text = client.get(f"/connections/{connection.pk}/history/").text
    for said in (
        "1 min 5 s",
        "by schedule",
        "The credentials were refused.",
        "Enter the credentials again in",
    ):
        assert said in text
    assert "1 warning in its log" in text


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "run", "standing", "said"),
    [
        ({}, {}, "ok", "in order"),
        ({"enabled": False}, {}, "paused", "paused"),
        ({"plugin": "no_such_plugin"}, {}, "missing", "plugin missing"),
        ({"state": "needs_attention"}, {"status": "failed"}, "needs_attention", "needs attention"),
        (
            {"failing_since": MORNING},
            {"status": "failed"},
            "failing",
            "failing since 22\u00a0Nov\u00a02026 9:00",
        ),
        ({}, {"status": "pending", "not_before": LATER}, "waiting", "put back until"),
        ({}, {"status": "running"}, "syncing", "syncing"),
    ],
)
def test_the_standing_is_said_in_words(
    client: Client, personas: Personas, fields: dict[str, Any], run: dict[str, Any], standing: str, said: str
) -> None:
    connection = fio(personas, **fields)
    a_run(connection, **run)
    english(personas)
    client.force_login(personas.owner)
    for page in ("/connections/", f"/connections/{connection.pk}/"):
        assert said in client.get(page).text, page
    assert client.get(f"/connections/{connection.pk}/").context["card"].standing == standing


@pytest.mark.django_db
def test_the_overview_tells_the_schedule_and_the_next_three_runs(client: Client, personas: Personas) -> None:
    connection = fio(personas, schedule="0 */4 * * *", next_run_at=timezone.now() + timedelta(hours=1))
    client.force_login(personas.owner)
    page = client.get(f"/connections/{connection.pk}/")
    assert len(page.context["overview"].upcoming) == 3
    assert page.context["schedule_words"] in page.text
    client.post(f"/connections/{connection.pk}/pause/")
    assert client.get(f"/connections/{connection.pk}/").context["overview"].upcoming == ()


@pytest.mark.django_db
def test_the_overview_points_out_the_warnings_of_the_last_run(client: Client, personas: Personas) -> None:
    connection = fio(personas)
    at = timezone.now().isoformat()
    a_run(connection, log=[{"at": at, "text": "An old worry.", "level": "warning"}])
    a_run(
        connection,
        log=[{"at": at, "text": "Reading."}, {"at": at, "text": "1 is missing.", "level": "warning"}],
    )
    client.force_login(personas.owner)
    page = client.get(f"/connections/{connection.pk}/")
    assert page.context["overview"].warnings == ("1 is missing.",)
    assert "1 is missing." in page.text


@pytest.mark.django_db
def test_the_balance_is_that_of_each_account(client: Client, personas: Personas) -> None:
    connection = fio(personas)
    account = an_account(personas.organization)
    SourceAccount.objects.create(
        connection=connection, external_id="1", account=account, balance_minor=-123456, seen_at=timezone.now()
    )
    english(personas)
    client.force_login(personas.owner)
    assert "-CZK\u00a01,234.56" in client.get(f"/connections/{connection.pk}/").text


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("days", "said", "tone"),
    [
        (15, "", ""),
        (14, "(in 14 days)", "banner warn"),
        (1, "(in 1 day)", "banner warn"),
        (0, "The credentials work until today.", "banner warn"),
        (-1, "The credentials ended on", "banner bad"),
    ],
)
def test_the_end_of_credentials_is_announced(
    client: Client, personas: Personas, days: int, said: str, tone: str
) -> None:
    connection = fio(personas, credentials_expire_on=timezone.localdate() + timedelta(days))
    english(personas)
    client.force_login(personas.owner)
    page = client.get(f"/connections/{connection.pk}/").text
    if said:
        assert said in page
        assert tone in page
        assert "Enter new credentials" in page
    else:
        assert "(in 15 days)" in page
        assert "banner" not in page


@pytest.mark.django_db(transaction=True)
def test_entering_the_credentials_again_starts_a_sync_and_the_schedule(
    client: Client, personas: Personas, bank_file: Path
) -> None:
    english(personas)
    client.force_login(personas.owner)
    with demo.running_demo_bank(bank_file) as address:
        connection = connect(client, address)
        refused(connection)
        for page in ("/", "/connections/", f"/connections/{connection.pk}/"):
            assert f"/connections/{connection.pk}/credentials/" in client.get(page).text, page
        form = f"/connections/{connection.pk}/credentials/"
        assert demo.TOKEN not in client.get(form).text
        empty = client.post(form, written(address, token=""))
        assert list(empty.context["form"].errors) == ["setting-api_token"]
        wrong = client.post(form, written(address, token="wrong-token-of-mine"))
        assert "wrong-token-of-mine" not in wrong.text
        connection.refresh_from_db()
        assert connection.state == "needs_attention"
        response = client.post(form, written(address))
    connection.refresh_from_db()
    assert connection.state == "ok"
    assert connection.next_run_at is not None
    failure, run = connection.runs.order_by("id")
    assert (failure.status, run.status) == ("failed", "pending")
    assert response.headers["Location"] == f"/runs/{run.pk}/"
    said = [
        words
        for event in client.get(f"/connections/{connection.pk}/events/").context["page"].events
        for words in event.sentences
    ]
    assert said[:2] == ["The credentials were entered again; they work.", "The connection is in order again."]
    assert len(said) == 4


@pytest.mark.django_db
def test_a_schedule_is_set_by_preset_or_by_an_expression(client: Client, personas: Personas) -> None:
    connection = fio(personas)
    client.force_login(personas.owner)
    url = f"/connections/{connection.pk}/schedule/"
    preset = schedule.PRESETS[1]
    assert client.post(url, {"preset": preset.key}).status_code == 302
    connection.refresh_from_db()
    assert connection.schedule == preset.expression
    assert client.post(url, {"preset": "own", "expression": "15 6 * * 1-5"}).status_code == 302
    connection.refresh_from_db()
    assert connection.schedule == "15 6 * * 1-5"
    refused_page = client.post(url, {"preset": "own", "expression": "at noon"})
    assert list(refused_page.context["schedule"].errors) == ["expression"]
    connection.refresh_from_db()
    assert connection.schedule == "15 6 * * 1-5"


@pytest.mark.django_db
def test_events_say_who_changed_what(client: Client, personas: Personas) -> None:
    connection = fio(personas)
    english(personas)
    client.force_login(personas.owner)
    client.post(f"/connections/{connection.pk}/pause/")
    client.post(f"/connections/{connection.pk}/resume/")
    client.post(f"/connections/{connection.pk}/schedule/", {"preset": schedule.PRESETS[1].key})
    client.post(
        f"/connections/{connection.pk}/name/", {"name": "Hlavní účet", "preset": schedule.PRESETS[1].key}
    )
    page = client.get(f"/connections/{connection.pk}/events/")
    told = [sentence for event in page.context["page"].events for sentence in event.sentences]
    assert told[0] == "Renamed from “Fio” to “Hlavní účet”."
    assert told[1].startswith("New schedule: ")
    assert told[2:] == ["Resumed.", "Paused.", "Connected."]
    actors = [event.actor for event in page.context["page"].events]
    assert actors == [*["user:owner@example.com"] * 4, "system"]


@pytest.mark.django_db
def test_a_setting_that_changed_is_told_by_its_label(personas: Personas) -> None:
    connection = fio(personas, settings={"days_back": 89})
    actor = Actor.of_user(personas.owner)
    with transaction.atomic():
        PluginConfiguration.objects.update(settings={"days_back": 30})
        change = changed(connection, {"settings": {"days_back": 89}}, {"settings": {"days_back": 30}})
        record(personas.organization, actor, [change])
    with translation.override("en"):
        event = events_of(connection, access_of(personas.owner)).events[0]
    assert event.sentences == ("“Days of history to read” changed from “89” to “30”.",)


@pytest.mark.django_db
def test_the_overview_of_many_connections_asks_as_often_as_of_one(
    client: Client, personas: Personas, django_assert_max_num_queries: Any
) -> None:
    client.force_login(personas.owner)
    for number in range(12):
        connection = fio(personas, name=f"Fio {number}")
        for _ in range(3):
            a_run(connection)
    with django_assert_max_num_queries(15):
        page = client.get("/connections/")
    assert [len(card.recent_runs) for card, _ in page.context["cards"]] == [3] * 12


@pytest.mark.django_db
@pytest.mark.parametrize("person", ["owner", "accountant"])
def test_every_tab_is_a_page_without_inline_code(client: Client, personas: Personas, person: str) -> None:
    connection = fio(personas, credentials_expire_on=timezone.localdate())
    refused(connection)
    client.force_login(getattr(personas, person))
    tabs = ("", "history/", "settings/", "events/", "credentials/", "name/")
    for page in (
        *(f"/connections/{connection.pk}/{tab}" for tab in tabs),
        "/connections/",
        "/health/status/",
    ):
        text = client.get(page).text
        assert " style=" not in text, page
        assert "<style" not in text, page
        assert " onclick" not in text, page


@pytest.mark.django_db
def test_a_stranger_finds_no_page_of_a_connection(client: Client, personas: Personas) -> None:
    connection = fio(personas)
    client.force_login(personas.stranger)
    for tab in ("", "history/", "settings/", "events/", "credentials/", "name/", "diagnostics/"):
        assert client.get(f"/connections/{connection.pk}/{tab}").status_code == 404
    for tab in ("schedule/", "credentials/", "name/"):
        assert client.post(f"/connections/{connection.pk}/{tab}").status_code == 404
    client.force_login(personas.accountant)
    for tab in ("schedule/", "credentials/", "name/"):
        assert client.post(f"/connections/{connection.pk}/{tab}").status_code == 403


def english(personas: Personas) -> None:
    personas.owner.language = "en"
    personas.owner.save()


@pytest.mark.django_db
def test_the_owner_switches_a_plugin_off_and_on_and_its_connections_stay(
    client: Client, personas: Personas
) -> None:
    connection = fio(personas)
    client.force_login(personas.owner)
    with translation.override("en"):
        client.post("/plugins/fio/switch/", {"state": "off"})
        page = client.get("/connections/", headers={"Accept-Language": "en"}).content.decode()
        assert page.count("plugin switched off") == 2
        assert f"/connections/{connection.pk}/" in page
        assert "/connections/new/fio/" not in page
        client.post("/plugins/fio/switch/", {"state": "on"})
        page = client.get("/connections/", headers={"Accept-Language": "en"}).content.decode()
    assert "plugin switched off" not in page
    assert "/connections/new/fio/" in page


@pytest.mark.django_db
def test_an_accountant_switches_nothing(client: Client, personas: Personas) -> None:
    client.force_login(personas.accountant)
    assert client.post("/plugins/fio/switch/", {"state": "off"}).status_code == 403
    assert not personas.organization.plugin_switches.exists()
