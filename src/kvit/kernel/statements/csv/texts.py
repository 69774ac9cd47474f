"""The texts of cells: cleaned, joined, and read as accounts, symbols and ids; one by one or by the column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import repeat
from typing import Final

from kvit.kernel.statements.accounts import account_of_text
from kvit.kernel.statements.fields import without_zero_symbol
from kvit.kernel.statements.identity import bank_reference

_SPACES: Final = re.compile(r"[ \t\r\n\v\f\u00a0]+")
_UNUSUAL: Final = ("  ", "\n", "\t", "\u00a0", "\r", "\v", "\f")
_WRAPPING: Final = " \t\u00a0='\""
"""What spreadsheets put around digits, so that they stay text."""
_SYMBOL: Final = re.compile(r"[0-9]{1,10}")
_BANK: Final = re.compile(r"[0-9]{3,8}")
_IDS: Final = re.compile(r"(?:[A-Z]{1,9}[0-9]{1,60}\n|[1-9][0-9]{6,60}\n)*+")
_ZEROS: Final = frozenset("0" * length for length in range(1, 11))


def cleaned(text: str) -> str:
    """Return the text in one line with single spaces."""
    if not text or text.isalnum():
        return text
    return _SPACES.sub(" ", text).strip(" ")


def cleaned_column(texts: Sequence[str]) -> Sequence[str]:
    """Clean a whole column; nothing is done where nothing is to do."""
    # Between single spaces, a text that begins or ends with one, or is empty, makes two.
    joined = f" {' '.join(texts)} "
    if any(each in joined for each in _UNUSUAL):
        return list(map(cleaned, texts))
    return texts


def joined(texts: Sequence[str]) -> str:
    """Join the texts of a row's columns, each once."""
    return cleaned(" ".join(dict.fromkeys(text for text in map(cleaned, texts) if text)))


def symbol(text: str) -> str:
    """Return a payment symbol; what is no number of ten digits at most, or all zeros, is none."""
    digits = text.strip(_WRAPPING)
    return without_zero_symbol(digits) if _SYMBOL.fullmatch(digits) else ""


def symbol_column(texts: Sequence[str]) -> Sequence[str]:
    """Read a column of payment symbols."""
    if _are_digits(texts, 1, 10) and _ZEROS.isdisjoint(texts):
        return texts
    return list(map(symbol, texts))


def account(text: str, bank: str = "") -> str:
    """Return an account as it is written everywhere in Kvit; a bank's code joins a number without one."""
    number, code = text.strip(_WRAPPING), bank.strip(_WRAPPING)
    return account_of_text(number, code if _BANK.fullmatch(code) and "/" not in number else "")


def account_column(texts: Sequence[str], banks: Sequence[str]) -> Sequence[str]:
    """Read a column of accounts and one of bank codes."""
    if _are_digits(texts, 2, 10) and _are_digits(list(set(banks)), 3, 8):
        significant = list(map(str.lstrip, texts, repeat("0")))
        if all(significant):
            return [f"{number}/{bank}" for number, bank in zip(significant, banks, strict=True)]
    return list(map(account, texts, banks))


def reference(text: str) -> str:
    """Return the bank's id of a movement; a number of up to six digits only counts rows."""
    return bank_reference(text, counts=True)


def reference_column(texts: Sequence[str]) -> Sequence[str]:
    """Read a column of the bank's ids."""
    joined = "\n".join(texts) + "\n"
    if _IDS.fullmatch(joined) and joined.count("\n") == len(texts):
        return texts
    return list(map(reference, texts))


def _are_digits(texts: Sequence[str], least: int, most: int) -> bool:
    """Whether each text is of digits only, from `least` to `most` of them."""
    joined = "".join(texts)
    lengths = set(map(len, texts))
    return joined.isascii() and joined.isdigit() and least <= min(lengths) and max(lengths) <= most


def unguarded(cell: str) -> str:
    """Take away the apostrophe that Kvit's own export puts before what a spreadsheet would run."""
    return cell.removeprefix("'")
