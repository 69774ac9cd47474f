"""Many movements of a GPC file at once, column by column: the usual case, checked as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import pairwise, repeat
from operator import itemgetter, mul
from typing import Final

from kvit.kernel.statements.accounts import account_of_digits, accounts_of_digits
from kvit.kernel.statements.currencies import CURRENCIES
from kvit.kernel.statements.fields import one_line, without_zero_symbol
from kvit.kernel.statements.gpc.movement import MOVEMENT, SIGNS, TEXTS
from kvit.kernel.statements.gpc.record import LONGEST_RECORD, day_of, is_digits
from kvit.kernel.statements.gpc.section import Section
from kvit.kernel.statements.identity import bank_reference
from kvit.kernel.statements.values import Entry

_NO_DAY: Final = "000000"
_CURRENCIES: Final = {f"0{number}": currency for number, currency in CURRENCIES.items()}
_LONGEST_COUNTER: Final = 6
"""A longer number is a reference in any bank (`bank_reference`)."""

_kind_and_account = itemgetter(slice(0, 19))
_digits_before_name = itemgetter(slice(3, 97))
_digits_behind_name = itemgetter(slice(118, 128))
_other_account = itemgetter(slice(19, 35))
_bank_id = itemgetter(slice(35, 48))
_amount = itemgetter(slice(48, 60))
_code = itemgetter(60)
_variable_symbol = itemgetter(slice(61, 71))
_bank_code = itemgetter(slice(73, 77))
_constant_symbol = itemgetter(slice(77, 81))
_specific_symbol = itemgetter(slice(81, 91))
_value_day = itemgetter(slice(91, 97))
_name = itemgetter(slice(97, 117))
_currency = itemgetter(slice(118, 122))
_booking_day = itemgetter(slice(122, 128))


def entries_by_column(lines: list[str], numbers: Sequence[int], section: Section) -> list[Entry] | None:
    """Read movements (075) and their texts; None where any of them needs a closer look, row by row.

    What comes back is exactly what `entry_of` makes of each.
    """
    starts = [at for at, line in enumerate(lines) if line.startswith(MOVEMENT)]
    rows = lines if len(starts) == len(lines) else [lines[at] for at in starts]
    if not rows or starts[0] or not _are_usual(rows, section):
        return None
    if section.encoding == "utf-8" and not "".join(lines).isascii():
        return None
    messages, raws = (repeat(""), rows) if rows is lines else _texts(lines, starts)
    line_numbers = numbers if rows is lines else [numbers[at] for at in starts]
    try:
        return _entries(rows, section, messages, line_numbers, raws)
    except (KeyError, ValueError):
        return None


def _are_usual(rows: list[str], section: Section) -> bool:
    """Whether every movement is complete, all its numbers are digits and the account is the head's."""
    accounts = set(map(_kind_and_account, rows))
    return (
        len(accounts) == 1
        and set(map(len, rows)) == {LONGEST_RECORD}
        and is_digits("".join(map(_digits_before_name, rows)))
        and is_digits("".join(map(_digits_behind_name, rows)))
        and account_of_digits(accounts.pop()[3:], known=section.account) == section.account
    )


def _entries(
    rows: list[str],
    section: Section,
    messages: Iterable[str],
    numbers: Sequence[int],
    raws: list[str],
) -> list[Entry]:
    """Raises KeyError for a code or currency nobody knows and ValueError for a day that does not exist."""
    currencies = _CURRENCIES | {"0000": section.silent_currency}
    references = _references(map(_bank_id, rows), counts=not section.is_of_fio)
    bank_codes = _without_zeros(list(map(_bank_code, rows)))
    return list(
        map(
            Entry,
            map(_DAYS.__getitem__, map(_booking_day, rows)),
            map(mul, map(SIGNS.__getitem__, map(_code, rows)), map(int, map(_amount, rows))),
            map(currencies.__getitem__, map(_currency, rows)),
            references,
            map(bool, references) if section.is_of_fio else repeat(False),
            [None if day == _NO_DAY else _DAYS[day] for day in map(_value_day, rows)],
            _names(rows),
            accounts_of_digits(map(_other_account, rows), bank_codes),
            [symbol.lstrip("0") for symbol in map(_variable_symbol, rows)],
            _without_zeros(list(map(_constant_symbol, rows))),
            [symbol.lstrip("0") for symbol in map(_specific_symbol, rows)],
            messages,
            repeat(""),
            repeat(False),
            numbers,
            repeat(None),
            raws,
        )
    )


def _names(rows: list[str]) -> list[str]:
    """Write names with single spaces; most of them only end in blanks."""
    names = [name.strip() for name in map(_name, rows)]
    joined = "".join(names)
    is_tidy = joined.isprintable() and "  " not in joined
    return names if is_tidy else [" ".join(name.split()) for name in names]


def _references(ids: Iterable[str], *, counts: bool) -> list[str]:
    return [
        number if len(number) > _LONGEST_COUNTER else bank_reference(number, counts=counts)
        for number in [each.lstrip("0") for each in ids]
    ]


def _without_zeros(symbols: Sequence[str]) -> list[str]:
    """Blank the symbols of zeros only; few different ones occur in a file."""
    known = {symbol: without_zero_symbol(symbol) for symbol in set(symbols)}
    return list(map(known.__getitem__, symbols))


def _texts(lines: list[str], starts: list[int]) -> tuple[list[str], list[str]]:
    """Return each movement's message and its raw text, from its own record to before the next movement."""
    messages, raws = [], []
    for start, stop in pairwise((*starts, len(lines))):
        texts = lines[start + 1 : stop]
        messages.append(one_line(*[text[TEXTS[text[:3]] - 1 : LONGEST_RECORD] for text in texts]))
        raws.append("\n".join(lines[start:stop]))
    return messages, raws


class _Days(dict[str, date]):
    """DDMMYY to days; only real ones are kept."""

    def __missing__(self, digits: str) -> date:
        day = self[digits] = day_of(digits)
        return day


_DAYS: Final = _Days()
