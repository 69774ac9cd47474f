"""Workers and people who settle the same rows at the same moment: one is right, the others are told so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import pytest
from django.db import connection

from kvit import pipeline
from kvit.audit.recording import SYSTEM, Actor
from kvit.invoices import settling
from kvit.invoices.models import Invoice, Settlement
from kvit.kernel.errors import Refused, Stale
from kvit.ledger.models import MoneyTransaction
from kvit.matching import review
from kvit.matching.models import Decision, MatchingRun
from kvit.matching.reconcile import reconcile
from kvit.users.models import Organization
from tests.factories import TODAY, a_client, a_draft, a_payment, an_account, an_invoice, an_organization
from tests.matching.invariants import assert_books_hold, bank_facts
from tests.matching.tenant import business, deliver, issue_all

pytestmark = pytest.mark.django_db(transaction=True)

EVA, PETR = Actor(name="user:eva@example.com"), Actor(name="user:petr@example.com")


def together(*acts: Callable[[], object]) -> list[object]:
    """Start all at once, each on its own connection; return what each gave back or was refused with."""
    gate = Barrier(len(acts))

    def run(act: Callable[[], object]) -> object:
        try:
            gate.wait(timeout=30)
            return act()
        except Refused as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def refusals(results: Sequence[object]) -> list[Refused]:
    return [result for result in results if isinstance(result, Refused)]


@pytest.fixture
def organization() -> Organization:
    return an_organization()


def waiting_payment(organization: Organization, amount: str = "1210.00 CZK") -> MoneyTransaction:
    """A payment that names nothing and waits for a person."""
    row = a_payment(an_account(organization), amount, counterparty_account="35-4171760237/0100")
    reconcile(organization)
    return row


def test_two_people_accept_the_same_card(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization))
    row = waiting_payment(organization)
    facts = bank_facts()
    decision = Decision.objects.current().get(transaction=row)
    results = together(
        lambda: review.accept(decision, actor=EVA), lambda: review.accept(decision, actor=PETR)
    )
    assert len(refusals(results)) == 1
    assert isinstance(refusals(results)[0], Stale)
    assert "Somebody else" in str(refusals(results)[0]) or "any more" in str(refusals(results)[0])
    invoice.refresh_from_db()
    assert invoice.state == "paid"
    assert Settlement.objects.count() == 1
    assert_books_hold(facts)


def test_two_payments_for_one_invoice_pay_it_once(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization))
    rows = [waiting_payment(organization) for _ in range(2)]
    facts = bank_facts()
    results = together(*[lambda row=row: review.confirm(row, invoice, actor=EVA) for row in rows])
    assert len(refusals(results)) == 1
    assert Settlement.objects.count() == 1
    assert_books_hold(facts)


def test_one_payment_for_two_invoices_is_spent_once(organization: Organization) -> None:
    client = a_client(organization)
    invoices = [an_invoice(client) for _ in range(2)]
    row = waiting_payment(organization)
    facts = bank_facts()
    results = together(*[lambda one=one: review.confirm(row, one, actor=EVA) for one in invoices])
    assert len(refusals(results)) == 1
    assert_books_hold(facts)


def test_a_worker_does_not_settle_what_a_person_says_no_to(organization: Organization) -> None:
    """Whichever is first: a rejected pair is settled only where the worker came before the rejection."""
    for _ in range(5):
        invoice = an_invoice(a_client(organization))
        row = a_payment(an_account(organization), variable_symbol=invoice.variable_symbol)
        facts = bank_facts()
        together(partial(reconcile, organization), partial(review.reject, row, invoice, actor=EVA))
        reconcile(organization)
        automatic = Decision.objects.filter(transaction=row, port="auto", undone_at__isnull=True)
        rejected_at = row.rejections.get().created_at
        assert not automatic.filter(created_at__gt=rejected_at).exists()
        assert bank_facts() == facts


def test_undo_and_accept_at_once_leave_the_books_whole(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization))
    first = a_payment(an_account(organization), variable_symbol=invoice.variable_symbol)
    reconcile(organization)
    second = waiting_payment(organization)
    facts = bank_facts()
    decision = Decision.objects.get(transaction=first, port="auto")
    together(
        lambda: review.undo(decision, actor=EVA),
        lambda: review.confirm(second, invoice, actor=PETR),
        lambda: settling.settle_by_hand(invoice, TODAY, actor=PETR),
    )
    assert_books_hold(facts)


def test_undo_twice_at_once_is_one_undo(organization: Organization) -> None:
    an_invoice(a_client(organization))
    row = a_payment(an_account(organization), variable_symbol="2026001")
    reconcile(organization)
    facts = bank_facts()
    decision = Decision.objects.get(transaction=row, port="auto")
    results = together(lambda: review.undo(decision, actor=EVA), lambda: review.undo(decision, actor=PETR))
    assert len(refusals(results)) == 1
    assert Settlement.objects.filter(voids__isnull=False).count() == 1
    assert_books_hold(facts)


def test_two_undo_a_run_at_once(organization: Organization) -> None:
    client, account = a_client(organization), an_account(organization)
    for _ in range(4):
        a_payment(account, variable_symbol=an_invoice(client).variable_symbol)
    reconcile(organization)
    facts = bank_facts()
    run = MatchingRun.objects.get()
    results = together(*[lambda: review.undo_run(run, actor=EVA)] * 2)
    assert len(refusals(results)) == 1
    assert Settlement.objects.filter(voids__isnull=False).count() == 4
    assert not Invoice.objects.filter(state="paid").exists()
    assert_books_hold(facts)


def test_issuing_and_syncing_at_once_miss_nothing(organization: Organization) -> None:
    """The payment arrives while its invoice is being issued; whoever ends last has seen both."""
    client, account = a_client(organization), an_account(organization)
    for number in range(4):
        draft = a_draft(client, symbol=f"9{number}")

        def arrive(number: int = number) -> None:
            a_payment(account, variable_symbol=f"9{number}")
            reconcile(organization)

        def issue(draft: Invoice = draft) -> None:
            pipeline.issue(draft, TODAY, actor=SYSTEM)

        assert not refusals(together(arrive, issue))
        draft.refresh_from_db()
        assert draft.state == "paid"
    assert_books_hold(bank_facts())


def test_three_workers_over_a_busy_month(organization: Organization) -> None:
    days = business(seed=1)
    for day in days:
        issue_all(organization, day)
    deliver(organization, [movement for day in days for movement in day.movements])
    facts = bank_facts()
    together(*[lambda: reconcile(organization)] * 3)
    reconcile(organization)
    assert not MoneyTransaction.objects.to_match().exists()
    assert Decision.objects.filter(port="auto").count() > 5
    assert_books_hold(facts)
