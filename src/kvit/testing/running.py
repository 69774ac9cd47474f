"""One pretend installation: a plugin, its bank, and what the engine would have stored of it."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import logging
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from types import ModuleType
from typing import Any, Final

import httpx
import stamina

from kvit.kernel.errors import RecordError
from kvit.ledger.movements import Movement as Stored
from kvit.ledger.movements import movement_of
from kvit.plugin import (
    Account,
    AuthExpired,
    Checkpoint,
    Gone,
    Grant,
    Grants,
    Identity,
    Item,
    Plugin,
    Secret,
    SourceFile,
    Transaction,
    Unreadable,
)
from kvit.sync.configuring import Values
from kvit.sync.opening import opened
from kvit.sync.redaction import Redactor
from kvit.sync.writing import BATCH_RECORDS
from kvit.testing.bank import InProcess, PretendBank

ENDLESS: Final = 3
"""How many times its `max_requests` a plugin may turn to the bank before the kit stops it."""

type Key = tuple[str, str]
"""The account and the external id: what a movement is stored under."""


class NeverEnds(BaseException):  # past every `except Exception` of a plugin that would go on for ever
    """The plugin asks again and again."""


@dataclass(slots=True)
class Kept:
    """What the engine has stored: a batch ends at a checkpoint, when it is full, or with the sync."""

    accounts: dict[str, Account] = field(default_factory=dict)
    rows: dict[Key, Stored] = field(default_factory=dict)
    cursor: Mapping[str, Any] = field(default_factory=dict)
    cursors: list[Mapping[str, Any]] = field(default_factory=list)
    """Every cursor that was committed, in order."""
    put_aside: list[str] = field(default_factory=list)
    """Why records could not be stored."""
    conflicts: list[str] = field(default_factory=list)
    """Booked movements that were told otherwise than before."""
    batch: list[Item] = field(default_factory=list)

    def take(self, item: Item) -> None:
        self.batch.append(item)
        if isinstance(item, Checkpoint) or len(self.batch) >= BATCH_RECORDS:
            self.commit()

    def commit(self) -> None:
        batch, self.batch = self.batch, []
        self.accounts |= {item.external_id: item for item in batch if isinstance(item, Account)}
        for item in batch:
            match item:
                case Transaction():
                    self._post(item)
                case Unreadable():
                    self.put_aside.append(item.reason)
                case Gone():
                    self._release((item.account_id, item.external_id))
                case Checkpoint():
                    self.cursor = json.loads(json.dumps(dict(item.cursor)))
                    self.cursors.append(self.cursor)

    def copy(self) -> Kept:
        """Return what a new process would find: what was not committed is lost."""
        return Kept(
            accounts=dict(self.accounts),
            rows=dict(self.rows),
            cursor=self.cursor,
            cursors=list(self.cursors),
            put_aside=list(self.put_aside),
            conflicts=list(self.conflicts),
        )

    def facts(self) -> dict[Key, tuple[object, ...]]:
        """Return what is stored of each movement, without the source's own record."""
        return {key: row[:-1] for key, row in self.rows.items()}

    def _post(self, item: Transaction) -> None:
        try:
            movement = movement_of(item)
        except RecordError as error:
            self.put_aside.append(f"{error} (external_id {item.external_id!r}, amount {item.amount!r})")
            return
        account = self.accounts.get(item.account_id)
        if account is None:
            self.put_aside.append(f"{item.external_id} belongs to an account that was not told before it")
            return
        if account.currency != movement.currency:
            self.put_aside.append(f"{item.external_id} is in {movement.currency}, its account is not")
            return
        key = (item.account_id, movement.external_id)
        known = self.rows.get(key)
        if known is not None and known.status == "booked" and known[:-1] != movement[:-1]:
            self.conflicts.append(
                f"the id {movement.external_id} was told of {known.booked_on} {known.amount_minor} "
                f"and now of {movement.booked_on} {movement.amount_minor}"
            )
            return
        self.rows[key] = movement

    def _release(self, key: Key) -> None:
        if key in self.rows and self.rows[key].status == "pending":
            del self.rows[key]


@dataclass(slots=True)
class Outcome:
    """What one attempt came to, and everything that could be overheard."""

    error: BaseException | None = None
    items: list[Item] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    """What the plugin wrote into the run's log."""
    heard: list[str] = field(default_factory=list)
    """Log records, printed text, tracebacks and how the plugin and its settings show themselves."""
    slept_seconds: list[float] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    identity: Identity | None = None

    @property
    def cursors(self) -> list[Mapping[str, Any]]:
        return [item.cursor for item in self.items if isinstance(item, Checkpoint)]


@dataclass(slots=True)
class Told:
    """What the plugin is told about a run (see kvit.plugin.Context)."""

    cursor: Mapping[str, Any]
    today: date
    files: Sequence[SourceFile]
    lines: list[str]

    def log(self, text: str) -> None:
        self.lines.append(text)

    def warn(self, text: str) -> None:
        self.lines.append(text)


@dataclass(slots=True, kw_only=True)
class Installation:
    """A plugin connected to a pretend bank; every run makes the plugin anew, as the engine does."""

    plugin: type[Plugin[Any]]
    bank: PretendBank
    values: Values
    grant: Grant
    files: Callable[[], Sequence[SourceFile]] = lambda: ()
    before_sync: Callable[[], None] = lambda: None
    kept: Kept = field(default_factory=Kept)

    @property
    def secrets(self) -> list[Secret]:
        """Every credential: of the settings, and of the grant."""
        return [*self.values.credentials.values(), *self.grant.secrets.values()]

    def restarted(self) -> Installation:
        """Return the installation as another process would find it, with the same bank."""
        return Installation(
            plugin=self.plugin,
            bank=self.bank,
            values=self.values,
            grant=self.grant,
            files=self.files,
            before_sync=self.before_sync,
            kept=self.kept.copy(),
        )

    def check(self) -> Outcome:
        """Call `check`; what it raises is in `error`."""
        outcome = Outcome()
        with self.attempt(outcome) as plugin:
            outcome.identity = plugin.check()
            outcome.heard.append(repr(outcome.identity))
        return outcome

    def sync(
        self, *, items: int | None = None, before_request: Callable[[int], None] | None = None
    ) -> Outcome:
        """Sync, and store what the engine would store; what is raised is in `error`.

        The process is killed after `items`, so that their batch is lost where it has not ended.
        `before_request` is told the number of each request before it leaves (1 is the first), and may raise.
        """
        outcome = Outcome()
        self.before_sync()
        with self.attempt(outcome, before_request) as plugin:
            told = Told(dict(self.kept.cursor), self.bank.today, self.files(), outcome.lines)
            source = plugin.sync(told)
            try:
                for item in itertools.islice(source, items):
                    outcome.items.append(item)
                    self.kept.take(item)
            finally:
                _close(source)
            if items is None:
                self.kept.commit()
        self.kept.batch.clear()
        outcome.heard += [*map(repr, outcome.items), *outcome.lines]
        return outcome

    @contextlib.contextmanager
    def attempt(self, outcome: Outcome, before_request: Callable[[int], None] | None = None) -> Iterator[Any]:
        """Give the plugin, newly made; what happens to it is noted in the outcome, and raised by nobody."""
        asked = len(self.bank.requests)
        with _listening(outcome), _without_pauses(self.plugin, outcome):
            try:
                with self._opened(before_request) as plugin:
                    outcome.heard += [repr(plugin), repr(plugin.config), str(plugin.config)]
                    yield plugin
            except (Exception, SystemExit, NeverEnds) as error:  # noqa: BLE001  # the rules look at it
                outcome.error = error
                outcome.heard += ["".join(traceback.format_exception(error)), *_parts(error)]
        outcome.requests = self.bank.requests[asked:]

    @contextlib.contextmanager
    def _opened(self, before_request: Callable[[int], None] | None) -> Iterator[Plugin[Any]]:
        """The plugin as the engine makes it, over the pretend bank; it tries once and keeps no gate."""
        numbers, steps = itertools.count(1), itertools.count(1)
        transport = _Counting(self.bank, lambda: before_request and before_request(next(numbers)))

        def go_on() -> None:
            if next(steps) > ENDLESS * self.plugin.max_requests:
                raise NeverEnds

        with (
            stamina.set_testing(True, attempts=1, cap=True),
            opened(
                self.plugin,
                self.values,
                grants=_Granted(self.grant),
                redactor=Redactor(self.secrets),
                transport=transport,
                tries=1,
                before_request=go_on,
            ) as plugin,
        ):
            yield plugin


class _Counting(InProcess):
    """Calls something before each request is handed to the bank."""

    def __init__(self, bank: PretendBank, before: Callable[[], object]) -> None:
        super().__init__(bank)
        self._before = before

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._before()
        return super().handle_request(request)


class _Granted(Grants):
    """A grant that the source does not renew: refused, it has ended."""

    def __init__(self, grant: Grant) -> None:
        self._grant = grant

    def current(self) -> Grant:
        return self._grant

    def renewed(self, refused: Grant) -> Grant:
        raise AuthExpired


def modules_of(plugin: type[Plugin[Any]]) -> list[ModuleType]:
    """Return the loaded modules that the plugin is made of."""
    home = sys.modules[plugin.__module__]
    package = home.__name__ if hasattr(home, "__path__") else home.__package__ or home.__name__
    return [
        module
        for name, module in list(sys.modules.items())
        if module is home or (package != "kvit.plugins" and name.startswith(f"{package}."))
    ]


@contextlib.contextmanager
def another_process(plugin: type[Plugin[Any]]) -> Iterator[None]:
    """Let the `hash` of a text be another one in the plugin's modules, as it is after a restart."""
    modules = [module for module in modules_of(plugin) if "hash" not in vars(module)]
    for module in modules:
        setattr(module, "hash", _hash_of_another_process)  # noqa: B010  # of a module
    try:
        yield
    finally:
        for module in modules:
            delattr(module, "hash")


def _hash_of_another_process(value: object) -> int:
    """Of a text only: dataclasses give it a tuple, and what is in a set already must be found there."""
    return hash(("another process", value) if isinstance(value, str | bytes) else value)


def _close(source: object) -> None:
    close = getattr(source, "close", None)
    if close is not None:
        close()


def _parts(error: BaseException) -> list[str]:
    """What an error shows of itself, before the engine masks it."""
    return [str(error), repr(error), *map(str, error.args), repr(vars(error))]


@contextlib.contextmanager
def _listening(outcome: Outcome) -> Iterator[None]:
    """Hear every log record and whatever is printed; nothing of it is shown."""
    printed, root = io.StringIO(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = [_Ear(outcome.heard)]
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        outcome.heard.append(printed.getvalue())


class _Ear(logging.Handler):
    def __init__(self, heard: list[str]) -> None:
        super().__init__()
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        if record.name not in ("httpx", "httpcore"):  # Kvit keeps them silent, for they log whole URLs
            self._heard.append(f"{record.getMessage()} {record.exc_text or ''}")


@contextlib.contextmanager
def _without_pauses(plugin: type[Plugin[Any]], outcome: Outcome) -> Iterator[None]:
    """Note each sleep of the plugin instead of waiting, also where it took the name `sleep` for itself."""
    sleep = time.sleep
    places: list[tuple[object, str]] = [(time, "sleep")]
    for module in modules_of(plugin):
        places += [(module, name) for name, value in vars(module).items() if value is sleep]

    def noted(seconds: float) -> None:
        if seconds > 0:
            outcome.slept_seconds.append(seconds)
        if len(outcome.slept_seconds) > plugin.max_requests:
            raise NeverEnds

    for place, name in places:
        setattr(place, name, noted)
    try:
        yield
    finally:
        for place, name in places:
            setattr(place, name, sleep)
