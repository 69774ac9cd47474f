from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kvit.audit.recording import SYSTEM
from kvit.kernel.errors import PluginUnavailable
from kvit.sync import connections, registry
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.users.models import Organization
from tests.sync import invented
from tests.sync.installation import sync, words

type Install = Callable[..., None]


def problem(name: str) -> str:
    return next(listing.problem for listing in registry.catalogue() if listing.name == name)


@pytest.mark.parametrize(
    ("name", "target", "says"),
    [
        ("broken", "tests.sync.no_such_module:Plugin", "ModuleNotFoundError: No module named"),
        ("broken", "tests.sync.invented:NoSuchClass", "NoSuchClass"),
        ("broken", "tests.sync.invented:not_a_plugin", "not a subclass of kvit.plugin.Plugin"),
        ("nameless", "tests.sync.invented:Nameless", "does not set name, title, version"),
        ("cannot_sync", "tests.sync.invented:CannotSync", "does not define sync"),
        ("other_name", "tests.sync.invented:Scripted", "“scripted” is not the entry point's “other_name”"),
        ("future", "tests.sync.invented:FromTheFuture", "newer Kvit (plugin API 2, this one has 1)"),
        ("plain_config", "tests.sync.invented:PlainConfig", "Config is not a dataclass"),
        ("unresolved", "tests.sync.invented:UnresolvedConfig", "NameError: name 'Missing'"),
        ("listed", "tests.sync.invented:ListConfig", "tokens is something else"),
    ],
)
def test_a_broken_plugin_is_shown_with_its_problem_and_stops_nothing(
    install: Install, name: str, target: str, says: str
) -> None:
    install(**{name: target})
    assert says in problem(name)
    assert registry.plugin_class("fio").name == "fio"
    with pytest.raises(PluginUnavailable, match="is broken"):
        registry.plugin_class(name)


def test_of_two_plugins_with_one_name_none_is_used(install: Install) -> None:
    install(fio="tests.sync.invented:Scripted")
    assert "Two plugins have this name" in problem("fio")
    assert "kvit.plugins.fio:Fio" in problem("fio")


def test_installed_packages_are_found_and_a_module_that_exits_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "kvit_rude.py").write_text("raise SystemExit('no')\n")
    (tmp_path / "kvit_kind.py").write_text("from tests.sync.invented import Scripted\n")
    folder = tmp_path / "kvit_strangers-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: kvit-strangers\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[kvit.plugins]\nrude = kvit_rude:Rude\nscripted = kvit_kind:Scripted\n"
    )
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from kvit.sync.registry import catalogue\n"
        "for found in catalogue(): print(found.name, '|', found.version, '|', found.problem)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "rude |  | SystemExit: no" in lines
    assert "scripted | 0.1 | " in lines
    assert any(line.startswith("fio | ") for line in lines)


@pytest.mark.django_db(transaction=True)
def test_a_connection_whose_plugin_is_gone_stays_and_its_run_fails_with_words(
    install: Install, organization: Organization
) -> None:
    install(scripted="tests.sync.invented:Scripted")
    texts = {"token": invented.TOKEN}
    connection = connections.add(organization, "scripted", "Stranger", texts, actor=SYSTEM)
    install()
    run = sync(connection)
    assert run.status == SyncHistory.Status.FAILED
    assert words(run) == "The plugin “scripted” is not installed."
    kept = PluginConfiguration.objects.get(pk=connection.pk)
    assert kept.state == PluginConfiguration.State.NEEDS_ATTENTION
    install(scripted="tests.sync.no_such_module:Scripted")
    assert "is broken: ModuleNotFoundError" in words(sync(connection))


@pytest.mark.django_db(transaction=True)
def test_a_field_that_a_later_plugin_needs_is_asked_for(install: Install, organization: Organization) -> None:
    install(scripted="tests.sync.invented:Scripted")
    texts = {"token": invented.TOKEN}
    connection = connections.add(organization, "scripted", "Stranger", texts, actor=SYSTEM)
    install(scripted="tests.sync.invented:Grown")
    run = sync(connection)
    assert (run.error_kind, words(run)) == ("Misconfigured", "Fill in “Region”.")
