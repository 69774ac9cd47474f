"""The plugin of Fio banka: which periods to ask for, and what the answers say.

It asks for periods that overlap and never for “movements since the last download”: there the bank moves its
bookmark before the answer has arrived, and an answer lost on the way would be lost for good (manual 5.2.3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from kvit.plugin import (
    Checkpoint,
    Context,
    Identity,
    Item,
    Misconfigured,
    Plugin,
    Secret,
    Temporary,
    field,
)
from kvit.plugins.fio import answer
from kvit.plugins.fio.client import TOKEN, FioClient, Locked, TooMany

OVERLAP: Final = timedelta(days=14)
"""Movements are booked late and corrected; what is read again is stored once."""
FREE: Final = timedelta(days=89)
"""How far back Fio answers without an unlock; the manual says 90 days (3.1), the last of them is not safe."""

_PRAGUE: Final = ZoneInfo("Europe/Prague")


@dataclass(frozen=True, kw_only=True)
class FioConfig:
    api_token: Secret = field(
        "API token",
        help="Fio internet banking → Settings → API. Make a token for Kvit alone, with the right to watch "
        "the account only. It works five minutes after you authorize it.",
        pattern=TOKEN,
    )
    days_back: int = field(
        "Days to read at the first sync",
        help="Fio gives more than 89 days only within 10 minutes after you unlock it at the token.",
        default=FREE.days,
        min=1,
        max=3660,
    )
    base_url: str = field("Address of the API", default="https://fioapi.fio.cz/v1/rest/")
    token_interval_seconds: int = field(
        "Seconds between two requests", help="Fio asks for 30.", default=31, min=0, max=3600
    )


class Fio(Plugin[FioConfig]):
    name, title, version, Config = "fio", "Fio banka", "1.0", FioConfig
    description = "Movements on one account at Fio banka (Czech Republic or Slovakia), by its API."

    def check(self) -> Identity:
        today = datetime.now(UTC).astimezone(_PRAGUE).date()
        body = self._client().movements(today, today, patient=False)
        if not isinstance(body, bytes):
            raise Temporary("Fio refused to answer for today. It will be tried again.")
        return answer.identity(answer.read(body))

    def sync(self, ctx: Context) -> Iterator[Item]:
        """Read from the last sync, with an overlap, to today; the cursor is `synced_through`, an ISO date.

        Where Fio gives only a part, and days since the last sync would stay unread, the part is yielded,
        the cursor stays and Misconfigured tells how to unlock the rest.
        """
        client = self._client()
        plan = _Plan.of(ctx, timedelta(days=self.config.days_back))
        while plan.windows:
            first, last = plan.windows.pop()
            match client.movements(first, last):
                case TooMany():
                    plan.halve(first, last)
                case Locked(free_from):
                    plan.narrow(first, last, free_from)
                    ctx.log(f"Fio gives movements since {free_from} only; older ones need an unlock.")
                case bytes() as body:
                    yield from _window(ctx, body, is_last=not plan.windows)
                    yield plan.checkpoint(last)
        if plan.unread is not None:
            raise plan.unread

    def _client(self) -> FioClient:
        config = self.config
        return FioClient(
            self.http,
            base_url=config.base_url,
            token=config.api_token,
            interval_seconds=config.token_interval_seconds,
        )


def _window(ctx: Context, body: bytes, *, is_last: bool) -> Iterator[Item]:
    read = answer.read(body)
    for doubt in answer.doubts(read):
        ctx.log(doubt)
    closing = read.statement.closing_balance
    yield from answer.items(read, balance=closing.amount if closing is not None and is_last else None)


@dataclass(kw_only=True)
class _Plan:
    """The periods still to be asked for, the earliest at the end, and what must not be skipped."""

    windows: list[tuple[date, date]]
    synced_through: date | None
    needed_from: date
    """Later days may never be left out silently."""
    narrowed: bool = False
    unread: Misconfigured | None = None

    @classmethod
    def of(cls, ctx: Context, first_sync: timedelta) -> _Plan:
        today, free = ctx.today, ctx.today - FREE
        stored = ctx.cursor.get("synced_through")
        if stored is None:
            synced_through, first = None, today - first_sync
            needed_from = first if first < free else today
        else:
            synced_through = needed_from = min(date.fromisoformat(str(stored)), today)
            first = synced_through - OVERLAP
            if synced_through >= free:
                first = max(first, free)
        return cls(windows=[(first, today)], synced_through=synced_through, needed_from=needed_from)

    def halve(self, first: date, last: date) -> None:
        """Ask for two halves instead; raises Misconfigured for a single day."""
        if first == last:
            raise Misconfigured(
                "On {day} the account has more movements than Fio gives in one answer. "
                "Export that day as a statement file and upload it to Kvit.",
                day=first,
            )
        middle = first + (last - first) // 2
        self.windows += [(middle + timedelta(days=1), last), (first, middle)]

    def narrow(self, first: date, last: date, free_from: date | None) -> None:
        """Begin at the first day Fio gives; raises Misconfigured where that was tried or leaves nothing."""
        windows = [*self.windows, (first, last)]
        locked = _locked(max(first, self.needed_from) if self.synced_through else first, free_from)
        if self.narrowed or free_from is None or not first < free_from <= windows[0][1]:
            raise locked
        self.narrowed = True
        if free_from > self.needed_from:
            self.unread = locked
        self.windows = [(max(begin, free_from), end) for begin, end in windows if end >= free_from]

    def checkpoint(self, last: date) -> Checkpoint:
        """Return the cursor after the window that ends on `last`; it stays while days before are unread."""
        synced_through = (
            max(last, self.synced_through or last) if self.unread is None else self.synced_through
        )
        return Checkpoint({"synced_through": synced_through.isoformat()} if synced_through else {})


def _locked(first: date, free_from: date | None) -> Misconfigured:
    if free_from is None:
        return Misconfigured(
            "Fio gives movements since {first} only after an unlock. In the internet banking of Fio open "
            "Settings → API, click the lock at the token and authorize it, then sync within 10 minutes.",
            first=first,
        )
    return Misconfigured(
        "Movements since {first} are unread: Fio gives those before {free_from} only after an unlock. "
        "In the internet banking of Fio open Settings → API, click the lock at the token and authorize it, "
        "then sync within 10 minutes.",
        first=first,
        free_from=free_from,
    )
