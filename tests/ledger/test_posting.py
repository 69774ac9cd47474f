from __future__ import annotations

from datetime import date

import pytest
from django.db import transaction
from django.db.models import Count, QuerySet, Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM, Actor
from kvit.kernel.errors import RecordError, Refused, SealBroken, Stale
from kvit.ledger import conflicts, posting
from kvit.ledger.models import MoneyTransaction, RawPayload, TransactionConflict
from kvit.ledger.movements import Movement, movement_of
from kvit.ledger.posting import Posted
from kvit.plugin import Transaction
from kvit.users.keys import key_ring
from kvit.users.models import Organization
from tests.factories import IBAN, TODAY, a_movement, a_payment, an_account, an_organization, post


def of_movements() -> QuerySet[AuditEntry]:
    return AuditEntry.objects.filter(table="ledger_moneytransaction")


def facts_of(organization: Organization) -> list[tuple[object, ...]]:
    rows = MoneyTransaction.objects.filter(organization=organization).order_by("external_id")
    return list(rows.values_list("external_id", "amount_minor", "currency", "booked_on", "variable_symbol"))


def test_posting_stores_every_field_as_given(organization: Organization) -> None:
    movement = a_movement(
        "26000000001",
        "-1250.50 CZK",
        value_on=date(2026, 11, 23),
        counterparty_name="Řeznictví Šťastný",
        counterparty_account="19-2000145399/0800",
        variable_symbol="0002026001",
        constant_symbol="0308",
        specific_symbol="7",
        message="Děkujeme",
        reference="E2E-1",
    )
    assert post(an_account(organization), [movement]) == Posted(created=1)
    row = MoneyTransaction.objects.get()
    values = [getattr(row, name) for name in Movement._fields[:-1]]
    stored = Movement._make([*values, posting.raw_record(row, key_ring(organization))])
    assert stored == movement
    assert row.type == "expense"
    assert row.counterparty_bank == "0800"


def test_posting_twice_changes_nothing(organization: Organization) -> None:
    account = an_account(organization)
    movements = [a_movement(f"{number}", f"{number}.10 CZK") for number in range(1, 300)]
    assert post(account, movements) == Posted(created=299)
    before = list(MoneyTransaction.objects.order_by("id").values())
    assert post(account, movements) == Posted(unchanged=299)
    assert list(MoneyTransaction.objects.order_by("id").values()) == before
    assert of_movements().count() == 299
    assert RawPayload.objects.count() == 1


@pytest.mark.parametrize("size", [5_000, pytest.param(50_000, marks=pytest.mark.soak)])
def test_a_large_batch_is_exact(organization: Organization, size: int) -> None:
    account = an_account(organization)
    one = a_movement("0")
    movements = [one._replace(external_id=f"{number}", amount_minor=number) for number in range(size)]
    assert post(account, [*movements, *movements[:7]]) == Posted(created=size, unchanged=7)
    changed = [
        movement._replace(message="new") if at % 100 == 0 else movement
        for at, movement in enumerate(movements)
    ]
    assert post(account, changed) == Posted(updated=size // 100, unchanged=size - size // 100)
    stored = MoneyTransaction.objects.aggregate(Count("id"), Sum("amount_minor"))
    assert stored == {"id__count": size, "amount_minor__sum": sum(range(size))}
    assert of_movements().values("object_id", "action").distinct().count() == size + size // 100
    assert of_movements().count() == size + size // 100


def test_an_empty_batch_posts_nothing(organization: Organization) -> None:
    assert post(an_account(organization), []) == Posted()


def test_one_id_twice_in_a_batch_is_one_movement(organization: Organization) -> None:
    same = a_movement("A", "10.00 CZK")
    assert post(an_account(organization), [same, same, a_movement("A", "10.00 CZK")]) == Posted(
        created=1, unchanged=2
    )


def test_one_id_twice_with_two_amounts_is_a_conflict(organization: Organization) -> None:
    posted = post(an_account(organization), [a_movement("A", "10.00 CZK"), a_movement("A", "11.00 CZK")])
    assert posted == Posted(created=1, conflicting=1)
    assert MoneyTransaction.objects.get().amount_minor == 1000


def test_two_equal_payments_with_two_ids_are_two(organization: Organization) -> None:
    assert post(an_account(organization), [a_movement("A"), a_movement("B")]) == Posted(created=2)


def test_the_same_id_of_another_source_or_organization_is_another_movement(
    organization: Organization,
) -> None:
    account, other = an_account(organization), an_account(an_organization())
    assert post(account, [a_movement("A")], source="fio:one") == Posted(created=1)
    assert post(account, [a_movement("A")], source="fio:two") == Posted(created=1)
    assert post(other, [a_movement("A")], source="fio:one") == Posted(created=1)


def test_details_are_completed_and_audited_from_and_to(organization: Organization) -> None:
    account = an_account(organization)
    post(account, [a_movement("A"), a_movement("B")])
    posted = post(
        account,
        [a_movement("A", variable_symbol="42"), a_movement("B")],
        actor=Actor(name="plugin:x@1", run_id=7),
    )
    assert posted == Posted(updated=1, unchanged=1)
    entry = of_movements().get(action="changed")
    assert (entry.actor, entry.run_id) == ("plugin:x@1", 7)
    assert entry.before is not None
    assert entry.after is not None
    assert (entry.before["variable_symbol"], entry.after["variable_symbol"]) == ("", "42")
    assert entry.object_id == MoneyTransaction.objects.get(external_id="A").pk


@pytest.mark.parametrize(
    "changed",
    [{"amount": "99.00 CZK"}, {"booked_on": date(2026, 11, 1)}, {"amount": "1210.00 EUR"}],
    ids=["amount", "date", "currency"],
)
def test_other_facts_about_a_booked_movement_are_a_conflict_and_never_an_update(
    organization: Organization, changed: dict[str, object]
) -> None:
    account = an_account(organization)
    post(account, [a_movement("A")])
    before = facts_of(organization)
    for _ in range(2):
        assert post(account, [a_movement("A", **changed)]) == Posted(conflicting=1)  # type: ignore[arg-type]
    assert facts_of(organization) == before
    assert TransactionConflict.objects.count() == 1


def test_a_pending_movement_becomes_booked_and_may_change_until_then(organization: Organization) -> None:
    account = an_account(organization)
    post(account, [a_movement("A", "10.00 CZK", status="pending")])
    assert post(account, [a_movement("A", "12.00 CZK")]) == Posted(updated=1)
    row = MoneyTransaction.objects.get()
    assert (row.status, row.amount_minor) == ("booked", 1200)


def test_a_booked_movement_never_becomes_pending_again(organization: Organization) -> None:
    account = an_account(organization)
    post(account, [a_movement("A")])
    assert post(account, [a_movement("A", status="pending")]) == Posted(unchanged=1)
    assert MoneyTransaction.objects.get().status == "booked"


def test_a_released_pending_movement_is_gone_and_a_booked_one_stays(organization: Organization) -> None:
    account = an_account(organization)
    post(account, [a_movement("A", status="pending"), a_movement("B")])
    with transaction.atomic():
        assert posting.release(account, f"test:{IBAN}", ["A", "B"], actor=SYSTEM) == 1
    assert dict(MoneyTransaction.objects.values_list("external_id", "status")) == {
        "A": "withdrawn",
        "B": "booked",
    }
    assert of_movements().filter(action="changed").count() == 1


def test_the_audit_has_exactly_one_entry_for_each_change(organization: Organization) -> None:
    account = an_account(organization)
    post(account, [a_movement(f"{number}") for number in range(50)])
    post(account, [a_movement(f"{number}", message="new" if number < 5 else "") for number in range(60)])
    assert of_movements().filter(action="created").count() == 60
    assert of_movements().filter(action="changed").count() == 5
    ids = set(of_movements().filter(action="created").values_list("object_id", flat=True))
    assert ids == set(MoneyTransaction.objects.values_list("id", flat=True))


def test_a_rolled_back_batch_leaves_nothing(organization: Organization) -> None:
    account = an_account(organization)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        posting.post(account, "s", [a_movement("A")], actor=SYSTEM, keys=key_ring(organization))
        raise ZeroDivisionError
    assert not MoneyTransaction.objects.exists()
    assert not of_movements().exists()


@pytest.mark.django_db(transaction=True)
def test_posting_outside_a_transaction_is_refused() -> None:
    account = an_account(an_organization())
    with pytest.raises(RuntimeError):
        posting.post(account, "s", [a_movement()], actor=SYSTEM, keys=key_ring(account.organization))


def test_a_raw_record_that_is_no_json_is_kept_as_text(organization: Organization) -> None:
    row = a_payment(an_account(organization), raw={"odd": {1, 2}, "half": "\ud800"})
    kept = posting.raw_record(row, key_ring(organization))
    assert "odd" in kept
    assert "ud800" in kept


def test_a_raw_payload_moved_to_another_row_does_not_open(organization: Organization) -> None:
    account = an_account(organization)
    first, second = a_payment(account), a_payment(account)
    assert first.raw_payload is not None
    assert second.raw_payload is not None
    second.raw_payload.sealed = first.raw_payload.sealed
    second.raw_payload.save()
    second = MoneyTransaction.objects.get(pk=second.pk)
    with pytest.raises(SealBroken):
        posting.raw_record(second, key_ring(organization))


_records = st.tuples(st.sampled_from("ABCD"), st.integers(-500, 500), st.sampled_from(["", "1", "2"]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from("ABCD"), st.integers(-500, 500), st.sampled_from(["", "1", "2"])),
        max_size=8,
    )
)
def test_counts_add_up_and_order_of_batches_keeps_each_movement_once(
    organization: Organization, records: list[tuple[str, int, str]]
) -> None:
    account = an_account(organization)
    movements = [
        a_movement(name, f"{minor / 100:.2f} CZK", variable_symbol=symbol) for name, minor, symbol in records
    ]
    with transaction.atomic():
        posted = post(account, movements)
        total = posted.created + posted.updated + posted.unchanged + posted.conflicting
        assert total == len(movements)
        assert MoneyTransaction.objects.filter(organization=organization).count() == len(
            {name for name, _, _ in records}
        )
        transaction.set_rollback(True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("external_id", "  "),
        ("external_id", "x" * 256),
        ("amount", 12.5),
        ("amount", "12,50"),
        ("amount", "1.005"),
        ("amount", "NaN"),
        ("amount", True),
        ("currency", "Kč"),
        ("booked_on", "22. 11. 2026"),
        ("booked_on", date(1, 1, 1)),
        ("booked_on", None),
        ("value_on", "tomorrow"),
        ("status", "perhaps"),
        ("message", None),
        ("message", "half a letter: \ud800"),
    ],
)
def test_a_record_that_does_not_hold_together_names_its_field(field: str, value: object) -> None:
    fields: dict[str, object] = {
        "external_id": "A",
        "account_id": IBAN,
        "amount": "1.00",
        "currency": "CZK",
        "booked_on": TODAY,
        field: value,
    }
    with pytest.raises(RecordError):
        movement_of(Transaction(**fields))  # type: ignore[arg-type]


def test_a_conflict_is_kept_or_accepted_once_by_a_person(organization: Organization) -> None:
    account = an_account(organization)
    post(account, [a_movement("A", "10.00 CZK")])
    post(account, [a_movement("A", "-11.00 CZK")])
    conflict = TransactionConflict.objects.get()
    conflicts.accept(conflict, actor=SYSTEM)
    row = MoneyTransaction.objects.get()
    assert (row.amount_minor, row.type) == (-1100, "expense")
    with pytest.raises(Stale):
        conflicts.keep(conflict, actor=SYSTEM)


@pytest.mark.past_the_audit
def test_a_conflict_about_money_that_pays_an_invoice_cannot_be_accepted(organization: Organization) -> None:
    account = an_account(organization)
    post(account, [a_movement("A", "10.00 CZK")])
    post(account, [a_movement("A", "11.00 CZK")])
    MoneyTransaction.objects.update(settled_minor=1000)
    with pytest.raises(Refused):
        conflicts.accept(TransactionConflict.objects.get(), actor=SYSTEM)
    assert TransactionConflict.objects.get().resolved_at is None
