"""Bank statements as values: one reader per format, found by the content of the file."""

from __future__ import annotations

from kvit.kernel.statements.parsing import detect, parse
from kvit.kernel.statements.plain import as_json
from kvit.kernel.statements.values import NO_CURRENCY, Entry, Problem, Statement, StatementFile

__all__ = ["NO_CURRENCY", "Entry", "Problem", "Statement", "StatementFile", "as_json", "detect", "parse"]
