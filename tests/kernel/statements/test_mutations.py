"""Damaged files of every format give parts of a statement or the typed error, in little time and memory.

`KVIT_FUZZ_SEED` and `KVIT_FUZZ_INPUTS` choose other inputs and how many; `make soak` tries 200,000.
"""

from __future__ import annotations

import json
import os
import re
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from random import Random
from typing import Final

import pytest

from kvit.kernel.errors import StatementError
from kvit.kernel.statements import Entry, Statement, StatementFile, as_json, parse, read
from tests.kernel.statements.clean_files import CLEAN, LONG
from tests.kernel.statements.mutations import mutated
from tests.samples import SAMPLES

SEED: Final = int(os.environ.get("KVIT_FUZZ_SEED", "20260302"))
SUITE_INPUTS: Final = int(os.environ.get("KVIT_FUZZ_INPUTS", "2000"))
SOAK_INPUTS: Final = 200_000
SLOWEST: Final = 20
"""How many times the time of a clean file of the same size a damaged one may take."""
FLOOR_SECONDS: Final = 0.05
"""Below it, measured times say nothing."""
MEASURED_AGAIN: Final = 3
LONGEST_REAL: Final = 20_000
SHORT_COPIES: Final = 4
MEMORY_EVERY: Final = 50
"""Watching memory takes time, so it is done for each so many inputs."""
MEMORY_BASE: Final = 12 << 20
MEMORY_PER_BYTE: Final = 120
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class Seed:
    """A clean file, and how long it takes to read a byte of it."""

    name: str
    data: bytes
    seconds_per_byte: float


def test_damaged_files_are_read_or_refused() -> None:
    damage(SUITE_INPUTS, SEED)


@pytest.mark.soak
def test_very_many_damaged_files_are_read_or_refused() -> None:
    damage(SOAK_INPUTS, SEED + 1)


def damage(inputs: int, number: int) -> None:
    random = Random(number)
    invented, real = list(measured(invented_files())), list(measured(real_files()))
    groups = [group for group in (invented, real) if group]
    others = [seed.data for group in groups for seed in group if len(seed.data) < LONGEST_REAL]
    for count in range(inputs):
        seed = random.choice(random.choice(groups))
        data = mutated(random, seed.data, others)
        try:
            require_bounded(data, seed, watches_memory=count % MEMORY_EVERY == 0)
        except Exception as error:
            error.add_note(f"seed {number}, input {count} made of {seed.name}: {data[:4000]!r}")
            raise


def invented_files() -> dict[str, bytes]:
    """Return the clean files of every format, short and long; the short ones are tried more often."""
    short = {f"{name} {copy}": data for name, data in CLEAN.items() for copy in range(SHORT_COPIES)}
    return short | {f"long {name}": data for name, data in LONG.items()}


def real_files() -> dict[str, bytes]:
    """Return the samples that lie beside the repository, where they do."""
    paths = [path for path in sorted(SAMPLES.glob("*/*")) if path.suffix != ".tsv"]
    return {path.name: path.read_bytes() for path in paths if path.stat().st_size < LONGEST_REAL}


def measured(files: dict[str, bytes]) -> Iterator[Seed]:
    for name, data in files.items():
        seconds = min(seconds_for(data) for _ in range(2))
        yield Seed(name, data, seconds / max(len(data), 1))


def require_bounded(data: bytes, seed: Seed, *, watches_memory: bool) -> None:
    if watches_memory:
        require_little_memory(data)
        return
    most = SLOWEST * max(FLOOR_SECONDS, seed.seconds_per_byte * len(data))
    if (seconds := seconds_for(data)) > most:
        seconds = min(seconds, *(seconds_for(data) for _ in range(MEASURED_AGAIN)))
    assert seconds <= most, (
        f"{len(data)} bytes took {seconds:.3f} s, a clean file takes {most / SLOWEST:.3f} s"
    )


def seconds_for(data: bytes) -> float:
    """Read the file and return the processor time it took."""
    begin = time.process_time()
    file = read_or_refuse(data)
    seconds = time.process_time() - begin
    if file is not None:
        require_sane(file)
    return seconds


def read_or_refuse(data: bytes) -> StatementFile | None:
    with suppress(StatementError):
        return read(data)
    return None


def require_little_memory(data: bytes) -> None:
    """Go through the file as a stream, which keeps nothing."""
    tracemalloc.start()
    try:
        with suppress(StatementError):
            for _ in parse(BytesIO(data)):
                pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak <= MEMORY_BASE + MEMORY_PER_BYTE * len(data), f"{len(data)} bytes took {peak} bytes of memory"


def require_sane(file: StatementFile) -> None:
    """Whatever was read, it could be stored."""
    json.dumps(as_json(file), ensure_ascii=False).encode()
    for problem in (*file.warnings, *file.errors):
        assert problem.message
        assert problem.line is None or problem.line >= 1
    named: dict[tuple[str, str, bool], tuple[date, int, str]] = {}
    for statement in file.statements:
        for entry in statement.entries:
            require_sane_entry(entry)
            movement = (entry.booked_on, entry.minor, entry.currency)
            key = (statement.account, entry.external_id, entry.pending)
            assert named.setdefault(key, movement) == movement, f"{entry.external_id} names two movements"
        require_unique_ids(statement)


def require_sane_entry(entry: Entry) -> None:
    assert type(entry.booked_on) is date
    assert entry.value_on is None or type(entry.value_on) is date
    assert type(entry.minor) is int
    assert abs(entry.minor) < 10**16
    assert _CURRENCY.fullmatch(entry.currency)
    assert entry.external_id
    assert entry.line is None or entry.line >= 1
    assert entry.offset is None or entry.offset >= 0
    assert not entry.details or sum(detail.minor for detail in entry.details) == entry.minor


def require_unique_ids(statement: Statement) -> None:
    ids = [(entry.external_id, entry.pending) for entry in statement.entries]
    assert len(set(ids)) == len(ids)
