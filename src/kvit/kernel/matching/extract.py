"""What a payment says about itself: every reference in its texts.

One pass over the text, whatever its length. Numbers are whole runs of digits, never parts of one; what is an
account, a phone number, a day or an amount is not taken for a number of an invoice.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterable, Iterator
from functools import partial
from itertools import filterfalse
from typing import Final, NamedTuple

from kvit.kernel.references import symbol_key

_DIGIT: Final = re.compile(r"\d")
_TAGGED: Final = re.compile(
    r"(?<![A-Z0-9])(?:([VKS])\.?S\.?|VAR[A-Z]*\.?\s?SYM[A-Z]*\.?)[\s:./=#-]{0,3}([0-9]{1,10})(?![0-9])"
)
_CREDITOR: Final = re.compile(r"(?<![A-Z0-9])RF([0-9]{2}(?:\s?[A-Z0-9]){1,21})(?![A-Z0-9])")
_MASKED: Final = re.compile(
    r"(?<![A-Z])(?=[A-Z])(?:"
    r"(?<![0-9])[A-Z]{2}[0-9]{2}(?:\s?[A-Z0-9]{4}){3,7}(?:\s?[A-Z0-9]{1,3})?(?![A-Z0-9])"  # IBAN
    r"|(?:TEL|MOB|MOBIL|PHONE|GSM)[\s.:]{0,3}(?:\+?420\s?)?[0-9]{3}\s?[0-9]{3}\s?[0-9]{3}(?![0-9])"
    r")|(?<![0-9])(?=[0-9])(?:"
    r"(?:[0-9]{1,6}-)?[0-9]{2,10}/[0-9]{4}(?![0-9])"  # domestic account
    r"|(?<!\.)[0-3]?[0-9]\.\s?[01]?[0-9]\.(?:\s?(?:19|20)[0-9]{2})?(?![0-9])"  # day
    r"|(?<!-)(?:19|20)[0-9]{2}-[01][0-9]-[0-3][0-9](?![0-9-])"  # ISO day
    r"|[01]?[0-9]/(?:19|20)[0-9]{2}(?![0-9])"  # month
    r"|[0-9]{1,3}(?:[ .]?[0-9]{3}){0,3},(?:[0-9]{1,2}(?![0-9])|-)"  # amount
    r")|\+[0-9]{3}\s?[0-9]{3}\s?[0-9]{3}\s?[0-9]{3}(?![0-9])"  # phone
)
"""By the first sign, so that most places of a text are passed in one step."""
_YEAR: Final = re.compile(r"(?:19|20)[0-9]{2}")
_TOKEN: Final = re.compile(r"[A-Z]+|[0-9]+")
_KEYWORDS: Final = frozenset(
    ("FA", "FV", "VFA", "FAKT", "FAKTURA", "FAKTURY", "FAKTURU", "FAKTUR", "C", "CIS", "CISLO", "NR", "NO")
) | {"INV", "INVOICE", "RE", "RG", "RECHNUNG"}
_MOST_JOINED: Final = 3
_SHORTEST: Final = 5
_SHORTEST_AFTER_KEYWORD: Final = 3


class Texts(NamedTuple):
    """What the free texts of a payment hold."""

    symbols: list[str]
    """Variable symbols in tagged form, as they are written."""
    creditor_references: list[str]
    """RF references (ISO 11649) whose check digits hold, without blanks."""
    runs: list[list[str]]
    """The words and runs of digits of each passage, in order; only passages that hold a digit."""


class Numbers(NamedTuple):
    """The numbers in one passage of a text."""

    known: list[str]
    strange: list[str]
    """Runs of digits that look like a number of a document and belong to none that is known."""


def folded(text: str) -> str:
    """Return the text in capitals without diacritics."""
    if not text.isascii():
        text = "".join(filterfalse(unicodedata.combining, unicodedata.normalize("NFKD", text)))
    return text.upper()


def texts_of(texts: Iterable[str]) -> Texts | None:
    """Read the free texts of a payment; none runs on into the next. None where nothing holds a digit."""
    found: Texts | None = None
    for text in texts:
        if text and _DIGIT.search(text):
            found = found or Texts([], [], [])
            _read(folded(text), found)
    return found


def numbers_in(runs: list[str], known: Container[str]) -> Numbers:
    """Return the known numbers of a passage, and other runs of digits that look like one.

    Neighbouring words and digits are one number where that is known; a longer one counts before the shorter
    ones within it. Short numbers count only directly behind a word such as “faktura”, years never.
    """
    found: dict[str, None] = {}
    used = [False] * len(runs)
    for key, start, end in _joined(runs):
        if key in known and not any(used[start:end]):
            found[key] = None
            used[start:end] = [True] * (end - start)
    strange = [
        run
        for taken, run in zip(used, runs, strict=True)
        if not taken and len(run) >= _SHORTEST and run.isdigit()
    ]
    return Numbers(list(found), strange)


def keys_in(symbol: str, texts: Iterable[str]) -> list[str]:
    """Return everything that the payment could mean by a reference, whatever exists."""
    keys = [symbol_key(symbol)]
    if (found := texts_of(texts)) is not None:
        keys += map(symbol_key, found.symbols)
        for reference in found.creditor_references:
            keys += reference[4:], symbol_key(reference[4:])
        for runs in found.runs:
            keys += (key for key, _, _ in _joined(runs))
    return [key for key in dict.fromkeys(keys) if key]


def _joined(runs: list[str]) -> Iterator[tuple[str, int, int]]:
    """Yield what may be a number: neighbouring words and digits, the most first, with their positions."""
    ends = [end for end, run in enumerate(runs, start=1) if run.isdigit()]
    for length in range(min(_MOST_JOINED, len(runs)), 0, -1):
        for end in ends:
            if end >= length:
                start = end - length
                key = "".join(runs[start:end])
                if len(key) >= _SHORTEST or _is_behind_keyword(key, runs, start):
                    yield key, start, end


def _is_behind_keyword(key: str, runs: list[str], start: int) -> bool:
    """Whether a short number is one because of the word before it."""
    return (
        start > 0
        and len(key) >= _SHORTEST_AFTER_KEYWORD
        and runs[start - 1] in _KEYWORDS
        and not _YEAR.fullmatch(runs[start])
    )


def _read(text: str, into: Texts) -> None:
    if "RF" in text:
        references = list(_creditor_references(text))
        if references:
            into.creditor_references.extend(references)
            text = _CREDITOR.sub(" | ", text)
    if "S" in text:  # every tag holds one
        text = _TAGGED.sub(partial(_take_tag, into.symbols), text)
    for part in _MASKED.sub(" | ", text).split("|"):
        if _DIGIT.search(part):
            into.runs.append(_TOKEN.findall(part))


def _take_tag(into: list[str], tag: re.Match[str]) -> str:
    """Keep a variable symbol; a constant or specific one is context and no reference."""
    if tag[1] in ("V", None):
        into.append(tag[2])
    return " | "


def _creditor_references(text: str) -> Iterator[str]:
    for match in _CREDITOR.finditer(text):
        reference = "RF" + "".join(match[1].split())
        if _checks(reference):
            yield reference


def _checks(reference: str) -> bool:
    """Whether the check digits hold (ISO 11649, modulo 97-10)."""
    moved = reference[4:] + reference[:4]
    return int("".join(str(int(each, 36)) for each in moved)) % 97 == 1
