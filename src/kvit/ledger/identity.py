"""Which stored movement a new one may be: the policy for what arrives under an id not known yet.

Nothing here writes. A booked movement takes over its pending one only where neither could be meant otherwise;
another source's movement is the same one only where the bank's own id says so; anything less is a possible
duplicate for a person. Two equal movements that one source tells at once are always two.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import batched
from typing import Final, NamedTuple

from django.db import connection
from django.db.models import Q

from kvit.ledger.bulk import probe, several
from kvit.ledger.models import BankAccount, PossibleDuplicate, TransactionAlias
from kvit.ledger.movements import Movement

BOOKED_WITHIN: Final = timedelta(days=5)
"""How far the day of a booked movement may lie from the day of its pending one, inclusive."""
_AT_ONCE: Final = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """Who tells movements of an account."""

    account: BankAccount
    source: str
    former_sources: Sequence[str] = ()
    """What the source was called before: an id told under one of these names is the same movement."""
    told: set[int] | None = None
    """For a source that retells whole days, as statement files do: the rows it has told so far, which are
    added to. A row of such a day that it does not tell again may be what it tells by another id now."""

    def remember(self, row_ids: Iterable[int]) -> None:
        """Note rows that are told now."""
        if self.told is not None:
            self.told.update(row_ids)


class Waiting(NamedTuple):
    """A stored pending movement that a booked one may take over."""

    id: int
    external_id: str
    amount_minor: int
    currency: str
    booked_on: date
    counterparty_account: str
    variable_symbol: str


@dataclass(frozen=True, slots=True)
class Takeovers:
    """Which pending movement each booked one takes over, and which pairs a person has to look at."""

    certain: Mapping[str, Waiting] = field(default_factory=dict)
    """By the booked movement's external id."""
    doubtful: Sequence[tuple[str, int]] = ()
    """The booked movement's external id and the pending one's row."""


def waiting(account: BankAccount, source: str) -> list[Waiting]:
    """Return the source's pending movements of the account."""
    with connection.cursor() as cursor:
        # The status is written out: SQLite uses a partial index only for a condition it can read.
        cursor.execute(
            f"SELECT {', '.join(Waiting._fields)} FROM ledger_moneytransaction"
            " WHERE organization_id = %s AND account_id = %s AND source = %s AND status = 'pending'"
            " ORDER BY id",
            [account.organization_id, account.pk, source],
        )
        return [Waiting(*row) for row in cursor.fetchall()]


def takeovers(pending: Iterable[Waiting], arrived: Iterable[Movement]) -> Takeovers:
    """Pair new booked movements with pending ones that the source no longer tells.

    A pair is certain where neither side has another partner and no earlier movement claims the pending one.
    """
    by_money: dict[tuple[int, str], list[Waiting]] = defaultdict(list)
    for row in pending:
        by_money[row.amount_minor, row.currency].append(row)
    pairs = [
        (movement, row)
        for movement in arrived
        if movement.status == "booked"
        for row in by_money.get((movement.amount_minor, movement.currency), ())
        if _may_be(movement, row)
    ]
    of_movement: Counter[str] = Counter()
    of_row: Counter[int] = Counter()
    for movement, row in pairs:
        of_movement[movement.external_id] += 1
        of_row[row.id] += 1
    disputed = _disputed(of_row)
    certain, doubtful = {}, []
    for movement, row in pairs:
        if of_movement[movement.external_id] == of_row[row.id] == 1 and row.id not in disputed:
            certain[movement.external_id] = row
        else:
            doubtful.append((movement.external_id, row.id))
    return Takeovers(certain, doubtful)


def other_sources(organization_id: int, source: str) -> list[str]:
    """Return the other sources that the organization has movements of, by one index probe each."""
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE told(source) AS ("
            " SELECT MIN(source) FROM ledger_moneytransaction WHERE organization_id = %s"
            " UNION ALL SELECT (SELECT MIN(source) FROM ledger_moneytransaction"
            "  WHERE organization_id = %s AND source > told.source)"
            " FROM told WHERE told.source IS NOT NULL)"
            " SELECT source FROM told WHERE source IS NOT NULL AND source <> %s",
            [organization_id, organization_id, source],
        )
        return [name for (name,) in cursor.fetchall()]


def told_elsewhere(
    account: BankAccount, others: Sequence[str], arrived: Iterable[Movement]
) -> dict[str, int]:
    """Return external id -> row of the account's movements that other sources tell by the same bank id.

    Only the same account counts: a transfer between two own accounts may have one id on both.
    """
    ids = [movement.external_id for movement in arrived if movement.is_bank_id]
    return _rows_by_id(account, others, ids, " AND known.is_bank_id")


def told_formerly(
    account: BankAccount, former_sources: Sequence[str], arrived: Iterable[Movement]
) -> dict[str, int]:
    """Return external id -> row of the account's movements that a source told when it had another name."""
    return _rows_by_id(account, former_sources, [movement.external_id for movement in arrived])


def _rows_by_id(
    account: BankAccount, sources: Sequence[str], ids: Sequence[str], condition: str = ""
) -> dict[str, int]:
    found: dict[str, int] = {}
    with connection.cursor() as cursor:
        for some in batched(ids, _AT_ONCE):
            cursor.execute(
                probe(
                    "ledger_moneytransaction",
                    ("external_id", "id"),
                    "known.organization_id = %s AND known.source = second.value"
                    f" AND known.external_id = first.value AND known.account_id = %s{condition}",
                    "text",
                    "text",
                ),
                [several(some), several(sources), account.organization_id, account.pk],
            )
            for external_id, row_id in cursor.fetchall():
                found[external_id] = min(row_id, found.get(external_id, row_id))
    return found


class Arrived(NamedTuple):
    """A movement that was stored or became another one, and its row."""

    id: int
    movement: Movement


class Older(NamedTuple):
    """A stored movement that another one may be."""

    id: int
    source: str
    is_bank_id: bool
    variable_symbol: str


class Suspect(NamedTuple):
    """A row that may be the same movement as an older one."""

    row_id: int
    older: Older
    reason: PossibleDuplicate.Reason


type Money = tuple[int, str, date]
"""Amount in hundredths, currency and day of a movement."""


def suspects(teller: Teller, arrived: Sequence[Arrived]) -> list[Suspect]:
    """Pair rows of this source with older rows of equal account, day and amount, which they may be.

    These are other sources' rows; of a source that retells whole days also its own that it does not retell.
    """
    if not arrived:
        return []
    if teller.told is None and not other_sources(teller.account.organization_id, teller.source):
        return []
    return paired(teller, arrived, older_rows(teller, {str(row.movement.booked_on) for row in arrived}))


def paired(teller: Teller, arrived: Sequence[Arrived], older: Mapping[Money, list[Older]]) -> list[Suspect]:
    """Pair each row with one older row of equal day and amount, and each older row with one.

    Equal variable symbols are paired first. Takes what it pairs out of `older`.
    """
    found: list[Suspect] = []
    left = list(arrived)
    for fits in (_same_symbol, _not_proven_different):
        unpaired = []
        for row in left:
            candidates = older.get(money_of(row.movement), [])
            match = next((other for other in candidates if fits(row.movement, other)), None)
            if match is None:
                unpaired.append(row)
            else:
                candidates.remove(match)
                found.append(Suspect(row.id, match, _reason(teller, match)))
        left = unpaired
    return found


def money_of(movement: Movement) -> Money:
    """What two movements must have in common to be one."""
    return movement.amount_minor, movement.currency, movement.booked_on


def older_rows(teller: Teller, days: Collection[str]) -> dict[Money, list[Older]]:
    """Return the account's rows of these days that this source has not told, as far as anybody knows."""
    account, told = teller.account, teller.told or ()
    with connection.cursor() as cursor:
        cursor.execute(
            probe(
                "ledger_moneytransaction",
                ("id", "source", "is_bank_id", "variable_symbol", "amount_minor", "currency", "booked_on"),
                "known.organization_id = %s AND known.booked_on = first.value"
                " AND known.account_id = %s AND known.status <> 'withdrawn'",
                "date",
            ),
            [several(days), account.organization_id, account.pk],
        )
        rows = sorted(
            row
            for row in cursor.fetchall()
            if row[0] not in told and (row[1] != teller.source or teller.told is not None)
        )
    known = _known_to(teller, [row[0] for row in rows])
    older: dict[Money, list[Older]] = defaultdict(list)
    for number, source, is_bank_id, symbol, *money in rows:
        if number not in known:
            older[money[0], money[1], money[2]].append(Older(number, source, bool(is_bank_id), symbol))
    return older


def _known_to(teller: Teller, ids: Sequence[int]) -> set[int]:
    """Of these rows, those that this source told under an alias or that were compared with one of its own.

    Of a source that retells whole days, only what it has told again by now counts.
    """
    known: set[int] = set()
    for some in batched(ids, 400):
        if teller.told is None:
            known.update(
                TransactionAlias.objects.filter(
                    organization=teller.account.organization_id, source=teller.source, transaction__in=some
                ).values_list("transaction_id", flat=True)
            )
        compared = PossibleDuplicate.objects.filter(
            Q(transaction__in=some, candidate__source=teller.source)
            | Q(candidate__in=some, transaction__source=teller.source)
        )
        for pair in compared.values_list("transaction_id", "candidate_id"):
            if teller.told is None or not teller.told.isdisjoint(pair):
                known.update(pair)
    return known


def _reason(teller: Teller, older: Older) -> PossibleDuplicate.Reason:
    if older.source == teller.source:
        return PossibleDuplicate.Reason.TOLD_AGAIN
    return PossibleDuplicate.Reason.OTHER_SOURCE


def _same_symbol(movement: Movement, row: Older) -> bool:
    return _not_proven_different(movement, row) and _digits(movement.variable_symbol) == _digits(
        row.variable_symbol
    )


def _not_proven_different(movement: Movement, row: Older) -> bool:
    """Two ids of the bank that differ are two movements; equal ones were recognised before."""
    return not (movement.is_bank_id and row.is_bank_id)


def _may_be(movement: Movement, row: Waiting) -> bool:
    return (
        abs(movement.booked_on - row.booked_on) <= BOOKED_WITHIN
        and _compatible(_compact(movement.counterparty_account), _compact(row.counterparty_account))
        and _compatible(_digits(movement.variable_symbol), _digits(row.variable_symbol))
    )


def _compatible(one: str, other: str) -> bool:
    return one == other or not one or not other


def _compact(account: str) -> str:
    return account.replace(" ", "")


def _digits(symbol: str) -> str:
    """A variable symbol without the leading zeros that some sources pad it with."""
    return symbol.lstrip("0")


def _disputed(ids: Iterable[int]) -> set[int]:
    """Of these pending rows, those that an earlier movement may have been: nobody said otherwise yet."""
    return set(
        PossibleDuplicate.objects.filter(candidate__in=list(ids))
        .exclude(verdict=PossibleDuplicate.Verdict.DIFFERENT)
        .values_list("candidate_id", flat=True)
    )
