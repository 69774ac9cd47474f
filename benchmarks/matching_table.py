"""Right and wrong automatic matches on invented tenants, Kvit's and its rivals', for docs/matching.md.

    python -m benchmarks.matching_table [--write] [--seeds 5] [--large 100000] [--keep FOLDER]

Ends with 1 where Kvit settled anything wrong, settled more than was open, or stayed under a floor. The rivals
are the benchmark's re-implementations of the automatic path of published programs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Final, NamedTuple

from benchmarks.tenants import PROFILES, module, scored, tenant

DOCS: Final = Path(__file__).resolve().parents[1] / "docs" / "matching.md"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
SMALL: Final = 1_000
NOISES: Final = ("x0.5", "x1", "x2")
FLOORS: Final = {
    SMALL: dict(zip(PROFILES, (0.85, 0.85, 0.79, 0.82, 0.86, 0.82), strict=True)),
    100_000: dict(zip(PROFILES, (0.84, 0.84, 0.74, 0.81, 0.85, 0.84), strict=True)),
}
"""The least automatic recall at noise x1, as a mean of the seeds."""
HITS: Final = {profile: (0.60, 0.80) if profile == "agency" else (0.75, 0.93) for profile in PROFILES}
"""The least hit@1 and hit@3 at noise x1."""

type Report = dict[str, Any]


class Figures(NamedTuple):
    """What came of several tenants of one kind."""

    tenants: int
    lines: int
    wrong: int
    violations: int
    recall: float
    hit_at_1: float
    hit_at_3: float


def main(words: Sequence[str]) -> int:
    options = _parser().parse_args(words)
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="kvit-tenants-"))
        )
        faults: list[str] = []
        text = "\n".join(_page(options, folder, faults))
    print(text)
    if options.write:
        _write(text)
    print("\n".join(faults), file=sys.stderr)
    return int(bool(faults))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=5, help="tenants of 1,000 invoices of each kind")
    parser.add_argument("--rival-seeds", type=int, default=2, help="how many of them rivals decide about too")
    parser.add_argument(
        "--large", type=int, default=100_000, help="invoices of a large tenant; 0 leaves them out"
    )
    parser.add_argument("--large-seeds", type=int, default=1)
    parser.add_argument("--large-profiles", nargs="+", choices=PROFILES, default=["association", "mixed"])
    parser.add_argument("--keep", type=Path, help="keep the tenants here and take those that are there")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/matching.md")
    return parser


def _page(options: argparse.Namespace, folder: Path, faults: list[str]) -> Iterator[str]:
    seeds = range(1, options.seeds + 1)
    yield f"### {SMALL:,} invoices, seeds 1 to {options.seeds}"
    yield from _kvit_table(folder, PROFILES, SMALL, seeds, NOISES, faults)
    yield from ("", f"### Beside rivals: {SMALL:,} invoices, x1, seeds 1 to {options.rival_seeds}")
    yield from _rival_table(folder, PROFILES, SMALL, range(1, options.rival_seeds + 1))
    if options.large:
        large = range(1, options.large_seeds + 1)
        yield from ("", f"### {options.large:,} invoices, seeds 1 to {options.large_seeds}")
        yield from _kvit_table(folder, options.large_profiles, options.large, large, ("x1",), faults)
        yield from ("", f"### Beside rivals: {options.large:,} invoices, x1, seed 1")
        yield from _rival_table(folder, options.large_profiles, options.large, (1,))


def _kvit_table(
    folder: Path,
    profiles: Iterable[str],
    invoices: int,
    seeds: range,
    noises: Iterable[str],
    faults: list[str],
) -> Iterator[str]:
    yield "\n| profile | noise | lines settled | wrong | over-settled | recall | hit@1 | hit@3 |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for profile in profiles:
        for noise in noises:
            found = _figures(_kvit(tenant(folder, profile, invoices, seed, noise)) for seed in seeds)
            faults += _faults(found, profile, invoices, noise)
            yield (
                f"| {profile} | {noise} | {found.lines:,} | {found.wrong} | {found.violations} "
                f"| {found.recall:.4f} | {found.hit_at_1:.3f} | {found.hit_at_3:.3f} |"
            )


def _rival_table(folder: Path, profiles: Sequence[str], invoices: int, seeds: Iterable[int]) -> Iterator[str]:
    """Wrong lines and recall of everybody on the same tenants."""
    yield f"\n| | {' | '.join(f'{profile}: wrong | recall' for profile in profiles)} |"
    yield f"| --- {'| --- | --- ' * len(profiles)}|"
    for name in ("Kvit", *module("peers").PEERS):
        cells = []
        for profile in profiles:
            found = _figures(_by(name, tenant(folder, profile, invoices, seed)) for seed in seeds)
            cells.append(f"{found.wrong} of {found.lines:,} | {found.recall:.3f}")
        yield f"| {name} | {' | '.join(cells)} |"


def _by(name: str, place: Path) -> Report:
    return _kvit(place) if name == "Kvit" else _rival(name, place)


def _kvit(place: Path) -> Report:
    decisions = place / "decisions.jsonl"
    with decisions.open("wb") as file:
        subprocess.run([sys.executable, "-m", "kvit", "match-file", str(place)], stdout=file, check=True)
    return scored(place, decisions)


def _rival(name: str, place: Path) -> Report:
    """The rival's report; kept beside the tenant, since it never changes."""
    kept = place / f"{name}.json"
    if not kept.exists():
        decisions = place / f"{name}.jsonl"
        with decisions.open("w", encoding="utf-8") as file:
            module("peers").decide(name, place, file)
        kept.write_text(json.dumps(scored(place, decisions)), encoding="utf-8")
        decisions.unlink()
    report: Report = json.loads(kept.read_text(encoding="utf-8"))
    return report


def _figures(reports: Iterable[Report]) -> Figures:
    found = list(reports)

    def mean(key: str) -> float:
        return fmean(report[key] or 0 for report in found)

    return Figures(
        tenants=len(found),
        lines=sum(report["auto_lines"] for report in found),
        wrong=sum(report["false_positives"] for report in found),
        violations=sum(report["violations"] for report in found),
        recall=mean("recall"),
        hit_at_1=mean("hit_at_1"),
        hit_at_3=mean("hit_at_3"),
    )


def _faults(found: Figures, profile: str, invoices: int, noise: str) -> Iterator[str]:
    where = f"{profile}, {invoices:,} invoices, {noise}"
    if found.wrong or found.violations:
        yield f"{where}: {found.wrong} wrong lines, {found.violations} violations"
    if noise == "x1":
        floors = (FLOORS.get(invoices, {}).get(profile, 0.0), *HITS[profile])
        reached = (found.recall, found.hit_at_1, found.hit_at_3)
        for name, floor, value in zip(("recall", "hit@1", "hit@3"), floors, reached, strict=True):
            if value < floor:
                yield f"{where}: {name} {value:.4f} is under {floor}"


def _write(text: str) -> None:
    page = DOCS.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCS.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
