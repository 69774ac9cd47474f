"""A day of virtual time: many connections, three schedulers at once, and each tick comes exactly once."""

from __future__ import annotations

import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from django.db import connection as database

from kvit.sync import schedule
from kvit.sync.models import PluginConfiguration, SyncHistory
from tests.factories import an_organization

pytestmark = pytest.mark.django_db(transaction=True)

PERIOD: Final = timedelta(minutes=5)
STEP: Final = timedelta(minutes=1)
CLOCKS: Final = (timedelta(), timedelta(seconds=7), timedelta(seconds=-11))
"""One scheduler on each of three machines whose clocks do not agree."""
MIDNIGHT: Final = datetime(2026, 10, 24, 22, tzinfo=UTC)
"""In Prague; the day on which the clocks go back."""


@dataclass
class Day:
    """Three schedulers that wake up together every minute of a virtual day."""

    lasts: timedelta
    now: datetime = MIDNIGHT

    def __post_init__(self) -> None:
        self.together = threading.Barrier(len(CLOCKS))
        self.ended = threading.Barrier(len(CLOCKS), action=self.carry_out)

    def spend(self) -> list[int]:
        """Let the day pass and return how many runs each scheduler has queued."""
        with ThreadPoolExecutor(len(CLOCKS)) as pool:
            return list(pool.map(self.schedule_all_day, CLOCKS))

    def schedule_all_day(self, error_of_clock: timedelta) -> int:
        queued = 0
        try:
            while self.now < MIDNIGHT + self.lasts:
                self.together.wait(timeout=60)
                queued += schedule.enqueue_due(self.now + error_of_clock)
                self.ended.wait(timeout=60)
        except BaseException:
            self.together.abort()
            self.ended.abort()
            raise
        finally:
            database.close()
        return queued

    def carry_out(self) -> None:
        """End what was queued, noting the minute in which it was, and let the next minute begin."""
        SyncHistory.objects.active().update(status=SyncHistory.Status.COMPLETED, started_at=self.now)
        self.now += STEP


def connections_with_a_schedule(count: int) -> list[PluginConfiguration]:
    organization = an_organization()
    made = [
        PluginConfiguration(
            organization=organization, plugin="fio", name=f"Fio {number}", schedule="*/5 * * * *"
        )
        for number in range(count)
    ]
    for connection in made:
        connection.next_run_at = schedule.next_run_at(connection, MIDNIGHT - max(CLOCKS))
    return PluginConfiguration.objects.bulk_create(made)


def require_each_tick_once(connections: list[PluginConfiguration], lasts: timedelta) -> None:
    """Every moment of a connection up to the end of the day has one run, queued within a minute of it."""
    started: dict[int, list[datetime]] = defaultdict(list)
    for connection_id, at in SyncHistory.objects.order_by("id").values_list("connection_id", "started_at"):
        assert at is not None
        started[connection_id].append(at)
    last = MIDNIGHT + lasts - STEP
    ticks = 0
    for connection in connections:
        moment = connection.next_run_at
        assert moment is not None
        for at in started[connection.pk]:
            assert moment - max(CLOCKS) <= at < moment + STEP, "a tick was missed or came twice"
            moment += PERIOD
            ticks += 1
        stored = PluginConfiguration.objects.get(pk=connection.pk)
        assert stored.next_run_at == moment
        assert moment > last + min(CLOCKS), "the last ticks of the day are there too"
    assert ticks == SyncHistory.objects.count()


def test_no_tick_is_missed_and_none_is_doubled() -> None:
    connections, lasts = connections_with_a_schedule(20), timedelta(hours=2)
    queued = Day(lasts).spend()
    assert sum(queued) == SyncHistory.objects.count() == 20 * 24
    require_each_tick_once(connections, lasts)


@pytest.mark.soak
def test_a_day_of_500_connections_and_three_schedulers() -> None:
    connections, lasts = connections_with_a_schedule(500), timedelta(days=1)
    queued = Day(lasts).spend()
    assert sum(queued) == SyncHistory.objects.count() == 500 * 288
    require_each_tick_once(connections, lasts)
