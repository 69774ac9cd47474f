"""`kvit match`: look again which movements pay which invoices."""

from __future__ import annotations

import argparse

from kvit.audit.recording import COMMAND
from kvit.cli.organizations import all_or
from kvit.matching.reconcile import reconcile


def match(options: argparse.Namespace) -> int:
    """Reconcile one organization or all of them and print what came of it."""
    for organization in all_or(options.organization):
        done = reconcile(organization, actor=COMMAND)
        print(f"{organization}: settled {done.settled}, waiting {done.waiting}")
    return 0
