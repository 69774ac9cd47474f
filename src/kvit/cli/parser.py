"""The argument parser, made from the list of commands."""

from __future__ import annotations

import argparse
from typing import Any, Final

from kvit import __version__
from kvit.cli.commands import COMMANDS, EXAMPLES, Command

_ABOUT: Final = "Kvit: self-hosted invoicing that knows who has paid."
_MORE: Final = "“kvit COMMAND --help” tells more. Settings are read from the environment (KVIT_…)."


class Parser(argparse.ArgumentParser):
    """An argument parser that takes no abbreviations: a new option must not change an old script."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)


class _GroupedHelp(Parser):
    """The parser of `kvit` itself; its help lists every command in one line, by group."""

    def format_help(self) -> str:
        width = max(len(command.words) for command in COMMANDS) + 2
        parts = ["usage: kvit [--help] [--version] COMMAND …", "", _ABOUT]
        for group in dict.fromkeys(command.group for command in COMMANDS):
            parts += ["", f"{group}:"]
            parts += [
                f"  {command.words:<{width}}{command.summary}"
                for command in COMMANDS
                if command.group == group
            ]
        parts += ["", "Examples:"]
        parts += [f"  {example}" for example in EXAMPLES]
        return "\n".join([*parts, "", _MORE, ""])


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; a chosen command is in `command` and its own parser in `parser`."""
    parser = _GroupedHelp(prog="kvit", usage="kvit [--help] [--version] COMMAND …")
    parser.add_argument("--version", action="version", version=f"kvit {__version__}")
    nouns = parser.add_subparsers(prog="kvit", metavar="COMMAND", parser_class=Parser)
    verbs: dict[str, Any] = {}
    for command in COMMANDS:
        noun, _, verb = command.words.partition(" ")
        if not verb:
            _fill(nouns.add_parser(noun, description=_sentence(command)), command)
            continue
        if noun not in verbs:
            above = nouns.add_parser(noun, description=f"What can be done with a {noun}.")
            above.set_defaults(parser=above)
            verbs[noun] = above.add_subparsers(metavar="VERB", title="verbs", parser_class=Parser)
        _fill(verbs[noun].add_parser(verb, help=command.summary, description=_sentence(command)), command)
    return parser


def _fill(parser: argparse.ArgumentParser, command: Command) -> None:
    command.arguments(parser)
    parser.set_defaults(command=command, parser=parser)


def _sentence(command: Command) -> str:
    return f"{command.summary[0].upper()}{command.summary[1:]}."
