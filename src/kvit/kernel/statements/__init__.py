"""Bank statements as values: one reader per format, found by the content of the file."""

from __future__ import annotations

from kvit.kernel.statements.parsing import Event, completed, detect, parse, read
from kvit.kernel.statements.plain import as_json
from kvit.kernel.statements.values import (
    NO_CURRENCY,
    Detail,
    Detection,
    Entry,
    Hints,
    OrderStatus,
    Problem,
    Statement,
    StatementEnd,
    StatementFile,
)

__all__ = [
    "NO_CURRENCY",
    "Detail",
    "Detection",
    "Entry",
    "Event",
    "Hints",
    "OrderStatus",
    "Problem",
    "Statement",
    "StatementEnd",
    "StatementFile",
    "as_json",
    "completed",
    "detect",
    "parse",
    "read",
]
