"""XML that a stranger sent, as a stream: every block is proved well-formed by expat and cut into elements.

Nothing but the window of text around the current element is in memory, whatever the file holds. Entities
cannot be declared, because a DOCTYPE is refused.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Final, NamedTuple
from xml.parsers import expat

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.statements.shapes import DEEPEST, Element, Shapes, local_name, resolved
from kvit.kernel.statements.source import Source, encoding_by_mark
from kvit.kernel.statements.xml import damaged, refused_doctype

LONGEST_ELEMENT: Final = 32 << 20
"""Characters of one entry with all its payments; banks put up to some ten thousand into a batch."""

_DECLARED: Final = re.compile(rb"\s*<\?xml[^>]{1,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_ENCODING: Final = re.compile(r"utf-?8|us-ascii|ascii|(?:iso|latin|windows|cp|ibm|mac)[-_]?[a-z0-9_-]+")
"""Encodings of text that continue ASCII; codecs knows others that are none, such as `zip`."""
_MARKUP: Final = re.compile(
    r"(?P<tag><(?P<end>/?)(?P<name>[^\s/>!?]++)(?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*+>)"
    r"|<!--(?s:.*?)-->"
    r"|<!\[CDATA\[(?P<data>(?s:.*?))\]\]>"
    r"|<\?(?s:.*?)\?>"
)


class Fragment(NamedTuple):
    """One child of a section, with its own text as it stands in the file."""

    name: str
    """Without its namespace."""
    element: Element
    raw: str
    line: int
    """Counted from 1."""
    offset: int
    """How many bytes stand before it."""


class Opened(NamedTuple):
    """A section begins; its children follow."""

    line: int


class Closed(NamedTuple):
    """The section ends."""


def fragments(source: Source, sections: frozenset[str]) -> Iterator[Opened | Fragment | Closed]:
    """Yield every child of the sections (elements of these local names), whole and in the order of the file.

    Raises StatementUnreadable for XML that is damaged, has a DOCTYPE, is in an unknown encoding, nests
    deeper than `DEEPEST` or has an element longer than `LONGEST_ELEMENT`. What was yielded before it is true.
    """
    text = _Text(source)
    depth = 0
    while markup := text.next_markup():
        text.pass_markup(markup)
        if markup["tag"] is None:
            continue
        depth += _deeper(markup)
        if depth > DEEPEST:
            raise text.refused("elements are nested too deeply")
        if not markup["end"] and local_name(markup["name"]) in sections:
            yield Opened(text.line)
            if _deeper(markup):
                yield from _children(text)
                depth -= 1
            yield Closed()


def _children(text: _Text) -> Iterator[Fragment]:
    """Yield the children of the section whose start tag was passed, and pass its end tag."""
    while True:
        if (fragment := text.take_frequent()) is not None:
            yield fragment
        elif (markup := text.next_markup()) is None:
            return
        elif markup["tag"] and not markup["end"]:
            yield text.take_element()
        else:
            text.pass_markup(markup)
            if markup["tag"]:
                return


class _Text:
    """A window that moves over the decoded file."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._encoding, mark = _encoding(source)
        self._blocks = self._checked_blocks(mark)
        self._shapes = Shapes()
        self._window = ""
        self._at = 0
        self._counted = 0
        """Up to where in the window `line` and `_offset` have counted."""
        self._offset = mark
        self.line = 1

    def next_markup(self) -> re.Match[str] | None:
        """Move to the next tag, comment, CDATA section or instruction; None at the end of the file."""
        while True:
            start = self._window.find("<", self._at)
            self._at = start if start >= 0 else len(self._window)
            markup = _MARKUP.match(self._window, self._at)
            if markup is not None or not self._read_more():
                self._count()
                return markup

    def pass_markup(self, markup: re.Match[str]) -> None:
        self._at = markup.end()

    def take_frequent(self) -> Fragment | None:
        """Take the next element, if it is within the window and of a shape that came often."""
        start = self._window.find("<", self._at)
        found = self._shapes.next_element(self._window, start) if start >= 0 else None
        if found is None:
            return None
        self._at = start
        self._count()
        return self._passed(*found)

    def take_element(self) -> Fragment:
        """Take the whole element whose start tag is next."""
        while (found := self._walked()) is None:
            if not self._read_more():
                raise self.refused("the file ends within an element")
        return self._passed(*found)

    def _passed(self, raw: str, element: Element) -> Fragment:
        self._at += len(raw)
        return Fragment(element.name, element, raw, self.line, self._offset)

    def refused(self, reason: str) -> StatementUnreadable:
        self._count()
        return damaged(self._source, reason, self.line)

    def _walked(self) -> tuple[str, Element] | None:
        """Walk from tag to tag to the end of an element; None where it is beyond the window."""
        tags: list[str] = []
        texts: list[str] = []
        pieces: list[str] = []
        end, depth = self._at, 0
        while (markup := self._markup_from(end)) is not None:
            pieces.append(resolved(self._window[end : markup.start()]))
            end = markup.end()
            if markup["tag"] is None:
                pieces.append(markup["data"] or "")
                continue
            texts.append("".join(pieces))
            tags.append(markup["tag"])
            pieces.clear()
            depth += _deeper(markup)
            if depth > DEEPEST:
                raise self.refused("elements are nested too deeply")
            if depth == 0:
                element = self._shapes.element(tags, [*texts[1:], ""])
                if element is None:
                    raise self.refused("start and end tags do not match")
                return self._window[self._at : end], element
        return None

    def _markup_from(self, position: int) -> re.Match[str] | None:
        start = self._window.find("<", position)
        return _MARKUP.match(self._window, start) if start >= 0 else None

    def _read_more(self) -> bool:
        """Read at least as much as is waiting, so that looking at it again costs no more than reading it."""
        self._count()
        waiting = len(self._window) - self._at
        if waiting > LONGEST_ELEMENT:
            raise StatementUnreadable(
                "An element is longer than {longest} characters, so this is not a statement.",
                source=self._source.name,
                line=self.line,
                longest=LONGEST_ELEMENT,
            )
        parts = [self._window[self._at :]]
        length = 0
        while length <= waiting and (block := next(self._blocks, "")):
            parts.append(block)
            length += len(block)
        self._window = "".join(parts)
        self._at = self._counted = 0
        return length > 0

    def _count(self) -> None:
        passed = self._window[self._counted : self._at]
        self._counted = self._at
        self.line += passed.count("\n")
        is_plain = passed.isascii() and not self._encoding.startswith("utf-16")
        self._offset += len(passed if is_plain else passed.encode(self._encoding, "replace"))

    def _checked_blocks(self, mark: int) -> Iterator[str]:
        """Yield the decoded blocks that expat has found well-formed so far."""
        decoder = codecs.getincrementaldecoder(self._encoding)()
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        try:
            skipped = mark
            for block in self._source.blocks():
                text = decoder.decode(block[skipped:])
                skipped = 0
                parser.Parse(text)
                if text:
                    yield text
            decoder.decode(b"", final=True)
            parser.Parse("", True)
        except UnicodeDecodeError as error:
            raise self._undecodable(error) from None
        except expat.ExpatError as error:
            raise damaged(self._source, expat.ErrorString(error.code), error.lineno) from None

    def _undecodable(self, error: UnicodeDecodeError) -> StatementUnreadable:
        before = self._window.count("\n", self._counted) + error.object.count(b"\n", 0, error.start)
        reason = f"its text is not in the encoding {self._encoding}"
        return damaged(self._source, reason, self.line + before)

    def _refuse_doctype(self, *_: object) -> None:
        raise refused_doctype(self._source)


def _encoding(source: Source) -> tuple[str, int]:
    """Return the encoding, and how many bytes its mark takes; the mark counts more than the declaration.

    Raises StatementUnreadable for an encoding that nobody knows.
    """
    head = source.head
    marked = encoding_by_mark(head)
    if marked:
        return marked, 3 if marked == "utf-8" else 2
    if head.startswith((b"<\0", b"\0<")):
        return ("utf-16-le" if head.startswith(b"<") else "utf-16-be"), 0
    declared = _DECLARED.match(head)
    name = declared[1].decode("ascii").lower() if declared else "utf-8"
    if name.startswith(("utf-16", "utf16")):
        # The declaration itself is not written in it: a program named its own text's and saved in another.
        return "utf-8", 0
    try:
        if _ENCODING.fullmatch(name):
            return codecs.lookup(name).name, 0
    except LookupError:
        pass
    raise damaged(source, f"its encoding {name} is not known", 1)


def _deeper(markup: re.Match[str]) -> int:
    """Return by how much a tag changes the depth."""
    if markup["end"]:
        return -1
    return 0 if markup["tag"].endswith("/>") else 1
