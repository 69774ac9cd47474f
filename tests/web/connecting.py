"""Connections and runs as the pages find them, without a bank behind them."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from kvit.audit.recording import SYSTEM, changed, created, record
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.users.models import Organization


@transaction.atomic
def a_connection(organization: Organization, plugin: str = "fio", **fields: Any) -> PluginConfiguration:
    row = PluginConfiguration(organization=organization, plugin=plugin, **({"name": "Fio"} | fields))
    row.save()
    record(organization, SYSTEM, [created(row)])
    return row


def a_run(connection: PluginConfiguration, status: str = "completed", **fields: Any) -> SyncHistory:
    values = {"trigger": "schedule", "requested_by": "system", "status": status}
    return SyncHistory.objects.create(
        organization=connection.organization, connection=connection, **(values | fields)
    )


@transaction.atomic
def refused(connection: PluginConfiguration) -> SyncHistory:
    """What the engine leaves behind when the bank refuses the token."""
    rows = PluginConfiguration.objects.filter(pk=connection.pk)
    rows.update(state="needs_attention", next_run_at=None, failing_since=timezone.now())
    attention = changed(connection, {"state": "ok"}, {"state": "needs_attention"})
    record(connection.organization, SYSTEM, [attention])
    return a_run(
        connection,
        "failed",
        error_kind="AuthExpired",
        error_message="The credentials were refused. Enter them again.",
    )
