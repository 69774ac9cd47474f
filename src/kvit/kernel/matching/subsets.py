"""Which of a few amounts add up to another one: bounded, so that no client's pile of debts takes long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

MOST: Final = 24
"""More amounts than these are not tried: in halves they have 2**12 sums each, which one payment may cost."""


def adds_up(amounts: Sequence[int], total: int) -> bool:
    """Whether some of the amounts add up to the total, or are too many to tell. All are positive."""
    if len(amounts) > MOST:
        return True
    if sum(amounts) < total:
        return False
    middle = len(amounts) // 2
    left, right = _sums(amounts[:middle], total), _sums(amounts[middle:], total)
    return any(total - each in right for each in left)


def ways(amounts: Sequence[int], total: int, most: int) -> list[tuple[int, ...]]:
    """Return the positions of two or more amounts that add up to the total: the fewest first, `most` of them.

    Of too many amounts the first ones are tried. All are positive.
    """
    amounts = amounts[:MOST]
    if sum(amounts) < total or len(amounts) < 2:
        return []
    middle = len(amounts) // 2
    left = _chosen(range(middle), amounts, total, most)
    right = _chosen(range(middle, len(amounts)), amounts, total, most)
    found = (
        (*first, *second)
        for reached, firsts in left.items()
        for second in right.get(total - reached, ())
        for first in firsts
    )
    return sorted((each for each in found if len(each) > 1), key=lambda each: (len(each), each))[:most]


def _sums(amounts: Sequence[int], total: int) -> set[int]:
    sums = {0}
    for amount in amounts:
        sums |= {each + amount for each in sums if each + amount <= total}
    return sums


def _chosen(
    positions: range, amounts: Sequence[int], total: int, most: int
) -> dict[int, list[tuple[int, ...]]]:
    """Every sum of the amounts at these positions up to the total, with the first ways to reach it."""
    reached: dict[int, list[tuple[int, ...]]] = {0: [()]}
    for position in positions:
        for each in sorted(reached, reverse=True):  # downwards, so that no amount is taken twice
            if (onward := each + amounts[position]) <= total:
                known = reached.setdefault(onward, [])
                known.extend([(*chosen, position) for chosen in reached[each][: most - len(known)]])
    return reached
