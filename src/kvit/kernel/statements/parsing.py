"""The way in: find the format of a file by its content and let its reader read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import BinaryIO, Protocol

from kvit.kernel.errors import StatementError, StatementUnreadable, UnknownFormat
from kvit.kernel.statements import (
    archives,
    camt,
    csob_xml,
    csv,
    fio_json,
    fio_xml,
    gpc,
    kvit_json,
    mt940,
    ofx,
    pain002,
)
from kvit.kernel.statements.balances import Balances
from kvit.kernel.statements.identity import Identifier
from kvit.kernel.statements.source import Source
from kvit.kernel.statements.values import (
    Detection,
    Entry,
    Hints,
    OrderStatus,
    Part,
    Problem,
    Statement,
    StatementEnd,
    StatementFile,
)


class Reader(Protocol):
    """What a module of a format offers; the module itself is the reader."""

    def detect(self, head: bytes) -> Detection | None:
        """Say what the beginning of a file (64 KiB at most) is, or None where it is no such format."""
        ...

    def read(self, source: Source, hints: Hints) -> Iterator[Part]:
        """Yield each statement before its entries, which carry the bank's reference as `external_id`.

        Raises StatementUnreadable where the file as a whole is damaged. A record that cannot be read is a
        Problem, and the others go on.
        """
        ...


READERS: tuple[Reader, ...] = (kvit_json, camt, pain002, gpc, mt940, ofx, fio_json, fio_xml, csob_xml, csv)
"""Asked in this order; the first that is sure reads the file, else the first that thinks it can."""

MOST_ERRORS = 1000
"""A file with more records that cannot be read, and more of these than of others, is refused as a whole."""

ARCHIVE = "zip"
"""The name for an archive of files in several formats."""

_KNOWN_STRANGERS = (
    (b"%PDF", "This is a PDF. Export the statement as data: camt.053, GPC (ABO), MT940, OFX or CSV."),
    (b"\xd0\xcf\x11\xe0", "This is an Excel workbook. Export the statement as CSV."),
)

type Event = Statement | Entry | StatementEnd | Problem | OrderStatus


def detect(data: bytes) -> Detection | None:
    """Say what a file is by its beginning, and whether that is sure; None where nobody knows it."""
    source = Source(data)
    if archives.is_archive(source):
        return Detection(format=ARCHIVE)
    found = _reader(source)
    return found[1] if found else None


def parse(content: bytes | BinaryIO, *, source: str = "", hints: Hints | None = None) -> Iterator[Event]:
    """Yield what a statement file of any known format holds while it is being read.

    A Statement comes before its entries and a StatementEnd after them. A record that cannot be read is a
    Problem and the others go on. A ZIP archive is opened. The stream must be seekable; `source` names it in
    errors. Raises UnknownFormat where no reader knows the content, and StatementUnreadable where the file as
    a whole is damaged: what was yielded before it is true, but not all.
    """
    for part in _parts(Source(content, source), hints or Hints()):
        if isinstance(part, list):
            yield from part
        else:
            yield part


def read(content: bytes | BinaryIO, *, source: str = "", hints: Hints | None = None) -> StatementFile:
    """Read a whole statement file of any known format; like `parse`, but nothing of a damaged file."""
    file = Source(content, source)
    collected = _Collected()
    for part in _parts(file, hints or Hints()):
        collected.take(part)
    return collected.file(file)


def _parts(source: Source, hints: Hints) -> Iterator[Part]:
    if archives.is_archive(source):
        yield from _parts_of_archive(source, hints)
    else:
        yield from _parts_of_one(source, hints)


def _parts_of_archive(source: Source, hints: Hints) -> Iterator[Part]:
    """Read each file of the archive; what cannot be read beside others is a Problem, such as a PDF."""
    refused: list[StatementError] = []
    is_any_read = False
    for member in archives.members(source):
        try:
            yield from _parts_of_one(member, hints, file=member.name)
            is_any_read = True
        except StatementError as error:
            refused.append(error)
            line = error.line if isinstance(error, StatementUnreadable) else None
            yield Problem(message=f"{member.name}: {error}", line=line, is_error=True)
    if not is_any_read:
        raise refused[0]


def _parts_of_one(source: Source, hints: Hints, file: str = "") -> Iterator[Part]:
    found = _reader(source)
    if found is None:
        raise _unknown(source)
    reader, detection = found
    if not detection.is_sure and not hints.profile:
        yield Problem(message=detection.doubt)
    try:
        yield from _Passing(source, detection.format, hints, file).parts(reader)
    except StatementUnreadable as error:
        error.source = error.source or source.name
        raise


class _Passing:
    """What a reader yields, on its way: entries get their ids, and balances are added up."""

    def __init__(self, source: Source, format_name: str, hints: Hints, file: str) -> None:
        self.source = source
        self.format_name = format_name
        self.hints = hints
        self.file = file
        self.identifier = Identifier()
        self.balances = Balances()
        self.entries = 0
        self.errors = 0

    def parts(self, reader: Reader) -> Iterator[Part]:
        for part in reader.read(self.source, self.hints):
            if isinstance(part, list):
                if part:
                    yield from self._identified(part)
            elif isinstance(part, Statement):
                yield from self.balances.doubts()
                yield self._begun(part)
            else:
                if isinstance(part, StatementEnd):
                    self.balances.end(part)
                elif isinstance(part, Problem):
                    self._count(part)
                yield part
        yield from self.balances.doubts()

    def _identified(self, entries: list[Entry]) -> Iterator[Part]:
        self.entries += len(entries)
        for part in self.identifier.identified(entries):
            if isinstance(part, list):
                self.balances.add(part)
            yield part

    def _begun(self, statement: Statement) -> Statement:
        begun = replace(
            statement,
            account=statement.account or self.hints.account,
            format=statement.format or self.format_name,
            file=self.file,
        )
        self.identifier.begin(begun.account)
        self.balances = Balances(begun)
        return begun

    def _count(self, problem: Problem) -> None:
        """Raise StatementUnreadable where hardly anything of the file can be read."""
        self.errors += problem.is_error
        if self.errors > MOST_ERRORS and self.errors > self.entries:
            raise StatementUnreadable(
                "More than {most} records cannot be read; the last one: {reason}",
                source=self.source.name,
                line=problem.line,
                field=problem.field,
                most=MOST_ERRORS,
                reason=problem.message,
            )


def _reader(source: Source) -> tuple[Reader, Detection] | None:
    unsure = None
    for reader in READERS:
        detection = reader.detect(source.head)
        if detection is not None and detection.is_sure:
            return reader, detection
        if detection is not None and unsure is None:
            unsure = reader, detection
    return unsure


def _unknown(source: Source) -> UnknownFormat:
    if not source.head.strip():
        return UnknownFormat("The file is empty.")
    if not source.head.strip(b"\0"):
        return UnknownFormat("The file holds nothing but null bytes. Download it from the bank again.")
    for beginning, message in _KNOWN_STRANGERS:
        if source.head.startswith(beginning):
            return UnknownFormat(message)
    return UnknownFormat()


@dataclass(slots=True)
class _Open:
    """A statement whose entries are being collected."""

    head: Statement
    entries: list[Entry]


class _Collected:
    """The parts of a file, put together again."""

    def __init__(self) -> None:
        self.statements: list[_Open] = []
        self.problems: list[Problem] = []
        self.order_statuses: list[OrderStatus] = []

    def take(self, part: Part) -> None:
        if isinstance(part, list):
            self.statements[-1].entries.extend(part)
        elif isinstance(part, Problem):
            self.problems.append(part)
        elif isinstance(part, OrderStatus):
            self.order_statuses.append(part)
        elif isinstance(part, Statement):
            self.statements.append(_Open(part, []))
        else:
            self.statements[-1].head = completed(self.statements[-1].head, part)

    def file(self, source: Source) -> StatementFile:
        statements = tuple(replace(each.head, entries=tuple(each.entries)) for each in self.statements)
        formats = list(dict.fromkeys(map(attrgetter("format"), statements)))
        if not formats:
            found = _reader(source)
            formats = [found[1].format] if found else []
        return StatementFile(
            format=formats[0] if len(formats) == 1 else ARCHIVE,
            statements=statements,
            warnings=tuple(each for each in self.problems if not each.is_error),
            errors=tuple(each for each in self.problems if each.is_error),
            order_statuses=tuple(self.order_statuses),
        )


def completed(statement: Statement, end: StatementEnd) -> Statement:
    """Return the statement with what its end says besides."""
    told = {name: value for name in end.__slots__ if (value := getattr(end, name)) is not None}
    return replace(statement, **told)
