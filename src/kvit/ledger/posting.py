"""The one path by which movements enter the ledger: judge, update, insert and audit as sets.

Everything happens in the caller's transaction. Posting the same movements again changes nothing; other facts
about a booked movement become a conflict for a person, never an update. What is to be written `judging`
says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import batched
from typing import Any, Final

import msgspec
from django.db import connection
from django.utils import timezone

from kvit.audit.recording import Actor, Change, created, record
from kvit.kernel.sealing import KeyRing
from kvit.ledger import bulk, identity, payloads
from kvit.ledger.identity import Arrived, Teller
from kvit.ledger.judging import AT_ONCE, DETAILS, FACTS, TOLD, Update, first_of_each_id, planned
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

_TABLE: Final = "ledger_moneytransaction"
_CHANGED: Final = ("external_id", "is_bank_id", *TOLD, "fingerprint")


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
    account: BankAccount,
    source: str,
    movements: Sequence[Movement],
    *,
    actor: Actor,
    keys: KeyRing,
    former_sources: Sequence[str] = (),
    told: set[int] | None = None,
) -> Posted:
    """Store each movement exactly once under (organization, source, external_id) and audit every change.

    Call it inside a transaction. A movement given twice counts as unchanged the second time, or as a
    conflict where the two disagree; so does one that another source told by the same bank id, or the source
    itself under one of its former names. A booked movement that takes over its pending one counts as updated.
    `told` is for a source that retells whole days (see `Teller`).
    Raises RuntimeError outside a transaction.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("Movements are posted in the transaction of their run.")
    BankAccount.objects.select_for_update().get(pk=account.pk)
    teller = Teller(account=account, source=source, former_sources=former_sources, told=told)
    posted = Posted()
    while movements:
        first, movements = first_of_each_id(movements)
        posted += _Round(teller, first, actor, keys).post()
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


class _Round:
    """Movements with distinct ids on their way into the ledger."""

    def __init__(self, teller: Teller, movements: Sequence[Movement], actor: Actor, keys: KeyRing) -> None:
        self.teller = teller
        self.account = teller.account
        self.source = teller.source
        self.movements = movements
        self.actor = actor
        self.keys = keys
        self.now = timezone.now()
        self.plan = planned(teller, movements, hold=True)

    def post(self) -> Posted:
        """Write what is planned and count it."""
        self._write()
        posted = Posted(
            created=len(self.plan.inserts),
            updated=len(self.plan.updates),
            conflicting=len(self.plan.conflicts),
        )
        changes = posted.created + posted.updated + posted.conflicting
        return posted + Posted(unchanged=len(self.movements) - changes)

    def _write(self) -> None:
        plan = self.plan
        arrived = self._update() if plan.updates else []
        if plan.refreshed:
            bulk.update(_TABLE, {}, ("fingerprint", "is_bank_id"), plan.refreshed)
        if plan.lost_aliases:
            self._forget_aliases()
        for movements in batched(plan.inserts, AT_ONCE):
            ids = self._insert(movements)
            arrived += map(Arrived, ids, movements)
            self.teller.remember(ids)
        self._add_aliases()
        self._record_conflicts()
        self._record_duplicates(arrived)

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
                if update.is_another:
                    arrived.append(Arrived(update.row.id, update.movement))
            bulk.update(
                _TABLE,
                {
                    "raw_payload_id": payload_id,
                    "changed_at": self.now,
                    "match_due": MoneyTransaction.MatchDue.DECISION,
                },
                (*_CHANGED, "raw_position"),
                rows,
                counted=("match_revision",),
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

    def _forget_aliases(self) -> None:
        TransactionAlias.objects.filter(
            organization=self.account.organization_id,
            source=self.source,
            external_id__in=self.plan.lost_aliases,
        ).delete()

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

    def _record_duplicates(self, arrived: Sequence[Arrived]) -> None:
        """Ask about movements that are new, or another one now, to what is stored already."""
        rows_of = {row.movement.external_id: row.id for row in arrived} if self.plan.doubtful else {}
        pending = [(rows_of[external_id], row_id) for external_id, row_id in self.plan.doubtful]
        reasons = dict.fromkeys(pending, PossibleDuplicate.Reason.PENDING)
        for suspect in identity.suspects(self.teller, arrived):
            reasons.setdefault((suspect.row_id, suspect.older.id), suspect.reason)
        for pair in _asked_before(reasons):
            del reasons[pair]
        duplicates = PossibleDuplicate.objects.bulk_create(
            PossibleDuplicate(
                organization_id=self.account.organization_id,
                transaction_id=row_id,
                candidate_id=candidate_id,
                reason=reason,
                run_id=self.actor.run_id,
                created_at=self.now,
            )
            for (row_id, candidate_id), reason in reasons.items()
        )
        record(self.account.organization, self.actor, map(created, duplicates))


def _asked_before(pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the pairs that were asked about already, as of a movement that became another one and back."""
    wanted = set(pairs)
    found: list[tuple[int, int]] = []
    for some in batched({row_id for row_id, _ in wanted}, AT_ONCE):
        asked = PossibleDuplicate.objects.filter(transaction__in=some)
        found += [pair for pair in asked.values_list("transaction_id", "candidate_id") if pair in wanted]
    return found


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


def _values(update: Update) -> tuple[Any, ...]:
    """What the row holds from now on, in the order of `_CHANGED`."""
    movement = update.movement
    named_by = movement if update.own else update.row
    told = [getattr(movement, name) for name in TOLD]
    return named_by.external_id, named_by.is_bank_id, *told, fingerprint(movement)


def _change(update: Update, values: Sequence[Any]) -> Change:
    before, after = {}, {}
    for name, value in zip(_CHANGED, values, strict=True):
        old = getattr(update.row, name)
        if old != value:
            before[name], after[name] = old, value
    return Change(_TABLE, update.row.id, before, after, update.reason)
