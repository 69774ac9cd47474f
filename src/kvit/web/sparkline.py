"""The last runs of a connection as a small drawing, and the same in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from kvit.sync.models import SyncHistory
from kvit.web.words import STATES, moment_text

GROUND = 20
"""Where the bars stand; those of failed runs hang below it, so that the colour says nothing alone."""
DEPTH = 8
SLOT = 6
BAR = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One run: as tall as it brought new movements, or hanging where it failed."""

    x: int
    top: int
    height: int
    tone: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparkline:
    """The bars from the oldest run to the newest, and the text that stands for them."""

    bars: tuple[Bar, ...]
    width: int
    height: int
    text: str


def sparkline(runs: Sequence[SyncHistory]) -> Sparkline:
    """Draw the runs, given the newest first."""
    most = max((run.created for run in runs), default=0)
    bars = [_bar(run, position * SLOT, most) for position, run in enumerate(reversed(runs))]
    return Sparkline(
        bars=tuple(bars), width=max(len(bars), 1) * SLOT, height=GROUND + DEPTH, text=_in_words(runs)
    )


def _bar(run: SyncHistory, x: int, most: int) -> Bar:
    title = f"{moment_text(run.created_at)}: {STATES[run.status].word}"
    if run.status == SyncHistory.Status.FAILED:
        return Bar(x=x, top=GROUND, height=DEPTH, tone="bad", title=title)
    height = 3 + (run.created * (GROUND - 3) // most if most else 0)
    tone = "busy" if run.is_active else "good"
    return Bar(x=x, top=GROUND - height, height=height, tone=tone, title=title)


def _in_words(runs: Sequence[SyncHistory]) -> str:
    failed = sum(run.status == SyncHistory.Status.FAILED for run in runs)
    found = sum(run.created for run in runs)
    if not runs:
        return _("No runs yet.")
    said = ngettext("Last {count} run", "Last {count} runs", len(runs)).format(count=len(runs))
    new = ngettext("{count} new movement", "{count} new movements", found).format(count=found)
    if not failed:
        return _("{runs}: {new}, none failed").format(runs=said, new=new)
    wrong = ngettext("{count} failed", "{count} failed", failed).format(count=failed)
    return _("{runs}: {new}, {failed}").format(runs=said, new=new, failed=wrong)
