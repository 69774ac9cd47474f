"""Texts as a file can hold them, whatever a bank or a payer wrote."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final
from xml.sax.saxutils import escape

_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML 1.0 has no way to write (section 2.2, `Char`), and half characters, which UTF-8 has not."""
_LINE_ENDS: Final = re.compile(r"[\t\r\n]")


def writable(text: str) -> str:
    """Return the text on one line, with U+FFFD for each character that files of text cannot hold."""
    return _FORBIDDEN.sub("\ufffd", _LINE_ENDS.sub(" ", text))


def element(name: str, text: str, attributes: str = "") -> str:
    """Write an XML element; nothing for an empty text."""
    return f"<{name}{attributes}>{escape(writable(text))}</{name}>" if text else ""


def amount(minor: int) -> str:
    """Write hundredths with two decimals."""
    return str(Decimal(minor).scaleb(-2))
