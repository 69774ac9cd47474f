"""How a CSV file is laid out: encoding, delimiter, where the table begins and what its columns hold."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice, pairwise
from typing import Final

from kvit.kernel.statements.csv import words
from kvit.kernel.statements.csv.amounts import decimal_mark, is_amount
from kvit.kernel.statements.csv.days import is_day, order_of
from kvit.kernel.statements.csv.profile import Profile
from kvit.kernel.statements.csv.rows import first_rows
from kvit.kernel.statements.csv.words import normalized, without_currency
from kvit.kernel.statements.source import HEAD_BYTES, Source, encoding_by_mark

MOST_PREAMBLE_LINES: Final = 60
_SHOWN_ROWS: Final = 20
_JUDGED_ROWS: Final = 100
_DELIMITERS: Final = (";", ",", "\t", "|")
_LEGACY: Final = ("cp1250", "cp852", "cp1252")
_CZECH: Final = frozenset("áčďéěíňóřšťúůýžÁČĎÉĚÍŇÓŘŠŤÚŮÝŽ")
_WESTERN: Final = frozenset("äöüßéèàçñêâôûîÄÖÜÉÀÇ")
_LINE_ENDS: Final = re.compile(r"\r\n?|\n")
_CURRENCY: Final = re.compile(r"[A-Za-z]{3}")
_IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9 ]{8,38}")
_NUMBER: Final = re.compile(r"[0-9][0-9 /-]{0,40}")

type _Rows = list[tuple[int, list[str]]]
"""Each row with the line that it ends at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What the beginning of a CSV file tells of the whole."""

    encoding: str
    delimiter: str
    header_line: int
    """The line of the header, from 1; 0 where the table has none."""
    header: tuple[str, ...]
    """The names as they are written; none where the table has no header."""
    rows: tuple[tuple[str, ...], ...]
    """The first rows below it, twenty at most."""
    width: int
    """How many columns there are."""
    kinds: tuple[str, ...]
    """What each column holds: `date`, `amount`, `currency`, `iban`, `number`, `text` or `empty`."""
    preamble: tuple[tuple[str, ...], ...]
    """The rows above the table."""
    skipped_lines: int
    """How many lines stand above the first row of the table."""
    decimal: str
    """`.` or `,`; `?` where both could be; empty where no amount has decimals."""
    date_order: str
    """`dmy`, `mdy` or `ymd`; empty where these rows do not tell."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, without case, accents and punctuation."""
        return tuple(map(normalized, self.header))


def sniff(source: Source, profiles: Iterable[Profile] = ()) -> Layout:
    """Find out how a file is laid out; names in `profiles` help to find its header."""
    profiles = tuple(profiles)
    known = _known_words()
    if profiles:
        known |= {normalized(name) for each in profiles for names in each.headers for name in names}
    encoding = _only(profile.encoding for profile in profiles) or _encoding(source, known)
    return _of_head(source.head, encoding, _only(profile.delimiter for profile in profiles), known)


def fits(profile: Profile, layout: Layout) -> bool:
    """Whether the header of the table, or the shape of its rows where it has none, is the profile's."""
    if layout.header:
        names = set(layout.names)
        return any(names.issuperset(map(normalized, header)) for header in profile.headers)
    return bool(profile.shape and layout.rows) and all(_has_shape(row, profile.shape) for row in layout.rows)


def kind_of(texts: Iterable[str]) -> str:
    """Say what a column holds: what at least half of the different texts in it are."""
    filled = {text.strip() for text in texts} - {""}
    if not filled:
        return "empty"
    return next(
        (kind for kind, holds in _KINDS.items() if sum(map(holds, filled)) * 2 >= len(filled)), "text"
    )


@lru_cache(maxsize=8)
def _of_head(head: bytes, encoding: str, delimiter: str, known: frozenset[str]) -> Layout:
    """Lay out the beginning of a file, which is asked for by whoever detects, maps and reads it."""
    delimiter, rows = _split(_head_lines(head, encoding), delimiter, known)
    return _laid_out(encoding, delimiter, rows, _header_index(rows, known))


def _split(lines: list[str], delimiter: str, known: frozenset[str]) -> tuple[str, _Rows]:
    """Choose the delimiter that gives the most known names, then the most rows of one width."""
    best: tuple[tuple[int, int, int], str, _Rows] | None = None
    for candidate in (delimiter,) if delimiter else _DELIMITERS:
        rows = first_rows(lines, candidate)
        widths = Counter(len(row) for _, row in rows if len(row) > 1)
        width, count = widths.most_common(1)[0] if widths else (0, 0)
        named = max((_named(row, known) for _, row in rows[:MOST_PREAMBLE_LINES]), default=0)
        score = (named, count, width)
        if best is None or score > best[0]:
            best = score, candidate, rows
    assert best is not None
    return best[1], best[2]


def _header_index(rows: _Rows, known: frozenset[str]) -> int | None:
    """Find the header: the row with the most known names, else one of names only above rows with days."""
    first = [row for _, row in rows[:MOST_PREAMBLE_LINES]]
    scores = [0 if _has_values(row) else _named(row, known) for row in first]
    most = max(scores, default=0)
    if most >= 2:
        return scores.index(most)
    for index, (row, below) in enumerate(pairwise(first)):
        if len(row) == len(below) > 1 and not _has_values(row) and _has_values(below) and _is_named(row):
            return index
    return None


def _laid_out(encoding: str, delimiter: str, rows: _Rows, header: int | None) -> Layout:
    first = header + 1 if header is not None else _first_of_table(rows)
    skipped_lines = rows[first - 1][0] if first else 0
    table = [tuple(row) for _, row in islice(rows, first, first + _JUDGED_ROWS) if any(map(str.strip, row))]
    names = tuple(rows[header][1]) if header is not None else ()
    while names and not names[-1].strip():
        names = names[:-1]
    width = max(len(names), max(map(len, table), default=0) if not names else 0)
    columns = [[row[index] if index < len(row) else "" for row in table] for index in range(width)]
    kinds = tuple(map(kind_of, columns))
    return Layout(
        encoding=encoding,
        delimiter=delimiter,
        header_line=skipped_lines if header is not None else 0,
        header=names,
        rows=tuple(table[:_SHOWN_ROWS]),
        width=width,
        kinds=kinds,
        preamble=tuple(tuple(row) for _, row in rows[: header if header is not None else first]),
        skipped_lines=skipped_lines,
        decimal=decimal_mark(_cells(columns, kinds, "amount")),
        date_order=order_of(_cells(columns, kinds, "date")),
    )


def _first_of_table(rows: _Rows) -> int:
    return next((index for index, (_, row) in enumerate(rows) if _has_values(row)), 0)


def _cells(columns: Sequence[Sequence[str]], kinds: Sequence[str], kind: str) -> list[str]:
    return [cell for column, each in zip(columns, kinds, strict=True) if each == kind for cell in column]


def _named(row: Sequence[str], known: frozenset[str]) -> int:
    names = {normalized(cell) for cell in row if cell.strip()}
    return sum(name in known or without_currency(name)[0] in known for name in names)


def _is_named(row: Sequence[str]) -> bool:
    filled = [cell for cell in row if cell.strip()]
    return len(filled) > 1 and len(filled) >= len(row) // 2


def _has_values(row: Sequence[str]) -> bool:
    return any(is_day(cell) for cell in row)


def _has_shape(row: Sequence[str], shape: Sequence[str]) -> bool:
    if len(row) != len(shape):
        return False
    for cell, kind in zip(row, shape, strict=True):
        text = cell.strip()
        if (
            text
            and kind not in ("text", "text?")
            and (kind == "empty" or not _KINDS[kind.removesuffix("?")](text))
        ):
            return False
        if not text and kind not in ("text", "text?", "empty") and not kind.endswith("?"):
            return False
    return True


def _only(values: Iterable[str]) -> str:
    """The one value that all profiles give, if there is one profile."""
    given = list(values)
    return given[0] if len(given) == 1 else ""


def _encoding(source: Source, known: frozenset[str]) -> str:
    marked = encoding_by_mark(source.head)
    if marked:
        return marked
    wide = _wide_encoding(source.head)
    if wide:
        return wide
    if source.encoding(legacy="") == "utf-8" or _is_mostly_utf_8(source.head):
        return "utf-8"
    return max(_LEGACY, key=lambda encoding: _likelihood(source, encoding, known))


def _is_mostly_utf_8(head: bytes) -> bool:
    """Whether a damaged byte or two are all that is wrong with it."""
    text = head.decode("utf-8", errors="replace")
    damaged = text.count("\ufffd")
    return sum(not letter.isascii() for letter in text) - damaged > 4 * damaged


def _wide_encoding(head: bytes) -> str:
    """UTF-16 without its mark has a null byte beside nearly every letter."""
    part = head[:1000]
    if len(part) >= 4 and part[1::2].count(0) * 3 > len(part):
        return "utf-16-le"
    if len(part) >= 4 and part[::2].count(0) * 3 > len(part):
        return "utf-16-be"
    return ""


def _likelihood(source: Source, encoding: str, known: frozenset[str]) -> tuple[int, int]:
    """How many names of columns, and how many letters of a language, the encoding makes of the bytes."""
    text = source.head.decode(encoding, errors="replace")
    cells = re.split(r'[;,\t|"\r\n]+', text[:20_000])
    named = sum(normalized(cell) in known and not cell.isascii() for cell in cells)
    letters = _WESTERN if encoding == "cp1252" else _CZECH | _WESTERN
    others = sum(not letter.isascii() and letter not in letters for letter in text)
    return named, -others


def _head_lines(head: bytes, encoding: str) -> list[str]:
    lines = _LINE_ENDS.split(head.decode(encoding, errors="replace").removeprefix("\ufeff"))
    if len(head) >= HEAD_BYTES and len(lines) > 1:
        lines.pop()
    return lines[: MOST_PREAMBLE_LINES + _JUDGED_ROWS]


@cache
def _known_words() -> frozenset[str]:
    from kvit.kernel.statements.csv.shipped import SHIPPED

    names = {normalized(name) for each in SHIPPED.values() for header in each.headers for name in header}
    return frozenset(names).union(
        *(words.words(text) for name, text in vars(words).items() if name.isupper() and isinstance(text, str))
    )


def _is_money(text: str) -> bool:
    return is_amount(text) and (any(mark in text for mark in ".,") or not text.isdigit() or len(text) <= 6)


_KINDS: Final[dict[str, Callable[[str], bool]]] = {
    "empty": lambda text: not text,
    "date": is_day,
    "currency": lambda text: _CURRENCY.fullmatch(text) is not None and text.upper() in words.CODES,
    "amount": _is_money,
    "iban": lambda text: _IBAN.fullmatch(text) is not None,
    "number": lambda text: _NUMBER.fullmatch(text) is not None,
}
