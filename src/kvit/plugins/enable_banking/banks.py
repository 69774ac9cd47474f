"""Which bank the owner means, and how long it lets Kvit in."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any, Final

from kvit.plugin import Misconfigured

USUAL_VALIDITY: Final = timedelta(days=90)
"""Where the bank does not say for how long (RTS on strong customer authentication, article 10)."""
LONGEST_VALIDITY: Final = timedelta(days=180)
"""The longest that a bank may go without asking the person again (article 10a)."""
SLACK: Final = timedelta(minutes=5)
"""A moment a second beyond the bank's longest is refused, and clocks differ."""
_MOST_NAMES: Final = 8


def chosen(banks: Sequence[Mapping[str, Any]], name: str, country: str) -> Mapping[str, Any]:
    """Return the bank of that name; case, accents and spaces do not matter.

    Raises Misconfigured naming the banks whose names are near.
    """
    named = {str(bank.get("name", "")): bank for bank in banks}
    if name.strip() in named:
        return named[name.strip()]
    same = [known for known in named if _plain(known) == _plain(name)]
    if len(same) == 1:
        return named[same[0]]
    near = _near(list(named), name)
    if not near:
        raise Misconfigured(
            "Enable Banking knows no bank called “{bank}” in {country}. Its list of banks is at "
            "enablebanking.com/open-banking-apis.",
            field="bank",
            bank=name,
            country=country,
        )
    raise Misconfigured(
        "Enable Banking knows no bank called “{bank}” in {country}. Did you mean: {names}?",
        field="bank",
        bank=name,
        country=country,
        names=", ".join(near),
    )


def valid_until(bank: Mapping[str, Any], now: datetime) -> datetime:
    """Return the moment until which access is asked for: as long as the bank allows."""
    told = bank.get("maximum_consent_validity")
    allowed = timedelta(seconds=told) if isinstance(told, int) and 0 < told < 10**9 else USUAL_VALIDITY
    return now + max(min(allowed, LONGEST_VALIDITY) - SLACK, timedelta(minutes=1))


def _near(names: Sequence[str], name: str) -> list[str]:
    """Return names that hold what was written or differ from it a little, the likeliest first."""
    wanted = _plain(name)
    by_plain = {_plain(known): known for known in sorted(names)}
    holding = [plain for plain in by_plain if wanted and (wanted in plain or (plain and plain in wanted))]
    alike = get_close_matches(wanted, by_plain, n=_MOST_NAMES, cutoff=0.5)
    return [by_plain[plain] for plain in dict.fromkeys([*holding, *alike])][:_MOST_NAMES]


def _plain(name: str) -> str:
    apart = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in apart if letter.isalnum())
