"""What the kit puts into a pretend bank: movements chosen to hurt, and what happens between two syncs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Final

from kvit.testing.bank import Movement, PretendAccount, PretendBank

FIRST_ID: Final = 9_999_999_995
"""Its successors soon have a digit more, so that as text the later ones are the smaller ones."""
DAYS: Final = 40
"""How far back the movements go: over a change of the clocks and further than most overlaps."""
RECENT_DAYS: Final = 4
PAGES: Final = 3.5
"""How many pages each account fills."""

TRAPS: Final = tuple(
    map(Decimal, ("4.35", "-19.99", "1.15", "-0.29", "0.01", "-0.01", "1234567890123.45", "-1000000.00"))
)
"""Amounts that go wrong where they pass through a float, lose their sign or are taken for a text."""
TIMES: Final = (time(0, 0, 30), time(0, 40), time(9, 15), time(12, 0), time(23, 20), time(23, 59, 30))
"""Near midnight, so that another time zone makes another day of them."""
PEOPLE: Final = (
    ("Řehoř Čížek", "19-2000145399/0800", "Děkuji za úpravu účtu č. 7"),
    ("Žluťoučký kůň s.r.o.", "2600170205/2010", "faktura & „dodatek“ <7>"),
    ("Müller & Söhne GmbH", "DE89370400440532013000", "Rechnung Nr. 12, Grüße"),
    ("Jana Dvořáková", "", ""),
    ("ACME LTD", "GB29NWBK60161331926819", "invoice 2026-0042"),
)
SYMBOLS: Final = ("0042", "", "2026000123", "1", "0000000007")


def fill(bank: PretendBank) -> None:
    """Give each account several pages of movements.

    Page boundaries fall into groups that share a second, one page and more falls on a single day, and two
    movements differ by nothing but their id.
    """
    for account in bank.accounts:
        count = int(PAGES * bank.page_size)
        moments = list(_moments(bank, count))
        for at, moment in enumerate(moments):
            add(bank, account, moment, at=at)
        twin = next(item for item in bank.movements if item.account == account.id and item.amount < 0)
        bank.movements.append(replace(twin, id=str(FIRST_ID + len(bank.movements))))


def add(
    bank: PretendBank,
    account: PretendAccount,
    booked_at: datetime,
    *,
    at: int = 3,
    id: str | None = None,
    told_at: datetime | None = None,
    pending: bool = False,
) -> Movement:
    """Append one movement of an amount that no other one has; `at` chooses its texts."""
    number = len(bank.movements)
    name, counterparty_account, message = PEOPLE[at % len(PEOPLE)]
    movement = Movement(
        id=str(FIRST_ID + number) if id is None else id,
        account=account.id,
        booked_at=booked_at,
        told_at=told_at or booked_at,
        amount=TRAPS[number] if number < len(TRAPS) else _amount(number),
        currency=account.currency,
        counterparty=name,
        counterparty_account=counterparty_account,
        variable_symbol=SYMBOLS[at % len(SYMBOLS)],
        message=message,
        pending=pending,
    )
    bank.movements.append(movement)
    return movement


def arrive_late(bank: PretendBank) -> list[Movement]:
    """Add to each account what appears after a sync: in the second of its newest movement, and before.

    The earliest one lies as far back as the bank ever books.
    """
    back = sorted({timedelta(0), min(timedelta(hours=1), bank.late_by), bank.late_by})
    return [movement for account in bank.accounts for movement in _late(bank, account, back)]


def _late(bank: PretendBank, account: PretendAccount, back: Sequence[timedelta]) -> list[Movement]:
    newest = bank.listed(account=account.id)[-1]
    return [add(bank, account, newest.booked_at - each, told_at=newest.told_at) for each in back]


def _moments(bank: PretendBank, count: int) -> Iterator[datetime]:
    """Yield `count` moments up to today, none before the last one.

    Around each page boundary some have the same second, and the second page lies within one day.
    """
    size = bank.page_size
    moment = _moment(bank, 0, count)
    for at in range(count):
        near_boundary = at >= size - 1 and (at + 1) % size in range(3)
        if not (near_boundary or size <= at < 2 * size):
            moment = max(moment, _moment(bank, at, count))
        yield moment


def _moment(bank: PretendBank, at: int, count: int) -> datetime:
    """The first half lies further back than most overlaps reach, the second within them."""
    part = at / max(1, count - 1)
    days = DAYS - (DAYS - RECENT_DAYS) * 2 * part if part < 0.5 else RECENT_DAYS * 2 * (1 - part)
    return datetime.combine(bank.today - timedelta(days=round(days)), TIMES[at % len(TIMES)], bank.zone)


def _amount(number: int) -> Decimal:
    """Two thirds come in, one third goes out."""
    return Decimal(100_000 + 137 * number).scaleb(-2) * (-1 if number % 3 == 0 else 1)
