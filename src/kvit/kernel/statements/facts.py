"""What an entry says beyond its money, as named texts: Kvit's addition to formats that have no place for it.

The elements of a format come first, so that every program reads the file. A fact stands in the addition only
where the format's own elements would not give it back. Money, the day of booking and whether an entry is
pending never do.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

from msgspec.structs import replace

from kvit.kernel.errors import RecordError
from kvit.kernel.statements.fields import read_day
from kvit.kernel.statements.values import Entry

_TEXTS: Final = (
    "external_id",
    "counterparty_name",
    "counterparty_account",
    "variable_symbol",
    "constant_symbol",
    "specific_symbol",
    "message",
    "reference",
)
_FLAGS: Final = ("is_bank_id",)
_DAYS: Final = ("value_on",)
NAMES: Final = (*_TEXTS, *_FLAGS, *_DAYS)
XML_NAMESPACE: Final = "urn:kvit:entry:1"
"""Of the addition in XML: an element `Entry` with a child for each fact, by its name."""


def missing_facts(entry: Entry, read_back: Entry) -> dict[str, str]:
    """Return the facts of an entry that reading it back did not give, as texts by name."""
    return {
        name: _text(getattr(entry, name))
        for name in NAMES
        if getattr(entry, name) != getattr(read_back, name)
    }


def all_facts(entry: Entry) -> dict[str, str]:
    return {name: _text(getattr(entry, name)) for name in NAMES}


def with_facts(entry: Entry, facts: Mapping[str, str]) -> Entry:
    """Return the entry with the facts in place of what its elements say; unknown names are ignored.

    Raises RecordError for a flag that is neither `true` nor `false`, and for what is no day.
    """
    told: dict[str, str | bool | date | None] = {}
    for name, text in facts.items():
        if name in _TEXTS:
            told[name] = text
        elif name in _FLAGS:
            told[name] = _flag(text, name)
        elif name in _DAYS:
            told[name] = read_day(text, name) if text else None
    return replace(entry, **told)


def _text(value: str | bool | date | None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return value.isoformat()
    return value or ""


def _flag(text: str, name: str) -> bool:
    if text not in {"true", "false"}:
        raise RecordError("“{text}” is neither true nor false.", field=name, text=text[:40])
    return text == "true"
