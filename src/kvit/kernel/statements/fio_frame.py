"""The frame of Fio's JSON: what stands around the movements, and the movements cut out one by one.

A cut needs no parser: it is right exactly where the pieces can be decoded, since what was cut within a string
or an inner object cannot be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import accumulate, batched, pairwise
from typing import Final, NamedTuple

import msgspec

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.statements.source import Source

SLICE_BYTES: Final = 1 << 17
SLICE_RECORDS: Final = 200
LONGEST_RECORD: Final = 1 << 22
"""No movement takes four megabytes; one that long would only fill the memory."""

_BOM: Final = b"\xef\xbb\xbf"
_FIRST: Final = re.compile(rb'"transaction"\s*+:\s*+\[\s*+')
_BETWEEN: Final = re.compile(rb'\}(\s*+,\s*+)(?=(\{\s*+"column))')
"""Never within a text, where the quotation mark would be escaped, so the records can be cut here."""
_GAP: Final = re.compile(rb"[ \t\r\n,]*+")
_LAST: Final = re.compile(rb"\]\s*+\}\s*+\}\s*+\}\s*+\Z")
_LAST_BYTES: Final = 1024
_FRAME: Final = b'{"accountStatement":{"info":{},"transactionList":{"transaction":['
_FRAME_END: Final = b"]}}}"
_FIRST_WINDOW: Final = 1 << 13
_UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Records(NamedTuple):
    """Records that follow one another: the text of each, the line and the offset where it begins."""

    contents: list[bytes]
    lines: list[int]
    offsets: list[int]


class Slice(NamedTuple):
    """Some records as they stand in the file, with commas between them, and where the first one begins."""

    text: bytes
    offset: int
    line: int

    def cut(self) -> Records:
        """Cut the records apart as the first two are; right where each of the pieces can be decoded."""
        between = _BETWEEN.search(self.text)
        if between is None:
            return Records([self.text], [self.line], [self.offset])
        gap, opening = between.groups()
        first, *middle, last = self.text.split(b"}" + gap + opening)
        contents = [first + b"}", *(opening + each + b"}" for each in middle), opening + last]
        steps = (len(each) + len(gap) for each in contents)
        return self._records(contents, list(accumulate(steps, initial=0))[:-1])

    def parted(self) -> Records:
        """Part the records exactly; where the JSON is damaged, at the places where one surely begins."""
        try:
            raw_records = _list_decoder.decode(b"[" + self.text + b"]")
        except _UNDECODABLE:
            return self._salvaged()
        begins = [begin for begin, _ in _spans(self.text, raw_records)]
        return self._records(list(map(bytes, raw_records)), begins)

    def _salvaged(self) -> Records:
        betweens = list(_BETWEEN.finditer(self.text))
        begins = [0, *(each.end() for each in betweens)]
        ends = [*(each.start() + 1 for each in betweens), len(self.text)]
        return self._records([self.text[each] for each in map(slice, begins, ends)], begins)

    def _records(self, contents: list[bytes], begins: list[int]) -> Records:
        lines = [self.line] * len(begins)
        if b"\n" in self.text:
            breaks = (self.text.count(b"\n", *span) for span in pairwise((0, *begins)))
            lines = list(accumulate(breaks, initial=self.line))[1:]
        return Records(contents, lines, [self.offset + begin for begin in begins])


class _List(msgspec.Struct):
    transaction: list[msgspec.Raw] | None = None


class _AccountStatement(msgspec.Struct, rename="camel"):
    info: dict[str, msgspec.Raw]
    transaction_list: _List | None = None


class _Answer(msgspec.Struct, rename="camel"):
    account_statement: _AccountStatement


_answer_decoder: Final = msgspec.json.Decoder(_Answer)
_list_decoder: Final = msgspec.json.Decoder(list[msgspec.Raw])


def opened(source: Source) -> tuple[Mapping[str, msgspec.Raw], Iterator[Slice]]:
    """Return what the answer says of the account, and its records slice by slice.

    Raises StatementUnreadable where the JSON is damaged or is not an account statement; so do the slices.
    """
    begin = _FIRST.search(source.head)
    if begin is not None:
        try:
            head = source.head[: begin.end()].removeprefix(_BOM)
            info = _answer_decoder.decode(head + _FRAME_END).account_statement.info
        except _UNDECODABLE:
            pass
        else:
            return info, _streamed(source, begin.end())
    # Nothing in the middle, or what belongs to the head stands behind the movements.
    return _whole(source)


def _whole(source: Source) -> tuple[Mapping[str, msgspec.Raw], Iterator[Slice]]:
    body = source.content()
    answer = _answer(body, source)
    begin = _FIRST.search(body)
    place = _Place().behind(body[: begin.end()] if begin else b"")
    return answer.info, _slices(body[place.offset :], _listed(answer), place)


def _streamed(source: Source, begin: int) -> Iterator[Slice]:
    place = _Place().behind(source.head[:begin])
    stream = source.open()
    stream.seek(begin)
    rest, searched = b"", 0
    while block := stream.read(SLICE_BYTES):
        rest += block
        between = _last_between(rest, searched)
        # What is not found now can only begin at the last brace.
        searched = 0 if between else max(0, rest.rfind(b"}"))
        if between is not None:
            yield Slice(rest[: between.start() + 1], *place)
            place = place.behind(rest[: between.end()])
            rest = rest[between.end() :]
        elif len(rest) > LONGEST_RECORD:
            raise StatementUnreadable(
                "A movement is longer than {longest} characters, so this is not a statement.",
                source=source.name,
                line=place.line,
                longest=LONGEST_RECORD,
            )
    yield from _last_slices(rest, place, source)


class _Place(NamedTuple):
    """A place in the file: its offset in bytes, and its line counted from 1."""

    offset: int = 0
    line: int = 1

    def behind(self, text: bytes) -> _Place:
        return _Place(self.offset + len(text), self.line + text.count(b"\n"))


def _last_between(text: bytes, searched: int) -> re.Match[bytes] | None:
    """Find the last place where one record ends and another begins, behind what was searched before."""
    window = _FIRST_WINDOW
    while True:
        begin = max(searched, len(text) - window)
        found = list(_BETWEEN.finditer(text, begin))
        if found or begin == searched:
            return found[-1] if found else None
        window *= 8


def _last_slices(text: bytes, place: _Place, source: Source) -> Iterator[Slice]:
    """Read up to the end of the file, which must close everything that was opened."""
    try:
        answer = _answer(_FRAME + text, source, place.line - 1)
    except StatementUnreadable:
        end = _LAST.search(text, max(0, len(text) - _LAST_BYTES))
        if end is None:
            raise
        yield Slice(text[: end.start()].rstrip(), *place)
    else:
        yield from _slices(text, _listed(answer), place)


def _slices(text: bytes, raw_records: list[msgspec.Raw], place: _Place) -> Iterator[Slice]:
    """Slice a text, which stands at the place, where its decoded records begin and end."""
    behind = 0
    for spans in batched(_spans(text, raw_records), SLICE_RECORDS):
        begin, end = spans[0][0], spans[-1][1]
        place = place.behind(text[behind:begin])
        yield Slice(text[begin:end], *place)
        place, behind = place.behind(text[begin:end]), end


def _spans(text: bytes, raw_records: list[msgspec.Raw]) -> Iterator[tuple[int, int]]:
    """Yield where in the text each of its decoded records begins and ends."""
    end = 0
    for raw in raw_records:
        gap = _GAP.match(text, end)
        begin = gap.end() if gap else end
        end = begin + len(bytes(raw))
        yield begin, end


def _listed(answer: _AccountStatement) -> list[msgspec.Raw]:
    return (answer.transaction_list.transaction if answer.transaction_list else None) or []


def _answer(body: bytes, source: Source, skipped_lines: int = 0) -> _AccountStatement:
    try:
        return _answer_decoder.decode(body.removeprefix(_BOM)).account_statement
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `")
        raise StatementUnreadable(
            "The JSON is not an account statement: {reason}.",
            source=source.name,
            field=place.strip("`$.") or None,
            reason=message,
        ) from None
    except _UNDECODABLE as error:
        line = _damaged_line(body, error)
        raise StatementUnreadable(
            "The JSON is damaged: {reason}. Download the statement again.",
            source=source.name,
            line=line + skipped_lines if line else None,
            reason=str(error),
        ) from None


def _damaged_line(body: bytes, error: Exception) -> int | None:
    """Find the line of msgspec's “(byte 60)”; a body cut short is damaged at its end."""
    position = re.search(r"\(byte ([0-9]+)\)", str(error))
    if position:
        return body.count(b"\n", 0, int(position[1])) + 1
    return body.count(b"\n") + 1 if "truncated" in str(error) else None
