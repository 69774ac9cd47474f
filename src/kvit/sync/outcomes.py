"""What the end of a run means for its connection: its state, its next run and since when it fails."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from kvit.audit.recording import Actor, changed, record
from kvit.sync import schedule
from kvit.sync.models import PluginConfiguration, SyncHistory

FIRST_RETRY: Final = timedelta(minutes=15)

State = PluginConfiguration.State


def succeeded(run: SyncHistory) -> None:
    """Note that the connection works; called in the transaction that completes the run.

    A time that had come before the run started is served by it; one that came meanwhile is not.
    """
    now = timezone.now()
    connection = PluginConfiguration.objects.get(pk=run.connection_id)
    _set_state(connection, State.OK, run)
    row = PluginConfiguration.objects.filter(pk=connection.pk)
    row.update(last_success_at=now, failing_since=None)
    row.filter(Q(next_run_at__isnull=True) | Q(next_run_at__lte=run.started_at)).update(
        next_run_at=schedule.next_run_at(connection, now)
    )


def failed(run: SyncHistory, *, needs_attention: bool) -> None:
    """Note since when the connection fails; called in the transaction that fails the run.

    The schedule pauses where a person must act; else the next try comes before its time, at first after a
    quarter of an hour and then after as long as the connection has been failing.
    """
    now = timezone.now()
    connection = PluginConfiguration.objects.get(pk=run.connection_id)
    row = PluginConfiguration.objects.filter(pk=connection.pk)
    row.update(failing_since=Coalesce("failing_since", now))
    if needs_attention and not _entered_again(connection, run):
        _set_state(connection, State.NEEDS_ATTENTION, run)
        row.update(next_run_at=None)
    elif not schedule.accepts_files(connection):
        row.filter(next_run_at__gt=_retry_at(connection, now)).update(next_run_at=_retry_at(connection, now))


def _retry_at(connection: PluginConfiguration, now: datetime) -> datetime:
    failing_for = now - (connection.failing_since or now)
    return now + max(FIRST_RETRY, failing_for)


def _entered_again(connection: PluginConfiguration, run: SyncHistory) -> bool:
    """Whether a person has changed the connection since the run read it: then it is not known to be bad."""
    seen = run.connection
    return connection.settings != seen.settings or bytes(connection.credentials_sealed or b"") != bytes(
        seen.credentials_sealed or b""
    )


def _set_state(connection: PluginConfiguration, state: State, run: SyncHistory) -> None:
    """Change the state with its audit entry; where a person changed it just now, theirs stands."""
    before = connection.state
    unchanged = PluginConfiguration.objects.filter(pk=connection.pk, state=before)
    if before != state and unchanged.update(state=state):
        actor = Actor(name="system", run_id=run.pk)
        record(run.organization, actor, [changed(connection, {"state": before}, {"state": state.value})])
