"""`kvit plugin test`: finds the contract beside the plugin, prints each rule, and tells how to mend it."""

from __future__ import annotations

import argparse
import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from kvit.kernel.errors import KvitError
from kvit.sync import registry
from kvit.testing import command
from kvit.testing.finding import NoContract, contracts_of
from kvit.testing.rules import RuleBroken

ROOT = Path(__file__).resolve().parents[2]
BUK = Path(__file__).with_name("buk.py").read_text(encoding="utf-8")
BANK = Path(__file__).with_name("buk_bank.py").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the reference plugin and its contract as an author would have them."""
    write(tmp_path, BUK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def write(folder: Path, plugin: str) -> None:
    """Write the plugin and its contract, without the payment orders that it may have besides."""
    (folder / "kvit_buk.py").write_text(plugin, encoding="utf-8")
    alone = BANK[: BANK.index("class BukOrdersContract")].replace("from tests.testing.buk_orders", "#")
    test = alone.replace("from tests.testing.buk import", "from kvit_buk import").replace(
        "class BukContract", "class TestBuk"
    )
    (folder / "test_kvit_buk.py").write_text(test, encoding="utf-8")


def run(name: str) -> int:
    return command.test(argparse.Namespace(name=name))


@pytest.mark.parametrize("name", ["buk", "kvit_buk.py", "test_kvit_buk.py"])
def test_a_plugin_is_found_by_its_name_its_file_or_its_test(folder: Path, name: str) -> None:
    assert [contract.__name__ for contract in contracts_of(name)] == ["TestBuk"]


def test_every_rule_is_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("buk") == 0

    told = capsys.readouterr().out
    assert "Buk banka 1.0 (TestBuk)" in told
    assert "33 of 36 rules kept, 3 exempt" in told
    assert not (folder / "__pycache__").exists()


def test_a_broken_rule_says_what_was_seen_and_how_to_mend_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, BUK.replace('amount=record["amount"]', 'amount=float(record["amount"])'))

    assert run("buk") == 1

    told = " ".join(capsys.readouterr().out.split())
    assert "BROKEN exact-values" in told
    assert "seen: The amount is a float, which cannot hold money exactly. (field amount" in told
    assert "mend it: Give amounts as Decimal, int or text" in told
    assert "broken: " in told


def test_one_mistake_that_breaks_every_rule_is_not_told_at_each(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, BUK.replace("token: Secret = field(", "key: Secret = field("))

    assert run("buk") == 1

    told = capsys.readouterr().out
    assert told.count("seen: the same as above") > 5 * told.count("has no attribute 'token'")


def test_of_a_broken_plugin_without_a_test_it_is_said_what_breaks_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "test_kvit_buk.py").unlink()
    (folder / "kvit_buk.py").write_text("import nothing_of_that_name\n", encoding="utf-8")
    monkeypatch.setattr(settings, "KVIT", dataclasses.replace(settings.KVIT, plugins_dir=folder))
    registry.forget()
    try:
        with pytest.raises(NoContract, match="nothing_of_that_name"):
            contracts_of("buk")
    finally:
        registry.forget()


@pytest.mark.parametrize(
    "line",
    [
        "from kvit.sync import models",
        "from kvit import ledger",
        "import kvit.web.forms",
        "from django.db import connection",
    ],
)
def test_a_plugin_that_imports_more_of_kvit_is_told_so(folder: Path, line: str) -> None:
    write(folder, BUK.replace("import httpx", f"import httpx\n{line}"))
    (contract,) = contracts_of("buk")

    with pytest.raises(RuleBroken, match=r"kvit_buk\.py imports (kvit|django)\."):
        contract().test_it_imports_only_the_contract_of_kvit()


def test_a_plugin_without_a_contract_is_told_where_to_write_it(folder: Path) -> None:
    (folder / "test_kvit_buk.py").unlink()

    with pytest.raises(NoContract) as missing:
        contracts_of("kvit_buk.py")

    assert "test_kvit_buk.py" in str(missing.value)


def test_a_test_that_cannot_be_loaded_says_why(folder: Path) -> None:
    (folder / "test_kvit_buk.py").write_text("import nothing_of_that_name\n")

    with pytest.raises(KvitError, match="nothing_of_that_name"):
        contracts_of("buk")


def test_a_name_that_nobody_has_is_said(folder: Path) -> None:
    with pytest.raises(NoContract, match="There is no plugin “lipa”"):
        contracts_of("lipa")


def test_it_runs_without_pytest_without_a_database_and_without_a_network(folder: Path) -> None:
    """In a process of its own, where pytest cannot be imported and a socket cannot be made."""
    script = """
import socket, sys, time
sys.modules["pytest"] = None
def refused(*args, **kwargs): raise AssertionError("the network was used")
socket.socket.connect = refused
from kvit.testing import run_contract
from test_kvit_buk import TestBuk
started = time.process_time()
report = run_contract(TestBuk)
assert time.process_time() - started < 5, "the kit took longer than five seconds of the processor"
assert report.passed, [(trial.rule.name, trial.seen) for trial in report.broken]
from django.conf import settings
assert not list(settings.KVIT.data_dir.glob("*.sqlite3")), "a database was made"
print(len(report.trials))
"""
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("KVIT_", "DJANGO_"))}

    done = subprocess.run(
        [sys.executable, "-B", "-c", script],
        cwd=folder,
        env={**bare, "PYTHONPATH": str(folder), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout.strip()) == (0, "36"), done.stderr
