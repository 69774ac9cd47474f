"""What rules look at: whether a sync succeeded, what is stored compared with the bank, and what leaked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Never, Protocol

from kvit.plugin import Plugin
from kvit.sync.redaction import Redactor
from kvit.testing.bank import Movement, PretendBank
from kvit.testing.rules import RuleBroken, described
from kvit.testing.running import Installation, Kept, Outcome

_SHOWN = 3
"""How many differences are told."""


class Contract(Protocol):
    """What the groups of rules need of the contract that they are part of."""

    plugin: type[Plugin[Any]]
    reads_http: bool

    def installed(self, *, filled: bool = True, other_currencies: bool = False) -> Installation: ...


def broken(seen: str) -> Never:
    """Say what breaks the rule."""
    raise RuleBroken(seen)


def synced(installation: Installation) -> Outcome:
    """Sync, which must succeed."""
    outcome = installation.sync()
    if outcome.error is not None:
        raise RuleBroken(f"The sync failed: {described(outcome.error)}") from outcome.error
    return outcome


def require_complete(installation: Installation, when: str) -> None:
    """Require that exactly the bank's booked movements are stored."""
    kept, bank = installation.kept, installation.bank
    if kept.conflicts:
        broken(f"{when}, {kept.conflicts[0]}.")
    told = Counter(_stored_facts(kept, status="booked"))
    known = Counter(_bank_facts(bank))
    lost, added = known - told, told - known
    if lost or added:
        aside = f" Put aside: {kept.put_aside[0]}." if kept.put_aside else ""
        broken(
            f"{when}, {lost.total()} of {known.total()} movements are missing{_examples(lost)}, "
            f"{added.total()} are too many{_examples(added)}.{aside}"
        )


def require_same(one: Kept, other: Kept, when: str) -> None:
    """Require that both hold the same ids with the same facts."""
    first, second = one.facts(), other.facts()
    if first == second:
        return
    missing = [key for key in first if key not in second]
    extra = [key for key in second if key not in first]
    changed = [key for key in first if key in second and first[key] != second[key]]
    broken(
        f"{when}, {len(missing)} ids are gone{_examples(missing)}, {len(extra)} are new{_examples(extra)}, "
        f"{len(changed)} have other facts{_examples(changed)}."
    )


def in_hundredths(amount: Decimal) -> int:
    return int(amount.scaleb(2))


def booked(bank: PretendBank) -> list[Movement]:
    """Return the movements that the bank has booked."""
    return [item for item in bank.movements if not item.pending]


def leaks(installation: Installation, texts: Iterable[str]) -> list[str]:
    """Return the texts that hold a credential in any form, masked."""
    masked, plain = Redactor(installation.secrets), Redactor()
    return [masked.mask(text) for text in texts if masked.mask(text) != plain.mask(text)]


def backwards(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return the name of a day, moment or growing number that is earlier than it was, or nothing."""
    for name, was in before.items():
        now = after.get(name)
        if isinstance(was, dict) and isinstance(now, dict):
            if inner := backwards(was, now):
                return f"{name}.{inner}"
        elif _went_back(was, now):
            return f"{name} (from {was} to {now})"
    return ""


def _went_back(was: object, now: object) -> bool:
    if isinstance(was, str) and isinstance(now, str):
        if was.isdecimal() and now.isdecimal():
            return int(now) < int(was)
        return was[:4].isdecimal() and was[4:5] == "-" and now[:4].isdecimal() and now < was
    if isinstance(was, bool) or isinstance(now, bool):
        return False
    return isinstance(was, int) and isinstance(now, int) and was >= 10**6 and now < was


def _stored_facts(kept: Kept, *, status: str) -> Iterable[tuple[int, str, str]]:
    return (
        (row.amount_minor, row.currency, row.booked_on.isoformat())
        for row in kept.rows.values()
        if row.status == status
    )


def _bank_facts(bank: PretendBank) -> Iterable[tuple[int, str, str]]:
    return ((in_hundredths(item.amount), item.currency, item.booked_on.isoformat()) for item in booked(bank))


def _examples(found: Iterable[object]) -> str:
    shown = [str(each) for each, _ in zip(found, range(_SHOWN), strict=False)]
    return f" (such as {'; '.join(shown)})" if shown else ""
