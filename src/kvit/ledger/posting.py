"""The one path by which movements enter the ledger: compare, judge, update, insert and audit as sets.

Everything happens in the caller's transaction. Posting the same movements again changes nothing; other facts
about a booked movement become a conflict for a person, never an update. Which stored movement a new id may
be is `identity`'s to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from itertools import batched
from typing import Any, Final, NamedTuple

import msgspec
from django.db import connection
from django.utils import timezone

from kvit.audit.recording import Actor, Change, created, record
from kvit.kernel.sealing import KeyRing
from kvit.ledger import bulk, identity, payloads
from kvit.ledger.identity import Arrived
from kvit.ledger.models import (
    BankAccount,
    MoneyTransaction,
    PossibleDuplicate,
    TransactionAlias,
    TransactionConflict,
)
from kvit.ledger.movements import Movement, fingerprint, fingerprint_of_row
from kvit.ledger.payloads import raw_record

__all__ = ["DETAILS", "FACTS", "Posted", "post", "raw_record", "release"]

FACTS: Final = ("amount_minor", "currency", "booked_on")
"""What a booked movement never changes silently."""
DETAILS: Final = (
    "status",
    "type",
    "value_on",
    "counterparty_name",
    "counterparty_account",
    "counterparty_bank",
    "variable_symbol",
    "constant_symbol",
    "specific_symbol",
    "message",
    "reference",
)
"""What a source may complete later; each change is audited."""

_TABLE: Final = "ledger_moneytransaction"
_TOLD: Final = (*FACTS, *DETAILS)
_CHANGED: Final = ("external_id", "is_bank_id", *_TOLD, "fingerprint")
_TAKEN_OVER: Final = "booked by another id than while it was pending"
_AT_ONCE: Final = 5000
"""Movements that are compared or inserted by one statement: more would only need more memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """Exact counts of what posting did; their sum is the number of movements given."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    conflicting: int = 0

    def __add__(self, other: Posted) -> Posted:
        return Posted(
            created=self.created + other.created,
            updated=self.updated + other.updated,
            unchanged=self.unchanged + other.unchanged,
            conflicting=self.conflicting + other.conflicting,
        )


def post(
    account: BankAccount, source: str, movements: Sequence[Movement], *, actor: Actor, keys: KeyRing
) -> Posted:
    """Store each movement exactly once under (organization, source, external_id) and audit every change.

    Call it inside a transaction. A movement given twice counts as unchanged the second time, or as a
    conflict where the two disagree; so does one that another source told by the same bank id. A booked
    movement that takes over its pending one counts as updated. Raises RuntimeError outside a transaction.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("Movements are posted in the transaction of their run.")
    BankAccount.objects.select_for_update().get(pk=account.pk)
    posted = Posted()
    while movements:
        first, movements = _first_of_each_id(movements)
        posted += _Round(account, source, first, actor, keys).post()
    return posted


def release(account: BankAccount, source: str, external_ids: Iterable[str], *, actor: Actor) -> int:
    """Withdraw pending movements that the source says are gone; booked ones stay. Return how many.

    They come back when the source tells them again. Raises RuntimeError outside a transaction.
    """
    rows = MoneyTransaction.objects.filter(
        organization=account.organization_id,
        source=source,
        external_id__in=list(external_ids),
        status=MoneyTransaction.Status.PENDING,
    )
    now = timezone.now()
    changes = []
    for row in rows.select_for_update(of=("self",)).order_by("pk"):
        before = {"status": row.status, "fingerprint": row.fingerprint}
        row.status = MoneyTransaction.Status.WITHDRAWN
        row.fingerprint = fingerprint_of_row(row)
        row.changed_at = now
        row.save(update_fields=["status", "fingerprint", "changed_at"])
        after = {"status": row.status, "fingerprint": row.fingerprint}
        changes.append(Change(_TABLE, row.pk, before, after, "gone at the source"))
    record(account.organization, actor, changes)
    return len(changes)


def _first_of_each_id(movements: Sequence[Movement]) -> tuple[Sequence[Movement], Sequence[Movement]]:
    """Split off later movements with an id seen before; they are posted after the first ones."""
    if len({movement.external_id for movement in movements}) == len(movements):
        return movements, ()
    first: list[Movement] = []
    later: list[Movement] = []
    seen: set[str] = set()
    for movement in movements:
        (later if movement.external_id in seen else first).append(movement)
        seen.add(movement.external_id)
    return first, later


class _Stored(NamedTuple):
    """What a row holds of what its source told."""

    id: int
    source: str
    duplicate_of_id: int | None
    external_id: str
    is_bank_id: bool
    amount_minor: int
    currency: str
    booked_on: date
    status: str
    type: str
    value_on: date | None
    counterparty_name: str
    counterparty_account: str
    counterparty_bank: str
    variable_symbol: str
    constant_symbol: str
    specific_symbol: str
    message: str
    reference: str
    fingerprint: str

    def tells(self, movement: Movement, columns: Iterable[str]) -> bool:
        """Whether these columns are as the movement has them."""
        return all(getattr(self, name) == getattr(movement, name) for name in columns)


class _Entry(msgspec.Struct):
    """What the audit tells of a new movement; the fingerprint proves the rest."""

    amount_minor: int
    currency: str
    booked_on: date
    status: str
    variable_symbol: str
    account_id: int
    source: str
    external_id: str
    fingerprint: str


class _Met(NamedTuple):
    """A movement whose row is known, but whose fingerprint is another, or which came by another id."""

    row_id: int
    movement: Movement
    by_alias: bool


class _Update(NamedTuple):
    row: _Stored
    movement: Movement
    own: bool
    """Whether the row's own source told it; then its id counts as well."""
    reason: str = ""


@dataclass(slots=True)
class _Plan:
    """What a round is going to write."""

    inserts: list[Movement] = field(default_factory=list)
    updates: list[_Update] = field(default_factory=list)
    conflicts: list[_Met] = field(default_factory=list)
    refreshed: list[tuple[int, str, bool]] = field(default_factory=list)
    """Rows from before fingerprints were kept: id, fingerprint, is_bank_id."""
    aliases: list[tuple[str, int]] = field(default_factory=list)
    """Another external id of this source, and the row it means."""
    lost_aliases: list[str] = field(default_factory=list)
    """External ids that turned out to be movements of their own."""
    doubtful: list[tuple[str, int]] = field(default_factory=list)
    """A new movement's external id, and the row that was, or may have been, its pending one."""


class _Round:
    """Movements with distinct ids on their way into the ledger."""

    def __init__(
        self, account: BankAccount, source: str, movements: Sequence[Movement], actor: Actor, keys: KeyRing
    ) -> None:
        self.account = account
        self.source = source
        self.movements = movements
        self.actor = actor
        self.keys = keys
        self.now = timezone.now()
        self.plan = _Plan()
        self.met: list[_Met] = []
        self.seen: set[int] = set()

    def post(self) -> Posted:
        pending = identity.waiting(self.account, self.source)
        self._compare(keep_seen=bool(pending))
        self._recognise_bank_ids()
        self._judge()
        self._take_over([row for row in pending if row.id not in self.seen])
        self._write()
        posted = Posted(
            created=len(self.plan.inserts),
            updated=len(self.plan.updates),
            conflicting=len(self.plan.conflicts),
        )
        changes = posted.created + posted.updated + posted.conflicting
        return posted + Posted(unchanged=len(self.movements) - changes)

    @cached_property
    def others(self) -> Sequence[str]:
        """The organization's other sources, of whatever account."""
        return identity.other_sources(self.account.organization_id, self.source)

    def _compare(self, *, keep_seen: bool) -> None:
        """Sort out what is not stored yet, and what is stored but told otherwise."""
        if not self._is_known():
            self.plan.inserts = list(self.movements)
            return
        has_aliases = self._aliases().exists()
        for movements in batched(self.movements, _AT_ONCE):
            stored = self._stored([movement.external_id for movement in movements])
            if keep_seen:
                self.seen.update(row_id for row_id, _ in stored.values())
            missing = self._told_otherwise(movements, stored) if stored else list(movements)
            if missing and has_aliases:
                missing = self._known_by_alias(missing)
            self.plan.inserts += missing

    def _is_known(self) -> bool:
        """Whether the source told anything before; a first import has nothing to compare."""
        stored = MoneyTransaction.objects.filter(
            organization=self.account.organization_id, source=self.source
        )
        return stored.exists() or self._aliases().exists()

    def _stored(self, external_ids: Sequence[str]) -> Mapping[str, tuple[int, str]]:
        """Return external id -> row and fingerprint."""
        with connection.cursor() as cursor:
            cursor.execute(
                bulk.probe(
                    _TABLE,
                    ("external_id", "id", "fingerprint"),
                    "known.organization_id = %s AND known.source = %s AND known.external_id = first.value",
                    "text",
                ),
                [bulk.several(external_ids), self.account.organization_id, self.source],
            )
            return {external_id: (row_id, told) for external_id, row_id, told in cursor.fetchall()}

    def _told_otherwise(
        self, movements: Iterable[Movement], stored: Mapping[str, tuple[int, str]]
    ) -> list[Movement]:
        """Keep stored ones that are told otherwise; return those not stored."""
        missing = []
        for movement in movements:
            known = stored.get(movement.external_id)
            if known is None:
                missing.append(movement)
            elif known[1] != fingerprint(movement):
                self.met.append(_Met(known[0], movement, by_alias=False))
        return missing

    def _known_by_alias(self, movements: Sequence[Movement]) -> list[Movement]:
        known: dict[str, int] = {}
        for some in batched(movements, 500):
            ids = [movement.external_id for movement in some]
            aliases = self._aliases().filter(external_id__in=ids)
            known.update(aliases.values_list("external_id", "transaction_id"))
        self.seen.update(known.values())
        self.met += [
            _Met(known[m.external_id], m, by_alias=True) for m in movements if m.external_id in known
        ]
        return [movement for movement in movements if movement.external_id not in known]

    def _aliases(self) -> Any:
        return TransactionAlias.objects.filter(organization=self.account.organization_id, source=self.source)

    def _recognise_bank_ids(self) -> None:
        """Other sources' movements with the same bank id on the same account are these ones."""
        if not self.plan.inserts or not self.others:
            return
        found = identity.told_elsewhere(self.account, self.others, self.plan.inserts)
        self.plan.aliases += found.items()
        self.plan.inserts = self._meet(self.plan.inserts, found)

    def _meet(self, movements: Sequence[Movement], rows: Mapping[str, int]) -> list[Movement]:
        """Remember those that are stored rows by another id; return those that are not."""
        missing = []
        for movement in movements:
            row_id = rows.get(movement.external_id)
            if row_id is None:
                missing.append(movement)
            else:
                self.met.append(_Met(row_id, movement, by_alias=True))
        return missing

    def _judge(self) -> None:
        """Decide about each movement that is stored but told otherwise."""
        for some in batched(self.met, 500):
            rows = _rows([met.row_id for met in some])
            for met in some:
                row = rows[met.row_id]
                if met.by_alias and row.source == self.source:
                    self._judge_former_id(met)
                elif met.by_alias:
                    self._judge_other_sources(met, row)
                else:
                    self._judge_own(met, row)

    def _judge_former_id(self, met: _Met) -> None:
        """A pending movement that was taken over and is booked by itself after all is one of its own."""
        if met.movement.status == MoneyTransaction.Status.BOOKED:
            self.plan.lost_aliases.append(met.movement.external_id)
            self.plan.inserts.append(met.movement)
            self.plan.doubtful.append((met.movement.external_id, met.row_id))

    def _judge_other_sources(self, met: _Met, row: _Stored) -> None:
        """Another source may contradict the facts and may say that it is booked; details stay its own's."""
        if row.status == MoneyTransaction.Status.BOOKED:
            if not row.tells(met.movement, FACTS):
                self.plan.conflicts.append(met)
        elif met.movement.status == MoneyTransaction.Status.BOOKED and row.duplicate_of_id is None:
            self.plan.updates.append(_Update(row, met.movement, own=False))

    def _judge_own(self, met: _Met, row: _Stored) -> None:
        movement = met.movement
        if row.status == MoneyTransaction.Status.WITHDRAWN and row.duplicate_of_id is not None:
            return
        is_booked = row.status == MoneyTransaction.Status.BOOKED
        if is_booked and not row.tells(movement, FACTS):
            self.plan.conflicts.append(met)
        elif is_booked and movement.status == MoneyTransaction.Status.PENDING:
            return
        elif not row.tells(movement, _TOLD):
            self.plan.updates.append(_Update(row, movement, own=True))
        elif not row.fingerprint:
            self.plan.refreshed.append((row.id, fingerprint(movement), movement.is_bank_id))

    def _take_over(self, pending: Sequence[identity.Waiting]) -> None:
        """Give pending movements that are no longer told to the new booked ones that they became."""
        if not pending or not self.plan.inserts:
            return
        found = identity.takeovers(pending, self.plan.inserts)
        rows = _rows([row.id for row in found.certain.values()])
        left = []
        for movement in self.plan.inserts:
            taken = found.certain.get(movement.external_id)
            if taken is None:
                left.append(movement)
            else:
                self.plan.updates.append(_Update(rows[taken.id], movement, own=True, reason=_TAKEN_OVER))
                self.plan.aliases.append((taken.external_id, taken.id))
        self.plan.inserts = left
        self.plan.doubtful += found.doubtful

    def _write(self) -> None:
        plan = self.plan
        arrived: list[Arrived] = []
        if plan.updates:
            arrived += self._update()
        if plan.refreshed:
            bulk.update(_TABLE, {}, ("fingerprint", "is_bank_id"), plan.refreshed)
        if plan.lost_aliases:
            self._aliases().filter(external_id__in=plan.lost_aliases).delete()
        looks_elsewhere = bool(plan.inserts or arrived) and bool(self.others)
        rows_of: dict[str, int] = {}
        for movements in batched(plan.inserts, _AT_ONCE):
            ids = self._insert(movements)
            if looks_elsewhere:
                arrived += map(Arrived, ids, movements)
            if plan.doubtful:
                rows_of.update(zip((movement.external_id for movement in movements), ids, strict=True))
        self._add_aliases()
        self._record_conflicts()
        self._record_duplicates(
            [(rows_of[external_id], row_id) for external_id, row_id in plan.doubtful],
            PossibleDuplicate.Reason.PENDING,
        )
        if looks_elsewhere:
            self._record_duplicates(
                identity.suspects(self.account, self.source, arrived),
                PossibleDuplicate.Reason.OTHER_SOURCE,
            )

    def _update(self) -> list[Arrived]:
        """Write the updates with their entries; return those that are another movement now, to others."""
        updates = self.plan.updates
        rows, changes, arrived = [], [], []
        raws = [update.movement.raw for update in updates]
        with payloads.keeping(
            self.account, raws, self.keys, run_id=self.actor.run_id, now=self.now
        ) as payload_id:
            for position, update in enumerate(updates):
                values = _values(update)
                rows.append((update.row.id, *values, position))
                changes.append(_change(update, values))
                if not update.row.tells(update.movement, (*FACTS, "status")):
                    arrived.append(Arrived(update.row.id, update.movement))
            bulk.update(
                _TABLE,
                {"raw_payload_id": payload_id, "changed_at": self.now},
                (*_CHANGED, "raw_position"),
                rows,
            )
            record(self.account.organization, self.actor, changes)
        return arrived

    def _insert(self, movements: Sequence[Movement]) -> Sequence[int]:
        """Insert new movements with their entries and return their ids in the same order."""
        ids = bulk.reserve_ids(_TABLE, len(movements))
        raws = [movement.raw for movement in movements]
        told: list[str] = []
        with payloads.keeping(
            self.account, raws, self.keys, run_id=self.actor.run_id, now=self.now
        ) as payload_id:
            bulk.insert(_TABLE, self._columns(payload_id), _inserted(ids, movements, told))
            bulk.insert("audit_auditentry", self._entry_columns(), self._entries(ids, movements, told))
        return ids

    def _columns(self, payload_id: int) -> bulk.Columns:
        return bulk.Columns(
            {
                "organization_id": self.account.organization_id,
                "account_id": self.account.pk,
                "source": self.source,
                "raw_payload_id": payload_id,
                "run_id": self.actor.run_id,
                "settled_minor": 0,
                "created_at": self.now,
                "changed_at": self.now,
            },
            _TEXTS,
            _OTHERS,
        )

    def _entry_columns(self) -> bulk.Columns:
        return bulk.Columns(
            {
                "organization_id": self.account.organization_id,
                "at": self.now,
                "actor": self.actor.name,
                "run_id": self.actor.run_id,
                "request_id": self.actor.request_id,
                "table": _TABLE,
                "action": "created",
                "reason": "",
            },
            ("after",),
            ("object_id",),
        )

    def _entries(
        self, ids: Iterable[int], movements: Iterable[Movement], told: Iterable[str]
    ) -> Iterator[bulk.Row]:
        encode = msgspec.json.Encoder().encode
        account_id, source = self.account.pk, self.source
        for row_id, movement, digest in zip(ids, movements, told, strict=True):
            after = _Entry(
                movement.amount_minor,
                movement.currency,
                movement.booked_on,
                movement.status,
                movement.variable_symbol,
                account_id,
                source,
                movement.external_id,
                digest,
            )
            yield (encode(after).decode(),), (row_id,)

    def _add_aliases(self) -> None:
        TransactionAlias.objects.bulk_create(
            TransactionAlias(
                organization_id=self.account.organization_id,
                source=self.source,
                external_id=external_id,
                transaction_id=row_id,
                run_id=self.actor.run_id,
                created_at=self.now,
            )
            for external_id, row_id in self.plan.aliases
        )

    def _record_conflicts(self) -> None:
        """Keep what the source says now; saying the same again adds nothing."""
        told = {
            (met.row_id, met.movement.amount_minor, met.movement.currency, met.movement.booked_on)
            for met in self.plan.conflicts
        }
        for some in batched(sorted(told), 500):
            kept = TransactionConflict.objects.filter(transaction__in=[row_id for row_id, *_ in some])
            known = set(kept.values_list("transaction_id", *FACTS))
            conflicts = TransactionConflict.objects.bulk_create(
                TransactionConflict(
                    organization_id=self.account.organization_id,
                    transaction_id=row_id,
                    run_id=self.actor.run_id,
                    amount_minor=amount_minor,
                    currency=currency,
                    booked_on=booked_on,
                    created_at=self.now,
                )
                for row_id, amount_minor, currency, booked_on in some
                if (row_id, amount_minor, currency, booked_on) not in known
            )
            record(self.account.organization, self.actor, map(created, conflicts))

    def _record_duplicates(self, pairs: Sequence[tuple[int, int]], reason: str) -> None:
        duplicates = PossibleDuplicate.objects.bulk_create(
            PossibleDuplicate(
                organization_id=self.account.organization_id,
                transaction_id=row_id,
                candidate_id=candidate_id,
                reason=reason,
                run_id=self.actor.run_id,
                created_at=self.now,
            )
            for row_id, candidate_id in pairs
        )
        record(self.account.organization, self.actor, map(created, duplicates))


_TEXTS: Final = (
    "external_id",
    "type",
    "status",
    "currency",
    "counterparty_name",
    "counterparty_account",
    "counterparty_bank",
    "variable_symbol",
    "constant_symbol",
    "specific_symbol",
    "message",
    "reference",
    "fingerprint",
)
_OTHERS: Final = ("id", "is_bank_id", "amount_minor", "booked_on", "value_on", "raw_position")


def _inserted(ids: Iterable[int], movements: Iterable[Movement], told: list[str]) -> Iterator[bulk.Row]:
    """Movements in the order of `_TEXTS` and `_OTHERS`; `told` collects their fingerprints.

    They are made on the way: the database is at work meanwhile.
    """
    for position, (row_id, movement) in enumerate(zip(ids, movements, strict=True)):
        digest = fingerprint(movement)
        told.append(digest)
        value_on = movement.value_on
        yield (
            (
                movement.external_id,
                movement.type,
                movement.status,
                movement.currency,
                movement.counterparty_name,
                movement.counterparty_account,
                movement.counterparty_bank,
                movement.variable_symbol,
                movement.constant_symbol,
                movement.specific_symbol,
                movement.message,
                movement.reference,
                digest,
            ),
            (
                row_id,
                movement.is_bank_id,
                movement.amount_minor,
                movement.booked_on.isoformat(),
                None if value_on is None else value_on.isoformat(),
                position,
            ),
        )


def _rows(ids: Sequence[int]) -> dict[int, _Stored]:
    """Read rows and hold them until the transaction ends."""
    rows = MoneyTransaction.objects.filter(pk__in=ids).select_for_update(of=("self",)).order_by("pk")
    return {row[0]: _Stored(*row) for row in rows.values_list(*_Stored._fields)}


def _values(update: _Update) -> tuple[Any, ...]:
    """What the row holds from now on, in the order of `_CHANGED`."""
    movement = update.movement
    named_by = movement if update.own else update.row
    told = [getattr(movement, name) for name in _TOLD]
    return named_by.external_id, named_by.is_bank_id, *told, fingerprint(movement)


def _change(update: _Update, values: Sequence[Any]) -> Change:
    before, after = {}, {}
    for name, value in zip(_CHANGED, values, strict=True):
        old = getattr(update.row, name)
        if old != value:
            before[name], after[name] = old, value
    return Change(_TABLE, update.row.id, before, after, update.reason)
