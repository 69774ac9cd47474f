"""What the plugin remembers between syncs. Moments are whole seconds since 1970, as Stripe writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from kvit.plugin import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    zone: str = ""
    """The time zone whose days movements have: the owner's at the first sync, and the same for ever."""
    reads_from: int | None = None
    """The earliest moment that was ever asked for."""
    read_until: int | None = None
    """What was created before this moment was read at least once."""
    again_from: int | None = None
    """What was created from this moment on is read again: something in it was pending, or is unread."""
    payouts_from: int | None = None
    """Payouts created from this moment on are asked for."""
    payouts_done: tuple[str, ...] = ()
    """Which of those need nothing more."""

    @classmethod
    def of(cls, told: Mapping[str, Json]) -> Cursor:
        """Read a stored cursor; what it does not hold is not known yet."""
        done = told.get("payouts_done")
        return cls(
            zone=str(told.get("zone") or ""),
            reads_from=_moment(told, "reads_from"),
            read_until=_moment(told, "read_until"),
            again_from=_moment(told, "again_from"),
            payouts_from=_moment(told, "payouts_from"),
            payouts_done=tuple(map(str, done)) if isinstance(done, (list, tuple)) else (),
        )

    def wishing(self, since: int) -> Cursor:
        """Return the cursor of an owner who wants all from that moment on, be it more than ever before."""
        if self.reads_from is not None and self.reads_from <= since:
            return self
        return replace(self, reads_from=since, again_from=since, payouts_from=since)

    def as_json(self) -> dict[str, Json]:
        return {**asdict(self), "payouts_done": list(self.payouts_done)}


def _moment(told: Mapping[str, Json], name: str) -> int | None:
    value = told.get(name)
    return value if isinstance(value, int) else None
