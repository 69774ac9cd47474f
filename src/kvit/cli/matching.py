"""`kvit match`: look again which movements pay which invoices, or take back what a run decided."""

from __future__ import annotations

import argparse
from typing import Final

from kvit.audit.recording import COMMAND
from kvit.cli.organizations import all_or
from kvit.kernel.errors import Refused
from kvit.matching import attention, review
from kvit.matching.models import MatchingRun
from kvit.matching.reconcile import reconcile
from kvit.users.models import Organization

_SOME_REFUSED: Final = 1


def match(options: argparse.Namespace) -> int:
    """Reconcile one organization or all of them and print what came of it, or undo a run."""
    organizations = all_or(options.organization)
    if options.undo_run is not None:
        return _undo(organizations, options.undo_run)
    for organization in organizations:
        if options.again:
            attention.everything(organization)
        done = reconcile(organization, actor=COMMAND)
        print(f"{organization}: settled {done.settled}, waiting {done.waiting}")
    return 0


def _undo(organizations: list[Organization], number: int) -> int:
    """Undo a run and name what could not be undone. Raises Refused where there is no such run."""
    runs = MatchingRun.objects.filter(organization__in=organizations).select_related("organization")
    run = runs.filter(pk=number).first()
    if run is None:
        raise Refused("There is no matching run {number}.", number=number)
    handled = review.undo_run(run, actor=COMMAND)
    print(f"{run.organization}: undone {handled.count}, refused {len(handled.refused)}")
    for decision, refusal in handled.refused:
        print(f"  {decision.transaction}: {refusal}")
    return _SOME_REFUSED if handled.refused else 0
