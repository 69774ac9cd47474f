"""The list of commands: what each is called, takes and needs; the code behind is imported when called."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import Enum, auto
from pathlib import Path
from typing import Final

type Arguments = Callable[[argparse.ArgumentParser], None]


class Needs(Enum):
    """What must be there before a command runs."""

    NOTHING = auto()
    SETTINGS = auto()
    """The environment is read and Django knows the models; the database may be empty or away."""
    MIGRATED = auto()
    """And the database has all tables."""
    KEYS = auto()
    """And no master key is missing: the command opens or seals secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of `kvit`."""

    words: str
    group: str
    summary: str
    target: str
    """`module:function`, called with the parsed options; it returns the exit code."""
    arguments: Arguments
    needs: Needs = Needs.MIGRATED
    logs: bool = False
    """Whether log events are written to stderr; a command in the foreground answers by itself."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """`NAME=VALUE` from the command line."""

    name: str
    value: str


def assignment(text: str) -> Assignment:
    """Read `NAME=VALUE`. Raises ArgumentTypeError, which never repeats the value."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError("write NAME=VALUE")
    return Assignment(name, value)


def credential(text: str) -> Assignment:
    """Read `NAME=@env:VARIABLE` or `NAME=@file:PATH`. Raises ArgumentTypeError, which repeats no secret."""
    found = assignment(text)
    if not found.value.startswith(("@env:", "@file:")):
        raise argparse.ArgumentTypeError(
            "a secret does not belong on the command line, where other users and the shell's history see it;"
            " write NAME=@env:VARIABLE or NAME=@file:PATH, or leave it out to be asked for it"
        )
    return found


def number_from(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers; both ends are allowed."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"write a whole number from {least} to {most}")
        return value

    return read


def digest(text: str) -> str:
    """Read the 64 digits of a seal's digest. Raises ArgumentTypeError."""
    found = text.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{64}", found):
        raise argparse.ArgumentTypeError("write all 64 digits of a head that “kvit audit verify” printed")
    return found


def currency_code(text: str) -> str:
    """Read three capital letters. Raises ArgumentTypeError."""
    if not re.fullmatch(r"[A-Z]{3}", text):
        raise argparse.ArgumentTypeError("write three capital letters, such as CZK")
    return text


def day(text: str) -> date:
    """Read a day as YYYY-MM-DD. Raises ArgumentTypeError."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("write a day as YYYY-MM-DD") from None


_port: Final = number_from(1, 65535)


def _organization(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--organization", metavar="NAME", help="which organization; needed only where there are several"
    )


def _only_organization(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--organization", metavar="NAME", help="only this one; else all of them")


def _none(parser: argparse.ArgumentParser) -> None:
    """The command takes no arguments."""


def _address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=8000, help="port to listen on (default: %(default)s)")


def _web(parser: argparse.ArgumentParser) -> None:
    _address(parser)
    parser.add_argument(
        "--workers",
        type=number_from(1, 64),
        help="web processes (default: 1 on SQLite, 2 on PostgreSQL)",
    )


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--serve", action="store_true", help="keep the pretend bank running and serve the app"
    )
    _address(parser)


def _user_add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("email", metavar="EMAIL")
    parser.add_argument(
        "--organization", metavar="NAME", required=True, help="made where there is none of that name"
    )
    parser.add_argument(
        "--role",
        choices=("owner", "accountant"),
        default="owner",
        help="an accountant only looks and exports",
    )
    parser.add_argument(
        "--password-stdin",
        action="store_true",
        help="read the password from standard input instead of asking twice",
    )


def _connection_add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plugin", metavar="PLUGIN", help="such as fio; “kvit doctor” lists them")
    parser.add_argument("--name", required=True, help="what to call the connection")
    parser.add_argument(
        "--setting",
        action="append",
        default=[],
        type=assignment,
        metavar="NAME=VALUE",
        help="may be repeated",
    )
    parser.add_argument(
        "--credential",
        action="append",
        default=[],
        type=credential,
        metavar="NAME=@env:VARIABLE",
        help="or NAME=@file:PATH; a required credential that is not given is asked for",
    )
    _organization(parser)


def _named_connection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the connection's name")
    _organization(parser)


def _schedule(parser: argparse.ArgumentParser) -> None:
    _named_connection(parser)
    parser.add_argument(
        "expression",
        metavar="EXPRESSION",
        help="five cron fields such as '0 6 * * 1-5', or quarter_hourly, hourly, four_hourly, working_days,"
        " daily, weekly, or default for the plugin's own schedule",
    )


def _numbered_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", type=number_from(1, 2**63 - 1), help="the run's number")


def _runs(parser: argparse.ArgumentParser) -> None:
    _named_connection(parser)
    parser.add_argument(
        "--count", type=number_from(1, 1000), default=20, help="how many (default: %(default)s)"
    )


def _import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path)
    parser.add_argument("--preview", action="store_true", help="only print what the files would bring")
    _statement_hints(parser)
    _organization(parser)


def _parse_statement(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        type=Path,
        help="a statement, a directory of them, or - for standard input",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object for each file")
    _statement_hints(parser)


def _convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="a statement, or - for standard input")
    parser.add_argument("--to", choices=("csv", "ofx", "json", "camt053"), required=True)
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=Path, help="the file to write (default: standard output)"
    )
    _statement_hints(parser)


def _statement_hints(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--profile",
        metavar="NAME",
        default="",
        help="how to read a CSV file: a profile's name or its .toml file",
    )
    parser.add_argument(
        "--account", metavar="NUMBER", default="", help="whose account it is, where the file does not say"
    )
    parser.add_argument(
        "--currency",
        metavar="CODE",
        type=currency_code,
        help="its currency, where the file does not say",
    )


def _match(parser: argparse.ArgumentParser) -> None:
    _only_organization(parser)
    act = parser.add_mutually_exclusive_group()
    act.add_argument(
        "--again", action="store_true", help="also find new candidates for everything that waits for a person"
    )
    act.add_argument(
        "--undo-run",
        metavar="NUMBER",
        type=number_from(1, 2**63 - 1),
        help="instead, take back all that a matching run decided by itself",
    )


def _payout_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path)
    parser.add_argument(
        "--transaction",
        metavar="ID",
        type=number_from(1, 2**63 - 1),
        help="the payment that the payout is, where it is not found by itself",
    )
    parser.add_argument(
        "--currency",
        metavar="CURRENCY",
        type=currency_code,
        help="where the report does not say it",
    )
    parser.add_argument(
        "--paid-on", metavar="DAY", type=day, help="YYYY-MM-DD, where the report does not say it"
    )
    _organization(parser)


def _match_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        metavar="DIR",
        type=Path,
        help="holds customers, accounts, invoices and transactions, as .jsonl",
    )


def _audit_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--head", type=digest, metavar="DIGEST", help="a head kept elsewhere; the chain must still hold it"
    )


def _transactions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jsonl", action="store_true", help="print one JSON object a line")
    _only_organization(parser)


COMMANDS: Final = (
    Command(
        words="serve",
        group="Run Kvit",
        summary="bring the database up to date, then run web and worker together",
        target="kvit.cli.serving:serve",
        arguments=_web,
        needs=Needs.SETTINGS,
        logs=True,
    ),
    Command(
        words="web",
        group="Run Kvit",
        summary="run only the web pages",
        target="kvit.cli.serving:web",
        arguments=_web,
        logs=True,
    ),
    Command(
        words="worker",
        group="Run Kvit",
        summary="run only the worker, which carries out syncs",
        target="kvit.cli.serving:work",
        arguments=_none,
        logs=True,
    ),
    Command(
        words="demo",
        group="Run Kvit",
        summary="try Kvit out: a year of invoices and a pretend bank that pays them",
        target="kvit.cli.demo:demo",
        arguments=_demo,
        needs=Needs.SETTINGS,
    ),
    Command(
        words="migrate",
        group="Set up",
        summary="bring the database up to date",
        target="kvit.cli.database:migrate",
        arguments=_none,
        needs=Needs.SETTINGS,
    ),
    Command(
        words="doctor",
        group="Set up",
        summary="check this installation and say what to do about what is wrong",
        target="kvit.cli.doctor:doctor",
        arguments=_none,
        needs=Needs.SETTINGS,
    ),
    Command(
        words="keys status",
        group="Set up",
        summary="list master and data keys, what they seal, and what to do next",
        target="kvit.cli.keys:status",
        arguments=_none,
    ),
    Command(
        words="keys rewrap",
        group="Set up",
        summary="wrap every data key with the first master key",
        target="kvit.cli.keys:rewrap",
        arguments=_none,
        needs=Needs.KEYS,
    ),
    Command(
        words="keys rotate",
        group="Set up",
        summary="seal every stored secret anew with a new data key",
        target="kvit.cli.keys:rotate",
        arguments=_only_organization,
        needs=Needs.KEYS,
    ),
    Command(
        words="user add",
        group="Set up",
        summary="add a person to an organization",
        target="kvit.cli.users:add",
        arguments=_user_add,
    ),
    Command(
        words="connection add",
        group="Banks",
        summary="connect a bank; the connection is tested before it is kept",
        target="kvit.cli.connections:add",
        arguments=_connection_add,
        needs=Needs.KEYS,
    ),
    Command(
        words="connection list",
        group="Banks",
        summary="list the connections",
        target="kvit.cli.connections:show",
        arguments=_only_organization,
    ),
    Command(
        words="connection check",
        group="Banks",
        summary="test a connection",
        target="kvit.cli.connections:check",
        arguments=_named_connection,
        needs=Needs.KEYS,
    ),
    Command(
        words="connection schedule",
        group="Banks",
        summary="change when a connection is synced",
        target="kvit.cli.connections:set_schedule",
        arguments=_schedule,
    ),
    Command(
        words="sync",
        group="Banks",
        summary="fetch what is new on a connection and wait until it is done",
        target="kvit.cli.runs:sync",
        arguments=_named_connection,
        needs=Needs.KEYS,
    ),
    Command(
        words="run list",
        group="Banks",
        summary="list the last runs of a connection",
        target="kvit.cli.runs:show",
        arguments=_runs,
    ),
    Command(
        words="run cancel",
        group="Banks",
        summary="end a run that waits or is under way; what it has read is kept",
        target="kvit.cli.runs:cancel",
        arguments=_numbered_run,
    ),
    Command(
        words="run replay",
        group="Banks",
        summary="read the recorded answers of a run again, with the plugin as it is now",
        target="kvit.cli.runs:replay",
        arguments=_numbered_run,
        needs=Needs.KEYS,
    ),
    Command(
        words="run revert",
        group="Banks",
        summary="take back everything a run brought and changed, while none of it is settled",
        target="kvit.cli.runs:revert",
        arguments=_numbered_run,
    ),
    Command(
        words="import",
        group="Banks",
        summary="import statement files: camt, GPC (ABO), MT940, OFX, CSV and others",
        target="kvit.cli.imports:import_files",
        arguments=_import,
        needs=Needs.KEYS,
    ),
    Command(
        words="transactions",
        group="Money",
        summary="print the stored movements",
        target="kvit.cli.transactions:show",
        arguments=_transactions,
    ),
    Command(
        words="match",
        group="Money",
        summary="look again which movements pay which invoices",
        target="kvit.cli.matching:match",
        arguments=_match,
    ),
    Command(
        words="payout import",
        group="Money",
        summary="import a gateway's payout report and settle its invoices",
        target="kvit.cli.payouts:import_report",
        arguments=_payout_import,
    ),
    Command(
        words="payout list",
        group="Money",
        summary="print the imported payouts and what is settled of them",
        target="kvit.cli.payouts:list_reports",
        arguments=_only_organization,
    ),
    Command(
        words="match-file",
        group="Money",
        summary="print what would pay what in files; nothing is stored",
        target="kvit.cli.match_file:match_file",
        arguments=_match_file,
        needs=Needs.NOTHING,
    ),
    Command(
        words="parse-statement",
        group="Money",
        summary="print what statement files hold; nothing is stored",
        target="kvit.cli.statements:parse",
        arguments=_parse_statement,
        needs=Needs.NOTHING,
    ),
    Command(
        words="convert",
        group="Money",
        summary="write a statement file in another format: CSV, OFX, JSON or camt.053",
        target="kvit.cli.converting:convert",
        arguments=_convert,
        needs=Needs.NOTHING,
    ),
    Command(
        words="audit verify",
        group="Audit",
        summary="find what was changed past Kvit, and what was changed in the audit",
        target="kvit.cli.audit:verify",
        arguments=_audit_verify,
    ),
    Command(
        words="audit seal",
        group="Audit",
        summary="seal the newest audit entries now; the worker does it by itself",
        target="kvit.cli.audit:seal",
        arguments=_none,
    ),
)

EXAMPLES: Final = (
    "kvit demo --serve",
    "kvit user add eva@firma.example --organization 'Eva Nová'",
    "kvit connection add fio --name 'Fio CZK' --credential api_token=@env:FIO_TOKEN",
    "kvit sync 'Fio CZK'",
    "kvit import ~/Downloads/statement.gpc",
)
