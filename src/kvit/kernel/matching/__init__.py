"""Which invoice a payment pays: only what has one reading is settled, the rest waits with its reason."""

from kvit.kernel.matching.decide import decide
from kvit.kernel.matching.index import Index
from kvit.kernel.matching.values import (
    Candidate,
    Invoice,
    Payment,
    Port,
    Reason,
    Settle,
    Verdict,
)

__all__ = ["Candidate", "Index", "Invoice", "Payment", "Port", "Reason", "Settle", "Verdict", "decide"]
