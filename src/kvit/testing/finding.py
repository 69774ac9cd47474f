"""Where the contract of a plugin is found: in the test file beside its code, or near the present folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final

from kvit.kernel.errors import Refused
from kvit.sync.registry import Listing, catalogue
from kvit.testing.contract import PluginContract

_MODULE: Final = "kvit_contract_of_{name}"


class NoContract(Refused):
    """There is no contract test for this plugin."""


def contracts_of(name: str) -> list[type[PluginContract]]:
    """Return the contracts of a plugin, by its name or by the path of its file or of its test.

    For `NAME` they are looked for in `test_MODULE.py`, `test_kvit_NAME.py`, `test_NAME.py` and
    `test_NAME_contract.py`: beside the plugin's module, in a folder `tests` there, in the present folder and
    in its `tests`. Raises NoContract saying where was looked, or what is wrong with the file.
    """
    path = Path(name)
    if path.suffix == ".py":
        file = path if path.name.startswith("test_") else _beside(path)
        found = _contracts_in(file, "")
    else:
        file = _file_for(name)
        found = _contracts_in(file, name)
    if not found:
        raise NoContract("{file} holds no subclass of PluginContract for “{name}”.", file=file, name=name)
    return found


def _beside(path: Path) -> Path:
    file = path.with_name(f"test_{path.name}")
    if not file.is_file():
        raise NoContract("There is no {file}.", file=file)
    return file


def _file_for(name: str) -> Path:
    listing = next((each for each in catalogue() if each.name == name), None)
    candidates = list(dict.fromkeys(_candidates(name, listing)))
    for path in candidates:
        if path.is_file():
            return path
    if listing is None:
        raise NoContract(
            "There is no plugin “{name}”, and no {file} here. Name the plugin or the path of its test.",
            name=name,
            file=f"test_kvit_{name}.py",
        )
    if listing.plugin is None:
        raise NoContract("The plugin “{name}” is broken: {problem}", name=name, problem=listing.problem)
    raise NoContract(
        "No contract test of “{name}” was found. Write a subclass of PluginContract into {file}.",
        name=name,
        file=candidates[0],
    )


def _candidates(name: str, listing: Listing | None) -> Iterator[Path]:
    homes = [_file_of(listing)] if listing is not None else []
    stems = [home.parent.name if home.stem == "__init__" else home.stem for home in homes if home is not None]
    files = [f"test_{stem}.py" for stem in (*stems, f"kvit_{name}", name, f"{name}_contract")]
    for folder in (*_folders_around(homes), *_folders_here(name)):
        yield from (folder / file for file in files)


def _folders_around(homes: list[Path | None]) -> Iterator[Path]:
    """Beside the plugin, in `tests` there, and for a package also around it."""
    for home in homes:
        if home is not None:
            folder = home.parent.parent if home.stem == "__init__" else home.parent
            yield from (home.parent, folder, folder / "tests", folder.parent / "tests")


def _folders_here(name: str) -> Iterator[Path]:
    here = Path.cwd()
    yield from (here, here / "tests", here / "tests" / "plugins", here / "tests" / "plugins" / name)


def _file_of(listing: Listing) -> Path | None:
    if listing.path is not None or listing.plugin is None:
        return listing.path
    file = sys.modules[listing.plugin.__module__].__file__
    return None if file is None else Path(file)


def _contracts_in(path: Path, name: str) -> list[type[PluginContract]]:
    module = _loaded(path.resolve())
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, PluginContract)
        and value.__module__ == module.__name__
        and hasattr(value, "plugin")
        and name in ("", value.plugin.name)
    ]


def _loaded(path: Path) -> ModuleType:
    """Run a test file with its own folder and the present one importable, as pytest would."""
    for folder in (str(Path.cwd()), str(path.parent.parent), str(path.parent)):
        if folder in sys.path:
            sys.path.remove(folder)
        sys.path.insert(0, folder)
    name = _MODULE.format(name=path.stem)
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise NoContract("{file} is no Python module.", file=path)
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise NoContract(
            "{file} cannot be loaded: {kind}: {error}", file=path, kind=type(error).__name__, error=error
        ) from error
    return module
