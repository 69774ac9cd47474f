"""Entries written to a file again, in a format that another program reads; Kvit reads back equal entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from kvit.kernel.statements.parsing import Event
from kvit.kernel.statements.writing import camt053, csv, json, ofx
from kvit.kernel.statements.writing.outline import Outline, outline_of

WRITERS: Final[dict[str, Callable[[Outline, Iterable[Event]], Iterator[str]]]] = {
    "csv": csv.written,
    "ofx": ofx.written,
    "json": json.written,
    "camt053": camt053.written,
}
"""Each yields the file's text, which is to be stored as UTF-8, while it goes through the events again."""

__all__ = ["WRITERS", "Outline", "outline_of"]
