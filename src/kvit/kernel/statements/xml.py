"""XML that a stranger sent: read while it streams by, without DTDs, entities, network or large trees."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import BinaryIO, Final, cast

from lxml import etree

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.statements.source import Source

LONGEST_ELEMENT: Final = 32 << 20
"""Bytes from one element that is read to the next."""

_XML: Final = re.compile(rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?\s*<")
_DOCTYPE: Final = re.compile(
    rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?(?>\s+|<\?.*?\?>|<!--.*?-->)*+<!DOCTYPE", re.DOTALL
)
_ROOT: Final = re.compile(
    rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?(?>\s+|<\?.*?\?>|<!--.*?-->)*+<(?:[\w.-]+:)?([\w.-]+)", re.DOTALL
)


def is_xml(head: bytes) -> bool:
    return _XML.match(head) is not None


def root_of(head: bytes) -> str:
    """Return the local name of the outermost element, where the head of the file reaches it."""
    root = _ROOT.match(head.replace(b"\0", b"") if b"\0" in head else head)
    return root[1].decode("ascii", "replace") if root else ""


def elements(source: Source, names: Sequence[str]) -> Iterator[etree._Element]:
    """Yield each element of these local names when its end tag has been read, and free it afterwards.

    Raises StatementUnreadable for XML that is damaged, has a DOCTYPE or goes on without such an element.
    """
    require_no_doctype(source)
    file = _Watched(source)
    events = etree.iterparse(
        cast("BinaryIO", file),
        events=("end",),
        tag=tuple(f"{{*}}{name}" for name in names),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    read_before = None
    try:
        for _, element in events:
            if read_before is None and element.getroottree().docinfo.internalDTD is not None:
                raise refused_doctype(source)
            file.read_since = 0
            yield element
            element.clear()
            # The parser may still hold on to the current element, so it is taken out one step later.
            _detach(read_before)
            read_before = element
    except etree.XMLSyntaxError as error:
        raise damaged(source, error.msg, error.lineno) from None


class _Watched:
    """The file while the parser reads it, which keeps what stands between two elements in memory."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._stream = source.open()
        self.read_since = 0
        """How many bytes were read since the last element."""

    def read(self, size: int) -> bytes:
        block = self._stream.read(size)
        self.read_since += len(block)
        if self.read_since > LONGEST_ELEMENT:
            raise damaged(self._source, "there is no end to an element", None)
        return block


def require_no_doctype(source: Source) -> None:
    """Raise StatementUnreadable where the file begins with a DOCTYPE."""
    head = source.head
    if _DOCTYPE.match(head.replace(b"\0", b"") if b"\0" in head else head):
        raise refused_doctype(source)


def refused_doctype(source: Source) -> StatementUnreadable:
    """A statement needs no DOCTYPE, and its entities can be made to fill the memory."""
    return StatementUnreadable(
        "The XML has a DOCTYPE, which no statement has; it was not read.", source=source.name, field="DOCTYPE"
    )


def damaged(source: Source, reason: str | None, line: int | None) -> StatementUnreadable:
    return StatementUnreadable(
        "The XML is damaged: {reason}. Export the statement from the bank again.",
        source=source.name,
        line=line,
        reason=reason,
    )


@lru_cache(maxsize=512)
def local(tag: str) -> str:
    """Return a tag without its namespace."""
    return tag.rpartition("}")[2]


def child(element: etree._Element | None, name: str) -> etree._Element | None:
    """Return the first child of a local name."""
    if element is not None:
        for each in element:
            if local(each.tag) == name:
                return each
    return None


def children(element: etree._Element, name: str) -> list[etree._Element]:
    return [each for each in element if local(each.tag) == name]


def text(element: etree._Element | None, *path: str) -> str:
    """Return the text of the element at the end of a path of local names, without outer blanks."""
    for name in path:
        element = child(element, name)
    if element is None:
        return ""
    return (element.text or "").strip()


def line_of(element: etree._Element) -> int | None:
    return cast("int | None", element.sourceline)


def _detach(element: etree._Element | None) -> None:
    parent = None if element is None else element.getparent()
    if element is not None and parent is not None:
        parent.remove(element)
