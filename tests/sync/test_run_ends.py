"""What becomes of a run besides its plain end: put back, given up, cancelled, replayed, taken back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.conf import settings
from django.utils import timezone

from kvit import pipeline
from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM, Actor
from kvit.kernel.errors import LeaseLost, Refused, Stale, Temporary
from kvit.ledger import posting
from kvit.ledger.models import MoneyTransaction, RawPayload
from kvit.plugin import Checkpoint, Context, Item, SourceFile, Unreadable
from kvit.sync import connections, outcomes, queue, retention, runs, workers
from kvit.sync.heartbeat import Heartbeat
from kvit.sync.models import (
    PluginConfiguration,
    QuarantinedRecord,
    RecordedAnswer,
    SyncHistory,
    WorkerPresence,
)
from kvit.users.keys import key_ring
from kvit.users.models import Organization
from tests.banks.fio import FioBank
from tests.factories import a_client, an_invoice, an_organization
from tests.sync.installation import a_connection, claimed, counts, log_of, movement, requested, sync, words
from tests.sync.invented import ACCOUNT, Play, Scripted, a_transaction, raising

pytestmark = pytest.mark.django_db(transaction=True)

OWNER = Actor(name="user:owner@example.com")
ELSEWHERE = "another-machine/0000|4711@1"
Status = SyncHistory.Status


@pytest.fixture
def organization(transactional_db: None) -> Organization:
    return an_organization()


def lapsed(run: SyncHistory) -> None:
    """Let the run's worker have died on another machine, a lease ago."""
    past = timezone.now() - timedelta(seconds=1)
    SyncHistory.objects.filter(pk=run.pk).update(lease_until=past, worker=ELSEWHERE)


def taken_over(run: SyncHistory) -> queue.Claim:
    lapsed(run)
    held = queue.claim(SyncHistory.objects.select_related("connection", "organization").get(pk=run.pk))
    assert held is not None
    return held


# Passing faults


def test_passing_faults_are_tried_again_five_times_and_then_fail_the_run(play: Play) -> None:
    connection = play(raising(Temporary("The bank sleeps.")))
    pauses = []
    for attempt in range(1, queue.MOST_ATTEMPTS):
        before = timezone.now()
        run = sync(connection)
        assert (run.status, run.attempts, words(run)) == (Status.PENDING, attempt, "The bank sleeps.")
        assert run.not_before is not None
        pauses.append(run.not_before - before)
        assert pauses[-1] <= queue.FIRST_PAUSE * 2 ** (attempt - 1) + timedelta(seconds=1)
    run = sync(connection)
    assert (run.status, run.error_kind, words(run)) == (Status.FAILED, "Temporary", "The bank sleeps.")
    assert SyncHistory.objects.count() == 1
    assert log_of(run).count("The bank sleeps.") == queue.MOST_ATTEMPTS - 1
    connection.refresh_from_db()
    assert connection.state == PluginConfiguration.State.OK
    assert connection.failing_since is not None


def test_a_failing_connection_is_tried_before_its_time_and_ever_more_rarely(play: Play) -> None:
    connection = play(raising(Temporary("The bank sleeps.")))
    far = timezone.now() + timedelta(days=3)
    for failing_for, expected in ((None, outcomes.FIRST_RETRY), (timedelta(hours=5), timedelta(hours=5))):
        since = timezone.now() - failing_for if failing_for else None
        PluginConfiguration.objects.update(next_run_at=far, failing_since=since)
        SyncHistory.objects.filter(status=Status.PENDING).update(attempts=queue.MOST_ATTEMPTS - 1)
        requested(connection)
        SyncHistory.objects.active().update(attempts=queue.MOST_ATTEMPTS - 1)
        before = timezone.now()
        assert sync(connection).status == Status.FAILED
        connection.refresh_from_db()
        assert connection.next_run_at is not None
        assert expected <= connection.next_run_at - before < expected + timedelta(minutes=1)


def test_a_success_ends_the_failing(play: Play) -> None:
    def fine(plugin: Scripted, ctx: Context) -> Iterator[Item]:
        yield ACCOUNT

    connection = play(fine)
    PluginConfiguration.objects.update(failing_since=timezone.now())
    sync(connection)
    connection.refresh_from_db()
    assert (connection.failing_since, connection.last_success_at is None) == (None, False)


# Workers that die


def test_a_run_that_kills_its_workers_fails_with_evidence(play: Play) -> None:
    connection = play(raising(Temporary()))
    run = requested(connection)
    held = claimed(connection)
    for _ in range(queue.MOST_TAKEOVERS):
        held = taken_over(run)
    pipeline.carry_out(held)
    ended = SyncHistory.objects.get(pk=run.pk)
    assert (ended.status, ended.error_kind) == (Status.FAILED, "RunPoisoned")
    assert "5 workers in a row died" in words(ended)
    assert log_of(ended).count(ELSEWHERE) == queue.MOST_TAKEOVERS
    connection.refresh_from_db()
    assert connection.state == PluginConfiguration.State.NEEDS_ATTENTION


def test_a_run_that_gets_further_or_waits_for_its_source_is_not_to_blame(play: Play) -> None:
    def one_more(plugin: Scripted, ctx: Context) -> Iterator[Item]:
        done = int(str(ctx.cursor.get("done", 0)))
        yield ACCOUNT
        yield a_transaction(f"{done}")
        yield Checkpoint({"done": done + 1})
        raise LeaseLost

    connection = play(one_more)
    run = requested(connection)
    held = claimed(connection)
    for _ in range(queue.MOST_TAKEOVERS + 2):
        pipeline.carry_out(held)
        held = taken_over(run)
        assert held.run.takeovers == 1
    for _ in range(queue.MOST_TAKEOVERS + 2):
        SyncHistory.objects.update(is_waiting=True)
        held = taken_over(run)
        assert held.run.takeovers == 1
    assert MoneyTransaction.objects.count() == queue.MOST_TAKEOVERS + 2


def test_a_busy_plugin_keeps_its_run_by_the_heartbeat(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "KVIT", replace(settings.KVIT, lease_seconds=1.0))
    seen: list[bool] = []
    started = timezone.now()
    workers.show_presence(started)

    def computes(plugin: Scripted, ctx: Context) -> Iterator[Item]:
        time.sleep(2.5)
        seen.append(SyncHistory.objects.get().is_due(timezone.now()))
        yield ACCOUNT

    assert sync(play(computes)).status == Status.COMPLETED
    assert seen == [False]
    assert WorkerPresence.objects.get().seen_at > started + timedelta(seconds=1), "it is shown at work"


def test_a_heartbeat_does_not_bring_a_lost_run_back(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "KVIT", replace(settings.KVIT, lease_seconds=1.0))
    connection = play(raising(Temporary()))
    run = requested(connection)
    first = claimed(connection)
    second = taken_over(run)
    until = SyncHistory.objects.get().lease_until
    with Heartbeat(first.run):
        time.sleep(0.8)
    assert SyncHistory.objects.get().lease_until == until
    with Heartbeat(second.run):
        time.sleep(0.8)
    assert SyncHistory.objects.get().lease_until != until


# Cancelling


def test_a_waiting_run_is_cancelled_at_once(play: Play) -> None:
    run = requested(play(raising(Temporary())))
    runs.request_cancel(run, actor=OWNER)
    ended = SyncHistory.objects.get()
    assert (ended.status, ended.error_kind) == (Status.FAILED, "Cancelled")
    assert "user:owner@example.com" in words(ended)
    with pytest.raises(Stale):
        runs.request_cancel(run, actor=OWNER)
    assert queue.claim(run) is None


def test_a_running_run_is_cancelled_and_keeps_what_it_read(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "LOOK_SECONDS", 0.0)

    def endless(plugin: Scripted, ctx: Context) -> Iterator[Item]:
        yield ACCOUNT
        for number in range(10_000):
            yield a_transaction(f"{number}")
            yield Checkpoint({"read": number})
            if number == 3:
                runs.request_cancel(SyncHistory.objects.get(), actor=OWNER)

    connection = play(endless)
    PluginConfiguration.objects.update(next_run_at=timezone.now() + timedelta(hours=1))
    run = sync(connection)
    assert (run.status, run.error_kind, run.created) == (Status.FAILED, "Cancelled", 4)
    connection.refresh_from_db()
    assert connection.cursor == {"read": 3}
    assert (connection.state, connection.failing_since) == ("ok", None)


# Replaying


def test_a_replay_asks_the_bank_nothing_and_changes_nothing(
    bank: FioBank, organization: Organization
) -> None:
    bank.add(movement(1, "5.00"), movement(2, "6.00"))
    connection = a_connection(organization, bank)
    origin = sync(connection)
    connection.refresh_from_db()
    asked, cursor = len(bank.state().requests), connection.cursor
    bank.add(movement(3, "7.00"))
    queued = runs.request_replay(origin, actor=OWNER)
    assert (queued.trigger, queued.replays_id) == ("replay", origin.pk)
    replayed = sync(connection)
    assert replayed.pk == queued.pk
    assert replayed.status == Status.COMPLETED, log_of(replayed)
    assert counts(replayed) == {"fetched": 2, "unchanged": 2}
    assert len(bank.state().requests) == asked
    assert (replayed.today, replayed.cursor_before) == (origin.today, origin.cursor_before)
    assert RecordedAnswer.objects.filter(run=replayed).count() == 0
    connection.refresh_from_db()
    assert connection.cursor == cursor
    assert not runs.can_replay(replayed)


def test_a_replay_waits_for_no_other_run_and_needs_something_recorded(
    bank: FioBank, organization: Organization
) -> None:
    connection = a_connection(organization, bank)
    origin = sync(connection)
    requested(connection)
    with pytest.raises(Refused, match="under way"):
        runs.request_replay(origin, actor=OWNER)
    SyncHistory.objects.active().update(status=Status.COMPLETED)
    origin.answers.all().delete()
    with pytest.raises(Refused, match="no longer kept"):
        runs.request_replay(origin, actor=OWNER)


def test_records_set_aside_are_read_by_a_replay_once_the_plugin_can(play: Play) -> None:
    def old(plugin: Scripted, ctx: Context) -> Iterator[Item]:
        plugin.http_answers = len(ctx.files)  # type: ignore[attr-defined]  # proves that the files come again
        yield ACCOUNT
        yield a_transaction("1")
        yield Unreadable(reason="an unknown kind", external_id="2", raw={"kind": "new"})
        yield Unreadable(reason="nonsense", external_id="3", raw={"kind": "?"})

    def new(plugin: Scripted, ctx: Context) -> Iterator[Item]:
        assert [file.data for file in ctx.files] == [b"the file"]
        yield ACCOUNT
        yield a_transaction("1")
        yield a_transaction("2", "20.00")
        yield Unreadable(reason="nonsense", external_id="3", raw={"kind": "?"})

    connection = play(old)
    handed = [SourceFile(name="a.txt", data=b"the file")]
    connections.request_run(connection, SyncHistory.Trigger.IMPORT, actor=SYSTEM, handed=handed)
    origin = sync(connection)
    assert (origin.created, origin.quarantined) == (1, 2)
    play(new)
    runs.request_replay(origin, actor=OWNER)
    replayed = sync(connection)
    assert counts(replayed) == {"fetched": 3, "created": 1, "unchanged": 1, "quarantined": 1}
    records = {row.external_id: row for row in QuarantinedRecord.objects.all()}
    assert records["2"].resolved_run_id == replayed.pk
    assert (records["3"].resolved_at, len(records)) == (None, 2)


# Taking back


def test_a_run_is_taken_back_whole_and_comes_again_with_the_next_sync(
    bank: FioBank, organization: Organization
) -> None:
    bank.add(movement(1, "5.00", days_ago=60), movement(2, "6.00"))
    connection = a_connection(organization, bank)
    run = sync(connection)
    reverted = runs.revert(run, actor=OWNER)
    assert (reverted.withdrawn, reverted.restored) == (2, 0)
    assert set(MoneyTransaction.objects.values_list("status", flat=True)) == {"withdrawn"}
    run.refresh_from_db()
    connection.refresh_from_db()
    assert (run.reverted_by, connection.cursor) == (OWNER.name, {})
    with pytest.raises(Stale):
        runs.revert(run, actor=OWNER)
    again = sync(connection)
    assert counts(again) == {"fetched": 2, "updated": 2}
    assert set(MoneyTransaction.objects.values_list("status", flat=True)) == {"booked"}
    assert MoneyTransaction.objects.count() == 2


def test_a_run_whose_money_pays_an_invoice_is_not_taken_back(
    bank: FioBank, organization: Organization
) -> None:
    invoice = an_invoice(a_client(organization), "1210.00 CZK", symbol="42")
    bank.add(movement(1, "1210.00", variable_symbol="42"), movement(2, "6.00"))
    run = sync(a_connection(organization, bank))
    invoice.refresh_from_db()
    assert invoice.state == "paid"
    with pytest.raises(Refused):
        runs.revert(run, actor=OWNER)
    run.refresh_from_db()
    assert run.reverted_at is None
    assert set(MoneyTransaction.objects.values_list("status", flat=True)) == {"booked"}


# Keeping and forgetting


def test_what_sources_told_is_forgotten_after_its_days_and_that_is_audited(
    bank: FioBank, organization: Organization
) -> None:
    bank.add(movement(1, "5.00"))
    run = sync(a_connection(organization, bank))
    assert retention.purge(timezone.now()) == 0
    later = timezone.now() + timedelta(days=settings.KVIT.raw_days, minutes=1)
    assert retention.purge(later) == 2
    assert retention.purge(later) == 0
    assert {bytes(row.sealed) for row in RawPayload.objects.all()} == {b""}
    assert {bytes(row.sealed) for row in RecordedAnswer.objects.all()} == {b""}
    assert not runs.can_replay(run)
    row = MoneyTransaction.objects.get()
    assert row.amount_minor == 500
    assert posting.raw_record(row, key_ring(organization)) is None
    purged = AuditEntry.objects.filter(action="deleted", reason__contains="KVIT_RAW_DAYS")
    assert sorted(purged.values_list("table", flat=True)) == ["ledger_rawpayload", "sync_recordedanswer"]


def test_a_replay_of_what_is_half_forgotten_is_refused(
    bank: FioBank, organization: Organization, install: Callable[..., None]
) -> None:
    bank.add(replace(movement(1, "5.00"), amount=Decimal("5.001")))
    run = sync(a_connection(organization, bank))
    assert run.quarantined == 1
    retention.purge(timezone.now() + timedelta(days=settings.KVIT.raw_days, minutes=1))
    assert {len(bytes(row.sealed)) > 0 for row in QuarantinedRecord.objects.all()} == {True}
    with pytest.raises(Refused):
        runs.request_replay(run, actor=OWNER)
