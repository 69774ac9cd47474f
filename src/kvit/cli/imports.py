"""`kvit import`: statement files in the foreground, or only a look at what they would bring."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from kvit.audit.recording import COMMAND
from kvit.cli.organizations import the_only
from kvit.cli.runs import carry_out, report
from kvit.cli.statements import hints_of
from kvit.cli.tables import shown, table
from kvit.kernel.errors import Refused
from kvit.plugin import SourceFile
from kvit.sync import connections, imports
from kvit.sync.imports import FileLook, StatementLook
from kvit.sync.models import SyncHistory
from kvit.users.models import Organization

NEEDS: Final = {
    "account": "Say whose account it is with --account.",
    "currency": "Say its currency with --currency.",
    "profile": "Say what its columns are with --profile, or import it in the browser.",
}
HEADING: Final = (
    "file",
    "account",
    "number",
    "from",
    "to",
    "income",
    "expense",
    "balances",
    "new",
    "doubtful",
    "known",
    "conflicting",
)


def import_files(options: argparse.Namespace) -> int:
    """Import statement files as one run and wait until that ends, or print what they would bring."""
    organization = the_only(options.organization)
    handed = imports.with_profiles(organization, _read(options, organization))
    if options.preview:
        return _print_looks(imports.preview(organization, handed))
    connection = connections.statement_connection(organization, actor=COMMAND)
    run = carry_out(
        connections.request_run(connection, SyncHistory.Trigger.IMPORT, actor=COMMAND, handed=handed)
    )
    for line in run.log:
        print(shown(line["text"]))
    return report(run)


def _read(options: argparse.Namespace, organization: Organization) -> Sequence[SourceFile]:
    """Read the files. Raises Refused for one that cannot be opened, also of the profile."""
    paths: Sequence[Path] = options.files
    path = Path(options.profile)
    try:
        said = hints_of(options)
        saved = imports.profiles_of(organization).filter(name=said.profile).first()
        handed = []
        for path in paths:
            handed.append(
                SourceFile(
                    name=path.name,
                    data=path.read_bytes(),
                    account=said.account,
                    currency=said.currency,
                    profile=said.profile if saved is None else saved.toml,
                )
            )
    except OSError as error:
        raise Refused("{path} cannot be opened: {reason}.", path=path, reason=error.strerror) from None
    return handed


def _print_looks(looks: Sequence[FileLook]) -> int:
    """Print a table of all statements, then what stands in the way or is in doubt; 1 where anything does."""
    rows = [list(_cells(look, one)) for look in looks for one in look.statements]
    if rows:
        print(*table([HEADING, *rows]), sep="\n")
    for look in looks:
        for line in _remarks(look):
            print(shown(f"{look.file.name}: {line}"))
    return 0 if all(look.is_ready for look in looks) else 1


def _cells(look: FileLook, one: StatementLook) -> Iterator[str]:
    name = look.file.name if one.file in ("", look.file.name) else f"{look.file.name}/{one.file}"
    yield from map(shown, (name, f"{one.account} {one.currency}", one.number))
    yield from (str(day or "") for day in (one.from_date, one.to_date))
    yield from (str(amount.amount) for amount in (one.income, one.expense))
    yield {True: "agree", False: "differ", None: ""}[one.balances_agree]
    certain = one.new - one.possible_duplicates
    yield from map(str, (certain, one.possible_duplicates, one.known, one.conflicting))


def _remarks(look: FileLook) -> Iterator[str]:
    if look.error:
        yield look.error
    for need in sorted(look.needs):
        yield NEEDS[need]
    for problem in look.left_out:
        line = "" if problem.line is None else f"line {problem.line}: "
        yield f"left out: {line}{problem.message}"
    for problem in look.warnings:
        yield problem.message
