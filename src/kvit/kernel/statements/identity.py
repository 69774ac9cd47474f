"""Which movement is which: the id that lets the ledger store each movement exactly once.

The bank's own id is used where the format carries one and it stands at one movement only. Everything else
gets a digest of the movement's facts and its occurrence number among equal movements of that day, because
two equal payments on one day are two payments. Reading a file again gives the same ids.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from kvit.kernel.statements.values import Entry, Problem, Statement

RECIPE = "h1"
"""The version of the digest: a change of what is digested makes a new one, so that ids stay apart."""

_PLACEHOLDERS = frozenset({"NONREF", "NOTPROVIDED", "NOTPROVIDE", "NONE", "NOREF", "N/A", "UNKNOWN"})
_LONGEST_REFERENCE = 100
_COUNTER = re.compile(r"0*[0-9]{1,6}")

type _Facts = tuple[str, ...]
type _Reference = tuple[str, bool, str]


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


def identify(statements: Sequence[Statement]) -> tuple[tuple[Statement, ...], tuple[Problem, ...]]:
    """Give every entry of one file its final `external_id`.

    Takes entries whose `external_id` is the bank's reference or empty. A reference that stands at several
    movements of an account identifies none of them: they get digests, and one warning names the reference.
    Pending entries are counted apart, so a movement keeps its id when it is booked.
    """
    shared = _shared_references(statements)
    occurrences: Counter[tuple[str, bool, _Facts]] = Counter()

    def identified(account: str, entry: Entry) -> Entry:
        if entry.external_id and (account, entry.pending, entry.external_id) not in shared:
            return entry
        facts = _facts(entry)
        occurrences[account, entry.pending, facts] += 1
        digest = _digest(account, facts, occurrences[account, entry.pending, facts])
        return replace(entry, external_id=digest, is_bank_id=False)

    return (
        tuple(
            replace(
                statement, entries=tuple(identified(statement.account, entry) for entry in statement.entries)
            )
            for statement in statements
        ),
        tuple(_shared_warning(reference, entries) for (_, _, reference), entries in shared.items()),
    )


def _shared_references(statements: Sequence[Statement]) -> dict[_Reference, list[Entry]]:
    counts = Counter(reference for _, reference, _ in _references(statements))
    repeated: defaultdict[_Reference, list[tuple[int, Entry]]] = defaultdict(list)
    for index, reference, entry in _references(statements):
        if counts[reference] > 1:
            repeated[reference].append((index, entry))
    return {
        reference: [entry for _, entry in places]
        for reference, places in repeated.items()
        if not _is_one_movement(places)
    }


def _references(statements: Sequence[Statement]) -> Iterator[tuple[int, _Reference, Entry]]:
    for index, statement in enumerate(statements):
        for entry in statement.entries:
            if entry.external_id:
                yield index, (statement.account, entry.pending, entry.external_id), entry


def _is_one_movement(places: list[tuple[int, Entry]]) -> bool:
    """Whether overlapping statements in one file tell the same movement again, each of them once."""
    return (
        len({index for index, _ in places}) == len(places)
        and len({_facts(entry) for _, entry in places}) == 1
    )


def _facts(entry: Entry) -> _Facts:
    return (
        entry.booked_on.isoformat(),
        str(entry.amount.minor),
        entry.amount.currency,
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


def _shared_warning(reference: str, entries: list[Entry]) -> Problem:
    return Problem(
        message=f"The bank's reference {reference} stands at {len(entries)} movements, so it names none. "
        "They are told apart by their content.",
        line=entries[1].line,
    )
