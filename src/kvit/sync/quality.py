"""How good a plugin says it is: its `quality.toml`, rule by rule.

[rules]
resume = "done"
late-arrivals = { todo = "the bank gives no time of day" }
throttled = { exempt = "it reads files, nobody slows it down" }
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from kvit.plugin import Plugin

FILE: Final = "quality.toml"


class Standing(StrEnum):
    DONE = "done"
    TODO = "todo"
    EXEMPT = "exempt"


@dataclass(frozen=True, slots=True)
class Mark:
    """How a plugin stands to one rule, and why; done needs no reason."""

    standing: Standing
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Quality:
    """A plugin's marks by the names of the rules."""

    marks: Mapping[str, Mark]

    @property
    def done(self) -> int:
        return sum(mark.standing is Standing.DONE for mark in self.marks.values())

    @property
    def owed(self) -> int:
        """How many rules the plugin is not exempt from."""
        return sum(mark.standing is not Standing.EXEMPT for mark in self.marks.values())

    @property
    def notes(self) -> Mapping[str, Mark]:
        """The marks that are not done, with their reasons."""
        return {name: mark for name, mark in self.marks.items() if mark.standing is not Standing.DONE}


def quality_of(plugin: type[Plugin[Any]]) -> Quality | None:
    """Return what `quality.toml` in the plugin's package says, or `MODULE.quality.toml` beside a module.

    None where there is neither. Raises ValueError where it is no TOML of marks.
    """
    module = sys.modules[plugin.__module__]
    home = sys.modules.get(plugin.__module__.rpartition(".")[0])
    for each in (module, home):
        path = None if each is None else _file_of(each)
        if path is not None and path.is_file():
            return read(path.read_text(encoding="utf-8"))
    return None


def _file_of(module: ModuleType) -> Path | None:
    if module.__file__ is None:
        return None
    path = Path(module.__file__)
    return path.with_name(FILE) if path.stem == "__init__" else path.with_suffix(f".{FILE}")


def read(text: str) -> Quality:
    """Read a quality.toml. Raises ValueError saying which rule has no mark."""
    told = tomllib.loads(text).get("rules")
    if not isinstance(told, dict) or not told:
        raise ValueError("quality.toml holds a table [rules].")
    return Quality({name: _mark(name, value) for name, value in told.items()})


def _mark(name: str, value: object) -> Mark:
    if value == Standing.DONE:
        return Mark(Standing.DONE)
    if isinstance(value, dict) and len(value) == 1:
        (word, reason), *_ = value.items()
        if word in (Standing.TODO, Standing.EXEMPT) and isinstance(reason, str) and reason.strip():
            return Mark(Standing(word), reason.strip())
    raise ValueError(f"{name} is “done”, {{ todo = “why” }} or {{ exempt = “why” }}.")
