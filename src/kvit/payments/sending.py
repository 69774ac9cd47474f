"""The worker's part of the outbox: each batch leaves once, and an answer that was lost is never guessed.

The state “sending” is committed before anything leaves. What ends without the bank's definite answer after
the file may have left is “unknown”: it is not sent again by itself, a person looks in the bank.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, cast

import httpx
import structlog
from django.db import InterfaceError, OperationalError
from django.db import connection as database
from django.db.models import F, QuerySet
from django.utils import timezone

from kvit import plugin as contract
from kvit.audit.recording import SYSTEM, Actor
from kvit.kernel.errors import (
    AuthExpired,
    KeyMissing,
    KvitError,
    LeaseLost,
    Misconfigured,
    PluginCrashed,
    RateLimited,
    Stale,
    Temporary,
)
from kvit.payments import outbox
from kvit.payments.batching import as_handed, file_of, masked, pushing
from kvit.payments.models import PaymentBatch, PaymentOrder
from kvit.sync.configuring import values_of
from kvit.sync.engine import WORKER_PATIENCE
from kvit.sync.gates import DatabaseTurnstile
from kvit.sync.http import HttpClient
from kvit.sync.opening import opened
from kvit.sync.redaction import Redactor
from kvit.sync.registry import plugin_class
from kvit.sync.switches import require_switched_on

log = structlog.get_logger(__name__)

AT_ONCE: Final = 20
LEASE: Final = timedelta(minutes=15)
"""After so long a worker that sends is taken for dead: waiting for the gate, connecting, sending and reading
the answer, each bounded, end well before."""
WHOLE_ANSWER_SECONDS: Final = 120.0
DEPART_BEFORE: Final = timedelta(minutes=10)
"""Nothing leaves later than this before the end of the lease: the worker may have been stopped meanwhile."""
MOST_ATTEMPTS: Final = 10
"""Tries of which nothing left; the last one refuses the batch."""
FIRST_PAUSE: Final = timedelta(seconds=30)
LONGEST_PAUSE: Final = timedelta(minutes=30)
LONGEST_WAIT: Final = timedelta(days=1)
ANSWER_PAUSES_SECONDS: Final = (0.5, 2.0, 10.0, 30.0)
"""Between the tries to store a definite answer while the database is away: it exists nowhere else."""

_State = PaymentBatch.State
_DEFINITE: Final = (AuthExpired, RateLimited, Misconfigured)
"""What a plugin raises where its source has refused: nothing was taken (see `kvit.plugin.Push.push`)."""


def send_due(now: datetime) -> int:
    """Send the batches that are due, at most twenty; return how many the bank has accepted.

    Two workers never send one batch both. A batch that a worker left while it sent it becomes unknown.
    """
    _give_up_on_lost(now)
    accepted = 0
    due = outbox.due(now).select_related("organization", "connection__organization", "account")
    for batch in due.order_by("id")[:AT_ONCE]:
        held = _claim(batch, now)
        if held is not None:
            accepted += _send(held)
    return accepted


def _give_up_on_lost(now: datetime) -> None:
    lost = outbox.in_state(_State.SENDING).filter(lease_until__lt=now)
    for batch in lost.select_related("organization"):
        died = Temporary("The worker stopped before the answer of the bank was stored.")
        _keep(lost, batch, _State.UNKNOWN, died)


def _claim(batch: PaymentBatch, now: datetime) -> _Held | None:
    """Take a batch for this worker, or return None where another one was faster or it was withdrawn."""
    began = timezone.now()
    try:
        row = outbox.move(
            outbox.due(now).filter(fence=batch.fence),
            batch,
            _State.SENDING,
            actor=SYSTEM,
            fence=F("fence") + 1,
            lease_until=began + LEASE,
            attempts=F("attempts") + 1,
            sent_at=began,
            not_before=None,
            **outbox.no_error(),
        )
    except Stale:
        return None
    return _Held(batch, row.fence, row.attempts)


@dataclass(slots=True)
class _Held:
    """A batch that this worker has claimed, and may send once."""

    batch: PaymentBatch
    fence: int
    attempts: int
    actor: Actor = SYSTEM
    """The plugin, once it is known."""
    redactor: Redactor = field(default_factory=Redactor)
    client: HttpClient | None = None

    @property
    def may_have_left(self) -> bool:
        """Whether anything may have reached the bank."""
        return self.client is not None and self.client.has_sent

    def rows(self, *states: PaymentBatch.State) -> QuerySet[PaymentBatch]:
        return outbox.in_state(*states).filter(fence=self.fence)

    def may_depart(self) -> None:
        """Raise LeaseLost where it is not surely this worker's any more; once it has left, let it be read."""
        if self.may_have_left:
            return
        soon = timezone.now() + DEPART_BEFORE
        if not self.rows(_State.SENDING).filter(pk=self.batch.pk, lease_until__gt=soon).exists():
            raise LeaseLost


def _send(held: _Held) -> bool:
    """Hand a claimed batch over and keep what came of it; return whether the bank has it now."""
    try:
        receipt = _push(held)
        told = _told(receipt, held.redactor.mask)
    except (OperationalError, InterfaceError) as error:
        _database_away(held, type(error).__name__)
    except KvitError as error:
        _failed(held, masked(error, held.redactor))
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a plugin does, the batch must end
        log.error("payments.plugin_crashed", batch=held.batch.pk, kind=type(error).__name__)
        crash = PluginCrashed(
            "The plugin made a mistake ({kind}) while it handed the batch over.", kind=type(error).__name__
        )
        _failed(held, crash)
    else:
        state = _State.ACCEPTED if receipt.accepted else _State.REFUSED
        _keep_answer(held, state, None, **told)
        return receipt.accepted
    return False


def _push(held: _Held) -> contract.Receipt:
    """Have the plugin send the stored file, outside of any transaction."""
    batch, connection = held.batch, held.batch.connection
    plugin = plugin_class(connection.plugin)
    held.actor = Actor(name=f"plugin:{plugin.name}@{plugin.version}")
    require_switched_on(batch.organization, connection.plugin)
    values = values_of(connection)
    held.redactor = Redactor(values.credentials.values())
    handed = as_handed(batch, list(PaymentOrder.objects.filter(batch=batch)))
    file = file_of(batch)
    with opened(
        plugin,
        values,
        connection=connection,
        redactor=held.redactor,
        turnstile=DatabaseTurnstile(patience=WORKER_PATIENCE),
        before_request=held.may_depart,
        tries=1,
        whole_answer_seconds=WHOLE_ANSWER_SECONDS,
    ) as instance:
        held.client = client = cast("HttpClient", instance.http)
        instance.http = OneRequest(client)
        receipt = pushing(instance, connection).push(handed, file)
    if not (isinstance(receipt, contract.Receipt) and isinstance(receipt.accepted, bool)):
        raise TypeError("push() returns a Receipt, accepted or not.")
    return receipt


class OneRequest:
    """The HTTP client of a push: one request, and what its authentication needs on the way.

    A second request could be refused for reasons of its own, which would then be taken for the bank's
    refusal of the first; so none leaves.
    """

    def __init__(self, client: HttpClient) -> None:
        self._client = client
        self._is_inside = False

    def get(self, url: str, **options: Any) -> httpx.Response:
        with self._only():
            return self._client.get(url, **options)

    def post(self, url: str, **options: Any) -> httpx.Response:
        with self._only():
            return self._client.post(url, **options)

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        with self._only():
            return self._client.request(method, url, **options)

    @contextmanager
    def _only(self) -> Iterator[None]:
        if self._is_inside:  # an httpx.Auth asks for a new token before or between
            yield
            return
        if self._client.has_sent:
            raise RuntimeError("push() sends one request.")
        self._is_inside = True
        try:
            yield
        finally:
            self._is_inside = False


def _told(receipt: contract.Receipt, mask: Callable[[str], str]) -> Mapping[str, Any]:
    """Return the bank's words as the columns of a batch hold them, without live secrets."""
    verdicts = [
        {
            "status": mask(str(each.status)),
            "code": mask(str(each.code)),
            "message": mask(str(each.message)),
            "order_id": mask(str(each.order_id)),
        }
        for each in receipt.verdicts
    ]
    return {"reference": mask(str(receipt.reference))[:200], "verdicts": verdicts}


def _failed(held: _Held, error: KvitError) -> None:
    """Keep what came instead of a receipt, by whether anything may have left."""
    if isinstance(error, RateLimited):
        _wait(held, error, _next_try(error))
    elif held.may_have_left and not isinstance(error, _DEFINITE):
        _lost(held, error)
    elif isinstance(error, LeaseLost):
        held_up = Temporary("The worker was held up before anything left. It will be tried again.")
        _wait(held, held_up, timezone.now())
    elif isinstance(error, KeyMissing):
        _wait(held, error, timezone.now() + LONGEST_PAUSE)
    elif isinstance(error, Temporary) and held.attempts < MOST_ATTEMPTS:
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (held.attempts - 1))
        pause = longest * random.random()  # noqa: S311  # spreads load, guards nothing
        _wait(held, error, timezone.now() + pause)
    else:
        _keep_answer(held, _State.REFUSED, error)


def _database_away(held: _Held, kind: str) -> None:
    """Keep that the database was away meanwhile; where it still is, the lease tells by its end."""
    error = Temporary("The database could not be reached ({kind}).", kind=kind)
    if held.may_have_left:
        _lost(held, error)
    else:
        _wait(held, error, timezone.now() + FIRST_PAUSE)


def _wait(held: _Held, error: KvitError, until: datetime) -> None:
    """Put the batch back: nothing of it is at the bank."""
    _keep(held.rows(_State.SENDING), held.batch, _State.WAITING, error, not_before=until)


def _lost(held: _Held, error: KvitError) -> None:
    _keep(held.rows(_State.SENDING), held.batch, _State.UNKNOWN, error)


def _keep_answer(
    held: _Held,
    state: PaymentBatch.State,
    error: KvitError | None,
    **told: Any,
) -> None:
    """Keep a definite answer, also where the worker was taken for dead meanwhile.

    Where a person has said by then what they found in the bank and the answer says otherwise, theirs stands
    and the contradiction is shown.
    """
    told["answered_at"] = timezone.now()
    for pause in ANSWER_PAUSES_SECONDS:
        try:
            return _keep_definite(held, state, error, told)
        except (OperationalError, InterfaceError) as away:
            log.warning("payments.answer_waits", batch=held.batch.pk, kind=type(away).__name__)
            database.close()
            time.sleep(pause)
    return _keep_definite(held, state, error, told)


def _keep_definite(
    held: _Held, state: PaymentBatch.State, error: KvitError | None, told: Mapping[str, Any]
) -> None:
    if _keep(held.rows(_State.SENDING, _State.UNKNOWN), held.batch, state, error, actor=held.actor, **told):
        return
    others = held.rows(_State.ACCEPTED, _State.REFUSED).exclude(state=state)
    found = others.filter(pk=held.batch.pk).first()
    if found is not None:
        _keep(others, held.batch, _State(found.state), error, actor=held.actor, contradiction=state, **told)
        log.error("payments.contradiction", batch=held.batch.pk, answer=str(state))


def _keep(
    rows: QuerySet[PaymentBatch],
    batch: PaymentBatch,
    state: PaymentBatch.State,
    error: KvitError | None,
    *,
    actor: Actor = SYSTEM,
    **values: Any,
) -> bool:
    """Write what came of a batch that is still among the rows; return whether it was."""
    words = outbox.no_error() if error is None else outbox.in_words(error)
    try:
        outbox.move(rows, batch, state, actor=actor, lease_until=None, **words, **values)
    except Stale:
        return False
    log.info("payments.batch", batch=batch.pk, state=str(state), error="" if error is None else str(error))
    return True


def _next_try(error: RateLimited) -> datetime:
    """Return when to try again, at most a day from now: a bank may ask for anything."""
    now = timezone.now()
    try:
        return min(error.retry_at(now), now + LONGEST_WAIT)
    except (OverflowError, TypeError):
        return now + LONGEST_WAIT
