"""Which movement is which: the id that lets the ledger store each movement exactly once.

The bank's own id is used where the format carries one. Everything else gets a digest of the movement's facts
and its occurrence number among equal movements of that day, because two equal payments on one day are two
payments. Reading a file again gives the same ids.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from operator import attrgetter
from typing import Final

from msgspec.structs import replace

from kvit.kernel.statements.values import Entry, Problem

RECIPE: Final = "h1"
"""The version of the digest: a change of what is digested makes a new one, so that ids stay apart."""

_PLACEHOLDERS = frozenset({"NONREF", "NOTPROVIDED", "NOTPROVIDE", "NONE", "NOREF", "N/A", "UNKNOWN"})
_LONGEST_REFERENCE = 100
_COUNTER = re.compile(r"0*[0-9]{1,6}")

type _Facts = tuple[str, ...]

_id_of = attrgetter("external_id")
_is_pending = attrgetter("pending")
_money_of = attrgetter("booked_on", "minor", "currency")


def bank_reference(text: str, *, counts: bool = False) -> str:
    """Return the bank's id of a movement, or nothing for a placeholder such as `NONREF` or zeros.

    In a field where some banks only count the movements of a statement or a year (`counts`), a number of up
    to six digits is no id: the same one comes again in the next statement, at another movement.
    """
    reference = text.strip()
    if counts and _COUNTER.fullmatch(reference):
        return ""
    if not reference.strip("0-") or reference.upper() in _PLACEHOLDERS or len(reference) > _LONGEST_REFERENCE:
        return ""
    return reference


class Identifier:
    """Gives the entries of one file, in their order, their final `external_id`.

    Takes entries whose `external_id` is the bank's reference or empty. A reference that comes again at
    another movement of the account does not name that one: it gets a digest, and one warning names the
    reference. Statements of one file that overlap tell a movement again by the same id. Pending entries are
    counted apart, so a movement keeps its id when it is booked.
    """

    def __init__(self) -> None:
        self._account = ""
        self._named: defaultdict[tuple[str, bool], dict[str, int]] = defaultdict(dict)
        """For each account, what day and amount each reference names: their hash, to remember many."""
        self._here: set[tuple[bool, str]] | None = None
        """Which references this statement told, pending or not; None where no earlier one told any."""
        self._occurrences: Counter[tuple[str, bool, _Facts]] = Counter()
        self._shared: set[str] = set()

    def begin(self, account: str) -> None:
        """Go on with the next statement of the file."""
        self._account = account
        is_first = not self._named[account, False] and not self._named[account, True]
        self._here = None if is_first else set()

    def identified(self, entries: list[Entry]) -> Iterator[list[Entry] | Problem]:
        """Yield the same entries with their final ids, and warnings about references they share."""
        references = list(map(_id_of, entries))
        named = self._named[self._account, False]
        if (
            all(references)
            and len(set(references)) == len(references)
            and named.keys().isdisjoint(references)
            and not any(map(_is_pending, entries))
        ):
            named.update(zip(references, map(hash, map(_money_of, entries)), strict=True))
            if self._here is not None:
                self._here.update((False, reference) for reference in references)
            yield entries
        else:
            problems: list[Problem] = []
            yield [self._identified(entry, problems) for entry in entries]
            yield from problems

    def _identified(self, entry: Entry, problems: list[Problem]) -> Entry:
        if entry.external_id:
            if self._names(entry):
                return entry
            self._warn(entry, problems)
        facts = _facts(entry)
        key = self._account, entry.pending, facts
        self._occurrences[key] += 1
        digest = _digest(self._account, facts, self._occurrences[key])
        return replace(entry, external_id=digest, is_bank_id=False)

    def _names(self, entry: Entry) -> bool:
        """Whether the reference stands at this movement first, or at the same one of another statement."""
        named, money = self._named[self._account, entry.pending], hash(_money_of(entry))
        place = entry.pending, entry.external_id
        is_told_here = entry.external_id in named if self._here is None else place in self._here
        if self._here is not None:
            self._here.add(place)
        return named.setdefault(entry.external_id, money) == money and not is_told_here

    def _warn(self, entry: Entry, problems: list[Problem]) -> None:
        if entry.external_id not in self._shared:
            self._shared.add(entry.external_id)
            message = (
                f"The bank's reference {entry.external_id} stands at several movements. "
                "All but the first are told apart by their content."
            )
            problems.append(Problem(message=message, line=entry.line, offset=entry.offset))


def _facts(entry: Entry) -> _Facts:
    return (
        entry.booked_on.isoformat(),
        str(entry.minor),
        entry.currency,
        entry.counterparty_account,
        entry.counterparty_name,
        entry.variable_symbol,
        entry.constant_symbol,
        entry.specific_symbol,
        entry.message,
    )


def _digest(account: str, facts: _Facts, occurrence: int) -> str:
    recipe = json.dumps([account, *facts, occurrence], ensure_ascii=True, separators=(",", ":"))
    return f"{RECIPE}:{hashlib.sha256(recipe.encode()).hexdigest()[:40]}"
