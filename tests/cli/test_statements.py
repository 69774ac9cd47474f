"""`kvit parse-statement`: the JSON shape and the exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import ROOT, Kvit
from tests.kernel.statements.writers import IBAN, camt, camt_entry

ENTRY_KEYS = [
    "external_id",
    "amount",
    "currency",
    "booked_on",
    "value_on",
    "counterparty_name",
    "counterparty_account",
    "variable_symbol",
    "constant_symbol",
    "specific_symbol",
    "message",
]


@pytest.fixture
def statement(tmp_path: Path) -> Path:
    path = tmp_path / "výpis.xml"
    path.write_bytes(camt(camt_entry("1250.50"), camt_entry("0.10", "DBIT")))
    return path


def test_one_json_object_is_printed(fresh: Kvit, statement: Path) -> None:
    printed = json.loads(fresh.ok("parse-statement", str(statement), "--json"))
    assert list(printed) == ["format", "statements", "warnings", "errors"]
    [found] = printed["statements"]
    assert list(found) == ["account", "currency", "opening_balance", "closing_balance", "entries"]
    assert (found["account"], found["currency"]) == (IBAN, "CZK")
    assert [list(entry) for entry in found["entries"]] == [ENTRY_KEYS, ENTRY_KEYS]
    assert [entry["amount"] for entry in found["entries"]] == ["1250.50", "-0.10"]
    assert found["entries"][0]["booked_on"] == "2026-03-02"
    assert not fresh.folder.exists()


def test_an_unreadable_record_is_among_the_errors(fresh: Kvit, tmp_path: Path) -> None:
    path = tmp_path / "bad.xml"
    path.write_bytes(camt(camt_entry("12,50"), camt_entry("7.00")))
    printed = json.loads(fresh.ok("parse-statement", str(path), "--json"))
    assert [entry["amount"] for entry in printed["statements"][0]["entries"]] == ["7.00"]
    [error] = printed["errors"]
    assert list(error) == ["line", "field", "message"]


def test_people_get_lines(fresh: Kvit, statement: Path) -> None:
    printed = fresh.ok("parse-statement", str(statement))
    assert IBAN in printed
    assert "1250.50" in printed


@pytest.mark.parametrize(
    "content", [b"", b"%PDF-1.7", b"hello", b"<a/>", b"<Document", b'{"a": 1}', b"\xff\x00"]
)
def test_what_is_no_statement_ends_with_2_and_a_sentence(fresh: Kvit, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    answer = fresh.run("parse-statement", str(path), "--json")
    assert (answer.code, answer.out) == (2, "")
    assert str(path) in answer.sentence()


def test_a_file_that_is_not_there_ends_with_2(fresh: Kvit, tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        answer = fresh.run("parse-statement", str(path))
        assert answer.code == 2
        assert answer.sentence()


def test_neither_django_nor_settings_are_needed(statement: Path) -> None:
    program = (
        "import sys; sys.modules['django'] = None\n"
        "from kvit.cli import main\n"
        "sys.exit(main(['parse-statement', sys.argv[1], '--json']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, statement],
        env={**os.environ, "KVIT_ENV": "production"},
        capture_output=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
