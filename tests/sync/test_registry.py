from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from kvit.audit.recording import SYSTEM
from kvit.kernel.errors import PluginUnavailable
from kvit.sync import connections, quality, registry
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
        ("other_name", "tests.sync.invented:Scripted", "“scripted” is not “other_name”"),
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
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "kvit.config.settings",
        "KVIT_DATA_DIR": str(tmp_path / "data"),
    }
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
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


DROPPED = """
from dataclasses import dataclass
from kvit.plugin import Identity, Plugin, field

@dataclass(frozen=True, kw_only=True)
class Config:
    town: str = field("Town")

class Acme(Plugin[Config]):
    name, title, version, Config = "acme", "Acme", "1", Config

    def check(self):
        return Identity(key="1", label="Acme")

    def sync(self, ctx):
        yield from ()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of single-file plugins of this Kvit."""
    monkeypatch.setattr(settings, "KVIT", dataclasses.replace(settings.KVIT, plugins_dir=tmp_path))
    registry.forget()
    yield tmp_path
    registry.forget()


def listed(name: str) -> registry.Listing:
    return next(listing for listing in registry.catalogue() if listing.name == name)


@pytest.mark.parametrize("file", ["acme.py", "kvit_acme.py"])
def test_a_file_dropped_into_the_folder_is_a_plugin_at_once(folder: Path, file: str) -> None:
    assert "acme" not in {listing.name for listing in registry.catalogue()}
    (folder / file).write_text(DROPPED)
    assert listed("acme").title == "Acme"
    assert listed("acme").source == str(folder / file)
    assert registry.plugin_class("acme").version == "1"


def test_a_loaded_file_stays_as_it_is_and_a_broken_one_is_tried_again(folder: Path) -> None:
    path = folder / "acme.py"
    path.write_text("this is no Python")
    assert "acme.py: SyntaxError" in problem("acme")
    path.write_text(DROPPED)
    assert not problem("acme")
    path.write_text(DROPPED.replace('"1", Config', '"2", Config'))
    assert listed("acme").version == "1"
    registry.forget()
    assert listed("acme").version == "2"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "exactly one plugin; found: none"),
        (f"{DROPPED}\nclass Other(Acme):\n    name = 'other'\n", "found: Acme, Other"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        (DROPPED.replace('"acme"', '"emca"'), "“emca” is not “acme”"),
        (DROPPED.replace('"acme", ', "7, "), "not a text"),
        (DROPPED.replace('field("Town")', 'field("Town", pattern="(")'), "no regular expression"),
        (DROPPED.replace('"1", Config', '"1", Config\n    api = 99\n    title = 3'), "needs a newer Kvit"),
        (
            DROPPED.replace('"1", Config', '"1", Config\n    guide = "one text"'),
            "guide is not a list of texts",
        ),
    ],
)
def test_a_broken_file_is_listed_and_stops_nothing(folder: Path, text: str, says: str) -> None:
    (folder / "acme.py").write_text(text)
    assert says in problem("acme")
    assert registry.plugin_class("fio").name == "fio"


def test_a_file_never_takes_the_place_of_an_installed_plugin(folder: Path) -> None:
    (folder / "fio.py").write_text(DROPPED)
    assert registry.plugin_class("fio").__module__ == "kvit.plugins.fio.plugin"
    assert "another plugin named “fio”" in problem("fio.py")


def test_helpers_and_tests_beside_the_plugins_are_none(folder: Path) -> None:
    for name in ("_shared.py", "test_acme.py", "conftest.py", "notes.txt"):
        (folder / name).write_text("raise SystemExit")
    assert {listing.name for listing in registry.catalogue()} >= {"fio"}
    assert not [listing for listing in registry.catalogue() if listing.source.startswith(str(folder))]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "table"),
        ('[rules]\nresume = "perhaps"', "resume is"),
        ('[rules]\nresume = { exempt = "" }', "resume is"),
        ("[rules]\nresume = { todo = 1 }", "resume is"),
    ],
)
def test_a_quality_file_without_clear_marks_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        quality.read(text)


def test_marks_are_counted() -> None:
    found = quality.read('[rules]\na = "done"\nb = { todo = "later" }\nc = { exempt = "reads files" }')
    assert (found.done, found.owed) == (1, 2)
    assert found.marks["c"] == quality.Mark(quality.Standing.EXEMPT, "reads files")
