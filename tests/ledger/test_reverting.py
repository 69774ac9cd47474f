from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from kvit.audit.models import AuditEntry
from kvit.audit.recording import Actor
from kvit.kernel.errors import KvitError, Refused, Stale
from kvit.ledger import conflicts, duplicates
from kvit.ledger.models import (
    BankAccount,
    MoneyTransaction,
    PossibleDuplicate,
    TransactionAlias,
    TransactionConflict,
)
from kvit.ledger.movements import fingerprint_of_row
from kvit.ledger.posting import Posted
from kvit.ledger.reverting import Reverted, revert
from kvit.matching import review
from kvit.matching.models import Decision
from kvit.matching.reconcile import reconcile
from kvit.users.models import Organization
from tests.factories import a_client, a_movement, an_account, an_invoice, an_organization, post

OWNER = Actor(name="user:owner@example.com")
API, FILE = "fio:1", "statement_file:1"


def a_run(number: int) -> Actor:
    return Actor(name="plugin:fio@1.0", run_id=number)


@pytest.fixture
def account(organization: Organization) -> BankAccount:
    return an_account(organization)


def told(account: BankAccount, run: int, *movements: Any, source: str = API) -> Posted:
    return post(account, movements, source=source, actor=a_run(run))


def reverted(account: BankAccount, run: int) -> Reverted:
    return revert(account.organization, run, actor=OWNER)


def ledger() -> list[dict[str, Any]]:
    """Everything of the ledger, but for when it changed and where the source's own records lie."""
    passing = {"changed_at", "raw_payload_id", "raw_position", "match_due", "match_revision"}
    rows = MoneyTransaction.objects.order_by("id").values()
    return [{name: value for name, value in row.items() if name not in passing} for row in rows]


def test_what_a_run_brought_is_withdrawn(account: BankAccount) -> None:
    told(account, 1, a_movement("A"))
    before = ledger()
    told(account, 2, a_movement("B"), a_movement("C"))
    assert reverted(account, 2) == Reverted(withdrawn=2, restored=0)
    assert ledger()[:1] == before
    rows = MoneyTransaction.objects.filter(external_id__in="BC")
    assert [(row.status, row.fingerprint == fingerprint_of_row(row)) for row in rows] == [
        ("withdrawn", True),
        ("withdrawn", True),
    ]
    entry = AuditEntry.objects.filter(object_id=rows[0].pk, table="ledger_moneytransaction").latest("id")
    assert (entry.actor, entry.reason) == (OWNER.name, "run 2 reverted")


def test_what_a_run_changed_is_as_before(account: BankAccount) -> None:
    told(account, 1, a_movement("A", message="first"), a_movement("P", status="pending"))
    before = ledger()
    told(account, 2, a_movement("A", message="second", variable_symbol="7"), a_movement("P"))
    told(account, 2, a_movement("A", message="third"))
    assert reverted(account, 2) == Reverted(withdrawn=0, restored=2)
    assert ledger() == before


def test_a_movement_booked_under_a_new_id_is_pending_under_its_old_one(account: BankAccount) -> None:
    told(account, 1, a_movement("P", status="pending"))
    before = ledger()
    assert told(account, 2, a_movement("B", is_bank_id=True)) == Posted(updated=1)
    assert TransactionAlias.objects.count() == 1
    assert reverted(account, 2) == Reverted(withdrawn=0, restored=1)
    assert ledger() == before
    assert not TransactionAlias.objects.exists()
    assert told(account, 3, a_movement("B", is_bank_id=True)) == Posted(updated=1)


def test_a_source_that_tells_a_reverted_movement_again_brings_it_back(account: BankAccount) -> None:
    told(account, 1, a_movement("A"))
    before = ledger()
    reverted(account, 1)
    assert told(account, 2, a_movement("A")) == Posted(updated=1)
    assert ledger() == before
    assert reverted(account, 2) == Reverted(withdrawn=0, restored=1)
    assert MoneyTransaction.objects.get().status == "withdrawn"


def test_a_run_is_reverted_once(account: BankAccount) -> None:
    told(account, 1, a_movement("A"))
    reverted(account, 1)
    entries = AuditEntry.objects.count()
    with pytest.raises(Stale):
        reverted(account, 1)
    assert AuditEntry.objects.count() == entries


def test_a_run_that_left_nothing_has_nothing_to_revert(account: BankAccount) -> None:
    told(account, 1, a_movement("A"))
    told(account, 2, a_movement("A"))
    with pytest.raises(Refused, match="Nothing of this run"):
        reverted(account, 2)


def test_a_run_whose_movements_pay_invoices_is_not_reverted(account: BankAccount) -> None:
    organization = account.organization
    told(account, 1, a_movement("A", variable_symbol="42"), a_movement("B"))
    an_invoice(a_client(organization), symbol="42")
    assert reconcile(organization, actor=Actor(name="system", run_id=1)).settled == 1
    before = ledger()
    with pytest.raises(Refused, match="1 of this run's movements pay invoices"):
        reverted(account, 1)
    assert ledger() == before
    review.undo(Decision.objects.current().get(port="auto"), actor=OWNER)
    assert reverted(account, 1) == Reverted(withdrawn=2, restored=0)


def test_what_a_later_run_changed_is_not_reverted_before_that_run(account: BankAccount) -> None:
    told(account, 1, a_movement("A"), a_movement("B"))
    told(account, 2, a_movement("A", message="more"))
    before = ledger()
    with pytest.raises(Refused, match="1 of this run's movements were changed"):
        reverted(account, 1)
    assert ledger() == before
    reverted(account, 2)
    assert reverted(account, 1) == Reverted(withdrawn=2, restored=0)


def test_what_a_person_changed_is_not_reverted(account: BankAccount) -> None:
    told(account, 1, a_movement("A"))
    told(account, 2, a_movement("A", "5.00 CZK"))
    conflicts.accept(TransactionConflict.objects.get(), actor=OWNER)
    with pytest.raises(Refused, match="changed after it by a person"):
        reverted(account, 1)


def test_what_a_file_told_too_is_not_reverted(account: BankAccount) -> None:
    told(account, 1, a_movement("26000000001", is_bank_id=True))
    told(account, 2, a_movement("26000000001", is_bank_id=True), source=FILE)
    with pytest.raises(Refused, match="changed after it"):
        reverted(account, 1)
    assert reverted(account, 2) == Reverted(withdrawn=0, restored=0)
    assert reverted(account, 1) == Reverted(withdrawn=1, restored=0)


def test_the_movement_that_a_person_kept_is_not_reverted(account: BankAccount) -> None:
    told(account, 1, a_movement("A"))
    told(account, 2, a_movement("F"), source=FILE)
    duplicates.same(PossibleDuplicate.objects.get(), actor=OWNER)
    with pytest.raises(Refused, match="changed after it"):
        reverted(account, 1)
    assert MoneyTransaction.objects.get(external_id="A").status == "booked"


def test_what_the_run_said_against_a_booked_movement_is_asked_when_it_is_said_again(
    account: BankAccount,
) -> None:
    told(account, 1, a_movement("A"))
    other = a_movement("A", "5.00 CZK")
    told(account, 2, other)
    assert reverted(account, 2) == Reverted(withdrawn=0, restored=0)
    assert not TransactionConflict.objects.exists()
    assert told(account, 3, other) == Posted(conflicting=1)
    assert TransactionConflict.objects.get().resolved_at is None


def test_a_possible_duplicate_waits_only_while_both_movements_count(account: BankAccount) -> None:
    told(account, 1, a_movement("A"))
    told(account, 2, a_movement("F"), source=FILE)
    assert duplicates.waiting(account.organization).count() == 1
    reverted(account, 2)
    assert duplicates.waiting(account.organization).count() == 0
    told(account, 3, a_movement("F"), source=FILE)
    assert duplicates.waiting(account.organization).count() == 1


@pytest.mark.past_the_audit
def test_runs_from_before_fingerprints_were_kept_are_reverted_by_their_entries(account: BankAccount) -> None:
    told(account, 1, a_movement("A"), a_movement("B"))
    told(account, 2, a_movement("B", message="more"))
    MoneyTransaction.objects.update(fingerprint="")
    for entry in AuditEntry.objects.filter(table="ledger_moneytransaction"):
        for values in (entry.before, entry.after):
            if values is not None:
                values.pop("fingerprint", None)
        AuditEntry.objects.filter(pk=entry.pk).update(before=entry.before, after=entry.after)
    with pytest.raises(Refused, match="1 of this run's movements were changed"):
        reverted(account, 1)
    assert reverted(account, 2) == Reverted(withdrawn=0, restored=1)
    row = MoneyTransaction.objects.get(external_id="B")
    assert (row.message, row.fingerprint) == ("", fingerprint_of_row(row))


def test_another_organization_keeps_its_rows(account: BankAccount) -> None:
    told(account, 1, a_movement("A"))
    with pytest.raises(Refused, match="Nothing of this run"):
        revert(an_organization(), 1, actor=OWNER)
    assert MoneyTransaction.objects.get().status == "booked"


def test_a_large_run_is_reverted_in_few_statements(account: BankAccount) -> None:
    told(account, 1, *(a_movement(f"{number}", message="first") for number in range(3000)))
    told(account, 2, *(a_movement(f"{number}", message="second") for number in range(3000, 6000)))
    with CaptureQueriesContext(connection) as queries:
        assert reverted(account, 2) == Reverted(withdrawn=3000, restored=0)
    assert len(queries) < 60
    assert MoneyTransaction.objects.filter(status="booked").count() == 3000


@pytest.mark.django_db(transaction=True)
def test_of_two_people_who_revert_at_once_one_is_told_so() -> None:
    account = an_account(an_organization())
    told(account, 1, *(a_movement(f"{number}") for number in range(50)))
    together = Barrier(2)

    def act(_number: int) -> object:
        try:
            together.wait()
            return reverted(account, 1)
        except KvitError as error:
            return type(error)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        outcomes = set(pool.map(act, range(2)))
    assert outcomes == {Reverted(withdrawn=50, restored=0), Stale}
