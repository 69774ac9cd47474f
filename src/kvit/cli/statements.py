"""`kvit parse-statement`: what a statement file holds, without a database or keys."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Final

from kvit.kernel.errors import StatementError
from kvit.kernel.statements import Problem, Statement, StatementFile, as_json
from kvit.kernel.statements import read

NOT_READ: Final = 2


def parse(options: argparse.Namespace) -> int:
    """Print what the file holds; exit 2 with one sentence where it cannot be read as a statement."""
    try:
        file = read(options.file.read_bytes(), source=options.file.name)
    except OSError as error:
        print(f"kvit: {options.file} cannot be opened: {error.strerror}.", file=sys.stderr)
        return NOT_READ
    except StatementError as error:
        print(f"kvit: {options.file}: {error}", file=sys.stderr)
        return NOT_READ
    if options.json:
        print(json.dumps(as_json(file), ensure_ascii=False))
    else:
        print("\n".join(_lines(file)))
    return 0


def _lines(file: StatementFile) -> Iterator[str]:
    yield f"Format: {file.format}"
    for statement in file.statements:
        yield from _statement_lines(statement)
    yield from _problem_lines("Warning", file.warnings)
    yield from _problem_lines("Not read", file.errors)


def _statement_lines(statement: Statement) -> Iterator[str]:
    yield ""
    yield f"Account {statement.account} {statement.currency}, {len(statement.entries)} entries"
    if statement.opening_balance is not None:
        yield f"  opening balance {statement.opening_balance.amount:>14}"
    for entry in statement.entries:
        said = " ".join(filter(None, (entry.counterparty_name, entry.message)))
        yield f"  {entry.booked_on}  {entry.amount.amount:>17}  {entry.variable_symbol:<10}  {said}".rstrip()
    if statement.closing_balance is not None:
        yield f"  closing balance {statement.closing_balance.amount:>14}"


def _problem_lines(title: str, problems: Iterable[Problem]) -> Iterator[str]:
    for problem in problems:
        line = "" if problem.line is None else f" (line {problem.line})"
        yield f"{title}{line}: {problem.message}"
