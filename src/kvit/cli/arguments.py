"""What the commands take: one function for each, and readers of single words."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final


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


def organization(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--organization", metavar="NAME", help="which organization; needed only where there are several"
    )


def only_organization(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--organization", metavar="NAME", help="only this one; else all of them")


def none(parser: argparse.ArgumentParser) -> None:
    """The command takes no arguments."""


def address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=8000, help="port to listen on (default: %(default)s)")


def web(parser: argparse.ArgumentParser) -> None:
    address(parser)
    parser.add_argument(
        "--workers",
        type=number_from(1, 64),
        help="web processes (default: 1 on SQLite, 2 on PostgreSQL)",
    )


def demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--serve", action="store_true", help="keep the pretend bank running and serve the app"
    )
    address(parser)


def user_add(parser: argparse.ArgumentParser) -> None:
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


def connection_add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plugin", metavar="PLUGIN", help="such as fio; “kvit plugin list” lists them")
    parser.add_argument("--name", required=True, help="what to call the connection")
    values(parser)
    organization(parser)


def named_connection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the connection's name")
    organization(parser)


def schedule(parser: argparse.ArgumentParser) -> None:
    named_connection(parser)
    parser.add_argument(
        "expression",
        metavar="EXPRESSION",
        help="five cron fields such as '0 6 * * 1-5', or quarter_hourly, hourly, four_hourly, working_days,"
        " daily, weekly, or default for the plugin's own schedule",
    )


def numbered_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", type=number_from(1, 2**63 - 1), help="the run's number")


def runs(parser: argparse.ArgumentParser) -> None:
    named_connection(parser)
    parser.add_argument(
        "--count", type=number_from(1, 1000), default=20, help="how many (default: %(default)s)"
    )


def import_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path)
    parser.add_argument("--preview", action="store_true", help="only print what the files would bring")
    statement_hints(parser)
    organization(parser)


def parse_statement(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        type=Path,
        help="a statement, a directory of them, or - for standard input",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object for each file")
    statement_hints(parser)


def convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="a statement, or - for standard input")
    parser.add_argument("--to", choices=("csv", "ofx", "json", "camt053"), required=True)
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=Path, help="the file to write (default: standard output)"
    )
    statement_hints(parser)


def statement_hints(parser: argparse.ArgumentParser) -> None:
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


def match(parser: argparse.ArgumentParser) -> None:
    only_organization(parser)
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


def payout_import(parser: argparse.ArgumentParser) -> None:
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
    organization(parser)


def match_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        metavar="DIR",
        type=Path,
        help="holds customers, accounts, invoices and transactions, as .jsonl",
    )


def audit_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--head", type=digest, metavar="DIGEST", help="a head kept elsewhere; the chain must still hold it"
    )


def transactions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jsonl", action="store_true", help="print one JSON object a line")
    only_organization(parser)


def plugin_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the plugin's name")


def plugin_switch(parser: argparse.ArgumentParser) -> None:
    plugin_name(parser)
    organization(parser)


def plugin_new(parser: argparse.ArgumentParser) -> None:
    plugin_name(parser)
    parser.add_argument(
        "--package", action="store_true", help="also make a package of it, with a pyproject.toml"
    )
    parser.add_argument(
        "--into",
        metavar="DIR",
        type=Path,
        help="where to write (default: the folder of drop-in plugins; with --package, a new folder here)",
    )


def plugin_values(parser: argparse.ArgumentParser) -> None:
    plugin_name(parser)
    parser.add_argument(
        "--connection", metavar="CONNECTION", help="use the settings and credentials of this connection"
    )
    values(parser)
    organization(parser)


def plugin_dev(parser: argparse.ArgumentParser) -> None:
    plugin_values(parser)
    parser.add_argument(
        "--pretend", action="store_true", help="ask the pretend bank of the plugin's tests, not its source"
    )
    parser.add_argument("--once", action="store_true", help="run once instead of after every change")
    parser.add_argument(
        "--from-start", action="store_true", help="read from an empty cursor, as the first sync does"
    )
    parser.add_argument(
        "--rows",
        type=number_from(1, 100_000),
        default=40,
        help="how many movements to show (default: %(default)s)",
    )


def plugin_record(parser: argparse.ArgumentParser) -> None:
    plugin_values(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        help="the cassette to write (default: NAME.cassette.json)",
    )


def payment_list(parser: argparse.ArgumentParser) -> None:
    only_organization(parser)
    parser.add_argument(
        "--open", action="store_true", help="only what is not executed, refused or cancelled yet"
    )


def payment_resolve(parser: argparse.ArgumentParser) -> None:
    only_organization(parser)
    parser.add_argument(
        "batch", type=number_from(1, 2**63 - 1), metavar="BATCH", help="its number, see “kvit payment list”"
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--taken", action="store_true", help="the bank has it")
    which.add_argument(
        "--not-taken",
        action="store_true",
        help="the bank does not have it: its orders may go into a new batch",
    )
    parser.add_argument("--reference", default="", help="the bank's number of the batch")


def values(parser: argparse.ArgumentParser) -> None:
    """Settings and credentials of a connection."""
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
