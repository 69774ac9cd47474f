"""OFX, also called QFX: the statements of accounts and cards, as SGML (version 1) or as XML (version 2).

Both are read by one reader of tags, because banks write every mixture of the two: end tags left out, headers
on one line or none (Fio), XML heads above SGML. Rules and names are of the OFX specification 2.2, sections 3
and 11.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.statements import xml
from kvit.kernel.statements.ofx.header import Header
from kvit.kernel.statements.ofx.reading import Reading
from kvit.kernel.statements.ofx.text import chunks
from kvit.kernel.statements.source import Source
from kvit.kernel.statements.values import Detection, Hints, Part

_SGML: Final = "ofx1"
_XML: Final = "ofx2"
_HEADER: Final = re.compile(rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?\s{0,1000}+OFXHEADER")
_ROOTS: Final = frozenset({"OFX", "OFC", "START"})
_OFX: Final = re.compile(rb"<(?:[\w-]+:)?OF[XC][\s>/]", re.IGNORECASE)
_DOCTYPE: Final = re.compile(rb"<!DOCTYPE\s{1,20}+OFX", re.IGNORECASE)
_FORBIDDEN: Final = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


def detect(head: bytes) -> Detection | None:
    """Know OFX by its header or, without one, by its outermost tag."""
    head = head.replace(b"\0", b"")
    if _HEADER.match(head):
        return Detection(format=_SGML)
    if not _DOCTYPE.search(head) and (xml.root_of(head).upper() not in _ROOTS or not _OFX.search(head)):
        return None
    is_xml = b"<?OFX" in head or head.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").startswith(b"<?xml")
    return Detection(format=_XML if is_xml else _SGML)


def read(source: Source, hints: Hints) -> Iterator[Part]:
    """Yield each account's statement, its movements and its closing balance.

    Raises StatementUnreadable for a DOCTYPE, for OFC (OFX's predecessor) and for a movement without an end.
    """
    _require_safe(source)
    header = Header.of(source)
    yield from header.doubts()
    reading = Reading(header, hints)
    for chunk in chunks(source, header):
        yield from reading.read(chunk)
    yield from reading.end()


def _require_safe(source: Source) -> None:
    head = source.head.replace(b"\0", b"")
    begin = _OFX.search(head)
    if _FORBIDDEN.search(head, 0, begin.start() if begin else len(head)):
        raise xml.refused_doctype(source)
    if begin and b"OFC" in begin[0].upper():
        raise StatementUnreadable(
            "This is OFC, which OFX replaced in 1997. Export the statement as OFX.",
            source=source.name,
            line=head.count(b"\n", 0, begin.start()) + 1,
            field="OFC",
        )
