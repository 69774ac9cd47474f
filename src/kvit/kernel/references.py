"""Payment references and account numbers in the one form in which they are compared."""

from __future__ import annotations

import re
from typing import Final

from stdnum.iso7064 import mod_97_10

LONGEST_VARIABLE_SYMBOL: Final = 10
"""Digits of a Czech variable symbol (ČNB decree 169/2011, annex)."""

_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{8,30}")
_CZECH_ACCOUNT = re.compile(r"(?:(\d{1,6})-)?(\d{2,10})/(\d{4})")
_WORD = re.compile(r"\w+(?:[-/]\w+)*")
_DIGITS = re.compile(r"\d+")


def symbol_key(symbol: str) -> str:
    """Return the symbol's digits without leading zeros; empty where it names nothing."""
    digits = symbol.strip()
    return digits.lstrip("0") if digits.isdecimal() else ""


def symbol_of_number(number: str) -> str:
    """Return the digits of an invoice number as its variable symbol; empty where they are too many."""
    digits = "".join(_DIGITS.findall(number))
    return digits if len(digits) <= LONGEST_VARIABLE_SYMBOL else ""


def readable_account(account: str) -> str:
    """Return an IBAN in groups of four, as it is printed (ISO 13616); other numbers as they are."""
    return " ".join(re.findall(".{1,4}", account)) if _IBAN.fullmatch(account) else account


def words(text: str) -> list[str]:
    """Return the words of a message in capitals; dashes and slashes inside a word belong to it."""
    return _WORD.findall(text.upper())


def account_key(account: str) -> str:
    """Return the account as an IBAN without spaces where it can be told, else its text without spaces.

    A domestic number `[prefix-]number/bank` becomes its Czech IBAN (ISO 13616, ČNB decree 169/2011).
    """
    if account.isalnum():
        return account.upper()
    compact = re.sub(r"\s", "", account).upper()
    domestic = _CZECH_ACCOUNT.fullmatch(compact)
    if domestic is None or _IBAN.fullmatch(compact):
        return compact
    prefix, number, bank = domestic.groups(default="")
    basic = f"{bank}{prefix:0>6}{number:0>10}"
    check: str = mod_97_10.calc_check_digits(f"{basic}CZ")
    return f"CZ{check}{basic}"
