"""CSV with one row for each entry, for spreadsheets; the profile `kvit` reads it back.

A cell that a spreadsheet would run as a formula gets an apostrophe in front, because payers choose the texts:
`=`, `+`, `-` and `@` begin formulas (OWASP, CSV injection). A cell with an apostrophe in front gets another,
so reading back takes exactly one away.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from io import StringIO
from typing import Final

from kvit.kernel.statements.parsing import Event
from kvit.kernel.statements.values import NO_CURRENCY, Entry
from kvit.kernel.statements.writing.outline import Outline, with_entries
from kvit.kernel.statements.writing.texts import amount, writable

COLUMNS: Final = (
    "account",
    "currency",
    "booked_on",
    "value_on",
    "amount",
    "external_id",
    "is_bank_id",
    "counterparty_name",
    "counterparty_account",
    "variable_symbol",
    "constant_symbol",
    "specific_symbol",
    "message",
    "reference",
    "pending",
)
_FORMULA_BEGINS: Final = ("=", "+", "-", "@", "'")


def written(outline: Outline, events: Iterable[Event]) -> Iterator[str]:
    yield _lines([COLUMNS])
    for statement, chunks in with_entries(outline, events):
        for chunk in chunks:
            yield _lines(_row(statement.head.account, entry) for entry in chunk)


def _row(account: str, entry: Entry) -> tuple[str, ...]:
    return (
        _cell(account),
        "" if entry.currency == NO_CURRENCY else entry.currency,
        entry.booked_on.isoformat(),
        entry.value_on.isoformat() if entry.value_on else "",
        amount(entry.minor),
        _cell(entry.external_id),
        _flag(entry.is_bank_id),
        _cell(entry.counterparty_name),
        _cell(entry.counterparty_account),
        _cell(entry.variable_symbol),
        _cell(entry.constant_symbol),
        _cell(entry.specific_symbol),
        _cell(entry.message),
        _cell(entry.reference),
        _flag(entry.pending),
    )


def _cell(text: str) -> str:
    text = writable(text)
    return f"'{text}" if text.startswith(_FORMULA_BEGINS) else text


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _lines(rows: Iterable[Iterable[str]]) -> str:
    lines = StringIO(newline="")
    csv.writer(lines).writerows(rows)
    return lines.getvalue()
