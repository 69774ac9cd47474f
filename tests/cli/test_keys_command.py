"""`kvit keys`: what it tells, and the way from one master key to another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kvit.kernel.sealing import Key
from tests.banks.demo import TOKEN, account, running_demo_bank, write
from tests.commands import Kvit


@pytest.fixture
def connected(kvit: Kvit, tmp_path: Path) -> Iterator[Kvit]:
    """An installation with one connection, whose credentials are sealed."""
    bank = tmp_path / "bank.json"
    write(bank, [account()])
    words = ["connection", "add", "demo_bank", "--name", "Banka", "--credential", "api_token=@env:T"]
    with running_demo_bank(bank) as address:
        kvit.ok(*words, "--setting", f"base_url={address}", T=TOKEN)
        yield kvit


def master_key(kvit: Kvit) -> Key:
    return Key.from_text((kvit.folder / "master.key").read_text())


def line_of(text: str, word: str) -> list[str]:
    [line] = [line for line in text.splitlines() if line.startswith(word)]
    return line.split()


def data_keys(printed: str) -> list[list[str]]:
    """The lines of the second table, as words."""
    _, _, rest = printed.partition("Data key ")
    lines = rest.partition("\n\n")[0].splitlines()[1:]
    return [line.split() for line in lines]


def test_before_the_first_secret_there_is_no_data_key(kvit: Kvit) -> None:
    printed = kvit.ok("keys", "status")
    assert line_of(printed, master_key(kvit).id) == [master_key(kvit).id, "active", "0"]
    assert "There is no data key yet" in printed
    assert "Everything is in order." in printed
    assert "0 data keys wrapped" in kvit.ok("keys", "rewrap")
    assert "There is no data key yet" in kvit.ok("keys", "rotate")


def test_status_tells_keys_and_what_they_seal_and_no_secret(connected: Kvit) -> None:
    printed = connected.ok("keys", "status")
    [[_, state, _, wrapped_by, *rest]] = data_keys(printed)
    assert (state, wrapped_by) == ("seals", master_key(connected).id)
    assert rest == ["Eva", "Nová", "sync_pluginconfiguration", "1"]
    assert "Everything is in order." in printed
    assert master_key(connected).to_text() not in printed


def test_the_way_from_one_master_key_to_another(connected: Kvit) -> None:
    old, new = master_key(connected), Key.generate()
    both = {"KVIT_MASTER_KEY": f"{new.to_text()},{old.to_text()}"}
    printed = connected.ok("keys", "status", **both)
    assert f"Run “kvit keys rewrap” to wrap every data key with the master key {new.id}." in printed
    assert line_of(printed, new.id)[1:] == ["active", "0"]
    assert line_of(printed, old.id)[1:] == ["opens", "1"]
    printed = connected.ok("keys", "rewrap", **both)
    assert f"1 data key wrapped with the master key {new.id}." in printed
    assert f"Nothing needs the master key {old.id} any more" in printed
    only = {"KVIT_MASTER_KEY": new.to_text()}
    assert "Everything is in order." in connected.ok("keys", "status", **only)
    connected.ok("connection", "check", "Banka", **only)
    answer = connected.run("keys", "status")
    assert answer.code == 1
    assert line_of(answer.out, new.id)[1:] == ["MISSING", "1"]


def test_rotating_says_what_was_done(connected: Kvit) -> None:
    [[old, *_]] = data_keys(connected.ok("keys", "status"))
    printed = connected.ok("keys", "rotate", "--organization", "Eva Nová")
    assert "“Eva Nová”: 1 value sealed anew with the new data key" in printed
    assert f"Retired: {old}." in printed
    printed = connected.ok("keys", "status")
    states = {line[0]: (line[1], line[-1]) for line in data_keys(printed)}
    assert states[old] == ("retired", "none")
    assert sorted(states.values()) == [("retired", "none"), ("seals", "1")]
    assert "Everything is in order." in printed
    connected.ok("connection", "check", "Banka")
    assert connected.run("keys", "rotate", "--organization", "Nikdo").code == 1


def test_a_restored_backup_with_another_key_names_the_right_one(connected: Kvit) -> None:
    right = master_key(connected)
    wrong = Key.generate()
    (connected.folder / "master.key").write_text(wrong.to_text())
    answer = connected.run("keys", "status")
    assert answer.code == 1
    assert f"MISSING: put the master key {right.id} back into KVIT_MASTER_KEY" in answer.out
    for words in (("sync", "Banka"), ("connection", "check", "Banka"), ("keys", "rotate")):
        refused = connected.run(*words)
        assert refused.code == 1
        assert f"The master key {right.id} is missing." in refused.sentence()
        assert right.to_text() not in refused.everything
        assert wrong.to_text() not in refused.everything
    assert right.id in connected.run("doctor").out
    assert connected.run("transactions").code == 0
    (connected.folder / "master.key").write_text(right.to_text())
    assert "Everything is in order." in connected.ok("keys", "status")
    connected.ok("sync", "Banka")
