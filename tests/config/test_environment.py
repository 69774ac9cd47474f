from __future__ import annotations

import stat
from pathlib import Path

import pytest

from kvit.config.environment import Environment
from kvit.kernel.errors import SettingsError
from kvit.kernel.sealing import Key

PRODUCTION = {
    "KVIT_ENV": "production",
    "KVIT_SECRET_KEY": "s" * 50,
    "KVIT_MASTER_KEY": Key.of(b"k" * 32).to_text(),
    "KVIT_ALLOWED_HOSTS": "kvit.example",
}


def read(folder: Path, **variables: str) -> Environment:
    return Environment.read({"KVIT_DATA_DIR": str(folder / "data"), **variables})


def test_the_first_start_makes_keys_only_the_owner_can_read(tmp_path: Path) -> None:
    first, second = read(tmp_path), read(tmp_path)
    assert first.master_keys.ids == second.master_keys.ids
    assert first.secret_key == second.secret_key
    for name in ("secret.key", "master.key"):
        assert stat.S_IMODE((tmp_path / "data" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["master.key", "secret.key"]


def test_production_starts_with_everything_set_and_makes_no_key(tmp_path: Path) -> None:
    environment = read(tmp_path, **PRODUCTION)
    assert environment.production
    assert not list((tmp_path / "data").iterdir())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"KVIT_SECRET_KEY": ""}, "KVIT_SECRET_KEY"),
        ({"KVIT_SECRET_KEY": "short"}, "KVIT_SECRET_KEY"),
        ({"KVIT_MASTER_KEY": ""}, "KVIT_MASTER_KEY"),
        ({"KVIT_ALLOWED_HOSTS": ""}, "KVIT_ALLOWED_HOSTS"),
        ({"KVIT_ALLOWED_HOSTS": "kvit.example, *"}, "KVIT_ALLOWED_HOSTS"),
        ({"KVIT_ALLOWED_HOSTS": "*.example"}, "KVIT_ALLOWED_HOSTS"),
        ({"KVIT_DEBUG": "1"}, "KVIT_DEBUG"),
    ],
)
def test_production_refuses_to_start_and_names_what_to_set(
    tmp_path: Path, change: dict[str, str], named: str
) -> None:
    with pytest.raises(SettingsError, match=named):
        read(tmp_path, **PRODUCTION | change)


def test_production_names_everything_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, KVIT_ENV="production")
    for name in ("KVIT_SECRET_KEY", "KVIT_MASTER_KEY", "KVIT_ALLOWED_HOSTS"):
        assert name in str(caught.value)


def test_the_master_key_comes_from_a_file_the_first_line_active(tmp_path: Path) -> None:
    keys = [Key.generate(), Key.generate()]
    file = tmp_path / "keys"
    file.write_text("\n".join(key.to_text() for key in keys))
    assert read(tmp_path, KVIT_MASTER_KEY_FILE=str(file)).master_keys.ids == tuple(key.id for key in keys)


@pytest.mark.parametrize(
    "variables",
    [
        {"KVIT_MASTER_KEY": "too short"},
        {"KVIT_MASTER_KEY_FILE": "/nowhere/key"},
        {"KVIT_ENV": "staging"},
        {"KVIT_LOG_FORMAT": "xml"},
        {"KVIT_LEASE_SECONDS": "soon"},
    ],
)
def test_a_wrong_value_is_refused_with_its_name(tmp_path: Path, variables: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        read(tmp_path, **variables)


def test_keys_are_in_no_repr(tmp_path: Path) -> None:
    environment = read(tmp_path, **PRODUCTION)
    assert PRODUCTION["KVIT_SECRET_KEY"] not in repr(environment)
    assert PRODUCTION["KVIT_MASTER_KEY"] not in repr(environment)
