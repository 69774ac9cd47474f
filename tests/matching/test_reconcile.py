from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from kvit import pipeline
from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM, Actor
from kvit.invoices.models import Invoice, Settlement
from kvit.kernel.errors import Refused, Stale
from kvit.ledger.models import MoneyTransaction
from kvit.matching import review
from kvit.matching.models import Decision, Rejection
from kvit.matching.reconcile import reconcile
from kvit.users.models import Organization
from kvit.work.clients import add_payer_account
from kvit.work.models import PayerAccount
from tests.factories import (
    TODAY,
    a_client,
    a_draft,
    a_movement,
    a_payment,
    an_account,
    an_invoice,
    an_organization,
    post,
)

OWNER = Actor(name="user:owner@example.com")


def current(row: MoneyTransaction) -> Decision:
    return Decision.objects.current().get(transaction=row)


def codes(decision: Decision) -> list[str]:
    return [reason["code"] for reason in decision.because]


def state_of(organization: Organization) -> dict[str, Any]:
    """Everything matching may change, but for its history."""
    return {
        "invoices": list(Invoice.objects.order_by("id").values("id", "state", "settled_minor", "paid_on")),
        "transactions": list(MoneyTransaction.objects.order_by("id").values("id", "settled_minor")),
        "payers": list(PayerAccount.objects.order_by("id").values("client", "key")),
    }


def test_symbol_amount_and_currency_pay_the_invoice_with_stored_evidence(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization))
    payment = a_payment(an_account(organization), variable_symbol=f"000{invoice.variable_symbol}")
    assert reconcile(organization).settled == 1
    invoice.refresh_from_db()
    assert invoice.state == "paid"
    decision = current(payment)
    assert (decision.port, decision.tier, codes(decision)) == ("auto", "A1", ["symbol.names", "amount.equal"])
    assert Settlement.objects.get().decision_id == decision.pk


@pytest.mark.parametrize(
    ("payment", "code"),
    [
        ({"amount": "1209.99 CZK"}, "amount.rounding"),
        ({"amount": "1210.01 CZK"}, "amount.rounding"),
        ({"amount": "1208.00 CZK"}, "amount.differs"),
        ({"variable_symbol": ""}, "symbol.none"),
        ({"variable_symbol": "0000"}, "symbol.none"),
        ({"variable_symbol": "99"}, "symbol.unknown"),
        ({"variable_symbol": "20260010"}, "symbol.unknown"),
    ],
)
def test_anything_else_waits_with_its_reason(
    organization: Organization, payment: dict[str, str], code: str
) -> None:
    an_invoice(a_client(organization))
    fields = {"variable_symbol": "2026001", **payment}
    row = a_payment(an_account(organization), **fields)
    assert reconcile(organization).waiting == 1
    assert codes(current(row)) == [code]
    assert not Settlement.objects.exists()


def test_another_currency_waits(organization: Organization) -> None:
    an_invoice(a_client(organization), "1210.00 EUR")
    row = a_payment(an_account(organization), "1210.00 CZK", variable_symbol="2026001")
    reconcile(organization)
    assert codes(current(row)) == ["currency.differs"]


def test_a_draft_a_pending_or_an_outgoing_movement_is_never_settled(organization: Organization) -> None:
    client, account = a_client(organization), an_account(organization)
    a_draft(client, symbol="5")
    an_invoice(client, symbol="6")
    a_payment(account, variable_symbol="5")
    a_payment(account, variable_symbol="6", status="pending")
    a_payment(account, "-1210.00 CZK", variable_symbol="6")
    reconcile(organization)
    assert not Settlement.objects.exists()


def test_one_symbol_on_two_accounts_is_ambiguous(organization: Organization) -> None:
    client, account = a_client(organization), an_account(organization)
    an_invoice(client, symbol="77", account=account)
    an_invoice(client, symbol="77", account=an_account(organization, "CZ5500000000000000000001"))
    row = a_payment(account, variable_symbol="77")
    reconcile(organization)
    assert (current(row).port, codes(current(row))) == ("suggest", ["reference.ambiguous"])
    assert len(current(row).candidates) == 2


def test_a_payer_known_for_another_client_only_is_a_veto(organization: Organization) -> None:
    ours, theirs = a_client(organization), a_client(organization)
    add_payer_account(theirs, "35-4171760237/0100", actor=SYSTEM)
    an_invoice(ours)
    row = a_payment(
        an_account(organization),
        variable_symbol="2026001",
        counterparty_account="CZ30 0100 0000 3541 7176 0237",
    )
    reconcile(organization)
    assert codes(current(row)) == ["payer.other_client"]
    add_payer_account(ours, "CZ3001000000354171760237", actor=SYSTEM)
    assert reconcile(organization).settled == 1


def test_the_second_of_two_equal_payments_is_a_duplicate_for_a_person(organization: Organization) -> None:
    an_invoice(a_client(organization))
    account = an_account(organization)
    first, second = (a_payment(account, variable_symbol="2026001") for _ in range(2))
    reconcile(organization)
    assert (current(first).port, current(second).port) == ("auto", "duplicate")


def test_reconciling_again_changes_nothing(organization: Organization) -> None:
    client, account = a_client(organization), an_account(organization)
    an_invoice(client)
    for symbol in ("2026001", "2026001", "", "9"):
        a_payment(account, variable_symbol=symbol)
    reconcile(organization)
    before = (state_of(organization), Decision.objects.count(), AuditEntry.objects.count())
    reconcile(organization)
    assert (state_of(organization), Decision.objects.count(), AuditEntry.objects.count()) == before


def test_issuing_an_invoice_finds_money_that_came_before(organization: Organization) -> None:
    a_payment(an_account(organization), variable_symbol="2026001")
    reconcile(organization)
    draft = a_draft(a_client(organization))
    pipeline.issue(draft, TODAY, actor=OWNER)
    draft.refresh_from_db()
    assert draft.state == "paid"


def test_undo_restores_everything_and_is_remembered(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization))
    row = a_payment(
        an_account(organization), variable_symbol="2026001", counterparty_account="35-4171760237/0100"
    )
    before = state_of(organization)
    reconcile(organization)
    assert PayerAccount.objects.get().provenance == "auto"
    review.undo(current(row), actor=OWNER)
    assert state_of(organization) == before
    assert reconcile(organization).settled == 0
    assert codes(current(row)) == ["pair.rejected"]
    assert Rejection.objects.get().invoice == invoice


def test_undo_twice_is_one_undo(organization: Organization) -> None:
    an_invoice(a_client(organization))
    row = a_payment(an_account(organization), variable_symbol="2026001")
    reconcile(organization)
    decision = current(row)
    review.undo(decision, actor=OWNER)
    with pytest.raises(Stale):
        review.undo(decision, actor=OWNER)


def test_a_person_confirms_a_candidate_and_may_undo_and_confirm_again(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization))
    row = a_payment(an_account(organization))
    reconcile(organization)
    assert [candidate["lines"] for candidate in current(row).candidates] == [[[invoice.pk, 121000]]]
    for _ in range(2):
        row.refresh_from_db()
        invoice.refresh_from_db()
        decision = review.confirm(row, invoice, actor=OWNER)
        invoice.refresh_from_db()
        assert (invoice.state, decision.actor) == ("paid", OWNER.name)
        review.undo(decision, actor=OWNER)


def test_confirming_pays_at_most_what_is_open_and_left(organization: Organization) -> None:
    client, account = a_client(organization), an_account(organization)
    small, large = an_invoice(client, "100.00 CZK"), an_invoice(client, "300.00 CZK")
    row = a_payment(account, "250.00 CZK")
    review.confirm(row, small, actor=OWNER)
    row.refresh_from_db()
    assert str(row.unsettled) == "150.00 CZK"
    review.confirm(row, large, actor=OWNER)
    small.refresh_from_db()
    large.refresh_from_db()
    row.refresh_from_db()
    assert (small.state, large.state, str(large.open), str(row.unsettled)) == (
        "paid",
        "issued",
        "150.00 CZK",
        "0.00 CZK",
    )


def test_a_rejected_pair_is_not_offered_again(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization))
    row = a_payment(an_account(organization))
    reconcile(organization)
    review.reject(row, invoice, actor=OWNER)
    assert current(row).candidates == []


def test_a_dismissed_movement_leaves_the_review_until_undone(organization: Organization) -> None:
    row = a_payment(an_account(organization))
    reconcile(organization)
    decision = review.dismiss(row, actor=OWNER)
    assert reconcile(organization).waiting == 0
    review.undo(decision, actor=OWNER)
    assert current(row).port == "none"


def test_money_that_pays_an_invoice_cannot_be_dismissed(organization: Organization) -> None:
    an_invoice(a_client(organization))
    row = a_payment(an_account(organization), variable_symbol="2026001")
    reconcile(organization)
    row.refresh_from_db()
    with pytest.raises(Refused):
        review.dismiss(row, actor=OWNER)


def test_an_invoice_of_another_organization_is_never_paid(organization: Organization) -> None:
    an_invoice(a_client(an_organization()))
    a_payment(an_account(organization), variable_symbol="2026001")
    reconcile(organization)
    assert not Settlement.objects.exists()


def test_adding_unrelated_invoices_never_makes_a_match(organization: Organization) -> None:
    client, account = a_client(organization), an_account(organization)
    rows = [a_payment(account, variable_symbol=symbol) for symbol in ("", "123", "2027001")]
    reconcile(organization)
    for number in range(5):
        an_invoice(client, f"{1215 + number}.00 CZK", due_on=TODAY + timedelta(days=number))
    reconcile(organization)
    assert not Settlement.objects.exists()
    assert {current(row).port for row in rows} == {"none"}


def test_many_waiting_movements_have_one_current_decision_each(organization: Organization) -> None:
    account = an_account(organization)
    post(account, [a_movement(f"{number}") for number in range(1100)])
    assert reconcile(organization).waiting == 1100
    invoice = an_invoice(a_client(organization))
    assert reconcile(organization).waiting == 1100
    current_ones = Decision.objects.current()
    assert current_ones.count() == 1100
    assert current_ones.filter(sequence=2).count() == 1100
    assert {row.candidates[0]["lines"][0][0] for row in current_ones} == {invoice.pk}


@pytest.mark.django_db(transaction=True)
def test_waiting_decisions_made_at_once_are_made_once() -> None:
    organization = an_organization()
    post(an_account(organization), [a_movement(f"{number}") for number in range(300)])

    def act(_: int) -> int:
        try:
            return reconcile(organization).waiting
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(act, range(3))) == [300, 300, 300]
    assert Decision.objects.current().count() == 300
    assert Decision.objects.count() == 300


@pytest.mark.django_db(transaction=True)
def test_two_reconciliations_at_once_settle_each_payment_once() -> None:
    organization = an_organization()
    client, account = a_client(organization), an_account(organization)
    for _ in range(8):
        invoice = an_invoice(client)
        a_payment(account, variable_symbol=invoice.variable_symbol)

    def act(_: int) -> int:
        try:
            return reconcile(organization, actor=SYSTEM).settled
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        settled = sum(pool.map(act, range(3)))
    assert settled == Settlement.objects.count() == Decision.objects.filter(port="auto").count() == 8
    assert not Invoice.objects.exclude(state="paid").exists()
