"""GPC, also called ABO: the fixed-width statement of nearly every Czech bank.

Positions are bytes counted from 1, both ends inclusive, as the banks' manuals count them (API Bankovnictví of
Fio banka, 5.3.1.3):

    074  own account 4-19, name 20-39, day of the opening balance 40-45, opening balance 46-59 and its
         sign 60, closing balance 61-74 and its sign 75, statement number 106-108, its day 109-114,
         the bank's name 115-128 where it is Fio (`FIO`)
    075  own account 4-19, other account 20-35, the bank's id 36-48, amount in hundredths 49-60, code 61,
         variable symbol 62-71, bank code 74-77, constant symbol 78-81, specific symbol 82-91,
         value day 92-97, other party 98-117, numeric currency 119-122, booking day 123-128
    076  further text 36-128 of the movement above
    078, 079  message 4-128 of the movement above
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from kvit.kernel.errors import RecordError
from kvit.kernel.statements.gpc.columns import entries_by_column
from kvit.kernel.statements.gpc.movement import MOVEMENT, TEXTS, entry_of
from kvit.kernel.statements.gpc.record import Record, problem_of
from kvit.kernel.statements.gpc.section import Section
from kvit.kernel.statements.source import Source
from kvit.kernel.statements.values import Detection, Entry, Hints, Part, Problem

FORMAT: Final = "gpc"

_BEGINNING = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,1000}+07[45][0-9]{16}")
_DAMAGED_BEGINNING = re.compile(rb"074[^\r\n]{0,200}[\r\n]{1,2}07[4-9]")
_HEAD: Final = "074"
_OF_MOVEMENTS: Final = TEXTS.keys() | {MOVEMENT}
_CZECH_LETTERS: Final = "áčďéěíňóřšťúůýžÁČĎÉĚÍŇÓŘŠŤÚŮÝŽ"
_MOST_TOGETHER: Final = 50_000
"""No movement has that many lines of text; to wait for its end would only fill the memory."""
_UTF_8_MARK: Final = "\ufeff".encode().decode("latin-1")


def detect(head: bytes) -> Detection | None:
    """Know a statement by its first record: a head or a movement of an account.

    A head without an account, with another record below it, is a statement that `read` refuses.
    """
    if _BEGINNING.match(head):
        return Detection(format=FORMAT)
    if _DAMAGED_BEGINNING.match(head):
        return Detection(format=FORMAT, is_sure=False, doubt="The file looks like a damaged GPC statement.")
    return None


def read(source: Source, hints: Hints) -> Iterator[Part]:
    """Yield each account's statement and its movements, which tell its currency only at the end.

    Raises StatementUnreadable where a head does not say its account.
    """
    encoding = _encoding(source)
    section: Section | None = None
    for lines, numbers in _together(source, encoding):
        for kind, run in _runs(lines):
            if kind in _OF_MOVEMENTS:
                if section is None:
                    section = Section.without_head(lines[run], numbers[run], encoding, hints)
                    yield from section.beginning()
                yield from _movements(lines[run], numbers[run], section)
            elif kind == _HEAD:
                if section:
                    yield from section.end()
                head = Record(numbers[run][0], lines[run][0], encoding)
                section = Section.of_head(head, encoding, hints, source.name)
                yield from section.beginning()
            else:
                yield Problem(message=f"Records of the kind “{kind}” are not read.", line=numbers[run][0])
    if section:
        yield from section.end()


def _together(source: Source, encoding: str) -> Iterator[tuple[list[str], Sequence[int]]]:
    """Yield the records that are not blank, and their line numbers, never cutting a movement from its text.

    A character stands for a byte, so that positions hold.
    """
    by_bytes = "latin-1" if encoding == "utf-8" else encoding
    held: list[str] = []
    number = 1
    for block in source.lines(by_bytes):
        if number == 1 and not held:
            block[0] = block[0].removeprefix(_UTF_8_MARK)
        lines = held + [line.rstrip(" \x1a") for line in block]
        last = next((at for at in range(len(lines) - 1, 0, -1) if _begins_record(lines[at])), 0)
        if not last and len(lines) > _MOST_TOGETHER:
            last = len(lines)
        lines, held = lines[:last], lines[last:]
        yield _numbered(lines, number)
        number += len(lines)
    yield _numbered(held, number)


def _begins_record(line: str) -> bool:
    return bool(line) and line[:3] not in TEXTS


def _numbered(lines: list[str], first: int) -> tuple[list[str], Sequence[int]]:
    numbers = range(first, first + len(lines))
    if "" not in lines:
        return lines, numbers
    kept = [(line, number) for line, number in zip(lines, numbers, strict=True) if line]
    return [line for line, _ in kept], [number for _, number in kept]


def _runs(lines: list[str]) -> Iterator[tuple[str, slice]]:
    """Yield movements with their texts together, and every other record alone, each with its first kind."""
    kinds = [line[:3] for line in lines]
    if kinds and _OF_MOVEMENTS.issuperset(kinds):
        yield kinds[0], slice(0, len(kinds))
        return
    start = 0
    for are_of_movements, run in groupby(kinds, _OF_MOVEMENTS.__contains__):
        length = len(list(run))
        step = length if are_of_movements else 1
        for at in range(start, start + length, step):
            yield kinds[at], slice(at, at + step)
        start += length


def _movements(lines: list[str], numbers: Sequence[int], section: Section) -> Iterator[Part]:
    entries = entries_by_column(lines, numbers, section)
    if entries is None:
        entries, problems = _by_row(lines, numbers, section)
        yield from problems
    yield from section.take(entries)
    if entries:
        yield entries


def _by_row(lines: list[str], numbers: Sequence[int], section: Section) -> tuple[list[Entry], list[Problem]]:
    """Read movement by movement, so that one that cannot be read leaves the others."""
    entries: list[Entry] = []
    problems: list[Problem] = []
    for records in _by_movement(lines, numbers, section.encoding):
        if records[0].kind != MOVEMENT:
            problems.append(Problem(message="The text belongs to no movement.", line=records[0].number))
            continue
        try:
            entries.append(entry_of(records, section, problems))
        except RecordError as error:
            problems.append(problem_of(error, records[0]))
    return entries, problems


def _by_movement(lines: list[str], numbers: Sequence[int], encoding: str) -> Iterator[list[Record]]:
    records: list[Record] = []
    for line, number in zip(lines, numbers, strict=True):
        if records and line.startswith(MOVEMENT):
            yield records
            records = []
        records.append(Record(number, line, encoding))
    yield records


def _encoding(source: Source) -> str:
    """Find the encoding: UTF-8 where all of it is, else cp1250 unless cp852 makes more Czech letters."""
    if source.encoding(legacy="") == "utf-8":
        return "utf-8"
    counts = {"cp1250": 0, "cp852": 0}
    for block in source.blocks():
        for name in counts:
            counts[name] += len(block) - len(block.translate(None, _CZECH_LETTERS.encode(name)))
    return max(counts, key=counts.__getitem__)
