"""What movements would do to the ledger, found out without writing: judged as posting judges them.

A forecast remembers what it was asked about before, so that several files of one import are judged as they
would be posted, one after another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count

from kvit.ledger import identity
from kvit.ledger.accounts import same_account
from kvit.ledger.identity import Arrived, Older, Teller
from kvit.ledger.judging import FACTS, Plan, first_of_each_id, planned
from kvit.ledger.models import BankAccount, MoneyTransaction
from kvit.ledger.movements import Movement
from kvit.users.models import Organization


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What would become of movements; `new`, `known` and `conflicting` add up to their number."""

    new: int = 0
    """Those that would come back from being withdrawn, too."""
    known: int = 0
    conflicting: int = 0
    possible_duplicates: int = 0
    """How many of them a person would be asked about, new ones as a rule."""

    def __add__(self, other: Outlook) -> Outlook:
        return Outlook(
            new=self.new + other.new,
            known=self.known + other.known,
            conflicting=self.conflicting + other.conflicting,
            possible_duplicates=self.possible_duplicates + other.possible_duplicates,
        )


@dataclass(slots=True)
class _Imagined:
    """What the forecast would have brought to one account by now."""

    by_money: defaultdict[identity.Money, list[tuple[Arrived, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """Each with its source, in the order in which they would be stored."""
    named: dict[tuple[str, str], Arrived] = field(default_factory=dict)
    """By source and external id, aliases too."""
    by_bank_id: dict[str, Arrived] = field(default_factory=dict)
    compared: defaultdict[int, set[tuple[int, str]]] = field(default_factory=lambda: defaultdict(set))
    """A row, stored or not, and those, with their sources, that a person would be asked about with it."""

    def is_known(self, row_id: int, teller: Teller) -> bool:
        """Whether the source has told the row again by now, or one that it was compared with."""
        told = teller.told or set()
        return row_id in told or any(
            source == teller.source and other in told for other, source in self.compared[row_id]
        )


class Forecast:
    """Judges movements file by file and writes nothing."""

    def __init__(self, organization: Organization) -> None:
        self._organization = organization
        self._accounts = list(BankAccount.objects.filter(organization=organization).order_by("id"))
        self._imagined: dict[int, _Imagined] = {}
        """By the account's object: one that is not stored has no key."""
        self._told: defaultdict[tuple[int, str], set[int]] = defaultdict(set)
        self._numbers = count(-1, -1)

    def begin_file(self) -> None:
        """Go on with the next file: from now on, what it does not tell again may be told otherwise."""
        self._told.clear()

    def account(self, number: str, currency: str) -> BankAccount:
        """Return the own account with this number, or the one that would be made, which has no key."""
        rows = [row for row in self._accounts if row.currency == currency]
        found = same_account(number, rows)
        if found is None:
            found = BankAccount(organization=self._organization, number=number, currency=currency)
            self._accounts.append(found)
        return found

    def outlook(
        self,
        account: BankAccount,
        source: str,
        movements: Sequence[Movement],
        *,
        former_sources: Sequence[str] = (),
    ) -> Outlook:
        """Return what would become of movements that this source tells of an account given by `account`."""
        teller = Teller(
            account=account,
            source=source,
            former_sources=former_sources,
            told=self._told[id(account), source],
        )
        outlook = Outlook()
        while movements:
            first, movements = first_of_each_id(movements)
            outlook += self._judged(teller, first)
        return outlook

    def _judged(self, teller: Teller, movements: Sequence[Movement]) -> Outlook:
        imagined = self._imagined.setdefault(id(teller.account), _Imagined())
        left, outlook = _told_before(imagined, teller, movements)
        plan = Plan(inserts=left) if teller.account.pk is None else planned(teller, left, hold=False)
        new, recognised = _told_by_bank_id(imagined, teller, plan.inserts)
        inserted = [Arrived(next(self._numbers), movement) for movement in new]
        arrived = [Arrived(update.row.id, update.movement) for update in plan.updates if update.is_another]
        arrived += inserted
        teller.remember(row.id for row in inserted)
        doubtful = {external_id for external_id, _row_id in plan.doubtful}
        asked = {row.id for row in arrived if row.movement.external_id in doubtful}
        asked |= self._asked(imagined, teller, arrived)
        _keep(imagined, teller, inserted)
        back = sum(update.row.status == MoneyTransaction.Status.WITHDRAWN for update in plan.updates)
        known = len(left) - len(plan.inserts) - len(plan.conflicts) - back
        outlook += Outlook(new=back + len(new), known=known, conflicting=len(plan.conflicts))
        return outlook + recognised + Outlook(possible_duplicates=len(asked))

    def _asked(self, imagined: _Imagined, teller: Teller, arrived: Sequence[Arrived]) -> set[int]:
        """Return those of these rows that a person would be asked about."""
        days = {str(row.movement.booked_on) for row in arrived}
        older = identity.older_rows(teller, days) if teller.account.pk is not None and days else {}
        candidates: defaultdict[identity.Money, list[Older]] = defaultdict(list)
        for money, rows in older.items():
            candidates[money] += [row for row in rows if not imagined.is_known(row.id, teller)]
        for money in {identity.money_of(row.movement) for row in arrived} & imagined.by_money.keys():
            candidates[money] += [
                Older(row.id, source, row.movement.is_bank_id, row.movement.variable_symbol)
                for row, source in imagined.by_money[money]
                if not imagined.is_known(row.id, teller)
            ]
        suspects = identity.paired(teller, arrived, candidates)
        for suspect in suspects:
            imagined.compared[suspect.older.id].add((suspect.row_id, teller.source))
            imagined.compared[suspect.row_id].add((suspect.older.id, suspect.older.source))
        return {suspect.row_id for suspect in suspects}


def _told_before(
    imagined: _Imagined, teller: Teller, movements: Iterable[Movement]
) -> tuple[list[Movement], Outlook]:
    """Leave out what the source told in the import before."""
    left, known, conflicting = [], 0, 0
    for movement in movements:
        row = imagined.named.get((teller.source, movement.external_id))
        if row is None:
            left.append(movement)
            continue
        teller.remember([row.id])
        contradicts = _contradict(row.movement, movement)
        known, conflicting = known + (not contradicts), conflicting + contradicts
    return left, Outlook(known=known, conflicting=conflicting)


def _told_by_bank_id(
    imagined: _Imagined, teller: Teller, movements: Iterable[Movement]
) -> tuple[list[Movement], Outlook]:
    """Leave out what another source told in the import before by the bank's own id."""
    left, known, conflicting = [], 0, 0
    for movement in movements:
        row = imagined.by_bank_id.get(movement.external_id) if movement.is_bank_id else None
        if row is None:
            left.append(movement)
            continue
        imagined.named[teller.source, movement.external_id] = row
        teller.remember([row.id])
        contradicts = _contradict(row.movement, movement)
        known, conflicting = known + (not contradicts), conflicting + contradicts
    return left, Outlook(known=known, conflicting=conflicting)


def _keep(imagined: _Imagined, teller: Teller, arrived: Iterable[Arrived]) -> None:
    for row in arrived:
        slim = row._replace(movement=row.movement._replace(raw={}))
        imagined.by_money[identity.money_of(row.movement)].append((slim, teller.source))
        imagined.named[teller.source, row.movement.external_id] = slim
        if row.movement.is_bank_id:
            imagined.by_bank_id.setdefault(row.movement.external_id, slim)


def _contradict(one: Movement, other: Movement) -> bool:
    """Whether two tellings of one movement differ in facts though it is booked."""
    return one.status == "booked" and any(getattr(one, name) != getattr(other, name) for name in FACTS)
