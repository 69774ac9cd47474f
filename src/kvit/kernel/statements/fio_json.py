"""Fio banka's JSON: the answer of its API and the file of the same shape from its internet banking.

The records are cut out of the text and read column by column, some at a time, so that a long answer is never
in memory as a whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec
from msgspec.structs import astuple

from kvit.kernel.errors import RecordError
from kvit.kernel.statements.balances import Balances
from kvit.kernel.statements.fio_columns import COLUMNS, Columns, Head, Places, Table
from kvit.kernel.statements.fio_frame import Records, Slice, opened
from kvit.kernel.statements.identity import Identifier
from kvit.kernel.statements.source import Source
from kvit.kernel.statements.values import Detection, Entry, Hints, Part, Problem, Statement

FORMAT: Final = "fio-json"

_BEGINNING: Final = re.compile(rb'(?:\xef\xbb\xbf)?\s*+\{\s*+"accountStatement"\s*+:')


@dataclass(frozen=True, slots=True, kw_only=True)
class FioRecord:
    """One movement of the answer: read, or with the problem that stopped it."""

    raw: str
    """The record as the bank wrote it: JSON text."""
    line: int
    entry: Entry | None = None
    problem: Problem | None = None

    def as_object(self) -> dict[str, object]:
        """Return the record as JSON values, every number as its exact text; empty where it is no object."""
        try:
            record = json.loads(self.raw, parse_float=str, parse_int=str, parse_constant=str)
        except (ValueError, RecursionError):
            return {}
        return record if isinstance(record, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class FioStatement:
    """The answer: its records in the bank's order, and the statement of those that could be read."""

    statement: Statement
    records: tuple[FioRecord, ...]
    warnings: tuple[Problem, ...] = ()
    errors: tuple[Problem, ...] = ()


def detect(head: bytes) -> Detection | None:
    """Know the JSON that begins with `accountStatement`."""
    return Detection(format=FORMAT) if _BEGINNING.match(head) else None


def read(source: Source, hints: Hints) -> Iterator[Part]:
    """Yield the statement and its movements; raises StatementUnreadable for damaged JSON."""
    head, columns, slices = _begun(source, hints.currency)
    yield head.statement
    yield from head.problems
    for part in slices:
        outcomes = _outcomes(part, columns)
        entries = [each for each in outcomes if isinstance(each, Entry)]
        yield entries
        yield from columns.doubts(entries)
        yield from (each.problem for each in outcomes if isinstance(each, FioRecord) and each.problem)


def read_records(data: bytes, *, source: str = "") -> FioStatement:
    """Read an answer of the bank record by record: one that cannot be read does not stop the others.

    Raises StatementUnreadable where the JSON is damaged or is not an account statement.
    """
    head, columns, slices = _begun(Source(data, source))
    identifier, balances = Identifier(), Balances(head.statement)
    identifier.begin(head.statement.account)
    records: list[FioRecord] = []
    warnings: list[Problem] = []
    for part in slices:
        outcomes = _outcomes(part, columns)
        entries = [outcome for outcome in outcomes if isinstance(outcome, Entry)]
        warnings.extend(columns.doubts(entries))
        identified = iter(_identified(entries, identifier, warnings))
        records.extend(
            outcome if isinstance(outcome, FioRecord) else _record(next(identified)) for outcome in outcomes
        )
    entries = [record.entry for record in records if record.entry]
    balances.add(entries)
    return FioStatement(
        statement=replace(head.statement, entries=tuple(entries)),
        records=tuple(records),
        warnings=(*warnings, *balances.doubts()),
        errors=(*head.problems, *(record.problem for record in records if record.problem)),
    )


def _begun(source: Source, currency: str = "") -> tuple[Head, Columns, Iterator[Slice]]:
    raw_info, slices = opened(source)
    info: dict[str, str] = {}
    problems: list[Problem] = []
    for key, value in raw_info.items():
        try:
            info[key.lower()] = _plain(_utf8(value), key.lower())
        except RecordError as error:
            problems.append(Problem(message=str(error), field=f"info.{error.field}", is_error=True))
    head = Head(info, line=1)
    head.problems.extend(problems)
    return head, Columns("column", head.currency or currency), slices


def _identified(entries: list[Entry], identifier: Identifier, warnings: list[Problem]) -> list[Entry]:
    """Return the same entries with their final ids."""
    identified: list[Entry] = []
    for part in identifier.identified(entries) if entries else ():
        if isinstance(part, Problem):
            warnings.append(part)
        else:
            identified.extend(part)
    return identified


def _record(entry: Entry) -> FioRecord:
    return FioRecord(raw=entry.raw, line=entry.line or 1, entry=entry)


class _Exact(msgspec.Struct, gc=False):
    """A column whose text must stay as it is written: a number, or a day in one of its shapes."""

    value: msgspec.Raw = msgspec.Raw(b"null")


class _Text(msgspec.Struct, gc=False):
    value: str | None = None


class _Movement(msgspec.Struct, gc=False, rename={name: f"column{each}" for name, each in COLUMNS.items()}):
    """A movement as the bank writes it; what has another shape is read by `_unusual`."""

    movement_id: _Exact | None = None
    booked_on: _Exact | None = None
    amount: _Exact | None = None
    currency: _Text | None = None
    account: _Text | None = None
    name: _Text | None = None
    bank_code: _Text | None = None
    constant_symbol: _Text | None = None
    variable_symbol: _Text | None = None
    specific_symbol: _Text | None = None
    note: _Text | None = None
    message: _Text | None = None
    detail: _Text | None = None
    comment: _Text | None = None
    reference: _Text | None = None


_movement_decoder: Final = msgspec.json.Decoder(_Movement)
_record_decoder: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_cell_decoder: Final = msgspec.json.Decoder(_Exact | None)
_text_decoder: Final = msgspec.json.Decoder(str)
_NUMBER: Final = frozenset("-0123456789")
_undecodable: Final = (msgspec.DecodeError, UnicodeError, RecursionError)


def _outcomes(part: Slice, columns: Columns) -> Sequence[Entry | FioRecord]:
    """Read each record in its order: the entry, or the record with its problem.

    All are decoded at once; where that fails, the records are parted exactly and read one by one.
    """
    try:
        return _entries(part.cut(), columns)
    except (*_undecodable, RecordError):
        return [_outcome(*each, columns) for each in zip(*part.parted(), strict=True)]


def _entries(records: Records, columns: Columns) -> list[Entry]:
    table = _table(list(map(_movement_decoder.decode, records.contents)))
    texts = [content.decode("utf-8", "replace") for content in records.contents]
    return columns.entries(table, Places(records.lines, records.offsets, texts))


def _table(movements: list[_Movement]) -> Table:
    """Turn movements into columns, which are the fields of a movement in their order."""
    movement_ids, days, amounts, *texts = zip(*map(astuple, movements), strict=True)
    return Table(
        _exact_column(movement_ids, "column22"),
        _exact_column(days, "column0"),
        _exact_column(amounts, "column1"),
        *map(_text_column, texts),
    )


def _exact_column(cells: Sequence[_Exact | None], name: str) -> list[str]:
    texts = b"\n".join([cell.value if cell else b"null" for cell in cells]).decode().split("\n")
    others = {text for text in texts if text[0] not in _NUMBER}
    if not others:
        return texts
    plain = {text: _plain(text, name) for text in others}
    return [plain.get(text, text) for text in texts]


def _text_column(cells: Sequence[_Text | None]) -> list[str]:
    return [cell.value or "" if cell else "" for cell in cells] if any(cells) else [""] * len(cells)


def _outcome(content: bytes, line: int, offset: int, columns: Columns) -> Entry | FioRecord:
    text = content.decode("utf-8", "replace")
    try:
        (entry,) = columns.entries(_unusual(content), Places((line,), (offset,), (text,)))
    except RecordError as error:
        problem = Problem(message=str(error), line=line, offset=offset, field=error.field, is_error=True)
        return FioRecord(raw=text, line=line, problem=problem)
    return entry


def _unusual(content: bytes) -> Table:
    """Read one movement column by column; raises RecordError that names the one that cannot be read."""
    record = _decoded(_record_decoder, content)
    return Table(*((_cell(record, f"column{number}"),) for number in COLUMNS.values()))


def _cell(record: Mapping[str, msgspec.Raw], column: str) -> str:
    if column not in record:
        return ""
    cell = _decoded(_cell_decoder, record[column], column)
    return _plain(_utf8(cell.value), column) if cell else ""


def _decoded[Value](
    decoder: msgspec.json.Decoder[Value], content: bytes | msgspec.Raw, field: str | None = None
) -> Value:
    try:
        return decoder.decode(content)
    except msgspec.ValidationError as error:
        reason = str(error).partition(" - at `")[0]
        raise RecordError("The record is not a movement: {reason}.", field=field, reason=reason) from None
    except _undecodable as error:
        raise RecordError("The record is damaged: {reason}.", field=field, reason=str(error)) from None


def _plain(value: str, field: str) -> str:
    """Return text without outer blanks, a number exactly as it is written, and nothing for null."""
    if value.startswith('"'):
        try:
            return _text_decoder.decode(value).strip()
        except _undecodable:
            raise RecordError("The text is damaged.", field=field) from None
    if value == "null":
        return ""
    if value[:1] not in _NUMBER:
        raise RecordError("The value is neither text nor a number.", field=field)
    return value


def _utf8(value: msgspec.Raw) -> str:
    """Return the JSON of a value; a damaged text is refused by what decodes it."""
    return bytes(value).decode("utf-8", "surrogateescape")
