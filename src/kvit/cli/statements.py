"""`kvit parse-statement`: what statement files hold, without a database or keys."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfileobj
from typing import BinaryIO, Final, cast

from kvit.cli.statement_table import Refusal, Summary, summarized, table_of
from kvit.cli.tables import shown
from kvit.kernel.errors import StatementError
from kvit.kernel.statements import Hints, Problem, Statement, StatementFile, as_json, read
from kvit.kernel.statements import parse as parse_statement

NOT_READ: Final = 2
STANDARD_INPUT: Final = Path("-")
_LARGEST_IN_MEMORY: Final = 1 << 20


def parse(options: argparse.Namespace) -> int:
    """Print what one file holds, or a line for each of several; exit 2 where one cannot be read at all."""
    try:
        hints = hints_of(options)
    except (OSError, UnicodeDecodeError) as error:
        return refused(Path(options.profile), error)
    if len(options.files) == 1 and not options.files[0].is_dir():
        return _parse_one(options.files[0], hints, as_objects=options.json)
    files = list(_expanded(options.files))
    if options.json:
        return max([_print_object(path, hints) for path in files], default=0)
    rows = [_summary(path, hints) for path in files]
    print("\n".join(table_of(rows)))
    return NOT_READ if any(isinstance(row, Refusal) for row in rows) else 0


def hints_of(options: argparse.Namespace) -> Hints:
    """Return what the person says of the files; a profile ending in `.toml` is a file."""
    profile: str = options.profile
    if profile.endswith(".toml"):
        profile = Path(profile).read_text(encoding="utf-8")
    return Hints(account=options.account, currency=options.currency or "", profile=profile)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file that can be read again and again; a pipe is kept in a temporary file."""
    stream = sys.stdin.buffer if path == STANDARD_INPUT else path.open("rb")
    with stream:
        if stream.seekable():
            yield cast("BinaryIO", stream)
        else:
            with tempfile.SpooledTemporaryFile(max_size=_LARGEST_IN_MEMORY) as kept:
                copyfileobj(stream, kept)
                yield cast("BinaryIO", kept)


def refused(path: Path, error: Exception) -> int:
    """Say in one sentence why a file was not read, and return the exit code."""
    print(f"kvit: {shown(str(path))}: {reason_of(error)}", file=sys.stderr)
    return NOT_READ


def reason_of(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"cannot be opened: {error.strerror or error}."
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8 text."
    return shown(str(error))


def _parse_one(path: Path, hints: Hints, *, as_objects: bool) -> int:
    try:
        with opened(path) as stream:
            file = read(stream, source=path.name, hints=hints)
    except (OSError, StatementError) as error:
        return refused(path, error)
    print(_json_line(path, as_json(file)) if as_objects else "\n".join(_lines(file)))
    return 0


def _expanded(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the files, and those in directories and below in the order of their names; not hidden ones."""
    for path in paths:
        if path.is_dir():
            found = (each for each in path.rglob("*") if each.is_file())
            yield from sorted(each for each in found if not _is_hidden(each.relative_to(path)))
        else:
            yield path


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _print_object(path: Path, hints: Hints) -> int:
    try:
        with opened(path) as stream:
            file = read(stream, source=path.name, hints=hints)
    except (OSError, StatementError) as error:
        print(_json_line(path, {"error": reason_of(error)}))
        return NOT_READ
    print(_json_line(path, as_json(file)))
    return 0


def _json_line(path: Path, values: Mapping[str, object]) -> str:
    return json.dumps({"file": str(path), **values}, ensure_ascii=False)


def _summary(path: Path, hints: Hints) -> Summary | Refusal:
    try:
        with opened(path) as stream:
            return summarized(str(path), parse_statement(stream, source=path.name, hints=hints))
    except (OSError, StatementError) as error:
        return Refusal(file=str(path), reason=reason_of(error))


def _lines(file: StatementFile) -> Iterator[str]:
    yield f"Format: {file.format}"
    for statement in file.statements:
        yield from _statement_lines(statement)
    yield from _order_lines(file)
    yield from _problem_lines("Warning", file.warnings)
    yield from _problem_lines("Not read", file.errors)


def _statement_lines(statement: Statement) -> Iterator[str]:
    yield ""
    yield f"Account {shown(statement.account)} {statement.currency}, {len(statement.entries)} entries"
    if statement.opening_balance is not None:
        yield f"  opening balance {statement.opening_balance.amount:>14}"
    for entry in statement.entries:
        said = shown(" ".join(filter(None, (entry.counterparty_name, entry.message))))
        yield f"  {entry.booked_on}  {entry.amount.amount:>17}  {entry.variable_symbol:<10}  {said}".rstrip()
    if statement.closing_balance is not None:
        yield f"  closing balance {statement.closing_balance.amount:>14}"


def _order_lines(file: StatementFile) -> Iterator[str]:
    for status in file.order_statuses:
        order = " ".join(filter(None, (status.message_id, status.payment_id, status.end_to_end_id)))
        said = " ".join(filter(None, (status.reason, status.text)))
        yield shown(f"Order {order}: {status.status} ({status.level}) {said}".rstrip())


def _problem_lines(title: str, problems: Iterable[Problem]) -> Iterator[str]:
    for problem in problems:
        line = "" if problem.line is None else f" (line {problem.line})"
        yield f"{title}{line}: {shown(problem.message)}"
