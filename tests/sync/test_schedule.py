from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.db import connection as database
from django.utils import timezone, translation
from hypothesis import given
from hypothesis import strategies as st

from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM
from kvit.kernel.errors import Misconfigured, Refused
from kvit.plugin import Plugin
from kvit.sync import connections, cron, schedule
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.sync.registry import plugin_class
from kvit.users.models import Organization
from tests.factories import an_organization

PRAGUE = ZoneInfo("Europe/Prague")
SPRING = "2026-03-29"
AUTUMN = "2026-10-25"
EVERY_KIND = [
    "* * * * *", "*/5 * * * *",
    "*/15 8-17 * * 1-5", "0 * * * *", "0 */4 * * *", "30 2 * * *", "0,30 2,3 * * *",
    "0 6 * * 1-5", "59 23 L * *", "0 6 1 * 1", "7 0 29 2 *", "0,1 * * * *", "*/7 1-23/2 * * *",
    "0 0 * * 1#1",
]  # fmt: skip


def at(text: str, zone: ZoneInfo = PRAGUE) -> datetime:
    """`at("2026-03-29 06:00")` on Prague's clock."""
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def local(moments: Iterator[datetime], until: str, zone: ZoneInfo = PRAGUE) -> list[str]:
    """The moments before `until` as clocks on the wall tell them."""
    told: list[str] = []
    end = at(until, zone)
    for moment in moments:
        if moment >= end:
            return told
        told.append(f"{moment.astimezone(zone):%m-%d %H:%M%z}")
    return told


def unsaved(expression: str = "", *, uid: int = 0, zone: str = "Europe/Prague") -> PluginConfiguration:
    organization = Organization(name="Firma", time_zone=zone)
    return PluginConfiguration(
        plugin="fio", name="Fio", schedule=expression, organization=organization, uid=UUID(int=uid)
    )


def a_connection(organization: Organization | None = None, **fields: object) -> PluginConfiguration:
    owner = organization or an_organization()
    number = PluginConfiguration.objects.count()
    values: dict[str, object] = {"plugin": "fio", "name": f"Fio {number}"}
    return PluginConfiguration.objects.create(organization=owner, **(values | fields))


# Ticks


@pytest.mark.parametrize(
    ("expression", "day", "expected"),
    [
        ("0 6 * * *", SPRING, ["03-28 06:00+0100", "03-29 06:00+0200", "03-30 06:00+0200"]),
        ("30 2 * * *", SPRING, ["03-28 02:30+0100", "03-29 03:00+0200", "03-30 02:30+0200"]),
        ("0 6 * * *", AUTUMN, ["10-24 06:00+0200", "10-25 06:00+0100", "10-26 06:00+0100"]),
        ("30 2 * * *", AUTUMN, ["10-24 02:30+0200", "10-25 02:30+0200", "10-26 02:30+0100"]),
        ("0 0 * * *", AUTUMN, ["10-24 00:00+0200", "10-25 00:00+0200", "10-26 00:00+0100"]),
    ],
)
def test_a_daily_tick_comes_once_a_day_when_the_clocks_change(
    expression: str, day: str, expected: list[str]
) -> None:
    noon = datetime.fromisoformat(f"{day} 12:00")
    start, end = noon - timedelta(days=1, hours=12, seconds=1), noon + timedelta(days=1, hours=12)
    assert local(cron.ticks(expression, PRAGUE, at(str(start))), str(end)) == expected


@pytest.mark.parametrize(("day", "hours"), [(SPRING, 23), (AUTUMN, 25), ("2026-06-01", 24)])
@pytest.mark.parametrize("expression", ["*/5 * * * *", "*/5 0-23 * * *", "*/5 */1 * * *"])
def test_ticks_of_every_hour_run_through_when_the_clocks_change(
    day: str, hours: int, expression: str
) -> None:
    start, end = at(f"{day} 00:00"), at(f"{day} 00:00") + timedelta(hours=hours)
    found = [start]
    for tick in cron.ticks(expression, PRAGUE, start):
        if tick > end:
            break
        found.append(tick)
    assert found == [start + timedelta(minutes=5 * number) for number in range(hours * 12 + 1)]


def test_two_named_times_that_fall_on_one_leap_are_one_tick() -> None:
    found = local(cron.ticks("0,30 2,3 * * *", PRAGUE, at(f"{SPRING} 00:00")), f"{SPRING} 12:00")
    assert found == ["03-29 03:00+0200", "03-29 03:30+0200"]


def test_named_hours_come_once_in_the_hour_that_is_repeated() -> None:
    found = local(cron.ticks("*/30 2,3 * * *", PRAGUE, at(f"{AUTUMN} 00:00")), f"{AUTUMN} 12:00")
    assert found == ["10-25 02:00+0200", "10-25 02:30+0200", "10-25 03:00+0100", "10-25 03:30+0100"]
    second_half_past_two = at(f"{AUTUMN} 02:30") + timedelta(hours=1)
    assert next(cron.ticks("45 2 * * *", PRAGUE, second_half_past_two)) == at("2026-10-26 02:45")


def test_a_midnight_that_is_leapt_over_comes_at_the_leap() -> None:
    beirut = ZoneInfo("Asia/Beirut")
    for expression in ("0 0 * * *", "0 * * * *"):
        found = local(
            cron.ticks(expression, beirut, at("2026-03-28 23:30", beirut)), "2026-03-29 01:30", beirut
        )
        assert found == ["03-29 01:00+0300"]


@given(
    expression=st.sampled_from(EVERY_KIND),
    zone=st.sampled_from(["Europe/Prague", "UTC", "Australia/Lord_Howe", "America/Havana", "Asia/Kolkata"]),
    start=st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # the zone is given beside
)
def test_ticks_come_in_order_and_from_any_start_the_same(expression: str, zone: str, start: datetime) -> None:
    clock = ZoneInfo(zone)
    found = list(islice(cron.ticks(expression, clock, start), 6))
    assert all(earlier < later for earlier, later in pairwise([start, *found]))
    assert all(tick.tzinfo is UTC and tick.second == tick.microsecond == 0 for tick in found)
    between = found[0] + (found[1] - found[0]) / 2
    assert next(cron.ticks(expression, clock, between)) == found[1]
    assert next(cron.ticks(expression, clock, found[1] - timedelta(microseconds=1))) == found[1]


def test_real_time_and_the_local_clock_agree_with_a_plain_search() -> None:
    """Minute by minute through the days of a change, cron's fields read from the clock on the wall."""
    for day in (SPRING, AUTUMN, "2026-12-31"):
        start = at(f"{day} 00:00") - timedelta(hours=6)
        minutes = [start + timedelta(minutes=number) for number in range(1, 36 * 60)]
        clocks = [(moment, moment.astimezone(PRAGUE)) for moment in minutes]
        expected = [moment for moment, clock in clocks if clock.minute % 20 == 7]
        assert list(islice(cron.ticks("7-59/20 * * * *", PRAGUE, start), len(expected))) == expected
        expected = [moment for moment, clock in clocks if clock.minute == 10 and clock.hour in (0, 6, 12, 18)]
        assert list(islice(cron.ticks("10 */6 * * *", PRAGUE, start), len(expected))) == expected


# Expressions


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "five fields"),
        ("@daily", "five fields"),
        ("0 6 * *", "five fields"),
        ("0 0 6 * * *", "once a minute at most"),
        (" ".join([",".join(["0"] * 60), "* * * *"]), "five fields"),
        ("61 * * * *", "“61” is no minute"),
        ("*/0 * * * *", "“*/0” is no minute"),
        ("0 24 * * *", "“24” is no hour"),
        ("0 17-8 * * *", "“17-8” is no hour"),
        ("0 6 32 * *", "“32” is no day of the month"),
        ("0 6 * 13 *", "“13” is no month"),
        ("0 6 * * 8", "“8” is no day of the week"),
        ("0 6 * * po", "“po” is no day of the week"),
        ("0 6 31 2 *", "No day fits"),
        ("0 6 30,31 2 *", "No day fits"),
        ("0 6 */8 * MON#5", "No day fits"),
    ],
)
def test_what_is_no_schedule_is_refused_in_words(expression: str, said: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        cron.checked(expression)
    assert said in str(refused.value)
    assert refused.value.field == "schedule"
    assert "{" not in str(refused.value)


@pytest.mark.parametrize("expression", [*EVERY_KIND, "0 6 29 2 *", "0 6 31 2 MON", "0 6 * JAN-MAR SUN,7"])
def test_what_comes_at_some_time_is_a_schedule(expression: str) -> None:
    assert cron.checked(f"  {expression.replace(' ', '   ')} ") == expression
    assert next(cron.ticks(expression, PRAGUE, at("2026-11-23 00:00")))


@pytest.mark.parametrize(
    ("expression", "minutes"),
    [("* * * * *", 1), ("*/5 * * * *", 5), ("0 6 * * *", 60), ("0,1 6 * * *", 1), ("5,55 * * * *", 10)],
)
def test_the_shortest_pause_between_two_ticks(expression: str, minutes: int) -> None:
    assert cron.shortest_pause(expression) == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("* * * * *", "Every minute"),
        ("*/15 * * * *", "Every 15 minutes"),
        ("3-59/20 * * * *", "Every 20 minutes"),
        ("5 * * * *", "Every hour at :05"),
        ("0 */4 * * *", "Every 4 hours at :00"),
        ("0 6 * * *", "Every day at 6:00"),
        ("0 6,18 * * *", "Every day at 6:00, 18:00"),
        ("0 6 1-31 * 1", "Every day at 6:00"),
        ("0 6 * * 1-5", "Monday to Friday at 6:00"),
        ("*/15 8-17 * * MON-FRI", "Monday to Friday every 15 minutes from 8:00 to 17:45"),
        ("0 8-17 * * *", "Every hour from 8:00 to 17:00"),
        ("0 6 * * 1", "Every week at 6:00 on Monday"),
        ("0 6 * * 7,1,3", "Every week at 6:00 on these days: Monday, Wednesday, Sunday"),
        ("0 6 * * 0", "Every week at 6:00 on Sunday"),
        ("30 5 1 * *", "Every month at 5:30 on day 1"),
        ("30 5 15,1 * *", "Every month at 5:30 on these days of the month: 1, 15"),
        ("0 6 1 * 1", "By the cron expression 0 6 1 * 1"),
        ("0 6 L * *", "By the cron expression 0 6 L * *"),
        ("0 6 * * 1#1", "By the cron expression 0 6 * * 1#1"),
        ("0 6 * 1 *", "By the cron expression 0 6 * 1 *"),
        ("*/7 * * * *", "By the cron expression */7 * * * *"),
        ("30 1-23/2 * * *", "By the cron expression 30 1-23/2 * * *"),
        ("nonsense", "“nonsense” is not a valid schedule"),
    ],
)
def test_a_schedule_in_words(expression: str, said: str) -> None:
    with translation.override("en"):
        assert schedule.in_words(expression) == said


def test_every_kind_of_time_can_be_said_of_every_kind_of_day() -> None:
    days = {
        "* * *": "",
        "* * 1-5": "Monday to Friday",
        "* * 2,4": "these days: ",
        "1,15 * *": "of the month: 1, 15",
    }
    times = {
        "0 6": "6:00",
        "*/10 *": "10 minutes",
        "0 */6": "6 hours",
        "*/30 8-11": "8:00 to 11:30",
        "5 7-11": "7:05 to",
    }
    with translation.override("en"):
        for day, named in days.items():
            for time, told in times.items():
                said = schedule.in_words(f"{time} {day}")
                assert named in said
                assert told in said
                assert "{" not in said


def test_every_preset_is_a_schedule_that_can_be_said() -> None:
    keys = [preset.key for preset in schedule.PRESETS]
    assert len(set(keys)) == len(keys) == 6
    with translation.override("en"):
        for preset in schedule.PRESETS:
            assert cron.checked(preset.expression) == preset.expression
            assert "cron" not in schedule.in_words(preset.expression)
            assert preset.name


# Moments of a connection


def test_a_connection_runs_a_steady_while_after_each_tick() -> None:
    for expression, most in [
        ("* * * * *", 30),
        ("*/5 * * * *", 150),
        ("0 6 * * *", 300),
        ("0,1 6 * * *", 30),
    ]:
        start, seen = at("2026-11-23 00:30"), set()
        for number in range(400):
            connection = unsaved(expression, uid=number)
            tick = next(cron.ticks(expression, PRAGUE, start))
            moment = schedule.next_run_at(connection, tick - timedelta(seconds=1))
            assert moment is not None
            delay = moment - tick
            assert timedelta() <= delay
            assert delay.total_seconds() < most
            assert (
                schedule.next_run_at(unsaved(expression, uid=number), moment - timedelta(seconds=1)) == moment
            )
            seen.add(delay)
        assert len(seen) > most / 2, "they do not all ask in the same second"


def test_a_moment_is_never_given_twice_and_none_is_left_out() -> None:
    generator = random.Random(7)
    for number in range(30):
        connection = unsaved("*/5 * * * *", uid=number)
        moment = schedule.next_run_at(connection, at("2026-10-25 00:00"))
        for _ in range(40):
            assert moment is not None
            late = timedelta(seconds=generator.uniform(0, 299))
            following = schedule.next_run_at(connection, moment + late)
            assert following == moment + timedelta(minutes=5)
            moment = following


def test_the_organizations_clock_counts() -> None:
    after = at("2026-11-23 00:00")
    prague, tokyo = (
        schedule.next_run_at(unsaved("0 6 * * *", zone=zone), after)
        for zone in ("Europe/Prague", "Asia/Tokyo")
    )
    assert prague is not None
    assert tokyo is not None
    assert prague.astimezone(PRAGUE).hour == 6
    assert tokyo.astimezone(ZoneInfo("Asia/Tokyo")).hour == 6
    unknown = schedule.next_run_at(unsaved("0 6 * * *", zone="Middle/Earth"), after)
    assert unknown is not None
    assert unknown.hour == 6


def test_a_schedule_that_cannot_be_read_gives_way_to_the_plugins_own() -> None:
    own = plugin_class("fio").schedule
    assert schedule.expression_of(unsaved("what?")) == schedule.expression_of(unsaved()) == own
    gone = unsaved()
    gone.plugin = "gone"
    assert schedule.expression_of(gone) == Plugin.schedule
    assert schedule.next_run_at(gone, at("2026-11-23 00:00"))
    gone.schedule = "0 6 * * *"
    assert schedule.expression_of(gone) == "0 6 * * *"


def test_a_connection_that_people_hand_files_has_no_moments() -> None:
    connection = unsaved("0 6 * * *")
    connection.plugin = "statement_file"
    connection.next_run_at = at("2026-11-23 06:00")
    assert schedule.accepts_files(connection)
    assert schedule.next_run_at(connection, at("2026-11-23 00:00")) is None


def test_the_next_three_runs_begin_with_the_planned_one() -> None:
    now = at("2026-11-23 00:30")
    connection = unsaved("0 6 * * *")
    assert schedule.upcoming(connection, now) == []
    connection.next_run_at = at("2026-11-23 01:00")
    first, second, third = schedule.upcoming(connection, now)
    assert first == connection.next_run_at
    assert second == schedule.next_run_at(connection, now)
    assert third == second + timedelta(days=1)
    connection.next_run_at = at("2026-11-20 06:00")
    assert schedule.upcoming(connection, now, count=2) == [now, second]
    connection.enabled = False
    assert schedule.upcoming(connection, now) == []
    connection.enabled, connection.state = True, PluginConfiguration.State.NEEDS_ATTENTION
    assert schedule.upcoming(connection, now) == []


# The scheduler


@pytest.mark.django_db
def test_a_clock_that_jumps_over_hours_brings_one_run() -> None:
    now = timezone.now()
    connection = a_connection(schedule="*/5 * * * *", next_run_at=now - timedelta(hours=9))
    assert schedule.enqueue_due(now) == 1
    connection.refresh_from_db()
    assert connection.next_run_at == schedule.next_run_at(connection, now)
    assert connection.next_run_at is not None
    assert now < connection.next_run_at <= now + timedelta(minutes=5)
    SyncHistory.objects.update(status=SyncHistory.Status.COMPLETED)
    assert schedule.enqueue_due(now) == 0
    assert schedule.enqueue_due(now - timedelta(hours=3)) == 0, "a clock that goes back brings none"


@pytest.mark.django_db
def test_a_tick_during_a_run_waits_for_its_end() -> None:
    now = timezone.now()
    connection = a_connection(schedule="*/5 * * * *", next_run_at=now)
    assert schedule.enqueue_due(now) == 1
    assert schedule.enqueue_due(now + timedelta(minutes=20)) == 0
    SyncHistory.objects.update(status=SyncHistory.Status.COMPLETED)
    assert schedule.enqueue_due(now + timedelta(minutes=21)) == 1
    assert connection.runs.count() == 2


@pytest.mark.django_db
def test_nothing_due_costs_one_query_and_no_write(
    django_assert_num_queries: Callable[[int], object],
) -> None:
    now = timezone.now()
    a_connection(next_run_at=now + timedelta(seconds=1))
    with django_assert_num_queries(1) as seen:  # type: ignore[attr-defined]  # a context manager
        assert schedule.enqueue_due(now) == 0
    assert seen.captured_queries[0]["sql"].startswith("SELECT")


@contextmanager
def before_the_first(verb: str, act: Callable[[], object]) -> Iterator[None]:
    """Do something right before the first statement of this kind is sent to the database."""
    done: list[str] = []

    def look(execute: Callable[..., object], sql: str, *rest: object) -> object:
        if sql.startswith(verb) and not done:
            done.append(sql)
            act()
        return execute(sql, *rest)

    with database.execute_wrapper(look):
        yield
    assert done


class Killed(BaseException):
    """The process ends here."""


def killed() -> None:
    raise Killed


@pytest.mark.django_db(transaction=True)
def test_a_scheduler_killed_between_the_plan_and_the_run_leaves_nothing_half() -> None:
    now = timezone.now()
    organization = an_organization()
    due = [a_connection(organization, next_run_at=now) for _ in range(3)]
    with pytest.raises(Killed), before_the_first('INSERT INTO "sync_synchistory"', killed):
        schedule.enqueue_due(now)
    assert not SyncHistory.objects.exists()
    assert {row.next_run_at for row in PluginConfiguration.objects.all()} == {now}
    assert schedule.enqueue_due(now) == len(due)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "change",
    [{"enabled": False}, {"state": "needs_attention"}, {"schedule": "0 6 * * *"}, {"next_run_at": None}],
    ids=["paused", "needs attention", "schedule", "taken"],
)
def test_what_happened_since_a_connection_was_read_is_not_undone(change: dict[str, object]) -> None:
    now = timezone.now()
    connection = a_connection(next_run_at=now)

    row = PluginConfiguration.objects.filter(pk=connection.pk)
    with before_the_first('UPDATE "sync_pluginconfiguration"', lambda: row.update(**change)):
        assert schedule.enqueue_due(now) == 0
    assert row.filter(**change).exists()
    assert not SyncHistory.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_person_who_asks_in_the_same_moment_delays_only_that_connection() -> None:
    now = timezone.now()
    organization = an_organization()
    due = [a_connection(organization, next_run_at=now) for _ in range(3)]
    is_first = database.vendor == "postgresql"  # on SQLite the person waits for the scheduler's transaction

    def asked() -> None:
        try:
            connections.request_run(due[1], SyncHistory.Trigger.MANUAL, actor=SYSTEM)
        finally:
            database.close()

    def asks() -> None:
        answer = pool.submit(asked)
        if is_first:
            answer.result(timeout=20)

    with ThreadPoolExecutor(1) as pool, before_the_first('INSERT INTO "sync_synchistory"', asks):
        assert schedule.enqueue_due(now) == (2 if is_first else 3)
    assert sorted(SyncHistory.objects.values_list("connection_id", "trigger")) == [
        (due[0].pk, "schedule"),
        (due[1].pk, "manual" if is_first else "schedule"),
        (due[2].pk, "schedule"),
    ]
    due[1].refresh_from_db()
    assert due[1].next_run_at is not None
    assert (due[1].next_run_at == now) is is_first, "its tick waits until the person's run has ended"


# What people do


@pytest.mark.django_db
def test_a_new_schedule_is_kept_planned_and_audited() -> None:
    connection = a_connection(next_run_at=timezone.now() + timedelta(days=9))
    before = timezone.now()
    connections.set_schedule(connection, " 0  6 * * 1-5 ", actor=SYSTEM)
    stored = PluginConfiguration.objects.get()
    assert stored.schedule == connection.schedule == "0 6 * * 1-5"
    assert stored.next_run_at == connection.next_run_at == schedule.next_run_at(stored, before)
    entries = AuditEntry.objects.filter(table="sync_pluginconfiguration")
    entry = entries.get()
    assert (entry.before, entry.after) == ({"schedule": ""}, {"schedule": "0 6 * * 1-5"})
    assert entry.object_id == connection.pk
    connections.set_schedule(connection, "0 6 * * 1-5", actor=SYSTEM)
    assert entries.count() == 1, "nothing changed, so nothing is told"
    connections.set_schedule(connection, "", actor=SYSTEM)
    stored.refresh_from_db()
    assert stored.schedule == ""
    assert schedule.expression_of(stored) == plugin_class("fio").schedule


@pytest.mark.django_db
@pytest.mark.parametrize("asleep", [{"enabled": False}, {"state": "needs_attention", "next_run_at": None}])
def test_a_sleeping_connection_only_gets_another_expression(asleep: dict[str, object]) -> None:
    connection = a_connection(None, **({"next_run_at": timezone.now() + timedelta(days=9)} | asleep))
    planned = connection.next_run_at
    connections.set_schedule(connection, "*/5 * * * *", actor=SYSTEM)
    stored = PluginConfiguration.objects.get()
    assert stored.schedule == "*/5 * * * *"
    assert stored.next_run_at == planned


@pytest.mark.django_db
def test_a_schedule_changed_in_a_pause_counts_after_it() -> None:
    connection = a_connection(enabled=False, next_run_at=timezone.now() + timedelta(days=9))
    connections.set_schedule(connection, "*/5 * * * *", actor=SYSTEM)
    connections.set_enabled(connection, True, actor=SYSTEM)
    connection.refresh_from_db()
    assert connection.next_run_at is not None
    assert timezone.now() < connection.next_run_at < timezone.now() + timedelta(minutes=6)
    due = timezone.now() - timedelta(hours=1)
    PluginConfiguration.objects.update(enabled=False, next_run_at=due)
    connections.set_enabled(connection, True, actor=SYSTEM)
    connection.refresh_from_db()
    assert connection.next_run_at == due, "what was missed in the pause comes at once"


@pytest.mark.django_db
def test_a_wrong_schedule_changes_nothing() -> None:
    connection = a_connection(schedule="0 6 * * *")
    with pytest.raises(Misconfigured):
        connections.set_schedule(connection, "0 6 31 2 *", actor=SYSTEM)
    files = a_connection(connection.organization, plugin="statement_file")
    with pytest.raises(Refused, match="needs no schedule"):
        connections.set_schedule(files, "0 6 * * *", actor=SYSTEM)
    assert list(PluginConfiguration.objects.order_by("pk").values_list("schedule", flat=True)) == [
        "0 6 * * *",
        "",
    ]
    assert not AuditEntry.objects.filter(table="sync_pluginconfiguration").exists()
