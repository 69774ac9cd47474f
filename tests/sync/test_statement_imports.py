"""Imports of statement files: staged, looked at, confirmed once or discarded, and taken back as a whole."""

from __future__ import annotations

import dataclasses
import time
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.test import override_settings
from django.utils import timezone

from kvit import pipeline
from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM, Actor, Change, record
from kvit.kernel.errors import KeyMissing, Misconfigured, Refused, Stale
from kvit.kernel.sealing import Key, KeyRing
from kvit.ledger.models import BankStatement, MoneyTransaction
from kvit.plugin import SourceFile
from kvit.sync import files, imports, queue, retention, runs
from kvit.sync.models import HandedFile, StatementImport, SyncHistory
from kvit.users.models import Organization
from tests.factories import an_organization, money
from tests.kernel.statements.writers import camt, camt_balance, camt_entry, gpc, gpc_head, gpc_movement
from tests.sync.installation import Installation, counts

pytestmark = pytest.mark.django_db(transaction=True)

EVA, ADAM = Actor(name="user:eva@example.com"), Actor(name="user:adam@example.com")
HEAD = (
    "<ElctrncSeqNb>3</ElctrncSeqNb><FrToDt><FrDtTm>2026-03-01T00:00:00</FrDtTm>"
    "<ToDtTm>2026-03-31T23:59:59</ToDtTm></FrToDt>"
    + camt_balance("OPBD", "1000.00", day="2026-03-01")
    + camt_balance("CLBD", "1080.00", day="2026-03-31")
)


def ref(name: str) -> str:
    return f"<AcctSvcrRef>{name}</AcctSvcrRef>"


def statement(*more: str) -> SourceFile:
    """Two movements between two balances that agree."""
    entries = [camt_entry("100.00", more=ref("REF-A")), camt_entry("20.00", "DBIT", more=ref("REF-B"))]
    return SourceFile(name="march.xml", data=camt(*entries, *more, head=HEAD))


def without_currency() -> SourceFile:
    return SourceFile(name="march.gpc", data=gpc(gpc_head(), gpc_movement(currency="0000")))


BROKEN = SourceFile(name="notes.pdf", data=b"%PDF-1.7")


def staged(organization: Organization, *handed: SourceFile) -> StatementImport:
    return imports.stage(organization, handed, actor=EVA)


def carried_out(run: SyncHistory) -> SyncHistory:
    held = queue.claim(run)
    assert held is not None
    pipeline.carry_out(held)
    return SyncHistory.objects.get(pk=run.pk)


def everything_stored() -> dict[str, list[Any]]:
    """Every row of every table."""
    return {
        model._meta.db_table: list(model._default_manager.order_by("pk").values_list())
        for model in apps.get_models()
    }


def test_a_look_tells_what_a_file_holds(organization: Organization) -> None:
    (look,) = imports.look(staged(organization, statement()))

    assert (look.format, look.is_sure, look.error, look.needs, look.is_ready) == (
        "camt.053",
        True,
        "",
        frozenset(),
        True,
    )
    (one,) = look.statements
    assert (one.number, str(one.from_date), str(one.to_date)) == ("3", "2026-03-01", "2026-03-31")
    assert (one.opening, one.closing, one.balances_agree) == (
        money("1000.00 CZK"),
        money("1080.00 CZK"),
        True,
    )
    assert (one.income, one.expense) == (money("100.00 CZK"), money("-20.00 CZK"))
    assert (one.entries, one.new, one.known, one.possible_duplicates, one.conflicting) == (2, 2, 0, 0, 0)
    assert one.known_account is None


def test_a_look_writes_nothing(organization: Organization) -> None:
    carried_out(imports.confirm(staged(organization, statement()), actor=EVA))
    row = staged(organization, statement(camt_entry("5.00")), without_currency(), BROKEN)
    before = everything_stored()

    looks = imports.look(row)
    imports.preview(organization, [statement(camt_entry("7.00"))])

    assert everything_stored() == before
    assert [look.is_ready for look in looks] == [True, False, False]
    (one,) = looks[0].statements
    assert (one.new, one.known, one.balances_agree) == (1, 2, False)
    assert one.known_account is not None


def test_what_a_file_does_not_say_a_person_says(organization: Organization) -> None:
    row = staged(organization, without_currency())
    (look,) = imports.look(row)
    assert look.needs == {"currency"}
    assert not look.error
    with pytest.raises(Refused, match=r"march\.gpc"):
        imports.confirm(row, actor=EVA)

    imports.describe(look.file, currency="czk", actor=EVA)

    (look,) = imports.look(row)
    assert look.is_ready
    assert look.statements[0].currency == "CZK"
    assert counts(carried_out(imports.confirm(row, actor=EVA))) == {"fetched": 1, "created": 1}
    entry = AuditEntry.objects.get(table="sync_handedfile", action="changed")
    assert (entry.actor, entry.after) == (EVA.name, {"currency": "CZK"})


@pytest.mark.parametrize(
    ("said", "field"), [({"currency": "KORUNA"}, "currency"), ({"account": "1" * 65}, "account")]
)
def test_what_cannot_be_meant_is_refused(
    organization: Organization, said: dict[str, str], field: str
) -> None:
    (look,) = imports.look(staged(organization, without_currency()))

    with pytest.raises(Misconfigured) as raised:
        imports.describe(look.file, **said, actor=EVA)
    assert raised.value.field == field


def test_a_table_that_nobody_knows_needs_its_columns_said(organization: Organization) -> None:
    table = SourceFile(name="a.csv", data=b"1.3.2026;10,00;5,00\r\n2.3.2026;11,00;6,00\r\n")

    (look,) = imports.look(staged(organization, table))

    assert look.needs == {"profile"}
    assert look.format.startswith("csv")


def test_a_file_that_cannot_be_read_stands_in_the_way_until_it_is_dropped(
    organization: Organization,
) -> None:
    row = staged(organization, statement(), BROKEN)
    looks = imports.look(row)
    assert looks[1].error.startswith("This is a PDF")
    with pytest.raises(Refused, match=r"notes\.pdf"):
        imports.confirm(row, actor=EVA)
    assert not SyncHistory.objects.exists()

    imports.drop(looks[1].file, actor=EVA)

    assert counts(carried_out(imports.confirm(row, actor=EVA))) == {"fetched": 2, "created": 2}


@pytest.mark.parametrize(
    ("handed", "message"),
    [
        ([], "at least one"),
        ([SourceFile(name="a.xml", data=b"")], "a.xml: The file is empty"),
        ([SourceFile(name="a", data=b"x")] * 101, "101 files"),
    ],
)
def test_what_cannot_be_staged_is_said(
    organization: Organization, handed: list[SourceFile], message: str
) -> None:
    with pytest.raises(Refused, match=message):
        imports.stage(organization, handed, actor=EVA)
    assert not HandedFile.objects.exists()


def test_staged_files_are_sealed(organization: Organization) -> None:
    row = staged(organization, statement())

    (file,) = row.files.all()
    assert b"REF-A" not in bytes(file.sealed)
    assert files.content_of(file) == statement().data


def test_a_wrong_master_key_is_said_and_nothing_is_changed(organization: Organization) -> None:
    row = staged(organization, statement())
    stranger = KeyRing([Key.generate()])
    with override_settings(KVIT=dataclasses.replace(settings.KVIT, master_keys=stranger)):
        with pytest.raises(KeyMissing, match="Put it back"):
            imports.look(row)
        with pytest.raises(KeyMissing, match="Put it back"):
            imports.confirm(row, actor=EVA)
    row.refresh_from_db()
    assert row.state == "waiting"


def test_of_two_confirmations_one_queues_a_run(organization: Organization) -> None:
    row = staged(organization, statement())
    run = imports.confirm(row, actor=EVA)

    with pytest.raises(Stale, match="confirmed already"):
        imports.confirm(StatementImport.objects.get(pk=row.pk), actor=ADAM)
    with pytest.raises(Stale, match="confirmed already"):
        imports.discard(StatementImport.objects.get(pk=row.pk), actor=ADAM)
    with pytest.raises(Stale, match="confirmed already"):
        imports.drop(row.files.get(), actor=ADAM)
    assert SyncHistory.objects.get() == run
    assert (run.requested_by, row.run) == (EVA.name, run)


def test_of_many_confirmations_at_once_one_queues_a_run(organization: Organization) -> None:
    row = staged(organization, statement())
    together = Barrier(4)
    outcomes: list[str] = []

    def confirm() -> None:
        together.wait()
        try:
            imports.confirm(StatementImport.objects.select_related("organization").get(pk=row.pk), actor=EVA)
            outcomes.append("confirmed")
        except Refused as error:
            outcomes.append(type(error).__name__)
        finally:
            database.close()

    threads = [Thread(target=confirm) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["Stale", "Stale", "Stale", "confirmed"]
    assert SyncHistory.objects.count() == 1


def test_while_an_import_is_under_way_another_one_waits(organization: Organization) -> None:
    first, second = staged(organization, statement()), staged(organization, statement())
    run = imports.confirm(first, actor=EVA)

    with pytest.raises(Refused, match="under way"):
        imports.confirm(second, actor=ADAM)
    second.refresh_from_db()
    assert second.state == "waiting"

    carried_out(run)
    assert counts(carried_out(imports.confirm(second, actor=ADAM))) == {"fetched": 2, "unchanged": 2}


def test_a_discarded_import_keeps_names_and_no_content(organization: Organization) -> None:
    row = staged(organization, statement())

    imports.discard(row, actor=EVA)

    (file,) = row.files.all()
    assert (file.name, bytes(file.sealed)) == ("march.xml", b"")
    with pytest.raises(Stale, match="discarded already"):
        imports.confirm(row, actor=EVA)


def test_files_that_nobody_confirms_are_discarded_after_a_week(organization: Organization) -> None:
    row, confirmed = staged(organization, statement()), staged(organization, statement())
    imports.confirm(confirmed, actor=EVA)
    week = imports.KEPT_UNCONFIRMED

    retention.purge(timezone.now() + week - timedelta(minutes=1))
    row.refresh_from_db()
    assert row.state == "waiting"
    retention.purge(timezone.now() + week + timedelta(minutes=1))
    row.refresh_from_db()
    confirmed.refresh_from_db()

    assert (row.state, confirmed.state) == ("discarded", "confirmed")
    assert bytes(confirmed.files.get().sealed)


def test_an_import_taken_back_can_be_imported_again(organization: Organization) -> None:
    run = carried_out(imports.confirm(staged(organization, statement()), actor=EVA))
    assert BankStatement.objects.get().number == "3"

    runs.revert(run, actor=EVA)

    assert not BankStatement.objects.exists()
    assert set(MoneyTransaction.objects.values_list("status", flat=True)) == {"withdrawn"}
    again = staged(organization, statement())
    assert imports.look(again)[0].statements[0].new == 2
    assert counts(carried_out(imports.confirm(again, actor=EVA))) == {"fetched": 2, "updated": 2}
    assert set(MoneyTransaction.objects.values_list("status", flat=True)) == {"booked"}
    assert BankStatement.objects.get().run_id != run.pk


def test_a_file_imported_before_formats_were_sources_changes_nothing(organization: Organization) -> None:
    """Movements of earlier versions stand under the account's name alone."""
    plain = statement(camt_entry("0.50"))
    carried_out(imports.confirm(staged(organization, plain), actor=EVA))
    former = MoneyTransaction.objects.values_list("source", flat=True)[0].removesuffix(" camt.053")
    _store_under(former)

    row = staged(organization, plain)
    assert [(one.new, one.known) for one in imports.look(row)[0].statements] == [(0, 3)]
    assert counts(carried_out(imports.confirm(row, actor=EVA))) == {"fetched": 3, "unchanged": 3}
    again = carried_out(imports.confirm(staged(organization, plain), actor=EVA))

    assert counts(again) == {"fetched": 3, "unchanged": 3}
    assert set(MoneyTransaction.objects.values_list("source", flat=True)) == {former}


def _store_under(source: str) -> None:
    """Rename the source of all movements, with an entry of the audit for each."""
    with transaction.atomic():
        for row in MoneyTransaction.objects.select_related("organization"):
            before, row.source = row.source, source
            row.save(update_fields=["source"])
            change = Change("ledger_moneytransaction", row.pk, {"source": before}, {"source": source})
            record(row.organization, SYSTEM, [change])


def test_nobody_looks_into_another_organization(organization: Organization) -> None:
    carried_out(imports.confirm(staged(organization, statement()), actor=EVA))

    (look,) = imports.look(staged(an_organization(), statement()))

    assert (look.statements[0].new, look.statements[0].known_account) == (2, None)


@pytest.mark.parametrize("movements", [5_000, pytest.param(50_000, marks=pytest.mark.soak)])
def test_many_movements_are_looked_at_in_reasonable_time(organization: Organization, movements: int) -> None:
    entries = [
        camt_entry(f"{number}.10", booked=f"2026-03-{number % 28 + 1:02}", more=ref(f"R{number}"))
        for number in range(1, movements + 1)
    ]
    row = staged(organization, SourceFile(name="year.xml", data=camt(*entries)))
    begun = time.process_time()

    (look,) = imports.look(row)

    assert look.statements[0].new == movements
    assert time.process_time() - begun < movements / 800


def test_a_worker_killed_in_the_middle_leaves_one_whole_import(
    organization: Organization, installation: Installation
) -> None:
    entries = [camt_entry("1.00", more=ref(f"R{number}")) for number in range(2_000)]
    row = staged(organization, SourceFile(name="year.xml", data=camt(*entries, head=HEAD)))
    run = imports.confirm(row, actor=EVA)
    with installation.worker() as worker:
        while not MoneyTransaction.objects.exists():
            time.sleep(0.01)
        worker.kill()
    assert BankStatement.objects.count() <= 1
    with installation.worker():
        deadline = time.monotonic() + 90
        while SyncHistory.objects.get(pk=run.pk).is_active:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert MoneyTransaction.objects.count() == 2_000
    assert BankStatement.objects.get().entries == 2_000
