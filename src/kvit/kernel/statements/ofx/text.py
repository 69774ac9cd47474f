"""The text of an OFX file in pieces that cut no movement, its comments and CDATA out of the way of tags."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.statements.ofx.header import Header
from kvit.kernel.statements.source import LONGEST_LINE, Source

MOVEMENTS: Final = ("STMTTRN", "STMTTRNP")
"""The tags of a movement that is booked and of one that is pending."""
_OPAQUE: Final = re.compile(r"<!--|<!\[CDATA\[")
_NO_LINE_END: Final = re.compile(r"[^\r\n]")
_SIGNS: Final = "<>&"
_MASKS: Final = "\ue03c\ue03e\ue026"
"""What stands for `<`, `>` and `&` of CDATA: characters for private use."""
_MASKED: Final = str.maketrans(_SIGNS, _MASKS)
_UNMASKED: Final = str.maketrans(_MASKS, _SIGNS)
_ANY_TAG: Final = re.compile(r"<(/?)(?:[A-Za-z_][\w-]{0,30}:)?([A-Za-z][\w.]{0,40})(?:\s[^<>/]{0,500})?(/?)>")
_OF_ONE_BYTE: Final = ("cp", "iso")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a file that ends before a tag, and before a movement if there is one it would cut."""

    text: str
    """As it stands in the file."""
    tags: str
    """The same text to read tags from: as long, but comments are blanks and signs in CDATA are masked."""
    encoding: str
    line: int
    """The line of the file where it begins, counted from 1."""
    offset: int
    """How many bytes of the file stand before it."""
    is_last: bool = False

    def place(self) -> Place:
        """Return the place where the chunk begins."""
        return Place(self, 0, self.line, self.offset)

    def sizes(self, texts: Iterable[str]) -> Iterator[int]:
        """Yield how many bytes of the file each text takes."""
        if self.encoding.startswith(_OF_ONE_BYTE) or (self.encoding == "utf-8" and self.text.isascii()):
            return map(len, texts)
        return (len(text.encode(self.encoding, "replace")) for text in texts)


@dataclass(slots=True)
class Place:
    """A place in a chunk that only moves on."""

    chunk: Chunk
    at: int
    """How many characters of the chunk stand before it."""
    line: int
    offset: int

    def move(self, at: int) -> None:
        """Go on to a later place."""
        passed = self.chunk.text[self.at : at]
        self.line += passed.count("\n")
        self.offset += sum(self.chunk.sizes((passed,)))
        self.at = at


def chunks(source: Source, header: Header) -> Iterator[Chunk]:
    """Yield the file in chunks of about a quarter of a megabyte, without a byte order mark.

    Raises StatementUnreadable for a movement or a comment of a million characters.
    """
    line, offset, held = 1, 0, ""
    for text in _decoded(source, header.encoding):
        held += text
        if not offset and held.startswith("\ufeff"):
            held, offset = held[1:], len("\ufeff".encode(header.encoding))
        tags, opaque_at = _tags(held, header)
        cut = _cut(tags, opaque_at)
        if len(held) - cut > LONGEST_LINE:
            raise StatementUnreadable(
                "A movement is longer than {longest} characters, so this is not a statement.",
                source=source.name,
                line=line + held.count("\n", 0, cut),
                longest=LONGEST_LINE,
            )
        if cut:
            chunk = Chunk(held[:cut], tags[:cut], header.encoding, line, offset)
            yield chunk
            line += chunk.text.count("\n")
            offset += sum(chunk.sizes([chunk.text]))
            held = held[cut:]
    tags, opaque_at = _tags(held, header)
    yield Chunk(held[:opaque_at], tags[:opaque_at], header.encoding, line, offset, is_last=True)


def unmasked(text: str) -> str:
    """Give a text from CDATA its own signs back."""
    return text.translate(_UNMASKED)


def _decoded(source: Source, encoding: str) -> Iterator[str]:
    """Yield the text; what cannot be decoded becomes U+FFFD, and null characters become blanks."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    for block in source.blocks():
        yield decoder.decode(block).replace("\0", " ")
    yield decoder.decode(b"", final=True)


def _tags(text: str, header: Header) -> tuple[str, int]:
    """Return the text to read tags from, and where a comment or CDATA begins that has no end yet."""
    tags, opaque_at = _without_opaque(text) if "<!" in text else (text, len(text))
    return (_ANY_TAG.sub(_plain_tag, tags) if header.has_small_tags else tags), opaque_at


def _without_opaque(text: str) -> tuple[str, int]:
    parts, at = [], 0
    while opening := _OPAQUE.search(text, at):
        begin, is_comment = opening.start(), opening[0] == "<!--"
        end = text.find("-->" if is_comment else "]]>", opening.end())
        parts.append(text[at:begin])
        if end < 0:
            parts.append(text[begin:])
            return "".join(parts), begin
        content = text[opening.end() : end]
        content = _NO_LINE_END.sub(" ", content) if is_comment else content.translate(_MASKED)
        parts += (" " * len(opening[0]), content, "   ")
        at = end + 3
    return "".join((*parts, text[at:])), len(text)


def _plain_tag(match: re.Match[str]) -> str:
    """Write a tag in capitals without its prefix and attributes, as long as it was."""
    return f"<{match[1]}{match[2].upper()}{match[3]}>".ljust(len(match[0]))


def _cut(tags: str, opaque_at: int) -> int:
    """Return how much of the text can be read: up to a movement that is not whole, else to the last tag."""
    begun = max(tags.rfind(f"<{name}>", 0, opaque_at) for name in MOVEMENTS)
    ended = max(tags.rfind(f"</{name}>", 0, opaque_at) for name in MOVEMENTS)
    last = tags.rfind("<", 0, opaque_at)
    if begun > ended:
        return begun
    return tags.index(">", last) + 1 if 0 <= last == ended else max(last, 0)
