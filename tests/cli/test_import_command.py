"""`kvit import`: what is said on the command line, and the look before."""

from __future__ import annotations

from pathlib import Path

from tests.commands import Kvit
from tests.kernel.statements.writers import IBAN, camt, camt_balance, camt_entry, gpc, gpc_head, gpc_movement

TABLE = b"Date;Amount;Note\r\n2.3.2026;100,00;a\r\n3.3.2026;-5,50;b\r\n"
PROFILE = """\
name = "mine"
decimal = ","
date_order = "dmy"
headers = [["Date", "Amount", "Note"]]

[[columns]]
role = "booked_on"
names = ["Date"]

[[columns]]
role = "amount"
names = ["Amount"]

[[columns]]
role = "message"
names = ["Note"]
"""


def written(folder: Path, name: str, data: bytes) -> str:
    path = folder / name
    path.write_bytes(data)
    return str(path)


def test_a_preview_prints_what_files_would_bring_and_stores_nothing(kvit: Kvit, tmp_path: Path) -> None:
    head = camt_balance("OPBD", "0.00") + camt_balance("CLBD", "95.00")
    march = written(
        tmp_path,
        "march.xml",
        camt(
            camt_entry("100.00", more="<AcctSvcrRef>R1</AcctSvcrRef>"), camt_entry("5.00", "DBIT"), head=head
        ),
    )
    again = written(tmp_path, "again.gpc", gpc(gpc_head(), gpc_movement(10_000, booked="020326")))

    printed = kvit.ok("import", march, again, "--preview")

    heading, first, second = printed.splitlines()
    assert heading.split()[-4:] == ["new", "doubtful", "known", "conflicting"]
    assert first.split()[:3] == ["march.xml", IBAN, "CZK"]
    assert first.split()[-7:] == ["100.00", "-5.00", "agree", "2", "0", "0", "0"]
    assert second.split()[-4:] == ["0", "1", "0", "0"]
    assert kvit.transactions() == []
    assert "no connection yet" in kvit.ok("connection", "list")


def test_a_preview_says_what_a_file_needs_and_ends_with_1(kvit: Kvit, tmp_path: Path) -> None:
    table = written(tmp_path, "table.csv", TABLE)
    notes = written(tmp_path, "notes.pdf", b"%PDF-1.7")

    answer = kvit.run("import", table, notes, "--preview")

    assert answer.code == 1
    assert "table.csv: Say whose account it is with --account." in answer.out
    assert "table.csv: Say its currency with --currency." in answer.out
    assert "notes.pdf: This is a PDF" in answer.out


def test_what_a_file_does_not_say_is_said_on_the_command_line(kvit: Kvit, tmp_path: Path) -> None:
    table = written(tmp_path, "table.csv", TABLE)
    profile = written(tmp_path, "mine.toml", PROFILE.encode())

    printed = kvit.ok("import", table, "--account", IBAN, "--currency", "CZK", "--profile", profile)

    assert "fetched 2, created 2" in printed
    assert {(row["account"], row["amount"], row["message"]) for row in kvit.transactions()} == {
        (IBAN, "100.00", "a"),
        (IBAN, "-5.50", "b"),
    }


def test_several_files_are_one_run(kvit: Kvit, tmp_path: Path) -> None:
    march = written(tmp_path, "march.xml", camt(camt_entry("100.00")))
    april = written(tmp_path, "april.xml", camt(camt_entry("7.00", booked="2026-04-01")))

    assert "fetched 2, created 2" in kvit.ok("import", march, april)
    assert len(kvit.ok("run", "list", "Statement files").splitlines()) == 2
