"""`kvit payout`: payout reports of gateways, imported and settled by the bank credit they belong to."""

from __future__ import annotations

import argparse
from pathlib import Path

from kvit.audit.recording import COMMAND
from kvit.cli.organizations import all_or, the_only
from kvit.cli.tables import shown, table
from kvit.kernel.errors import Refused
from kvit.kernel.matching import Reason
from kvit.kernel.matching.explain import sentence
from kvit.ledger.models import MoneyTransaction
from kvit.matching import payouts
from kvit.matching.payout_models import PayoutReport
from kvit.users.models import Organization


def import_report(options: argparse.Namespace) -> int:
    """Import a report and settle what can be; 1 where a payout of it is not settled whole."""
    organization = the_only(options.organization)
    path: Path = options.file
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Refused("{path} cannot be opened: {reason}.", path=path, reason=error.strerror) from None
    brought = payouts.import_file(
        organization,
        data,
        name=path.name,
        currency=options.currency or "",
        paid_on=options.paid_on,
        actor=COMMAND,
    )
    reports = [*brought.new, *brought.known]
    for report in brought.differing:
        print(shown(f"{report}: known already and told otherwise before; nothing is changed"))
    if options.transaction is not None and len(reports) != 1:
        raise Refused("--transaction fits a report of one payout; this one has {count}.", count=len(reports))
    row = _movement(organization, options.transaction)
    whole = [_settle(report, row, is_new=report in brought.new) for report in reports]
    return 0 if all(whole) and not brought.differing else 1


def list_reports(options: argparse.Namespace) -> int:
    """Print the imported payouts, the latest first."""
    rows = PayoutReport.objects.filter(organization__in=all_or(options.organization))
    heading = ("payout", "paid on", "net", "fee", "lines", "settled", "transaction")
    cells = []
    for report in rows.prefetch_related("lines"):
        is_applied = payouts.standing(report) is not None
        lines = [line for line in report.lines.all() if line.gross_minor]
        settled = sum(line.invoice_id is not None for line in lines) if is_applied else 0
        cells.append(
            [
                shown(str(report)),
                report.paid_on.isoformat(),
                str(report.net),
                str(report.fee),
                str(len(lines)),
                str(settled),
                str(report.transaction_id) if is_applied else "not applied",
            ]
        )
    if cells:
        print(*table([heading, *cells]), sep="\n")
    else:
        print("no payout yet")
    return 0


def _movement(organization: Organization, pk: int | None) -> MoneyTransaction | None:
    if pk is None:
        return None
    row = MoneyTransaction.objects.filter(organization=organization, pk=pk).first()
    if row is None:
        raise Refused("There is no transaction {number}.", number=pk)
    return row


def _settle(report: PayoutReport, row: MoneyTransaction | None, *, is_new: bool) -> bool:
    """Settle a report where its credit is known, print what came of it, and say whether nothing is left."""
    known = "" if is_new else "known already, "
    if payouts.standing(report) is None:
        row = row or payouts.find_credit(report)
        if row is None:
            print(shown(f"{report}: {known}not applied: no payment is surely this payout of {report.net}"))
            for each in payouts.possible_credits(report):
                said = f"  --transaction {each.pk}: {each.booked_on} {each.counterparty_name} {each.message}"
                print(shown(said.rstrip()))
            return False
    applied = payouts.apply(report, row, actor=COMMAND)
    print(shown(f"{report}: {known}settled {applied.settled}, left {applied.left}"))
    for line in report.lines.all():
        if line.because:
            print(shown(f"  {sentence(Reason(line.because['code'], line.because['values']))}"))
    return not applied.left
