"""Plugins that are single files in a folder: `NAME.py` or `kvit_NAME.py`, with one plugin of that name.

A file that is new is there at once. One that was loaded stays as it is until the process starts again, so
that editing it never changes a sync under way; one that could not be loaded is tried again when it changed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

from kvit.plugin import Plugin
from kvit.sync.soundness import showable, words_of

PREFIX: Final = "kvit_"
_MODULES: Final = "kvit_drop_in"
_NO_PLUGINS: Final = ("_", ".", "test_", "conftest")


@dataclass(frozen=True, slots=True)
class DropIn:
    """A file of the folder, and the class in it or why there is none."""

    name: str
    path: Path
    plugin: type[Plugin[Any]] | None
    problem: str = ""


_loaded: dict[Path, tuple[object, DropIn]] = {}
"""By file: what it looked like when it was read, and what was found."""


def in_folder(folder: Path) -> Iterator[DropIn]:
    """Yield what each file of the folder is, in order of name; nothing where there is no such folder."""
    try:
        paths = sorted(path for path in folder.glob("*.py") if not path.name.startswith(_NO_PLUGINS))
    except OSError:
        return
    for path in paths:
        yield _known(path)


def load(path: Path) -> DropIn:
    """Run the file as a module and find its plugin. Whatever it does wrong is in `problem`."""
    name = showable(path.stem.removeprefix(PREFIX))
    file = showable(path.name)
    try:
        module = _run(path)
        plugins = list(_plugins_of(module))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # whatever a foreign file does wrong, Kvit goes on
        return DropIn(name, path, None, f"{file}: {words_of(error)}")
    if len(plugins) != 1:
        found = ", ".join(plugin.__name__ for plugin in plugins) or "none"
        return DropIn(name, path, None, showable(f"{file}: a file holds exactly one plugin; found: {found}."))
    return DropIn(name, path, plugins[0])


def forget() -> None:
    """Have every file read again."""
    _loaded.clear()


def _known(path: Path) -> DropIn:
    look = _look_of(path)
    known = _loaded.get(path)
    if known is not None and (known[1].plugin is not None or known[0] == look):
        return known[1]
    found = load(path)
    _loaded[path] = look, found
    return found


def _look_of(path: Path) -> object:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size


class _Source(SourceFileLoader):
    """Reads the file itself: bytecode beside it does not see a change of one second and one size."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _run(path: Path) -> ModuleType:
    name = f"{_MODULES}.{path.stem}"
    spec = spec_from_file_location(name, path, loader=_Source(name, str(path)))
    if spec is None or spec.loader is None:
        raise ImportError("It is no Python module.")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _plugins_of(module: ModuleType) -> Iterator[type[Plugin[Any]]]:
    """Yield the plugins that the file itself defines, without helpers that have a name of no plugin."""
    for value in vars(module).values():
        if (
            isinstance(value, type)
            and issubclass(value, Plugin)
            and value.__module__ == module.__name__
            and not value.__name__.startswith("_")
        ):
            yield value
