"""Gates kept in the database: a source's limit holds across threads, processes and restarts.

A turn is reserved by one conditional UPDATE, by the database's own clock, immediately before the request
leaves. Whoever is killed after that leaves a closed gate behind; whoever ends a request moves the gate to
the interval counted from then, for the source may have seen the request as late as that.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Greatest, Now
from django.utils import timezone

from kvit.kernel.errors import RateLimited
from kvit.plugin import Gate
from kvit.sync.models import GateTurn

_LONGEST_NAP_SECONDS: Final = 5.0
_LONGEST_MARGIN_SECONDS: Final = 5.0
_RESERVATIONS: Final = 3
"""How often a turn is reserved anew where each time the process was held up."""
_NEVER: Final = datetime(2000, 1, 1, tzinfo=UTC)

_clock: Final[Callable[[], float]] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
"""It goes on while the process is stopped and while the machine sleeps."""


class DatabaseTurnstile:
    """Lets one request through each gate at a time."""

    def __init__(self, *, patience: timedelta, while_waiting: Callable[[], None] = lambda: None) -> None:
        """Let a request wait at most `patience`; `while_waiting` is called every five seconds or sooner."""
        self._patience = patience
        self._while_waiting = while_waiting

    def turn(self, gate: Gate) -> DatabaseTurn:
        """Return the turn of one request, which is not reserved yet; its patience counts from now."""
        return DatabaseTurn(gate, self._patience, self._while_waiting)


class DatabaseTurn:
    """One request's turn at one gate."""

    def __init__(self, gate: Gate, patience: timedelta, while_waiting: Callable[[], None]) -> None:
        self._gate = gate
        self._row = GateTurn.objects.filter(pk=_digest(gate))
        self._deadline = _clock() + patience.total_seconds()
        self._while_waiting = while_waiting
        self._held: datetime | None = None

    def wait(self) -> None:
        """Wait until the gate is open, which reserves nothing.

        Raises RateLimited where that would take longer than the patience, and what `while_waiting` raises.
        """
        self.end()
        while (seconds := self._closed_for()) > 0:
            if _clock() + seconds > self._deadline:
                raise RateLimited(
                    timezone.now() + timedelta(seconds=seconds),
                    "The source allows one request every {seconds} seconds.",
                    seconds=f"{self._gate.seconds:g}",
                )
            time.sleep(min(seconds, _LONGEST_NAP_SECONDS))
            self._while_waiting()

    def take(self) -> bool:
        """Reserve the turn now, or return False where another request was faster.

        A process that was held up between the reservation and this method's return reserves again.
        """
        for _ in range(_RESERVATIONS):
            reserved_at = self._reserve()
            if self._held is None:
                return False
            if _clock() - reserved_at <= _longest_delay(self._gate):
                return True
        return False

    def end(self) -> None:
        """Count the interval from now where the turn was taken; never shorten another's later turn."""
        held, self._held = self._held, None
        if held is None:
            return
        from_now = Now() + timedelta(seconds=self._gate.seconds)
        if not self._row.filter(opens_at=held).update(opens_at=from_now):
            self._row.update(opens_at=Greatest("opens_at", from_now))

    def _closed_for(self) -> float:
        """Return for how many seconds the gate stays closed; the gate is made where it is new."""
        found = self._row.annotate(now=Now()).values_list("opens_at", "now").first()
        if found is None:
            GateTurn.objects.bulk_create(
                [GateTurn(pk=_digest(self._gate), opens_at=_NEVER)], ignore_conflicts=True
            )
            return 0.0
        opens_at, now = found
        longest = _reservation(self._gate)
        if opens_at - now > longest:
            # The clock was set back, or the interval was longer before: a whole one from now is enough.
            self._row.filter(opens_at=opens_at).update(opens_at=Now() + longest)
            opens_at = now + longest
        return (opens_at - now).total_seconds()

    def _reserve(self) -> float:
        """Reserve the turn if the gate is open, or closed by this very turn; return when that was tried."""
        may_be_taken = Q(opens_at__lte=Now())
        if self._held is not None:
            may_be_taken |= Q(opens_at=self._held)
        with transaction.atomic():
            tried_at = _clock()
            taken = self._row.filter(may_be_taken).update(opens_at=Now() + _reservation(self._gate))
            self._held = self._row.get().opens_at if taken else None
        return tried_at


def _reservation(gate: Gate) -> timedelta:
    """How long a gate stays closed where nobody says that the request has ended.

    That is the interval and a margin for the time that the request is on its way.
    """
    return timedelta(seconds=gate.seconds + _margin_seconds(gate))


def _margin_seconds(gate: Gate) -> float:
    return min(gate.seconds / 2, _LONGEST_MARGIN_SECONDS)


def _longest_delay(gate: Gate) -> float:
    """How many seconds a reservation may be old when its request leaves."""
    return _margin_seconds(gate) / 4


def _digest(gate: Gate) -> str:
    return hmac.new(
        settings.SECRET_KEY.encode(), b"gate|" + gate.key.reveal().encode(), hashlib.sha256
    ).hexdigest()
