from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import IntegrityError, OperationalError, transaction
from django.db import connection as database
from django.utils import timezone

from kvit import tasks
from kvit.audit.recording import SYSTEM
from kvit.kernel.errors import LeaseLost, RateLimited, Refused
from kvit.plugin import SourceFile
from kvit.sync import connections, queue, schedule
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.sync.workers import is_left_behind
from kvit.users.models import Organization
from tests.factories import an_organization
from tests.sync.installation import claimed, log_of, requested

pytestmark = pytest.mark.django_db(transaction=True)

ELSEWHERE = "another-machine/0000|4711@1"


def a_connection(organization: Organization | None = None, **fields: object) -> PluginConfiguration:
    owner = organization or an_organization()
    number = PluginConfiguration.objects.count()
    values: dict[str, object] = {"plugin": "fio", "name": f"Fio {number}"}
    return PluginConfiguration.objects.create(organization=owner, **(values | fields))


def defer(held: queue.Claim, delay: timedelta = timedelta(0)) -> None:
    held.defer(timezone.now() + delay, RateLimited(delay, "Wait."))


def at_once[T](times: int, act: Callable[[int], T]) -> list[T]:
    """Call `act` in that many threads, all at the same moment."""
    together = threading.Barrier(times)

    def run(number: int) -> T:
        try:
            together.wait()
            return act(number)
        finally:
            database.close()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(run, range(times)))


def test_of_two_workers_one_claims_and_the_older_fence_writes_nothing() -> None:
    run = requested(a_connection())
    seen = [SyncHistory.objects.get(pk=run.pk) for _ in range(2)]
    first = queue.claim(seen[0])
    assert first is not None
    assert queue.claim(seen[1]) is None
    past = timezone.now() - timedelta(seconds=1)
    SyncHistory.objects.update(lease_until=past, worker=ELSEWHERE)
    second = queue.claim(SyncHistory.objects.get(pk=run.pk))
    assert second is not None
    assert second.run.fence == first.run.fence + 1
    first.note("from the older one")
    for act in (first.renew, first.complete, first.give_back, lambda: defer(first)):
        with pytest.raises(LeaseLost):
            act()
    with pytest.raises(LeaseLost):
        first.fail(Refused(), needs_attention=True)
    second.complete()
    ended = SyncHistory.objects.get(pk=run.pk)
    assert ended.status == SyncHistory.Status.COMPLETED
    assert "stopped without finishing" in log_of(ended)
    assert "older one" not in log_of(ended)
    assert ended.connection.state == PluginConfiguration.State.OK


def test_many_threads_claim_a_run_once() -> None:
    run = requested(a_connection())
    claims = at_once(6, lambda _number: queue.claim(SyncHistory.objects.get(pk=run.pk)))
    assert sum(held is not None for held in claims) == 1
    assert SyncHistory.objects.get(pk=run.pk).fence == 1


def test_a_run_held_elsewhere_is_taken_over_only_after_its_lease() -> None:
    held = claimed(a_connection())
    SyncHistory.objects.update(worker=ELSEWHERE)
    assert queue.due_runs(timezone.now()) == []
    assert queue.claim(SyncHistory.objects.get()) is None
    assert held.run.lease_until is not None
    assert [run.pk for run in queue.due_runs(held.run.lease_until + timedelta(seconds=1))] == [held.run.pk]


def test_a_run_of_a_living_process_of_this_machine_is_not_left_behind() -> None:
    held = claimed(a_connection())
    run = SyncHistory.objects.get(pk=held.run.pk)
    assert not is_left_behind(run)
    name, _, _started = run.worker.rpartition("@")
    if not _started:
        pytest.skip("this system does not tell when a process started")
    run.worker = f"{name}@1"
    assert is_left_behind(run), "the process id was given to another process meanwhile"


def test_a_connection_has_one_active_run() -> None:
    connection = a_connection()
    run = requested(connection)
    again = [requested(connection).pk for _ in range(2)]
    assert again == [run.pk, run.pk]
    with pytest.raises(IntegrityError), transaction.atomic():
        SyncHistory.objects.create(
            organization=connection.organization, connection=connection, trigger="manual", status="running"
        )
    runs = at_once(4, lambda _number: requested(PluginConfiguration.objects.get()).pk)
    assert set(runs) == {run.pk}
    SyncHistory.objects.update(status=SyncHistory.Status.COMPLETED)
    runs = at_once(4, lambda _number: requested(PluginConfiguration.objects.get()).pk)
    assert len(set(runs)) == 1
    assert SyncHistory.objects.count() == 2


def test_files_are_not_dropped_where_a_run_is_active() -> None:
    connection = a_connection(plugin="statement_file")
    requested(connection)
    with pytest.raises(Refused, match="Another import is under way"):
        connections.request_run(
            connection, SyncHistory.Trigger.IMPORT, actor=SYSTEM, handed=[SourceFile(name="a", data=b"x")]
        )


def test_a_run_put_off_waits_for_its_time() -> None:
    connection = a_connection()
    defer(claimed(connection), timedelta(minutes=2))
    now = timezone.now()
    assert queue.due_runs(now) == []
    assert queue.claim(SyncHistory.objects.get()) is None
    assert len(queue.due_runs(now + timedelta(minutes=3))) == 1


def test_the_log_of_a_run_is_bounded() -> None:
    held = claimed(a_connection())
    for number in range(queue.LONGEST_LOG_LINES + 50):
        held.note(f"line {number}")
    held.renew()
    run = SyncHistory.objects.get()
    assert len(run.log) == queue.LONGEST_LOG_LINES
    assert run.log[-1]["text"] == f"line {queue.LONGEST_LOG_LINES + 49}"


def test_a_database_away_for_a_moment_does_not_end_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    seen: list[int] = []

    def away(now: object) -> int:
        seen.append(len(seen))
        if len(seen) == 3:
            stop.set()
        raise OperationalError("database is locked")

    monkeypatch.setattr(schedule, "enqueue_due", away)
    monkeypatch.setattr(tasks, "POLL_SECONDS", 0.01)
    tasks.work_until(stop)
    assert seen == [0, 1, 2]
