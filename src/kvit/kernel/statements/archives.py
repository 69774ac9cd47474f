"""ZIP archives of statements, as banks send them: opened in memory, within limits that no bomb gets past."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from typing import Final

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.statements.source import Source

MOST_FILES: Final = 500
LARGEST_BYTES: Final = 256 * 1024 * 1024
"""All unpacked files together."""
_LARGEST_RATIO: Final = 400
"""XML of a bank packs to a twentieth; what packs better than this only fills the memory."""
_SMALL_BYTES: Final = 1024 * 1024
"""A file up to this size is no danger, however well it was packed."""
_BEGINNING: Final = b"PK\x03\x04"
_IGNORED: Final = ("__MACOSX/", ".")


def is_archive(source: Source) -> bool:
    return source.head.startswith(_BEGINNING)


def members(source: Source) -> Iterator[Source]:
    """Yield the files of an archive in their order, each named as it is there.

    Raises StatementUnreadable for a damaged or encrypted archive, an archive within the archive, and where
    the files are more or larger than any bank's.
    """
    try:
        with zipfile.ZipFile(source.open()) as archive:
            files = [each for each in archive.infolist() if _counts(each)]
            _require_bounded(files, source)
            for each in files:
                yield Source(_content(archive, each, source), each.filename)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError) as error:
        raise _refused(source, "The ZIP archive is damaged: {reason}.", reason=str(error)) from None


def _counts(member: zipfile.ZipInfo) -> bool:
    name = member.filename.rpartition("/")[2]
    return bool(name) and not name.startswith(_IGNORED) and not member.filename.startswith(_IGNORED)


def _require_bounded(files: list[zipfile.ZipInfo], source: Source) -> None:
    if not files:
        raise _refused(source, "The ZIP archive is empty.")
    if len(files) > MOST_FILES:
        raise _refused(source, "The ZIP archive holds more than {most} files.", most=MOST_FILES)
    if sum(each.file_size for each in files) > LARGEST_BYTES:
        raise _refused(source, "The files in the ZIP archive are too large to be statements.")
    for each in files:
        if each.flag_bits & 1:
            raise _refused(source, "{name} is encrypted. Unpack the archive first.", name=each.filename)
        if each.file_size > max(_SMALL_BYTES, each.compress_size * _LARGEST_RATIO):
            raise _refused(source, "{name} is packed like no statement; it was not read.", name=each.filename)


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, source: Source) -> bytes:
    """Unpack one file, at most as much as it says it holds."""
    try:
        with archive.open(member) as stream:
            content = stream.read(member.file_size + 1)
    except (RuntimeError, zlib.error) as error:
        reason = str(error)
        raise _refused(source, "{name} is damaged: {reason}.", name=member.filename, reason=reason) from None
    if len(content) > member.file_size:
        raise _refused(source, "{name} is larger than the archive says.", name=member.filename)
    if content.startswith(_BEGINNING):
        nested = "{name} is an archive within the archive. Unpack it first."
        raise _refused(source, nested, name=member.filename)
    return content


def _refused(source: Source, message: str, **params: str | int) -> StatementUnreadable:
    error = StatementUnreadable(message, source=source.name)
    error.params |= params
    return error
