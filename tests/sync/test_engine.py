from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from kvit import pipeline
from kvit.audit.models import AuditEntry
from kvit.kernel.errors import AuthExpired, Misconfigured, PluginError, RateLimited
from kvit.ledger.models import MoneyTransaction, TransactionConflict
from kvit.plugin import Account, Checkpoint, Context, Gone, Item, Unreadable
from kvit.sync import queue, writing
from kvit.sync.models import PluginConfiguration, QuarantinedRecord, SourceAccount, SyncHistory
from kvit.users.models import Organization
from tests.banks.fio import Fault, FioBank, generated
from tests.factories import a_client, an_invoice, an_organization
from tests.sync.installation import (
    a_connection,
    a_token,
    change_settings,
    claimed,
    counts,
    log_of,
    movement,
    replace_token,
    requested,
    stored,
    sync,
    today,
    told,
    words,
)
from tests.sync.invented import ACCOUNT, TOKEN, Play, Scripted, a_transaction, raising

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def organization(transactional_db: None) -> Organization:
    return an_organization()


def created_entries() -> int:
    return AuditEntry.objects.filter(table="ledger_moneytransaction", action="created").count()


# A run from end to end


def test_a_second_sync_creates_and_changes_nothing(bank: FioBank, organization: Organization) -> None:
    bank.add(*generated(seed=5, count=150, last_day=today(), days=60))
    connection = a_connection(organization, bank)
    first = sync(connection)
    assert first.status == SyncHistory.Status.COMPLETED
    assert counts(first) == {"fetched": 150, "created": 150}
    assert stored(organization) == told(bank.movements())
    entries = AuditEntry.objects.filter(run_id=first.pk)
    assert entries.filter(table="ledger_moneytransaction", action="created").count() == 150
    assert entries.filter(table="ledger_bankaccount").count() == 1
    assert set(entries.filter(table="ledger_moneytransaction").values_list("actor", flat=True)) == {
        "plugin:fio@1.0"
    }
    before = AuditEntry.objects.count()
    rows = list(MoneyTransaction.objects.order_by("pk").values())
    within_overlap = sum(row.booked_on >= today() - timedelta(days=14) for row in bank.movements())
    second = sync(connection)
    assert counts(second) == {"fetched": within_overlap, "unchanged": within_overlap}
    assert AuditEntry.objects.count() == before
    assert list(MoneyTransaction.objects.order_by("pk").values()) == rows


def test_a_completed_run_says_when_by_whom_and_plans_the_next(
    bank: FioBank, organization: Organization
) -> None:
    connection = a_connection(organization, bank)
    before = timezone.now()
    run = sync(connection)
    assert run.started_at is not None
    assert run.finished_at is not None
    assert before <= run.started_at <= run.finished_at
    assert (run.plugin_version, run.requested_by, run.worker, run.lease_until) == ("1.0", "system", "", None)
    connection.refresh_from_db()
    assert connection.cursor["synced_through"] == today().isoformat()
    assert connection.next_run_at is not None
    assert before < connection.next_run_at < before + timedelta(hours=5)
    assert connection.last_success_at is not None
    assert run.started_at < connection.last_success_at
    assert connection.failing_since is None


def test_a_synced_payment_pays_its_invoice_in_the_same_run(bank: FioBank, organization: Organization) -> None:
    connection = a_connection(organization, bank)
    sync(connection)
    invoice = an_invoice(a_client(organization), "1210.00 CZK", symbol="42")
    bank.add(movement(7, "1210.00", variable_symbol="0042"))
    run = sync(connection)
    invoice.refresh_from_db()
    assert (invoice.state, invoice.paid_on) == ("paid", today() - timedelta(days=3))
    assert AuditEntry.objects.filter(table="invoices_settlement", run_id=run.pk).count() == 1


def test_details_that_come_later_are_updates_with_their_audit(
    bank: FioBank, organization: Organization
) -> None:
    bank.add(movement(1, "5.00"), movement(2, "6.00"))
    connection = a_connection(organization, bank)
    sync(connection)
    bank.load(today=today(), interval_seconds=0)
    bank.add(movement(1, "5.00", variable_symbol="77"), movement(2, "6.00"))
    run = sync(connection)
    assert counts(run) == {"fetched": 2, "updated": 1, "unchanged": 1}
    entry = AuditEntry.objects.get(run_id=run.pk, action="changed")
    symbols = [(facts or {}).get("variable_symbol") for facts in (entry.before, entry.after)]
    assert symbols == ["", "77"]


def test_other_facts_about_a_booked_movement_are_a_conflict_and_no_update(
    bank: FioBank, organization: Organization
) -> None:
    bank.add(movement(1, "5.00"), movement(2, "6.00"))
    connection = a_connection(organization, bank)
    sync(connection)
    bank.load(today=today(), interval_seconds=0)
    bank.add(movement(1, "500.00"), movement(2, "6.00"), movement(3, "7.00"))
    for created in (1, 0):
        run = sync(connection)
        assert run.status == SyncHistory.Status.COMPLETED
        assert (run.conflicting, run.created, run.updated) == (1, created, 0)
    assert MoneyTransaction.objects.get(external_id="1").amount_minor == 500
    conflict = TransactionConflict.objects.get()
    assert (conflict.transaction.external_id, conflict.amount_minor) == ("1", 50_000)


# What the bank answers


def test_a_token_the_bank_no_longer_knows_needs_a_person(bank: FioBank, organization: Organization) -> None:
    bank.add(movement(1, "5.00"))
    connection = a_connection(organization, bank)
    replace_token(connection, a_token(13))
    run = sync(connection)
    assert (run.status, run.error_kind) == (SyncHistory.Status.FAILED, "AuthExpired")
    assert "Make a new one in the internet banking" in words(run)
    connection.refresh_from_db()
    assert connection.state == PluginConfiguration.State.NEEDS_ATTENTION
    assert (connection.next_run_at, connection.cursor) == (None, {})
    assert not MoneyTransaction.objects.exists()


PAGE = Fault(kind="answer", content_type="text/html", body="<html>Plánovaná odstávka</html>")
XML = Fault(
    kind="answer",
    status=500,
    content_type="text/xml",
    body="<response><result><errorCode>21</errorCode><status>error</status></result></response>",
)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(kind="cut"), "was cut off"),
        (Fault(kind="cut_json"), "damaged or cut off"),
        (Fault(kind="reset"), "failed (ReadError)"),
        (PAGE, "a page instead of movements"),
        (XML, "its error 21"),
        (Fault(kind="answer", status=503), "status 503"),
    ],
    ids=["cut", "cut json", "reset", "html", "500 errorCode", "503"],
)
def test_a_damaged_answer_puts_the_run_back_in_words_moves_nothing_and_is_made_good_later(
    bank: FioBank, organization: Organization, fault: Fault, says: str
) -> None:
    connection = a_connection(organization, bank)
    bank.add(movement(1, "5.00"), movement(2, "6.00"))
    bank.fail(*[fault] * 3)
    before = timezone.now()
    run = sync(connection)
    assert (run.status, run.error_kind, run.attempts) == (SyncHistory.Status.PENDING, "Temporary", 1)
    assert says in words(run)
    assert counts(run) == {}
    assert run.not_before is not None
    assert before <= run.not_before <= timezone.now() + queue.FIRST_PAUSE
    connection.refresh_from_db()
    assert (connection.state, connection.cursor) == (PluginConfiguration.State.OK, {})
    assert not MoneyTransaction.objects.exists()
    bank.recover()
    again = sync(connection)
    assert (again.pk, counts(again)) == (run.pk, {"fetched": 2, "created": 2})
    assert (again.status, again.error_kind) == (SyncHistory.Status.COMPLETED, "")


def test_what_was_committed_before_a_fault_stays_and_the_next_sync_goes_on_from_there(
    bank: FioBank, organization: Organization
) -> None:
    movements = [movement(100 + number, "5.00", days_ago=number) for number in range(0, 80, 4)]
    bank.add(*movements)
    bank.change(largest_answer=11)
    connection = a_connection(organization, bank)
    bank.fail(Fault(kind="slow", times=3), Fault(kind="cut_json"))
    run = sync(connection)
    assert run.status == SyncHistory.Status.PENDING
    assert 0 < run.created < len(movements)
    assert run.created == MoneyTransaction.objects.count() == created_entries()
    connection.refresh_from_db()
    assert connection.cursor["synced_through"] < today().isoformat()
    again = sync(connection)
    assert again.pk == run.pk
    assert again.created == len(movements) == created_entries()
    assert stored(organization) == told(bank.movements())


def test_a_token_used_elsewhere_too_puts_the_run_back_until_the_bank_allows_it(
    bank: FioBank, organization: Organization
) -> None:
    connection = a_connection(organization, bank)
    bank.fail(Fault(kind="answer", status=409, times=3))
    before = timezone.now()
    run = sync(connection)
    assert run.status == SyncHistory.Status.PENDING
    assert run.not_before is not None
    assert run.not_before > before + timedelta(minutes=1)
    assert (run.lease_until, run.worker, run.finished_at, run.error_kind) == (None, "", None, "RateLimited")
    assert "Make a token for Kvit alone" in words(run)
    assert run.attempts == 0, "it is no fault"
    connection.refresh_from_db()
    assert connection.state == PluginConfiguration.State.OK
    assert requested(connection).pk == run.pk
    assert sync(connection).status == SyncHistory.Status.COMPLETED
    assert SyncHistory.objects.count() == 1


def test_a_single_409_is_waited_out(bank: FioBank, organization: Organization) -> None:
    bank.add(movement(1, "5.00"))
    connection = a_connection(organization, bank)
    bank.fail(Fault(kind="answer", status=409, times=2))
    assert counts(sync(connection)) == {"fetched": 1, "created": 1}


def test_a_run_that_cannot_wait_for_the_gate_is_deferred(bank: FioBank, organization: Organization) -> None:
    connection = a_connection(organization, bank)
    change_settings(connection, token_interval_seconds=600)
    assert sync(connection).status == SyncHistory.Status.COMPLETED
    asked = len(bank.state().requests)
    run = sync(connection, patience=timedelta(seconds=1))
    assert run.status == SyncHistory.Status.PENDING
    assert run.not_before is not None
    assert run.not_before > timezone.now() + timedelta(minutes=5)
    assert "one request every 600 seconds" in words(run)
    assert len(bank.state().requests) == asked


def test_an_unreadable_record_is_put_aside_once_and_the_others_go_on(
    bank: FioBank, organization: Organization
) -> None:
    broken = replace(movement(2, "6.00"), amount=Decimal("6.005"))
    bank.add(movement(1, "5.00"), broken, movement(3, "7.00"))
    connection = a_connection(organization, bank)
    for created in (2, 0, 0):
        run = sync(connection)
        assert run.status == SyncHistory.Status.COMPLETED
        assert (run.fetched, run.created, run.quarantined) == (3, created, 1)
    record = QuarantinedRecord.objects.get()
    assert (record.external_id, record.connection) == ("2", connection)
    assert record.reason
    assert b"6.005" not in bytes(record.sealed)
    assert sorted(MoneyTransaction.objects.values_list("external_id", flat=True)) == ["1", "3"]


# What a plugin does wrong


def test_a_record_that_does_not_hold_together_is_put_aside_alone(
    play: Play, organization: Organization
) -> None:
    bad: list[Item] = [
        a_transaction("float", amount=1.5),
        a_transaction("", amount="1.00"),
        a_transaction("stranger", account_id="2"),
        a_transaction("euro", currency="EUR"),
        a_transaction("day", booked_on="31. 2. 2026"),
        a_transaction("nul", booked_on="2026\x00"),
        a_transaction("half", amount="1\ud800"),
        a_transaction("odd raw", amount="x", raw={"half": "\ud800", ("a", "b"): {1, 2}}),
        Unreadable(reason=f"odd \x00 \ud83d {TOKEN}", external_id="\x00"),
    ]

    def script(plugin: Scripted, ctx: Context) -> Iterator[Item]:
        yield ACCOUNT
        yield a_transaction("good")
        yield from bad
        yield a_transaction("better")

    connection = play(script)
    run = sync(connection)
    assert run.status == SyncHistory.Status.COMPLETED, log_of(run)
    assert counts(run) == {"fetched": len(bad) + 2, "created": 2, "quarantined": len(bad)}
    assert sync(connection).quarantined == QuarantinedRecord.objects.count() == len(bad)
    reasons = " ".join(QuarantinedRecord.objects.values_list("reason", flat=True))
    assert TOKEN not in reasons
    assert "odd  ? ***" in reasons


def test_a_plugins_bug_ends_the_run_with_its_trace_and_without_its_secret(
    play: Play, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def script(plugin: Scripted, ctx: Context) -> Iterator[Item]:
        yield ACCOUNT
        yield a_transaction("1")
        ctx.log(f"asking with {TOKEN}")
        try:
            raise ConnectionError(f"https://bank.example/{TOKEN}/list")
        except ConnectionError as error:
            raise ZeroDivisionError({"token": TOKEN}) from error

    connection = play(script)
    run = sync(connection)
    assert (run.status, run.error_kind) == (SyncHistory.Status.FAILED, "PluginCrashed")
    assert "ZeroDivisionError" in words(run)
    assert "Traceback" in log_of(run)
    assert "asking with ***" in log_of(run)
    assert "https://bank.example/***/list" in log_of(run)
    printed = capsys.readouterr()
    said = log_of(run) + words(run) + printed.out + printed.err + caplog.text
    assert TOKEN not in said
    assert repr(TOKEN)[1:-1] not in said
    assert not MoneyTransaction.objects.exists()
    connection.refresh_from_db()
    assert (connection.state, connection.cursor) == (PluginConfiguration.State.OK, {})
    assert connection.next_run_at is not None


@pytest.mark.parametrize(
    ("error", "needs_attention"),
    [
        (AuthExpired(f"No: {TOKEN}"), True),
        (Misconfigured("No: {what}", what=TOKEN, field="token"), True),
        (PluginError(f'The bank said {{"error": 1}} and {TOKEN}'), False),
        (PluginError("The bank said {} and \x00 and \ud800"), False),
        (SystemExit(f"No: {TOKEN}"), False),
        (KeyError(TOKEN), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_whatever_a_plugin_raises_the_run_ends_with_readable_words(
    play: Play, error: Exception, needs_attention: bool
) -> None:
    connection = play(raising(error))
    run = sync(connection)
    assert run.status == SyncHistory.Status.FAILED
    assert run.error_message
    assert TOKEN not in f"{run.error_message} {run.error_params} {run.log}"
    assert TOKEN.replace("\\", "\\\\") not in f"{run.error_message} {run.error_params} {run.log}"
    connection.refresh_from_db()
    assert (connection.state == PluginConfiguration.State.NEEDS_ATTENTION) == needs_attention


@pytest.mark.parametrize("asked", [timedelta.max, 60, datetime.max.replace(tzinfo=UTC), timedelta(days=90)])
def test_a_source_that_asks_for_ages_is_asked_again_tomorrow(play: Play, asked: Any) -> None:
    run = sync(play(raising(RateLimited(asked))))
    assert run.status == SyncHistory.Status.PENDING
    assert run.not_before is not None
    assert timedelta(hours=23) < run.not_before - timezone.now() <= timedelta(days=1)


def test_sync_must_be_a_generator(play: Play) -> None:
    def script(plugin: Scripted, ctx: Context) -> Iterator[Item]:
        return [ACCOUNT, a_transaction("1")]  # type: ignore[return-value]  # the mistake that is tested

    run = sync(play(script))
    assert run.status == SyncHistory.Status.FAILED
    assert "use yield" in log_of(run)
    assert not MoneyTransaction.objects.exists()


def test_a_cursor_that_cannot_be_stored_takes_its_records_back(play: Play) -> None:
    def script(plugin: Scripted, ctx: Context) -> Iterator[Item]:
        yield ACCOUNT
        yield a_transaction("1")
        yield Checkpoint({"day": 1})
        yield a_transaction("2")
        yield Checkpoint({"day": date(2026, 11, 2)})  # type: ignore[dict-item]  # the mistake that is tested

    connection = play(script)
    run = sync(connection)
    assert (run.status, run.error_kind) == (SyncHistory.Status.FAILED, "PluginCrashed")
    connection.refresh_from_db()
    assert connection.cursor == {"day": 1}
    assert (run.created, MoneyTransaction.objects.count(), created_entries()) == (1, 1, 1)


def test_what_was_logged_before_a_batch_was_taken_back_is_kept(play: Play) -> None:
    def script(plugin: Scripted, ctx: Context) -> Iterator[Item]:
        ctx.log("before")
        yield Account(external_id="1", name="Own", currency="crowns")
        yield Checkpoint({})

    run = sync(play(script))
    assert run.status == SyncHistory.Status.FAILED
    assert "“crowns” is not a currency code" in words(run)
    assert "before" in log_of(run)
    assert not SourceAccount.objects.exists()


def test_records_without_a_checkpoint_are_stored_and_the_cursor_stays(play: Play) -> None:
    def script(plugin: Scripted, ctx: Context) -> Iterator[Item]:
        assert ctx.cursor == {}
        yield ACCOUNT
        for number in range(writing.BATCH_RECORDS + 5):
            yield a_transaction(f"{number}")
        yield a_transaction("waiting", status="pending")
        yield Gone(external_id="never seen", account_id="1")

    connection = play(script)
    for _ in range(2):
        run = sync(connection)
        assert run.status == SyncHistory.Status.COMPLETED, log_of(run)
        assert run.created + run.unchanged == run.fetched == writing.BATCH_RECORDS + 6
    connection.refresh_from_db()
    assert connection.cursor == {}
    assert MoneyTransaction.objects.count() == writing.BATCH_RECORDS + 6 == created_entries()


def test_a_pending_movement_that_is_gone_is_withdrawn_and_audited(play: Play) -> None:
    def appear(plugin: Scripted, ctx: Context) -> Iterator[Item]:
        yield ACCOUNT
        yield a_transaction("1", status="pending")
        yield a_transaction("2")

    def vanish(plugin: Scripted, ctx: Context) -> Iterator[Item]:
        yield ACCOUNT
        yield Gone(external_id="1", account_id="1")
        yield Gone(external_id="2", account_id="1")

    sync(play(appear))
    run = sync(play(vanish))
    assert run.status == SyncHistory.Status.COMPLETED
    assert dict(MoneyTransaction.objects.values_list("external_id", "status")) == {
        "1": "withdrawn",
        "2": "booked",
    }
    entries = AuditEntry.objects.filter(run_id=run.pk, table="ledger_moneytransaction", action="changed")
    assert list(entries.values_list("before__status", "after__status")) == [("pending", "withdrawn")]


def test_the_network_is_refused_inside_a_transaction(play: Play) -> None:
    def script(plugin: Scripted, ctx: Context) -> Iterator[Item]:
        yield ACCOUNT
        with transaction.atomic():
            plugin.http.get("https://bank.example/")

    run = sync(play(script))
    assert run.status == SyncHistory.Status.FAILED
    assert "never used inside a database transaction" in log_of(run)


def test_a_lost_run_is_left_to_the_worker_that_has_it(play: Play) -> None:
    def script(plugin: Scripted, ctx: Context) -> Iterator[Item]:
        yield ACCOUNT
        yield a_transaction("1")
        SyncHistory.objects.update(fence=99)
        yield Checkpoint({"far": "away"})

    connection = play(script)
    held = claimed(connection)
    pipeline.carry_out(held)
    run = SyncHistory.objects.get()
    assert (run.status, run.fence, run.created) == (SyncHistory.Status.RUNNING, 99, 0)
    connection.refresh_from_db()
    assert connection.cursor == {}
    assert not MoneyTransaction.objects.exists()
    assert not AuditEntry.objects.filter(run_id=run.pk).exists()


@pytest.mark.parametrize("error", [RateLimited(timedelta(seconds=1)), AuthExpired(), ZeroDivisionError()])
def test_a_lost_run_is_not_ended_by_its_former_worker(play: Play, error: Exception) -> None:
    def script(plugin: Scripted, ctx: Context) -> Iterator[Item]:
        yield ACCOUNT
        SyncHistory.objects.update(fence=99)
        raise error

    connection = play(script)
    pipeline.carry_out(claimed(connection))
    run = SyncHistory.objects.get()
    assert (run.status, run.error_kind) == (SyncHistory.Status.RUNNING, "")
    connection.refresh_from_db()
    assert connection.state == PluginConfiguration.State.OK


def test_a_stopping_worker_gives_its_run_back_whole(play: Play) -> None:
    taken = 0

    def script(plugin: Scripted, ctx: Context) -> Iterator[Item]:
        nonlocal taken
        yield ACCOUNT
        for number in range(int(str(ctx.cursor.get("next", 0))), 6):
            yield a_transaction(f"{number}")
            yield Checkpoint({"next": number + 1})
            taken += 1

    connection = play(script)
    run = sync(connection, should_stop=lambda: taken >= 3)
    assert (run.status, run.lease_until, run.worker) == (SyncHistory.Status.PENDING, None, "")
    assert "goes on with the next one" in log_of(run)
    assert 3 <= run.created < 6
    again = sync(connection)
    assert (again.pk, again.status, again.created) == (run.pk, SyncHistory.Status.COMPLETED, 6)
    assert created_entries() == 6


def test_a_worker_stops_while_it_waits_for_a_gate(bank: FioBank, organization: Organization) -> None:
    connection = a_connection(organization, bank)
    change_settings(connection, token_interval_seconds=2)
    sync(connection)
    asked = len(bank.state().requests)
    run = sync(connection, should_stop=lambda: True)
    assert run.status == SyncHistory.Status.PENDING
    assert len(bank.state().requests) == asked
