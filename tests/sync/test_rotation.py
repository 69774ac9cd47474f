"""Keys change while workers sync: nothing is lost, whatever is killed; what was moved opens nowhere."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event

import pytest
from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM
from kvit.config.environment import MasterKeyFile
from kvit.kernel.errors import KeyMissing, SealBroken, SealError
from kvit.kernel.sealing import Key, KeyRing
from kvit.ledger.models import RawPayload
from kvit.plugin import Grant, Secret, SourceFile, Unreadable
from kvit.sync import consents, files, grants, quarantine
from kvit.sync.configuring import open_credentials, seal_credentials
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.sync.redaction import Redactor
from kvit.sync.rotation import rewrap, rotate
from kvit.users.keys import data_key_of, key_ring
from kvit.users.models import DataKey, Organization
from kvit.users.sealed import SealedTable, SealedValue, sealed_tables
from tests.banks.fio import TOKEN, Account, FioBank, generated
from tests.factories import a_member, an_organization
from tests.payments.paying import a_batch, an_order
from tests.sync.installation import (
    Installation,
    a_connection,
    a_token,
    installation_at,
    movement,
    requested,
    stored,
    sync,
    today,
    told,
    wait_until,
)

pytestmark = pytest.mark.django_db(transaction=True)

every_table = pytest.mark.parametrize("table", sealed_tables(), ids=lambda table: table.name)
in_this_process = pytest.mark.usefixtures("short_pause")


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of master keys that this process and those of the installation read."""
    path = tmp_path / "keys"
    path.write_text(Key.generate().to_text())
    path.chmod(0o600)
    ring = MasterKeyFile(path)
    monkeypatch.setattr(settings, "KVIT", dataclasses.replace(settings.KVIT, master_keys=ring))
    return path


@pytest.fixture
def installation(key_file: Path, transactional_db: None) -> Installation:
    return installation_at(key_file.parent, KVIT_MASTER_KEY_FILE=str(key_file))


@pytest.fixture
def short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only this process seals, a rotation need not wait long until all know its key."""
    for module in ("kvit.users.keys", "kvit.sync.rotation"):
        monkeypatch.setattr(f"{module}.RING_SECONDS", 0.02)


@pytest.fixture(autouse=True)
def ninety(install: Callable[..., None]) -> None:
    install(ninety="tests.sync.consenting:Ninety")


@pytest.fixture
def owner(bank: FioBank) -> Organization:
    return with_every_secret(bank, TOKEN)


def with_every_secret(bank: FioBank, token: str) -> Organization:
    """An organization with a value in every sealed column, stored by the code that does so in life."""
    organization = an_organization()
    connection = a_connection(organization, bank, token=token)
    bank.add(movement(int(time.time_ns() % 10**9), "5.00"), token=token)
    run = sync(connection)
    assert run.created == 1
    record = Unreadable(reason="it is odd", raw={"odd": organization.name})
    quarantine.put_aside(run, [record], key_ring(organization), Redactor())
    files.keep(run, [SourceFile(name="statement.gpc", data=organization.name.encode())])
    with_access_granted(connection)
    with_payments(connection, token)
    return organization


def with_payments(connection: PluginConfiguration, token: str) -> None:
    """A payment file that waits to be sent, by a token that may hand over orders."""
    credentials = open_credentials(connection) | {"orders_token": Secret(token)}
    connection.credentials_sealed = seal_credentials(connection, credentials)
    connection.save(update_fields=["credentials_sealed"])
    account = connection.accounts.get().account
    a_batch(connection, an_order(connection.organization, account=account))


def with_access_granted(connection: PluginConfiguration) -> None:
    """A grant, as of a plugin that has one, and a person who is on the way to grant it again."""
    organization = connection.organization
    with transaction.atomic():
        grants.keep(connection, Grant(secrets={"access_token": Secret(organization.name)}))
    visitor = consents.Visitor(
        organization=organization, user=a_member(organization), session_key="a session"
    )
    consents.begin(visitor, "ninety", {"key": organization.name}, return_url="https://kvit.example/")


def rows_of(table: SealedTable, organization: Organization) -> Iterator[SealedValue]:
    rows = table.model._default_manager.filter(**{table.column.organization: organization}).order_by("pk")
    for pk, uid, envelope in rows.values_list("pk", "uid", table.column.name):
        yield SealedValue(pk, table.place(organization, uid), bytes(envelope))


def opened(organization: Organization) -> dict[tuple[str, int], bytes]:
    """Every secret of the organization, opened where it lies."""
    keys = key_ring(organization)
    found = {
        (table.name, value.pk): keys.open(value.envelope, value.place)
        for table in sealed_tables()
        for value in rows_of(table, organization)
    }
    assert {name for name, _ in found} == {table.name for table in sealed_tables()}
    return found


def sealed_by(key_id: str) -> int:
    ids = set(DataKey.objects.values_list("key_id", flat=True))
    return sum(table.counted_by_key(ids)[key_id] for table in sealed_tables())


def many_payloads(organization: Organization, number: int) -> None:
    keys = key_ring(organization)
    rows = [
        RawPayload(organization=organization, uid=uuid.uuid4(), created_at=timezone.now())
        for _ in range(number)
    ]
    [table] = [table for table in sealed_tables() if table.model is RawPayload]
    for row in rows:
        row.sealed = keys.seal(str(row.uid).encode(), table.place(organization, row.uid))
    RawPayload.objects.bulk_create(rows)


@in_this_process
def test_a_rotation_seals_everything_anew_and_retires_the_old_key(owner: Organization) -> None:
    before = opened(owner)
    old = owner.data_keys.get()
    [done] = rotate([owner], actor=SYSTEM)
    assert (done.is_new, done.resealed, done.retired, done.left, done.unreadable) == (
        True,
        len(before),
        [old.key_id],
        0,
        [],
    )
    assert opened(owner) == before
    assert (sealed_by(old.key_id), sealed_by(done.key_id)) == (0, len(before))
    old.refresh_from_db()
    new = owner.data_keys.get(key_id=done.key_id)
    assert old.retired_at is not None
    assert new.retired_at is None
    entries = AuditEntry.objects.filter(table="users_datakey").order_by("id")
    assert [(entry.object_id, entry.action) for entry in entries] == [
        (new.pk, "created"),
        (old.pk, "changed"),
    ]


@in_this_process
def test_another_rotation_makes_another_key(owner: Organization) -> None:
    before = opened(owner)
    ids = [rotate([owner], actor=SYSTEM)[0].key_id for _ in range(2)]
    assert len(set(ids)) == 2
    assert owner.data_keys.filter(retired_at=None).get().key_id == ids[1]
    assert opened(owner) == before


@in_this_process
def test_only_the_named_organization_gets_a_new_key(bank: FioBank, owner: Organization) -> None:
    bank.load(Account(), Account(number="2900123465", tokens=[a_token(2)]), today=today(), interval_seconds=0)
    other = with_every_secret(bank, a_token(2))
    before = opened(other)
    rotate([owner], actor=SYSTEM)
    assert other.data_keys.count() == 1
    assert opened(other) == before


@in_this_process
def test_what_was_sealed_with_a_retired_key_is_taken_up_without_another_key(owner: Organization) -> None:
    old = data_key_of(owner.data_keys.get(), owner)
    [first] = rotate([owner], actor=SYSTEM)
    [table] = [table for table in sealed_tables() if table.model is PluginConfiguration]
    [value] = rows_of(table, owner)
    plain = key_ring(owner).open(value.envelope, value.place)
    assert table.replace(value, KeyRing([old]).seal(plain, value.place))
    [second] = rotate([owner], actor=SYSTEM)
    assert (second.is_new, second.key_id, second.resealed) == (False, first.key_id, 1)
    assert owner.data_keys.count() == 2
    assert sealed_by(old.id) == 0
    assert key_ring(owner).open(next(rows_of(table, owner)).envelope, value.place) == plain


def test_a_value_that_changed_meanwhile_is_not_overwritten(owner: Organization) -> None:
    for table in sealed_tables():
        value = next(rows_of(table, owner))
        keys = key_ring(owner)
        newer = keys.seal(b"newer", value.place)
        assert table.replace(value, newer)
        assert not table.replace(value, keys.seal(b"older", value.place))
        assert next(rows_of(table, owner)).envelope == newer


@in_this_process
def test_a_damaged_value_is_named_and_left_and_the_others_go_on(owner: Organization) -> None:
    row = RawPayload.objects.get()
    damaged = bytes(row.sealed)[:-1] + bytes([bytes(row.sealed)[-1] ^ 1])
    RawPayload.objects.update(sealed=damaged)
    [done] = rotate([owner], actor=SYSTEM)
    assert done.unreadable == [f"ledger_rawpayload {row.pk}"]
    assert len(done.retired) == 1
    assert bytes(RawPayload.objects.get().sealed) == damaged
    assert rotate([owner], actor=SYSTEM)[0].is_new


@in_this_process
def test_an_emptied_value_stays_empty(owner: Organization) -> None:
    RawPayload.objects.update(sealed=b"")
    assert rotate([owner], actor=SYSTEM)[0].unreadable == []
    assert bytes(RawPayload.objects.get().sealed) == b""


def test_an_organization_without_secrets_gets_no_key(db: None) -> None:
    assert rotate([an_organization()], actor=SYSTEM) == []
    assert not DataKey.objects.exists()


@every_table
def test_ciphertext_opens_nowhere_else(bank: FioBank, table: SealedTable) -> None:
    bank.load(Account(), Account(number="2900123465", tokens=[a_token(2)]), today=today(), interval_seconds=0)
    mine, theirs = with_every_secret(bank, TOKEN), with_every_secret(bank, a_token(2))
    keys = key_ring(mine)
    value = next(rows_of(table, mine))
    envelope, place = value.envelope, value.place
    assert keys.open(envelope, place)
    elsewhere = [
        dataclasses.replace(place, row=str(uuid.uuid4())),
        dataclasses.replace(place, column="another"),
        dataclasses.replace(place, organization=theirs.uid),
        *(dataclasses.replace(place, table=each.name) for each in sealed_tables() if each.name != table.name),
    ]
    for other in elsewhere:
        with pytest.raises(SealBroken):
            keys.open(envelope, other)
    with pytest.raises(KeyMissing):
        key_ring(theirs).open(envelope, place)
    for their in rows_of(table, theirs):
        for ring in (keys, key_ring(theirs)):
            with pytest.raises(SealError):
                ring.open(envelope, their.place)


def test_a_killed_rotation_is_continued_where_it_was(installation: Installation, owner: Organization) -> None:
    many_payloads(owner, 6000)
    before = opened(owner)
    old = owner.data_keys.get().key_id
    progress = 0
    for _kill in range(2):
        process = subprocess.Popen(
            installation.kvit.command("keys", "rotate"),
            env=installation.kvit.environment(),
            stdout=subprocess.DEVNULL,
        )
        wait_until(partial(has_moved, old, len(before), progress))
        process.send_signal(signal.SIGKILL)
        process.wait()
        progress = moved(old, len(before))
    assert 0 < progress < len(before)
    assert "A rotation is unfinished" in installation.kvit.ok("keys", "status")
    assert opened(owner) == before
    printed = installation.kvit.ok("keys", "rotate")
    assert "finished an earlier rotation" in printed
    assert owner.data_keys.count() == 2
    assert sealed_by(old) == 0
    assert opened(owner) == before
    assert "Everything is in order." in installation.kvit.ok("keys", "status")


def has_moved(old_key_id: str, total: int, more_than: int) -> bool:
    return moved(old_key_id, total) > more_than


def moved(old_key_id: str, total: int) -> int:
    """How many values the old key seals no more."""
    return total - sealed_by(old_key_id)


def test_two_rotations_at_once_lose_nothing(installation: Installation, owner: Organization) -> None:
    many_payloads(owner, 1000)
    before = opened(owner)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: installation.kvit.run("keys", "rotate"), range(2)))
    assert [answer.code for answer in answers] == [0, 0], answers
    assert opened(owner) == before
    assert owner.data_keys.filter(retired_at=None).count() == 1
    newest = owner.data_keys.order_by("-id")[0]
    assert sealed_by(newest.key_id) == len(before)


def test_every_data_key_is_wrapped_anew_and_the_old_master_key_may_go(
    installation: Installation, key_file: Path, owner: Organization
) -> None:
    before = opened(owner)
    old, new = Key.from_text(key_file.read_text()), Key.generate()
    key_file.write_text(f"{new.to_text()}\n{old.to_text()}\n")
    assert rewrap(actor=SYSTEM) == 1
    assert rewrap(actor=SYSTEM) == 0
    [entry] = AuditEntry.objects.filter(table="users_datakey")
    assert (entry.before, entry.after) == ({"master_key_id": old.id}, {"master_key_id": new.id})
    key_file.write_text(new.to_text())
    assert opened(owner) == before
    assert "Everything is in order." in installation.kvit.ok("keys", "status")


def test_master_and_data_keys_change_while_workers_sync(
    bank: FioBank, installation: Installation, key_file: Path
) -> None:
    """Three accounts, runs one after another on two workers, and every key changed twice meanwhile."""
    accounts = [
        Account(
            number=f"290012345{number}",
            tokens=[a_token(number)],
            movements=list(generated(seed=number, count=40, last_day=today(), days=60)),
        )
        for number in range(1, 4)
    ]
    bank.load(*accounts, today=today(), interval_seconds=0)
    organization = an_organization()
    connections = [
        a_connection(organization, bank, name=f"Fio {number}", token=a_token(number))
        for number in range(1, 4)
    ]
    kvit = installation.kvit
    with installation.worker() as one, installation.worker() as other, ThreadPoolExecutor(1) as pool:
        stop = Event()
        syncing = pool.submit(sync_until, stop, connections, bank)
        try:
            for number in range(2):
                wait_until(partial(has_more_runs, 2 * number))
                old = key_file.read_text().strip()
                key_file.write_text(f"{Key.generate().to_text()}\n{old}\n")
                kvit.ok("keys", "rewrap")
                kvit.ok("keys", "rotate")
                key_file.write_text(key_file.read_text().splitlines()[0])
            wait_until(partial(has_more_runs, SyncHistory.objects.count()))
        finally:
            stop.set()
        assert syncing.result() > 2
        wait_until(lambda: not SyncHistory.objects.active().exists())
        assert (one.stop(), other.stop()) == (0, 0)
    assert "worker.stumbled" not in installation.logs()
    assert "worker.keys_missing" not in installation.logs()
    assert {run.status for run in SyncHistory.objects.all()} == {"completed"}
    assert stored(organization) == told(bank.movements())
    for number, connection in enumerate(connections, start=1):
        connection.refresh_from_db()
        assert open_credentials(connection)["api_token"].reveal() == a_token(number)
        assert connection.state == PluginConfiguration.State.OK
    keys = key_ring(organization)
    for table in sealed_tables():
        for value in rows_of(table, organization):
            assert keys.open(value.envelope, value.place)
    assert organization.data_keys.count() == 3
    kvit.ok("keys", "rotate")
    assert "Everything is in order." in kvit.ok("keys", "status")


def has_more_runs(than: int) -> bool:
    return SyncHistory.objects.exclude(finished_at=None).count() > than


def sync_until(stop: Event, connections: list[PluginConfiguration], bank: FioBank) -> int:
    """Ask for runs one after another, each with something new, and return how many there were."""
    try:
        number = 0
        while not stop.is_set():
            connection = connections[number % len(connections)]
            number += 1
            bank.add(movement(50_000 + number, "7.00"), token=a_token(1 + (number - 1) % len(connections)))
            wait_until(partial(has_ended, requested(connection)))
        return number
    finally:
        database.close()


def has_ended(run: SyncHistory) -> bool:
    run.refresh_from_db()
    return not run.is_active


def test_with_a_wrong_key_nothing_runs_and_with_the_right_one_all_goes_on(
    bank: FioBank, installation: Installation, key_file: Path
) -> None:
    """A restored backup: the same database, another key file; then the right one."""
    bank.add(*generated(seed=1, count=20, last_day=today(), days=20))
    connection = a_connection(an_organization(), bank)
    right = Key.from_text(key_file.read_text())
    wrong = Key.generate()
    key_file.write_text(wrong.to_text())
    run = requested(connection)
    with installation.worker() as worker:
        wait_until(lambda: worker.events("worker.keys_missing"))
        time.sleep(3)
        assert len(worker.events("worker.keys_missing")) == 1
        assert worker.events("worker.keys_missing")[0]["keys"] == [right.id]
        run.refresh_from_db()
        assert run.status == SyncHistory.Status.PENDING
        for words in (
            ("sync", "Fio"),
            ("import", "statement.gpc"),
            ("connection", "add", "fio", "--name", "Druhý"),
            ("keys", "rewrap"),
            ("keys", "rotate"),
        ):
            answer = installation.kvit.run(*words)
            assert answer.code == 1
            assert right.id in answer.sentence()
            assert "KVIT_MASTER_KEY_FILE" in answer.sentence()
        status = installation.kvit.run("keys", "status")
        assert status.code == 1
        assert f"MISSING: put the master key {right.id} back" in status.out
        assert f"the master key {right.id}" in installation.kvit.run("doctor").out
        connection.refresh_from_db()
        assert connection.state == PluginConfiguration.State.OK
        assert DataKey.objects.count() == 1
        key_file.write_text(right.to_text())
        wait_until(lambda: not SyncHistory.objects.active().exists())
        assert worker.stop() == 0
    assert {run.status for run in SyncHistory.objects.all()} == {"completed"}
    assert stored(connection.organization) == told(bank.movements())
