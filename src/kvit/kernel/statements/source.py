"""A file to read: as blocks, lines or whole text, again from its beginning as often as a reader likes."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO, Final

from kvit.kernel.errors import StatementUnreadable

HEAD_BYTES: Final = 65_536
BLOCK_BYTES: Final = 1 << 18
LONGEST_LINE: Final = 1 << 20
"""No bank writes a line of a million characters; one that long would only fill the memory."""

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class Source:
    """One statement file: bytes, or a binary stream that can be read again (`seek`)."""

    def __init__(self, content: bytes | BinaryIO, name: str = "") -> None:
        self._stream = BytesIO(content) if isinstance(content, bytes) else content
        self.name = name
        self.head = self._stream_at(0).read(HEAD_BYTES)

    def open(self) -> BinaryIO:
        """Return the stream at its beginning; one reader at a time."""
        return self._stream_at(0)

    def content(self) -> bytes:
        """Return the whole file."""
        return self.open().read()

    def blocks(self) -> Iterator[bytes]:
        """Yield the file in blocks of a quarter of a megabyte."""
        stream = self.open()
        while block := stream.read(BLOCK_BYTES):
            yield block

    def lines(self, encoding: str) -> Iterator[list[str]]:
        """Yield the lines without their ends, by the thousand; `\\n`, `\\r\\n` and `\\r` end one.

        What cannot be decoded becomes U+FFFD. Raises StatementUnreadable for a line of a million characters.
        """
        decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        rest, number = "", 1
        for block in self.blocks():
            text = rest + decoder.decode(block)
            # A lone \r at the end may be half of \r\n, so it waits for the next block.
            held = "\r" if text.endswith("\r") else ""
            text = text.removesuffix("\r").removeprefix("\ufeff" if number == 1 else "")
            *lines, rest = _split(text)
            number += len(lines)
            rest += held
            self._require_short(lines, rest, number)
            if lines:
                yield lines
        rest += decoder.decode(b"", final=True)
        if rest:
            yield _split(rest.removesuffix("\r"))

    def encoding(self, legacy: str = "cp1250") -> str:
        """Return how the text is encoded: by its mark, else UTF-8 where all of it is, else `legacy`."""
        marked = encoding_by_mark(self.head)
        if marked:
            return marked
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            for block in self.blocks():
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return legacy
        return "utf-8"

    def _require_short(self, lines: list[str], rest: str, number: int) -> None:
        # A block is shorter than the longest line, so only a line over several blocks can be too long.
        if len(rest) > LONGEST_LINE or (lines and len(lines[0]) > LONGEST_LINE):
            raise StatementUnreadable(
                "A line is longer than {longest} characters, so this is not a statement.",
                source=self.name,
                line=number if len(rest) > LONGEST_LINE else number - len(lines),
                longest=LONGEST_LINE,
            )

    def _stream_at(self, position: int) -> BinaryIO:
        self._stream.seek(position)
        return self._stream


def encoding_by_mark(head: bytes) -> str:
    """Return the encoding that a byte order mark names, else nothing."""
    return next((name for mark, name in _BOMS if head.startswith(mark)), "")


def _split(text: str) -> list[str]:
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.split("\n")
