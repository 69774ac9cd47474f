"""Gates kept in the database: a source's limit holds across threads, processes and restarts."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from kvit.kernel.errors import RateLimited
from kvit.plugin import Gate
from kvit.sync.models import GateTurn

_LONGEST_NAP_SECONDS: Final = 5.0


class DatabaseTurnstile:
    """Lets one request through each gate at a time; it reserves the turn before anything is sent."""

    def __init__(self, *, patience: timedelta, while_waiting: Callable[[], None] = lambda: None) -> None:
        """Wait at most `patience` for a turn; call `while_waiting` at least every five seconds meanwhile."""
        self._patience = patience
        self._while_waiting = while_waiting

    def enter(self, gate: Gate) -> None:
        """Wait for the gate's turn and reserve it. Raises RateLimited where the wait exceeds the patience."""
        deadline = timezone.now() + self._patience
        while (opens_at := _reserve(gate)) is not None:
            if opens_at > deadline:
                raise RateLimited(
                    opens_at,
                    "The source allows one request every {seconds} seconds.",
                    seconds=f"{gate.seconds:g}",
                )
            _nap(opens_at)
            self._while_waiting()

    def leave(self, gate: Gate) -> None:
        """Count the interval from now: the source may have seen the request as late as this."""
        GateTurn.objects.filter(pk=_digest(gate)).update(opens_at=_interval_from_now(gate))


def _reserve(gate: Gate) -> datetime | None:
    """Take the turn and return None, or return when the gate opens."""
    with transaction.atomic():
        now = timezone.now()
        turn, is_new = GateTurn.objects.select_for_update().get_or_create(
            pk=_digest(gate), defaults={"opens_at": _interval_from_now(gate)}
        )
        if is_new:
            return None
        if turn.opens_at > now:
            return turn.opens_at
        turn.opens_at = _interval_from_now(gate)
        turn.save(update_fields=["opens_at"])
        return None


def _interval_from_now(gate: Gate) -> datetime:
    return timezone.now() + timedelta(seconds=gate.seconds)


def _nap(until: datetime) -> None:
    seconds = (until - timezone.now()).total_seconds()
    time.sleep(min(max(seconds, 0.0), _LONGEST_NAP_SECONDS))


def _digest(gate: Gate) -> str:
    return hmac.new(
        settings.SECRET_KEY.encode(), b"gate|" + gate.key.reveal().encode(), hashlib.sha256
    ).hexdigest()
