from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM, Actor
from kvit.dashboard.figures import to_review
from kvit.kernel.errors import KvitError, Refused, Stale
from kvit.ledger import conflicts, duplicates
from kvit.ledger.models import BankAccount, MoneyTransaction, PossibleDuplicate, TransactionConflict
from kvit.ledger.movements import fingerprint_of_row
from kvit.ledger.posting import Posted
from kvit.matching import review
from kvit.matching.models import Decision
from kvit.matching.reconcile import reconcile
from kvit.users.models import Organization
from tests.factories import a_client, a_movement, an_account, an_invoice, an_organization, post

OWNER = Actor(name="user:owner@example.com")
type Answer = Callable[..., None]
API, FILE, THIRD = "fio:1", "statement_file:1", "other:1"


def told_by(source: str, account: BankAccount, external_id: str, **fields: Any) -> MoneyTransaction:
    post(account, [a_movement(external_id, **fields)], source=source)
    return MoneyTransaction.objects.get(source=source, external_id=external_id)


def a_question(account: BankAccount, **fields: Any) -> PossibleDuplicate:
    """One payment that two sources tell under ids of their own."""
    told_by(API, account, "A", **fields)
    told_by(FILE, account, "F", **fields)
    return PossibleDuplicate.objects.get()


def statuses() -> dict[str, str]:
    return dict(MoneyTransaction.objects.values_list("external_id", "status"))


def test_of_two_that_are_one_the_later_counts_no_more(organization: Organization) -> None:
    question = a_question(an_account(organization))
    duplicates.same(question, actor=OWNER)
    later = question.transaction
    later.refresh_from_db()
    assert statuses() == {"A": "booked", "F": "withdrawn"}
    assert (later.duplicate_of_id, later.fingerprint) == (question.candidate_id, fingerprint_of_row(later))
    question.refresh_from_db()
    assert (question.verdict, question.resolved_by) == ("same", OWNER.name)
    entry = AuditEntry.objects.filter(table="ledger_moneytransaction", object_id=later.pk).latest("id")
    assert entry.before
    assert entry.after
    assert (entry.actor, entry.before["status"], entry.after["status"]) == (
        OWNER.name,
        "booked",
        "withdrawn",
    )


def test_what_was_called_the_same_stays_withdrawn_when_it_is_told_again(organization: Organization) -> None:
    account = an_account(organization)
    duplicates.same(a_question(account), actor=OWNER)
    assert post(account, [a_movement("F")], source=FILE) == Posted(unchanged=1)
    assert post(account, [a_movement("A")], source=API) == Posted(unchanged=1)
    assert statuses() == {"A": "booked", "F": "withdrawn"}


def test_two_that_are_different_both_count(organization: Organization) -> None:
    question = a_question(an_account(organization))
    duplicates.different(question, actor=OWNER)
    question.refresh_from_db()
    assert (question.verdict, statuses()) == ("different", {"A": "booked", "F": "booked"})
    assert not duplicates.waiting(organization).exists()


@pytest.mark.parametrize("second", [duplicates.same, duplicates.different])
@pytest.mark.parametrize("first", [duplicates.same, duplicates.different])
def test_a_question_is_answered_once(organization: Organization, first: Answer, second: Answer) -> None:
    question = a_question(an_account(organization))
    first(question, actor=OWNER)
    before = list(MoneyTransaction.objects.order_by("id").values())
    with pytest.raises(Stale):
        second(question, actor=OWNER)
    assert list(MoneyTransaction.objects.order_by("id").values()) == before


def test_the_later_one_is_not_withdrawn_while_it_pays_an_invoice(organization: Organization) -> None:
    question = a_question(an_account(organization))
    decision = review.confirm(question.transaction, an_invoice(a_client(organization)), actor=OWNER)
    with pytest.raises(Refused, match="pays an invoice"):
        duplicates.same(question, actor=OWNER)
    assert statuses() == {"A": "booked", "F": "booked"}
    assert duplicates.waiting(organization).exists()
    review.undo(decision, actor=OWNER)
    duplicates.same(question, actor=OWNER)
    assert statuses() == {"A": "booked", "F": "withdrawn"}


def test_the_earlier_one_may_pay_an_invoice(organization: Organization) -> None:
    question = a_question(an_account(organization))
    review.confirm(question.candidate, an_invoice(a_client(organization)), actor=OWNER)
    duplicates.same(question, actor=OWNER)
    assert statuses() == {"A": "booked", "F": "withdrawn"}


def test_movements_of_two_amounts_cannot_be_one(organization: Organization) -> None:
    question = a_question(an_account(organization))
    post(question.transaction.account, [a_movement("A", "1211.00 CZK")], source=API)
    conflicts.accept(TransactionConflict.objects.get(), actor=OWNER)
    with pytest.raises(Refused, match="different amounts"):
        duplicates.same(question, actor=OWNER)


def test_a_booked_movement_is_one_pending_movement_and_no_other(organization: Organization) -> None:
    account = an_account(organization)
    post(account, [a_movement("P1", status="pending"), a_movement("P2", status="pending")])
    post(account, [a_movement("B")])
    first, second = PossibleDuplicate.objects.order_by("id")
    duplicates.same(first, actor=OWNER)
    second.refresh_from_db()
    assert (second.verdict, duplicates.waiting(organization).count()) == ("different", 0)
    assert sorted(statuses().values()) == ["booked", "pending", "withdrawn"]


def test_of_a_pending_and_a_booked_one_the_pending_one_is_withdrawn(organization: Organization) -> None:
    account = an_account(organization)
    post(account, [a_movement("P", status="pending")])
    post(account, [a_movement("B1"), a_movement("B2")])
    questions = {row.transaction.external_id: row for row in PossibleDuplicate.objects.all()}
    assert set(questions) == {"B1", "B2"}
    duplicates.same(questions["B1"], actor=OWNER)
    assert statuses() == {"P": "withdrawn", "B1": "booked", "B2": "booked"}
    assert MoneyTransaction.objects.get(external_id="P").duplicate_of == questions["B1"].transaction
    questions["B2"].refresh_from_db()
    assert questions["B2"].verdict == "different"
    assert post(account, [a_movement("P", status="pending")]) == Posted(unchanged=1)


def test_a_third_source_is_asked_about_the_one_that_is_kept(organization: Organization) -> None:
    account = an_account(organization)
    told_by(API, account, "A")
    told_by(FILE, account, "F", variable_symbol="5")
    told_by(THIRD, account, "T", variable_symbol="5")
    asked = {row.transaction.external_id: row for row in PossibleDuplicate.objects.all()}
    assert (asked["F"].candidate.external_id, asked["T"].candidate.external_id) == ("A", "F")
    duplicates.same(asked["F"], actor=OWNER)
    left = duplicates.waiting(organization).get()
    assert (left.transaction.external_id, left.candidate.external_id) == ("T", "A")


def test_open_conflicts_of_what_is_withdrawn_wait_for_nobody(organization: Organization) -> None:
    question = a_question(an_account(organization))
    post(question.transaction.account, [a_movement("F", "9.00 CZK")], source=FILE)
    assert to_review(organization) == 4, "the question, the conflict, and two that are not matched yet"
    duplicates.same(question, actor=OWNER)
    assert to_review(organization) == 1, "the one that is kept"


def test_the_later_one_is_not_matched_before_the_answer(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization))
    question = a_question(an_account(organization), variable_symbol=invoice.variable_symbol)
    assert reconcile(organization).settled == 1
    first, second = question.candidate, question.transaction
    assert Decision.objects.current().get(transaction=first).port == "auto"
    decision = Decision.objects.current().get(transaction=second)
    assert (decision.port, decision.because[0]["code"]) == ("none", "payment.possible_duplicate")
    assert reconcile(organization).settled == 0


def test_the_later_one_is_matched_when_it_is_another_one(organization: Organization) -> None:
    account, client = an_account(organization), a_client(organization)
    told_by(API, account, "A", variable_symbol="999")
    told_by(FILE, account, "F", variable_symbol=an_invoice(client).variable_symbol)
    question = PossibleDuplicate.objects.get()
    assert reconcile(organization).settled == 0
    duplicates.different(question, actor=OWNER)
    assert reconcile(organization).settled == 1


def test_a_withdrawn_movement_does_not_wait_for_review(organization: Organization) -> None:
    question = a_question(an_account(organization))
    reconcile(organization)
    assert to_review(organization) == 3
    duplicates.same(question, actor=OWNER)
    assert to_review(organization) == 1
    assert [row.transaction_id for row in Decision.objects.waiting()] == [question.candidate_id]


@pytest.mark.django_db(transaction=True)
def test_of_two_people_at_once_one_is_told_that_the_other_was_faster() -> None:
    question = a_question(an_account(an_organization()))
    together = Barrier(2)

    def act(answer: Answer) -> str:
        try:
            together.wait()
            answer(PossibleDuplicate.objects.get(pk=question.pk), actor=SYSTEM)
        except KvitError as error:
            return type(error).__name__
        else:
            return "done"
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(act, [duplicates.same, duplicates.different]))
    assert sorted(outcomes) == ["Stale", "done"]
    question.refresh_from_db()
    withdrawn = MoneyTransaction.objects.filter(status="withdrawn").count()
    assert withdrawn == (1 if question.verdict == "same" else 0)
