"""The engine: runs a plugin's generator and brings what it yields into the ledger, exactly once.

Fetching happens outside any transaction. Each batch is one short transaction that checks the fence, posts
the records with their audit entries, moves the cursor and counts. A kill anywhere loses at most the batch
that was not committed; it is fetched again.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Final

import structlog
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from kvit.audit.recording import Actor
from kvit.kernel.errors import (
    AuthExpired,
    Cancelled,
    KvitError,
    LeaseLost,
    Misconfigured,
    PluginCrashed,
    PluginUnavailable,
    RateLimited,
    RunPoisoned,
    SealError,
    Temporary,
)
from kvit.plugin import Item, SourceFile
from kvit.sync import files, quarantine
from kvit.sync.configuring import Values, keep_migrated, values_of
from kvit.sync.gates import DatabaseTurnstile
from kvit.sync.heartbeat import Heartbeat
from kvit.sync.opening import opened
from kvit.sync.queue import Claim
from kvit.sync.recording import Recorder, Replay
from kvit.sync.redaction import Redactor
from kvit.sync.registry import plugin_class
from kvit.sync.switches import require_switched_on
from kvit.sync.writing import Writer
from kvit.users.keys import key_ring

log = structlog.get_logger(__name__)

WORKER_PATIENCE: Final = timedelta(minutes=2)
"""How long a worker waits for a gate before it puts the run back and takes another."""
LONGEST_WAIT: Final = timedelta(days=1)

type End = Callable[[], None]


class _Stopped(Exception):  # not an error: the worker was asked to stop
    """The worker is shutting down."""


def execute(
    held: Claim,
    *,
    patience: timedelta = WORKER_PATIENCE,
    should_stop: Callable[[], bool] = lambda: False,
    before_ending: Callable[[], object] = lambda: None,
) -> None:
    """Carry the claimed run to its end and record what came of it; the run's row tells.

    `before_ending` is called when everything is read, whatever the outcome, and before the outcome is
    recorded: a worker killed in the middle leaves a run that the next one takes over.
    Nothing is raised for what a plugin or its source does, nor where another worker has the run by now.
    Raises OperationalError or InterfaceError where the database is away: the run is taken up again later.
    """
    try:
        with Heartbeat(held.run) as heartbeat:
            end = _read(held, patience, should_stop, heartbeat)
            try:
                before_ending()
            finally:
                end()
        if not held.run.is_active:
            log.info("run.ended", run=held.run.pk, status=held.run.status)
    except LeaseLost:
        log.warning("run.lost", run=held.run.pk)


def _read(held: Claim, patience: timedelta, should_stop: Callable[[], bool], heartbeat: Heartbeat) -> End:
    """Bring in what the source has and return how the run ends. Raises what `execute` does, and LeaseLost."""
    redactor = Redactor()
    try:
        held.require_sound()
        require_switched_on(held.run.organization, held.run.connection.plugin)
        keep_migrated(held.run.connection, actor=Actor(name="system", run_id=held.run.pk))
        values = values_of(held.run.connection)
        redactor = Redactor(values.credentials.values())
        _Reading(held, values, redactor, patience, should_stop, heartbeat).drain()
    except (LeaseLost, OperationalError, InterfaceError):
        raise
    except _Stopped:
        return held.give_back
    except Cancelled as error:
        return partial(held.cancel, error)
    except RateLimited as error:
        return partial(held.defer, _next_try(error), _masked(held, error, redactor))
    except Temporary as error:
        return partial(held.retry, _masked(held, error, redactor))
    except (AuthExpired, Misconfigured, SealError, PluginUnavailable, RunPoisoned) as error:
        return partial(held.fail, _masked(held, error, redactor), needs_attention=True)
    except KvitError as error:
        return partial(held.fail, _masked(held, error, redactor), needs_attention=False)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a plugin does, its run must end
        held.note(redactor.mask(traceback.format_exc()))
        log.error("plugin.crashed", run=held.run.pk, trace=redactor.mask(traceback.format_exc()))
        crash = PluginCrashed(kind=type(error).__name__)
        return partial(held.fail, _masked(held, crash, redactor), needs_attention=False)
    return held.complete


def _masked[E: KvitError](held: Claim, error: E, redactor: Redactor) -> E:
    """Take live secrets out of an error before anybody sees it."""
    error.message = redactor.mask(error.message)
    error.params = {name: redactor.mask(str(value)) for name, value in error.params.items()}
    log.warning("run.stopped", run=held.run.pk, kind=type(error).__name__, error=str(error))
    return error


def _next_try(error: RateLimited) -> datetime:
    """Return when to try again, at most a day from now: a source may ask for anything."""
    now = timezone.now()
    try:
        return min(error.retry_at(now), now + LONGEST_WAIT)
    except (OverflowError, TypeError):
        return now + LONGEST_WAIT


@dataclass(frozen=True, slots=True)
class _Reading:
    """One try to read everything that a plugin's source has."""

    held: Claim
    values: Values
    redactor: Redactor
    patience: timedelta
    should_stop: Callable[[], bool]
    heartbeat: Heartbeat

    def drain(self) -> None:
        """Take every item of the plugin's generator and write them batch by batch."""
        run = self.held.run
        plugin = plugin_class(run.connection.plugin)
        actor = Actor(name=f"plugin:{plugin.name}@{plugin.version}", run_id=run.pk)
        writer = Writer(self.held, actor, key_ring(run.organization), self.redactor)
        self.held.renew(plugin_version=plugin.version)
        with opened(plugin, self.values, connection=run.connection, **self._client_options()) as reader:
            items = reader.sync(_RunContext(self.held, self.redactor))
            with closing(_generator(items)) as source:
                for item in source:
                    self._go_on()
                    writer.take(item)
        writer.commit()
        if run.replays is not None:
            quarantine.resolve(run.replays, by=run, still_bad=writer.put_aside)

    def _go_on(self) -> None:
        self.heartbeat.sign()
        if self.should_stop():
            raise _Stopped
        self.held.beat()

    def _client_options(self) -> dict[str, Any]:
        """The source itself, or for a replay what it answered then."""
        run, keys = self.held.run, key_ring(self.held.run.organization)
        if run.replays is not None:
            return {
                "before_request": self._go_on,
                "redactor": self.redactor,
                "renews": False,
                "transport": Replay(run.replays, keys, self.redactor),
            }
        return {
            "before_request": self._go_on,
            "redactor": self.redactor,
            "ends_access": True,
            "turnstile": DatabaseTurnstile(patience=self.patience, while_waiting=self._go_on),
            "waiting": self.held.waiting,
            "recorder": Recorder(run, keys, self.redactor),
        }


def _generator(items: Iterator[Item]) -> Any:
    """The plugin's generator; a plain list would be a mistake that hides fetching before the first yield."""
    if not hasattr(items, "close"):
        raise TypeError("sync() must be a generator: use yield.")
    return items


@dataclass(frozen=True, slots=True)
class _RunContext:
    """What the plugin is told about this run (see kvit.plugin.Context)."""

    held: Claim
    redactor: Redactor

    @property
    def cursor(self) -> Mapping[str, Any]:
        run = self.held.run
        return dict(run.connection.cursor if run.replays_id is None else run.cursor_before)

    @property
    def today(self) -> date:
        today = self.held.run.today
        assert today is not None, "set by the first claim"
        return today

    @property
    def files(self) -> Sequence[SourceFile]:
        return files.handed_to(self.held.run.replays or self.held.run)

    def log(self, text: str) -> None:
        self.held.note(self.redactor.mask(text))

    def warn(self, text: str) -> None:
        self.held.warn(self.redactor.mask(text))
