"""The way in: find the format of a file by its content and let its reader read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from kvit.kernel.errors import UnknownFormat
from kvit.kernel.statements import camt, fio_json, gpc
from kvit.kernel.statements.values import StatementFile


class _Read(Protocol):
    def __call__(self, data: bytes, *, source: str = "") -> StatementFile: ...


_READERS: tuple[tuple[Callable[[bytes], str | None], _Read], ...] = (
    (camt.detect, camt.read),
    (gpc.detect, gpc.read),
    (fio_json.detect, fio_json.read),
)

_KNOWN_STRANGERS = (
    (b"%PDF", "This is a PDF. Export the statement as data: camt.053, GPC (ABO) or Fio JSON."),
    (b"PK\x03\x04", "This is a ZIP archive. Unpack it and upload the statement inside."),
)


def detect(data: bytes) -> str | None:
    """Return the name of the format where the content leaves no doubt, else None."""
    return next((name for detects, _ in _READERS if (name := detects(data))), None)


def parse(data: bytes, *, source: str = "") -> StatementFile:
    """Read a statement file of any known format; `source` names it in errors.

    A record that cannot be read is among `errors` and the others go on. Raises UnknownFormat where no
    reader knows the content, and StatementUnreadable where the file as a whole is damaged.
    """
    for detects, read in _READERS:
        if detects(data):
            return read(data, source=source)
    if not data.strip():
        raise UnknownFormat("The file is empty.")
    for beginning, message in _KNOWN_STRANGERS:
        if data.startswith(beginning):
            raise UnknownFormat(message)
    raise UnknownFormat
