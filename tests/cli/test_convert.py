"""`kvit convert`: one statement file becomes another, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import Kvit
from tests.kernel.statements.clean_files import CLEAN
from tests.kernel.statements.writers import camt, camt_entry


@pytest.fixture
def statement(tmp_path: Path) -> Path:
    path = tmp_path / "výpis.gpc"
    path.write_bytes(CLEAN["gpc"])
    return path


def entries(fresh: Kvit, path: Path) -> list[dict[str, object]]:
    printed = json.loads(fresh.ok("parse-statement", str(path), "--json"))
    where = {"line", "offset"}
    return [
        {name: value for name, value in entry.items() if name not in where}
        for each in printed["statements"]
        for entry in each["entries"]
    ]


@pytest.mark.parametrize("target", ["csv", "ofx", "json", "camt053"])
def test_a_converted_file_holds_the_same_entries(
    fresh: Kvit, statement: Path, tmp_path: Path, target: str
) -> None:
    out = tmp_path / "out"
    assert fresh.ok("convert", str(statement), "--to", target, "-o", str(out)) == ""
    assert entries(fresh, out) == entries(fresh, statement)
    assert fresh.ok("convert", str(statement), "--to", target) == out.read_text(encoding="utf-8")
    assert not fresh.folder.exists()


def test_a_file_may_be_converted_in_its_place(fresh: Kvit, statement: Path) -> None:
    before = entries(fresh, statement)
    fresh.ok("convert", str(statement), "--to", "camt053", "--output", str(statement))
    assert statement.read_bytes().startswith(b"<?xml")
    assert entries(fresh, statement) == before
    assert list(statement.parent.iterdir()) == [statement]


def test_a_pipe_is_converted(fresh: Kvit, statement: Path) -> None:
    text = statement.read_bytes().decode("cp1250").encode("ascii", "replace").decode()
    assert fresh.ok("convert", "-", "--to", "csv", input=text).startswith("account,currency,booked_on")


def test_records_that_are_missing_are_told_and_end_with_1(fresh: Kvit, tmp_path: Path) -> None:
    path, out = tmp_path / "file.xml", tmp_path / "out.csv"
    path.write_bytes(camt(camt_entry("12,50"), camt_entry("7.00")))
    answer = fresh.run("convert", str(path), "--to", "csv", "-o", str(out))
    assert (answer.code, answer.out) == (1, "")
    assert "not read (line 3)" in answer.sentence()
    assert [entry["amount"] for entry in entries(fresh, out)] == ["7.00"]


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7", CLEAN["camt053"][:-40], CLEAN["pain002"]])
def test_what_cannot_be_read_leaves_no_file(fresh: Kvit, tmp_path: Path, content: bytes) -> None:
    path, out = tmp_path / "file", tmp_path / "out.csv"
    path.write_bytes(content)
    out.write_text("kept")
    answer = fresh.run("convert", str(path), "--to", "csv", "-o", str(out))
    assert (answer.code, answer.out) == (2, "")
    assert answer.sentence()
    assert out.read_text() == "kept"
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_file()) == ["file", "out.csv"]


def test_a_folder_that_is_not_there_is_named(fresh: Kvit, statement: Path, tmp_path: Path) -> None:
    answer = fresh.run("convert", str(statement), "--to", "csv", "-o", str(tmp_path / "missing" / "out.csv"))
    assert answer.code == 2
    assert answer.sentence()


def test_a_format_nobody_writes_is_refused(fresh: Kvit, statement: Path) -> None:
    for words in ([], ["--to", "mt940"]):
        answer = fresh.run("convert", str(statement), *words)
        assert answer.code == 2
        assert "Traceback" not in answer.everything
