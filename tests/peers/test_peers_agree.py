"""The comparison with other parsers: what counts as a difference, and the invented reversed credit."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from benchmarks.peer_differences import EXPLANATIONS, INVENTED
from benchmarks.peers_agree import Reading, Row, invented_row, page
from kvit.kernel.statements import read

ROOT = Path(__file__).resolve().parents[2]
READ = Reading(entries=2, total=Decimal("10.00"))
ROW = Row(folder="mt940", file="x.sta", peer="mt_940", ours=READ, theirs=READ, manifest=READ)


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        (READ, READ, "agrees"),
        (READ, replace(READ, entries=1), "same sum"),
        (READ, replace(READ, total=Decimal("10.01")), "differs"),
        (replace(READ, left_out=1), READ, "differs"),
        (Reading(error="StatementUnreadable"), READ, "differs"),
        (READ, Reading(error="ValueError"), "peer raises"),
        (Reading(error="StatementUnreadable"), Reading(error="ValueError"), "both refuse"),
    ],
)
def test_a_verdict_tells_who_reads_what(ours: Reading, theirs: Reading, verdict: str) -> None:
    assert replace(ROW, ours=ours, theirs=theirs).verdict == verdict


def test_the_balances_of_the_invented_statement_close_as_kvit_reads_it() -> None:
    file = read(INVENTED)
    (statement,) = file.statements
    assert [entry.minor for entry in statement.entries] == [-10_000]
    assert (file.warnings, file.errors) == ((), ())


@pytest.mark.soak
def test_mt_940_adds_the_reversed_credit() -> None:
    assert invented_row().theirs == Reading(entries=1, total=Decimal("100.00"))


def test_the_docs_explain_every_difference_that_was_found() -> None:
    written = (ROOT / "docs" / "statement-peers.md").read_text(encoding="utf-8")
    assert [file for file, _ in EXPLANATIONS if f"`{file}`" not in written] == []
    assert INVENTED.decode().strip() in written


def test_the_page_has_a_line_for_every_difference_and_counts_the_others() -> None:
    differs = replace(ROW, theirs=replace(READ, entries=1), file="other.sta")
    raises = replace(ROW, theirs=Reading(error="ValueError"), file="third.sta")
    written = page([ROW, differs, raises], ROW)
    assert "| mt940 | mt-940 5.1.1 | 3 | 1 | 1 | 0 | 1 | 0 |" in written
    assert "| `other.sta` | mt-940 5.1.1 | 2 / 10.00 | 1 / 10.00 | 2 / 10.00 |" in written
    assert "| mt-940 5.1.1 | `ValueError` | 1 | 1 | `third.sta` |" in written
