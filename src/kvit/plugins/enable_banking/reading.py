"""One reading of one account: which days, and what its answers become.

Whole days are read, with an overlap, and one day more at the edge: a bank may count days by another clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from kvit.kernel.errors import RecordError
from kvit.kernel.statements.fields import read_money
from kvit.plugin import Account, Checkpoint, Context, Gone, Item, Unreadable
from kvit.plugins.enable_banking import identity, records
from kvit.plugins.enable_banking.accounts import MANY_CURRENCIES, OwnAccount
from kvit.plugins.enable_banking.cursor import AccountState, Cursor
from kvit.plugins.enable_banking.identity import Known
from kvit.plugins.enable_banking.records import Record

OVERLAP: Final = timedelta(days=14)
"""Banks book late, and tell more of a movement days after its booking; what is read again is stored once."""
EDGE: Final = timedelta(days=1)
OLDEST: Final = date(1970, 1, 1)
TOLD_AT_ONCE: Final = 400
"""Fewer than the engine writes in one batch, so that each batch tells all that is pending: the engine takes a
pending movement that is not told for the one that a booked movement was."""
_BOOKED_BALANCES: Final = ("ITBD", "CLBD")
"""Interim and closing booked balance; an available one may hold a credit line."""


@dataclass(frozen=True, slots=True)
class Period:
    """Which days of an account are wanted: from `since`, inclusive, to the newest."""

    since: date
    is_usual: bool
    """Whether an earlier sync has read the days before."""

    @classmethod
    def of(cls, states: Sequence[AccountState], *, today: date, days_back: int) -> Period:
        """Go on before the day of the last reading; begin anew where the owner wants older days than ever."""
        wish = max(today - timedelta(days=days_back), OLDEST + EDGE)
        if not states or any(wish < state.read_from for state in states):
            return cls(wish, is_usual=False)
        last = min(min(state.read_through for state in states), today)
        first = min(state.read_from for state in states)
        return cls(max(last - OVERLAP, first), is_usual=True)

    @property
    def asked_from(self) -> date:
        return self.since - EDGE

    def wants(self, day: date, state: AccountState | None) -> bool:
        """Whether the day is read now: one that was read long ago is not remembered, so never told again."""
        is_told = state is not None and state.read_from <= day < state.read_through - OVERLAP
        return day >= self.since and not is_told


def by_currency(
    account: OwnAccount, known: Iterable[str], pages: Iterable[Sequence[Mapping[str, Any]]]
) -> dict[str, list[tuple[int, Mapping[str, Any]]]]:
    """Return the records, each with the number of its page, by currency where the account has several.

    Currencies `known` from earlier readings are there also where no record is in them now.
    """
    is_one = account.currency != MANY_CURRENCIES
    found: dict[str, list[tuple[int, Mapping[str, Any]]]] = {
        currency: [] for currency in ([account.currency] if is_one else known)
    }
    for number, page in enumerate(pages):
        for told in page:
            currency = account.currency if is_one else records.currency_of(told)
            found.setdefault(currency, []).append((number, told))
    return found


def items(
    ctx: Context,
    cursor: Cursor,
    account: OwnAccount,
    currency: str,
    told: Iterable[tuple[int, Mapping[str, Any]]],
    *,
    period: Period,
    balance: Decimal | None,
) -> Iterator[Item]:
    """Yield what the records of an account are and keep in the cursor what the next reading needs to know."""
    name = account.external_id(currency)
    state = cursor.accounts.get(name)
    read = [records.read(item, name, page=page) for page, item in told]
    yield from (item for item in read if isinstance(item, Unreadable))
    if not currency:
        return
    found = [item for item in read if isinstance(item, Record)]
    booked = identity.booked(
        name,
        (item for item in found if item.movement.status == "booked" and period.wants(item.day, state)),
        (row for row in (state.known if state else ()) if row.day >= period.since),
    )
    booked_ids = {named for named, _ in booked.movements}
    pending = identity.pending(
        name,
        (item for item in found if item.movement.status == "pending"),
        booked_ids,
    )
    yield Account(
        external_id=name,
        name=account.name,
        currency=currency,
        number=account.number,
        balance=balance,
    )
    yield from _doubts(ctx, account, name, booked)
    yield from _in_batches(cursor, pending, booked.movements)
    told_pending = tuple(named for named, _ in pending)
    yield from _gone(name, state, booked_ids.union(told_pending))
    cursor.accounts[name] = _next_state(state, period, ctx.today, booked, told_pending)


def booked_balance(balances: Iterable[Mapping[str, Any]], currency: str) -> Decimal | None:
    """Return what the account holds by its books, where the bank tells it in that currency."""
    amounts = {
        str(item.get("balance_type")): amount
        for item in balances
        if isinstance(amount := item.get("balance_amount"), dict)
        and str(amount.get("currency", "")).upper() == currency
    }
    for kind in _BOOKED_BALANCES:
        if kind in amounts:
            try:
                return read_money(str(amounts[kind].get("amount", "")), currency, "balance").amount
            except RecordError:
                return None
    return None


def _in_batches(
    cursor: Cursor,
    pending: Sequence[tuple[str, Record]],
    booked: Sequence[tuple[str, Record]],
) -> Iterator[Item]:
    """Yield the movements, all pending ones in each batch; the cursor stays where it was."""
    for start in range(0, max(len(booked), 1), TOLD_AT_ONCE):
        if start:
            yield Checkpoint(cursor.as_json())
        for external_id, record in (*pending, *booked[start : start + TOLD_AT_ONCE]):
            yield replace(record.movement, external_id=external_id)


def _gone(name: str, state: AccountState | None, told: set[str]) -> Iterator[Item]:
    for external_id in state.pending if state else ():
        if external_id not in told:
            yield Gone(external_id=external_id, account_id=name)


def _doubts(ctx: Context, account: OwnAccount, name: str, booked: identity.Identified) -> Iterator[Item]:
    for record in booked.doubtful:
        yield Unreadable(
            reason="The bank gives this movement no id, and it may be one that it told before in other "
            "words. Compare the day with the bank's statement.",
            account_id=name,
            raw=record.movement.raw,
        )
    if booked.doubtful:
        ctx.warn(
            f"{account.name}: {len(booked.doubtful)} movements were put aside, because some of them may be "
            "stored already and the bank gives them no ids."
        )
    if booked.retold:
        ctx.warn(
            f"{account.name}: {booked.retold} stored movements are told in other words now, and it cannot be "
            "said which is which. They stay as they were."
        )
    if booked.not_told:
        ctx.log(
            f"{account.name}: {len(booked.not_told)} booked movements are not told now; they stay stored."
        )


def _next_state(
    state: AccountState | None,
    period: Period,
    today: date,
    booked: identity.Identified,
    pending: tuple[str, ...],
) -> AccountState:
    known = [*booked.not_told, *(Known.of(record, named) for named, record in booked.movements)]
    keep_from = today - OVERLAP
    return AccountState(
        read_from=min(period.since, state.read_from) if state and period.is_usual else period.since,
        read_through=today,
        reads_today=state.reads_today + 1 if state and state.read_through == today else 1,
        pending=pending,
        known=tuple(row for row in known if row.day >= keep_from),
    )
