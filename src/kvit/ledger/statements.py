"""The statements that were received for an own account, and what is missing between them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from hashlib import blake2b
from itertools import groupby, pairwise, product
from typing import Final, Literal

import msgspec
from django.db.models import QuerySet
from django.utils import timezone

from kvit.audit.recording import Actor, created, record
from kvit.kernel.money import Money
from kvit.ledger.models import BankAccount, BankStatement
from kvit.plugin import AccountStatement

_DAY: Final = timedelta(days=1)
_NUMBER: Final = re.compile(r"([0-9]{1,5})(?:/([0-9]{1,5}))?")
_YEARS: Final = range(1990, 2200)
_MOST_MISSING: Final = 400
"""Numbers further apart than a year of daily statements do not count statements."""
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Something is missing between two statements of an account."""

    after: BankStatement
    before: BankStatement
    kind: Literal["number", "balance", "days"]
    missing: tuple[str, ...] = ()
    """The numbers of the missing statements."""
    difference: Money | None = None
    """The opening balance of the later one less the closing balance of the earlier one, where told."""
    from_date: date | None = None
    to_date: date | None = None
    """The days that no statement covers, both inclusive; None where the days leave no gap."""


def statements_of(account: BankAccount) -> QuerySet[BankStatement]:
    """Return the account's statements, the newest first."""
    return (
        BankStatement.objects.filter(account=account)
        .select_related("account")
        .order_by("-to_date", "-from_date", "-id")
    )


def gaps(account: BankAccount) -> tuple[Gap, ...]:
    """Return what is missing between the account's statements, the oldest first, one gap at a place.

    The statements of all sources are judged together: what one of them holds is not missing in another.
    A missing number is told before balances that do not continue, and those before days that no statement
    covers; where balances or numbers continue, such days had no movements. Statements without a day are
    left out.
    """
    rows = sorted(filter(_last_day, statements_of(account)), key=_order)
    numbered = _narrowest(_numbers_missing(rows))
    others = [gap for gap in _breaks(rows) if not any(_spans(one, gap) for one in numbered)]
    return tuple(sorted([*numbered, *others], key=lambda gap: _order(gap.before)))


def keep(account: BankAccount, source: str, statement: AccountStatement, *, actor: Actor) -> None:
    """Store a statement that says a number, a day or a balance; the same one again adds nothing.

    Call it in the transaction that posts its movements.
    """
    row = BankStatement(
        organization=account.organization,
        account=account,
        source=source,
        number=statement.number.replace("\x00", "").strip()[:64],
        from_date=statement.from_date,
        to_date=statement.to_date,
        opening_minor=_minor(statement.opening_balance, account.currency),
        closing_minor=_minor(statement.closing_balance, account.currency),
        entries=statement.entries,
        file_name=statement.file.replace("\x00", "")[:255],
        run_id=actor.run_id,
        created_at=timezone.now(),
    )
    told = (row.number, row.from_date, row.to_date, row.opening_minor, row.closing_minor)
    if all(value in (None, "") for value in told):
        return
    row.fingerprint = blake2b(_encode((*told, row.entries)), digest_size=16).hexdigest()
    known = BankStatement.objects.filter(
        organization=account.organization, account=account, source=source, fingerprint=row.fingerprint
    )
    if not known.exists():
        row.save(force_insert=True)
        record(account.organization, actor, [created(row)])


def _minor(balance: Decimal | None, currency: str) -> int | None:
    return None if balance is None else Money.of(balance, currency).minor


def _first_day(row: BankStatement) -> date:
    return row.from_date or _last_day(row) or date.max


def _last_day(row: BankStatement) -> date | None:
    return row.to_date or row.from_date


def _end(row: BankStatement) -> date:
    return row.to_date or row.from_date or date.min


def _order(row: BankStatement) -> tuple[date, date, tuple[int, int], int]:
    return _first_day(row), _end(row), _Sequence.of(row).place, row.pk


@dataclass(frozen=True, slots=True)
class _Sequence:
    """Where a statement stands among those of its year."""

    year: int
    number: int
    """Zero where the statement has no number that counts."""

    @classmethod
    def of(cls, row: BankStatement) -> _Sequence:
        """Read `5`, `5/2026`, `2026/5` and, with the page of the statement, `5/1`."""
        year = _end(row).year
        found = _NUMBER.fullmatch(row.number)
        if found is None:
            return cls(year, 0)
        first, second = int(found[1]), int(found[2] or 0)
        if first in _YEARS and found[2]:
            return cls(first, second)
        return cls(second if second in _YEARS else year, first)

    @property
    def place(self) -> tuple[int, int]:
        return self.year, self.number

    def missing_before(self, later: _Sequence) -> range:
        """The numbers between this and a later statement; each year may begin anew."""
        if later.year == self.year or later.number > self.number:
            return range(self.number + 1, later.number)
        return range(1, later.number)


def _numbers_missing(rows: Sequence[BankStatement]) -> Iterator[Gap]:
    """Yield where the numbers of one source do not continue, unless other sources hold what is missing."""
    by_source: defaultdict[str, list[BankStatement]] = defaultdict(list)
    for row in rows:
        if _Sequence.of(row).number:
            by_source[row.source].append(row)
    for told in by_source.values():
        told.sort(key=lambda row: (_Sequence.of(row).place, _order(row)))
        for after, before in pairwise(told):
            missing = _Sequence.of(after).missing_before(_Sequence.of(before))
            if missing and len(missing) <= _MOST_MISSING:
                yield from _unfilled(after, before, missing, rows)


def _unfilled(
    after: BankStatement, before: BankStatement, missing: range, rows: Sequence[BankStatement]
) -> Iterator[Gap]:
    """Yield a gap for each run of numbers that nobody holds, where days and balances do not continue."""
    first, last = _end(after), _first_day(before)
    within = [row for row in rows if first <= _end(row) and _first_day(row) <= last]
    held = {_Sequence.of(row).number: row for row in within}
    left = [number for number in missing if number not in held]
    for _place, run in groupby(enumerate(left), key=lambda pair: pair[1] - pair[0]):
        numbers = [number for _index, number in run]
        gap = _gap(
            held.get(numbers[0] - 1, after),
            held.get(numbers[-1] + 1, before),
            "number",
            tuple(map(str, numbers)),
        )
        if not _continues(gap, within):
            yield gap


def _continues(gap: Gap, rows: Iterable[BankStatement]) -> bool:
    """Whether nothing can be missing: other statements cover the days, or days and balances go on."""
    if gap.from_date is None or gap.to_date is None:
        return gap.difference == Money(0, gap.before.account.currency)
    return not _uncovered(gap.from_date, gap.to_date, rows)


def _narrowest(found: Iterable[Gap]) -> list[Gap]:
    """Leave out gaps around others: two sources that both miss a statement miss one statement."""
    kept: list[Gap] = []
    for gap in sorted(found, key=lambda gap: _first_day(gap.before) - _end(gap.after)):
        if not any(_spans(gap, other) for other in kept):
            kept.append(gap)
    return kept


def _uncovered(first: date, last: date, rows: Iterable[BankStatement]) -> bool:
    """Whether any of these days, both inclusive, is in no statement; the rows are in order."""
    for row in rows:
        if _first_day(row) <= first <= _end(row):
            first = _end(row) + _DAY
    return first <= last


def _breaks(rows: Iterable[BankStatement]) -> Iterator[Gap]:
    """Yield where statements go on from none before them, by their balances or else by their days."""
    ends: list[BankStatement] = []
    """The statements that reach as far as any before."""
    for first, beginning in groupby(rows, key=_first_day):
        group = list(beginning)
        if ends and first >= _end(ends[0]):
            yield from _break(ends, group)
        for row in group:
            if not ends or _end(row) > _end(ends[0]):
                ends = [row]
            elif _end(row) == _end(ends[0]):
                ends.append(row)


def _break(ends: Sequence[BankStatement], begins: Sequence[BankStatement]) -> Iterator[Gap]:
    """Yield the gap between statements that end and those that begin next, unless some of them continue."""
    pairs = list(product(ends, [row for row in begins if row not in ends]))
    told = [(one, other) for one, other in pairs if None not in (one.closing_minor, other.opening_minor)]
    if not pairs or any(one.closing_minor == other.opening_minor for one, other in told):
        return
    is_numbered = any(_continues_numbers(one, other) for one, other in pairs)
    after, before = pairs[0]
    if told:
        # Two that share a day may both hold its movements.
        if is_numbered or _end(after) < _first_day(before):
            yield _gap(*told[0], "balance")
    elif not is_numbered and _end(after) + _DAY < _first_day(before):
        yield _gap(after, before, "days")


def _continues_numbers(after: BankStatement, before: BankStatement) -> bool:
    earlier, later = _Sequence.of(after), _Sequence.of(before)
    if after.source != before.source or not (earlier.number and later.number):
        return False
    if earlier.year == later.year:
        return later.number == earlier.number + 1
    return later.place == (earlier.year + 1, 1)


def _gap(
    after: BankStatement,
    before: BankStatement,
    kind: Literal["number", "balance", "days"],
    missing: tuple[str, ...] = (),
) -> Gap:
    closing, opening = after.closing_balance, before.opening_balance
    first, last = _end(after) + _DAY, _first_day(before) - _DAY
    return Gap(
        after=after,
        before=before,
        kind=kind,
        missing=missing,
        difference=None if closing is None or opening is None else opening - closing,
        from_date=first if first <= last else None,
        to_date=last if first <= last else None,
    )


def _spans(one: Gap, other: Gap) -> bool:
    return _end(one.after) <= _end(other.after) and _first_day(other.before) <= _first_day(one.before)
