"""The health page: each thing is fine, or says what to do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone, translation

from kvit.audit.models import AuditSeal
from kvit.dashboard.health import health
from kvit.sync.models import PluginConfiguration, QuarantinedRecord, WorkerPresence
from kvit.users import keys
from kvit.web import words
from tests.personas import Personas
from tests.web.connecting import a_connection, a_run

pytestmark = pytest.mark.django_db

STATUS = "/health/status/"


@pytest.fixture(autouse=True)
def _in_english(personas: Personas) -> None:
    for person in (personas.owner, personas.accountant, personas.stranger):
        person.language = "en"
        person.save()


def fio(personas: Personas, name: str, **fields: Any) -> PluginConfiguration:
    return a_connection(personas.organization, name=name, **fields)


def a_worker(seen: timedelta) -> None:
    now = timezone.now()
    WorkerPresence.objects.create(name="box|1@2", started_at=now - timedelta(hours=1), seen_at=now - seen)


def test_a_healthy_installation_has_nothing_to_look_at(client: Client, personas: Personas) -> None:
    a_worker(timedelta(seconds=5))
    fio(personas, "Fio")
    client.force_login(personas.accountant)
    page = client.get(STATUS)
    assert page.context["to_look_at"] == 0
    assert "Everything is in order." in page.text
    assert "1 worker is at work." in page.text


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (None, "No worker has been seen lately"),
        (timedelta(minutes=7), "No worker has been seen for 7 min 0 s"),
    ],
)
def test_a_missing_worker_is_told_first(
    client: Client, personas: Personas, seen: timedelta | None, said: str
) -> None:
    if seen is not None:
        a_worker(seen)
    client.force_login(personas.owner)
    page = client.get(STATUS)
    first = page.context["groups"][0].lines[0]
    assert said in first.text
    assert "kvit worker" in first.advice
    assert said in page.text


def test_each_troubled_connection_is_told_once_with_a_link(client: Client, personas: Personas) -> None:
    now, today = timezone.now(), timezone.localdate()
    a_worker(timedelta(0))
    troubled = [
        fio(personas, "refused", state="needs_attention", failing_since=now),
        fio(personas, "failing", failing_since=now - timedelta(days=2)),
        fio(personas, "ended", credentials_expire_on=today - timedelta(1)),
        fio(personas, "ending", credentials_expire_on=today + timedelta(14)),
        fio(personas, "late", next_run_at=now - timedelta(hours=1)),
    ]
    fio(personas, "fine", credentials_expire_on=today + timedelta(15), next_run_at=now)
    fio(personas, "asleep", enabled=False, next_run_at=now - timedelta(days=9))
    busy = fio(personas, "busy", next_run_at=now - timedelta(hours=1))
    a_run(busy, status="running", lease_until=now + timedelta(minutes=1))
    client.force_login(personas.owner)
    lines = client.get(STATUS).context["groups"][1].lines
    assert [line.url for line in lines] == [f"/connections/{row.pk}/" for row in troubled]
    assert all(line.advice for line in lines)


def test_what_waits_for_a_person_is_counted_in_this_organization_only(
    client: Client, personas: Personas
) -> None:
    a_worker(timedelta(0))
    connection = fio(personas, "Fio")
    run = a_run(connection, status="completed")
    for number, resolved_at in enumerate((None, None, timezone.now())):
        QuarantinedRecord.objects.create(
            organization=personas.organization,
            connection=connection,
            run=run,
            digest=f"{number}",
            reason="no amount",
            sealed=b"x",
            resolved_at=resolved_at,
        )
    client.force_login(personas.owner)
    assert "2 records could not be read and are put aside." in client.get(STATUS).text
    client.force_login(personas.stranger)
    strangers = client.get(STATUS)
    assert strangers.context["to_look_at"] == 0
    assert "Nothing is connected yet." in strangers.text


def test_runs_are_counted_by_what_they_wait_for(personas: Personas) -> None:
    now = timezone.now()
    states: list[dict[str, Any]] = [
        {"status": "running", "lease_until": now + timedelta(minutes=1)},
        {"status": "running", "lease_until": now - timedelta(hours=1)},
        {},
        {"not_before": now + timedelta(minutes=5)},
        {"not_before": now - timedelta(hours=1)},
        {"status": "completed"},
    ]
    for number, fields in enumerate(states):
        a_run(fio(personas, f"Fio {number}"), **({"status": "pending"} | fields))
    runs = health(personas.organization, now, timezone.localdate()).runs
    assert (runs.running, runs.waiting, runs.deferred, runs.stuck) == (2, 2, 1, 2)


def test_a_missing_master_key_is_named(client: Client, personas: Personas) -> None:
    keys.key_ring(personas.organization)
    personas.organization.data_keys.update(master_key_id="k-lost")
    client.force_login(personas.owner)
    page = client.get(STATUS)
    assert "The master key k-lost is missing" in page.text
    assert page.context["to_look_at"] >= 1


@pytest.mark.past_the_audit
def test_the_seal_of_the_audit_is_told(personas: Personas) -> None:
    client = Client()
    client.force_login(personas.owner)
    connection = fio(personas, "Fio")
    client.post(f"/connections/{connection.pk}/pause/")
    now, today = timezone.now(), timezone.localdate()
    before = health(personas.organization, now, today).audit
    assert (before.sealed_at, before.unsealed) == (None, before.entries)
    last_id = 10**9
    AuditSeal.objects.create(first_id=1, last_id=last_id, digests=b"", digest="0" * 64, sealed_at=now)
    after = health(personas.organization, now, today).audit
    assert (after.sealed_at, after.unsealed) == (now, 0)


def test_the_page_asks_as_often_for_many_connections(
    client: Client, personas: Personas, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        fio(personas, f"Fio {number}", failing_since=timezone.now())
    client.force_login(personas.owner)
    with django_assert_max_num_queries(26):
        assert client.get(STATUS).context["to_look_at"] == 21


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "under 1 s"), (8, "8 s"), (65, "1 min 5 s"), (3725, "1 h 2 min")]
)
def test_a_duration_is_told_in_two_units(seconds: float, said: str) -> None:
    with translation.override("en"):
        assert words.duration_text(timedelta(seconds=seconds)) == said


def test_the_endpoint_for_monitors_stays(client: Client, personas: Personas) -> None:
    assert client.get("/health/").text == "ok"
    assert client.get(STATUS).status_code == 302
