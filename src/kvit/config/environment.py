"""The settings a person gives through the environment, read once and checked before anything starts."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

import platformdirs

from kvit.config.mail import MailServer
from kvit.kernel.errors import SettingsError
from kvit.kernel.sealing import Key, KeyRing

_LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Every `KVIT_*` variable, read and checked."""

    production: bool
    debug: bool
    data_dir: Path
    plugins_dir: Path
    """Holds plugins that are single files; it need not exist."""
    database_url: str = field(repr=False)
    """Empty for the SQLite file in the data folder."""
    secret_key: str = field(repr=False)
    master_keys: KeyRing = field(repr=False)
    allowed_hosts: tuple[str, ...]
    base_url: str
    log_format: Literal["console", "json"]
    lease_seconds: float
    raw_days: int
    """How long sealed answers and records of sources are kept."""
    mail_server: MailServer | None
    """None sends no mail."""

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> Environment:
        """Read the variables; outside production, make missing keys into files of mode 0600.

        Raises SettingsError, naming every variable to set.
        """
        production = _choice(variables, "KVIT_ENV", ("development", "production")) == "production"
        if production:
            _refuse_unsafe(variables)
        data_dir = Path(
            variables.get("KVIT_DATA_DIR") or platformdirs.user_data_path("kvit", appauthor=False)
        )
        _make_private(data_dir)
        base_url = variables.get("KVIT_BASE_URL", "http://127.0.0.1:8000").rstrip("/")
        return cls(
            production=production,
            debug=_flag(variables, "KVIT_DEBUG"),
            data_dir=data_dir,
            plugins_dir=Path(variables.get("KVIT_PLUGINS_DIR") or data_dir / "plugins"),
            database_url=variables.get("KVIT_DATABASE_URL", ""),
            secret_key=variables.get("KVIT_SECRET_KEY")
            or _kept(data_dir / "secret.key", secrets.token_urlsafe(50)),
            master_keys=_master_keys(variables, data_dir),
            allowed_hosts=_list(variables.get("KVIT_ALLOWED_HOSTS", "")) or _LOCAL_HOSTS,
            base_url=base_url,
            log_format=cast(
                'Literal["console", "json"]', _choice(variables, "KVIT_LOG_FORMAT", ("console", "json"))
            ),
            lease_seconds=_seconds(variables, "KVIT_LEASE_SECONDS", "60"),
            raw_days=_days(variables, "KVIT_RAW_DAYS", "90"),
            mail_server=MailServer.from_url(
                variables.get("KVIT_SMTP_URL", ""), variables.get("KVIT_MAIL_FROM", "")
            ),
        )


def _refuse_unsafe(variables: Mapping[str, str]) -> None:
    """Production keeps no generated keys, no debug pages and no open host list."""
    problems = [
        f"set {name}" for name in ("KVIT_SECRET_KEY", "KVIT_ALLOWED_HOSTS") if not variables.get(name)
    ]
    if not (variables.get("KVIT_MASTER_KEY") or variables.get("KVIT_MASTER_KEY_FILE")):
        problems.append("set KVIT_MASTER_KEY or KVIT_MASTER_KEY_FILE (32 random bytes in base64)")
    if 0 < len(variables.get("KVIT_SECRET_KEY", "")) < 32:
        problems.append("make KVIT_SECRET_KEY at least 32 characters long")
    if any("*" in host for host in _list(variables.get("KVIT_ALLOWED_HOSTS", ""))):
        problems.append("name the hosts in KVIT_ALLOWED_HOSTS instead of a wildcard")
    if _flag(variables, "KVIT_DEBUG"):
        problems.append("unset KVIT_DEBUG")
    if problems:
        raise SettingsError(
            "Kvit does not start with KVIT_ENV=production yet: {problems}.", problems="; ".join(problems)
        )


class MasterKeyFile(KeyRing):
    """The master keys of a file, one a line or separated by commas, the active one first.

    It is read again when it changes: a key that was added or put back is there without a restart. A file that
    is gone or unreadable meanwhile changes nothing.
    """

    def __init__(self, path: Path) -> None:
        """Raises SettingsError where the file holds no keys, and OSError or UnicodeDecodeError."""
        self._path = path
        self._state = _state_of(path)
        self._found = self._read()

    @property
    def keys(self) -> tuple[Key, ...]:
        with suppress(OSError, UnicodeDecodeError, SettingsError):
            state = _state_of(self._path)
            if state != self._state:
                self._found, self._state = self._read(), state
        return self._found

    def _read(self) -> tuple[Key, ...]:
        return _keys_in(self._path.read_text(encoding="utf-8"))


def _state_of(path: Path) -> tuple[int, int, int]:
    """What differs once a file was written or replaced."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _keys_in(text: str) -> tuple[Key, ...]:
    return KeyRing.from_text(text.replace("\n", ",")).keys


def _master_keys(variables: Mapping[str, str], data_dir: Path) -> KeyRing:
    text = variables.get("KVIT_MASTER_KEY", "")
    path = variables.get("KVIT_MASTER_KEY_FILE", "")
    if text and path:
        raise SettingsError("Set KVIT_MASTER_KEY or KVIT_MASTER_KEY_FILE, not both.")
    if text:
        return KeyRing(_keys_in(text))
    if not path:
        _kept(data_dir / "master.key", Key.generate().to_text())
        return MasterKeyFile(data_dir / "master.key")
    try:
        return MasterKeyFile(Path(path))
    except (OSError, UnicodeDecodeError):
        raise SettingsError("KVIT_MASTER_KEY_FILE names {path}, which cannot be read.", path=path) from None


def _kept(path: Path, new_value: str) -> str:
    """Return what the file holds; write it first, for the owner's eyes only, where there is none.

    The file appears whole or not at all, and the first of several starting processes wins.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    if not path.exists():
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(new_value)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="utf-8").strip()


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingsError(
            "KVIT_DATA_DIR names {path}, which cannot be created ({reason}).",
            path=folder,
            reason=error.strerror,
        ) from None


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _flag(variables: Mapping[str, str], name: str) -> bool:
    return variables.get(name, "").lower() in ("1", "true", "yes", "on")


def _choice(variables: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    value = variables.get(name, "") or choices[0]
    if value not in choices:
        raise SettingsError(
            "{name} is “{value}”; it can be {choices}.", name=name, value=value, choices=" or ".join(choices)
        )
    return value


def _seconds(variables: Mapping[str, str], name: str, default: str) -> float:
    try:
        value = float(variables.get(name, "") or default)
    except ValueError:
        value = 0.0
    if not 1 <= value <= 3600:
        raise SettingsError("{name} must be a number of seconds from 1 to 3600.", name=name)
    return value


def _days(variables: Mapping[str, str], name: str, default: str) -> int:
    text = variables.get(name, "") or default
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 3660):
        raise SettingsError("{name} must be a whole number of days from 1 to 3660.", name=name)
    return int(text)
