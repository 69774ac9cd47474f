"""`kvit parse-statement`: the JSON shape and the exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from tests.commands import ROOT, Kvit
from tests.kernel.statements.clean_files import CLEAN
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
    "reference",
    "pending",
    "is_bank_id",
    "line",
    "offset",
    "details",
]
STATEMENT_KEYS = [
    "account",
    "currency",
    "opening_balance",
    "closing_balance",
    "from_date",
    "to_date",
    "number",
    "format",
    "file",
    "entries",
]


@pytest.fixture
def statement(tmp_path: Path) -> Path:
    path = tmp_path / "výpis.xml"
    path.write_bytes(camt(camt_entry("1250.50"), camt_entry("0.10", "DBIT")))
    return path


def test_one_json_object_is_printed(fresh: Kvit, statement: Path) -> None:
    printed = json.loads(fresh.ok("parse-statement", str(statement), "--json"))
    assert list(printed) == ["file", "format", "statements", "warnings", "errors", "order_statuses"]
    assert printed["file"] == str(statement)
    [found] = printed["statements"]
    assert list(found) == STATEMENT_KEYS
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
    assert (error["line"], error["field"]) == (3, "Amt")
    assert error["message"]


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
    answer = fresh.run("parse-statement", str(tmp_path / "missing"))
    assert answer.code == 2
    assert answer.sentence()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three statements, one of them below and packed, and two files that are none."""
    files = {
        "a.gpc": CLEAN["gpc"],
        "b.xml": camt(camt_entry("7.00"), camt_entry("x")),
        "below/c.zip": CLEAN["zip"],
        "letter.pdf": b"%PDF-1.7",
        "below/cut.xml": CLEAN["camt053"][:1000],
        ".hidden": b"not looked at",
    }
    for name, data in files.items():
        path = tmp_path / "statements" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "statements"


def test_a_folder_is_a_table_with_totals(fresh: Kvit, folder: Path) -> None:
    answer = fresh.run("parse-statement", str(folder))
    assert (answer.code, answer.err) == (2, "")
    heading, *rows = answer.out.split("\n\n")[0].splitlines()
    assert heading.split()[:5] == ["File", "Format", "Statements", "Entries", "Currency"]
    cells = {Path(row.split()[0]).name: row.split()[1:] for row in rows[:5]}
    assert list(cells) == ["a.gpc", "b.xml", "c.zip", "cut.xml", "letter.pdf"]
    assert cells["b.xml"] == ["camt.053", "1", "1", "CZK", "7.00", "2026-03-02", "2026-03-02", "0", "1"]
    assert cells["c.zip"][:3] == ["gpc|mt940", "2", "12"]
    assert cells["letter.pdf"] == cells["cut.xml"] == ["not", "read"]
    assert "differ" in cells["a.gpc"]
    assert "letter.pdf: This is a PDF." in answer.out
    totals = answer.out.split("\n\n")[1]
    assert totals.startswith("5 files: 3 read, 2 not read, 4 statements, 19 entries, ")
    assert "1 error" in totals
    assert "CZK" in totals


def test_a_folder_of_readable_files_ends_with_0(fresh: Kvit, folder: Path) -> None:
    for path in (folder / "letter.pdf", folder / "below" / "cut.xml"):
        path.unlink()
    assert "3 files: 3 read, 0 not read" in fresh.ok("parse-statement", str(folder))


def test_several_files_are_one_json_object_a_line(fresh: Kvit, folder: Path) -> None:
    answer = fresh.run("parse-statement", str(folder), "--json")
    assert (answer.code, answer.err) == (2, "")
    printed = {Path(each["file"]).name: each for each in map(json.loads, answer.out.splitlines())}
    assert list(printed) == ["a.gpc", "b.xml", "c.zip", "cut.xml", "letter.pdf"]
    assert list(printed["letter.pdf"]) == ["file", "error"]
    assert [each["file"] for each in printed["c.zip"]["statements"]] == ["a.gpc", "b.sta"]


def test_what_is_printed_as_json_is_a_statement_file_itself(
    fresh: Kvit, statement: Path, tmp_path: Path
) -> None:
    printed = tmp_path / "printed.json"
    printed.write_text(fresh.ok("parse-statement", str(statement), "--json"))
    again = json.loads(fresh.ok("parse-statement", str(printed), "--json"))
    assert again["format"] == "kvit-json"
    amounts = [entry["amount"] for entry in again["statements"][0]["entries"]]
    assert amounts == ["1250.50", "-0.10"]


def test_a_pipe_is_read(fresh: Kvit, statement: Path) -> None:
    text = statement.read_text(encoding="utf-8")
    assert IBAN in fresh.ok("parse-statement", "-", input=text)
    assert fresh.run("parse-statement", "-", input="hello").code == 2


def test_a_person_says_what_the_file_does_not(fresh: Kvit, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("Date;Amount\n2026-03-02;10.00\n")
    words = ["parse-statement", str(path), "--json", "--account", "1/0100", "--currency", "EUR"]
    [found] = json.loads(fresh.ok(*words))["statements"]
    assert (found["account"], found["currency"]) == ("1/0100", "EUR")
    assert fresh.run("parse-statement", str(path), "--currency", "crowns").code == 2


def test_a_profile_is_named_or_a_file(fresh: Kvit, tmp_path: Path) -> None:
    path, profile = tmp_path / "table.csv", tmp_path / "own.toml"
    path.write_bytes(CLEAN["kvit-csv"])
    shipped = resources.files("kvit.kernel.statements.csv") / "profiles" / "kvit.toml"
    profile.write_text(shipped.read_text("utf-8"), encoding="utf-8")
    for name in ("kvit", str(profile)):
        printed = json.loads(fresh.ok("parse-statement", str(path), "--json", "--profile", name))
        assert len(printed["statements"][0]["entries"]) == 6
    for name in ("nobody", str(tmp_path / "missing.toml"), str(_invalid(tmp_path))):
        answer = fresh.run("parse-statement", str(path), "--profile", name)
        assert answer.code == 2
        assert answer.sentence()


def _invalid(tmp_path: Path) -> Path:
    path = tmp_path / "invalid.toml"
    path.write_bytes(b"\xff = [")
    return path


def test_a_file_cannot_command_the_terminal(fresh: Kvit, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(CLEAN["kvit-json"].replace(b"Faktura", b"\\u001b[31mFaktura", 1))
    printed = fresh.ok("parse-statement", str(path))
    assert "\x1b" not in printed
    assert "[31mFaktura" in printed


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
