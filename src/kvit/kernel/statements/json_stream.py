"""JSON that a stranger sent, while it streams by: of a long list one value at a time is in memory."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Final

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.statements.source import Source

LONGEST_VALUE: Final = 32 << 20
"""Characters of one record; the largest batches of payments stay below."""

type Value = str | bool | list[Value] | dict[str, Value] | None
"""A JSON value; a number is its exact text."""

_MARK: Final = "\ufeff"
_BLANKS: Final = re.compile(r"[ \t\r\n]*+")
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_LONE: Final = re.compile("[\ud800-\udfff]")


class JsonStream:
    """A place in a JSON file that moves forward.

    Every method raises StatementUnreadable, with the line, where the text is not the JSON that it expects.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._blocks = source.blocks()
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._value_decoder = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
        self._window = ""
        self._at = 0
        self._is_complete = False
        """Whether the window reaches the end of the file."""
        self.line = 1
        """Of the value that comes next, counted from 1."""
        self.offset = 0
        """How many bytes stand before the value that comes next."""
        self.taken = ""
        """The last value as it stands in the file."""
        self._read_more()
        if self._window.startswith(_MARK):
            self._move(1)

    def peek(self) -> str:
        """Return the next character that is not blank; nothing at the end of the file."""
        while True:
            blanks = _BLANKS.match(self._window, self._at)
            self._move(blanks.end() if blanks else self._at)
            if self._at < len(self._window):
                return self._window[self._at]
            if not self._read_more():
                return ""

    def members(self) -> Iterator[str]:
        """Yield the names of the object that comes next; the caller takes each value before it goes on."""
        self._take("{")
        while self.peek() != "}":
            name = self.value()
            if not isinstance(name, str) or not self.taken.startswith('"'):
                raise self.damaged("a name is missing")
            self._take(":")
            self.peek()
            yield name
            self._take_comma("}")
        self._take("}")

    def items(self) -> Iterator[None]:
        """Stop before each value of the list that comes next; the caller takes it before it goes on."""
        self._take("[")
        while self.peek() != "]":
            yield
            self._take_comma("]")
        self._take("]")

    def value(self) -> Value:
        """Take the value that comes next as a whole."""
        self.peek()
        try:
            value, end = self._decoded()
            self.taken = self._window[self._at : end]
            if _SURROGATE.search(self.taken):
                value = _without_lone_surrogates(value)
        except RecursionError:
            raise self.damaged("lists are nested too deeply") from None
        self._move(end)
        return value

    def damaged(self, reason: str) -> StatementUnreadable:
        return StatementUnreadable(
            "The JSON is damaged: {reason}.", source=self._source.name, line=self.line, reason=reason
        )

    def _decoded(self) -> tuple[Value, int]:
        """Decode the next value, reading on until all of it is in the window."""
        while True:
            reason = ""
            try:
                value, end = self._value_decoder.raw_decode(self._window, self._at)
                # A number at the end of the window may go on.
                if end < len(self._window) or self._is_complete:
                    return value, end
            except json.JSONDecodeError as error:
                reason = error.msg
            if len(self._window) - self._at > LONGEST_VALUE:
                raise self.damaged("a value is too long")
            if not self._read_more() and reason:
                raise self.damaged(reason)

    def _take(self, sign: str) -> None:
        if self.peek() != sign:
            raise self.damaged(f"“{sign}” is missing")
        self._move(self._at + 1)

    def _take_comma(self, end: str) -> None:
        if self.peek() != end:
            self._take(",")
            if self.peek() == end:
                raise self.damaged("a value is missing")

    def _move(self, end: int) -> None:
        passed = self._window[self._at : end]
        self._at = end
        self.line += passed.count("\n")
        self.offset += len(passed) if passed.isascii() else len(passed.encode())

    def _read_more(self) -> bool:
        """Read at least as much as is waiting, so that looking at it again costs no more than reading it."""
        parts = [self._window[self._at :]]
        wanted, length = len(parts[0]), 0
        try:
            while length <= wanted and not self._is_complete:
                block = next(self._blocks, b"")
                self._is_complete = not block
                parts.append(self._decoder.decode(block, final=not block))
                length += len(parts[-1])
        except UnicodeDecodeError:
            raise self.damaged("the text is not UTF-8") from None
        self._window = "".join(parts)
        self._at = 0
        return length > 0


def _without_lone_surrogates(value: Value) -> Value:
    if isinstance(value, str):
        return _LONE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_lone_surrogates(each) for each in value]
    if isinstance(value, dict):
        return {name: _without_lone_surrogates(each) for name, each in value.items()}
    return value
