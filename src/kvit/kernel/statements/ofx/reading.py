"""The tags of an OFX file in their order: statements, movements and the bank's own errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby, pairwise, repeat
from operator import methodcaller
from typing import Final

from kvit.kernel.errors import RecordError
from kvit.kernel.statements.ofx.columns import entries_by_column, usual
from kvit.kernel.statements.ofx.elements import plain
from kvit.kernel.statements.ofx.header import Header
from kvit.kernel.statements.ofx.movements import BOOKED, Movement
from kvit.kernel.statements.ofx.section import STATEMENTS, Section
from kvit.kernel.statements.ofx.text import MOVEMENTS, Chunk, Place
from kvit.kernel.statements.values import Entry, Hints, Part, Problem

_BEGIN: Final = f"<{BOOKED}>"
_TAG: Final = re.compile(r"<(/?)([A-Za-z][\w.:-]{0,60}+)([^<>]{0,200}+)>")
_EMPTY_TAG: Final = re.compile(r"<[A-Z][A-Z0-9.]{0,40}+/>")
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_AROUND: Final = STATEMENTS.union(MOVEMENTS) | {
    "OFX", "STMTTRNRS", "CCSTMTTRNRS", "INVSTMTTRNRS", "BANKTRANLIST", "BANKTRANLISTP", "INVTRANLIST",
    "INVBANKTRAN", "SUBACCTFUND", "LEDGERBAL", "AVAILBAL", "BALLIST", "BANKMSGSRSV1", "CREDITCARDMSGSRSV1",
}  # fmt: skip
"""Tags that stand around movements, so they end one that has no end tag."""
_AGGREGATES: Final = frozenset({
    "STATUS", "BANKACCTFROM", "CCACCTFROM", "INVACCTFROM", "BANKTRANLIST", "BANKTRANLISTP", "INVTRANLIST",
    "LEDGERBAL", "AVAILBAL", "BAL", "INVPOS", "SECINFO",
})  # fmt: skip
"""Aggregates whose elements mean something else than those of the same name elsewhere."""

_start = methodcaller("start")


class Reading:
    """What has been read of a file so far."""

    def __init__(self, header: Header, hints: Hints) -> None:
        self._header = header
        self._hints = hints
        self._section: Section | None = None
        self._movement: Movement | None = None
        self._entries: list[Entry] = []
        self._within = ""
        self._status: dict[str, str] = {}
        self._has_sign_on = False
        self._has_end = False
        self._told: set[str] = set()
        """The doubts that were told; one warning a file is enough."""

    def read(self, chunk: Chunk) -> Iterator[Part]:
        """Yield the parts that a chunk holds."""
        yield from self._doubts(chunk)
        before, *behind = chunk.tags.split(_BEGIN)
        yield from self._tags(chunk.place(), len(before))
        if behind:
            yield from self._movements(chunk, len(before), behind)
        if self._movement is not None and not chunk.is_last:
            # What was held back for the next chunk is another movement.
            yield from self._finish_movement(chunk, len(chunk.text), is_whole=False)
        yield from self._flush()

    def end(self) -> Iterator[Part]:
        """Yield what the end of the file leaves."""
        if self._movement is not None:
            yield _error("The file ends within a movement; it was left out.", self._movement)
        yield from self._close_section()
        if not self._has_end:
            yield Problem(message="The file has no end (</OFX>): a part of it may be missing.", field="OFX")

    def _movements(self, chunk: Chunk, begin: int, behind: Sequence[str]) -> Iterator[Part]:
        """Read movements and what is between them: runs of usual ones by column, the others by their tags."""
        places = list(accumulate((len(_BEGIN) + len(text) for text in behind), initial=begin))
        texts = [chunk.text[place:following] for place, following in pairwise(places)]
        first = chunk.place()
        first.move(begin)
        lines = accumulate(map(str.count, texts, repeat("\n")), initial=first.line)
        offsets = accumulate(chunk.sizes(texts), initial=first.offset)
        rows = zip(map(usual, behind), texts, places, lines, offsets, strict=False)
        for is_usual, run in groupby(rows, key=lambda row: row[0] is not None):
            if is_usual and self._section is not None and self._movement is None:
                yield from self._flush()
                yield from self._section.beginning()
                matches, raws, _, run_lines, run_offsets = zip(*run, strict=True)
                yield entries_by_column(
                    matches, map(str.rstrip, raws), run_lines, run_offsets, self._section.account
                )
            else:
                for _, text, place, line, offset in run:
                    yield from self._tags(Place(chunk, place, line, offset), place + len(text))

    def _tags(self, place: Place, end: int) -> Iterator[Part]:
        """Read a part of a chunk, from a place on, tag by tag, with the text behind each."""
        chunk = place.chunk
        tags = list(_TAG.finditer(chunk.tags, place.at, end))
        if tags and chunk.is_last and end == len(chunk.tags) and not tags[-1][1]:
            tags.pop()  # the text behind the last tag of a file may be cut
        ends = [*map(_start, tags[1:]), end]
        for tag, value_end in zip(tags, ends, strict=False):
            slash, name, rest = tag.groups()
            name = name.upper()
            if self._movement is not None:
                if name not in _AROUND:
                    value = "" if rest == "/" else chunk.tags[tag.end() : value_end]
                    self._movement.take(name, value, is_end=bool(slash))
                    continue
                is_whole = bool(slash) and name == self._movement.tag
                yield from self._finish_movement(
                    chunk, tag.end() if is_whole else tag.start(), is_whole=is_whole
                )
            place.move(tag.start())
            if slash:
                yield from self._end_of(name, place.line)
            elif name in MOVEMENTS:
                self._movement = Movement(name, place.line, place.offset, place.at)
            else:
                yield from self._start_of(name, chunk.tags[tag.end() : value_end], place.line)

    def _start_of(self, name: str, value: str, line: int) -> Iterator[Part]:
        if name in STATEMENTS:
            yield from self._end_status(line)
            yield from self._close_section()
            self._section = Section(line, self._hints, self._header.is_absent and not self._has_sign_on)
        elif name in _AGGREGATES:
            yield from self._end_status(line)
            self._within = name
        elif self._within == "STATUS":
            self._status[name] = plain(value)
        elif self._section is not None:
            self._section.take(self._within, name, value, line)
            yield from self._doubt_trades(name, line)
        self._has_sign_on |= name == "SONRS"

    def _end_of(self, name: str, line: int) -> Iterator[Part]:
        if name in _AGGREGATES:
            yield from self._end_status(line)
            self._within = ""
        elif name in STATEMENTS:
            yield from self._close_section()
        self._has_end |= name == "OFX"

    def _close_section(self) -> Iterator[Part]:
        yield from self._flush()
        if self._section is not None:
            yield from self._section.end()
        self._section = None
        self._within = ""

    def _end_status(self, line: int) -> Iterator[Part]:
        """Tell the bank's own error, which often stands in the place of a statement."""
        status, self._status = self._status, {}
        code, severity = status.get("CODE", "0"), status.get("SEVERITY", "ERROR").upper()
        if code.strip("0") and severity == "ERROR":
            text = status.get("MESSAGE") or "no reason given"
            yield Problem(message=f"The bank answered with error {code}: {text}", line=line, field="STATUS")

    def _finish_movement(self, chunk: Chunk, end: int, *, is_whole: bool) -> Iterator[Part]:
        """Make the entry of the movement that ends at a place in the chunk."""
        movement, self._movement = self._movement, None
        if movement is None:
            return
        raw = chunk.text[movement.begin : end].rstrip()
        try:
            yield from self._entry(movement, raw, is_whole=is_whole)
        except RecordError as error:
            yield _error(str(error), movement, error.field)

    def _flush(self) -> Iterator[Part]:
        """Yield the entries that were read by their tags."""
        if self._entries:
            yield self._entries
            self._entries = []

    def _entry(self, movement: Movement, raw: str, *, is_whole: bool) -> Iterator[Part]:
        section = self._section
        if section is None:
            raise RecordError("The movement belongs to no statement.", field=movement.tag)
        if not is_whole and movement.may_be_cut:
            raise RecordError("The movement has no end and may be cut in {name}.", name=movement.last)
        yield from section.beginning()
        self._entries.append(movement.entry(section.account, raw))
        if not is_whole:
            yield from self._doubt("Movements have no end tag.", movement.line, movement.tag)
        if movement.has_unusual_amount:
            message = "Amounts are written with a comma or blanks, unlike OFX asks; they were read."
            yield from self._doubt(message, movement.line, "TRNAMT")

    def _doubts(self, chunk: Chunk) -> Iterator[Part]:
        """Warn of what the header promises and the text does not keep."""
        if self._header.claims_ascii and (other := _NOT_ASCII.search(chunk.text)):
            yield from self._doubt(
                f"The header says {self._header.declared}, but there are other characters; "
                f"they were read as {self._header.encoding}.",
                chunk.line + chunk.text.count("\n", 0, other.start()),
                "ENCODING",
            )
        if self._header.is_sgml and "/>" in chunk.tags and (empty := _EMPTY_TAG.search(chunk.tags)):
            line = chunk.line + chunk.text.count("\n", 0, empty.start())
            yield from self._doubt("Empty tags are written as in XML.", line, empty[0].strip("</>"))

    def _doubt_trades(self, name: str, line: int) -> Iterator[Part]:
        if name == "INVTRAN":
            message = "Trades of securities are not read, only movements of money (INVBANKTRAN)."
            yield from self._doubt(message, line, name)

    def _doubt(self, message: str, line: int, field: str) -> Iterator[Part]:
        if message not in self._told:
            self._told.add(message)
            yield Problem(message=message, line=line, field=field)


def _error(message: str, movement: Movement, field: str | None = None) -> Problem:
    return Problem(message=message, line=movement.line, offset=movement.offset, field=field, is_error=True)
