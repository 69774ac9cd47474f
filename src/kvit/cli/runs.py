"""`kvit sync` and `kvit run …`: runs in the foreground, and what is done with them."""

from __future__ import annotations

import argparse
import signal
from contextlib import suppress
from datetime import timedelta
from typing import Final

from django.db import connection as database

from kvit import tasks
from kvit.audit.recording import COMMAND
from kvit.cli.connections import named
from kvit.cli.organizations import the_only
from kvit.cli.tables import table
from kvit.kernel.errors import KvitError, LeaseLost, Refused
from kvit.sync import connections, queue, runs, workers
from kvit.sync.models import SyncHistory

PATIENCE: Final = timedelta(hours=1)
"""A person at a terminal waits for the bank's interval and presses Ctrl-C when it takes too long."""

COUNTS: Final = ("fetched", "created", "updated", "unchanged", "conflicting", "quarantined")


class RunFailed(KvitError):
    """The run failed."""


def sync(options: argparse.Namespace) -> int:
    """Fetch what is new on a connection and wait until the attempt ends."""
    connection = named(the_only(options.organization), options.name)
    run = carry_out(connections.request_run(connection, SyncHistory.Trigger.MANUAL, actor=COMMAND))
    return report(run)


def show(options: argparse.Namespace) -> int:
    """Print the last runs of a connection, the newest first."""
    connection = named(the_only(options.organization), options.name)
    lines = [["run", "queued (UTC)", "trigger", "status", *COUNTS]]
    lines += [
        [str(run.pk), f"{run.created_at:%Y-%m-%d %H:%M}", run.trigger, run.status, *map(str, _counted(run))]
        for run in connection.runs.all()[: options.count]
    ]
    print(*table(lines), sep="\n")
    return 0


def cancel(options: argparse.Namespace) -> int:
    """Ask an active run to end."""
    runs.request_cancel(_numbered(options.run), actor=COMMAND)
    print("The sync ends; what it has read is kept.")
    return 0


def replay(options: argparse.Namespace) -> int:
    """Read the recorded answers of a run again and wait until that ends."""
    return report(carry_out(runs.request_replay(_numbered(options.run), actor=COMMAND)))


def revert(options: argparse.Namespace) -> int:
    """Take back everything that a run brought and changed."""
    reverted = runs.revert(_numbered(options.run), actor=COMMAND)
    print(f"withdrawn {reverted.withdrawn}, restored {reverted.restored}")
    return 0


def carry_out(run: SyncHistory) -> SyncHistory:
    """Carry the run to its end in this process; Ctrl-C and SIGTERM give it back to the workers."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return tasks.run_to_the_end(run, patience=PATIENCE)
    except KeyboardInterrupt:
        _give_back(run)
        raise


def report(run: SyncHistory) -> int:
    """Print the counts of a run. Raises RunFailed with its error in words."""
    print(", ".join(f"{name} {count}" for name, count in zip(COUNTS, _counted(run), strict=True)))
    if run.not_before is not None and run.is_active:
        reason = KvitError(run.error_message, **run.error_params)
        print(f"Put back until {run.not_before:%Y-%m-%d %H:%M} UTC: {reason}")
    if run.status == SyncHistory.Status.FAILED:
        raise RunFailed(run.error_message, **run.error_params)
    return 0


def _counted(run: SyncHistory) -> tuple[int, ...]:
    return tuple(getattr(run, name) for name in COUNTS)


def _numbered(number: int) -> SyncHistory:
    """Return the run of that number. Raises Refused where there is none."""
    run = SyncHistory.objects.select_related("connection", "organization").filter(pk=number).first()
    if run is None:
        raise Refused("There is no run {number}. “kvit run list NAME” lists them.", number=number)
    return run


def _give_back(run: SyncHistory) -> None:
    """Put the run back where this process holds it; whoever else has it is left alone.

    It is told on a new connection to the database: Ctrl-C may have come in the middle of a statement.
    """
    database.close()
    held = SyncHistory.objects.filter(
        pk=run.pk, status=SyncHistory.Status.RUNNING, worker=workers.worker_name()
    ).first()
    if held is not None:
        with suppress(LeaseLost):
            queue.Claim(held).give_back()
