"""Czech account numbers in statements: their written form and the order of digits inside banks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from operator import itemgetter

_INTERNAL_ORDER = (11, 12, 13, 14, 15, 16, 5, 6, 7, 8, 9, 4, 10, 2, 3, 1)
"""Where (counted from 1) each digit of the written number stands in the order used inside Komerční banka."""
_NO_PREFIX = "000000"
_NO_NUMBER = "0000000000"
_NO_ACCOUNT = _NO_PREFIX + _NO_NUMBER
_in_written_order = itemgetter(*(position - 1 for position in _INTERNAL_ORDER))
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_DOMESTIC = re.compile(r"(?:([0-9]{1,6})-)?([0-9]{2,16})")


def account_of_digits(digits: str, bank_code: str = "", *, known: str = "") -> str:
    """Write sixteen digits as `[prefix-]number[/bank code]`; zeros only are no account.

    Some banks export the digits in their internal order. It is undone when the plain order breaks the
    check of a Czech account number and the internal order passes it, or when it gives the `known` account.
    """
    plain = _written(digits[:6], digits[6:], bank_code)
    if not plain or plain == known or (not known and is_valid(digits)):
        return plain
    ordered = "".join(_in_written_order(digits))
    written = _written(ordered[:6], ordered[6:], bank_code)
    is_internal = (known and written == known) or (is_valid(ordered) and not is_valid(digits))
    return written if is_internal else plain


def accounts_of_digits(digits: Iterable[str], bank_codes: Iterable[str]) -> list[str]:
    """Write many accounts of sixteen digits, as `account_of_digits` writes each."""
    return [
        f"{each.lstrip('0')}/{code}"
        # The usual number has no prefix, and is right or cannot be in the internal order either, where the
        # last six digits would be the prefix.
        if code
        and each.startswith(_NO_PREFIX)
        and (int(each, 13) % 11 == 0 or int(each[10:], 13) % 11)
        and each != _NO_ACCOUNT
        else account_of_digits(each, code)
        for each, code in zip(digits, bank_codes, strict=True)
    ]


def account_of_text(text: str, bank_code: str = "") -> str:
    """Write an IBAN without spaces and a domestic number as `[prefix-]number[/bank code]`; else as it is."""
    compact = "".join(text.split())
    match = _DOMESTIC.fullmatch(compact)
    if match is None:
        return compact
    prefix, number = match[1] or "", match[2]
    if not bank_code:
        return compact if number.strip("0") else ""
    if not prefix and len(number) == 16:
        prefix, number = number[:6], number[6:]
    return _written(prefix, number, bank_code) if number.strip("0") else ""


def is_valid(digits: str) -> bool:
    """Whether sixteen digits pass the mod-11 checks of Czech National Bank decree 169/2011.

    The decree weighs the digits, from the last, by 1, 2, 4, 8, 5, 10, 9, 7, 3 and 6: the powers of two modulo
    11. Thirteen is two modulo 11 as well, so a number of base 13 has the same remainder.
    """
    return int(digits[:6], 13) % 11 == 0 and int(digits[6:], 13) % 11 == 0 and digits[6:] != _NO_NUMBER


def is_iban(text: str) -> bool:
    """Whether the text is an IBAN without spaces that passes its check digits (ISO 13616)."""
    if not _IBAN.fullmatch(text):
        return False
    digits = "".join(str(int(character, 36)) for character in text[4:] + text[:4])
    return int(digits) % 97 == 1


def _written(prefix: str, number: str, bank_code: str) -> str:
    """Write an account without the zeros in front; nothing for zeros only."""
    prefix, number = prefix.lstrip("0"), number.lstrip("0")
    if not prefix and not number:
        return ""
    written = f"{prefix}-{number}" if prefix else number
    return f"{written}/{bank_code}" if bank_code else written
