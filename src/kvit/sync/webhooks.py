"""Messages that sources send: believed in nothing, they only have a connection synced sooner.

The plugin checks the signature, without a network. Then the message must be at most five minutes off and
must not have come before; what it says beyond that is not read.
"""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final
from uuid import UUID

import httpx
import structlog
from django.db import IntegrityError, transaction

from kvit.audit.recording import Actor
from kvit.kernel.errors import KvitError, PluginUnavailable, WebhookRefused
from kvit.plugin import Delivery, Event, Plugin, Webhook
from kvit.sync import connections
from kvit.sync.configuring import values_of
from kvit.sync.consent_models import WebhookMessage
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.sync.opening import opened
from kvit.sync.redaction import Redactor
from kvit.sync.registry import plugin_class

log = structlog.get_logger(__name__)

LARGEST_BODY_BYTES: Final = 1024 * 1024
OFF_BY: Final = timedelta(minutes=5)
"""How far the signed time of a message may be from now, inclusive."""
REMEMBERED_FOR: Final = timedelta(days=30)
"""For how long the id of a message is kept; its time alone refuses it five minutes later already."""


class Outcome(Enum):
    """What became of a message, for the one who sent it."""

    TAKEN = "taken"
    REFUSED = "refused"
    REPEATED = "repeated"
    NOT_HERE = "not here"


def receive(uid: UUID, headers: Mapping[str, str], body: bytes, now: datetime) -> Outcome:
    """Take one message for the connection with this uid, and queue a sync where it is a reason for one.

    A paused connection and one that needs attention take it too, and do not sync. Why a message was refused
    is logged, masked, and told to nobody outside. Raises KeyMissing where the connection's secrets cannot be
    opened now: the source sends the message again.
    """
    connection = PluginConfiguration.objects.select_related("organization").filter(uid=uid).first()
    plugin = listening(connection)
    if connection is None or plugin is None:
        return Outcome.NOT_HERE
    values = values_of(connection)
    redactor = Redactor(values.credentials.values())
    delivery = Delivery(headers={name.lower(): value for name, value in headers.items()}, body=body)
    try:
        with opened(plugin, values, redactor=redactor, transport=_NoNetwork()) as instance:
            assert isinstance(instance, Webhook)
            event = _in_time(instance.event(delivery), now)
    except KvitError as error:
        log.warning("webhook.refused", connection=connection.pk, reason=redactor.mask(str(error)))
        return Outcome.REFUSED
    except (Exception, SystemExit):  # noqa: BLE001  # whatever a plugin does with what strangers send, they hear the same
        trace = redactor.mask(traceback.format_exc())
        log.error("webhook.crashed", connection=connection.pk, trace=trace)
        return Outcome.REFUSED
    return _taken(connection, plugin, event, now)


def listening(connection: PluginConfiguration | None) -> type[Plugin[Any]] | None:
    """Return the connection's plugin where it takes messages."""
    try:
        plugin = None if connection is None else plugin_class(connection.plugin)
    except PluginUnavailable:
        return None
    return plugin if plugin is not None and issubclass(plugin, Webhook) else None


def purge(now: datetime) -> int:
    """Forget messages older than 30 days and return how many."""
    return WebhookMessage.objects.filter(received_at__lt=now - REMEMBERED_FOR).delete()[0]


class _NoNetwork(httpx.BaseTransport):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raise RuntimeError("event() asks nobody.")


def _in_time(event: Event, now: datetime) -> Event:
    """The event, where its signed time is near enough. Raises WebhookRefused."""
    if event.sent_at.tzinfo is None:
        raise TypeError("sent_at must be aware.")
    if not isinstance(event.id, str):
        raise TypeError("id must be a text.")
    if not event.id.strip():
        raise WebhookRefused("The message has no id.")
    if abs(event.sent_at - now) > OFF_BY:
        raise WebhookRefused("The message is more than five minutes old, or from the future.")
    return event


def _taken(
    connection: PluginConfiguration, plugin: type[Plugin[Any]], event: Event, now: datetime
) -> Outcome:
    """Remember the message and queue the sync, both or neither."""
    digest = hashlib.sha256(event.id.encode("utf-8", "replace")).hexdigest()
    try:
        with transaction.atomic():
            WebhookMessage.objects.create(connection=connection, digest=digest, received_at=now)
            if event.wants_sync:
                _sync(connection, plugin, now)
    except IntegrityError:
        log.warning("webhook.repeated", connection=connection.pk)
        return Outcome.REPEATED
    log.info("webhook.taken", connection=connection.pk, wants_sync=event.wants_sync)
    return Outcome.TAKEN


def _sync(connection: PluginConfiguration, plugin: type[Plugin[Any]], now: datetime) -> None:
    """Queue a run. One that waits serves the message; one that reads already is followed by another."""
    row = PluginConfiguration.objects.select_for_update().filter(pk=connection.pk).first()
    if row is None:
        return
    if not row.enabled or row.state != PluginConfiguration.State.OK:
        log.info("webhook.left", connection=row.pk, enabled=row.enabled, state=row.state)
        return
    actor = Actor(name=f"plugin:{plugin.name}@{plugin.version}")
    try:
        run = connections.request_run(row, SyncHistory.Trigger.WEBHOOK, actor=actor)
    except KvitError as error:
        log.info("webhook.left", connection=row.pk, reason=str(error))
        return
    if run.status == SyncHistory.Status.RUNNING or run.replays_id is not None:
        PluginConfiguration.objects.filter(pk=row.pk, next_run_at__isnull=False).update(next_run_at=now)
