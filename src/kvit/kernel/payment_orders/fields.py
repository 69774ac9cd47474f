"""Checked fields of an order: what a bank cannot take is refused by name, and nothing is cut.

An error names the order by its payee for people, and for programs its field as `id.field`, which is how the
plugin contract wants it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from kvit.kernel.errors import AmountUnreadable, Misconfigured
from kvit.kernel.money import Money

_LINE_ENDS: Final = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]")
_BIC: Final = re.compile(r"[A-Z]{6}[A-Z2-9][A-NP-Z0-9](?:[A-Z0-9]{3})?")
"""As ISO 20022 writes it."""
_UNWRITABLE: Final = ("Cc", "Cs", "Cn", "Co")
"""Categories of characters that no text of a payment has: controls, half characters, unassigned, private."""


@dataclass(frozen=True, slots=True)
class OrderLabel:
    """What an order is called in errors."""

    id: str
    payee: str
    """Whom it pays, by name or account."""

    def at(self, field: str) -> dict[str, str]:
        """Return what names one field of the order."""
        return {"field": f"{self.id}.{field}", "name": field, "payee": self.payee or self.id}


def text_of(text: str, of: OrderLabel, field: str, *, longest: int) -> str:
    """Return a text on one line, with single spaces and composed letters (NFC), as banks count and keep it.

    Raises Misconfigured where it has more than `longest` characters then, or one that XML or a bank cannot
    hold.
    """
    whole = _LINE_ENDS.sub(" ", unicodedata.normalize("NFC", text))
    for character in whole:
        if unicodedata.category(character) in _UNWRITABLE:
            raise Misconfigured(
                "“{name}” of the payment to {payee} holds a character that the bank cannot take (U+{code}).",
                **of.at(field),
                code=f"{ord(character):04X}",
            )
    line = " ".join(whole.split())
    if len(line) > longest:
        raise Misconfigured(
            "“{name}” of the payment to {payee} has {count} characters; the bank takes {longest} at most.",
            **of.at(field),
            count=len(line),
            longest=longest,
        )
    return line


def needed(text: str, of: OrderLabel, field: str, *, longest: int) -> str:
    """Return a text as `text_of` does; raises Misconfigured also where it is empty."""
    line = text_of(text, of, field, longest=longest)
    if not line:
        raise Misconfigured(
            "Fill in “{name}” of the payment to {payee}: the bank does not take it without.",
            **of.at(field),
        )
    return line


def symbol_of(symbol: str, of: OrderLabel, field: str, *, longest: int) -> str:
    """Return a symbol as it was given, zeros in front too.

    Raises Misconfigured where it is not digits only or has more than `longest` of them.
    """
    if symbol and not (symbol.isascii() and symbol.isdigit() and len(symbol) <= longest):
        raise Misconfigured(
            "“{name}” of the payment to {payee} must be at most {longest} digits and nothing else.",
            **of.at(field),
            longest=longest,
        )
    return symbol


def amount_of(amount: object, currency: str, of: OrderLabel) -> Money:
    """Return the exact amount.

    Raises Misconfigured where it is none, a float, not more than zero, or finer than hundredths.
    """
    try:
        money = Money.of(amount, currency)  # type: ignore[arg-type]  # it refuses what is none of its types
    except AmountUnreadable as error:
        field = "amount" if re.fullmatch("[A-Z]{3}", currency) else "currency"
        raise Misconfigured(
            "The payment to {payee} has no amount that can be paid: {reason}",
            **of.at(field),
            reason=str(error),
        ) from None
    if money.minor <= 0:
        raise Misconfigured("The amount of the payment to {payee} must be more than zero.", **of.at("amount"))
    return money


def bic_of(bic: str, of: OrderLabel, field: str) -> str:
    """Return a BIC (ISO 9362) without spaces, empty where there is none; raises Misconfigured for another."""
    compact = "".join(bic.split()).upper()
    if compact and not _BIC.fullmatch(compact):
        raise Misconfigured(
            "“{name}” of the payment to {payee} is not a BIC: those have 8 or 11 letters and digits.",
            **of.at(field),
        )
    return compact
