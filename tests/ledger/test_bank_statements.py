"""Statements received for an account: kept once each, and what is missing between them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM, Actor
from kvit.ledger import reverting, statements
from kvit.ledger.models import BankAccount, BankStatement
from kvit.ledger.statements import Gap, gaps
from kvit.plugin import AccountStatement
from kvit.users.models import Organization
from tests.factories import a_movement, an_account, an_organization, money, post

CAMT, GPC = "statement_file:CZ65 CZK camt.053", "statement_file:192000145399 CZK gpc"


@pytest.fixture
def account(organization: Organization) -> BankAccount:
    return an_account(organization)


def told(
    number: str = "", first: str = "", last: str = "", opening: str = "", closing: str = ""
) -> AccountStatement:
    """A statement as a plugin yields it; days as `03-31` of 2026 or in full."""
    return AccountStatement(
        account_id="own",
        number=number,
        from_date=_day(first),
        to_date=_day(last),
        opening_balance=Decimal(opening) if opening else None,
        closing_balance=Decimal(closing) if closing else None,
    )


def _day(text: str) -> date | None:
    return date.fromisoformat(text if len(text) == 10 else f"2026-{text}") if text else None


@transaction.atomic
def keep(account: BankAccount, *received: AccountStatement, source: str = CAMT) -> None:
    for statement in received:
        statements.keep(account, source, statement, actor=SYSTEM)


JANUARY = told("1", "01-01", "01-31", "0.00", "100.00")
FEBRUARY = told("2", "02-01", "02-28", "100.00", "50.00")
MARCH = told("3", "03-01", "03-31", "50.00", "75.50")
APRIL = told("4", "04-01", "04-30", "75.50", "80.00")


def described(found: Sequence[Gap]) -> list[tuple[str, str, str]]:
    return [(gap.kind, gap.after.number, gap.before.number) for gap in found]


def test_a_statement_is_kept_once_whatever_file_it_came_in(account: BankAccount) -> None:
    keep(account, JANUARY, JANUARY, FEBRUARY)
    keep(account, JANUARY)
    keep(account, JANUARY, source=GPC)

    assert BankStatement.objects.count() == 3
    newest = statements.statements_of(account).first()
    assert newest is not None
    assert (newest.number, newest.opening_balance, newest.closing_balance) == (
        "2",
        money("100.00 CZK"),
        money("50.00 CZK"),
    )


def test_a_statement_that_says_nothing_of_itself_is_not_kept(account: BankAccount) -> None:
    keep(account, told(), AccountStatement(account_id="own", entries=7, file="a.csv"))

    assert not BankStatement.objects.exists()


def test_statements_that_continue_have_no_gap(account: BankAccount) -> None:
    keep(account, MARCH, JANUARY, APRIL, FEBRUARY)

    assert gaps(account) == ()


def test_a_missing_number_is_named_with_its_days_and_its_money(account: BankAccount) -> None:
    keep(account, JANUARY, APRIL)

    (gap,) = gaps(account)
    assert (gap.kind, gap.missing, gap.difference) == ("number", ("2", "3"), money("-24.50 CZK"))
    assert (gap.from_date, gap.to_date) == (date(2026, 2, 1), date(2026, 3, 31))
    assert (gap.after.number, gap.before.number) == ("1", "4")


def test_what_another_source_told_is_not_missing(account: BankAccount) -> None:
    keep(account, JANUARY, MARCH)
    keep(account, told("2", "02-01", "02-28"), source=GPC)
    assert gaps(account) == ()


def test_days_that_another_source_covers_are_not_missing(account: BankAccount) -> None:
    keep(account, JANUARY, APRIL)
    keep(account, told("", "01-15", "03-31", "60.00", "75.50"), source=GPC)
    assert gaps(account) == ()


def test_half_of_what_is_missing_does_not_fill_the_gap(account: BankAccount) -> None:
    keep(account, JANUARY, APRIL)
    keep(account, told("", "02-01", "02-28", "100.00", "50.00"), source=GPC)
    assert [gap.kind for gap in gaps(account)] == ["number"]


def test_balances_that_do_not_continue_are_told_without_numbers(account: BankAccount) -> None:
    keep(account, told("", "01-01", "01-31", "0", "100"), told("", "02-01", "02-28", "90", "50"))

    (gap,) = gaps(account)
    assert (gap.kind, gap.difference, gap.from_date) == ("balance", money("-10.00 CZK"), None)


def test_consecutive_numbers_do_not_hide_balances_that_differ(account: BankAccount) -> None:
    keep(account, JANUARY, told("2", "02-01", "02-28", "99.00", "50.00"))

    assert described(gaps(account)) == [("balance", "1", "2")]


def test_days_between_statements_are_told_where_nothing_says_that_they_were_empty(
    account: BankAccount,
) -> None:
    keep(account, told("", "01-01", "01-31"), told("", "03-01", "03-31"))

    (gap,) = gaps(account)
    assert (gap.kind, gap.from_date, gap.to_date) == ("days", date(2026, 2, 1), date(2026, 2, 28))


@pytest.mark.parametrize(
    "received",
    [
        (told("8", "01-02", "01-02"), told("9", "01-05", "01-05")),
        (told("", "01-02", "01-02", "1", "2"), told("", "01-05", "01-05", "2", "3")),
        (told("1", "01-01", "01-31", "0", "1"), told("3", "02-01", "02-28", "1", "2")),
        (told("5/1", "01-02", "01-02"), told("5/2", "01-02", "01-02"), told("6", "01-03", "01-03")),
        (told("20260131", "01-31", "01-31", "1", "2"), told("20260201", "02-01", "02-01", "2", "3")),
        (told("12", "2025-12-01", "2025-12-31"), told("1", "01-01", "01-31")),
        (told("12/2025", "2025-12-01", "2025-12-31"), told("2026/1", "01-01", "01-31")),
        (told("", "01-01", "01-31", "0", "9"), told("", "01-31", "02-28", "9", "12")),
        (told("", "01-01", "01-31", "0", "9"), told("", "01-31", "02-28", "7", "12")),
        (told("", "01-01", "12-31", "0", "9"), told("", "03-01", "03-31", "3", "4")),
        (
            told("5", "01-02", "01-02", "0", "3"),
            told("6", "01-02", "01-02", "3", "4"),
            told("7", "01-03", "01-03", "4", "9"),
        ),
        (told("7"), told("9")),
    ],
    ids=[
        "numbers continue over a weekend",
        "balances continue over a weekend",
        "a number was never given out",
        "pages of one statement",
        "a date is no number",
        "numbers begin anew with the year",
        "numbers with their year",
        "a day shared by two statements",
        "a day in both of two exports",
        "a month within a year",
        "two statements on one day",
        "statements without a day",
    ],
)
def test_what_continues_in_some_way_is_no_gap(
    account: BankAccount, received: tuple[AccountStatement, ...]
) -> None:
    keep(account, *received)

    assert gaps(account) == ()


def test_the_first_statements_of_a_year_can_be_missing(account: BankAccount) -> None:
    keep(account, told("12", "2025-12-01", "2025-12-31"), told("3", "03-01", "03-31"))

    (gap,) = gaps(account)
    assert gap.missing == ("1", "2")


def test_statements_of_another_account_fill_no_gap(organization: Organization, account: BankAccount) -> None:
    keep(account, JANUARY, MARCH)
    keep(an_account(organization, number="CZ5520100000002000145399"), FEBRUARY)

    assert [gap.missing for gap in gaps(account)] == [("2",)]


def test_reverting_the_run_takes_its_statements_away_and_says_so(account: BankAccount) -> None:
    actor = Actor(name="plugin:statement_file@1", run_id=77)
    with transaction.atomic():
        statements.keep(account, CAMT, JANUARY, actor=actor)
    post(account, [a_movement("M")], source=CAMT, actor=actor)
    keep(account, FEBRUARY)

    reverting.revert(account.organization, 77, actor=SYSTEM)

    assert [row.number for row in BankStatement.objects.all()] == ["2"]
    entries = AuditEntry.objects.filter(table="ledger_bankstatement").order_by("id")
    assert [(entry.action, entry.reason) for entry in entries][-1] == ("deleted", "run 77 reverted")


class AnyOfAYear(TestCase):
    """Twelve months whose numbers and balances continue, in any order, with any of them missing."""

    @given(
        order=st.permutations(range(12)),
        missing=st.sets(st.integers(min_value=1, max_value=10), max_size=4),
        with_numbers=st.booleans(),
        from_two_sources=st.booleans(),
    )
    def test_exactly_what_is_missing_is_told(
        self, order: list[int], missing: set[int], with_numbers: bool, from_two_sources: bool
    ) -> None:
        account = an_account(an_organization())
        months = [(date(2026, number, 1), date(2026, number, 28)) for number in range(1, 13)]
        for month in order:
            if month in missing:
                continue
            first, last = months[month]
            statement = AccountStatement(
                account_id="own",
                number=str(month + 1) if with_numbers else "",
                from_date=first,
                to_date=last,
                opening_balance=Decimal(month),
                closing_balance=Decimal(month + 1),
            )
            keep(account, statement, source=GPC if from_two_sources and month % 2 else CAMT)
        held = [month for month in range(12) if month not in missing]
        expected = [
            (after + 1, before + 1) for after, before in itertools.pairwise(held) if before > after + 1
        ]
        found = [(gap.after.opening_minor, gap.before.opening_minor) for gap in gaps(account)]
        assert [((after or 0) // 100 + 1, (before or 0) // 100 + 1) for after, before in found] == expected
