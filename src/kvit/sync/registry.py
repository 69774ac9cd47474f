"""The plugins that are installed, each loaded on its own: a broken one is shown and stops nothing else."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from kvit.kernel.errors import Misconfigured, PluginUnavailable
from kvit.plugin import API_VERSION, Plugin, Secret
from kvit.sync import cron

GROUP: Final = "kvit.plugins"
_NAME = re.compile(r"[a-z][a-z0-9_]{1,38}")
_KINDS: Final = (Secret, str, int, bool)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One plugin of the catalogue; a broken one has a `problem` and no class."""

    name: str
    plugin: type[Plugin[Any]] | None
    problem: str = ""

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


@cache
def catalogue() -> tuple[Listing, ...]:
    """Return every plugin found, in order of name; of two with one name, none is used."""
    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, []).append(entry)
    return tuple(_listing(name, entries) for name, entries in sorted(found.items()))


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


def _listing(name: str, entries: list[EntryPoint]) -> Listing:
    if len({entry.value for entry in entries}) > 1:
        where = ", ".join(sorted(entry.value for entry in entries))
        return Listing(name=name, plugin=None, problem=f"Two plugins have this name: {where}.")
    try:
        plugin = entries[0].load()
        problem = _fault(name, plugin)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a foreign module does wrong, Kvit goes on
        return Listing(name=name, plugin=None, problem=f"{type(error).__name__}: {error}")
    return Listing(name=name, plugin=None if problem else plugin, problem=problem)


def _fault(name: str, plugin: Any) -> str:
    """Say what the class lacks to be a plugin, or nothing."""
    if not (isinstance(plugin, type) and issubclass(plugin, Plugin)):
        return "It is not a subclass of kvit.plugin.Plugin."
    missing = [word for word in ("name", "title", "version", "Config") if not hasattr(plugin, word)]
    if missing:
        return f"It does not set {', '.join(missing)}."
    if plugin.__abstractmethods__:
        return f"It does not define {', '.join(sorted(plugin.__abstractmethods__))}."
    if plugin.name != name or not _NAME.fullmatch(name):
        return f"Its name “{plugin.name}” is not the entry point's “{name}”."
    if plugin.api > API_VERSION:
        return f"It needs a newer Kvit (plugin API {plugin.api}, this one has {API_VERSION})."
    try:
        cron.checked(plugin.schedule)
    except Misconfigured as error:
        return f"Its schedule is none: {error}"
    if not dataclasses.is_dataclass(plugin.Config):
        return "Its Config is not a dataclass."
    kinds = typing.get_type_hints(plugin.Config)
    strange = [item.name for item in dataclasses.fields(plugin.Config) if kinds[item.name] not in _KINDS]
    if strange:
        return f"Its Config can hold Secret, str, int and bool; {', '.join(strange)} is something else."
    return ""
