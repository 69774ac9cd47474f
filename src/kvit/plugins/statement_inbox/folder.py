"""The folder that statement files are dropped into: what may be read, and where it goes when it was."""

from __future__ import annotations

import hmac
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

from kvit.plugin import Misconfigured, Secret, Temporary

KEY_FILE: Final = ".kvit-inbox"
"""Proves that whoever keeps the folder means it for this connection: it holds the folder key, or nothing."""
READ: Final[Literal["read"]] = "read"
UNREADABLE: Final[Literal["unreadable"]] = "unreadable"
LARGEST_FILE_BYTES: Final = 64 * 1024 * 1024
QUIET_SECONDS: Final = 10.0
"""How long a file has not changed before it is taken for whole."""

_UNFINISHED: Final = (".part", ".partial", ".filepart", ".tmp", ".crdownload")
_LONGEST_KEY_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class State:
    """What tells one writing of a file from another, as far as its directory knows."""

    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, told: os.stat_result) -> State:
        return cls(told.st_ino, told.st_size, told.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of the folder that nobody is writing any more."""

    path: Path
    state: State

    @property
    def name(self) -> str:
        """Its name for people and for the database, which take valid Unicode only."""
        return os.fsencode(self.path.name).decode("utf-8", "replace")

    @property
    def is_too_large(self) -> bool:
        return self.state.size > LARGEST_FILE_BYTES


@dataclass(frozen=True, slots=True)
class Found:
    """What lies in the folder."""

    files: Sequence[FoundFile]
    unfinished: Sequence[str]
    """Names of files that are still being written."""
    refused: Sequence[str]
    """Names of links, devices and the like, which are never followed."""
    folders: Sequence[str]
    """Names of folders within, which are not read."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, as files carry it."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


class Folder:
    """One watched folder. Names that begin with a dot and names of unfinished files do not exist for it."""

    def __init__(self, path: str, key: Secret, *, moves: bool, clock: Clock | None = None) -> None:
        self.path = Path(path)
        self._key = key
        self._moves = moves
        self._clock = clock or Clock()

    def check(self) -> None:
        """Raise Misconfigured unless the folder is there, is meant for this connection and can be used."""
        if not self.path.is_absolute():
            raise Misconfigured("Write the folder as a whole path, such as /srv/statements.", field="folder")
        self._require_key()
        try:
            for _entry in self.path.iterdir():
                break
            for name in (READ, UNREADABLE) if self._moves else ():
                self._require_writable(self.path / name)
        except OSError as error:
            raise Misconfigured(
                "The folder {folder} cannot be used ({reason}). The user that Kvit runs as must be able to"
                " read and write it.",
                field="folder",
                folder=self.path,
                reason=_reason(error),
            ) from None

    def require_present(self) -> None:
        """Raise Temporary where the folder is away, as a network drive may be; Misconfigured for its key."""
        try:
            (self.path / KEY_FILE).stat()
        except OSError:
            raise Temporary(
                "The folder {folder} is away at the moment, or it holds no file {name} any more. Kvit reads"
                " only folders with that file in them.",
                folder=self.path,
                name=KEY_FILE,
            ) from None
        self._require_key()

    def found(self) -> Found:
        """List the folder in the order of names; where a file is fresh, wait until one can tell.

        Raises Temporary where the folder cannot be listed.
        """
        try:
            before, _folders, _others = self._listed()
            self._wait_for_fresh(before)
            after, folders, others = self._listed()
        except OSError as error:
            raise Temporary(
                "The folder {folder} cannot be read ({reason}).", folder=self.path, reason=_reason(error)
            ) from None
        return Found(
            files=[
                FoundFile(self.path / name, state)
                for name, state in sorted(after.items())
                if state == before.get(name)
            ],
            unfinished=[name for name, state in sorted(after.items()) if state != before.get(name)],
            refused=sorted(others),
            folders=sorted(set(folders) - set(_OWN)),
        )

    def content(self, file: FoundFile) -> bytes | None:
        """Read a file whole; None where it changed meanwhile or is gone, which the next sync looks at again.

        Raises OSError where it cannot be read.
        """
        try:
            descriptor = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as stream:
            told = os.fstat(descriptor)
            if not stat.S_ISREG(told.st_mode) or State.of(told) != file.state:
                return None
            data = stream.read(LARGEST_FILE_BYTES + 1)
            is_whole = State.of(os.fstat(descriptor)) == file.state and len(data) == file.state.size
        return data if is_whole else None

    def put_away(self, file: FoundFile, where: str) -> bool:
        """Move a file into `read` or `unreadable`, under a free name; False where it is another file by now.

        Raises OSError where that cannot be done; the file then is where it was.
        """
        if _state(file.path) != file.state:
            return False
        destination = self._moved(file.path, self.path / where)
        if _state(destination) != file.state:
            # Somebody put another file in its place in the last moment: that one was not read.
            self._moved(destination, self.path)
            return False
        return True

    def _require_key(self) -> None:
        try:
            with (self.path / KEY_FILE).open("rb") as stream:
                written = stream.read(_LONGEST_KEY_BYTES).strip()
        except OSError:
            raise Misconfigured(
                "There is no folder {folder} on the server, or it holds no file {name}. Make that file (touch"
                " {path}), empty or with the folder key in it: it says that this folder is meant for Kvit, so"
                " that nobody else's is read.",
                field="folder",
                folder=self.path,
                name=KEY_FILE,
                path=self.path / KEY_FILE,
            ) from None
        if not hmac.compare_digest(written, self._key.reveal().encode()):
            raise Misconfigured(
                "The folder key is not the one in the file {name} of the folder.",
                field="folder_key",
                name=KEY_FILE,
            )

    def _require_writable(self, subfolder: Path) -> None:
        subfolder.mkdir(exist_ok=True)
        if subfolder.is_symlink():
            raise OSError("it is a link")
        for place in (self.path, subfolder):
            with tempfile.NamedTemporaryFile(prefix=".kvit-", dir=place):
                pass

    def _listed(self) -> tuple[dict[str, State], list[str], list[str]]:
        """The regular files with their state, the folders, and what is neither."""
        files: dict[str, State] = {}
        folders, others = [], []
        with os.scandir(self.path) as entries:
            for entry in entries:
                if _is_hidden(entry.name):
                    continue
                if entry.is_file(follow_symlinks=False):
                    with suppress(FileNotFoundError):
                        files[entry.name] = State.of(entry.stat(follow_symlinks=False))
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                else:
                    others.append(entry.name)
        return files, folders, others

    def _wait_for_fresh(self, states: dict[str, State]) -> None:
        """Sleep until every file that was written in the last seconds, or in the future, had its time."""
        now = self._clock.now()
        ages = [now - state.modified_ns / 1e9 for state in states.values()]
        fresh = [max(age, 0.0) for age in ages if age < QUIET_SECONDS]
        if fresh:
            self._clock.sleep(QUIET_SECONDS - min(fresh))

    def _moved(self, path: Path, folder: Path) -> Path:
        """Move a file under a name that is free in the other folder, and return where it is."""
        if folder != self.path:
            folder.mkdir(exist_ok=True)
            if folder.is_symlink():
                raise OSError(f"{folder.name} is a link")
        for candidate in _names(path.name):
            destination = folder / candidate
            try:
                # The empty file keeps the name, since renaming replaces whatever has it.
                destination.touch(exist_ok=False)
            except FileExistsError:
                continue
            try:
                return path.replace(destination)
            except OSError:
                destination.unlink()
                raise
        raise AssertionError("names never end")


_OWN: Final = (READ, UNREADABLE)


def digest(data: bytes) -> str:
    """Return by what a file is remembered: half of its SHA-256."""
    return sha256(data).hexdigest()[:32]


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower().endswith(_UNFINISHED)


def _state(path: Path) -> State | None:
    """The state of a regular file; None for anything else."""
    try:
        told = path.lstat()
    except FileNotFoundError:
        return None
    return State.of(told) if stat.S_ISREG(told.st_mode) else None


def _names(name: str) -> Iterator[str]:
    """Yield the name, then `name (2).xml`, `name (3).xml` and so on."""
    yield name
    path = Path(name)
    number = 2
    while True:
        yield f"{path.stem} ({number}){path.suffix}"
        number += 1


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
