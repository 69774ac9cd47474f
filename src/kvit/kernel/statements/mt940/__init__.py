"""MT940 and MT942: the statement and the interim report of SWIFT, in the dialects of many banks.

    :20:  reference of the message          :25:  account
    :28C: number/page                       :13D: when an interim report was made
    :60F: opening balance, :60M: of a page  :34F: floor limit of an interim report, which tells the currency
    :61:  movement                          :86:  information to the owner, of the movement above or of all
    :62F: closing balance, :62M: of a page  :90D: :90C: count and sum of a report's debits and credits

Each page of a statement is a Statement with its own balances, and each can be checked by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kvit.kernel.statements.mt940.lines import fields
from kvit.kernel.statements.mt940.messages import Messages
from kvit.kernel.statements.source import Source
from kvit.kernel.statements.values import Detection, Hints, Part

FORMAT: Final = "mt940"

_FIELD = re.compile(rb"(?:^|[\r\n]|@@|\{4:):(20|25|28C?|60[FM]|61|62[FM]|86|34F|13D):(?=[^\r\n@])")
_PROOF: Final = frozenset({b"60F", b"60M", b"61", b"62F", b"62M", b"86", b"34F", b"13D"})
_HEAD: Final = frozenset({b"20", b"25"})
_BEGINNINGS: Final = (b":", b"{1:", b"@@:")
_UNLIKE: Final = (b"<", b"[", b'{"')
"""How XML and JSON begin; such a file may quote a statement."""


def detect(head: bytes) -> Detection | None:
    """Know a message by its fields, each on a line of its own."""
    beginning = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if beginning.startswith(_UNLIKE):
        return None
    found = frozenset(_FIELD.findall(head))
    is_message = beginning.startswith(_BEGINNINGS) or found & _HEAD
    return Detection(format=FORMAT) if is_message and found & _PROOF else None


def read(source: Source, hints: Hints) -> Iterator[Part]:
    """Yield each page of each statement with its movements.

    Raises StatementUnreadable for a field longer than any bank writes.
    """
    messages = Messages(hints)
    for each in fields(source):
        yield from messages.read(each)
    yield from messages.end()
