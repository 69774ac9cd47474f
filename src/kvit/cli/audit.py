"""`kvit audit`: was anything changed past Kvit, and did anybody touch the record of the changes?"""

from __future__ import annotations

import argparse

from django.utils import timezone

from kvit.audit import sealing
from kvit.audit.verifying import MOST_FAULTS, Report
from kvit.audit.verifying import verify as verify_audit
from kvit.cli.tables import counted, table


def verify(options: argparse.Namespace) -> int:
    """Compare every followed row with the audit, and the audit with its seals; exit 1 where one differs."""
    report = verify_audit(options.head or "")
    for line in table(_tables(report)):
        print(line)
    print()
    print(_chain(report.chain))
    print()
    for fault in report.faults:
        print(fault)
    if report.fault_count > len(report.faults):
        print(f"… and {report.fault_count - MOST_FAULTS} more.")
    print(_verdict(report, options.head))
    return 1 if report.fault_count else 0


def seal(_options: argparse.Namespace) -> int:
    """Seal every entry that waits for it and print the head."""
    total = 0
    while sealed := sealing.seal(timezone.now()):
        total += sealed
    head = sealing.head()
    print(f"{counted(total, 'entry is', 'entries are')} sealed now.")
    print(f"The head is {head}." if head else "The audit has no entries yet.")
    return 0


def _tables(report: Report) -> list[tuple[str, ...]]:
    lines = [(one.table, str(one.rows), str(one.entries)) for one in report.checked]
    return [("table", "rows", "audit entries"), *lines]


def _chain(chain: sealing.Chain) -> str:
    if not chain.head:
        return f"No entry is sealed yet; {chain.unsealed} wait for it."
    sealed = counted(chain.sealed, "entry is", "entries are")
    return (
        f"{sealed} sealed by {counted(chain.seals, 'seal', 'seals')}, {chain.unsealed} wait for it.\n"
        f"The head is {chain.head}.\n"
        "Keep it outside this database: given with --head, it shows later that nothing before it was changed."
    )


def _verdict(report: Report, head: str | None) -> str:
    if report.fault_count:
        return f"\n{counted(report.fault_count, 'thing is', 'things are')} not as the audit says."
    if head:
        return "Every row is as the audit says, and the audit goes on from that head."
    return "Every row is as the audit says."
