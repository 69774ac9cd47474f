"""References one slip apart: a digit wrong, missing or too many, or two neighbours swapped."""

from __future__ import annotations

from itertools import takewhile
from operator import eq
from typing import Final

_SHORTEST: Final = 5
"""Shorter references have too many neighbours to tell anything."""


def is_near(one: str, other: str) -> bool:
    """Whether two runs of digits are one slip apart; leading zeros may have been left out of either."""
    width = max(len(one), len(other))
    if width < _SHORTEST or abs(len(one) - len(other)) > 2 or one == other:
        return False
    return _is_one_slip(one, other) or _is_one_slip(one.zfill(width), other.zfill(width))


def _is_one_slip(one: str, other: str) -> bool:
    same = sum(takewhile(bool, map(eq, one, other)))
    one, other = one[same:], other[same:]
    return (
        one[1:] == other[1:]
        or one[1:] == other
        or one == other[1:]
        or (one[:2] == other[1::-1] and one[2:] == other[2:])
    )
