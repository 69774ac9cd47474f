"""How one element of OFX is read: an amount, a day, an account, plain text."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import Final

from stdnum.cz import bankaccount

from kvit.kernel.errors import RecordError
from kvit.kernel.money import Money
from kvit.kernel.statements.accounts import account_of_text
from kvit.kernel.statements.fields import one_line, read_money, shortened
from kvit.kernel.statements.ofx.text import unmasked

_USUAL_AMOUNT: Final = re.compile(r"[+-]?[0-9]{1,30}+(?:\.[0-9]{0,40})?")
_AMOUNT: Final = re.compile(r"([+-]?)[ \xa0\u202f]{0,5}([0-9][0-9 .,'\xa0\u202f]{0,60}|[.,][0-9]{1,40})")
_BLANKS: Final = str.maketrans(dict.fromkeys(" '\xa0\u202f"))
_GROUPS_BY_BLANKS: Final = re.compile(
    r"[0-9]{1,3}(?:([ '\xa0\u202f])[0-9]{3})(?:\1[0-9]{3}){0,9}(?:[.,][0-9]{0,40})?"
)
_THOUSANDS: Final = re.compile(
    r"[1-9][0-9]{0,2}(?:([.,])[0-9]{3})(?:\1[0-9]{3}){0,9}(?:(?!\1)[.,]([0-9]{0,40}))?"
)
_DAY: Final = re.compile(r"([0-9]{4})(-?)([0-9]{2})\2([0-9]{2})(?![0-9]{1,3}(?![0-9]))")
_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_BANK_CODE: Final = re.compile(r"[0-9]{4}")


def is_usual_amount(text: str) -> bool:
    """Whether an amount is written as the specification's examples: no blanks, a decimal point."""
    return _USUAL_AMOUNT.fullmatch(text) is not None


def read_amount(text: str, currency: str, field: str) -> Money:
    """Read an amount with a point or a comma, and thousands apart where only one reading is possible.

    The specification (3.2.9.2) allows a comma or a point for the decimals and nothing for the thousands, so a
    single point is the decimal one; `1,000` may be either and is refused. Raises RecordError.
    """
    if is_usual_amount(text):
        return read_money(text, currency, field)
    match = _AMOUNT.fullmatch(text)
    digits = _with_point(match[2].strip()) if match else None
    if match is None or digits is None:
        raise RecordError("“{text}” is not an amount with one reading.", field=field, text=shortened(text))
    return read_money(match[1] + digits, currency, field)


def read_ofx_day(text: str, field: str) -> date:
    """Read the first eight digits of a date or time; the zone is not converted, the day is the bank's own.

    Raises RecordError where there is no such day.
    """
    match = _DAY.match(text)
    if match is None:
        raise RecordError("“{text}” is not a date.", field=field, text=shortened(text))
    try:
        return date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError:
        raise RecordError("There is no day {text}.", field=field, text=match[0]) from None


def read_currency(text: str, field: str) -> str:
    """Read a currency code; raises RecordError for what is not three letters."""
    currency = text.strip().upper()
    if not _CURRENCY.fullmatch(currency):
        raise RecordError("“{text}” is not a currency.", field=field, text=shortened(text))
    return currency


@lru_cache(maxsize=4096)
def account_of(bank_id: str, account_id: str, *, is_fio: bool = False) -> str:
    """Write an account as `[prefix-]number/bank code` where it surely is Czech, else as the file has it."""
    bank_id = bank_id.strip()
    is_czech = _BANK_CODE.fullmatch(bank_id) and (is_fio or bankaccount.is_valid(f"{account_id}/{bank_id}"))
    return account_of_text(account_id, bank_id if is_czech else "")


def plain(text: str) -> str:
    """Return a text on one line, its entities and CDATA read."""
    if "&" in text:
        # Only whole entities are meant: “AT&T” and “R&reg 5” are names.
        text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    return one_line(text if text.isascii() else unmasked(text))


def plain_all(texts: Sequence[str]) -> Sequence[str]:
    """Return each text as `plain` does; one look at all of them shows whether any needs it."""
    together = "\0".join(("", *texts, ""))
    # Line ends, hard blanks and the masks of CDATA are not printable.
    is_plain = "".join(texts).isprintable() and not any(
        each in together for each in ("&", "  ", "\0 ", " \0")
    )
    return texts if is_plain else list(map(plain, texts))


def _with_point(digits: str) -> str | None:
    """Write digits with separators as digits with a decimal point; None where they could mean two amounts."""
    if _GROUPS_BY_BLANKS.fullmatch(digits):
        return digits.translate(_BLANKS).replace(",", ".")
    if thousands := _THOUSANDS.fullmatch(digits):
        separator, decimals = thousands[1], thousands[2]
        if decimals is None and digits.count(separator) == 1:
            return None
        whole = digits[: len(digits) - len(decimals) - 1] if decimals is not None else digits
        return whole.replace(separator, "") + "." + (decimals or "")
    whole, _, decimals = digits.replace(",", ".").partition(".")
    return f"{whole}.{decimals}" if (whole + decimals).isdecimal() else None
