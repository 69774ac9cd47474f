"""A source that retells whole days: what it does not tell again may be what it tells otherwise now."""

from __future__ import annotations

import pytest
from django.db import transaction

from kvit.audit.recording import SYSTEM
from kvit.ledger import posting
from kvit.ledger.models import BankAccount, MoneyTransaction, PossibleDuplicate, TransactionAlias
from kvit.ledger.movements import Movement
from kvit.ledger.posting import Posted
from kvit.users.keys import key_ring
from kvit.users.models import Organization
from tests.factories import a_movement, an_account, post

FILE, FORMER, API = "statement_file:one camt.053", "statement_file:one", "fio:one"


@pytest.fixture
def account(organization: Organization) -> BankAccount:
    return an_account(organization)


@transaction.atomic
def tell(account: BankAccount, *batches: list[Movement], source: str = FILE) -> Posted:
    """Post a file, in one batch or several."""
    told: set[int] = set()
    keys = key_ring(account.organization)
    posted = Posted()
    for movements in batches:
        posted += posting.post(
            account, source, movements, actor=SYSTEM, keys=keys, former_sources=[FORMER], told=told
        )
    return posted


def suspicions() -> set[tuple[str, str, str]]:
    pairs = PossibleDuplicate.objects.values_list(
        "transaction__external_id", "candidate__external_id", "reason"
    )
    return set(pairs)


def test_a_movement_told_otherwise_is_a_possible_duplicate(account: BankAccount) -> None:
    tell(account, [a_movement("text-1", message="Kavárna")])

    assert tell(account, [a_movement("text-2", message="KAVARNA")]) == Posted(created=1)

    assert suspicions() == {("text-2", "text-1", "told_again")}


def test_what_is_told_three_ways_is_asked_about_each_time(account: BankAccount) -> None:
    for name in ("text-1", "text-2", "text-3"):
        tell(account, [a_movement(name)])

    assert {(later, reason) for later, _earlier, reason in suspicions()} == {
        ("text-2", "told_again"),
        ("text-3", "told_again"),
    }


def test_a_second_equal_payment_beside_the_first_is_a_payment(account: BankAccount) -> None:
    tell(account, [a_movement("first")])

    assert tell(account, [a_movement("first"), a_movement("second")]) == Posted(created=1, unchanged=1)
    assert tell(account, [a_movement("first")], [a_movement("third")]) == Posted(created=1, unchanged=1)
    # The file that brought the third one left the second one out.
    assert suspicions() == {("third", "second", "told_again")}


def test_two_ids_of_the_bank_are_two_payments(account: BankAccount) -> None:
    tell(account, [a_movement("first", is_bank_id=True)])
    tell(account, [a_movement("second", is_bank_id=True)])

    assert suspicions() == set()


def test_a_source_that_tells_only_what_is_new_is_not_asked_about(account: BankAccount) -> None:
    post(account, [a_movement("first")], source=API)
    post(account, [a_movement("second")], source=API)

    assert suspicions() == set()


def test_a_pending_movement_that_was_taken_over_is_not_compared_with_itself(account: BankAccount) -> None:
    tell(account, [a_movement("announced", status="pending")])

    assert tell(account, [a_movement("booked")]) == Posted(updated=1)

    assert suspicions() == set()
    assert MoneyTransaction.objects.get().external_id == "booked"


def test_ids_told_under_a_former_name_are_known(account: BankAccount) -> None:
    post(account, [a_movement("one"), a_movement("two", "5.00 CZK")], source=FORMER)

    assert tell(account, [a_movement("one"), a_movement("two", "5.00 CZK")]) == Posted(unchanged=2)
    assert tell(account, [a_movement("one"), a_movement("two", "6.00 CZK")]) == Posted(
        unchanged=1, conflicting=1
    )

    assert TransactionAlias.objects.filter(source=FILE).count() == 2
    assert set(MoneyTransaction.objects.values_list("source", flat=True)) == {FORMER}
    assert suspicions() == set()


def test_a_former_name_on_another_account_is_not_meant(organization: Organization) -> None:
    other = an_account(organization, number="CZ5520100000002000145399")
    post(other, [a_movement("one")], source=FORMER)

    assert tell(an_account(organization), [a_movement("one")]) == Posted(created=1)
