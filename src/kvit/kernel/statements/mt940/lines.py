"""The lines of an MT940 file, whatever its encoding and its line breaks are, and the fields in them."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from kvit.kernel.errors import StatementUnreadable
from kvit.kernel.statements.source import LONGEST_LINE, Source

_TAG = re.compile(r"\n:([0-9]{2}[A-Z]?|NS|94[02]):")
_CUT_TAG = re.compile(r"\n:\n(?=[0-9]{2}[A-Z]?:)")
_BLOCK_AND_TAG: Final = "{4::"
"""A SWIFT block that begins with a field on its own line."""
_BEGINNINGS: Final = ("\n:61:", "\n:62F:", "\n:20:")
"""What nothing before it belongs to."""
_CONTROLS: Final = "\0\1\3\x1a"
_WITHOUT_CONTROLS: Final = dict.fromkeys(map(ord, _CONTROLS))
_OWN_BREAK: Final = "@@"
"""How FinTS writes a line break (DFÜ agreement of the German banks, annex 3)."""
_LETTERS: Final = "áäčďéěëíĺľňóôöőřŕšßťúůüűýžąćęłńśźżăâîșțđ"
_CENTRAL: Final = frozenset({"CZ", "SK", "PL", "HU", "SI", "HR", "RO", "RS", "BA", "AL"})
_IBAN_COUNTRY = re.compile(rb"(?:^|[\r\n]):25:([A-Z]{2})[0-9]{2}")
_FIRST_TAG = re.compile(rb"[\r\n]:[0-9]{2}[A-Z]?:")


class Fields(NamedTuple):
    """Fields that stand together, column by column."""

    tags: list[str]
    texts: list[str]
    lines: Sequence[int]

    def are_informed_movements(self) -> bool:
        """Whether there is nothing but movements, each with its information: the middle of a long file."""
        tags = self.tags
        return len(tags) % 2 == 0 and set(tags[::2]) == {"61"} and set(tags[1::2]) == {"86"}


def fields(source: Source) -> Iterator[Fields]:
    """Yield the fields by the thousand, never cutting a movement from its information.

    Raises StatementUnreadable for a field of a million characters.
    """
    held, number = "", 1
    for block in _texts(source, _encoding(source)):
        text = held + block
        if number == 1:
            text = text.removeprefix("\ufeff")
        cut = max(text.rfind(begin) for begin in _BEGINNINGS) + 1
        text, held = text[:cut], text[cut:]
        if text:
            yield _fields(text[:-1], number)
            number += text.count("\n")
        if len(held) > LONGEST_LINE:
            message = "A field is longer than {longest} characters, so this is not a statement."
            raise StatementUnreadable(message, source=source.name, line=number, longest=LONGEST_LINE)
    if held:
        yield _fields(held, number)


def _has_own_breaks(head: bytes) -> bool:
    """Whether `@@` stands for the end of a line."""
    return b"@@:" in head and not _FIRST_TAG.search(head)


def _fields(text: str, number: int) -> Fields:
    if "\n:\n" in text:
        text = _CUT_TAG.sub("\n\n:", text)
    if _BLOCK_AND_TAG in text:
        text = text.replace(_BLOCK_AND_TAG, "\n:")
    # What stands before the first field belongs to nothing.
    before, *parts = _TAG.split(f"\n{text}")
    return Fields(parts[::2], parts[1::2], _numbers(parts[1::2], number + before.count("\n")))


def _numbers(texts: list[str], first: int) -> Sequence[int]:
    """Return the line of each field."""
    if not any("\n" in text for text in texts):
        return range(first, first + len(texts))
    return list(accumulate((1 + text.count("\n") for text in texts[:-1]), initial=first))


def _texts(source: Source, encoding: str) -> Iterator[str]:
    """Yield the text piece by piece, its lines ended by line feeds, without control characters."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    own_break = _OWN_BREAK if _has_own_breaks(source.head) else ""
    held = ""
    for block in source.blocks():
        text = held + decoder.decode(block)
        # What ends a line may be cut in two.
        held = text[-1:] if text.endswith(("\r", "@")) else ""
        yield _clean(text[: len(text) - len(held)], own_break)
    yield _clean(held + decoder.decode(b"", final=True), own_break)


def _clean(text: str, own_break: str) -> str:
    if own_break:
        text = text.replace("\r", "").replace("\n", "").replace(own_break, "\n")
    elif "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.translate(_WITHOUT_CONTROLS) if any(control in text for control in _CONTROLS) else text


def _encoding(source: Source) -> str:
    """Find the encoding: UTF-8 where all of it is, else the one that makes the most letters.

    cp1252 and cp1250 share the German letters; which of them it is, the country of the account tells.
    """
    found = source.encoding(legacy="")
    if found:
        return found
    counts = {"cp1250": 0, "cp852": 0}
    for block in source.blocks():
        for name in counts:
            letters = (_LETTERS + _LETTERS.upper()).encode(name, "ignore")
            counts[name] += len(block) - len(block.translate(None, letters))
    if counts["cp852"] > counts["cp1250"]:
        return "cp852"
    country = _IBAN_COUNTRY.search(source.head)
    return "cp1252" if country and country[1].decode() not in _CENTRAL else "cp1250"
