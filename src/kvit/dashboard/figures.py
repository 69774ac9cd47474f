"""The figures of the overview, as values; nothing here writes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from django.db.models import Count, Exists, F, OuterRef, QuerySet, Sum
from django.db.models.functions import TruncMonth

from kvit.invoices.models import Invoice
from kvit.kernel.money import Money
from kvit.ledger import duplicates
from kvit.ledger.models import MoneyTransaction, TransactionConflict
from kvit.matching.models import Decision
from kvit.sync.models import SyncHistory
from kvit.users.models import Organization

LATEST_RUNS = 5
MONTHS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A sum per currency and how many rows it is made of."""

    amounts: tuple[Money, ...]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """Booked income and expense of one month in one currency; both are positive."""

    first_day: date
    income: Money
    expense: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything the overview shows."""

    received: Figure
    """Booked income of the current month."""
    waiting: Figure
    """What is open on issued invoices; what we owe on credit notes is none of it."""
    overdue: Figure
    """The part of `waiting` whose due date has passed."""
    to_review: int
    """Movements, conflicts and possible duplicates that wait for a person."""
    latest_runs: tuple[SyncHistory, ...]
    months: tuple[Month, ...]
    """The last twelve months in the currency most used, the oldest first; empty without movements."""


def overview(organization: Organization, today: date) -> Overview:
    """Compute the figures as of `today` (in the organization's time zone)."""
    transactions = MoneyTransaction.objects.filter(organization=organization)
    invoices = Invoice.objects.filter(organization=organization, kind=Invoice.Kind.INVOICE)
    return Overview(
        received=_received(organization, today),
        waiting=_open(invoices.open()),
        overdue=_open(invoices.overdue(today)),
        to_review=to_review(organization),
        latest_runs=tuple(
            SyncHistory.objects.filter(organization=organization).select_related("connection")[:LATEST_RUNS]
        ),
        months=_months(transactions, today),
    )


def to_review(organization: Organization) -> int:
    """Count what waits for a person: movements to decide about, conflicts and possible duplicates.

    Income that matching has not looked at yet waits as well: a run that is undone as a whole leaves the
    figure as it was before the run.
    """
    decisions = Decision.objects.waiting().filter(organization=organization).count()
    conflicts = TransactionConflict.objects.filter(
        organization=organization, resolved_at__isnull=True
    ).count()
    questions = duplicates.waiting(organization).count()
    return decisions + _not_looked_at(organization) + conflicts + questions


def _not_looked_at(organization: Organization) -> int:
    """Count the income that is to be matched and about which nothing is decided or proposed."""
    due = MoneyTransaction.objects.booked().income().to_match().filter(organization=organization)
    decided = Decision.objects.current().filter(transaction=OuterRef("pk"))
    return due.exclude(settled_minor=F("amount_minor")).filter(~Exists(decided)).count()


def _received(organization: Organization, today: date) -> Figure:
    rows = (
        MoneyTransaction.objects.received_between(today.replace(day=1), today)
        .filter(organization=organization)
        .values("currency")
        .annotate(minor=Sum("amount_minor"), count=Count("id"))
        .order_by("currency")
    )
    return _figure((row["currency"], row["minor"], row["count"]) for row in rows)


def _open(invoices: QuerySet[Invoice]) -> Figure:
    rows = (
        invoices.values("currency")
        .annotate(minor=Sum(F("total_minor") - F("settled_minor")), count=Count("id"))
        .order_by("currency")
    )
    return _figure((row["currency"], row["minor"], row["count"]) for row in rows)


def _figure(rows: Iterable[tuple[str, int, int]]) -> Figure:
    listed = list(rows)
    return Figure(
        amounts=tuple(Money(minor, currency) for currency, minor, _ in listed),
        count=sum(count for _, _, count in listed),
    )


def _months(transactions: QuerySet[MoneyTransaction], today: date) -> tuple[Month, ...]:
    first_days = _first_days(today)
    rows = (
        transactions.filter(status="booked", booked_on__gte=first_days[0], booked_on__lte=today)
        .annotate(month=TruncMonth("booked_on"))
        .values("month", "currency", "type")
        .annotate(minor=Sum("amount_minor"), count=Count("id"))
    )
    sums = {(row["month"], row["currency"], row["type"]): row["minor"] for row in rows}
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["currency"]] = counts.get(row["currency"], 0) + row["count"]
    if not counts:
        return ()
    currency = max(counts, key=lambda name: (counts[name], name))
    return tuple(
        Month(
            first_day=day,
            income=Money(sums.get((day, currency, "income"), 0), currency),
            expense=Money(-sums.get((day, currency, "expense"), 0), currency),
        )
        for day in first_days
    )


def _first_days(today: date) -> list[date]:
    """The first days of the last twelve months, this one included, the oldest first."""
    months = [today.year * 12 + today.month - 1 - back for back in range(MONTHS)]
    return [date(number // 12, number % 12 + 1, 1) for number in reversed(months)]
