"""A dry run of a plugin: what it would bring, compared with the ledger; nothing is stored."""

from __future__ import annotations

import inspect
import json
import sys
import traceback
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import httpx
from django.utils import timezone

from kvit.kernel.errors import PluginCrashed, RecordError
from kvit.ledger.forecast import Forecast
from kvit.ledger.identity import Teller
from kvit.ledger.judging import FACTS, Plan, first_of_each_id, planned
from kvit.ledger.models import BankAccount
from kvit.ledger.movements import Movement, fingerprint, movement_of
from kvit.plugin import (
    Account,
    AccountStatement,
    Checkpoint,
    Gone,
    Identity,
    Json,
    Payout,
    Plugin,
    SourceFile,
    Transaction,
    Unreadable,
)
from kvit.sync.configuring import Values
from kvit.sync.gates import DatabaseTurnstile
from kvit.sync.http import AnswerRecorder
from kvit.sync.models import PluginConfiguration, SourceAccount
from kvit.sync.opening import opened
from kvit.sync.redaction import Redactor
from kvit.sync.writing import LONGEST_CURSOR_BYTES
from kvit.users.models import Organization

PATIENCE: Final = timedelta(minutes=10)
"""How long a dry run waits at a gate of the source."""


class Fate(StrEnum):
    """What would become of a record."""

    NEW = "new"
    SAME = "same"
    CHANGED = "changed"
    CONFLICT = "conflict"
    UNREADABLE = "unreadable"


@dataclass(slots=True)
class Seen:
    """One record as the plugin told it."""

    account_id: str
    external_id: str
    movement: Movement | None = None
    reason: str = ""
    """Why it cannot be read."""
    fate: Fate = Fate.UNREADABLE


@dataclass(slots=True, kw_only=True)
class DryRun:
    """Everything that a plugin told in one run, and how that ended."""

    redactor: Redactor
    """Knows the secrets of the run: whatever is shown of it goes through it."""
    cursor_before: Mapping[str, Json]
    cursor_after: Mapping[str, Json] | None = None
    """None where it yielded no checkpoint."""
    identity: Identity | None = None
    """Who answered the check; None where it was left out."""
    accounts: dict[str, tuple[Account, bool]] = field(default_factory=dict)
    """By external id, each with whether the ledger has it already."""
    records: list[Seen] = field(default_factory=list)
    gone: int = 0
    statements: int = 0
    payouts: int = 0
    said: list[str] = field(default_factory=list)
    """What the plugin logged, and warnings."""
    error: Sequence[str] = ()
    """What ended the run before its end, line by line: the plugin's own frames, then the error."""

    @property
    def counts(self) -> Counter[Fate]:
        return Counter(record.fate for record in self.records)


def dry_run(
    plugin: type[Plugin[Any]],
    values: Values,
    *,
    organization: Organization | None,
    connection: PluginConfiguration | None,
    from_start: bool = False,
    redactor: Redactor | None = None,
    recorder: AnswerRecorder | None = None,
    transport: httpx.BaseTransport | None = None,
) -> DryRun:
    """Run a plugin as the engine would and judge what it tells as posting would, without writing.

    With a connection it reads on from its cursor, unless `from_start`; without one it checks the credentials
    first and compares with what a connection of this plugin would meet. Whatever the plugin raises is told
    in `error`. Only what the source would hold against us is kept: the turn at its gate, and a grant that it
    renewed. A `recorder` is given every answer; a `redactor` learns of secrets that are granted meanwhile. A
    `transport` answers in place of the network, and no gate is kept then.
    """
    redactor = redactor or Redactor(values.credentials.values())
    cursor = connection.cursor if connection is not None and not from_start else {}
    run = DryRun(redactor=redactor, cursor_before=dict(cursor))
    reading = _Reading(run, _Ledger(plugin, organization, connection), redactor)
    try:
        with opened(
            plugin,
            values,
            connection=connection,
            is_draft=True,
            redactor=redactor,
            turnstile=DatabaseTurnstile(patience=PATIENCE) if transport is None else None,
            recorder=recorder,
            transport=transport,
        ) as source:
            if connection is None:
                run.identity = source.check()
            items: Any = source.sync(_DryContext(run, today_of(organization)))
            with closing(items) as generator:
                for item in generator:
                    reading.take(item)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a plugin does is shown to its author
        run.error = _told(error, files_of(plugin))
    reading.judge()
    return run


def files_of(plugin: type[Plugin[Any]]) -> frozenset[Path]:
    """Return the source files of a plugin: its module, or all modules of its package."""
    file = Path(inspect.getfile(plugin)).resolve()
    package = sys.modules[plugin.__module__].__package__
    return frozenset(file.parent.rglob("*.py")) if package in sys.modules else frozenset({file})


def today_of(organization: Organization | None) -> date:
    """Return the current date in the organization's time zone, or in Kvit's where there is none yet."""
    zone = None if organization is None else ZoneInfo(organization.time_zone)
    return timezone.localdate(timezone=zone)


@dataclass(frozen=True, slots=True)
class _DryContext:
    """What the plugin is told about this run (see kvit.plugin.Context)."""

    run: DryRun
    today: date
    files: Sequence[SourceFile] = ()

    @property
    def cursor(self) -> Mapping[str, Json]:
        return dict(self.run.cursor_before)

    def log(self, text: str) -> None:
        self.run.said.append(text)

    def warn(self, text: str) -> None:
        self.run.said.append(f"warning: {text}")


class _Ledger:
    """The ledger as a run of this connection, or of a new one, would find it."""

    def __init__(
        self,
        plugin: type[Plugin[Any]],
        organization: Organization | None,
        connection: PluginConfiguration | None,
    ) -> None:
        self._plugin = plugin
        self._forecast = None if organization is None else Forecast(organization)
        rows = SourceAccount.objects.filter(connection=connection).select_related("account__organization")
        self.known = {row.external_id: row.account for row in rows} if connection is not None else {}

    def account(self, told: Account) -> BankAccount:
        """Return the own account that this is, or one without a key that would be made."""
        known = self.known.get(told.external_id)
        if known is not None and known.currency == told.currency:
            return known
        if self._forecast is None:
            return BankAccount(number=told.number or told.external_id, currency=told.currency)
        return self._forecast.account(told.number or told.external_id, told.currency)

    def fates(self, told: Account, movements: Sequence[Movement]) -> dict[str, Fate]:
        """Judge movements with distinct ids; those left out of the answer are stored as they are told."""
        account = self.account(told)
        former = (self._source(told.former_id),) if told.former_id else ()
        teller = Teller(
            account=account,
            source=self._source(told.external_id),
            former_sources=former,
            told=set() if self._plugin.accepts_files or self._plugin.reads_statements else None,
        )
        is_made = account.pk is None
        plan = Plan(inserts=list(movements)) if is_made else planned(teller, movements, hold=False)
        return {
            **{update.movement.external_id: Fate.CHANGED for update in plan.updates},
            **{met.movement.external_id: Fate.CONFLICT for met in plan.conflicts},
            **{movement.external_id: Fate.NEW for movement in plan.inserts},
        }

    def _source(self, account_id: str) -> str:
        return f"{self._plugin.name}:{account_id}"


class _Reading:
    """Takes what a plugin yields, by the rules of the engine's writer."""

    def __init__(self, run: DryRun, ledger: _Ledger, redactor: Redactor) -> None:
        self.run = run
        self.ledger = ledger
        self.redactor = redactor

    def take(self, item: object) -> None:
        """Note an item. Raises PluginCrashed for what the engine would refuse as a whole."""
        match item:
            case Transaction():
                self.run.records.append(self._seen(item))
            case Account():
                known = self.ledger.account(item).pk is not None
                self.run.accounts[item.external_id] = (item, known)
            case Unreadable():
                self.run.records.append(Seen(item.account_id, item.external_id, reason=item.reason))
            case Checkpoint():
                self.run.cursor_after = self._storable(item.cursor)
            case Gone():
                self.run.gone += 1
            case AccountStatement():
                self.run.statements += 1
            case Payout():
                self.run.payouts += 1
            case _:
                raise PluginCrashed(kind=f"yielded {type(item).__name__}, which is no item")

    def judge(self) -> None:
        """Say what would become of each readable record, account by account in the order of telling."""
        for account_id, (account, _known) in self.run.accounts.items():
            readable = {
                id(record.movement): record
                for record in self.run.records
                if record.account_id == account_id and record.movement is not None
            }
            movements = [record.movement for record in readable.values() if record.movement is not None]
            first, again = first_of_each_id(movements)
            fates = self.ledger.fates(account, first)
            for movement in first:
                readable[id(movement)].fate = fates.get(movement.external_id, Fate.SAME)
            told = {movement.external_id: movement for movement in first}
            for movement in again:
                readable[id(movement)].fate = _fate_of_repeated(told[movement.external_id], movement)

    def _seen(self, item: Transaction) -> Seen:
        seen = Seen(str(item.account_id), str(item.external_id))
        try:
            movement = movement_of(item)
            self._require_account(item.account_id, movement.currency)
        except RecordError as error:
            seen.reason = str(error)
        else:
            seen.movement = movement
        return seen

    def _require_account(self, account_id: str, currency: str) -> None:
        """Raise RecordError as the writer does: an account comes before its movements, in one currency."""
        told = self.run.accounts.get(account_id)
        if told is None:
            raise RecordError("The record belongs to an account the source did not name.", field="account_id")
        if told[0].currency != currency:
            raise RecordError(
                "The record is in {found}, its account in {expected}.",
                field="currency",
                found=currency,
                expected=told[0].currency,
            )

    def _storable(self, cursor: Mapping[str, Json]) -> Mapping[str, Json]:
        """Return the cursor as it would be stored. Raises PluginCrashed as the writer does."""
        try:
            text = json.dumps(dict(cursor))
        except (TypeError, ValueError):
            raise PluginCrashed(kind="a cursor that is not JSON") from None
        if len(text) > LONGEST_CURSOR_BYTES:
            raise PluginCrashed(kind="a cursor larger than 64 KiB")
        if self.redactor.mask(text) != text:
            raise PluginCrashed(kind="a credential in the cursor")
        return dict(cursor)


def _fate_of_repeated(first: Movement, again: Movement) -> Fate:
    """What posting makes of an id that one run tells twice."""
    if fingerprint(first) == fingerprint(again):
        return Fate.SAME
    same_facts = all(getattr(first, name) == getattr(again, name) for name in FACTS)
    return Fate.CONFLICT if first.status == "booked" and not same_facts else Fate.CHANGED


def _told(error: BaseException, own: Iterable[Path]) -> list[str]:
    """Return the frames of the plugin's own files and the error, as Python writes them."""
    files = {str(path) for path in own}
    frames = traceback.extract_tb(error.__traceback__)
    mine = [frame for frame in frames if str(Path(frame.filename).resolve()) in files]
    lines = [line for text in traceback.format_list(mine) for line in text.splitlines()]
    name = type(error).__name__
    text = str(error)
    return [*lines, f"{name}: {text}" if text else name]
