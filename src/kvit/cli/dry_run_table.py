"""A dry run as text for its author: accounts, a table of differences, counts, cursor and what went wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from kvit.cli.dry_run import DryRun, Fate, Seen
from kvit.cli.tables import shown, table
from kvit.ledger.movements import Movement
from kvit.plugin import Json
from kvit.sync.redaction import Redactor

_WIDEST: Final = 28
_ACCOUNTS: Final = ("", "account", "number", "currency", "name")
_RECORDS: Final = ("", "account", "id", "booked on", "amount", "", "counterparty", "VS", "message")


def lines_of(run: DryRun, *, most_rows: int) -> Iterator[str]:
    """Yield the lines to print, without secrets; of the records at most so many, what differs first."""
    yield from map(run.redactor.mask, _lines(run, most_rows))


def errors_of(run: DryRun) -> Iterator[str]:
    """Yield what ended the run before its end, without secrets; nothing where it came to its end."""
    yield from (shown(run.redactor.mask(line)) for line in run.error)


def _lines(run: DryRun, most_rows: int) -> Iterator[str]:
    if run.identity is not None:
        yield shown(f"check: {run.identity.label} ({run.identity.key})")
    if run.accounts:
        rows = [
            ("known" if is_known else "new", name, account.number, account.currency, account.name)
            for name, (account, is_known) in run.accounts.items()
        ]
        yield from table([_ACCOUNTS, *([shown(cell) for cell in row] for row in rows)])
        yield ""
    yield from _records(run, most_rows)
    yield from (f"log: {shown(text)}" for text in run.said)
    yield from _cursor(run)
    yield from errors_of(run)
    yield _summary(run)


def _records(run: DryRun, most: int) -> Iterator[str]:
    records = sorted(run.records, key=lambda record: record.fate is Fate.SAME)
    if records:
        yield from table([_RECORDS, *(_cells(record, run.redactor) for record in records[:most])])
        if len(records) > most:
            yield f"… and {len(records) - most} more; --rows shows them"
        yield ""


def _cells(record: Seen, redactor: Redactor) -> list[str]:
    """The cells of a row, masked before they are cut: half a secret would not be known as one."""
    start = (record.fate, record.account_id, record.external_id)
    if record.movement is None:
        return [shown(redactor.mask(cell)) for cell in (*start, "", "", "", record.reason, "", "")]
    facts = [_short(redactor.mask(cell)) for cell in _told(record.movement)]
    return [*(shown(redactor.mask(cell)) for cell in start), *facts]


def _told(movement: Movement) -> tuple[str, ...]:
    return (
        movement.booked_on.isoformat(),
        f"{Decimal(movement.amount_minor).scaleb(-2):.2f}",
        movement.currency + (" pending" if movement.status == "pending" else ""),
        movement.counterparty_name,
        movement.variable_symbol,
        movement.message,
    )


def _short(text: str) -> str:
    return shown(text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…")


def _cursor(run: DryRun) -> Iterator[str]:
    before = _json(run.cursor_before)
    if run.cursor_after is None:
        yield f"cursor: {before} (no checkpoint)"
    else:
        yield f"cursor: {before} → {_json(run.cursor_after)}"


def _json(cursor: Mapping[str, Json]) -> str:
    return shown(json.dumps(dict(cursor), ensure_ascii=False))


def _summary(run: DryRun) -> str:
    counts = [f"{run.counts[fate]} {fate}" for fate in Fate]
    others = (("gone", run.gone), ("statements", run.statements), ("payouts", run.payouts))
    counts += [f"{number} {name}" for name, number in others if number]
    ending = "it did not come to its end" if run.error else "complete"
    return f"{', '.join(counts)}; {ending}; nothing was stored."
