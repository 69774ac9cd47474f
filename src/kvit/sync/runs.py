"""What a person does with a run: cancel it, replay what its source answered, take back what it did."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.utils import timezone

from kvit.audit.recording import Actor
from kvit.kernel.errors import Cancelled, Refused, Stale
from kvit.ledger import reverting
from kvit.sync.models import PluginConfiguration, SyncHistory


def request_cancel(run: SyncHistory, *, actor: Actor) -> None:
    """Ask an active run to end: a waiting one ends at once, a running one within seconds.

    What it has read stays. Raises Stale where the run has ended already.
    """
    now = timezone.now()
    rows = SyncHistory.objects.filter(pk=run.pk)
    ended = Cancelled(who=actor.name)
    waiting = rows.filter(status=SyncHistory.Status.PENDING).update(
        status=SyncHistory.Status.FAILED,
        finished_at=now,
        cancel_requested_at=now,
        cancel_requested_by=actor.name,
        error_kind=type(ended).__name__,
        error_message=ended.message,
        error_params=ended.params,
    )
    if not waiting and not rows.filter(status=SyncHistory.Status.RUNNING).update(
        cancel_requested_at=now, cancel_requested_by=actor.name
    ):
        raise Stale("This sync has ended already.")


def can_replay(run: SyncHistory) -> bool:
    """Whether the run has ended and what its source answered, or the files it read, are still kept."""
    if run.is_active or run.replays_id is not None:
        return False
    return run.answers.exclude(sealed=b"").exists() or run.files.exclude(sealed=b"").exists()


def request_replay(run: SyncHistory, *, actor: Actor) -> SyncHistory:
    """Queue a run that reads the recorded answers of an ended one again, with the plugin as it is now.

    What is stored already stays as it is; records set aside then are tried again. Raises Refused where
    nothing is recorded any more, or another run of the connection is active.
    """
    if not can_replay(run):
        raise Refused("What the source answered in this sync is no longer kept, so it cannot be replayed.")
    try:
        with transaction.atomic():
            return SyncHistory.objects.create(
                organization_id=run.organization_id,
                connection_id=run.connection_id,
                trigger=SyncHistory.Trigger.REPLAY,
                requested_by=actor.name,
                replays=run,
            )
    except IntegrityError:
        raise Refused("Another sync of this connection is under way. Try again when it has ended.") from None


def revert(run: SyncHistory, *, actor: Actor) -> reverting.Reverted:
    """Take back everything an ended run brought and changed, all of it or nothing.

    The connection reads again from where the run had begun, so what the bank still tells comes again.
    Raises Refused where something of it is settled or was changed since, and Stale where it was reverted.
    """
    with transaction.atomic():
        marked = SyncHistory.objects.filter(pk=run.pk, reverted_at__isnull=True).exclude(
            status__in=SyncHistory.ACTIVE
        )
        if not marked.update(reverted_at=timezone.now(), reverted_by=actor.name):
            raise Stale("This sync is under way or was reverted already.")
        reverted = reverting.revert(run.organization, run.pk, actor=actor)
        if run.replays_id is None:
            PluginConfiguration.objects.filter(pk=run.connection_id).update(cursor=run.cursor_before)
        return reverted
