"""The same business ends with the same books however and in whatever order it becomes known."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest

from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM
from kvit.invoices import settling
from kvit.invoices.models import Invoice
from kvit.matching.models import Decision, MatchingRun, Rejection
from kvit.matching.reconcile import reconcile
from kvit.users.models import Organization
from tests.factories import a_client, a_draft, an_organization
from tests.matching.invariants import assert_books_hold, bank_facts
from tests.matching.tenant import Day, business, deliver, issue_all, outcome

SEEDS = range(3)


def day_by_day(organization: Organization, days: list[Day]) -> None:
    for day in days:
        issue_all(organization, day)
        deliver(organization, day.movements)
        reconcile(organization)


def at_once(organization: Organization, days: list[Day]) -> None:
    for day in days:
        issue_all(organization, day)
    deliver(organization, [movement for day in days for movement in day.movements])
    reconcile(organization)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_month_at_once_is_the_month_day_by_day(organization: Organization, seed: int) -> None:
    days = business(seed)
    day_by_day(organization, days)
    other = an_organization()
    at_once(other, days)
    settled = {name: found for name, found in outcome(organization).items() if name != "ports"}
    assert settled == {name: found for name, found in outcome(other).items() if name != "ports"}
    assert len(settled["lines"]) > 10
    assert_books_hold(bank_facts())


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_within_a_day_changes_nothing(organization: Organization, seed: int) -> None:
    days = business(seed)
    day_by_day(organization, days)
    other = an_organization()
    chance = random.Random(seed)
    for day in days:
        issue_all(other, day)
        shuffled = list(day.movements)
        chance.shuffle(shuffled)
        for movement in shuffled:
            deliver(other, [movement])
        reconcile(other)
    assert outcome(other) == outcome(organization)


@pytest.mark.parametrize("seed", SEEDS)
def test_once_more_changes_nothing(organization: Organization, seed: int) -> None:
    day_by_day(organization, business(seed))
    rows = (Decision, MatchingRun, AuditEntry, Rejection)
    before = outcome(organization), [model.objects.count() for model in rows]
    reconcile(organization)
    reconcile(organization)
    assert (outcome(organization), [model.objects.count() for model in rows]) == before


@pytest.mark.parametrize("seed", SEEDS)
def test_invoices_that_nothing_names_create_no_match(organization: Organization, seed: int) -> None:
    days = business(seed)
    at_once(organization, days)
    other = an_organization()
    stranger = a_client(other, "Někdo Jiný a.s.")
    for number in range(12):
        draft = a_draft(stranger, "500.00 CZK", symbol=f"88{number:04d}", due_on=date(2027, 1, 1))
        draft.issue(days[0].day + timedelta(days=number), actor=SYSTEM)
    at_once(other, days)
    matched = {line[:2] for line in outcome(organization)["lines"]}
    assert {line[:2] for line in outcome(other)["lines"]} <= matched


@pytest.mark.parametrize("seed", SEEDS)
def test_what_waits_is_not_settled_because_another_debt_goes_away(
    organization: Organization, seed: int
) -> None:
    """An equal debt that is paid by hand takes a rival away, which is no evidence for anything."""
    day_by_day(organization, business(seed))
    before = outcome(organization)["lines"]
    for invoice in Invoice.objects.filter(organization=organization, state="issued", settled_minor=0)[:3]:
        settling.settle_by_hand(invoice, date(2026, 4, 30), actor=SYSTEM)
        reconcile(organization)
    bank_lines = [line for line in outcome(organization)["lines"] if line[0] is not None]
    assert bank_lines == before
