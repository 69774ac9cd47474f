"""Tables that banks export as CSV: read by profiles, which say what the columns of a bank's file are.

A profile is a small TOML file (`docs/csv-profiles.md`). Those of many banks come with Kvit; a table that none
of them fits is read by the words above its columns where they leave no choice, and else a person says what
the columns are.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from kvit.kernel.statements.csv.layout import Layout, fits, sniff
from kvit.kernel.statements.csv.profile import Column, Fact, Profile, Role, profile_from_toml, profile_to_toml
from kvit.kernel.statements.csv.reading import read
from kvit.kernel.statements.csv.shipped import SHIPPED
from kvit.kernel.statements.csv.suggestion import fitting, mapped, roles_of, suggest
from kvit.kernel.statements.source import Source
from kvit.kernel.statements.values import Detection

FORMAT: Final = "csv"

_DOUBT: Final = "No profile fits this table. Check what was read, or say what its columns are."
_STRANGERS: Final = (b"<", b"{", b"[", b"%PDF", b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


def detect(head: bytes) -> Detection | None:
    """Be sure where one shipped profile fits; doubt any other table of two columns and two rows."""
    source = Source(head)
    if not head.strip() or head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(_STRANGERS):
        return None
    layout = sniff(source)
    if "\0" in head.decode(layout.encoding, errors="replace"):
        return None
    found = [profile for profile in SHIPPED.values() if fits(profile, layout)]
    if len(found) == 1:
        return Detection(format=f"{FORMAT}:{found[0].name}")
    return Detection(format=FORMAT, is_sure=False, doubt=_DOUBT) if _is_table(layout) else None


def _is_table(layout: Layout) -> bool:
    rows = [*layout.rows, *([layout.header] if layout.header else [])]
    widths = Counter(len(row) for row in rows if len(row) > 1)
    if not widths:
        return False
    has_values = "date" in layout.kinds and "amount" in layout.kinds
    return has_values or widths.most_common(1)[0][1] >= 2


__all__ = [
    "SHIPPED",
    "Column",
    "Fact",
    "Layout",
    "Profile",
    "Role",
    "detect",
    "fits",
    "fitting",
    "mapped",
    "profile_from_toml",
    "profile_to_toml",
    "read",
    "roles_of",
    "sniff",
    "suggest",
]
