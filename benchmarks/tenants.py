"""Invented tenants of the matching benchmark, which lies beside the repository in ../shared."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

BENCHMARK: Final = Path(__file__).resolve().parents[2] / "shared" / "benchmarks" / "matching"
PROFILES: Final = ("freelancer", "agency", "association", "eshop", "sepa_eur", "mixed")


def module(name: str) -> Any:
    """Return `generate`, `score` or `peers` of the benchmark. Ends the program where it is absent."""
    if not BENCHMARK.is_dir():
        sys.exit("The matching benchmark is absent: ../shared/benchmarks/matching")
    if str(BENCHMARK) not in sys.path:
        sys.path.insert(0, str(BENCHMARK))
    return importlib.import_module(name)


def tenant(folder: Path, profile: str, invoices: int, seed: int, noise: str = "x1") -> Path:
    """Return the folder of one tenant, written where it is not there yet; same values, same bytes."""
    place = folder / f"{profile}-{invoices}-{seed}-{noise}"
    if not (place / "complete").exists():
        options = {"profile": profile, "invoices": invoices, "seed": seed, "noise": noise, "out": place}
        words = [f"--{name}={value}" for name, value in options.items()]
        subprocess.run([sys.executable, BENCHMARK / "generate.py", *words], check=True)
        (place / "complete").touch()
    return place


def scored(place: Path, decisions: Path) -> dict[str, Any]:
    """Return the scorer's report."""
    report: dict[str, Any] = module("score").Score(place).read(decisions).report()
    return report
