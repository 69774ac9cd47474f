"""Statements of real banks that lie beside the repository, and what their manifests say they contain."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

SAMPLES = Path(__file__).resolve().parents[2] / "shared" / "statements"
"""Other people's test files under their own licences: read where they lie, never copied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One row of a manifest; a value that the manifest leaves out is None or empty."""

    path: Path
    malformed: bool
    """Broken, or deviating on purpose."""
    entries: int | None
    statements: int | None
    sum_signed: Decimal | None
    currencies: frozenset[str]
    first_booking: date | None
    last_booking: date | None
    opening_balances: tuple[Decimal, ...]
    closing_balances: tuple[Decimal, ...]
    reconciles: bool | None


def samples(folder: str) -> list[Sample]:
    """Return the samples of one folder, such as `camt053`; none where the folder is absent."""
    manifest = SAMPLES / folder / "MANIFEST.tsv"
    if not manifest.is_file():
        return []
    with manifest.open(encoding="utf-8", newline="") as lines:
        return [
            _sample(manifest.parent, row)
            for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]


def require_samples(folder: str) -> list[Sample]:
    """Return the samples of one folder; skip the test where it is absent, or fail it on CI (`CI=true`)."""
    found = samples(folder)
    if not found:
        reason = f"the sample statements are absent: ../shared/statements/{folder}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def _sample(folder: Path, row: dict[str, str]) -> Sample:
    return Sample(
        path=folder / row["file"],
        malformed=row["malformed"] == "yes",
        entries=int(row["entries"]) if row["entries"] else None,
        statements=int(row["statements"]) if row["statements"] else None,
        sum_signed=Decimal(row["sum_signed"]) if row["sum_signed"] else None,
        currencies=frozenset(filter(None, row["currency"].split("|"))),
        first_booking=_day(row["first_booking"]),
        last_booking=_day(row["last_booking"]),
        opening_balances=_amounts(row["opening_balance"]),
        closing_balances=_amounts(row["closing_balance"]),
        reconciles=row["balances_reconcile"] == "yes" if row["balances_reconcile"] else None,
    )


def _day(text: str) -> date | None:
    """Read a day; one that no calendar has, which a broken file may hold, is left out."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _amounts(text: str) -> tuple[Decimal, ...]:
    return tuple(Decimal(amount) for amount in text.split("|")) if text else ()
