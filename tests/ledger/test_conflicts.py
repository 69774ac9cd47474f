from __future__ import annotations

from datetime import timedelta

import pytest

from kvit.audit.models import AuditEntry
from kvit.audit.recording import Actor
from kvit.kernel.errors import Refused, Stale
from kvit.ledger import conflicts, duplicates
from kvit.ledger.models import MoneyTransaction, PossibleDuplicate, TransactionConflict
from kvit.ledger.movements import fingerprint_of_row
from kvit.ledger.posting import Posted
from kvit.matching import review
from kvit.users.models import Organization
from tests.factories import TODAY, a_client, a_movement, an_account, an_invoice, post

OWNER = Actor(name="user:owner@example.com")


def a_conflict(organization: Organization) -> TransactionConflict:
    account = an_account(organization)
    post(account, [a_movement("A", "100.00 CZK")])
    post(account, [a_movement("A", "-90.00 CZK", booked_on=TODAY + timedelta(days=1))])
    return TransactionConflict.objects.get()


def test_after_accepting_both_versions_can_be_read(organization: Organization) -> None:
    conflict = a_conflict(organization)
    conflicts.accept(conflict, actor=OWNER)
    entry = AuditEntry.objects.filter(table="ledger_moneytransaction").latest("id")
    assert entry.actor == OWNER.name
    assert entry.before
    assert entry.after
    assert (entry.before["amount_minor"], entry.before["booked_on"], entry.before["type"]) == (
        10_000,
        "2026-11-22",
        "income",
    )
    assert (entry.after["amount_minor"], entry.after["booked_on"], entry.after["type"]) == (
        -9_000,
        "2026-11-23",
        "expense",
    )
    conflict.refresh_from_db()
    assert (conflict.amount_minor, conflict.resolved_by) == (-9_000, OWNER.name)


def test_what_was_accepted_is_unchanged_when_it_is_told_again(organization: Organization) -> None:
    conflict = a_conflict(organization)
    conflicts.accept(conflict, actor=OWNER)
    row = MoneyTransaction.objects.get()
    assert row.fingerprint == fingerprint_of_row(row)
    again = a_movement("A", "-90.00 CZK", booked_on=TODAY + timedelta(days=1))
    assert post(row.account, [again]) == Posted(unchanged=1)


def test_what_was_kept_is_not_asked_again(organization: Organization) -> None:
    conflict = a_conflict(organization)
    conflicts.keep(conflict, actor=OWNER)
    again = a_movement("A", "-90.00 CZK", booked_on=TODAY + timedelta(days=1))
    assert post(conflict.transaction.account, [again]) == Posted(conflicting=1)
    assert not TransactionConflict.objects.filter(resolved_at__isnull=True).exists()
    assert MoneyTransaction.objects.get().amount_minor == 10_000


def test_a_version_told_a_third_time_is_asked_about_again(organization: Organization) -> None:
    first = a_movement("A", "100.00 CZK")
    second = a_movement("A", "90.00 CZK")
    account = an_account(organization)
    post(account, [first])
    for told in (second, first, second):
        assert post(account, [told]) == Posted(conflicting=1)
        conflicts.accept(TransactionConflict.objects.get(resolved_at__isnull=True), actor=OWNER)
    assert MoneyTransaction.objects.get().amount_minor == 9_000


def test_a_conflict_is_resolved_once(organization: Organization) -> None:
    conflict = a_conflict(organization)
    conflicts.keep(conflict, actor=OWNER)
    with pytest.raises(Stale):
        conflicts.accept(conflict, actor=OWNER)
    assert MoneyTransaction.objects.get().amount_minor == 10_000


def test_a_payment_that_pays_an_invoice_is_not_changed(organization: Organization) -> None:
    conflict = a_conflict(organization)
    invoice = an_invoice(a_client(organization), "100.00 CZK")
    review.confirm(conflict.transaction, invoice, actor=OWNER)
    with pytest.raises(Refused, match="pays an invoice"):
        conflicts.accept(conflict, actor=OWNER)
    conflict.refresh_from_db()
    assert conflict.resolved_at is None


def test_a_conflict_about_a_movement_that_was_withdrawn_is_closed(organization: Organization) -> None:
    account = an_account(organization)
    post(account, [a_movement("A")], source="fio:1")
    post(account, [a_movement("F")], source="statement_file:1")
    post(account, [a_movement("F", "9.00 CZK")], source="statement_file:1")
    conflict = TransactionConflict.objects.get()
    duplicates.same(PossibleDuplicate.objects.get(), actor=OWNER)
    with pytest.raises(Stale):
        conflicts.accept(conflict, actor=OWNER)
