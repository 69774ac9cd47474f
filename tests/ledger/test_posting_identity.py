"""Which stored movement a new id is: pending and booked, other sources, and what only a person can say."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models import QuerySet

from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM
from kvit.ledger import posting
from kvit.ledger.models import (
    BankAccount,
    MoneyTransaction,
    PossibleDuplicate,
    TransactionAlias,
    TransactionConflict,
)
from kvit.ledger.movements import Movement, fingerprint, fingerprint_of_row
from kvit.ledger.posting import Posted
from kvit.users.models import Organization
from tests.factories import TODAY, a_movement, an_account, post

API, FILE = "fio:one", "statement_file:one"


@pytest.fixture
def account(organization: Organization) -> BankAccount:
    return an_account(organization)


def of_movements() -> QuerySet[AuditEntry]:
    return AuditEntry.objects.filter(table="ledger_moneytransaction")


def row(external_id: str) -> MoneyTransaction:
    return MoneyTransaction.objects.get(external_id=external_id)


def statuses() -> dict[str, str]:
    return dict(MoneyTransaction.objects.values_list("external_id", "status"))


def pending(external_id: str, amount: str = "100.00 CZK", **fields: object) -> Movement:
    return a_movement(external_id, amount, status="pending", **fields)


def suspicions() -> set[tuple[str, str, str]]:
    pairs = PossibleDuplicate.objects.values_list(
        "transaction__external_id", "candidate__external_id", "reason"
    )
    return set(pairs)


def everything_is_consistent() -> bool:
    """Fingerprints are those of the columns, and each new or changed row has its entry."""
    rows = MoneyTransaction.objects.all()
    entries = of_movements().filter(action="created")
    return all(r.fingerprint == fingerprint_of_row(r) for r in rows) and sorted(
        entries.values_list("object_id", flat=True)
    ) == sorted(rows.values_list("id", flat=True))


def test_a_stored_row_has_the_fingerprint_of_its_movement(account: BankAccount) -> None:
    movement = a_movement("A", value_on=TODAY, message='Příliš "žluťoučký"\n\t\\ kůň', reference="\\N")
    post(account, [movement])
    assert row("A").fingerprint == fingerprint(movement) == fingerprint_of_row(row("A"))
    assert row("A").message == movement.message


def test_the_fingerprint_tells_neighbouring_fields_apart() -> None:
    one = a_movement("A", variable_symbol="12", constant_symbol="3")
    assert fingerprint(one) != fingerprint(a_movement("A", variable_symbol="1", constant_symbol="23"))
    assert fingerprint(one) == fingerprint(one._replace(external_id="B", raw={}))


def test_a_booked_movement_takes_over_its_pending_one(account: BankAccount) -> None:
    post(account, [pending("P", variable_symbol="42")])
    before = row("P")
    booked = a_movement("N", "100.00 CZK", variable_symbol="0042", booked_on=TODAY + timedelta(days=5))
    assert post(account, [booked]) == Posted(updated=1)
    after = MoneyTransaction.objects.get()
    assert (after.pk, after.external_id, after.status) == (before.pk, "N", "booked")
    assert (after.booked_on, after.variable_symbol) == (booked.booked_on, "0042")
    entry = of_movements().get(action="changed")
    assert entry.before is not None
    assert entry.after is not None
    assert (entry.before["external_id"], entry.after["external_id"]) == ("P", "N")
    assert (entry.before["status"], entry.after["status"]) == ("pending", "booked")
    assert "currency" not in entry.after
    assert everything_is_consistent()


def test_after_a_takeover_both_ids_mean_the_same_movement(account: BankAccount) -> None:
    post(account, [pending("P")])
    booked = a_movement("N", "100.00 CZK", booked_on=TODAY + timedelta(days=1))
    post(account, [booked])
    assert post(account, [pending("P"), booked]) == Posted(unchanged=2)
    assert statuses() == {"N": "booked"}


def test_a_pending_id_that_is_booked_after_all_is_a_movement_of_its_own(account: BankAccount) -> None:
    post(account, [pending("P")])
    post(account, [a_movement("N", "100.00 CZK")])
    both = [a_movement("N", "100.00 CZK"), a_movement("P", "100.00 CZK")]
    assert post(account, both) == Posted(created=1, unchanged=1)
    assert statuses() == {"N": "booked", "P": "booked"}
    assert suspicions() == {("P", "N", "pending")}
    assert not TransactionAlias.objects.exists()
    assert post(account, both) == Posted(unchanged=2)
    assert everything_is_consistent()


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": "100.01 CZK"},
        {"amount": "-100.00 CZK"},
        {"amount": "100.00 EUR"},
        {"booked_on": TODAY + timedelta(days=6)},
        {"booked_on": TODAY - timedelta(days=6)},
        {"variable_symbol": "43"},
        {"counterparty_account": "2/0100"},
        {"status": "pending"},
    ],
)
def test_a_movement_that_differs_takes_nothing_over(account: BankAccount, fields: dict[str, object]) -> None:
    post(account, [pending("P", variable_symbol="42", counterparty_account="1/0100")])
    post(account, [a_movement("N", **{"amount": "100.00 CZK", **fields})])  # type: ignore[arg-type]
    assert set(statuses()) == {"P", "N"}
    assert not PossibleDuplicate.objects.exists()


def test_a_pending_movement_still_told_beside_the_booked_one_is_another(account: BankAccount) -> None:
    post(account, [pending("P")])
    assert post(account, [a_movement("N", "100.00 CZK"), pending("P")]) == Posted(created=1, unchanged=1)
    assert statuses() == {"P": "pending", "N": "booked"}


def test_two_booked_movements_for_one_pending_are_for_a_person(account: BankAccount) -> None:
    post(account, [pending("P")])
    booked = [a_movement("N", "100.00 CZK"), a_movement("M", "100.00 CZK")]
    assert post(account, booked) == Posted(created=2)
    assert suspicions() == {("N", "P", "pending"), ("M", "P", "pending")}
    assert AuditEntry.objects.filter(table="ledger_possibleduplicate", action="created").count() == 2
    assert post(account, booked) == Posted(unchanged=2)
    assert PossibleDuplicate.objects.count() == 2


def test_one_booked_movement_for_two_pending_is_for_a_person(account: BankAccount) -> None:
    post(account, [pending("P"), pending("Q")])
    assert post(account, [a_movement("N", "100.00 CZK")]) == Posted(created=1)
    assert suspicions() == {("N", "P", "pending"), ("N", "Q", "pending")}


def test_a_pending_movement_in_question_is_taken_over_by_nobody(account: BankAccount) -> None:
    post(account, [pending("P")])
    post(account, [a_movement("N", "100.00 CZK"), a_movement("M", "100.00 CZK")])
    assert post(account, [a_movement("O", "100.00 CZK")]) == Posted(created=1)
    assert ("O", "P", "pending") in suspicions()


def test_symbols_decide_between_two_pending_movements(account: BankAccount) -> None:
    post(account, [pending("P", variable_symbol="1"), pending("Q", variable_symbol="2")])
    booked = [a_movement(f"N{symbol}", "100.00 CZK", variable_symbol=symbol) for symbol in ("1", "2")]
    assert post(account, booked) == Posted(updated=2)
    assert statuses() == {"N1": "booked", "N2": "booked"}


def test_the_pending_movement_of_another_source_or_account_is_not_taken_over(account: BankAccount) -> None:
    post(account, [pending("P")], source=FILE)
    other = an_account(account.organization, "CZ5508000000001234567899")
    post(other, [pending("Q")], source="fio:other")
    assert post(account, [a_movement("N", "100.00 CZK")], source=API) == Posted(created=1)
    assert statuses()["P"] == statuses()["Q"] == "pending"


def test_what_is_gone_is_withdrawn_and_comes_back_when_told_again(account: BankAccount) -> None:
    post(account, [pending("P"), a_movement("B")], source=API)
    with transaction.atomic():
        assert posting.release(account, API, ["P", "B", "X"], actor=SYSTEM) == 1
    assert statuses() == {"P": "withdrawn", "B": "booked"}
    entry = of_movements().get(action="changed")
    assert (entry.reason, entry.before and entry.before["status"]) == ("gone at the source", "pending")
    assert everything_is_consistent()
    assert post(account, [a_movement("P", "100.00 CZK")], source=API) == Posted(updated=1)
    assert statuses()["P"] == "booked"
    assert everything_is_consistent()


@pytest.mark.past_the_audit
def test_a_movement_that_a_person_called_another_stays_withdrawn(account: BankAccount) -> None:
    post(account, [a_movement("A"), a_movement("B")])
    MoneyTransaction.objects.filter(external_id="B").update(
        status="withdrawn", duplicate_of=row("A"), fingerprint=""
    )
    assert post(account, [a_movement("A"), a_movement("B")]) == Posted(unchanged=2)
    assert statuses()["B"] == "withdrawn"


def test_rows_from_before_fingerprints_are_compared_once_and_get_theirs(account: BankAccount) -> None:
    movements = [a_movement("A", is_bank_id=True), a_movement("B")]
    post(account, movements)
    MoneyTransaction.objects.update(fingerprint="", is_bank_id=False)
    assert post(account, movements) == Posted(unchanged=2)
    assert everything_is_consistent()
    assert row("A").is_bank_id
    assert of_movements().count() == 2


def test_a_bank_id_names_one_movement_in_both_sources(account: BankAccount) -> None:
    post(account, [a_movement("26", message="from the API", is_bank_id=True)], source=API)
    told = a_movement("26", message="from the file", is_bank_id=True)
    assert post(account, [told], source=FILE) == Posted(unchanged=1)
    assert post(account, [told], source=FILE) == Posted(unchanged=1)
    assert MoneyTransaction.objects.get().message == "from the API"
    assert TransactionAlias.objects.get().source == FILE
    assert not PossibleDuplicate.objects.exists()
    assert of_movements().count() == 1


def test_one_bank_id_with_other_facts_is_a_conflict(account: BankAccount) -> None:
    post(account, [a_movement("26", "10.00 CZK", is_bank_id=True)], source=API)
    told = a_movement("26", "11.00 CZK", is_bank_id=True)
    assert post(account, [told], source=FILE) == Posted(conflicting=1)
    assert post(account, [told], source=FILE) == Posted(conflicting=1)
    assert TransactionConflict.objects.get().amount_minor == 1100
    assert MoneyTransaction.objects.get().amount_minor == 1000


def test_an_id_that_is_not_the_banks_names_nothing_elsewhere(account: BankAccount) -> None:
    post(account, [a_movement("26", is_bank_id=True)], source=API)
    assert post(account, [a_movement("26")], source=FILE) == Posted(created=1)
    assert suspicions() == {("26", "26", "other_source")}


def test_a_transfer_between_own_accounts_may_share_its_id(account: BankAccount) -> None:
    other = an_account(account.organization, "CZ5508000000001234567899")
    post(account, [a_movement("26", "-10.00 CZK", is_bank_id=True)], source=API)
    assert post(other, [a_movement("26", "10.00 CZK", is_bank_id=True)], source="fio:two") == Posted(
        created=1
    )
    assert not PossibleDuplicate.objects.exists()


def test_a_bank_id_booked_elsewhere_books_the_pending_one(account: BankAccount) -> None:
    post(account, [pending("26", is_bank_id=True)], source=API)
    booked = a_movement("26", "100.00 CZK", is_bank_id=True, booked_on=TODAY + timedelta(days=1))
    assert post(account, [booked], source=FILE) == Posted(updated=1)
    assert (row("26").source, row("26").status) == (API, "booked")
    assert post(
        account, [pending("26", is_bank_id=True)._replace(booked_on=booked.booked_on)], source=API
    ) == (Posted(unchanged=1))
    assert everything_is_consistent()


def test_equal_payments_of_two_sources_are_paired_one_to_one(account: BankAccount) -> None:
    api = [a_movement(f"{n}", variable_symbol=f"{n}", is_bank_id=True) for n in range(3)]
    post(account, api, source=API)
    from_file = [a_movement(f"F{n}", variable_symbol=f"{n}") for n in (2, 1)]
    assert post(account, from_file, source=FILE) == Posted(created=2)
    assert suspicions() == {("F2", "2", "other_source"), ("F1", "1", "other_source")}
    assert post(account, [a_movement("G"), a_movement("H")], source=FILE) == Posted(created=2)
    assert ("G", "0", "other_source") in suspicions()
    assert PossibleDuplicate.objects.count() == 3


@pytest.mark.parametrize(
    "fields",
    [{"amount": "1.00 CZK"}, {"booked_on": TODAY - timedelta(days=1)}, {"is_bank_id": True}],
)
def test_other_sources_movements_that_differ_are_no_duplicates(
    account: BankAccount, fields: dict[str, object]
) -> None:
    post(account, [a_movement("26", is_bank_id=True)], source=API)
    assert post(account, [a_movement("27", **fields)], source=FILE) == Posted(created=1)  # type: ignore[arg-type]
    assert not PossibleDuplicate.objects.exists()


def test_a_pending_movement_booked_on_another_day_is_compared_again(account: BankAccount) -> None:
    post(account, [pending("P", "100.00 CZK")], source=API)
    tomorrow = TODAY + timedelta(days=1)
    post(account, [a_movement("F", "100.00 CZK", booked_on=tomorrow)], source=FILE)
    assert not PossibleDuplicate.objects.exists()
    assert post(account, [a_movement("P", "100.00 CZK", booked_on=tomorrow)], source=API) == Posted(updated=1)
    assert suspicions() == {("P", "F", "other_source")}


def test_two_equal_payments_of_one_source_are_two(account: BankAccount) -> None:
    post(account, [a_movement("A", is_bank_id=True)], source=API)
    assert post(account, [a_movement("B", is_bank_id=True)], source=API) == Posted(created=1)
    assert not PossibleDuplicate.objects.exists()
