"""What the plugin remembers between syncs, as the cursor's JSON and as values."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from kvit.plugin import Json
from kvit.plugins.enable_banking.accounts import MANY_CURRENCIES, OwnAccount
from kvit.plugins.enable_banking.identity import Known

LARGEST_BYTES: Final = 48 * 1024
"""Below the engine's limit. Beyond it the oldest days are forgotten, and their ids made of the facts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """What was read of one account in one currency."""

    read_from: date
    """The first day that was ever read."""
    read_through: date
    """The day on which it was read last."""
    reads_today: int = 1
    """How often it was read on that day."""
    pending: tuple[str, ...] = ()
    """The ids of movements that were told as pending and nothing else since."""
    known: tuple[Known, ...] = ()
    """The booked movements of the days that are read again."""


@dataclass(slots=True)
class Cursor:
    accounts: dict[str, AccountState] = field(default_factory=dict)
    """By the `external_id` of the account."""
    owed: frozenset[str] = frozenset()
    """The keys of accounts that the last sync could not read though it should have."""

    @classmethod
    def of(cls, stored: Mapping[str, Json]) -> Cursor:
        found: Any = stored
        return cls(
            accounts={name: _state(told) for name, told in found.get("accounts", {}).items()},
            owed=frozenset(found.get("owed", ())),
        )

    def states_of(self, account: OwnAccount) -> dict[str, AccountState]:
        """Return what was read of an account, by its currencies."""
        prefix = account.external_id("")
        return {
            currency: state
            for name, state in self.accounts.items()
            if name.startswith(prefix)
            and account.currency in (MANY_CURRENCIES, currency := name.removeprefix(prefix))
        }

    def as_json(self) -> dict[str, Json]:
        """Return the cursor, without the oldest days where it would become too large."""
        days = sorted({row.day for state in self.accounts.values() for row in state.known})
        told = self._as_json(days[0] if days else date.max)
        while days and len(json.dumps(told)) > LARGEST_BYTES:
            del days[0]
            told = self._as_json(days[0] if days else date.max)
        return told

    def _as_json(self, known_from: date) -> dict[str, Json]:
        return {
            "accounts": {name: _json(state, known_from) for name, state in self.accounts.items()},
            "owed": sorted(self.owed),
        }


def _json(state: AccountState, known_from: date) -> dict[str, Json]:
    return {
        "from": state.read_from.isoformat(),
        "through": state.read_through.isoformat(),
        "reads": state.reads_today,
        "pending": list(state.pending),
        "known": _days(row for row in state.known if row.day >= known_from),
    }


def _days(known: Iterable[Known]) -> dict[str, Json]:
    days: defaultdict[str, list[str]] = defaultdict(list)
    for row in known:
        days[row.day.isoformat()].append(f"{row.minor} {row.details} {row.party or '-'} {row.external_id}")
    return dict(days)


def _state(told: Mapping[str, Any]) -> AccountState:
    return AccountState(
        read_from=date.fromisoformat(told["from"]),
        read_through=date.fromisoformat(told["through"]),
        reads_today=told["reads"],
        pending=tuple(told["pending"]),
        known=tuple(_known(day, line) for day, lines in told["known"].items() for line in lines),
    )


def _known(day: str, line: str) -> Known:
    minor, details, party, external_id = line.split(" ", 3)
    return Known(external_id, date.fromisoformat(day), int(minor), details, "" if party == "-" else party)
