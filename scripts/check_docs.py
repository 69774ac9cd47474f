"""Check that the docs forget no setting, plugin field or error, and that their links lead somewhere."""

from __future__ import annotations

import ast
import dataclasses
import re
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
DOCS: Final = ROOT / "docs"
PLUGINS: Final = ROOT / "src" / "kvit" / "plugins"
_LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
_CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_SETTING = re.compile(r'"(KVIT_[A-Z_]+)"')


def main() -> int:
    found = list(problems())
    for problem in found:
        print(problem)
    print(f"{len(found)} problems in the docs" if found else "The docs forget nothing.")
    return 1 if found else 0


def problems() -> Iterator[str]:
    """Everything the docs leave out or get wrong, one sentence each."""
    yield from _unnamed("settings.md", _settings())
    yield from _unnamed("errors.md", _errors())
    yield from _plugins()
    yield from _broken_links()


def _unnamed(page: str, names: Iterator[str]) -> Iterator[str]:
    yield from _left_out(DOCS / page, names)


def _left_out(page: Path, names: Iterator[str]) -> Iterator[str]:
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    for name in sorted(set(names)):
        if f"`{name}`" not in text:
            yield f"{page.relative_to(ROOT)} does not name `{name}`."


def _settings() -> Iterator[str]:
    source = ROOT / "src" / "kvit" / "config" / "environment.py"
    yield from _SETTING.findall(source.read_text(encoding="utf-8"))


def _errors() -> Iterator[str]:
    tree = ast.parse((ROOT / "src" / "kvit" / "kernel" / "errors.py").read_text(encoding="utf-8"))
    yield from (node.name for node in tree.body if isinstance(node, ast.ClassDef))


def _plugins() -> Iterator[str]:
    """Each bundled plugin has a README that names it and every field of its form."""
    for entry in entry_points(group="kvit.plugins"):
        if entry.value.startswith("kvit."):
            names = [entry.name, *(item.name for item in dataclasses.fields(entry.load().Config))]
            yield from _left_out(PLUGINS / entry.name / "README.md", iter(names))


def _broken_links() -> Iterator[str]:
    for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md"), *PLUGINS.rglob("*.md")]:
        for target in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
            if not (page.parent / target).exists():
                yield f"{page.relative_to(ROOT)} links to {target}, which is not there."


if __name__ == "__main__":
    sys.exit(main())
