"""The table of `kvit parse-statement` over many files: one line for each, and the totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final

from kvit.cli.tables import counted, shown, table
from kvit.kernel.money import Money
from kvit.kernel.statements import (
    NO_CURRENCY,
    Entry,
    Event,
    OrderStatus,
    Statement,
    StatementEnd,
    completed,
)
from kvit.kernel.statements.balances import Balances

_HEADING: Final = (
    "File",
    "Format",
    "Statements",
    "Entries",
    "Currency",
    "Sum",
    "First",
    "Last",
    "Opening",
    "Closing",
    "Balances",
    "Warnings",
    "Errors",
)
_MOST_BALANCES: Final = 3


@dataclass(slots=True)
class Refusal:
    """A file that cannot be read at all."""

    file: str
    reason: str


@dataclass(slots=True)
class Summary:
    """What one file holds, in a few figures."""

    file: str
    statements: list[Statement] = field(default_factory=list)
    """Without their entries."""
    balances: list[Balances] = field(default_factory=list)
    entries: int = 0
    sums_minor: Counter[str] = field(default_factory=Counter)
    """For each currency, in hundredths."""
    first: date | None = None
    last: date | None = None
    order_statuses: int = 0
    warnings: int = 0
    errors: int = 0


def summarized(file: str, events: Iterable[Event]) -> Summary:
    """Count what goes by, keeping no entry. Raises StatementError like `parse`."""
    summary = Summary(file)
    for event in events:
        if isinstance(event, Entry):
            _add(summary, event)
        elif isinstance(event, Statement):
            summary.statements.append(event)
            summary.balances.append(Balances(event))
        elif isinstance(event, StatementEnd):
            summary.statements[-1] = completed(summary.statements[-1], event)
            summary.balances[-1].end(event)
        elif isinstance(event, OrderStatus):
            summary.order_statuses += 1
        elif event.is_error:
            summary.errors += 1
        else:
            summary.warnings += 1
    return summary


def table_of(rows: Sequence[Summary | Refusal]) -> Iterator[str]:
    """Yield the table, why files could not be read, and the totals."""
    summaries = [row for row in rows if isinstance(row, Summary)]
    refusals = [row for row in rows if isinstance(row, Refusal)]
    yield from table([_HEADING, *(_cells(row) for row in rows)])
    for refusal in refusals:
        yield f"{shown(refusal.file)}: {refusal.reason}"
    yield ""
    yield from _totals(summaries, refusals)


def _add(summary: Summary, entry: Entry) -> None:
    summary.entries += 1
    summary.sums_minor[entry.currency] += entry.minor
    summary.first = min(summary.first or entry.booked_on, entry.booked_on)
    summary.last = max(summary.last or entry.booked_on, entry.booked_on)
    summary.balances[-1].add([entry])


def _cells(row: Summary | Refusal) -> tuple[str, ...]:
    if isinstance(row, Refusal):
        return (shown(row.file), "not read", *[""] * (len(_HEADING) - 2))
    return (
        shown(row.file),
        "|".join(dict.fromkeys(each.format for each in row.statements)) or _format_of_orders(row),
        str(len(row.statements)),
        str(row.entries),
        "|".join(_name(currency) for currency in row.sums_minor),
        "|".join(str(_amount(minor)) for minor in row.sums_minor.values()),
        str(row.first or ""),
        str(row.last or ""),
        _several([each.opening_balance for each in row.statements]),
        _several([each.closing_balance for each in row.statements]),
        _agreement([each.agree for each in row.balances]),
        str(row.warnings),
        str(row.errors),
    )


def _format_of_orders(row: Summary) -> str:
    return counted(row.order_statuses, "order status", "order statuses") if row.order_statuses else ""


def _several(balances: list[Money | None]) -> str:
    """Write the balances of the statements; where there are many, how many."""
    known = [str(each.amount) for each in balances if each is not None]
    return "|".join(known) if len(known) <= _MOST_BALANCES else f"{len(known)} balances"


def _agreement(agree: list[bool | None]) -> str:
    """Say whether all balances agree with the movements, as far as the statements let one know."""
    if False in agree:
        return "differ"
    return "agree" if True in agree else ""


def _totals(summaries: Sequence[Summary], refusals: Sequence[Refusal]) -> Iterator[str]:
    sums: Counter[str] = Counter()
    for summary in summaries:
        for currency, minor in summary.sums_minor.items():
            sums[currency] += minor
    files = counted(len(summaries) + len(refusals), "file", "files")
    yield ", ".join(
        [
            f"{files}: {len(summaries)} read",
            f"{len(refusals)} not read",
            counted(sum(len(each.statements) for each in summaries), "statement", "statements"),
            counted(sum(each.entries for each in summaries), "entry", "entries"),
            counted(sum(each.warnings for each in summaries), "warning", "warnings"),
            counted(sum(each.errors for each in summaries), "error", "errors"),
        ]
    )
    for currency, minor in sorted(sums.items()):
        yield f"{_amount(minor):>20} {_name(currency)}".rstrip()


def _name(currency: str) -> str:
    return "" if currency == NO_CURRENCY else currency


def _amount(minor: int) -> Decimal:
    """Write a sum, which may be larger than any one amount of Money."""
    return Decimal(minor).scaleb(-2)
