"""The rows of a CSV file as a stream: by the block, each row with its line and its own text."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Final

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.statements.source import Source

LONGEST_RECORD: Final = 1 << 20
"""A quoted field may hold line breaks; one of a million characters has lost its closing quote."""
_BLOCK_LINES: Final = 1000
_PIECE_ROWS: Final = 32
_HIDDEN: Final = "\x01"
"""Stands for a delimiter within quotes."""
_END: Final = "\x02"
"""A cell of its own at the end of each row."""

_first_letter = itemgetter(0)
_last_letter = itemgetter(-1)


@dataclass(slots=True)
class Block:
    """Rows that stand together, with the line each begins at (from 1) and its own text."""

    lines: Sequence[int]
    raws: Sequence[str]
    delimiter: str
    plain: str | None = None
    """The text without its quotes, delimiters within them hidden; None where that is not so simple."""
    split: list[list[str]] | None = None

    @property
    def rows(self) -> list[list[str]]:
        """The cells of each row."""
        if self.split is None:
            self.split = list(csv.reader(self.raws, delimiter=self.delimiter))
        return self.split

    def columns(self, width: int) -> list[Sequence[str]] | None:
        """Return the cells of each column; None where the rows are not all of that width."""
        if self.plain is None:
            return self._columns_of_rows(width)
        cells = self.plain.replace("\n", f"{self.delimiter}{_END}{self.delimiter}").split(self.delimiter)
        # The last row has no end of its own.
        count = len(self.raws)
        if len(cells) != count * (width + 1) - 1 or cells[width :: width + 1].count(_END) != count - 1:
            return None
        columns: list[Sequence[str]] = [cells[index :: width + 1] for index in range(width)]
        hidden = self.plain.count(_HIDDEN)
        # The longest texts are the likeliest to hold delimiters.
        for index in sorted(range(width), key=lambda index: -len(columns[index][0])) if hidden else ():
            joined = "\n".join(columns[index])
            if found := joined.count(_HIDDEN):
                columns[index] = joined.replace(_HIDDEN, self.delimiter).split("\n")
                hidden -= found
            if not hidden:
                break
        return columns

    def without_last(self) -> Block:
        return self._part(0, len(self.raws) - 1)

    def pieces(self) -> Iterator[Block]:
        """Yield the same rows a few at a time, so that one odd row does not slow down the others."""
        for begin in range(0, len(self.raws), _PIECE_ROWS):
            yield self._part(begin, begin + _PIECE_ROWS)

    def _part(self, begin: int, end: int) -> Block:
        return Block(self.lines[begin:end], self.raws[begin:end], self.delimiter, split=self.rows[begin:end])

    def _columns_of_rows(self, width: int) -> list[Sequence[str]] | None:
        if set(map(len, self.rows)) != {width} or any("\n" in raw for raw in self.raws):
            return None
        return list(zip(*self.rows, strict=True))


def blocks(source: Source, encoding: str, delimiter: str, *, skipping: int = 0) -> Iterator[Block]:
    """Yield the rows below the first `skipping` lines, some two thousand at a time.

    Raises StatementUnreadable for null bytes, for a quoted field that never ends and for an endless line.
    """
    number, held = 1, list[str]()
    for lines in _by_the_block(source.lines(encoding)):
        first, number = number, number + len(lines)
        if first <= skipping:
            lines = lines[skipping - first + 1 :]
            first = number - len(lines)
        if not lines:
            continue
        if held:
            first -= len(held)
            lines = held + lines
        block, held = _split(lines, first, delimiter, source)
        if block.raws:
            yield block
        _require_bounded(held, number, source)
    if held:
        raise _endless(source, number - len(held))


def first_rows(lines: list[str], delimiter: str) -> list[tuple[int, list[str]]]:
    """Split lines from the beginning of a file into rows, each with the line it ends at (from 1)."""
    reader = csv.reader((line + "\n" for line in lines), delimiter=delimiter)
    rows = []
    with suppress(csv.Error):
        for row in reader:
            rows.append((reader.line_num, row))  # noqa: PERF401
    return rows


def _by_the_block(chunks: Iterator[list[str]]) -> Iterator[list[str]]:
    """Cut chunks of lines into blocks, whose columns fit the processor's cache."""
    for lines in chunks:
        for begin in range(0, len(lines), _BLOCK_LINES):
            yield lines[begin : begin + _BLOCK_LINES]


def _split(lines: list[str], first: int, delimiter: str, source: Source) -> tuple[Block, list[str]]:
    """Make rows of lines; lines whose quoted field is still open are handed back."""
    text = "\n".join(lines)
    if "\0" in text:
        line = next(first + index for index, line in enumerate(lines) if "\0" in line)
        message = "The file holds null bytes, so it is not a table."
        raise StatementUnreadable(message, source=source.name, line=line)
    plain = _plain(text, delimiter)
    # A line so short cannot hold a field that is too long to be split later.
    if plain is not None and max(map(len, lines), default=0) <= csv.field_size_limit():
        return Block(range(first, first + len(lines)), lines, delimiter, plain), []
    try:
        return _split_carefully(lines, first, delimiter)
    except csv.Error:
        message = "A field in the lines from here on is too long to be of a statement."
        raise StatementUnreadable(message, source=source.name, line=first) from None


def _plain(text: str, delimiter: str) -> str | None:
    """Return the text without its quotes, each delimiter within them hidden.

    None where a quote stands elsewhere than around a whole field of one line.
    """
    if _HIDDEN in text or _END in text:
        return None
    if '"' not in text:
        return text
    parts = text.split('"')
    outside, inside = parts[::2], '"'.join(parts[1::2])
    borders = {delimiter, "\n"}
    if len(parts) % 2 == 0 or "\n" in inside or not _are_around(outside, borders):
        return None
    parts[1::2] = inside.replace(delimiter, _HIDDEN).split('"')
    return "".join(parts)


def _are_around(outside: list[str], borders: set[str]) -> bool:
    """Whether each quoted text begins and ends where its field does; doubled quotes do not."""
    first, *between, last = outside
    if not all(between) or (first and first[-1] not in borders) or (last and last[0] not in borders):
        return False
    return borders.issuperset(map(_first_letter, between)) and borders.issuperset(map(_last_letter, between))


def _split_carefully(lines: list[str], first: int, delimiter: str) -> tuple[Block, list[str]]:
    """Split lines of which some may belong together."""
    # An empty line at the end is a row of its own only where no quoted field is open.
    reader = csv.reader(chain((line + "\n" for line in lines), ("",)), delimiter=delimiter)
    rows, starts, raws = list[list[str]](), list[int](), list[str]()
    begin = 0
    for row in reader:
        if reader.line_num > len(lines):
            break
        rows.append(row)
        starts.append(first + begin)
        raws.append("\n".join(lines[begin : reader.line_num]))
        begin = reader.line_num
    return Block(starts, raws, delimiter, split=rows), lines[begin:]


def _require_bounded(held: list[str], number: int, source: Source) -> None:
    if sum(map(len, held)) > LONGEST_RECORD:
        raise _endless(source, number - len(held))


def _endless(source: Source, line: int) -> StatementUnreadable:
    message = "The quoted text that begins here never ends."
    return StatementUnreadable(message, source=source.name, line=line)
