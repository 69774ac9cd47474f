"""`kvit plugin test NAME`: the contract of a plugin, rule by rule, without pytest."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Final

from kvit.testing.contract import PluginContract
from kvit.testing.finding import contracts_of
from kvit.testing.report import Report, Standing, Trial, trials_of

FAILED: Final = 1
_WIDTH: Final = 100
_WORDS: Final = {Standing.KEPT: "ok", Standing.BROKEN: "BROKEN", Standing.EXEMPT: "exempt"}


def test(options: argparse.Namespace) -> int:
    """Try the contracts of the plugin that is named and print each rule; return 1 where one is broken.

    Raises NoContract.
    """
    sys.dont_write_bytecode = True  # the folder of drop-in plugins holds plugins and nothing else
    reports = [_tried(contract, _print) for contract in contracts_of(options.name)]
    return 0 if all(report.passed for report in reports) else FAILED


def _tried(contract: type[PluginContract], say: Callable[[str], object]) -> Report:
    plugin = contract.plugin
    say(f"{plugin.title} {plugin.version} ({contract.__name__})")
    trials: list[Trial] = []
    for trial in trials_of(contract):
        is_told = any(trial.standing is Standing.BROKEN and trial.seen == each.seen for each in trials)
        trials.append(trial)
        for line in _named(trial) if is_told else _told(trial):
            say(line)
    report = Report(tuple(trials))
    say(_summary(report))
    return report


def _named(trial: Trial) -> Iterator[str]:
    """Name a rule that is broken by what another one has told already."""
    yield _headline(trial)
    yield from _paragraph("seen", "the same as above")


def _headline(trial: Trial) -> str:
    return f"  {_WORDS[trial.standing]:<7} {trial.rule.name:<22} {trial.rule.sentence}"


def _told(trial: Trial) -> Iterator[str]:
    yield _headline(trial)
    if trial.standing is Standing.EXEMPT:
        yield from _paragraph("because", trial.seen)
    elif trial.standing is Standing.BROKEN:
        yield from _paragraph("seen", trial.seen)
        yield from _paragraph("why", trial.rule.why)
        yield from _paragraph("mend it", trial.rule.mend)


def _paragraph(word: str, text: str) -> Iterator[str]:
    start = f"          {word}: "
    yield from textwrap.wrap(
        text, _WIDTH, initial_indent=start, subsequent_indent=" " * len(start), break_long_words=False
    )


def _summary(report: Report) -> str:
    count = len(report.trials)
    exempt = sum(trial.standing is Standing.EXEMPT for trial in report.trials)
    kept = count - exempt - len(report.broken)
    parts = [f"{kept} of {count} rules kept"]
    if exempt:
        parts.append(f"{exempt} exempt")
    if report.broken:
        parts.append(f"{len(report.broken)} broken: {', '.join(t.rule.name for t in report.broken)}")
    return f"{', '.join(parts)} ({report.seconds:.1f} s)\n"


def _print(line: str) -> None:
    sys.stdout.write(
        "".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in line) + "\n"
    )
