"""The console command: reads the words of a person, makes one call and shows the answer."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from kvit.cli.commands import Command, Needs
from kvit.cli.parser import build_parser
from kvit.kernel.errors import KvitError

FAILED: Final = 1
INTERRUPTED: Final = 130
"""What shells report for a command ended by Ctrl-C."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 for wrong words on the command line."""
    _speak_utf8()
    try:
        return _run(arguments)
    except KvitError as error:
        print(f"kvit: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _stop_writing()
        return FAILED


def _run(arguments: Sequence[str] | None) -> int:
    parser = build_parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        _parser_of(options, parser).error(_about(unknown))
    command: Command | None = getattr(options, "command", None)
    if command is None:
        _parser_of(options, parser).print_help()
        return 2
    if command.needs is Needs.NOTHING:
        return _call(command, options)
    from kvit.cli import database

    database.set_up(quiet=not command.logs)
    with database.said_in_words():
        if command.needs in (Needs.MIGRATED, Needs.KEYS):
            database.require_migrated()
        if command.needs is Needs.KEYS:
            import_module("kvit.users.keys").require_master_keys()
        return _call(command, options)


def _call(command: Command, options: argparse.Namespace) -> int:
    """Import the command's module only now: it may need Django, and `kvit --help` must not wait for it."""
    module, _, name = command.target.partition(":")
    code: int = getattr(import_module(module), name)(options)
    sys.stdout.flush()
    return code


def _parser_of(options: argparse.Namespace, parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    return getattr(options, "parser", parser)


def _about(unknown: Sequence[str]) -> str:
    """Name the options nobody knows without their values: one of them may be a secret."""
    names = [word.partition("=")[0] for word in unknown if word.startswith("--")]
    return f"unknown option: {', '.join(names)}" if names else "there is a word too many"


def _speak_utf8() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _stop_writing() -> None:
    """Whoever read the output has gone; Python would complain about the rest when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
