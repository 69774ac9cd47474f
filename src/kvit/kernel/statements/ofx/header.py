"""What stands above `<OFX>`: how the text is encoded, and how far the header keeps to the specification."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kvit.kernel.statements.source import Source, encoding_by_mark
from kvit.kernel.statements.values import Problem

_BEGIN: Final = re.compile(r"<(?:[\w-]+:)?OFX[\s>/]", re.IGNORECASE)
_CHARSET: Final = re.compile(r"CHARSET:\s{0,10}([A-Z0-9-]{1,20}?)(?=COMPRESSION|[^A-Z0-9-]|$)", re.IGNORECASE)
_ENCODING: Final = re.compile(
    r"ENCODING(?::|=[\"'])\s{0,10}([A-Z0-9-]{1,20}?)(?=CHARSET|[^A-Z0-9-]|$)", re.IGNORECASE
)
_ON_ONE_LINE: Final = re.compile(r"OFXHEADER:[0-9]{1,5}[^\r\n]{0,200}?DATA:")
_CENTRAL_EUROPE: Final = re.compile(
    r"<LANGUAGE>\s{0,10}(?:CES|CZE|SLK|SLO|POL|HUN|HRV|SLV|RON|RUM)|<CURDEF>\s{0,10}(?:CZK|PLN|HUF|RON)"
)
_CODE_PAGE: Final = re.compile(r"(?:WINDOWS-?|CP)?125([0-8])")
_ISO_8859: Final = re.compile(r"(?:ISO-?)?8859-([2-9]|1[0134-6])")
_WESTERN: Final = "cp1252"
_CENTRAL_EUROPEAN: Final = "cp1250"
_MARKS: Final = "ï»¿ÿþ"
"""Byte order marks as latin-1 shows them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a file says of itself before its first tag."""

    text: str
    """Everything before `<OFX>`, or the whole head of the file where it has no such tag."""
    encoding: str
    """How the text is really encoded."""
    declared: str
    """The character encoding it claims, in capitals: `USASCII`, `UTF-8`."""
    has_small_tags: bool
    """Whether the tags are not plain capitals: `<ofx>`, `<ns:OFX>`."""

    @classmethod
    def of(cls, source: Source) -> Header:
        """Read the header; the encoding is UTF-8 where the whole text is, else the one that is declared."""
        head = source.head.decode("latin-1").replace("\0", "")
        begin = _BEGIN.search(head)
        text = head[: begin.start()] if begin else head
        declared = _ENCODING.search(text)
        return cls(
            text=text,
            encoding=_utf_16(source.head) or source.encoding(_legacy(text, head)),
            declared=declared[1].upper() if declared else "",
            has_small_tags=begin is not None and not begin[0].startswith("<OFX"),
        )

    @property
    def is_absent(self) -> bool:
        return not self.text.strip(_MARKS).strip()

    @property
    def is_sgml(self) -> bool:
        return "OFXHEADER:" in self.text

    @property
    def claims_ascii(self) -> bool:
        return self.declared in {"USASCII", "US-ASCII", "ASCII"}

    def doubts(self) -> Iterator[Problem]:
        """Yield a warning for each way in which the header is not what the specification asks for."""
        if not self.is_sgml:
            return
        place = self.text.find("OFXHEADER:")
        line = self.text.count("\n", 0, place) + 1
        if self.text[:place].strip(_MARKS):
            yield _doubt("The header does not begin the file; it was read all the same.", line)
        if _ON_ONE_LINE.search(self.text):
            yield _doubt("The header stands on one line; it was read all the same.", line)
        charset = _CHARSET.search(self.text)
        if charset and charset[1].upper() == "NONE" and self.claims_ascii:
            yield _doubt(
                f"The header names no character set; the text was read as {self.encoding}.",
                self.text.count("\n", 0, charset.start()) + 1,
                "CHARSET",
            )


def _doubt(message: str, line: int, field: str = "OFXHEADER") -> Problem:
    return Problem(message=message, line=line, field=field)


def _utf_16(head: bytes) -> str:
    """Return the kind of UTF-16 that a text without a mark shows by its null bytes, else nothing."""
    if encoding_by_mark(head):
        return ""
    if b"<\0O\0F\0X\0" in head:
        return "utf-16-le"
    return "utf-16-be" if b"\0<\0O\0F\0X" in head else ""


def _legacy(header: str, head: str) -> str:
    """Return the code page of a text that is not UTF-8.

    Programs of Central European banks leave the 1252 of the specification's example in the header and write
    1250.
    """
    declared = _CHARSET.search(header) or _ENCODING.search(header)
    name = declared[1].upper() if declared else ""
    if (code_page := _CODE_PAGE.fullmatch(name)) and code_page[1] != "2":
        return f"cp125{code_page[1]}"
    if iso := _ISO_8859.fullmatch(name):
        return f"iso8859_{iso[1]}"
    return _CENTRAL_EUROPEAN if _CENTRAL_EUROPE.search(head) else _WESTERN
