"""Payout reports of card and payment gateways: from a provider's CSV to what each payout is made of.

A profile says what the columns of a provider's report are; it is recognised by its header. The plainest one
is Kvit's own, for whoever has another provider: `payout;paid_on;reference;gross;fee;currency`, and `account`
where the account that the provider pays from is known. Rows of one `payout` belong together. A row is a sale,
a refund (`gross` below zero) or a cost of the payout as a whole (`gross` 0 and no `reference`).
"""

from __future__ import annotations

from datetime import date

from kvit.kernel.matching.payouts import Payout
from kvit.kernel.payout_reports.grouping import payouts_of
from kvit.kernel.payout_reports.profile import PROFILES, Profile
from kvit.kernel.payout_reports.rows import Told, rows_of
from kvit.kernel.payout_reports.table import open_table, recognised
from kvit.kernel.statements.source import Source


def read(
    data: bytes, *, source: str = "", currency: str = "", paid_on: date | None = None
) -> tuple[Payout, ...]:
    """Return the payouts of a report, in the order of the file; at least one.

    `source` is the file's name. `currency` (ISO 4217) and `paid_on` count only where the report does not say
    them. What was not paid out yet is left out: the next report holds it. `net_minor` is what the report says
    was paid out, else the sum of its lines; `settle_payout` compares the two. A cost of the whole payout is a
    line of gross 0 without a reference.

    Raises UnknownFormat where no profile fits, and StatementUnreadable with source, line and field where
    something that money depends on cannot be read or contradicts itself; `field` is `currency` or `paid_on`
    without a line where these must be told.
    """
    table = open_table(Source(data, source))
    return payouts_of(table, rows_of(table, Told(currency, paid_on)))


def recognise(data: bytes, *, source: str = "") -> Profile:
    """Return the profile that a report is read by; raises UnknownFormat where none fits."""
    return recognised(Source(data, source))[0]


__all__ = ["PROFILES", "Profile", "read", "recognise"]
