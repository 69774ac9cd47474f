"""Every bundled plugin says how good it is, and its contract test bears that out."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from kvit.sync.quality import Quality, Standing, quality_of
from kvit.sync.registry import plugin_class
from kvit.testing import PluginContract
from kvit.testing.rules import Rule, names, rules_of
from tests.plugins.test_plugin_modules import _entry_points

FOLDER = Path(__file__).parent
OF_PROCESS = ("pretend-bank", "documented", "cassette", "translated")
"""What no test of a plugin can see: see “Quality” in docs/writing-a-plugin.md."""

each_plugin = pytest.mark.parametrize("name", [entry.name for entry in _entry_points()])


def quality(name: str) -> Quality:
    found = quality_of(plugin_class(name))
    assert found is not None, f"{name} has no quality.toml"
    return found


def contract(name: str) -> type[PluginContract]:
    (path,) = FOLDER.rglob(f"test_{name}_contract.py")
    module = _module(path)
    (found,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, PluginContract)
        and value.__name__.startswith("Test")
        and value.__module__ == module.__name__
    )
    return found


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"quality_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@each_plugin
def test_every_rule_has_a_mark_and_no_mark_is_of_no_rule(name: str) -> None:
    assert set(quality(name).marks) == {*names(PluginContract), *OF_PROCESS}


@each_plugin
def test_it_is_exempt_from_what_its_contract_test_leaves_out_and_nothing_else(name: str) -> None:
    tested = contract(name)
    left_out = {told.name for told in rules_of(tested).values() if _is_left_out(tested, told)}
    marks = quality(name).marks
    assert {rule for rule in names(tested) if marks[rule].standing is Standing.EXEMPT} == left_out


@each_plugin
def test_what_is_done_of_the_process_is_there(name: str) -> None:
    marks = quality(name).marks
    home = FOLDER.parents[1] / "src" / "kvit" / "plugins" / name
    if marks["documented"].standing is Standing.DONE:
        assert (home / "README.md").exists()
    if marks["translated"].standing is Standing.DONE:
        assert (home / "locale" / "cs" / "LC_MESSAGES" / "django.po").exists()


def _is_left_out(tested: type[PluginContract], told: Rule) -> bool:
    is_of_another_kind = told.needs is not None and not issubclass(tested.plugin, told.needs)
    return told.name in tested.exempt or is_of_another_kind or (told.needs_http and not tested.reads_http)
