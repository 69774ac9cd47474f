"""A report from its bytes to a table whose columns are known: which profile fits, and the rows as texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from kvit.kernel.errors import StatementUnreadable, UnknownFormat
from kvit.kernel.payout_reports.profile import PROFILES, Profile, Role
from kvit.kernel.statements.csv import Layout, fits, sniff
from kvit.kernel.statements.csv import Profile as TableProfile
from kvit.kernel.statements.csv.rows import blocks
from kvit.kernel.statements.csv.texts import cleaned
from kvit.kernel.statements.csv.words import normalized
from kvit.kernel.statements.source import Source

_STRANGE: Final = "\ufffd"
"""Stands where bytes could not be decoded."""
_LOOKS_LIKE: Final = 0.5
"""From this share of a header's names on, an error says which ones are missing."""


class Place(NamedTuple):
    """Where in a report something stands."""

    source: str
    line: int | None = None
    field: str = ""

    def at(self, error: StatementUnreadable) -> StatementUnreadable:
        """Say in an error that it is about this place; its message may name `{line}` and `{field}`."""
        error.source, error.line, error.field = self.source, self.line, self.field or None
        error.params |= {"line": self.line, "field": self.field}
        return error


class _Found(NamedTuple):
    """A column of the table."""

    at: int
    pattern: re.Pattern[str] | None


@dataclass(frozen=True, slots=True)
class Table:
    """A recognised report."""

    profile: Profile
    source: Source
    layout: Layout
    columns: dict[Role, tuple[_Found, ...]]

    def has(self, role: Role) -> bool:
        return role in self.columns

    def place(self, role: Role, line: int | None) -> Place:
        """Return where the cell of a role stands, by the name of its column in this file."""
        found = self.columns.get(role)
        return Place(self.source.name, line, self.layout.header[found[0].at].strip() if found else role)

    def cells(self) -> Iterator[Cells]:
        """Yield the rows that are not blank.

        Raises StatementUnreadable for a row that is shorter or longer than the header, which a file that was
        cut or damaged has, and for what `blocks` refuses.
        """
        layout = self.layout
        for block in blocks(self.source, layout.encoding, layout.delimiter, skipping=layout.skipped_lines):
            for line, row in zip(block.lines, block.rows, strict=True):
                if any(map(str.strip, row)):
                    self._require_whole(line, row)
                    yield Cells(self, line, row)

    def _require_whole(self, line: int, row: list[str]) -> None:
        width = self.layout.width
        if len(row) < width or any(map(str.strip, row[width:])):
            raise Place(self.source.name, line).at(
                StatementUnreadable(
                    "Line {line} has {count} columns and the header {width}, so the file is cut or damaged. "
                    "Download the report again.",
                    count=len(row),
                    width=width,
                )
            )


class Cells(NamedTuple):
    """One row."""

    table: Table
    line: int
    row: list[str]

    def texts(self, role: Role) -> list[str]:
        """Return the cells of a role that are not empty, in the profile's order, each in one line.

        Raises StatementUnreadable where a cell was damaged or the file is in another encoding.
        """
        found = [self._text(column) for column in self.table.columns.get(role, ())]
        if any(_STRANGE in text for text in found):
            raise self.place(role).at(
                StatementUnreadable(
                    "Line {line}, {field}: letters of “{text}” cannot be read, so the file was damaged or "
                    "saved in another encoding. Download the report again and upload it as it is.",
                    text=" ".join(found)[:40],
                )
            )
        return [text for text in found if text]

    def text(self, role: Role) -> str:
        """Return the first cell of a role that is not empty, else nothing."""
        return next(iter(self.texts(role)), "")

    def place(self, role: Role) -> Place:
        return self.table.place(role, self.line)

    def _text(self, column: _Found) -> str:
        text = cleaned(self.row[column.at])
        if column.pattern is None:
            return text
        match = column.pattern.search(text)
        return match[0] if match else ""


def open_table(source: Source) -> Table:
    """Recognise a report; raises UnknownFormat where no profile fits."""
    profile, layout = recognised(source)
    columns: dict[Role, tuple[_Found, ...]] = {}
    for column in profile.columns:
        names = [name for name in map(normalized, column.names) if name in layout.names]
        if names:
            pattern = re.compile(column.pattern) if column.pattern else None
            found = _Found(layout.names.index(names[0]), pattern)
            columns[column.role] = (*columns.get(column.role, ()), found)
    return Table(profile, source, layout, columns)


def recognised(source: Source) -> tuple[Profile, Layout]:
    """Return the one profile that fits a report, and how the file is laid out."""
    if not source.head.strip(b"\0 \t\r\n"):
        raise UnknownFormat("The file is empty. Download the report again.", source=source.name)
    shapes = _shapes()
    layout = sniff(source, shapes.values())
    found = [profile for profile in PROFILES if fits(shapes[profile.name], layout)]
    if len(found) != 1:
        raise _unknown(source, layout)
    return found[0], layout


@cache
def _shapes() -> dict[str, TableProfile]:
    """Return the headers in the form in which tables of banks are recognised."""
    return {each.name: TableProfile(name=each.name, headers=each.headers) for each in PROFILES}


def _unknown(source: Source, layout: Layout) -> UnknownFormat:
    names = set(layout.names)
    headers = [(profile, header) for profile in PROFILES for header in profile.headers]

    def share(header: tuple[str, ...]) -> float:
        return sum(normalized(name) in names for name in header) / len(header)

    profile, header = max(headers, key=lambda each: share(each[1]))
    if _LOOKS_LIKE <= share(header) < 1:
        missing = ", ".join(name for name in header if normalized(name) not in names)
        return UnknownFormat(
            "This looks like {title}, but lacks the columns {columns}. Download it with them.",
            title=profile.title,
            columns=missing,
            source=source.name,
        )
    return UnknownFormat(
        "This is not a payout report that Kvit can read. Download one of these as CSV: {titles}.",
        titles="; ".join(each.title for each in PROFILES),
        source=source.name,
    )
