"""Statement files that are dropped into a folder, in a real one."""

from __future__ import annotations

import errno
import io
import os
import threading
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from kvit.plugin import Checkpoint, Item, Misconfigured, Secret, SourceFile, Temporary
from kvit.plugins.statement_file import StatementFile, StatementFileConfig
from kvit.plugins.statement_inbox import StatementInbox, folder, memory
from kvit.plugins.statement_inbox.folder import Clock, Folder, FoundFile
from tests.kernel.statements.writers import (
    IBAN,
    camt,
    camt_entry,
    fio,
    fio_movement,
    gpc,
    gpc_head,
    gpc_movement,
)
from tests.plugins.harness import Run, http_client
from tests.plugins.statement_inbox.conftest import drop
from tests.plugins.statement_inbox.reading import a_run, a_statement, accounts, amounts, steps, synced

type Connect = Callable[..., StatementInbox]

OTHER = "CZ6508000000192000145399"


def names(path: Path) -> list[str]:
    return sorted(each.name for each in path.iterdir() if not each.name.startswith("."))


def a_folder(path: Path, **options: object) -> Folder:
    return Folder(str(path), Secret(""), moves=True, **options)  # type: ignore[arg-type]  # the test's own options


def files(path: Path) -> Sequence[FoundFile]:
    return a_folder(path).found().files


def test_a_dropped_file_is_read_and_moved(inbox: Path, connect: Connect) -> None:
    drop(inbox, "march.xml", a_statement("100.00", "250.50"))
    run = a_run()

    assert amounts(synced(connect(folder=str(inbox)), run)) == ["100.00", "250.50"]

    assert names(inbox) == ["read"]
    assert names(inbox / "read") == ["march.xml"]
    assert run.warnings == []
    assert run.cursor["read"] == []


def test_the_same_file_says_the_same_as_when_a_person_hands_it_over(inbox: Path, connect: Connect) -> None:
    data = fio(fio_movement(), fio_movement(c22=26000000002))
    drop(inbox, "march.json", data)
    with http_client() as http:
        handed = Run(today=a_run().today, files=[SourceFile(name="march.json", data=data)])
        by_hand = list(StatementFile(StatementFileConfig(), http).sync(handed))

    dropped = synced(connect(folder=str(inbox)), a_run())

    def told(items: list[Item]) -> list[Item]:
        return [item for item in items if not isinstance(item, Checkpoint)]

    assert told(dropped) == told(by_hand)
    assert len(told(dropped)) == 4


def test_a_file_is_not_moved_before_its_checkpoint_is_committed(inbox: Path, connect: Connect) -> None:
    drop(inbox, "march.xml", a_statement("100.00"))
    plugin, run = connect(folder=str(inbox)), a_run()

    for item in steps(plugin, run):
        assert names(inbox) == ["march.xml"]
        if isinstance(item, Checkpoint):
            break

    assert names(inbox) == ["march.xml"]
    assert amounts(synced(plugin, run)) == []
    assert names(inbox) == ["read"]


def test_what_was_never_committed_is_read_again(inbox: Path, connect: Connect) -> None:
    drop(inbox, "march.xml", a_statement("100.00"))
    plugin, run = connect(folder=str(inbox)), a_run()

    assert amounts(synced(plugin, run, commits=False)) == ["100.00"]
    assert names(inbox) == ["march.xml"]

    assert amounts(synced(plugin, run)) == ["100.00"]
    assert names(inbox) == ["read"]


def test_an_unreadable_file_is_put_aside_and_the_others_go_on(inbox: Path, connect: Connect) -> None:
    drop(inbox, "a.pdf", b"%PDF-1.7")
    drop(inbox, "b.xml", a_statement("100.00")[:-40])
    drop(inbox, "c.xml", a_statement("7.00"))
    run = a_run()

    assert amounts(synced(connect(folder=str(inbox)), run)) == ["7.00"]

    assert names(inbox / "unreadable") == ["a.pdf", "b.xml"]
    assert names(inbox / "read") == ["c.xml"]
    assert [warning.partition(":")[0] for warning in run.warnings] == ["a.pdf", "b.xml"]


def test_nothing_of_a_damaged_file_is_told(inbox: Path, connect: Connect) -> None:
    whole = a_statement(*["1.00"] * 50)
    drop(inbox, "march.xml", whole[: len(whole) // 2])

    items = synced(connect(folder=str(inbox)), a_run())

    assert all(isinstance(item, Checkpoint) for item in items)


def test_equal_names_in_read_do_not_replace_each_other(inbox: Path, connect: Connect) -> None:
    plugin, run = connect(folder=str(inbox)), a_run()
    for amount in ("1.00", "2.00", "3.00"):
        drop(inbox, "statement.xml", a_statement(amount))
        assert amounts(synced(plugin, run)) == [amount]

    assert names(inbox / "read") == ["statement (2).xml", "statement (3).xml", "statement.xml"]
    contents = {path.read_bytes() for path in (inbox / "read").iterdir()}
    assert contents == {a_statement(amount) for amount in ("1.00", "2.00", "3.00")}


@pytest.mark.parametrize(
    "name", ["a.xml.part", "a.TMP", ".a.xml", "a.xml.filepart", "a.crdownload", "a.partial"]
)
def test_unfinished_and_hidden_names_do_not_exist(inbox: Path, connect: Connect, name: str) -> None:
    drop(inbox, name, a_statement("100.00"))
    run = a_run()

    assert amounts(synced(connect(folder=str(inbox)), run)) == []

    assert (inbox / name).exists()
    assert run.lines == run.warnings == []


def test_a_file_that_still_grows_is_left_until_it_is_still(inbox: Path) -> None:
    path = drop(inbox, "march.xml", b"half", age_seconds=0)

    def write_on(seconds: float) -> None:
        path.write_bytes(b"half and more")

    found = a_folder(inbox, clock=Clock(sleep=write_on)).found()
    assert (found.files, found.unfinished) == ([], ["march.xml"])

    waited: list[float] = []
    found = a_folder(inbox, clock=Clock(sleep=waited.append)).found()
    assert [file.name for file in found.files] == ["march.xml"]
    assert 9 < sum(waited) <= folder.QUIET_SECONDS


def test_a_file_from_the_future_is_watched_for_the_whole_time(inbox: Path) -> None:
    drop(inbox, "march.xml", b"x", age_seconds=-3600)
    waited: list[float] = []

    found = a_folder(inbox, clock=Clock(sleep=waited.append)).found()

    assert waited == [folder.QUIET_SECONDS]
    assert len(found.files) == 1


def test_old_files_are_not_waited_for(inbox: Path) -> None:
    drop(inbox, "march.xml", b"x")
    waited: list[float] = []

    assert len(a_folder(inbox, clock=Clock(sleep=waited.append)).found().files) == 1
    assert waited == []


def test_a_file_that_grows_while_it_is_read_is_not_read(inbox: Path) -> None:
    path = drop(inbox, "march.xml", b"some")
    (file,) = files(inbox)
    assert a_folder(inbox).content(file) == b"some"

    with path.open("ab") as stream:
        stream.write(b" more")

    assert a_folder(inbox).content(file) is None
    path.unlink()
    assert a_folder(inbox).content(file) is None


def test_a_file_that_grows_within_the_very_read_is_not_read(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drop(inbox, "march.xml", b"some")
    (file,) = files(inbox)
    fstat = os.fstat

    def growing(descriptor: int) -> os.stat_result:
        told = fstat(descriptor)
        with path.open("ab") as stream:
            stream.write(b" more")
        return told

    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", growing)
        assert a_folder(inbox).content(file) is None

    assert path.read_bytes().startswith(b"some more")


def test_a_file_that_was_replaced_after_it_was_read_stays_to_be_read(inbox: Path, connect: Connect) -> None:
    drop(inbox, "march.xml", a_statement("1.00"))
    plugin, run = connect(folder=str(inbox)), a_run()
    first: list[Item] = []

    for item in steps(plugin, run):
        first.append(item)
        if isinstance(item, Checkpoint) and names(inbox) == ["march.xml"]:
            drop(inbox, "march.xml", a_statement("2.00"))

    assert amounts(first) == ["1.00"]
    assert names(inbox) == ["march.xml"]
    assert amounts(synced(plugin, run)) == ["2.00"]
    assert (inbox / "read" / "march.xml").read_bytes() == a_statement("2.00")


def test_a_file_that_is_swapped_within_the_move_comes_back(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drop(inbox, "march.xml", b"first")
    (file,) = files(inbox)
    rename = Path.replace

    def swapped(self: Path, target: Path) -> Path:
        if self == path and path.read_bytes() == b"first":
            drop(inbox, "march.xml", b"another")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", swapped)
    assert a_folder(inbox).put_away(file, "read") is False

    assert names(inbox / "read") == []
    assert path.read_bytes() == b"another"


def test_files_that_stay_are_remembered_and_read_once(inbox: Path, connect: Connect) -> None:
    drop(inbox, "a.xml", a_statement("1.00"))
    plugin, run = connect(folder=str(inbox), moves_files=False), a_run()
    assert amounts(synced(plugin, run)) == ["1.00"]

    drop(inbox, "b.xml", a_statement("2.00"))
    assert amounts(synced(plugin, run)) == ["2.00"]
    assert amounts(synced(plugin, run)) == []

    assert names(inbox) == ["a.xml", "b.xml"]
    assert len(run.cursor["read"]) == 2  # type: ignore[arg-type]  # JSON

    (inbox / "a.xml").unlink()
    synced(plugin, run)
    assert len(run.cursor["read"]) == 1  # type: ignore[arg-type]  # JSON


def test_an_unreadable_file_that_stays_is_told_each_time(inbox: Path, connect: Connect) -> None:
    drop(inbox, "a.pdf", b"%PDF-1.7")
    plugin = connect(folder=str(inbox), moves_files=False)

    for _time in range(2):
        run = a_run()
        synced(plugin, run)
        assert len(run.warnings) == 1
    assert names(inbox) == ["a.pdf"]


def test_what_is_remembered_stays_small(
    inbox: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "MOST_FILES", 3)
    for number in range(5):
        drop(inbox, f"{number}.xml", a_statement(f"{number + 1}.00"))
    plugin, run = connect(folder=str(inbox), moves_files=False), a_run()

    assert len(amounts(synced(plugin, run))) == 5

    assert len(run.cursor["read"]) == 3  # type: ignore[arg-type]  # JSON
    assert "read again each time" in run.warnings[0]
    again = amounts(synced(plugin, run))
    assert {"1.00", "2.00"} <= set(again)


def test_files_that_are_moved_need_no_memory(
    inbox: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "MOST_FILES", 3)
    for number in range(5):
        drop(inbox, f"{number}.xml", a_statement(f"{number + 1}.00"))
    run = a_run()

    assert len(amounts(synced(connect(folder=str(inbox)), run))) == 5

    assert run.warnings == []
    assert len(names(inbox / "read")) == 5


def test_the_longest_memory_fits_into_a_cursor() -> None:
    full = memory.Memory("a" * 32)
    for number in range(memory.MOST_FILES + 5):
        full.note(folder.digest(str(number).encode()), "read")

    assert len(msgspec.json.encode(full.cursor())) < 48 * 1024
    assert memory.Memory.of(full.cursor(), about="a" * 32) == full


def test_other_settings_have_everything_looked_at_again(inbox: Path, connect: Connect) -> None:
    drop(inbox, "a.xml", a_statement("1.00"))
    run = a_run()
    assert amounts(synced(connect(folder=str(inbox), accounts=OTHER, moves_files=False), run)) == []
    assert OTHER not in run.warnings[0]
    assert IBAN in run.warnings[0]

    assert amounts(synced(connect(folder=str(inbox), accounts=IBAN, moves_files=False), run)) == ["1.00"]


@pytest.mark.parametrize(
    ("listed", "is_allowed"),
    [
        (IBAN, True),
        ("CZ55 2010 0000 0020 0014 5399", True),
        ("2000145399/2010", True),
        (f"{OTHER}; 2000145399/2010", True),
        ("2000145399/0800", False),
        ("2000145398/2010", False),
        ("2000145399", False),
        (OTHER, False),
    ],
)
def test_only_listed_accounts_are_brought(
    inbox: Path, connect: Connect, listed: str, is_allowed: bool
) -> None:
    drop(inbox, "march.xml", a_statement("1.00"))
    run = a_run()

    assert amounts(synced(connect(folder=str(inbox), accounts=listed), run)) == ["1.00"] * is_allowed

    assert names(inbox / ("read" if is_allowed else "unreadable")) == ["march.xml"]
    assert bool(run.warnings) is not is_allowed


def test_a_number_without_a_bank_fits_a_listed_one_with_a_bank(inbox: Path, connect: Connect) -> None:
    drop(inbox, "march.gpc", gpc(gpc_head(), gpc_movement()))

    assert amounts(synced(connect(folder=str(inbox), accounts=IBAN), a_run())) == ["100.00"]


def test_of_an_archive_only_the_listed_accounts_are_brought(inbox: Path, connect: Connect) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("own.xml", a_statement("1.00"))
        archive.writestr("other.xml", a_statement("99.00").replace(IBAN.encode(), OTHER.encode()))
        archive.writestr("note.txt", "nothing")
    drop(inbox, "all.zip", packed.getvalue())
    run = a_run()

    items = synced(connect(folder=str(inbox), accounts=IBAN), run)

    assert (accounts(items), amounts(items)) == ([f"{IBAN} CZK camt.053"], ["1.00"])
    assert any(OTHER in warning for warning in run.warnings)
    assert names(inbox / "read") == ["all.zip"]


def test_a_file_without_an_account_is_refused_unless_the_owner_says_whose_it_is(
    inbox: Path, connect: Connect
) -> None:
    data = camt(camt_entry("1.00")).replace(f"<IBAN>{IBAN}</IBAN>".encode(), b"")
    drop(inbox, "march.xml", data)
    run = a_run()
    assert amounts(synced(connect(folder=str(inbox), accounts=IBAN), run)) == []
    assert "whose account" in run.warnings[0]

    drop(inbox, "march.xml", data)
    items = synced(connect(folder=str(inbox), accounts=IBAN, account=IBAN), run)
    assert accounts(items) == [f"{IBAN} CZK camt.053"]


def test_a_link_is_never_followed(inbox: Path, connect: Connect, tmp_path: Path) -> None:
    outside = drop(tmp_path, "secret.xml", a_statement("1.00"))
    (inbox / "link.xml").symlink_to(outside)
    (inbox / "folder-link").symlink_to(tmp_path)
    os.mkfifo(inbox / "pipe.xml")
    run = a_run()

    assert amounts(synced(connect(folder=str(inbox)), run)) == []

    assert len(run.warnings) == 3
    assert outside.exists()
    assert (inbox / "link.xml").is_symlink()


def test_a_file_that_becomes_a_link_is_not_read(inbox: Path, tmp_path: Path) -> None:
    path = drop(inbox, "march.xml", b"own")
    (file,) = files(inbox)
    path.unlink()
    path.symlink_to(drop(tmp_path, "secret.xml", b"foreign"))

    with pytest.raises(OSError) as raised:
        a_folder(inbox).content(file)
    assert raised.value.errno == errno.ELOOP
    assert a_folder(inbox).put_away(file, "read") is False


def test_folders_within_are_named_and_not_read(inbox: Path, connect: Connect) -> None:
    (inbox / "2025").mkdir()
    drop(inbox / "2025", "march.xml", a_statement("1.00"))
    run = a_run()

    assert amounts(synced(connect(folder=str(inbox)), run)) == []
    assert any(line.startswith("2025 is a folder") for line in run.lines)


def test_a_file_larger_than_any_statement_is_left(
    inbox: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "LARGEST_FILE_BYTES", 100)
    drop(inbox, "huge.xml", a_statement("1.00"))
    run = a_run()

    assert amounts(synced(connect(folder=str(inbox)), run)) == []
    assert "larger than any statement" in run.warnings[0]
    assert names(inbox) == ["huge.xml"]


def test_a_file_that_may_not_be_read_does_not_stop_the_others(
    inbox: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(inbox, "a.xml", a_statement("1.00"))
    drop(inbox, "b.xml", a_statement("2.00"))
    open_file = os.open

    def refusing(path: object, *args: object, **options: object) -> int:
        if str(path).endswith("a.xml"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_file(path, *args, **options)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(os, "open", refusing)
    run = a_run()

    assert amounts(synced(connect(folder=str(inbox)), run)) == ["2.00"]
    assert run.warnings == ["a.xml cannot be read (Permission denied)."]
    assert names(inbox) == ["a.xml", "read"]


def test_where_a_file_cannot_be_moved_it_is_told_and_not_read_again(
    inbox: Path, connect: Connect, tmp_path: Path
) -> None:
    (inbox / "read").symlink_to(tmp_path)
    drop(inbox, "march.xml", a_statement("1.00"))
    plugin, run = connect(folder=str(inbox)), a_run()

    assert amounts(synced(plugin, run)) == ["1.00"]
    assert "could not be moved" in run.warnings[-1]
    assert names(inbox) == ["march.xml", "read"]

    assert amounts(synced(plugin, run)) == []


def test_names_that_are_no_text_are_read_too(inbox: Path, connect: Connect) -> None:
    drop(inbox, os.fsdecode(b"b\xf8ezen.xml"), a_statement("1.00"))
    run = a_run()

    assert amounts(synced(connect(folder=str(inbox)), run)) == ["1.00"]
    assert [os.fsencode(name) for name in names(inbox / "read")] == [b"b\xf8ezen.xml"]


def test_a_check_tries_the_folder_and_leaves_it_clean(inbox: Path, connect: Connect) -> None:
    first = connect(folder=str(inbox)).check()

    assert names(inbox) == ["read", "unreadable"]
    assert names(inbox / "read") == names(inbox / "unreadable") == []
    assert (
        first == connect(folder=f"{inbox}/").check() or first.key == connect(folder=f"{inbox}/").check().key
    )
    assert first.label == str(inbox)


def test_folders_are_told_apart_by_their_identity(inbox: Path, connect: Connect, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / ".kvit-inbox").touch()

    assert connect(folder=str(inbox)).check().key != connect(folder=str(other)).check().key


def test_only_a_folder_that_is_meant_for_it_is_touched(inbox: Path, connect: Connect, tmp_path: Path) -> None:
    strange = tmp_path / "strange"
    strange.mkdir()
    drop(strange, "march.xml", a_statement("1.00"))
    for path in (strange, tmp_path / "missing"):
        with pytest.raises(Misconfigured, match=r"holds no file \.kvit-inbox") as raised:
            connect(folder=str(path)).check()
        assert raised.value.field == "folder"
        assert f"touch {path}/.kvit-inbox" in str(raised.value)
    assert names(strange) == ["march.xml"]

    with pytest.raises(Misconfigured, match="whole path"):
        connect(folder="statements").check()


def test_the_folder_key_must_be_the_folder_s(inbox: Path, connect: Connect) -> None:
    (inbox / ".kvit-inbox").write_text("kľúč od Evy\n", encoding="utf-8")
    drop(inbox, "march.xml", a_statement("1.00"))

    for key in ("", "kluc od Evy"):
        plugin = connect(folder=str(inbox), folder_key=Secret(key))
        with pytest.raises(Misconfigured, match="folder key") as raised:
            plugin.check()
        assert raised.value.field == "folder_key"
        with pytest.raises(Misconfigured, match="folder key"):
            synced(plugin, a_run())

    right = connect(folder=str(inbox), folder_key=Secret("kľúč od Evy"))
    right.check()
    assert amounts(synced(right, a_run())) == ["1.00"]


def test_a_folder_that_is_away_is_tried_again_later(inbox: Path, connect: Connect) -> None:
    plugin = connect(folder=str(inbox))
    inbox.rename(inbox.with_name("unmounted"))

    with pytest.raises(Temporary, match="is away"):
        synced(plugin, a_run())


def test_a_folder_that_lost_its_mark_says_which_file_is_missing(inbox: Path, connect: Connect) -> None:
    drop(inbox, "march.xml", a_statement("1.00"))
    (inbox / ".kvit-inbox").unlink()

    with pytest.raises(Temporary, match=r"\.kvit-inbox"):
        synced(connect(folder=str(inbox)), a_run())
    assert names(inbox) == ["march.xml"]


def test_a_connection_needs_a_folder_or_a_mailbox(connect: Connect) -> None:
    for use in (lambda plugin: plugin.check(), lambda plugin: synced(plugin, a_run())):
        with pytest.raises(Misconfigured) as raised:
            use(connect())
        assert raised.value.field == "folder"


def test_a_writer_at_work_is_never_read_half(
    inbox: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real writer that appends slowly, and syncs all the while; only the whole file is ever told."""
    monkeypatch.setattr(folder, "QUIET_SECONDS", 0.3)
    lines = gpc(
        gpc_head(closing="00000000600000+"), *[gpc_movement(reference=f"{n:013}") for n in range(1, 51)]
    )
    path = inbox / "march.gpc"

    def write() -> None:
        with path.open("wb") as stream:
            for at in range(0, len(lines), 700):
                stream.write(lines[at : at + 700])
                stream.flush()
                time.sleep(0.05)

    writer = threading.Thread(target=write)
    writer.start()
    plugin, run, told = connect(folder=str(inbox)), a_run(), []
    while writer.is_alive() or path.exists():
        told += amounts(synced(plugin, run))
    writer.join()

    assert told == ["100.00"] * 50
    assert (inbox / "read" / "march.gpc").read_bytes() == lines
