"""Stripe's whole numbers as exact amounts.

Stripe writes an amount in the smallest unit of its currency, which is not always a hundredth; which currency
has how many decimals is Stripe's own table (docs.stripe.com/currencies, “Minor units in API amounts”), and it
differs from ISO 4217: krónur and Ugandan shillings keep two.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from kvit.kernel.statements.currencies import CURRENCIES
from kvit.plugin import RecordError

_KNOWN: Final = frozenset(CURRENCIES.values())
_NO_DECIMALS: Final = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF")
)
_THREE_DECIMALS: Final = frozenset(("BHD", "JOD", "KWD", "OMR", "TND"))


def currency_of(code: object) -> str:
    """Return the currency in capitals. Raises RecordError for what is none."""
    currency = code.upper() if isinstance(code, str) else ""
    if currency not in _KNOWN:
        raise RecordError("“{currency}” is not a currency.", field="currency", currency=str(code)[:20])
    return currency


def amount_of(units: int, currency: str) -> Decimal:
    """Return an amount from the smallest units in which Stripe writes the currency (ISO 4217, capitals)."""
    return Decimal(units).scaleb(-_decimals(currency))


def is_in_hundredths(units: int, currency: str) -> bool:
    """Whether Kvit, which counts in hundredths, can hold the amount."""
    return currency not in _THREE_DECIMALS or units % 10 == 0


def _decimals(currency: str) -> int:
    if currency in _NO_DECIMALS:
        return 0
    return 3 if currency in _THREE_DECIMALS else 2
