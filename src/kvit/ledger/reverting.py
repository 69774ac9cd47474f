"""Taking back what one run did to the ledger: as a whole or not at all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import batched
from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from kvit.audit.models import AuditEntry
from kvit.audit.recording import Actor, Change, deleted, record
from kvit.kernel.errors import Refused, Stale
from kvit.ledger import bulk
from kvit.ledger.models import (
    BankAccount,
    BankStatement,
    MoneyTransaction,
    TransactionAlias,
    TransactionConflict,
)
from kvit.ledger.movements import fingerprint_of_row
from kvit.users.models import Organization

_TABLE: Final = MoneyTransaction._meta.db_table
_WITHDRAWN: Final = MoneyTransaction.Status.WITHDRAWN
_COLUMNS: Final = {column.attname: column for column in MoneyTransaction._meta.concrete_fields}
_CHUNK_ROWS: Final = 2000
_SETTLED: Final = "settled_minor"
"""Settling changes this column and no other; the row itself says what is settled now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverted:
    """How many movements of the run were withdrawn, and how many got their former values back."""

    withdrawn: int
    restored: int


def revert(organization: Organization, run_id: int, *, actor: Actor) -> Reverted:
    """Withdraw every movement that the run brought, and give those it changed their former values back.

    What it said against booked movements, other ids it learned and the statements it received are forgotten
    with it. A source that tells a withdrawn movement again brings it back. Raises Refused, saying how many,
    where movements pay invoices or were changed after the run or nothing is left of it, and Stale where it is
    reverted already.
    """
    with transaction.atomic():
        list(BankAccount.objects.select_for_update().filter(organization=organization).order_by("id"))
        work = _Work.of(organization, run_id)
        work.require_not_reverted()
        work.lock()
        work.require_unused()
        forgotten = _forget_conflicts(work, actor) + _forget_aliases(work) + _forget_statements(work, actor)
        reverted = Reverted(
            withdrawn=work.write(work.brought, actor), restored=work.write(work.altered, actor)
        )
        if not (reverted.withdrawn or reverted.restored or forgotten):
            raise Refused("Nothing of this run is left in the ledger that could be reverted.")
        return reverted


@dataclass(slots=True)
class _Work:
    """What the run did to movements, as its audit entries tell, and what each movement is to become."""

    organization: Organization
    run_id: int
    brought: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Movement -> the columns to write: it is withdrawn."""
    altered: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Movement -> the columns to write: what they held before the run."""
    last_entry: dict[int, int] = field(default_factory=dict)
    """Movement -> the run's last entry about it, settling aside."""
    left_as: dict[int, str] = field(default_factory=dict)
    """Movement -> its fingerprint when the run had done with it; entries of earlier versions tell none."""
    is_as: dict[int, str] = field(default_factory=dict)
    """Movement -> its fingerprint now."""

    @classmethod
    def of(cls, organization: Organization, run_id: int) -> _Work:
        work = cls(organization, run_id)
        entries = work._entries().order_by("id").values_list("id", "object_id", "action", "before", "after")
        for entry, movement, action, before, after in entries.iterator(_CHUNK_ROWS):
            if action == AuditEntry.Action.CREATED:
                work.brought[movement] = {"status": _WITHDRAWN}
            elif before is None or action == AuditEntry.Action.DELETED or _is_settling(before):
                continue
            elif movement not in work.brought:
                work.altered[movement] = _former(before) | work.altered.get(movement, {})
            work.last_entry[movement] = entry
            if told := (after or {}).get("fingerprint"):
                work.left_as[movement] = told
        return work

    @property
    def reason(self) -> str:
        return f"run {self.run_id} reverted"

    def require_not_reverted(self) -> None:
        if self._about_its_movements().filter(reason=self.reason).exists():
            raise Stale("This run was reverted already.")

    def lock(self) -> None:
        """Hold the movements against settling, and leave those aside that are gone or withdrawn already."""
        standing: dict[int, str] = {}
        for chunk in batched(sorted(self.last_entry), _CHUNK_ROWS):
            rows = MoneyTransaction.objects.filter(pk__in=chunk)
            columns = rows.select_for_update().order_by("pk").values_list("pk", "status", "fingerprint")
            for pk, status, told in columns:
                standing[pk], self.is_as[pk] = status, told
        self.brought = {
            pk: values for pk, values in self.brought.items() if standing.get(pk, _WITHDRAWN) != _WITHDRAWN
        }
        self.altered = {pk: values for pk, values in self.altered.items() if pk in standing}

    def require_unused(self) -> None:
        """Raise Refused where the reverting would take something away from a person or a later run."""
        touched = {*self.brought, *self.altered}
        paying = sum(
            MoneyTransaction.objects.filter(pk__in=chunk, settled_minor__gt=0).count()
            for chunk in batched(touched, _CHUNK_ROWS)
        )
        if paying:
            raise Refused(
                "{count} of this run's movements pay invoices. Undo those payments first.", count=paying
            )
        since = len(
            touched & {*self._changed_since(), *self._relied_on_since(), *self._former_ids_taken_since()}
        )
        if since:
            raise Refused(
                "{count} of this run's movements were changed after it by a person or a later run, "
                "so the run cannot be reverted. Revert later runs first.",
                count=since,
            )

    def write(self, values: Mapping[int, Mapping[str, Any]], actor: Actor) -> int:
        """Give the movements these values and a new fingerprint, audited; return how many differed."""
        written = 0
        for chunk in batched(sorted(values), _CHUNK_ROWS):
            rows: list[MoneyTransaction] = []
            changes: list[Change] = []
            for row in MoneyTransaction.objects.filter(pk__in=chunk).order_by("pk"):
                before = _listed(row, columns := (*values[row.pk], "fingerprint"))
                if _assign(row, values[row.pk]):
                    rows.append(row)
                    changes.append(_change(columns, before, _listed(row, columns), self.reason))
            _save(rows, values)
            record(self.organization, actor, changes)
            written += len(rows)
        return written

    def _entries(self) -> QuerySet[AuditEntry]:
        return AuditEntry.objects.filter(
            organization=self.organization, run_id=self.run_id, table=_TABLE
        ).order_by()

    def _about_its_movements(self) -> QuerySet[AuditEntry]:
        return AuditEntry.objects.filter(
            organization=self.organization,
            table=_TABLE,
            object_id__in=self._entries().values("object_id"),
        ).order_by()

    def _changed_since(self) -> Iterator[int]:
        """Movements that are not as the run left them, aside from what is settled."""
        yield from (pk for pk, told in self.left_as.items() if self.is_as.get(pk) != told)
        if len(self.left_as) == len(self.last_entry):
            return
        later = (
            self._about_its_movements()
            .filter(id__gt=min(self.last_entry.values(), default=0))
            .exclude(run_id=self.run_id)
            .values_list("id", "object_id", "after")
        )
        for entry, movement, after in later.iterator(_CHUNK_ROWS):
            is_unproven = movement not in self.left_as
            if is_unproven and entry > self.last_entry.get(movement, entry) and not _is_settling(after):
                yield movement

    def _relied_on_since(self) -> Iterator[int]:
        """Movements that would be withdrawn though another run or a person relies on them."""
        leaving = {
            *self.brought,
            *(pk for pk, values in self.altered.items() if values.get("status") == _WITHDRAWN),
        }
        aliases = TransactionAlias.objects.filter(organization=self.organization).exclude(run_id=self.run_id)
        duplicates = MoneyTransaction.objects.filter(
            organization=self.organization, duplicate_of__isnull=False
        )
        yield from leaving.intersection(aliases.values_list("transaction_id", flat=True).iterator())
        yield from leaving.intersection(duplicates.values_list("duplicate_of_id", flat=True).iterator())

    def _former_ids_taken_since(self) -> Iterator[int]:
        """Movements whose former id is by now another movement's."""
        former = {pk: values["external_id"] for pk, values in self.altered.items() if "external_id" in values}
        for chunk in batched(former, _CHUNK_ROWS):
            sources = dict(MoneyTransaction.objects.filter(pk__in=chunk).values_list("pk", "source"))
            holders = MoneyTransaction.objects.filter(
                organization=self.organization, external_id__in=[former[pk] for pk in chunk]
            )
            taken = {
                (source, name): pk for source, name, pk in holders.values_list("source", "external_id", "pk")
            }
            yield from (pk for pk in chunk if taken.get((sources[pk], former[pk]), pk) != pk)


def _forget_conflicts(work: _Work, actor: Actor) -> int:
    """Remove open conflicts that the run made or that are about movements it brought; return how many."""
    waiting = TransactionConflict.objects.filter(
        organization=work.organization, resolved_at__isnull=True
    ).select_for_update()
    rows = [row for row in waiting if row.run_id == work.run_id or row.transaction_id in work.brought]
    record(work.organization, actor, [deleted(row, reason=work.reason) for row in rows])
    TransactionConflict.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)


def _forget_aliases(work: _Work) -> int:
    learned = TransactionAlias.objects.filter(organization=work.organization, run_id=work.run_id)
    return learned.delete()[0]


def _forget_statements(work: _Work, actor: Actor) -> int:
    received = BankStatement.objects.filter(organization=work.organization, run_id=work.run_id)
    record(work.organization, actor, [deleted(row, reason=work.reason) for row in received.order_by("id")])
    return received.delete()[0]


def _is_settling(values: Mapping[str, Any] | None) -> bool:
    return values is not None and set(values) == {_SETTLED}


def _former(before: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that an entry tells, as Python values; the fingerprint is computed anew."""
    return {
        name: None if value is None else _COLUMNS[name].to_python(value)
        for name, value in before.items()
        if name in _COLUMNS and name not in (_SETTLED, "fingerprint")
    }


def _assign(row: MoneyTransaction, values: Mapping[str, Any]) -> bool:
    """Set the values and the fingerprint; return whether anything differs."""
    if all(getattr(row, name) == value for name, value in values.items()):
        return False
    for name, value in values.items():
        setattr(row, name, value)
    row.fingerprint = fingerprint_of_row(row)
    return True


def _change(columns: Iterable[str], before: Sequence[Any], after: Sequence[Any], reason: str) -> Change:
    """Describe what differs; both lists begin with the movement's id, then the columns' values."""
    pk, *old = before
    differing = [
        (name, was, now) for name, was, now in zip(columns, old, after[1:], strict=True) if was != now
    ]
    return Change(
        _TABLE,
        pk,
        {name: was for name, was, _ in differing},
        {name: now for name, _, now in differing},
        reason,
    )


def _save(rows: Iterable[MoneyTransaction], values: Mapping[int, Mapping[str, Any]]) -> None:
    """Write the rows, all that change the same columns as one batch."""
    now = timezone.now()
    batches: defaultdict[tuple[str, ...], list[MoneyTransaction]] = defaultdict(list)
    for row in rows:
        batches[*sorted(values[row.pk]), "fingerprint"].append(row)
    for names, batch in batches.items():
        same = {"changed_at": now, "match_due": MoneyTransaction.MatchDue.DECISION}
        listed = [_listed(row, names) for row in batch]
        bulk.update(_TABLE, same, names, listed, counted=("match_revision",))


def _listed(row: MoneyTransaction, names: Iterable[str]) -> list[Any]:
    return [row.pk, *(getattr(row, name) for name in names)]
