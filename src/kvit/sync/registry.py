"""The plugins that are installed, each loaded on its own: a broken one is shown and stops nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from kvit.kernel.errors import PluginUnavailable
from kvit.plugin import Plugin
from kvit.sync import drop_ins
from kvit.sync.quality import Quality, quality_of
from kvit.sync.soundness import fault_of, showable, words_of

GROUP: Final = "kvit.plugins"

_examined: dict[Path, tuple[drop_ins.DropIn, Listing]] = {}
"""What was found of each file: its class is looked at once, not for every page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One plugin of the catalogue; a broken one has a `problem` and no class."""

    name: str
    plugin: type[Plugin[Any]] | None
    problem: str = ""
    source: str = ""
    """Where it was found: the value of an entry point, or the path of a file."""
    path: Path | None = None
    """The file in the folder of plugins, where it is one."""
    quality: Quality | None = None
    """What it says of itself; a single file says nothing."""

    @property
    def title(self) -> str:
        return self.plugin.title if self.plugin else self.name

    @property
    def version(self) -> str:
        return self.plugin.version if self.plugin else ""

    @property
    def description(self) -> str:
        return self.plugin.description if self.plugin else ""

    @property
    def guide(self) -> Sequence[str]:
        return self.plugin.guide if self.plugin else ()

    @property
    def picture(self) -> str:
        return self.plugin.picture if self.plugin else ""

    @property
    def accepts_files(self) -> bool:
        return self.plugin.accepts_files if self.plugin else False


def catalogue() -> tuple[Listing, ...]:
    """Return every plugin found, in order of name; of two with one name, none is used.

    A file in the folder of plugins never takes the place of an installed one: it is listed by its file name.
    """
    installed = _installed()
    taken = {listing.name for listing in installed}
    dropped = [_dropped(found, taken) for found in drop_ins.in_folder(settings.KVIT.plugins_dir)]
    return tuple(sorted((*installed, *dropped), key=lambda listing: listing.name))


def forget() -> None:
    """Have everything looked for and loaded again."""
    _installed.cache_clear()
    _examined.clear()
    drop_ins.forget()


def plugin_class(name: str) -> type[Plugin[Any]]:
    """Return the plugin's class. Raises PluginUnavailable where it is missing or broken."""
    for listing in catalogue():
        if listing.name == name:
            if listing.plugin is None:
                raise PluginUnavailable(
                    "The plugin “{name}” is broken: {problem}", name=name, problem=listing.problem
                )
            return listing.plugin
    raise PluginUnavailable("The plugin “{name}” is not installed.", name=name)


@cache
def _installed() -> tuple[Listing, ...]:
    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, []).append(entry)
    return tuple(_listing(name, entries) for name, entries in found.items())


def _listing(name: str, entries: list[EntryPoint]) -> Listing:
    where = ", ".join(sorted({entry.value for entry in entries}))
    if len({entry.value for entry in entries}) > 1:
        return Listing(name=name, plugin=None, problem=f"Two plugins have this name: {where}.", source=where)
    try:
        return _looked_at(name, entries[0].load(), source=where)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # whatever a foreign module does wrong, Kvit goes on
        return Listing(name=name, plugin=None, problem=words_of(error), source=where)


def _dropped(found: drop_ins.DropIn, taken: set[str]) -> Listing:
    where: dict[str, Any] = {"source": showable(str(found.path)), "path": found.path}
    if found.name in taken:
        problem = f"There is another plugin named “{found.name}”. Give the file and its plugin another name."
        return Listing(name=showable(found.path.name), plugin=None, problem=problem, **where)
    taken.add(found.name)
    if found.plugin is None:
        return Listing(name=found.name, plugin=None, problem=found.problem, **where)
    known = _examined.get(found.path)
    if known is None or known[0] is not found:
        known = _examined[found.path] = found, _examination(found, where)
    return known[1]


def _examination(found: drop_ins.DropIn, where: dict[str, Any]) -> Listing:
    try:
        return _looked_at(found.name, found.plugin, **where)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # as above
        return Listing(name=found.name, plugin=None, problem=words_of(error), **where)


def _looked_at(name: str, plugin: Any, **where: Any) -> Listing:
    problem = fault_of(name, plugin)
    if problem:
        return Listing(name=name, plugin=None, problem=showable(problem), **where)
    return Listing(name=name, plugin=plugin, quality=quality_of(plugin), **where)
