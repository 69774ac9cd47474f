"""Czech account numbers in statements: their written form and the order of digits inside banks."""

from __future__ import annotations

import re

_PREFIX_WEIGHTS = (10, 5, 8, 4, 2, 1)
_NUMBER_WEIGHTS = (6, 3, 7, 9, 10, 5, 8, 4, 2, 1)
_INTERNAL_ORDER = (11, 12, 13, 14, 15, 16, 5, 6, 7, 8, 9, 4, 10, 2, 3, 1)
"""Where (counted from 1) each digit of the written number stands in the order used inside Komerční banka."""
_DOMESTIC = re.compile(r"(?:([0-9]{1,6})-)?([0-9]{2,16})")


def account_of_digits(digits: str, bank_code: str = "") -> str:
    """Write sixteen digits as `[prefix-]number[/bank code]`; zeros only are no account.

    Some banks export the digits in their internal order. It is undone when the plain order breaks the
    check of a Czech account number and the internal order passes it.
    """
    if not digits.strip("0"):
        return ""
    if not is_valid(digits):
        ordered = "".join(digits[position - 1] for position in _INTERNAL_ORDER)
        if is_valid(ordered):
            digits = ordered
    return _written(digits[:6], digits[6:], bank_code)


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
    """Whether sixteen digits pass the mod-11 checks of Czech National Bank decree 169/2011."""
    prefix_sum = sum(int(digit) * weight for digit, weight in zip(digits[:6], _PREFIX_WEIGHTS, strict=True))
    number_sum = sum(int(digit) * weight for digit, weight in zip(digits[6:], _NUMBER_WEIGHTS, strict=True))
    return prefix_sum % 11 == 0 and number_sum % 11 == 0 and bool(digits[6:].strip("0"))


def _written(prefix: str, number: str, bank_code: str) -> str:
    prefix, number = prefix.lstrip("0"), number.lstrip("0")
    return (f"{prefix}-" if prefix else "") + number + (f"/{bank_code}" if bank_code else "")
