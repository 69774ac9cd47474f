"""What `kvit plugin new` writes: a working plugin and its contract test, from the templates beside this."""

from __future__ import annotations

import ast
import keyword
import os
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

from kvit import __version__
from kvit.kernel.errors import Refused

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_LONGEST_NAME: Final = 30
"""Fewer than the registry takes, so that no line of a template grows too long."""


def scaffold(name: str, *, package: bool) -> dict[str, str]:
    """Return the files of a new plugin, by name. Raises Refused where the name is none for a plugin."""
    _require_name(name)
    words = {
        "name": name,
        "class_name": _class_name(name),
        "title": name.replace("_", " ").capitalize(),
        "project": name.replace("_", "-"),
        "kvit_version": __version__,
    }
    found = {
        f"kvit_{name}.py": _filled("plugin.py", words),
        f"test_kvit_{name}.py": _filled("contract_test.py", words),
    }
    if package:
        found[f"kvit_{name}.quality.toml"] = _filled("quality.toml", words)
        found["pyproject.toml"] = _filled("pyproject.toml", words)
    for text in (text for file, text in found.items() if file.endswith(".py")):
        _require_own_names(name, text)
    return found


def write(texts: Mapping[str, str], folder: Path) -> list[Path]:
    """Write the files into the folder, all of them or none, and return their paths.

    Raises Refused where one of them is there already, which is left as it is, or cannot be written.
    """
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            path = folder / file
            with path.open("x", encoding="utf-8") as opened:
                written.append(path)
                opened.write(text)
    except OSError as error:
        for path in written:
            path.unlink()
        if isinstance(error, FileExistsError):
            raise Refused(
                "{path} is there already. Nothing was written; take another name or folder.",
                path=error.filename,
            ) from None
        raise Refused(
            "{path} cannot be written: {reason}.", path=error.filename, reason=os.strerror(error.errno or 0)
        ) from None
    return written


def _require_name(name: str) -> None:
    if not (_NAME.fullmatch(name) and 1 < len(name) <= _LONGEST_NAME):
        raise Refused(
            "“{name}” is no name for a plugin: take 2 to {most} small letters, digits and single underscores,"
            " a letter first, such as lipa_banka.",
            name=name,
            most=_LONGEST_NAME,
        )


def _class_name(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _filled(template: str, words: Mapping[str, str]) -> str:
    text = files(__name__).joinpath(f"{template}.template").read_text(encoding="utf-8")
    return Template(text).substitute(words)


def _require_own_names(name: str, text: str) -> None:
    """Raise Refused where the plugin's class would be called as something that the file imports."""
    unusable = keyword.iskeyword(_class_name(name))
    if not unusable:
        tree = ast.parse(text)
        imported = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and not (node.module or "").endswith(f"kvit_{name}")
            for alias in node.names
        }
        defined = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
        unusable = not imported.isdisjoint(defined) or len(set(defined)) < len(defined)
    if unusable:
        raise Refused(
            "A plugin's class cannot be called {class_name}, which means something else already;"
            " take another name, such as {name}_bank.",
            class_name=_class_name(name),
            name=name,
        )
