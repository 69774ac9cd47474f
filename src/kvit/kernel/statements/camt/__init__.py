"""camt.052, camt.053 and camt.054: reports, statements and notifications of ISO 20022, in any version.

Elements are known by their local names, so versions and banks differ only where this package says so. Each
entry is read and forgotten while the XML streams by.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kvit.kernel.statements import xml
from kvit.kernel.statements.balances import Balances
from kvit.kernel.statements.camt.sections import SectionReader
from kvit.kernel.statements.source import Source
from kvit.kernel.statements.values import Detection, Hints, Part, Problem, Statement, StatementEnd

_FORMATS: Final = {
    "BkToCstmrStmt": "camt.053",
    "BkToCstmrAcctRpt": "camt.052",
    "BkToCstmrDbtCdtNtfctn": "camt.054",
}
_HEAD_BYTES: Final = 16_384
_MESSAGE: Final = re.compile(
    rb"<(?:[\w.-]{1,40}:)?(BkToCstmrStmt|BkToCstmrAcctRpt|BkToCstmrDbtCdtNtfctn)[\s/>]"
)
_REVERSAL: Final = re.compile(rb"RvslInd[^<>]*>\s*(?:true|1)")
_OVERLAP_BYTES: Final = 128


def detect(head: bytes) -> Detection | None:
    """Know camt.052, camt.053 and camt.054 by their message element."""
    head = head[:_HEAD_BYTES].replace(b"\0", b"")
    message = _MESSAGE.search(head) if xml.is_xml(head) else None
    return Detection(format=_FORMATS[message[1].decode("ascii")]) if message else None


def read(source: Source, _hints: Hints) -> Iterator[Part]:
    """Yield the statements of a camt message.

    Raises StatementUnreadable for XML that is damaged, has a DOCTYPE or holds no statement.
    """
    turned = _statements_to_turn(source) if _has_reversal(source) else frozenset()
    return SectionReader(source, turned).parts()


def _has_reversal(source: Source) -> bool:
    """Whether any entry may be marked as a reversal (`RvslInd`)."""
    before = b""
    for block in source.blocks():
        text = before + (block.replace(b"\0", b"") if b"\0" in block else block)
        if _REVERSAL.search(text):
            return True
        before = text[-_OVERLAP_BYTES:]
    return False


def _statements_to_turn(source: Source) -> frozenset[int]:
    """Find the statements, by their number, whose balances agree only with the signs of reversals turned.

    CdtDbtInd says how the money moved, but some German banks leave the mark of the reversed entry
    (OCA/bank-statement-import issue 375), so the balances decide.
    """
    as_marked = _agreeing(SectionReader(source).parts())
    if all(as_marked):
        return frozenset()
    turned = _agreeing(SectionReader(source, frozenset(range(len(as_marked)))).parts())
    return frozenset(
        number
        for number, (agreed, agrees) in enumerate(zip(as_marked, turned, strict=True))
        if agrees and not agreed
    )


def _agreeing(parts: Iterator[Part]) -> list[bool]:
    """Say of each statement whether every entry could be read and the balances agree with them."""
    agreeing: list[bool] = []
    balances = Balances()
    for part in parts:
        if isinstance(part, Statement):
            balances = Balances(part)
            agreeing.append(True)
        elif isinstance(part, list):
            balances.add(part)
        elif isinstance(part, Problem):
            agreeing[-1] = agreeing[-1] and not part.is_error
        elif isinstance(part, StatementEnd):
            balances.end(part)
            agreeing[-1] = agreeing[-1] and not list(balances.doubts())
    return agreeing
