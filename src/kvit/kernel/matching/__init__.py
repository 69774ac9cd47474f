"""Which document a payment pays: only what has one reading is settled, the rest waits with its reasons."""

from kvit.kernel.matching.decide import EARLIEST, VETOES, decide
from kvit.kernel.matching.index import Index
from kvit.kernel.matching.spans import located
from kvit.kernel.matching.stream import Decided, Stream, walk
from kvit.kernel.matching.transfers import Movement, returned, transfers
from kvit.kernel.matching.values import (
    Candidate,
    Check,
    Invoice,
    Line,
    Payment,
    Port,
    Provenance,
    Reason,
    Span,
    Tier,
    Verdict,
    Veto,
)

__all__ = [
    "EARLIEST",
    "VETOES",
    "Candidate",
    "Check",
    "Decided",
    "Index",
    "Invoice",
    "Line",
    "Movement",
    "Payment",
    "Port",
    "Provenance",
    "Reason",
    "Span",
    "Stream",
    "Tier",
    "Verdict",
    "Veto",
    "decide",
    "located",
    "returned",
    "transfers",
    "walk",
]
