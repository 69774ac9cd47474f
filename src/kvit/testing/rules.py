"""The rules of the contract: each one test with a name, a reason and a way to mend what breaks it."""

from __future__ import annotations

import functools
import traceback
import unittest
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

RULE: Final = "kvit_rule"
"""The attribute of a test method that holds its rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One promise that a plugin keeps."""

    name: str
    """Stable: exemptions, `quality.toml` and the documentation use it."""
    sentence: str
    why: str
    mend: str
    needs_http: bool = False
    """Whether it is about requests, so that a plugin which sends none is exempt."""
    needs: type | None = None
    """The mixin that it is about, so that a plugin without it is exempt."""


class RuleBroken(AssertionError):
    """A plugin breaks a rule of the contract."""

    def __init__(self, seen: str, rule: Rule | None = None) -> None:
        self.seen = seen
        self.rule = rule
        super().__init__(
            seen if rule is None else f"{rule.name}: {rule.sentence}\nSeen: {seen}\nMend it: {rule.mend}"
        )


class _Contract(Protocol):
    plugin: type
    exempt: Mapping[str, str]
    reads_http: bool


def rule(
    name: str, *, why: str, mend: str, needs_http: bool = False, needs: type | None = None
) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Make a test method the test of a rule; its docstring is the rule's sentence.

    An exempt rule is skipped as `unittest.SkipTest`, which pytest knows too. Whatever the test raises comes
    out as RuleBroken with the rule.
    """

    def mark(test: Callable[[Any], None]) -> Callable[[Any], None]:
        told = Rule(
            name=name,
            sentence=" ".join((test.__doc__ or "").split()),
            why=why,
            mend=mend,
            needs_http=needs_http,
            needs=needs,
        )

        @functools.wraps(test)
        def checked(contract: _Contract) -> None:
            _skip_if_exempt(contract, told)
            try:
                test(contract)
            except RuleBroken as broken:
                raise RuleBroken(broken.seen, told) from None
            except unittest.SkipTest:
                raise
            except Exception as error:
                raise RuleBroken(described(error), told) from error

        setattr(checked, RULE, told)
        return checked

    return mark


def rules_of(contract: type) -> dict[str, Rule]:
    """Return the rules of a contract by the names of their test methods, in the order they are written."""
    found: dict[str, Rule] = {}
    for origin in contract.__mro__:
        for name, value in vars(origin).items():
            if isinstance(told := getattr(value, RULE, None), Rule):
                found.setdefault(name, told)
    return found


def described(error: BaseException) -> str:
    """Say what was raised and where, for the author of the plugin."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"


def _skip_if_exempt(contract: _Contract, told: Rule) -> None:
    if reason := contract.exempt.get(told.name, ""):
        raise unittest.SkipTest(f"exempt: {reason}")
    if told.needs_http and not contract.reads_http:
        raise unittest.SkipTest("exempt: the plugin sends no HTTP requests")
    if told.needs is not None and not issubclass(contract.plugin, told.needs):
        raise unittest.SkipTest(f"exempt: the plugin has no {told.needs.__name__}")


def names(contract: type) -> Iterator[str]:
    """Yield the names of the contract's rules."""
    return (told.name for told in rules_of(contract).values())
