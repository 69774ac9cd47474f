"""The completeness net: do the audit's entries, told again from the first to the last, end in today's rows?

Entries of a row are replayed in the order in which they were written. Each must go on from where the one
before left the row, and the last one must leave it as it is now. So a row that was inserted, changed or
deleted past Kvit is found, and an entry that was removed or changed as well. What the replay cannot see, a
whole story removed together with its row, the seals of `audit.sealing` show.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import connection, models, transaction

from kvit.audit import sealing
from kvit.audit.faults import Fault
from kvit.audit.models import AuditEntry
from kvit.audit.recording import audited_columns, plain, plain_value

MOST_FAULTS: Final = 1000
"""How many faults a report names; the others are counted."""

_AT_ONCE: Final = 2000
_OWNER: Final = "organization_id"

type _Values = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was looked at in one table."""

    table: str
    rows: int
    entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a verification found; `faults` holds the first ones of `fault_count`."""

    checked: tuple[Checked, ...]
    chain: sealing.Chain
    faults: tuple[Fault, ...]
    fault_count: int


def verify(head: str = "") -> Report:
    """Compare every followed row with the audit, and the audit with its seals.

    Everything is read as it was at one moment, also while others write; memory does not grow with the
    number of rows. `head` is the digest of a seal that somebody kept elsewhere: that the chain no longer
    holds it is a fault.

    Besides `AUDITED`, a followed model may have `AUDITED_AT_FIRST`, what a new row has in columns that its
    first entry leaves out; `audited_rows()`, the rows that are followed where that is not all of them; and
    `audit_faults()`, which yields what else does not hold: digests of rows, sums over them.
    """
    findings = _Findings()
    with _one_moment():
        checked = tuple(_Table(model, findings).check() for model in audited_models())
        chain = sealing.check(findings.add, head)
    return Report(checked=checked, chain=chain, faults=tuple(findings.first), fault_count=findings.count)


def audited_models() -> list[type[models.Model]]:
    """Return the models that the audit follows, in the order of their tables' names."""
    followed = [model for model in apps.get_models() if audited_columns(model)]
    return sorted(followed, key=lambda model: model._meta.db_table)


class _Findings:
    """Counts faults and keeps the first ones."""

    def __init__(self) -> None:
        self.first: list[Fault] = []
        self.count = 0

    def add(self, fault: Fault) -> None:
        self.count += 1
        if len(self.first) < MOST_FAULTS:
            self.first.append(fault)


@contextmanager
def _one_moment() -> Iterator[None]:
    """Read one state of the database without hindering those who write; inside a transaction, its own view.

    On SQLite, `atomic` would begin an IMMEDIATE transaction, which keeps everybody else from writing.
    """
    if connection.in_atomic_block:
        yield
        return
    if connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield
        return
    with connection.cursor() as cursor:
        cursor.execute("BEGIN DEFERRED")
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")


class _Entry(NamedTuple):
    """What the replay needs of an audit entry."""

    id: int
    object_id: int
    organization_id: int
    action: str
    before: _Values | None
    after: _Values | None


class _Story:
    """The state of one row as its entries tell it, the oldest first."""

    def __init__(self, model: type[models.Model], object_id: int) -> None:
        self.model = model
        self.table = model._meta.db_table
        self.object_id = object_id
        self.state: _Values | None = None
        self.was_told = False

    def tell(self, entry: _Entry) -> Iterator[Fault]:
        """Go on by one entry; what does not follow from those before is a fault."""
        if entry.action == AuditEntry.Action.CREATED:
            yield from self._create(entry)
        elif self.state is None:
            yield from self._begin_in_the_middle(entry)
        yield from self._leave(entry.before or {}, entry)
        self.was_told = True
        if entry.action == AuditEntry.Action.DELETED:
            self.state = None
        else:
            self.state = {**(self.state or {}), **(entry.after or {})}

    def compare(self, row: _Values) -> Iterator[Fault]:
        """Compare the end of the story with the row of today."""
        if self.state is None:
            problem = "is there, and the audit says that it was deleted"
            yield self._fault(problem if self.was_told else "is there, and the audit holds no creation of it")
            return
        for column, found in row.items():
            if column in self.state and not self._same(column, found, self.state[column]):
                yield Fault.differs(
                    self.table, self.object_id, column, expected=self.state[column], found=found
                )

    def compare_with_nothing(self) -> Iterator[Fault]:
        if self.state is not None:
            yield self._fault("is gone, and the audit holds no deletion of it")

    def _create(self, entry: _Entry) -> Iterator[Fault]:
        if self.was_told:
            yield self._fault(f"entry {entry.id} creates it again")
        at_first: Mapping[str, Any] = getattr(self.model, "AUDITED_AT_FIRST", {})
        self.state = {_OWNER: entry.organization_id, **at_first}

    def _begin_in_the_middle(self, entry: _Entry) -> Iterator[Fault]:
        if self.was_told:
            yield self._fault(f"entry {entry.id} changes it after its deletion")
        else:
            yield self._fault(f"the audit holds no creation of it before entry {entry.id}")
        self.state = {_OWNER: entry.organization_id}

    def _leave(self, before: _Values, entry: _Entry) -> Iterator[Fault]:
        """The state that an entry starts from must be the one where the entries before it ended."""
        for column, value in before.items():
            told = (self.state or {}).get(column, value)
            if not self._same(column, value, told):
                yield self._fault(
                    f"entry {entry.id} starts from {column} {value}, the entries before it end at {told}",
                    column,
                )

    def _same(self, column: str, one: Any, other: Any) -> bool:
        """Whether two values are one for the column: the ledger writes times as its database shows them."""
        if one == other:
            return True
        try:
            return plain(self.model, {column: one}) == plain(self.model, {column: other})
        except (FieldDoesNotExist, ValidationError):
            return False

    def _fault(self, problem: str, column: str = "") -> Fault:
        return Fault(self.table, self.object_id, problem, column)


class _Row(NamedTuple):
    """A followed row as it is today."""

    object_id: int
    values: _Values


class _Table:
    """One followed table beside the entries about it."""

    def __init__(self, model: type[models.Model], findings: _Findings) -> None:
        self.model = model
        self.name = model._meta.db_table
        self.findings = findings

    def check(self) -> Checked:
        """Read rows and entries once, both in order of the row's id, and compare them."""
        rows = entries = 0
        of_object = attrgetter("object_id")
        both: Iterator[_Entry | _Row] = heapq.merge(self._entries(), self._rows(), key=of_object)
        for object_id, items in groupby(both, of_object):
            story = _Story(self.model, object_id)
            row: _Values | None = None
            for item in items:
                if isinstance(item, _Entry):
                    entries += 1
                    self._find(story.tell(item))
                else:
                    rows += 1
                    row = item.values
            self._find(story.compare_with_nothing() if row is None else story.compare(row))
        self._find(getattr(self.model, "audit_faults", tuple)())
        return Checked(table=self.name, rows=rows, entries=entries)

    def _entries(self) -> Iterator[_Entry]:
        rows = AuditEntry.objects.filter(table=self.name).order_by("object_id", "id")
        return map(_Entry._make, rows.values_list(*_Entry._fields).iterator(_AT_ONCE))

    def _rows(self) -> Iterator[_Row]:
        columns = list(audited_columns(self.model))
        if _OWNER not in columns and any(one.attname == _OWNER for one in self.model._meta.concrete_fields):
            columns.append(_OWNER)
        followed = getattr(self.model, "audited_rows", self.model._default_manager.all)()
        for key, *values in followed.order_by("pk").values_list("pk", *columns).iterator(_AT_ONCE):
            yield _Row(key, dict(zip(columns, map(plain_value, values), strict=True)))

    def _find(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            self.findings.add(fault)
