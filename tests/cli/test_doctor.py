"""`kvit doctor`: what it finds, and what it says to do."""

from __future__ import annotations

from pathlib import Path

from kvit.kernel.sealing import Key
from tests.banks.demo import TOKEN, account, running_demo_bank, write
from tests.commands import Kvit


def test_a_sound_installation_is_in_order(kvit: Kvit) -> None:
    printed = kvit.ok("doctor")
    assert "Everything is in order." in printed
    assert ("postgresql" if kvit.env else "journal mode wal") in printed
    for plugin in ("fio", "statement_file", "demo_bank"):
        assert plugin in printed


def test_a_database_without_tables_is_wrong(fresh: Kvit) -> None:
    answer = fresh.run("doctor")
    assert (answer.code, answer.err) == (1, "")
    assert "kvit migrate" in answer.out


def test_a_database_that_does_not_answer_is_wrong(kvit: Kvit) -> None:
    answer = kvit.run("doctor", KVIT_DATABASE_URL="postgres://kvit:s3cr3t-word@127.0.0.1:1/kvit")
    assert (answer.code, answer.err) == (1, "")
    assert "KVIT_DATABASE_URL" in answer.out
    assert "s3cr3t-word" not in answer.out


def test_key_files_that_others_can_read_are_wrong(kvit: Kvit) -> None:
    (kvit.folder / "master.key").chmod(0o644)
    answer = kvit.run("doctor")
    assert answer.code == 1
    assert f"chmod 600 '{kvit.folder}/master.key'" in answer.out


def test_a_wrong_master_key_is_named_by_its_id(kvit: Kvit, tmp_path: Path) -> None:
    bank = tmp_path / "bank.json"
    write(bank, [account()])
    words = ["connection", "add", "demo_bank", "--name", "Banka", "--credential", "api_token=@env:T"]
    with running_demo_bank(bank) as address:
        kvit.ok(*words, "--setting", f"base_url={address}", T=TOKEN)
    right = Key.from_text((kvit.folder / "master.key").read_text())
    wrong = Key.generate().to_text()
    answer = kvit.run("doctor", KVIT_MASTER_KEY=wrong)
    assert (answer.code, answer.err) == (1, "")
    assert f"the master key {right.id} of “Eva Nová” is missing" in answer.out
    assert right.to_text() not in answer.out
    assert wrong not in answer.out
    sync = kvit.run("sync", "Banka", KVIT_MASTER_KEY=wrong)
    assert sync.code == 1
    assert right.id in sync.sentence()


def test_a_master_key_that_is_no_key_is_one_sentence(kvit: Kvit) -> None:
    answer = kvit.run("doctor", KVIT_MASTER_KEY="not a key")
    assert answer.code == 1
    assert "master key" in answer.sentence()
