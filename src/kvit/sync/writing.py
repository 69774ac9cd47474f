"""Writing what a run reads: collected into batches, each one short transaction under the run's fence."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from kvit.audit.recording import Actor
from kvit.kernel.errors import PluginCrashed, RecordError
from kvit.kernel.money import Money
from kvit.kernel.sealing import KeyRing
from kvit.ledger import posting, statements
from kvit.ledger.accounts import own_account
from kvit.ledger.models import BankAccount
from kvit.ledger.movements import Movement, movement_of
from kvit.plugin import (
    Account,
    AccountStatement,
    Checkpoint,
    Gone,
    Item,
    Payout,
    Transaction,
    Unreadable,
)
from kvit.sync import quarantine, told_payouts
from kvit.sync.models import PluginConfiguration, SourceAccount, SyncHistory
from kvit.sync.queue import Claim
from kvit.sync.redaction import Redactor
from kvit.sync.registry import plugin_class

BATCH_RECORDS: Final = 500
LONGEST_CURSOR_BYTES: Final = 64 * 1024


@dataclass(slots=True)
class _Batch:
    """What was taken since the last commit."""

    accounts: dict[str, Account] = field(default_factory=dict)
    movements: dict[str, list[Movement]] = field(default_factory=dict)
    gone: dict[str, list[str]] = field(default_factory=dict)
    statements: list[AccountStatement] = field(default_factory=list)
    payouts: list[told_payouts.Told] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    records: int = 0
    cursor: Mapping[str, Any] | None = None


class Writer:
    """Takes items and writes them; a batch ends at a checkpoint or when it is full."""

    def __init__(self, held: Claim, actor: Actor, keys: KeyRing, redactor: Redactor) -> None:
        self.held = held
        self.actor = actor
        self.keys = keys
        self.redactor = redactor
        self.connection: PluginConfiguration = held.run.connection
        self.accounts = _known_accounts(self.connection)
        self.former_ids: dict[str, str] = {}
        """What accounts were called by earlier versions of the plugin, where it was something else."""
        plugin = plugin_class(self.connection.plugin)
        self.retells_days = plugin.accepts_files or plugin.reads_statements
        self.told: defaultdict[str, set[int]] = defaultdict(set)
        """The rows of each account that were told since the last checkpoint."""
        self.put_aside: set[str] = set()
        """Digests of the records set aside in this run."""
        self.batch = _Batch()

    def take(self, item: Item) -> None:
        """Collect an item, and write the batch where it ends one. Raises LeaseLost, PluginCrashed."""
        batch = self.batch
        match item:
            case Transaction():
                batch.records += 1
                self._take_transaction(item)
            case Account():
                batch.accounts[item.external_id] = item
                if item.former_id:
                    self.former_ids[item.external_id] = item.former_id
            case AccountStatement():
                batch.statements.append(item)
            case Unreadable():
                batch.records += 1
                batch.unreadable.append(item)
            case Payout():
                self._take_payout(item)
            case Gone():
                batch.gone.setdefault(item.account_id, []).append(item.external_id)
            case Checkpoint():
                batch.cursor = self._storable(item.cursor)
                self.commit()
                self.told.clear()
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
                    former_sources=self._former_sources(account_id),
                    told=self.told[account_id] if self.retells_days else None,
                )
            self._keep_statements(batch.statements)
            for account_id, ids in batch.gone.items():
                if account_id in self.accounts:
                    posting.release(
                        self.accounts[account_id], self._source(account_id), ids, actor=self.actor
                    )
            for doubt in told_payouts.keep(self.held.run, batch.payouts, actor=self.actor):
                self.held.warn(self.redactor.mask(doubt))
            self.put_aside |= quarantine.put_aside(self.held.run, batch.unreadable, self.keys, self.redactor)
            self._count(batch, posted)
            self._move_cursor(batch)
        if batch.cursor is not None and self.held.run.replays_id is None:
            self.connection.cursor = dict(batch.cursor)

    def _take_transaction(self, item: Transaction) -> None:
        try:
            movement = movement_of(item)
            account_id = self._account_of(item, movement)
        except RecordError as error:
            self.batch.unreadable.append(quarantine.unreadable(item, error))
        else:
            self.batch.movements.setdefault(account_id, []).append(movement)

    def _take_payout(self, item: Payout) -> None:
        self.batch.records += 1
        try:
            self.batch.payouts.append(told_payouts.told(item))
        except RecordError as error:
            self.batch.unreadable.append(told_payouts.unreadable(item, error))

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

    def _former_sources(self, account_id: str) -> Sequence[str]:
        former = self.former_ids.get(account_id)
        return () if former is None else (self._source(former),)

    def _keep_statements(self, drawn_up: Sequence[AccountStatement]) -> None:
        for statement in drawn_up:
            account = self.accounts.get(statement.account_id)
            if account is not None:
                statements.keep(account, self._source(statement.account_id), statement, actor=self.actor)

    def _keep_account(self, account: Account) -> BankAccount:
        """Find or make the own account that the source's account is."""
        balance_minor = _balance(account)
        known = self.accounts.get(account.external_id)
        row = (
            known
            if known is not None and known.currency == account.currency
            else own_account(
                self.held.run.organization,
                account.number or account.external_id,
                account.currency,
                account.name,
                actor=self.actor,
            )
        )
        SourceAccount.objects.update_or_create(
            connection=self.connection,
            external_id=account.external_id,
            defaults={"account": row, "balance_minor": balance_minor, "seen_at": timezone.now()},
        )
        return row

    def _storable(self, cursor: Mapping[str, Any]) -> dict[str, Any]:
        """Check a cursor, which is stored in the clear and shown. Raises PluginCrashed."""
        try:
            text = json.dumps(dict(cursor))
        except (TypeError, ValueError):
            raise PluginCrashed(kind="a cursor that is not JSON") from None
        if len(text) > LONGEST_CURSOR_BYTES:
            raise PluginCrashed(kind="a cursor larger than 64 KiB")
        if self.redactor.mask(text) != text:
            raise PluginCrashed(kind="a credential in the cursor")
        return dict(cursor)

    def _move_cursor(self, batch: _Batch) -> None:
        """Move the connection's cursor; a replay reads the past and leaves it."""
        if batch.cursor is not None and self.held.run.replays_id is None:
            PluginConfiguration.objects.filter(pk=self.connection.pk).update(cursor=batch.cursor)

    def _count(self, batch: _Batch, posted: posting.Posted) -> None:
        """Count what was written; whatever is new proves that the run does not kill its workers."""
        got_further = posted.created or posted.updated or batch.cursor not in (None, self.connection.cursor)
        SyncHistory.objects.filter(pk=self.held.run.pk).update(
            fetched=F("fetched") + batch.records,
            created=F("created") + posted.created,
            updated=F("updated") + posted.updated,
            unchanged=F("unchanged") + posted.unchanged,
            conflicting=F("conflicting") + posted.conflicting,
            quarantined=F("quarantined") + len(batch.unreadable),
            takeovers=0 if got_further else F("takeovers"),
        )


def _known_accounts(connection: PluginConfiguration) -> dict[str, BankAccount]:
    rows = SourceAccount.objects.filter(connection=connection).select_related("account__organization")
    return {row.external_id: row.account for row in rows}


def _balance(account: Account) -> int | None:
    """Return the balance in hundredths. Raises AmountUnreadable, also for what is no currency."""
    balance = Money.of(account.balance or 0, account.currency)
    return None if account.balance is None else balance.minor
