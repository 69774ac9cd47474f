"""Watching the files of a plugin, and having them read again when one of them was saved."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from kvit.sync import registry

LOOK_SECONDS: Final = 0.3
"""How often the files are looked at."""


def cache_no_modules() -> None:
    """Keep Python from caching modules on disk from now on.

    It tells a cached one from a changed one only by size and whole seconds, so that of two quick changes the
    second might never be seen.
    """
    sys.dont_write_bytecode = True


def look(files: Iterable[Path]) -> Mapping[Path, object]:
    """Return of each file what differs once it was saved, made or taken away."""
    return {path: _state_of(path) for path in files}


def wait_for_change(before: Mapping[Path, object]) -> None:
    """Return as soon as one of these files is not as it was."""
    while look(before) == before:
        time.sleep(LOOK_SECONDS)


def forget(files: Iterable[Path]) -> None:
    """Have the modules in these files, and all plugins, loaded again when they are asked for."""
    paths = {str(path) for path in files}
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)) in paths:
            del sys.modules[name]
    registry.forget()


def _state_of(path: Path) -> object:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino
