"""The file of master keys is read again when it changes, and whatever happens to it takes no key away."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvit.config.environment import MasterKeyFile
from kvit.kernel.errors import SettingsError
from kvit.kernel.sealing import Key


def test_a_key_put_into_the_file_is_there_at_once(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    old, new = Key.generate(), Key.generate()
    path.write_text(old.to_text())
    ring = MasterKeyFile(path)
    path.write_text(f"{new.to_text()}\n{old.to_text()}\n")
    assert ring.ids == (new.id, old.id)
    assert ring.active.id == new.id
    path.write_text(f"{new.to_text()}\n")
    assert list(ring.ids) == [new.id]


def test_a_file_that_is_gone_or_damaged_meanwhile_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    key, other = Key.generate(), Key.generate()
    path.write_text(key.to_text())
    ring = MasterKeyFile(path)
    for content in (b"", b"no key", b"\xff\xfe"):
        path.write_bytes(content)
        assert ring.ids == (key.id,)
    path.unlink()
    assert ring.ids == (key.id,)
    path.write_text(other.to_text())
    assert ring.ids == (other.id,)


def test_a_file_without_keys_is_refused_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("\n")
    with pytest.raises(SettingsError):
        MasterKeyFile(path)
