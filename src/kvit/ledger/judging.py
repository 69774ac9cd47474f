"""What posting would do with movements: compare them with the ledger and plan what is to be written.

Nothing here writes, so a forecast judges by the same rules. Which stored movement a new id may be is
`identity`'s to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import batched
from typing import Final, NamedTuple

from django.db import connection
from django.db.models import QuerySet

from kvit.ledger import bulk, identity
from kvit.ledger.identity import Teller
from kvit.ledger.models import MoneyTransaction, TransactionAlias
from kvit.ledger.movements import Movement, fingerprint

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
TOLD: Final = (*FACTS, *DETAILS)

AT_ONCE: Final = 5000
"""Movements that are compared or inserted by one statement: more would only need more memory."""

_TAKEN_OVER: Final = "booked by another id than while it was pending"


class Stored(NamedTuple):
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


class Met(NamedTuple):
    """A movement whose row is known, but whose fingerprint is another, or which came by another id."""

    row_id: int
    movement: Movement
    by_alias: bool


class Update(NamedTuple):
    """A stored movement that is told otherwise now."""

    row: Stored
    movement: Movement
    own: bool
    """Whether the row's own source told it; then its id counts as well."""
    reason: str = ""

    @property
    def is_another(self) -> bool:
        """Whether it becomes another movement to the other sources."""
        return not self.row.tells(self.movement, (*FACTS, "status"))


@dataclass(slots=True)
class Plan:
    """What is to be written."""

    inserts: list[Movement] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    conflicts: list[Met] = field(default_factory=list)
    refreshed: list[tuple[int, str, bool]] = field(default_factory=list)
    """Rows from before fingerprints were kept: id, fingerprint, is_bank_id."""
    aliases: list[tuple[str, int]] = field(default_factory=list)
    """Another external id of this source, and the row it means."""
    lost_aliases: list[str] = field(default_factory=list)
    """External ids that turned out to be movements of their own."""
    doubtful: list[tuple[str, int]] = field(default_factory=list)
    """A new movement's external id, and the row that was, or may have been, its pending one."""


def planned(teller: Teller, movements: Sequence[Movement], *, hold: bool) -> Plan:
    """Return what is to be written about movements with distinct ids.

    `hold` keeps the rows that are to be changed until the transaction ends.
    """
    return _Judging(teller, movements, hold).plan_all()


def first_of_each_id(movements: Sequence[Movement]) -> tuple[Sequence[Movement], Sequence[Movement]]:
    """Split off later movements with an id seen before; they are judged after the first ones."""
    if len({movement.external_id for movement in movements}) == len(movements):
        return movements, ()
    first: list[Movement] = []
    later: list[Movement] = []
    seen: set[str] = set()
    for movement in movements:
        (later if movement.external_id in seen else first).append(movement)
        seen.add(movement.external_id)
    return first, later


class _Judging:
    """Movements with distinct ids that are compared with what is stored."""

    def __init__(self, teller: Teller, movements: Sequence[Movement], hold: bool) -> None:
        self.account = teller.account
        self.source = teller.source
        self.teller = teller
        self.movements = movements
        self.hold = hold
        self.plan = Plan()
        self.met: list[Met] = []
        self.seen: set[int] = set() if teller.told is None else teller.told

    def plan_all(self) -> Plan:
        pending = identity.waiting(self.account, self.source)
        self._compare(keep_seen=bool(pending) or self.teller.told is not None)
        self._recognise_former_names()
        self._recognise_bank_ids()
        self._judge()
        self._take_over([row for row in pending if row.id not in self.seen])
        return self.plan

    def _compare(self, *, keep_seen: bool) -> None:
        """Sort out what is not stored yet, and what is stored but told otherwise."""
        if not self._is_known():
            self.plan.inserts = list(self.movements)
            return
        has_aliases = self._aliases().exists()
        for movements in batched(self.movements, AT_ONCE):
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
                    MoneyTransaction._meta.db_table,
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
                self.met.append(Met(known[0], movement, by_alias=False))
        return missing

    def _known_by_alias(self, movements: Sequence[Movement]) -> list[Movement]:
        known: dict[str, int] = {}
        for some in batched(movements, 500):
            ids = [movement.external_id for movement in some]
            aliases = self._aliases().filter(external_id__in=ids)
            known.update(aliases.values_list("external_id", "transaction_id"))
        self.seen.update(known.values())
        self.met += [Met(known[m.external_id], m, by_alias=True) for m in movements if m.external_id in known]
        return [movement for movement in movements if movement.external_id not in known]

    def _aliases(self) -> QuerySet[TransactionAlias]:
        return TransactionAlias.objects.filter(organization=self.account.organization_id, source=self.source)

    def _recognise_former_names(self) -> None:
        """What the source told by the same id when it had another name are these movements."""
        formers = self.teller.former_sources
        if self.plan.inserts and formers:
            self._alias(identity.told_formerly(self.account, formers, self.plan.inserts))

    def _recognise_bank_ids(self) -> None:
        """Other sources' movements with the same bank id on the same account are these ones."""
        others = identity.other_sources(self.account.organization_id, self.source)
        if self.plan.inserts and others:
            self._alias(identity.told_elsewhere(self.account, others, self.plan.inserts))

    def _alias(self, rows: Mapping[str, int]) -> None:
        """Take new movements for stored ones: external id -> row."""
        self.seen.update(rows.values())
        self.plan.aliases += rows.items()
        self.plan.inserts = self._meet(self.plan.inserts, rows)

    def _meet(self, movements: Sequence[Movement], rows: Mapping[str, int]) -> list[Movement]:
        """Remember those that are stored rows by another id; return those that are not."""
        missing = []
        for movement in movements:
            row_id = rows.get(movement.external_id)
            if row_id is None:
                missing.append(movement)
            else:
                self.met.append(Met(row_id, movement, by_alias=True))
        return missing

    def _judge(self) -> None:
        """Decide about each movement that is stored but told otherwise."""
        for some in batched(self.met, 500):
            rows = self._rows([met.row_id for met in some])
            for met in some:
                row = rows[met.row_id]
                if met.by_alias and row.source == self.source:
                    self._judge_former_id(met)
                elif met.by_alias:
                    self._judge_other_sources(met, row)
                else:
                    self._judge_own(met, row)

    def _judge_former_id(self, met: Met) -> None:
        """A pending movement that was taken over and is booked by itself after all is one of its own."""
        if met.movement.status == MoneyTransaction.Status.BOOKED:
            self.plan.lost_aliases.append(met.movement.external_id)
            self.plan.inserts.append(met.movement)
            self.plan.doubtful.append((met.movement.external_id, met.row_id))

    def _judge_other_sources(self, met: Met, row: Stored) -> None:
        """Another source may contradict the facts and may say that it is booked; details stay its own's."""
        if row.status == MoneyTransaction.Status.BOOKED:
            if not row.tells(met.movement, FACTS):
                self.plan.conflicts.append(met)
        elif met.movement.status == MoneyTransaction.Status.BOOKED and row.duplicate_of_id is None:
            self.plan.updates.append(Update(row, met.movement, own=False))

    def _judge_own(self, met: Met, row: Stored) -> None:
        movement = met.movement
        if row.status == MoneyTransaction.Status.WITHDRAWN and row.duplicate_of_id is not None:
            return
        is_booked = row.status == MoneyTransaction.Status.BOOKED
        if is_booked and not row.tells(movement, FACTS):
            self.plan.conflicts.append(met)
        elif is_booked and movement.status == MoneyTransaction.Status.PENDING:
            return
        elif not row.tells(movement, TOLD):
            self.plan.updates.append(Update(row, movement, own=True))
        elif not row.fingerprint:
            self.plan.refreshed.append((row.id, fingerprint(movement), movement.is_bank_id))

    def _take_over(self, pending: Sequence[identity.Waiting]) -> None:
        """Give pending movements that are no longer told to the new booked ones that they became."""
        if not pending or not self.plan.inserts:
            return
        found = identity.takeovers(pending, self.plan.inserts)
        rows = self._rows([row.id for row in found.certain.values()])
        left = []
        for movement in self.plan.inserts:
            taken = found.certain.get(movement.external_id)
            if taken is None:
                left.append(movement)
            else:
                self.plan.updates.append(Update(rows[taken.id], movement, own=True, reason=_TAKEN_OVER))
                self.plan.aliases.append((taken.external_id, taken.id))
                self.seen.add(taken.id)
        self.plan.inserts = left
        self.plan.doubtful += found.doubtful

    def _rows(self, ids: Sequence[int]) -> dict[int, Stored]:
        rows = MoneyTransaction.objects.filter(pk__in=ids).order_by("pk")
        if self.hold:
            rows = rows.select_for_update(of=("self",))
        return {row[0]: Stored(*row) for row in rows.values_list(*Stored._fields)}
