"""Messages of a source: only a right, new and recent one counts, and all it does is have a sync queued."""

from __future__ import annotations

import hmac
import json
import logging
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier

import pytest
from django.db import connection as database
from django.utils import timezone

from kvit.audit.recording import SYSTEM
from kvit.plugin import Secret
from kvit.sync import connections, retention, webhooks
from kvit.sync.configuring import seal_credentials
from kvit.sync.consent_models import WebhookMessage
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.sync.webhooks import Outcome, receive
from kvit.users.models import Organization
from tests.sync.installation import claimed, sync
from tests.sync.test_secrecy import assert_nowhere, everything_stored

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "s1gning/secret+of the tests"


@pytest.fixture
def connection(install: Callable[..., None], organization: Organization) -> PluginConfiguration:
    install(hooked="tests.sync.consenting:Hooked")
    return connections.add(organization, "hooked", "Hooked", {"signing_secret": SECRET}, actor=SYSTEM)


def body_of(id: str = "evt_1", *, at: datetime | None = None, **more: object) -> bytes:
    return json.dumps({"id": id, "sent_at": (at or timezone.now()).timestamp(), **more}).encode()


def send(
    connection: PluginConfiguration, body: bytes, *, secret: str = SECRET, now: datetime | None = None
) -> Outcome:
    signature = hmac.new(secret.encode(), body, "sha256").hexdigest()
    return receive(connection.uid, {"X-Signature": signature}, body, now or timezone.now())


def test_a_right_message_queues_a_run(connection: PluginConfiguration) -> None:
    assert send(connection, body_of()) == Outcome.TAKEN
    run = SyncHistory.objects.get()
    assert (run.trigger, run.status, run.requested_by) == ("webhook", "pending", "plugin:hooked@0.1")
    assert sync(connection).pk == run.pk
    assert "evt_1" not in WebhookMessage.objects.get().digest


def test_a_wrong_signature_is_refused_and_nothing_is_kept(
    connection: PluginConfiguration, caplog: pytest.LogCaptureFixture
) -> None:
    body = body_of()
    assert send(connection, body, secret="another secret") == Outcome.REFUSED
    assert receive(connection.uid, {}, body, timezone.now()) == Outcome.REFUSED
    right = hmac.new(SECRET.encode(), body, "sha256").hexdigest()
    assert receive(connection.uid, {"x-signature": right}, body + b" ", timezone.now()) == Outcome.REFUSED
    assert not SyncHistory.objects.exists()
    assert not WebhookMessage.objects.exists()
    assert send(connection, body) == Outcome.TAKEN, "whoever forges a message uses no id up"


@pytest.mark.parametrize(
    ("off", "outcome"),
    [
        (timedelta(minutes=-5), Outcome.TAKEN),
        (timedelta(minutes=5), Outcome.TAKEN),
        (timedelta(minutes=-5, milliseconds=-1), Outcome.REFUSED),
        (timedelta(minutes=5, milliseconds=1), Outcome.REFUSED),
        (timedelta(days=-1), Outcome.REFUSED),
    ],
)
def test_an_old_message_is_refused(connection: PluginConfiguration, off: timedelta, outcome: Outcome) -> None:
    now = timezone.now().replace(microsecond=0)
    assert send(connection, body_of(at=now + off), now=now) == outcome
    assert SyncHistory.objects.count() == (outcome == Outcome.TAKEN)


def test_a_replayed_message_is_refused(connection: PluginConfiguration) -> None:
    body = body_of()
    assert send(connection, body) == Outcome.TAKEN
    assert sync(connection).status == "completed"
    assert send(connection, body) == Outcome.REPEATED
    assert send(connection, body_of(wants_sync=False)) == Outcome.REPEATED, "the id counts, not the rest"
    assert SyncHistory.objects.count() == 1


def test_a_message_sent_twice_at_once_counts_once(connection: PluginConfiguration) -> None:
    body, together = body_of(), Barrier(2)

    def deliver(_number: int) -> Outcome:
        try:
            together.wait()
            return send(connection, body)
        finally:
            database.close()

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(deliver, range(2)))
    assert sorted(outcome.value for outcome in outcomes) == ["repeated", "taken"]
    assert SyncHistory.objects.count() == 1


def test_ids_are_of_one_connection(connection: PluginConfiguration) -> None:
    other = PluginConfiguration(organization=connection.organization, plugin="hooked", name="Other")
    other.credentials_sealed = seal_credentials(other, {"signing_secret": Secret(SECRET)})
    other.save()
    body = body_of()
    assert [send(connection, body), send(other, body)] == [Outcome.TAKEN, Outcome.TAKEN]
    assert SyncHistory.objects.count() == 2


def test_a_storm_of_messages_queues_one_run(connection: PluginConfiguration) -> None:
    outcomes = {send(connection, body_of(f"evt_{number}")) for number in range(40)}
    assert outcomes == {Outcome.TAKEN}
    assert SyncHistory.objects.count() == 1


def test_a_message_during_a_run_is_followed_by_another_run(connection: PluginConfiguration) -> None:
    """The run may have read past what the message is about."""
    held = claimed(connection)
    now = timezone.now()
    for number in range(3):
        assert send(connection, body_of(f"evt_{number}")) == Outcome.TAKEN
    assert SyncHistory.objects.count() == 1
    held.complete()
    connection.refresh_from_db()
    assert connection.next_run_at is not None
    assert connection.next_run_at <= timezone.now()
    assert connection.next_run_at >= now


def test_a_message_that_is_no_reason_queues_nothing(connection: PluginConfiguration) -> None:
    body = body_of(wants_sync=False)
    assert send(connection, body) == Outcome.TAKEN
    assert not SyncHistory.objects.exists()
    assert send(connection, body) == Outcome.REPEATED


@pytest.mark.parametrize("change", [{"enabled": False}, {"state": "needs_attention"}])
def test_who_does_not_sync_takes_messages_without_a_run(
    connection: PluginConfiguration, change: dict[str, object]
) -> None:
    PluginConfiguration.objects.filter(pk=connection.pk).update(**change)
    assert send(connection, body_of()) == Outcome.TAKEN
    assert not SyncHistory.objects.exists()


def test_nobody_else_takes_messages(
    connection: PluginConfiguration, install: Callable[..., None], organization: Organization
) -> None:
    install(scripted="tests.sync.invented:Scripted")
    deaf = connections.add(organization, "scripted", "Deaf", {"token": "t" * 20}, actor=SYSTEM)
    assert webhooks.listening(deaf) is None
    assert send(deaf, body_of()) == Outcome.NOT_HERE
    assert receive(uuid.uuid4(), {}, b"", timezone.now()) == Outcome.NOT_HERE
    assert send(connection, body_of()) == Outcome.NOT_HERE, "its plugin is not installed any more"


@pytest.mark.parametrize(
    "more",
    [
        {"asks": True},
        {"leaks": True},
        {"exits": True},
        {"sent_at": "yesterday"},
        {"sent_at": 1e300},
        {"id": ""},
        {"id": "  "},
        {"id": 7},
        {"id": None},
        {"id": ["evt_1"]},
    ],
)
def test_a_message_that_confuses_the_plugin_is_refused_and_says_nothing(
    connection: PluginConfiguration, more: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    body = json.dumps({"id": "evt_1", "sent_at": timezone.now().timestamp(), **more}).encode()
    assert send(connection, body) == Outcome.REFUSED
    assert "webhook." in caplog.text
    assert_nowhere(SECRET, iter([("log", caplog.text.encode())]))
    assert_nowhere(SECRET, everything_stored())
    assert not SyncHistory.objects.exists()


@pytest.mark.parametrize("id", ["ž" * 100_000, "a\0b", "\ud800", "🧾"])
def test_any_text_is_an_id(connection: PluginConfiguration, id: str) -> None:
    body = body_of(id)
    assert [send(connection, body), send(connection, body)] == [Outcome.TAKEN, Outcome.REPEATED]
    assert len(WebhookMessage.objects.get().digest) == 64


def test_ids_are_forgotten_after_thirty_days(connection: PluginConfiguration) -> None:
    now = timezone.now()
    assert send(connection, body_of(at=now), now=now) == Outcome.TAKEN
    retention.purge(now + timedelta(days=29))
    assert WebhookMessage.objects.count() == 1
    retention.purge(now + timedelta(days=31))
    assert not WebhookMessage.objects.exists()
