"""Deciding about 100,000 payments against 100,000 invoices, beside the rule of most products and a hash join.

`match.kernel` is the deciding alone, of all three. Kvit's figure holds the extraction of references, the
documents issued meanwhile and its own bookkeeping. The peer looks up the variable symbol and compares the
amount; the limit looks up a dictionary and does nothing else.

`match.kernel.file` is the whole command, from files to decisions, beside the peer's; its limit only parses
the same lines.

What counts is what a process computes, not how long it waits; the time on the clock stands beside it. All
take turns, and the best of the rounds counts.
"""

from __future__ import annotations

import gc
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from benchmarks.measuring import peak_memory_mb, report
from benchmarks.tenants import BENCHMARK, module, tenant
from kvit.cli.match_file import read
from kvit.kernel.matching import walk

INVOICES = 100_000
ROUNDS = 3


class Turn(NamedTuple):
    """One turn: how much one process computed and waited for so many payments."""

    payments: int
    cpu_seconds: float
    wall_seconds: float = 0.0


type Act = Callable[[Path], Turn]


def main(prefix: str) -> None:
    with tempfile.TemporaryDirectory(prefix="kvit-tenants-") as folder:
        for profile in ("mixed", "association"):
            _measure(
                prefix,
                f"match.kernel.{profile}",
                Path(folder),
                profile,
                {"kvit": _deciding, "variable symbol and amount": _rule, "dictionary lookup": _join},
            )
        _measure(
            prefix,
            "match.kernel.file",
            Path(folder),
            "mixed",
            {"kvit": _command, "variable symbol and amount": _rule_command, "parsing the lines": _parsing},
        )


def _measure(prefix: str, name: str, folder: Path, profile: str, acts: dict[str, Act]) -> None:
    """Let Kvit, the peer and the limit, in this order, take turns; print the best of each."""
    if not (name.startswith(prefix) or prefix.startswith(name)):
        return
    place = tenant(folder, profile, INVOICES, seed=1)
    turns: dict[str, list[Turn]] = {each: [] for each in acts}
    for _ in range(ROUNDS):
        for each, act in acts.items():
            turns[each].append(act(place))
    kvit, peer, limit = (min(each, key=lambda turn: turn.cpu_seconds) for each in turns.values())
    _, peer_name, limit_name = acts
    report(
        name,
        kvit.payments / kvit.cpu_seconds,
        unit="payments/s",
        peer=peer_name,
        peer_value=peer.payments / peer.cpu_seconds,
        limit=limit_name,
        limit_value=limit.payments / limit.cpu_seconds,
        cpu_microseconds=round(1e6 * kvit.cpu_seconds / kvit.payments, 1),
        wall_microseconds=round(1e6 * kvit.wall_seconds / kvit.payments, 1),
        memory_mb=round(peak_memory_mb()),
    )


def _deciding(place: Path) -> Turn:
    index, invoices, coming = read(place)
    payments = list(coming)
    gc.collect()
    gc.disable()
    try:
        return _timed(len(payments), lambda: _exhaust(walk(index, invoices, payments)))
    finally:
        gc.enable()


def _rule(place: Path) -> Turn:
    peers = module("peers")
    wall, peers.time.perf_counter = peers.time.perf_counter, time.process_time
    try:
        microseconds = peers.decide("vs_amount", place, io.StringIO())
    finally:
        peers.time.perf_counter = wall
    return Turn(1, microseconds / 1e6)


def _join(place: Path) -> Turn:
    owed = {row["variable_symbol"]: row["open_minor"] for row in _rows(place / "invoices.jsonl")}
    paid = [(row["variable_symbol"], row["amount_minor"]) for row in _rows(place / "transactions.jsonl")]
    return _timed(len(paid), lambda: _exhaust(owed.get(symbol) == minor for symbol, minor in paid))


def _command(place: Path) -> Turn:
    return _run(place, "-m", "kvit", "match-file", str(place))


def _rule_command(place: Path) -> Turn:
    return _run(place, str(BENCHMARK / "peers.py"), "vs_amount", str(place))


def _parsing(place: Path) -> Turn:
    return _timed(_payments(place), lambda: _exhaust(_parsed(place)))


def _parsed(place: Path) -> Iterable[Any]:
    for name in ("accounts", "customers", "invoices", "transactions"):
        with (place / f"{name}.jsonl").open("rb") as file:
            yield from map(msgspec.json.Decoder().decode, file)


def _run(place: Path, *words: str) -> Turn:
    before, started = _children_seconds(), time.perf_counter()
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
    return Turn(_payments(place), _children_seconds() - before, time.perf_counter() - started)


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _payments(place: Path) -> int:
    with (place / "transactions.jsonl").open("rb") as file:
        return sum(1 for _ in file)


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _exhaust(results: Iterable[object]) -> None:
    for _ in results:
        pass


def _timed(payments: int, act: Callable[[], None]) -> Turn:
    cpu, wall = time.process_time(), time.perf_counter()
    act()
    return Turn(payments, time.process_time() - cpu, time.perf_counter() - wall)


if __name__ == "__main__":
    main(sys.argv[2])
