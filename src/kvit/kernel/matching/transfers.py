"""Movements that belong to each other and to no invoice: transfers between own accounts, money sent back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Final

import msgspec

from kvit.kernel.matching.extract import folded
from kvit.kernel.references import account_key

MOST_APART: Final = timedelta(days=5)
"""Between the two sides of a transfer, inclusive."""
LATEST_RETURN: Final = timedelta(days=30)
"""After the payment that is sent back, inclusive."""
_RETURN: Final = re.compile(r"\b(?:RETURN(?:ED)?|REFUND|STORNO|VRATK[AY]|VRACEN[IAOE]|VRACIME|REVERSAL)\b")


class Movement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A booked movement of an own account; incoming is positive."""

    id: int
    account: str
    counterparty_account: str
    minor: int
    currency: str
    booked_on: date
    text: str = ""


def transfers(movements: Iterable[Movement], own_accounts: Iterable[str]) -> list[tuple[int, int]]:
    """Return the ids of both sides, the outgoing one first, of every transfer between own accounts.

    Each side is the only possible mirror of the other: the same amount and currency, at most 5 days apart, at
    least one of them names the other's account and none names a third. Of two equal ones, none is told.
    """
    own = frozenset(map(account_key, own_accounts))
    groups: dict[tuple[str, int], list[Movement]] = {}
    for movement in movements:
        groups.setdefault((movement.currency, abs(movement.minor)), []).append(movement)
    pairs = [pair for group in groups.values() for pair in _unique_pairs(group, own)]
    return sorted(pairs)


def returned(movements: Iterable[Movement]) -> dict[int, int]:
    """Return incoming movement -> the outgoing one that sent exactly it back: same account, within 30 days.

    The outgoing text says so; it takes back the last such payment before it.
    """
    found: dict[int, int] = {}
    received: dict[tuple[str, str, str, int], list[Movement]] = {}
    for movement in sorted(movements, key=lambda each: (each.booked_on, each.minor < 0, each.id)):
        other = account_key(movement.counterparty_account)
        before = received.setdefault((movement.account, other, movement.currency, abs(movement.minor)), [])
        if movement.minor > 0:
            before.append(movement)
        elif (
            other
            and before
            and movement.booked_on - before[-1].booked_on <= LATEST_RETURN
            and _RETURN.search(folded(movement.text))
        ):
            found[before.pop().id] = movement.id
    return found


def _unique_pairs(group: Sequence[Movement], own: frozenset[str]) -> list[tuple[int, int]]:
    leaving = [each for each in group if each.minor < 0]
    coming = [each for each in group if each.minor > 0]
    mirrors = {out.id: [each.id for each in coming if _is_mirror(out, each, own)] for out in leaving}
    sources: dict[int, int] = {}
    for found in mirrors.values():
        for each in found:
            sources[each] = sources.get(each, 0) + 1
    return [(out, found[0]) for out, found in mirrors.items() if len(found) == 1 and sources[found[0]] == 1]


def _is_mirror(out: Movement, into: Movement, own: frozenset[str]) -> bool:
    source, target = account_key(out.account), account_key(into.account)
    named = account_key(out.counterparty_account), account_key(into.counterparty_account)
    return (
        source != target
        and abs(into.booked_on - out.booked_on) <= MOST_APART
        and own.issuperset((source, target))
        and any(named)
        and named[0] in (target, "")
        and named[1] in (source, "")
    )
