"""The kernel, the plugin contract and the bundled plugins work where Django is not installed."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import kvit.kernel
import kvit.plugins

BLOCKED = """
import importlib, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "django":
            raise ModuleNotFoundError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def _modules() -> list[str]:
    return [
        "kvit.plugin",
        *(
            module.name
            for package in (kvit.kernel, kvit.plugins)
            for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        ),
    ]


def _import_blocked(*modules: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCKED, *modules], capture_output=True, text=True, check=False
    )


def test_kernel_contract_and_plugins_import_where_django_is_blocked() -> None:
    modules = _modules()
    assert {
        "kvit.kernel.statements.fio_json",
        "kvit.plugins.fio.plugin",
        "kvit.plugins.statement_file",
    } <= set(modules)

    result = _import_blocked(*modules)

    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("module", ["django", "django.db", "kvit.ledger.models"])
def test_the_blocker_blocks(module: str) -> None:
    result = _import_blocked(module)

    assert result.returncode != 0
    assert "is blocked" in result.stderr
