"""The engine: runs a plugin's generator and brings what it yields into the ledger, exactly once.

Fetching happens outside any transaction. Each batch is one short transaction that checks the fence, posts
the records with their audit entries, moves the cursor and counts. A kill anywhere loses at most the batch
that was not committed; it is fetched again.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Final, assert_never
from zoneinfo import ZoneInfo

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F
from django.utils import timezone

from kvit.audit.recording import Actor, created, record
from kvit.kernel.errors import (
    AuthExpired,
    KvitError,
    LeaseLost,
    Misconfigured,
    PluginCrashed,
    PluginUnavailable,
    RateLimited,
    RecordError,
    SealError,
)
from kvit.kernel.money import Money
from kvit.kernel.sealing import KeyRing
from kvit.ledger import posting
from kvit.ledger.models import BankAccount
from kvit.ledger.movements import Movement, movement_of
from kvit.plugin import Account, Checkpoint, Gone, Item, SourceFile, Transaction, Unreadable
from kvit.sync import files, quarantine
from kvit.sync.configuring import Values, make_config, values_of
from kvit.sync.connections import client_for
from kvit.sync.gates import DatabaseTurnstile
from kvit.sync.models import PluginConfiguration, SourceAccount, SyncHistory
from kvit.sync.queue import Claim
from kvit.sync.redaction import Redactor
from kvit.sync.registry import plugin_class
from kvit.users.keys import key_ring

log = structlog.get_logger(__name__)

BATCH_RECORDS: Final = 500
WORKER_PATIENCE: Final = timedelta(minutes=2)
"""How long a worker waits for a gate before it puts the run back and takes another."""
LONGEST_WAIT: Final = timedelta(days=1)


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
        end = _read(held, patience, should_stop)
        try:
            before_ending()
        finally:
            end()
    except LeaseLost:
        log.warning("run.lost", run=held.run.pk)


def _read(held: Claim, patience: timedelta, should_stop: Callable[[], bool]) -> Callable[[], None]:
    """Bring in what the source has and return how the run ends. Raises what `execute` does, and LeaseLost."""
    redactor = Redactor()
    try:
        values = values_of(held.run.connection)
        redactor = Redactor(values.credentials.values())
        _drain(held, values, redactor, patience, should_stop)
    except (LeaseLost, OperationalError, InterfaceError):
        raise
    except _Stopped:
        return held.give_back
    except RateLimited as error:
        held.note(redactor.mask(str(error)))
        return partial(held.defer, _next_try(error))
    except (AuthExpired, Misconfigured, SealError, PluginUnavailable) as error:
        return partial(held.fail, _masked(held, error, redactor), needs_attention=True)
    except KvitError as error:
        return partial(held.fail, _masked(held, error, redactor), needs_attention=False)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a plugin does, its run must end
        held.note(redactor.mask(traceback.format_exc()))
        log.error("plugin.crashed", run=held.run.pk, trace=redactor.mask(traceback.format_exc()))
        crash = PluginCrashed(kind=type(error).__name__)
        return partial(held.fail, _masked(held, crash, redactor), needs_attention=False)
    return held.complete


def _masked(held: Claim, error: KvitError, redactor: Redactor) -> KvitError:
    """Take live secrets out of an error before anybody sees it."""
    error.message = redactor.mask(error.message)
    error.params = {name: redactor.mask(str(value)) for name, value in error.params.items()}
    log.warning("run.failed", run=held.run.pk, kind=type(error).__name__, error=str(error))
    return error


def _next_try(error: RateLimited) -> datetime:
    """Return when to try again, at most a day from now: a source may ask for anything."""
    now = timezone.now()
    try:
        return min(error.retry_at(now), now + LONGEST_WAIT)
    except (OverflowError, TypeError):
        return now + LONGEST_WAIT


def _drain(
    held: Claim, values: Values, redactor: Redactor, patience: timedelta, should_stop: Callable[[], bool]
) -> None:
    """Take every item of the plugin's generator and write them batch by batch."""
    connection = held.run.connection
    plugin = plugin_class(connection.plugin)

    def go_on() -> None:
        if should_stop():
            raise _Stopped
        held.beat()

    turnstile = DatabaseTurnstile(patience=patience, while_waiting=go_on)
    actor = Actor(name=f"plugin:{plugin.name}@{plugin.version}", run_id=held.run.pk)
    writer = _Writer(held, actor, redactor)
    held.renew(plugin_version=plugin.version)
    with client_for(values, turnstile, before_request=go_on) as http:
        items = plugin(make_config(plugin, values), http).sync(_RunContext(held, redactor))
        with closing(_generator(items)) as source:
            for item in source:
                go_on()
                writer.take(item)
    writer.commit()


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
        return dict(self.held.run.connection.cursor)

    @property
    def today(self) -> date:
        return timezone.now().astimezone(ZoneInfo(self.held.run.organization.time_zone)).date()

    @property
    def files(self) -> Sequence[SourceFile]:
        return files.handed_to(self.held.run)

    def log(self, text: str) -> None:
        self.held.note(self.redactor.mask(text))


@dataclass(slots=True)
class _Batch:
    """What was taken since the last commit."""

    accounts: dict[str, Account] = field(default_factory=dict)
    movements: dict[str, list[Movement]] = field(default_factory=dict)
    gone: dict[str, list[str]] = field(default_factory=dict)
    unreadable: list[Unreadable] = field(default_factory=list)
    records: int = 0
    cursor: Mapping[str, Any] | None = None


class _Writer:
    """Collects items and writes them; a batch ends at a checkpoint or when it is full."""

    def __init__(self, held: Claim, actor: Actor, redactor: Redactor) -> None:
        self.held = held
        self.actor = actor
        self.redactor = redactor
        self.connection: PluginConfiguration = held.run.connection
        self.keys: KeyRing = key_ring(held.run.organization)
        self.accounts = _known_accounts(self.connection)
        self.batch = _Batch()

    def take(self, item: Item) -> None:
        batch = self.batch
        match item:
            case Transaction():
                batch.records += 1
                self._take_transaction(item)
            case Account():
                batch.accounts[item.external_id] = item
            case Unreadable():
                batch.records += 1
                batch.unreadable.append(item)
            case Gone():
                batch.gone.setdefault(item.account_id, []).append(item.external_id)
            case Checkpoint():
                batch.cursor = item.cursor
                self.commit()
            case _:
                assert_never(item)
        if batch.records >= BATCH_RECORDS:
            self.commit()

    def commit(self) -> None:
        """Write the batch in one short transaction. Raises LeaseLost, and then nothing was written."""
        batch, self.batch = self.batch, _Batch()
        with transaction.atomic():
            self.held.renew()
            for account in batch.accounts.values():
                self.accounts[account.external_id] = self._keep_account(account)
            posted = posting.Posted()
            for account_id, movements in batch.movements.items():
                posted += posting.post(
                    self.accounts[account_id],
                    self._source(account_id),
                    movements,
                    actor=self.actor,
                    keys=self.keys,
                )
            for account_id, ids in batch.gone.items():
                if account_id in self.accounts:
                    posting.release(
                        self.accounts[account_id], self._source(account_id), ids, actor=self.actor
                    )
            quarantine.put_aside(self.held.run, batch.unreadable, self.keys, self.redactor)
            self._count(batch, posted)
            if batch.cursor is not None:
                PluginConfiguration.objects.filter(pk=self.connection.pk).update(cursor=dict(batch.cursor))

    def _take_transaction(self, item: Transaction) -> None:
        try:
            movement = movement_of(item)
            account_id = self._account_of(item, movement)
        except RecordError as error:
            self.batch.unreadable.append(quarantine.unreadable(item, error))
        else:
            self.batch.movements.setdefault(account_id, []).append(movement)

    def _account_of(self, item: Transaction, movement: Movement) -> str:
        account = self.batch.accounts.get(item.account_id) or self.accounts.get(item.account_id)
        if account is None:
            raise RecordError("The record belongs to an account the source did not name.", field="account_id")
        if account.currency != movement.currency:
            raise RecordError(
                "The record is in {found}, its account in {expected}.",
                field="currency",
                found=movement.currency,
                expected=account.currency,
            )
        return item.account_id

    def _source(self, account_id: str) -> str:
        return f"{self.connection.plugin}:{account_id}"

    def _keep_account(self, account: Account) -> BankAccount:
        """Find or make the own account that the source's account is."""
        organization = self.held.run.organization
        balance_minor = _balance(account)
        row, is_new = BankAccount.objects.get_or_create(
            organization=organization,
            number=(account.number or account.external_id).replace(" ", ""),
            currency=account.currency,
            defaults={"name": account.name},
        )
        if is_new:
            record(organization, self.actor, [created(row, "number", "currency", "name")])
        SourceAccount.objects.update_or_create(
            connection=self.connection,
            external_id=account.external_id,
            defaults={"account": row, "balance_minor": balance_minor, "seen_at": timezone.now()},
        )
        return row

    def _count(self, batch: _Batch, posted: posting.Posted) -> None:
        SyncHistory.objects.filter(pk=self.held.run.pk).update(
            fetched=F("fetched") + batch.records,
            created=F("created") + posted.created,
            updated=F("updated") + posted.updated,
            unchanged=F("unchanged") + posted.unchanged,
            conflicting=F("conflicting") + posted.conflicting,
            quarantined=F("quarantined") + len(batch.unreadable),
        )


def _known_accounts(connection: PluginConfiguration) -> dict[str, BankAccount]:
    rows = SourceAccount.objects.filter(connection=connection).select_related("account__organization")
    return {row.external_id: row.account for row in rows}


def _balance(account: Account) -> int | None:
    """Return the balance in hundredths. Raises AmountUnreadable, also for what is no currency."""
    balance = Money.of(account.balance or 0, account.currency)
    return None if account.balance is None else balance.minor
