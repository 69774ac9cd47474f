"""Deciding about 100,000 payments against 100,000 invoices, beside the rule of most products and a hash join.

Measured is what one process computes, not how long it waits, and of all three only the deciding. Reading
files is left out; Kvit's figure holds the extraction of references, the documents issued meanwhile and its
own bookkeeping. The peer looks up the variable symbol and compares the amount; the limit looks up a
dictionary and does nothing else. All take turns, and the best of the rounds counts.
"""

from __future__ import annotations

import gc
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.measuring import peak_memory_mb, report
from benchmarks.tenants import module, tenant
from kvit.cli.match_file import read
from kvit.kernel.matching import walk

INVOICES = 100_000
ROUNDS = 3


def main(prefix: str) -> None:
    with tempfile.TemporaryDirectory(prefix="kvit-tenants-") as folder:
        for profile in ("mixed", "association"):
            name = f"match.kernel.{profile}"
            if name.startswith(prefix) or prefix.startswith(name):
                _report(name, tenant(Path(folder), profile, INVOICES, seed=1))


def _report(name: str, place: Path) -> None:
    turns: dict[str, Callable[[Path], tuple[float, int]]] = {"kvit": _kvit, "peer": _peer, "join": _join}
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for turn, act in turns.items():
            seconds, count = act(place)
            best[turn] = max(count / seconds, best.get(turn, 0.0))
    report(
        name,
        best["kvit"],
        unit="payments/s",
        peer="variable symbol and amount",
        peer_value=best["peer"],
        limit="dictionary lookup",
        limit_value=best["join"],
        microseconds=round(1e6 / best["kvit"], 1),
        memory_mb=round(peak_memory_mb()),
    )


def _kvit(place: Path) -> tuple[float, int]:
    index, invoices, coming = read(place)
    payments = list(coming)
    gc.collect()
    gc.disable()
    try:
        return _seconds(lambda: _exhaust(walk(index, invoices, payments))), len(payments)
    finally:
        gc.enable()


def _peer(place: Path) -> tuple[float, int]:
    peers = module("peers")
    wall, peers.time.perf_counter = peers.time.perf_counter, time.process_time
    try:
        microseconds = peers.decide("vs_amount", place, io.StringIO())
    finally:
        peers.time.perf_counter = wall
    return microseconds / 1e6, 1


def _join(place: Path) -> tuple[float, int]:
    owed = {row["variable_symbol"]: row["open_minor"] for row in _rows(place / "invoices.jsonl")}
    paid = [(row["variable_symbol"], row["amount_minor"]) for row in _rows(place / "transactions.jsonl")]
    return _seconds(lambda: _exhaust(owed.get(symbol) == minor for symbol, minor in paid)), len(paid)


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _exhaust(results: Iterable[object]) -> None:
    for _ in results:
        pass


def _seconds(act: Callable[[], None]) -> float:
    started = time.process_time()
    act()
    return time.process_time() - started


if __name__ == "__main__":
    main(sys.argv[2])
