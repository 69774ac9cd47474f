"""ZIP archives of statements, as banks send them: read while they unpack, within limits against bombs."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final, cast

from kvit.kernel.errors import StatementUnreadable, UnknownFormat
from kvit.kernel.statements.source import BLOCK_BYTES, Source

MOST_FILES: Final = 500
LARGEST_BYTES: Final = 256 * 1024 * 1024
"""All unpacked files together."""
_LARGEST_DIRECTORY: Final = 1024 * 1024
"""The list of the files, which is read into memory before it can be counted."""
_LARGEST_RATIO: Final = 400
"""XML of a bank packs to a twentieth; what packs better than this only fills the memory."""
_SMALL_BYTES: Final = 1024 * 1024
"""A file up to this size is no danger, however well it was packed."""
_BEGINNING: Final = b"PK\x03\x04"
_DIRECTORY_END: Final = b"PK\x05\x06"
"""An empty archive is nothing else."""
_LONGEST_END: Final = 22 + 65_535
"""APPNOTE 4.3.16: the end record and the longest comment."""
_IGNORED: Final = ("__MACOSX", ".")
_WORKBOOK: Final = ("[Content_Types].xml", "META-INF/manifest.xml")
"""What every workbook of Excel or LibreOffice holds."""
_DAMAGE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
)
"""What the standard library raises for damaged and encrypted archives."""


def is_archive(source: Source) -> bool:
    return source.head.startswith((_BEGINNING, _DIRECTORY_END))


def members(source: Source) -> Iterator[Source]:
    """Yield the files of an archive in their order, each named as it is there and proved whole.

    Raises StatementUnreadable for a damaged or encrypted archive, an archive within the archive, and where
    the files are more or larger than any bank's; UnknownFormat for a workbook, which is an archive too.
    """
    try:
        _require_small_directory(source)
        with zipfile.ZipFile(source.open()) as archive:
            files = _files(archive, source)
            for each in files:
                _require_whole(archive, each, source)
                with archive.open(each) as stream:
                    yield Source(cast("BinaryIO", stream), each.filename)
    except _DAMAGE as error:
        raise _refused(source, "The ZIP archive is damaged: {reason}.", reason=str(error)) from None


def _require_small_directory(source: Source) -> None:
    """Read how long the list of files says it is, before the standard library reads it."""
    stream = source.open()
    size = stream.seek(0, 2)
    stream.seek(max(size - _LONGEST_END, 0))
    tail = stream.read(_LONGEST_END)
    end = tail.rfind(_DIRECTORY_END)
    if end >= 0 and len(tail) >= end + 16:
        count, length = struct.unpack_from("<HL", tail, end + 10)
        if count > MOST_FILES or length > _LARGEST_DIRECTORY:
            raise _refused(source, "The ZIP archive holds more than {most} files.", most=MOST_FILES)


def _files(archive: zipfile.ZipFile, source: Source) -> list[zipfile.ZipInfo]:
    """Return the files that may be statements; raises like `members`."""
    names = set(archive.namelist())
    if not names.isdisjoint(_WORKBOOK):
        raise UnknownFormat("This is a workbook (Excel or LibreOffice). Export the statement as CSV.")
    files = [each for each in archive.infolist() if _counts(each)]
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
    return files


def _counts(member: zipfile.ZipInfo) -> bool:
    parts = [part for part in member.filename.split("/") if part not in (".", "..")]
    is_file = bool(parts) and bool(parts[-1])
    return is_file and not parts[0].startswith(_IGNORED) and not parts[-1].startswith(_IGNORED)


def _require_whole(archive: zipfile.ZipFile, member: zipfile.ZipInfo, source: Source) -> None:
    """Unpack one file without keeping it, which proves its size and its checksum."""
    size = 0
    with archive.open(member) as stream:
        while block := stream.read(BLOCK_BYTES):
            if size == 0 and block.startswith(_BEGINNING):
                nested = "{name} is an archive within the archive. Unpack it first."
                raise _refused(source, nested, name=member.filename)
            size += len(block)
    if size != member.file_size:
        raise _refused(source, "{name} is not as large as the archive says.", name=member.filename)


def _refused(source: Source, message: str, **params: str | int) -> StatementUnreadable:
    error = StatementUnreadable(message, source=source.name)
    error.params |= params
    return error
