"""Rules about a sync that is killed or cancelled in the middle, and what the next one makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from kvit.kernel.errors import Cancelled
from kvit.plugin import Checkpoint, Item
from kvit.testing.rules import described, rule
from kvit.testing.running import Outcome
from kvit.testing.seeing import Contract, broken, require_complete, require_same, synced

MOST_CRASHES: Final = 40
"""After how many items, chosen evenly and around each checkpoint, a long sync is killed."""
MOST_CANCELS: Final = 12


class Resuming:
    """Rules that stop a sync."""

    @rule(
        "resume",
        why="Power fails and processes are killed; the next sync starts from the last checkpoint and must "
        "find all that was not stored.",
        mend="Yield a Checkpoint only after everything that it covers, and read again what its cursor does "
        "not cover: newest first, nothing is covered before the last page.",
    )
    def test_a_sync_killed_anywhere_is_resumed(self: Contract) -> None:
        """Killed after any item and resumed from the last checkpoint, it stores what a whole sync does."""
        whole = self.installed()
        items = synced(whole).items
        for killed_after in _stops(items, MOST_CRASHES):
            installation = self.installed()
            installation.sync(items=killed_after)
            resumed = installation.restarted()
            synced(resumed)
            when = f"Killed after {killed_after} of {len(items)} items and resumed"
            require_complete(resumed, when)
            require_same(whole.kept, resumed.kept, when)

    @rule(
        "cancel",
        why="The owner stops a sync and the server is shut down; both wait for the plugin to let go.",
        mend="Catch the narrowest error and no BaseException, and yield nothing in a `finally`.",
    )
    def test_a_sync_can_be_cancelled_anywhere(self: Contract) -> None:
        """Cancelled at any item or request, it ends at once and swallows nothing."""
        outcome = synced(self.installed())
        for stop in _stops(outcome.items, MOST_CANCELS):
            _require_closed(self.installed().sync(items=stop), f"after {stop} items")
        for number in range(1, min(len(outcome.requests), MOST_CANCELS) + 1):
            cancelled = self.installed().sync(before_request=_cancel_at(number))
            if not isinstance(cancelled.error, Cancelled):
                broken(f"Cancelled before request {number}, it went on: {_end(cancelled)}")
            if cancelled.slept_seconds:
                broken(f"Cancelled before request {number}, it slept.")


def _cancel_at(number: int) -> Callable[[int], None]:
    def before(asked: int) -> None:
        if asked >= number:
            raise Cancelled(who="the kit")

    return before


def _require_closed(outcome: Outcome, when: str) -> None:
    if outcome.error is not None:
        broken(f"Cancelled {when}, it raised {described(outcome.error)}")


def _end(outcome: Outcome) -> str:
    return "as if nothing had happened" if outcome.error is None else described(outcome.error)


def _stops(items: list[Item], most: int) -> list[int]:
    """Return after how many items to stop: each one where they are few, else some and each checkpoint."""
    if len(items) <= most:
        return list(range(len(items) + 1))
    step = -(-len(items) // (most // 2))
    chosen = {*range(0, len(items) + 1, step), 1, len(items), *_around_checkpoints(items, most // 2)}
    return sorted(chosen)


def _around_checkpoints(items: list[Item], most: int) -> Iterator[int]:
    places = [at for at, item in enumerate(items, start=1) if isinstance(item, Checkpoint)]
    for at in places[: most // 3]:
        yield from (at - 1, at, min(at + 1, len(items)))
