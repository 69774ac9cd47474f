"""Which movement is which, where the bank's own ids come and go.

A bank may give no id, a placeholder, a new id for the same booking, or the same booking with more words or on
another day. What was told in the days that are read again is therefore remembered, and a record of now is
compared with it, from the surest likeness to the weakest:

1. the same reference;
2. day, amount and all details the same;
3. day and amount the same, nothing against it in the other side's account or the variable symbol, one of
   each left: the bank told more about it, or gave it another id;
4. amount and details the same, the day within five, one of each left.

The third comes before the fourth: where the same payment is made every day, the one of yesterday in more
words is likelier yesterday's than the one of today in yesterday's words.

This rests on one fact: what is booked stays booked, so that a movement which is not told any more is told in
other words. Where that leaves more than one way to read it, nothing is guessed: see `Identified`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Final

from kvit.plugins.enable_banking.records import Record

RECIPE: Final = "e1"
"""The version of the digest that is the id of a movement without a reference."""
MOVES_WITHIN: Final = timedelta(days=5)
DETAILS_DIGITS: Final = 8
"""How much of the details' digest is remembered: it tells equal amounts of one day apart."""


@dataclass(frozen=True, slots=True)
class Known:
    """A booked movement that was told before."""

    external_id: str
    day: date
    minor: int
    details: str
    party: str
    """Empty where the bank told nothing of the other side."""

    @classmethod
    def of(cls, record: Record, external_id: str) -> Known:
        details, party = record.details[:DETAILS_DIGITS], record.party[:DETAILS_DIGITS]
        return cls(external_id, record.day, record.minor, details, party)

    def may_be(self, record: Record) -> bool:
        """Whether nothing of the other side speaks against it."""
        return not self.party or not record.party or record.party.startswith(self.party)


@dataclass(slots=True)
class Identified:
    """What the records of an account are."""

    movements: list[tuple[str, Record]] = field(default_factory=list)
    """Each movement's id, in the order of days."""
    not_told: list[Known] = field(default_factory=list)
    """Booked movements that the bank told before and does not tell now."""
    retold: int = 0
    """Records that are movements stored before, but not which: as many as `not_told` or fewer, of the same
    day and amount. Their money is stored, so nothing is told about them."""
    doubtful: list[Record] = field(default_factory=list)
    """Some of these are new, and it cannot be said which."""


def booked(account_id: str, records: Iterable[Record], known: Iterable[Known]) -> Identified:
    """Give the booked records of an account, whole days of it, their ids.

    `known` are the movements told before of the days that are read.
    """
    pairing = _Pairing(_told_once(records), known)
    pairing.pair(lambda record: record.reference or None, lambda row: row.external_id)
    pairing.pair(_facts_of_record, _facts_of_known)
    pairing.pair_told_otherwise()
    pairing.pair_moved()
    found = Identified()
    pairing.set_aside(found)
    new_ids = _NewIds(account_id, {row.external_id for row in pairing.all_known})
    for record in sorted(pairing.records, key=_order):
        if id(record) not in pairing.aside:
            found.movements.append((pairing.ids.get(id(record)) or new_ids.take(record), record))
    found.not_told = list(pairing.left.values())
    return found


def pending(account_id: str, records: Iterable[Record], booked_ids: set[str]) -> list[tuple[str, Record]]:
    """Give the pending records their ids; one that is told as booked too is left out."""
    new_ids = _NewIds(f"pending:{account_id}", set())
    found = [(new_ids.take(record), record) for record in sorted(_told_once(records), key=_order)]
    return [(named, record) for named, record in found if named not in booked_ids]


def _told_once(records: Iterable[Record]) -> list[Record]:
    """Leave out what a page repeats of an earlier one, and take away references that several records share.

    Two equal records of one page are two payments. On two pages they are one where the reference says so, or
    where something else in them, such as the balance after them, does.
    """
    kept: dict[Hashable, Record] = {}
    listed: list[Record] = []
    for record in records:
        key = (record.reference, *_facts_of_record(record)) if record.reference else record.place
        earlier = kept.setdefault(key, record) if key else record
        if earlier.page == record.page:
            listed.append(record)
    shared = Counter(record.reference for record in listed)
    return [record if shared[record.reference] == 1 else _without_reference(record) for record in listed]


def _without_reference(record: Record) -> Record:
    return replace(record, reference="")


class _Pairing:
    """Records of now and movements of before; what is paired is taken from both sides."""

    def __init__(self, records: list[Record], known: Iterable[Known]) -> None:
        self.records = records
        self.all_known = list(known)
        self.left = {row.external_id: row for row in self.all_known}
        self.ids: dict[int, str] = {}
        """By the record's identity in memory."""
        self.aside: set[int] = set()

    def pair(self, of_record: Callable[[Record], Hashable], of_known: Callable[[Known], Hashable]) -> None:
        """Pair what has the same key, in order; None is no key."""
        rows: defaultdict[Hashable, list[Known]] = defaultdict(list)
        for row in self.left.values():
            rows[of_known(row)].append(row)
        for record in self._open():
            key = of_record(record)
            if key is not None and rows.get(key):
                self._take(record, rows[key].pop(0))

    def pair_told_otherwise(self) -> None:
        """Pair what has the same day and amount, where each side has exactly one that the other may be."""
        for records, rows in self._alike():
            if len(records) == len(rows) == 1:
                self._take(records[0], rows[0])

    def pair_moved(self) -> None:
        """Pair what has the same amount and words on another day, where each side has exactly one."""
        for records, rows in self._groups(_words_of_record, _words_of_known):
            if len(records) == len(rows) == 1 and abs(records[0].day - rows[0].day) <= MOVES_WITHIN:
                self._take(records[0], rows[0])

    def set_aside(self, found: Identified) -> None:
        """Set aside the records of which it cannot be said which movement of that day and amount they are."""
        for records, rows in self._alike():
            if len(records) == len(rows) == 1:
                self._take(records[0], rows[0])
            else:
                self.aside.update(map(id, records))
                self._judge_ambiguous(records, rows, found)

    def _judge_ambiguous(self, records: list[Record], rows: list[Known], found: Identified) -> None:
        if len(records) <= len(rows):
            found.retold += len(records)
        else:
            found.doubtful += records

    def _alike(self) -> Iterator[tuple[list[Record], list[Known]]]:
        """Yield the records and movements of one day and amount that may be each other."""
        for group, known in self._groups(_money_of_record, _money_of_known):
            records = [record for record in group if any(row.may_be(record) for row in known)]
            if records:
                yield records, [row for row in known if any(row.may_be(record) for record in records)]

    def _groups(
        self, of_record: Callable[[Record], Hashable], of_known: Callable[[Known], Hashable]
    ) -> Iterator[tuple[Sequence[Record], Sequence[Known]]]:
        records: defaultdict[Hashable, list[Record]] = defaultdict(list)
        for record in self._open():
            records[of_record(record)].append(record)
        rows: defaultdict[Hashable, list[Known]] = defaultdict(list)
        for row in self.left.values():
            rows[of_known(row)].append(row)
        for key, group in records.items():
            yield group, rows.get(key, [])

    def _open(self) -> list[Record]:
        return [item for item in self.records if id(item) not in self.ids and id(item) not in self.aside]

    def _take(self, record: Record, row: Known) -> None:
        self.ids[id(record)] = row.external_id
        del self.left[row.external_id]


class _NewIds:
    """Ids of movements that were never told: the bank's reference, else a digest of what never changes.

    That is day, amount, the other side's account and the variable symbol, and no text: texts grow, and a
    movement must keep its id also where the memory was lost. An ordinal tells several of them apart.
    """

    def __init__(self, scope: str, taken: set[str]) -> None:
        self._scope = scope
        self._taken = taken

    def take(self, record: Record) -> str:
        named = record.reference
        ordinal = 0
        while not named or named in self._taken:
            ordinal += 1
            named = self._digest(record, ordinal)
        self._taken.add(named)
        return named

    def _digest(self, record: Record, ordinal: int) -> str:
        facts = [self._scope, record.day.isoformat(), record.minor, record.party, ordinal]
        return f"{RECIPE}:{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]}"


def _order(record: Record) -> tuple[date, str]:
    """By days, and on a day by content: the bank may tell them in any order."""
    return record.day, record.details


def _facts_of_record(record: Record) -> tuple[Hashable, ...]:
    return record.day, record.minor, record.details[:DETAILS_DIGITS]


def _facts_of_known(row: Known) -> Hashable:
    return row.day, row.minor, row.details


def _words_of_record(record: Record) -> Hashable:
    return record.minor, record.details[:DETAILS_DIGITS]


def _words_of_known(row: Known) -> Hashable:
    return row.minor, row.details


def _money_of_record(record: Record) -> Hashable:
    return record.day, record.minor


def _money_of_known(row: Known) -> Hashable:
    return row.day, row.minor
