"""What a format wants to know before the first entry: most put balances and periods in front."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import batched, groupby
from operator import itemgetter

from kvit.kernel.statements.parsing import Event, completed
from kvit.kernel.statements.values import Entry, OrderStatus, Problem, Statement, StatementEnd

_CHUNK = 1000


@dataclass(slots=True)
class StatementOutline:
    """One statement without its entries, and the days of the first and the last of them."""

    head: Statement
    first: date | None = None
    last: date | None = None


@dataclass(slots=True)
class Outline:
    """A file without its entries."""

    statements: list[StatementOutline] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    errors: list[Problem] = field(default_factory=list)
    order_statuses: list[OrderStatus] = field(default_factory=list)


def outline_of(events: Iterable[Event]) -> Outline:
    """Go through a file once, keeping no entry; raises StatementError like `parse`."""
    outline = Outline()
    for event in events:
        if isinstance(event, Entry):
            _extend(outline.statements[-1], event.booked_on)
        elif isinstance(event, Statement):
            outline.statements.append(StatementOutline(event))
        elif isinstance(event, StatementEnd):
            outline.statements[-1].head = completed(outline.statements[-1].head, event)
        elif isinstance(event, OrderStatus):
            outline.order_statuses.append(event)
        elif event.is_error:
            outline.errors.append(event)
        else:
            outline.warnings.append(event)
    return outline


def with_entries(
    outline: Outline, events: Iterable[Event]
) -> Iterator[tuple[StatementOutline, Iterator[tuple[Entry, ...]]]]:
    """Yield each statement with its entries by the thousand, to be taken before the next statement."""
    for number, group in groupby(_numbered(events), itemgetter(0)):
        entries = (entry for _, entry in group if entry is not None)
        yield outline.statements[number], batched(entries, _CHUNK)


def _numbered(
    events: Iterable[Event],
) -> Iterator[tuple[int, Entry | None]]:
    """Yield each entry with the number of its statement, and each statement's number at least once."""
    number = -1
    for event in events:
        if isinstance(event, Statement):
            number += 1
            yield number, None
        elif isinstance(event, Entry):
            yield number, event


def _extend(outline: StatementOutline, day: date) -> None:
    outline.first = min(outline.first or day, day)
    outline.last = max(outline.last or day, day)
