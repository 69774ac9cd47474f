"""`kvit plugin …`: what authors of plugins work with."""

from __future__ import annotations

import importlib
import json
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from importlib.metadata import EntryPoint
from pathlib import Path
from queue import Queue
from typing import Any
from zipfile import ZipFile

import httpx
import pytest

from kvit.kernel.errors import NotRecorded
from kvit.plugin import Checkpoint, Plugin, Transaction
from kvit.testing import PluginContract, PretendBank, run_contract, serving
from kvit.testing.filling import fill
from kvit.testing.replaying import replayed
from tests.commands import ROOT, TIMEOUT_SECONDS, Kvit

RUFF_SETTING = 'lint.flake8-bugbear.extend-immutable-calls=["kvit.plugin.field"]'
WRONG = "wrong-token-of-mine"


def test_a_new_plugin_lies_where_kvit_finds_it(kvit: Kvit) -> None:
    said = kvit.ok("plugin", "new", "lipa")
    folder = kvit.folder / "plugins"
    assert {path.name for path in folder.iterdir()} == {"kvit_lipa.py", "test_kvit_lipa.py"}
    assert str(folder / "kvit_lipa.py") in said
    listed = next(line for line in kvit.ok("plugin", "list").splitlines() if line.startswith("lipa "))
    assert listed.split() == ["lipa", "Lipa", "0.1", "on", "–", str(folder / "kvit_lipa.py")]


def test_elsewhere_it_says_how_kvit_finds_it(kvit: Kvit, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    said = kvit.ok("plugin", "new", "lipa", "--into", str(folder))
    assert f"export KVIT_PLUGINS_DIR={folder}" in said
    assert "lipa" not in kvit.ok("plugin", "list")
    assert "lipa" in kvit.run("plugin", "list", KVIT_PLUGINS_DIR=str(folder)).out


def test_what_is_written_keeps_every_rule_of_the_contract(
    kvit: Kvit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kvit.ok("plugin", "new", "cedar", "--into", str(tmp_path / "mine"))
    report = run_contract(_written(tmp_path / "mine", "cedar", monkeypatch)[1])
    assert [(trial.rule.name, trial.seen) for trial in report.broken] == []
    assert len(report.trials) > 20


def test_what_is_written_passes_the_test_command_pytest_ruff_and_mypy(kvit: Kvit, tmp_path: Path) -> None:
    kvit.ok("plugin", "new", "lipa")
    assert kvit.run("plugin", "test", "lipa").code == 0
    _passes(kvit.folder / "plugins", "pytest", "-p", "no:django", "-p", "no:cacheprovider", "--rootdir=.")
    package = tmp_path / "package"
    kvit.ok("plugin", "new", "the_longest_name_that_there_is", "--package", "--into", str(package))
    for folder in (kvit.folder / "plugins", package):
        files = sorted(path.name for path in folder.glob("*.py"))
        _passes(folder, "ruff", "check", "--no-cache", "--config", RUFF_SETTING, ".")
        _passes(folder, "ruff", "format", "--no-cache", "--check", ".")
        _passes(folder, "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path / 'mypy'}", *files)


def test_a_package_has_an_entry_point_that_leads_to_the_plugin(
    kvit: Kvit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "package"
    kvit.ok("plugin", "new", "larch_bank", "--package", "--into", str(folder))
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["name"] == "kvit-larch-bank"
    _passes(folder, "hatchling", "build", "--target", "wheel")
    (wheel,) = folder.glob("dist/*.whl")
    built = ZipFile(wheel).namelist()
    assert {"kvit_larch_bank.py", "kvit_larch_bank.quality.toml"} <= set(built)
    assert "test_kvit_larch_bank.py" not in built
    plugin, _contract = _written(folder, "larch_bank", monkeypatch)
    ((name, value),) = project["project"]["entry-points"]["kvit.plugins"].items()
    assert EntryPoint(name, value, "kvit.plugins").load() is plugin
    assert plugin.name == name


NO_NAMES = ("", "a", "Lipa", "1bank", "a-b", "a__b", "_a", "a_", "../a", "bank.py", "lípa", "a" * 31)
TAKEN_NAMES = ("none", "transaction", "settings", "pretend")


@pytest.mark.parametrize("name", [*NO_NAMES, *TAKEN_NAMES])
def test_a_bad_name_writes_nothing(kvit: Kvit, name: str) -> None:
    answer = kvit.run("plugin", "new", name)
    assert answer.code == 1
    assert "name" in answer.sentence()
    assert not (kvit.folder / "plugins").exists()


def test_the_name_of_another_plugin_is_refused(kvit: Kvit) -> None:
    assert "fio" in kvit.run("plugin", "new", "fio").sentence()
    assert not (kvit.folder / "plugins").exists()


@pytest.mark.parametrize("there", ["kvit_acme.py", "test_kvit_acme.py", "pyproject.toml"])
def test_a_file_that_is_there_stays_and_nothing_is_half_written(
    kvit: Kvit, tmp_path: Path, there: str
) -> None:
    (tmp_path / there).write_text("mine", encoding="utf-8")
    before = sorted(path.name for path in tmp_path.iterdir())
    answer = kvit.run("plugin", "new", "acme", "--package", "--into", str(tmp_path))
    assert answer.code == 1
    assert there in answer.sentence()
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (tmp_path / there).read_text(encoding="utf-8") == "mine"


def test_a_folder_that_is_a_file_is_one_sentence(kvit: Kvit, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    for into in (tmp_path / "file", tmp_path / "file" / "below"):
        answer = kvit.run("plugin", "new", "acme", "--into", str(into))
        assert answer.code == 1
        assert str(tmp_path / "file") in answer.sentence()


def test_a_dry_run_shows_what_would_be_new_and_stores_nothing(
    kvit: Kvit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _served(kvit, "maple", monkeypatch) as (bank, words):
        before = _everything(kvit)
        said = kvit.run("plugin", "dev", "maple", *words, "--once", "--rows", "3", TOKEN=bank.secret)
        assert (said.code, said.err) == (0, "")
        assert _everything(kvit) == before
    count = len(bank.movements)
    lines = said.out.splitlines()
    assert lines[0] == "check: Eva Nová (client-1)"
    assert [line.split()[0] for line in lines if "CZ65" in line and "cursor" not in line] == ["new"] * 4
    assert f"… and {count - 3} more; --rows shows them" in lines
    assert f"{count} new, 0 same, 0 changed, 0 conflict, 0 unreadable; complete; nothing was stored." in lines
    assert any(line.startswith("cursor: {} → {") for line in lines)


def test_a_new_plugin_reads_its_pretend_bank_without_a_token(kvit: Kvit) -> None:
    kvit.ok("plugin", "new", "maple")
    before = _everything(kvit)
    said = kvit.ok("plugin", "dev", "maple", "--pretend", "--once")
    assert _everything(kvit) == before
    assert "check: Eva Nová (client-1)" in said
    assert "2026000123" in said
    assert "0 unreadable; complete; nothing was stored." in said


def test_values_come_from_one_place(kvit: Kvit) -> None:
    kvit.ok("plugin", "new", "maple")
    answer = kvit.run(
        "plugin", "dev", "maple", "--pretend", "--once", "--setting", "base_url=http://127.0.0.1:9"
    )
    assert answer.code == 1
    assert "only one of" in answer.sentence()


def test_the_file_of_the_pretend_bank_is_watched_too(kvit: Kvit) -> None:
    kvit.ok("plugin", "new", "maple")
    file = kvit.folder / "plugins" / "test_kvit_maple.py"
    with _watching(kvit, ["--pretend"], "") as dev:
        assert "complete" in dev.told()
        _replace(file, '"id": movement.id', '"id": movement.id + "x"')
        assert "9999999995x" in dev.told()
        _replace(file, '"id": movement.id + "x"', '"id": movement.id +')
        assert "SyntaxError" in dev.told()
        _replace(file, '"id": movement.id +', '"id": movement.id')
        assert "complete" in dev.told()


def test_a_dry_run_of_a_connection_compares_with_the_ledger(
    kvit: Kvit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _served(kvit, "maple", monkeypatch) as (bank, words):
        added = kvit.run("connection", "add", "maple", "--name", "Maple", *words, TOKEN=bank.secret)
        assert added.code == 0, added.err
        kvit.ok("sync", "Maple")
        one, two, three, *others = bank.listed()
        bank.movements = [
            replace(one, amount=one.amount + Decimal("1.00")),
            replace(two, message="told in full"),
            replace(three, id=""),
            replace(three, id="9999"),
            *others,
        ]
        before = _everything(kvit)
        said = kvit.ok("plugin", "dev", "maple", "--connection", "Maple", "--from-start", "--once")
        assert _everything(kvit) == before
    rows = {
        line.split()[2]: line.split()[0]
        for line in said.splitlines()
        if " CZ65" in line and "new  CZ" not in line
    }
    assert f"1 new, {len(others)} same, 1 changed, 1 conflict, 1 unreadable; complete" in said
    assert rows[one.id] == "conflict"
    assert rows[two.id] == "changed"
    assert "told in full" in said
    assert "The record has no id." in said
    cursors = next(line for line in said.splitlines() if line.startswith("cursor: {} → "))
    assert json.loads(cursors.partition("→")[2])


def test_what_goes_wrong_is_shown_by_the_plugins_own_lines_without_secrets(
    kvit: Kvit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _served(kvit, "maple", monkeypatch) as (bank, words):
        refused = kvit.run("plugin", "dev", "maple", *words, "--once", TOKEN=WRONG)
        assert refused.code == 1
        assert "AuthExpired: " in refused.out
        file = kvit.folder / "plugins" / "kvit_maple.py"
        _replace(file, 'me = self._get("/me")', 'raise KeyError(f"{self.config.token.reveal()} is odd")')
        crashed = kvit.run("plugin", "dev", "maple", *words, "--once", TOKEN=bank.secret)
        _replace(file, 'raise KeyError(f"{self.config.token.reveal()} is odd")', 'me = self._get("/me")')
        _replace(file, 'message=record["message"]', 'message=f"told {self_token}"')
        _replace(file, "OVERLAP =", f'self_token = "{bank.secret}"\nOVERLAP =')
        careless = kvit.run("plugin", "dev", "maple", *words, "--once", TOKEN=bank.secret)
    assert "***" in careless.out
    assert "complete" in careless.out
    assert crashed.code == 1
    assert "kvit_maple.py" in crashed.out
    assert "in check" in crashed.out
    assert "KeyError: '*** is odd'" in crashed.out
    assert "sync/http.py" not in crashed.everything + refused.everything
    for answer in (refused, crashed, careless):
        assert WRONG not in answer.everything
        assert bank.secret[:12] not in answer.everything


def test_a_credential_on_the_command_line_is_refused(kvit: Kvit) -> None:
    kvit.ok("plugin", "new", "maple")
    answer = kvit.run("plugin", "dev", "maple", "--once", "--setting", f"token={WRONG}")
    assert answer.code == 1
    assert "--credential" in answer.sentence()
    assert WRONG not in answer.everything


def test_it_reads_again_whenever_the_plugin_is_saved(kvit: Kvit, monkeypatch: pytest.MonkeyPatch) -> None:
    with _served(kvit, "maple", monkeypatch) as (bank, words), _watching(kvit, words, bank.secret) as dev:
        file = kvit.folder / "plugins" / "kvit_maple.py"
        assert "0 changed" in dev.told()
        _replace(file, "yield account", 'ctx.log("read anew")\n            yield account')
        assert "log: read anew" in dev.told()
        _replace(file, "def check(self)", "def check(self")
        assert "SyntaxError" in dev.told()
        _replace(file, "def check(self", "def check(self)")
        assert "log: read anew" in dev.told()
        dev.process.send_signal(signal.SIGINT)
        assert dev.process.wait(timeout=20) == 0


def test_it_reads_an_installed_plugin_again_too(
    kvit: Kvit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with _served(kvit, "maple", monkeypatch) as (bank, words):
        folder = _installed(kvit.folder / "plugins", "maple", tmp_path / "site")
        with _watching(kvit, words, bank.secret, PYTHONPATH=str(folder)) as dev:
            assert "complete" in dev.told()
            _replace(folder / "kvit_maple.py", "yield account", "yield account.iban")
            assert "AttributeError: 'Account' object has no attribute 'iban'" in dev.told()
            _replace(folder / "kvit_maple.py", "yield account.iban", "yield (account")
            assert "SyntaxError" in dev.told()
            _replace(folder / "kvit_maple.py", "yield (account", "yield account.name")
            assert "yielded str, which is no item" in dev.told()
            _replace(folder / "kvit_maple.py", "yield account.name", "yield account")
            assert "complete" in dev.told()


def test_a_recording_holds_the_answers_and_no_secret(
    kvit: Kvit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "maple.cassette.json"
    with _served(kvit, "maple", monkeypatch) as (bank, words):
        before = _everything(kvit)
        said = kvit.run("plugin", "record", "maple", *words, "-o", str(path), TOKEN=bank.secret)
        assert (said.code, said.err) == (0, "")
        assert _everything(kvit) == before
        asked = [(request.method, request.url.path) for request in bank.requests]
        again = kvit.run("plugin", "record", "maple", *words, "-o", str(path), TOKEN=bank.secret)
    cassette = json.loads(path.read_text(encoding="utf-8"))
    assert [(one["method"], httpx.URL(one["url"]).path) for one in cassette["answers"]] == asked
    assert f"{len(asked)} answers" in said.out
    assert bank.listed()[0].id in path.read_text(encoding="utf-8")
    assert bank.secret not in path.read_text(encoding="utf-8")
    assert again.code == 1
    assert str(path) in again.sentence()


def test_a_test_reads_a_recording_again(kvit: Kvit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "maple.cassette.json"
    with _served(kvit, "maple", monkeypatch) as (bank, words):
        kvit.run("plugin", "record", "maple", *words, "-o", str(path), TOKEN=bank.secret)
        setting = {"base_url": words[1].partition("=")[2], "token": "any"}
    plugin = importlib.import_module("kvit_maple").Maple
    *items, last = replayed(plugin, path, setting)
    assert [item.external_id for item in items if isinstance(item, Transaction)] == [
        movement.id for movement in bank.listed()
    ]
    assert isinstance(last, Checkpoint)
    with pytest.raises(NotRecorded):
        replayed(plugin, path, setting, cursor=last.cursor)


def test_a_run_that_fails_records_nothing(
    kvit: Kvit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "maple.cassette.json"
    with _served(kvit, "maple", monkeypatch) as (_bank, words):
        refused = kvit.run("plugin", "record", "maple", *words, "-o", str(path), TOKEN=WRONG)
    assert refused.code == 1
    assert "AuthExpired" in refused.out
    assert WRONG not in refused.everything
    assert not path.exists()


def test_a_plugin_is_switched_off_and_on(kvit: Kvit) -> None:
    assert "switched off for Eva Nová" in kvit.ok("plugin", "disable", "demo_bank")
    assert "already" in kvit.ok("plugin", "disable", "demo_bank")
    assert "off for Eva Nová" in kvit.ok("plugin", "list")
    assert "switched on for Eva Nová" in kvit.ok("plugin", "enable", "demo_bank")
    assert "off for" not in kvit.ok("plugin", "list")
    for verb in ("disable", "enable"):
        answer = kvit.run("plugin", verb, "nonesuch")
        assert answer.code == 1
        assert "nonesuch" in answer.sentence()


def test_a_broken_plugin_is_listed_with_its_reason(kvit: Kvit) -> None:
    folder = kvit.folder / "plugins"
    folder.mkdir()
    (folder / "kvit_broken.py").write_text("import nothing_of_that_name\n", encoding="utf-8")
    said = kvit.ok("plugin", "list")
    assert "nothing_of_that_name" in said
    assert next(line for line in said.splitlines() if line.startswith("broken ")).split()[2:4] == [
        "–",
        "broken",
    ]
    assert "fio" in said


def test_a_plugin_that_is_gone_is_named_where_connections_need_it(
    kvit: Kvit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _served(kvit, "maple", monkeypatch) as (bank, words):
        kvit.run("connection", "add", "maple", "--name", "Maple", *words, TOKEN=bank.secret)
    (kvit.folder / "plugins" / "kvit_maple.py").unlink()
    assert "maple: not installed, but there are connections of it" in kvit.ok("plugin", "list")


class _Dev:
    """`kvit plugin dev` under way, as somebody at the terminal sees it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: Queue[str] = Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def told(self) -> str:
        """Return everything up to the next time it waits for a change."""
        lines: list[str] = []
        while not lines or "Waiting for a change" not in lines[-1]:
            lines.append(self._lines.get(timeout=TIMEOUT_SECONDS))
        return "".join(lines)

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)


@contextmanager
def _watching(kvit: Kvit, words: list[str], token: str, **env: str) -> Iterator[_Dev]:
    process = kvit.start("plugin", "dev", "maple", *words, TOKEN=token, PYTHONUNBUFFERED="1", **env)
    try:
        yield _Dev(process)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def _served(
    kvit: Kvit, name: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[PretendBank, list[str]]]:
    """A new plugin in the installation, its bank as a server, and the words that lead there."""
    kvit.ok("plugin", "new", name)
    _plugin, contract = _written(kvit.folder / "plugins", name, monkeypatch)
    bank = contract.bank()
    fill(bank)
    with serving(bank) as address:
        yield bank, ["--setting", f"base_url={address}", "--credential", "token=@env:TOKEN"]


def _installed(folder: Path, name: str, site: Path) -> Path:
    """Move a plugin from the drop-in folder to where Python finds it with its entry point."""
    about = site / f"kvit_{name}-0.1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: kvit-{name}\nVersion: 0.1\n", encoding="utf-8"
    )
    entry = f"[kvit.plugins]\n{name} = kvit_{name}:{name.capitalize()}\n"
    (about / "entry_points.txt").write_text(entry, encoding="utf-8")
    (folder / f"kvit_{name}.py").rename(site / f"kvit_{name}.py")
    return site


def _written(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[type[Plugin[Any]], type[PluginContract]]:
    """Import what was written and return the plugin and its contract."""
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for module in (f"kvit_{name}", f"test_kvit_{name}"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    tests = importlib.import_module(f"test_kvit_{name}")
    class_name = "".join(word.capitalize() for word in name.split("_"))
    contract: type[PluginContract] = getattr(tests, f"Test{class_name}")
    return contract.plugin, contract


def _passes(folder: Path, tool: str, *words: str) -> None:
    """Run a tool as somebody does who has nothing set."""
    done = subprocess.run(
        [sys.executable, "-m", tool, *words],
        cwd=folder,
        env=Kvit(folder / "data").environment(PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _replace(file: Path, old: str, new: str) -> None:
    """Change a file as an editor does: it appears whole."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    draft = file.with_suffix(".draft")
    draft.write_text(text.replace(old, new), encoding="utf-8")
    draft.replace(file)


def _everything(kvit: Kvit) -> str:
    """The whole database as text."""
    environment = kvit.environment(DJANGO_SETTINGS_MODULE="kvit.config.settings")
    done = subprocess.run(
        [sys.executable, "-m", "django", "dumpdata"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
