"""What holds for every bundled plugin: it is found, it describes itself, and it knows the contract only."""

from __future__ import annotations

import ast
import dataclasses
import sys
import tomllib
import typing
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import kvit.plugins
from kvit.plugin import Plugin, Secret

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = {
    "enable_banking": ("cryptography",),  # signs the requests (RS256)
    "statement_inbox": ("imap_tools",),  # reads mailboxes
}
"""What a bundled plugin may use besides: a protocol that httpx does not speak, by a well-kept library."""
FOLDER = Path(kvit.plugins.__path__[0])


def _entry_points() -> list[EntryPoint]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = project["entry-points"]["kvit.plugins"]
    return [EntryPoint(name, value, "kvit.plugins") for name, value in named.items()]


each_plugin = pytest.mark.parametrize(
    "entry", [pytest.param(entry, id=entry.name) for entry in _entry_points()]
)


@each_plugin
def test_an_entry_point_names_a_plugin_of_that_name(entry: EntryPoint) -> None:
    plugin = entry.load()

    assert issubclass(plugin, Plugin)
    assert plugin.name == entry.name
    assert all((plugin.title, plugin.version, plugin.description))


@each_plugin
def test_every_field_of_the_form_has_a_label_and_a_known_kind(entry: EntryPoint) -> None:
    config = entry.load().Config
    kinds = typing.get_type_hints(config)

    for item in dataclasses.fields(config):
        assert item.metadata["label"]
        assert kinds[item.name] in (Secret, str, int, bool)


@each_plugin
def test_only_credentials_have_no_default_that_could_be_seen(entry: EntryPoint) -> None:
    config = entry.load().Config
    kinds = typing.get_type_hints(config)

    for item in dataclasses.fields(config):
        assert kinds[item.name] is not Secret or item.default in (dataclasses.MISSING, Secret(""))


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in sorted(FOLDER.rglob("*.py"))])
def test_a_plugin_imports_the_contract_kernel_values_and_httpx_only(path: Path) -> None:
    own = "kvit.plugins." + path.relative_to(FOLDER).parts[0].removesuffix(".py")
    allowed = ("kvit.plugin", "kvit.kernel", "httpx", own, *LIBRARIES.get(own.rpartition(".")[2], ()))

    for name in _imported(path):
        assert name.partition(".")[0] in sys.stdlib_module_names or any(
            name == module or name.startswith(f"{module}.") for module in allowed
        ), name


def _imported(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
    return found
