"""The contract tried without a test runner, and what came of each rule."""

from __future__ import annotations

import time
import unittest
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from kvit.testing.contract import PluginContract
from kvit.testing.rules import Rule, RuleBroken, rules_of


class Standing(StrEnum):
    KEPT = "kept"
    BROKEN = "broken"
    EXEMPT = "exempt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of one rule."""

    rule: Rule
    standing: Standing
    seen: str = ""
    """What broke it, or why it is exempt."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """What came of all rules, in their order."""

    trials: tuple[Trial, ...]

    @property
    def passed(self) -> bool:
        return not self.broken

    @property
    def broken(self) -> tuple[Trial, ...]:
        return tuple(trial for trial in self.trials if trial.standing is Standing.BROKEN)

    @property
    def seconds(self) -> float:
        return sum(trial.seconds for trial in self.trials)


def run_contract(contract: type[PluginContract]) -> Report:
    """Try every rule of a contract."""
    return Report(tuple(trials_of(contract)))


def trials_of(contract: type[PluginContract]) -> Iterator[Trial]:
    """Yield what came of each rule as soon as it was tried."""
    for method, rule in rules_of(contract).items():
        yield _tried(contract, method, rule)


def _tried(contract: type[PluginContract], method: str, rule: Rule) -> Trial:
    started = time.perf_counter()
    standing, seen = Standing.KEPT, ""
    try:
        getattr(contract(), method)()
    except unittest.SkipTest as skipped:
        standing, seen = Standing.EXEMPT, str(skipped).removeprefix("exempt: ")
    except RuleBroken as broken:
        standing, seen = Standing.BROKEN, broken.seen
    return Trial(rule=rule, standing=standing, seen=seen, seconds=time.perf_counter() - started)
