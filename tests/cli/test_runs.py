"""Connections, syncs and imports from the command line, against real HTTP banks."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.banks.demo import TOKEN, account, running_demo_bank, transaction, write
from tests.banks.fio import TOKEN as FIO_TOKEN
from tests.banks.fio import FioBank, running_fio_bank
from tests.cli.test_statements import ENTRY_KEYS
from tests.commands import Kvit
from tests.kernel.statements.writers import camt, camt_entry


@pytest.fixture
def bank_file(tmp_path: Path) -> Path:
    path = tmp_path / "bank.json"
    records = [
        transaction("b", "1250.50", "2026-03-02", vs="0042", counterparty="Pekárna", message="díky"),
        transaction("a", "-99.00", "2026-03-01"),
    ]
    write(path, [account(*records)])
    return path


@pytest.fixture
def address(bank_file: Path) -> Iterator[str]:
    with running_demo_bank(bank_file) as address:
        yield address


@pytest.fixture
def fio() -> Iterator[FioBank]:
    with running_fio_bank() as bank:
        yield bank


def adding(address: str, credential: str, name: str = "Banka") -> list[str]:
    words = ["connection", "add", "demo_bank", "--name", name, "--setting", f"base_url={address}"]
    return [*words, "--credential", f"api_token={credential}"]


def test_a_connection_is_added_checked_listed_and_synced(kvit: Kvit, address: str) -> None:
    printed = kvit.ok(*adding(address, "@env:BANK_TOKEN"), BANK_TOKEN=TOKEN)
    assert "“Banka” works" in printed
    printed += kvit.ok("connection", "check", "Banka")
    assert "Banka" in kvit.ok("connection", "list")
    first = kvit.ok("sync", "Banka")
    assert first == "fetched 2, created 2, updated 0, unchanged 0, conflicting 0, quarantined 0\n"
    again = kvit.ok("sync", "Banka")
    assert again == "fetched 2, created 0, updated 0, unchanged 2, conflicting 0, quarantined 0\n"
    assert TOKEN not in printed + kvit.ok("connection", "list") + kvit.ok("transactions")


def test_movements_are_printed_in_order_as_json_lines(kvit: Kvit, address: str) -> None:
    kvit.ok(*adding(address, "@env:BANK_TOKEN"), BANK_TOKEN=TOKEN)
    kvit.ok("sync", "Banka")
    rows = kvit.transactions()
    assert [row["external_id"] for row in rows] == ["a", "b"]
    facts = ENTRY_KEYS[: ENTRY_KEYS.index("reference")]
    assert list(rows[1]) == [*facts, "account", "source", "type", "status", "organization"]
    assert rows[1]["amount"] == "1250.50"
    assert rows[1]["variable_symbol"] == "0042"
    assert (rows[0]["type"], rows[1]["type"], rows[1]["status"]) == ("expense", "income", "booked")
    assert rows[1]["organization"] == "Eva Nová"
    assert "Pekárna" in kvit.ok("transactions")
    assert kvit.ok("match") == "Eva Nová: settled 0, waiting 1\n"


def test_a_credential_can_lie_in_a_file(kvit: Kvit, address: str, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    kvit.ok(*adding(address, f"@file:{path}"))
    assert kvit.run(*adding(address, "@file:/nowhere", name="Druhá")).code == 1


def test_a_credential_on_the_command_line_is_refused_and_not_repeated(kvit: Kvit, address: str) -> None:
    literal = kvit.run(*adding(address, "s3cr3t-word"))
    assert literal.code == 2
    assert "@env:VARIABLE" in literal.err
    words = ["connection", "add", "demo_bank", "--name", "B", "--setting", f"base_url={address}"]
    as_setting = kvit.run(*words, "--setting", "api_token=s3cr3t-word")
    assert as_setting.code == 1
    assert "does not belong on the command line" in as_setting.sentence()
    as_argument = kvit.run(*words, "s3cr3t-word")
    assert as_argument.code == 2
    assert "s3cr3t-word" not in literal.everything + as_setting.everything + as_argument.everything
    assert "no connection yet" in kvit.ok("connection", "list")


def test_a_connection_that_does_not_work_is_not_kept(kvit: Kvit, address: str) -> None:
    wrong = kvit.run(*adding(address, "@env:BANK_TOKEN"), BANK_TOKEN="wrong-token-word")
    assert wrong.code == 1
    assert "wrong-token-word" not in wrong.sentence()
    assert "BANK_TOKEN" in kvit.run(*adding(address, "@env:BANK_TOKEN")).sentence()
    missing = kvit.run("connection", "add", "demo_bank", "--name", "B", "--setting", f"base_url={address}")
    assert "--credential api_token=@env:VARIABLE" in missing.sentence()
    assert "no connection yet" in kvit.ok("connection", "list")


def test_wrong_names_are_said_in_words(kvit: Kvit) -> None:
    assert "“acme” is not installed" in kvit.run("connection", "add", "acme", "--name", "A").sentence()
    assert "no connection “Banka”" in kvit.run("sync", "Banka").sentence()
    assert "“Nikdo”" in kvit.run("transactions", "--organization", "Nikdo").sentence()


def test_among_several_organizations_one_must_be_named(kvit: Kvit, address: str) -> None:
    kvit.add_organization("Druhá firma")
    words = adding(address, "@env:BANK_TOKEN")
    assert "--organization" in kvit.run(*words, BANK_TOKEN=TOKEN).sentence()
    kvit.ok(*words, "--organization", "Druhá firma", BANK_TOKEN=TOKEN)
    kvit.ok("sync", "Banka", "--organization", "Druhá firma")
    assert len(kvit.transactions()) == 2
    assert kvit.transactions("--organization", "Eva Nová") == []


def test_a_failed_sync_ends_with_1_and_the_error_in_words(kvit: Kvit, address: str, bank_file: Path) -> None:
    kvit.ok(*adding(address, "@env:BANK_TOKEN"), BANK_TOKEN=TOKEN)
    bank_file.write_text('{"token": "another one", "accounts": []}')
    answer = kvit.run("sync", "Banka")
    assert answer.code == 1
    assert answer.out.startswith("fetched 0, created 0")
    assert "credentials" in answer.sentence()
    assert TOKEN not in answer.everything
    doctor = kvit.run("doctor")
    assert doctor.code == 1
    assert "“Banka” of “Eva Nová” needs attention" in doctor.out


def test_ctrl_c_gives_a_waiting_run_back(kvit: Kvit, fio: FioBank) -> None:
    words = ["connection", "add", "fio", "--name", "Fio", "--setting", f"base_url={fio.base_url}"]
    kvit.ok(
        *(*words, "--setting", "token_interval_seconds=60", "--credential", "api_token=@env:T"), T=FIO_TOKEN
    )
    process = kvit.start("sync", "Fio")
    wait_for_run(kvit, "running")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (out, err) == ("", "")
    assert process.returncode in (130, -signal.SIGINT), "a shell shows 130 for both"
    wait_for_run(kvit, "pending")


def wait_for_run(kvit: Kvit, status: str) -> None:
    deadline = time.monotonic() + 20
    found = None
    while time.monotonic() < deadline:
        found = status_of_the_run(kvit)
        if found == (status,):
            return
        time.sleep(0.1)
    raise AssertionError(found)


def status_of_the_run(kvit: Kvit) -> tuple[str, ...] | None:
    """Ask the database itself, since a command would start with a run of its own."""
    query = "SELECT status FROM sync_synchistory"
    if url := kvit.env.get("KVIT_DATABASE_URL"):
        with psycopg.connect(url) as server:
            return server.execute(query).fetchone()
    with closing(sqlite3.connect(kvit.folder / "kvit.sqlite3")) as file:
        row: tuple[str, ...] | None = file.execute(query).fetchone()
        return row


def test_a_statement_is_imported_once(kvit: Kvit, tmp_path: Path) -> None:
    path = tmp_path / "statement.xml"
    path.write_bytes(camt(camt_entry("1250.50"), camt_entry("0.10", "DBIT"), camt_entry("12,50")))
    assert "created 2, updated 0, unchanged 0, conflicting 0, quarantined 1" in kvit.ok("import", str(path))
    assert "created 0, updated 0, unchanged 2" in kvit.ok("import", str(path))
    rows = kvit.transactions()
    assert sorted(row["amount"] for row in rows) == ["-0.10", "1250.50"]


def test_what_cannot_be_imported_ends_with_1_and_a_sentence(kvit: Kvit, tmp_path: Path) -> None:
    path = tmp_path / "statement.pdf"
    path.write_bytes(b"%PDF-1.7")
    answer = kvit.run("import", str(path))
    assert answer.code == 1
    assert "statement.pdf: This is a PDF" in answer.sentence()
    assert "cannot be opened" in kvit.run("import", str(tmp_path / "missing")).sentence()
