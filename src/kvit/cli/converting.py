"""`kvit convert`: a statement file written in another format, without a database or keys."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, cast

from kvit.cli.statements import hints_of, opened, refused
from kvit.cli.tables import shown
from kvit.kernel.errors import StatementError, UnknownFormat
from kvit.kernel.statements import parse
from kvit.kernel.statements.writing import WRITERS, Outline, outline_of

INCOMPLETE: Final = 1


def convert(options: argparse.Namespace) -> int:
    """Write the file again; exit 1 where records are missing in it, 2 where nothing could be read."""
    try:
        hints = hints_of(options)
        with opened(options.file) as stream:
            outline = outline_of(parse(stream, source=options.file.name, hints=hints))
            if not outline.statements and options.to != "json":
                raise UnknownFormat("The file tells of no movements, so there is nothing to write.")
            pieces = WRITERS[options.to](outline, parse(stream, source=options.file.name, hints=hints))
            with _output(options.output) as output:
                _write(pieces, output)
    except (OSError, UnicodeDecodeError, StatementError) as error:
        return refused(options.file, error)
    _say_what_is_missing(outline)
    return INCOMPLETE if outline.errors else 0


@contextmanager
def _output(path: Path | None) -> Iterator[BinaryIO]:
    """Open what is written to; a file appears only when it is whole, so it may be the one that is read."""
    if path is None:
        yield sys.stdout.buffer
        return
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as kept:
        try:
            yield cast("BinaryIO", kept)
            kept.flush()
            Path(kept.name).replace(path)
        except BaseException:
            with suppress(FileNotFoundError):
                Path(kept.name).unlink()
            raise


def _write(pieces: Iterable[str], output: BinaryIO) -> None:
    output.writelines(piece.encode("utf-8", "backslashreplace") for piece in pieces)
    output.flush()


def _say_what_is_missing(outline: Outline) -> None:
    for problem in outline.errors:
        line = "" if problem.line is None else f" (line {problem.line})"
        print(f"kvit: not read{line}: {shown(problem.message)}", file=sys.stderr)
