"""Money: an exact amount in one currency, counted in hundredths."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import total_ordering

from kvit.kernel.errors import AmountUnreadable, CurrencyMismatch

_CURRENCY = re.compile(r"[A-Z]{3}")
_LARGEST_MINOR = 10**16
"""No amount reaches one hundred trillion: it fits any database integer and betrays a misread column."""
_MOST_DIGITS = 28
"""Decimal's own precision: a longer number would be rounded unseen."""


@total_ordering
@dataclass(frozen=True, slots=True)
class Money:
    """An amount in hundredths of one currency (ISO 4217); incoming is positive.

    Hundredths serve every currency: a yen amount ends in two zeros, and an amount with more
    than two decimals is refused instead of rounded.
    """

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if not _CURRENCY.fullmatch(self.currency):
            raise AmountUnreadable(
                "“{currency}” is not a currency code of three capital letters.", currency=self.currency
            )
        if abs(self.minor) >= _LARGEST_MINOR:
            raise AmountUnreadable(
                "The amount of {minor} hundredths is too large to be true.", minor=self.minor
            )

    @classmethod
    def of(cls, amount: Decimal | int | str, currency: str) -> Money:
        """Read an exact amount such as `"-1250.00"`.

        Raises AmountUnreadable for a float, for what is not a finite number and for more than two decimals.
        """
        if isinstance(amount, float):
            raise AmountUnreadable("A float cannot hold money exactly; use Decimal or text.")
        try:
            number = Decimal(amount)
        except (InvalidOperation, ValueError, TypeError):
            raise AmountUnreadable("“{amount}” is not an amount.", amount=amount) from None
        if not number.is_finite() or number.adjusted() > 20 or len(number.as_tuple().digits) > _MOST_DIGITS:
            raise AmountUnreadable("“{amount}” is not an amount.", amount=amount)
        hundredths = number.scaleb(2)
        if hundredths != hundredths.to_integral_value():
            raise AmountUnreadable("“{amount}” has more than two decimals.", amount=amount)
        return cls(int(hundredths), currency)

    @classmethod
    def zero(cls, currency: str) -> Money:
        return cls(0, currency)

    @property
    def amount(self) -> Decimal:
        """The amount with exactly two decimals."""
        return Decimal(self.minor).scaleb(-2)

    def __add__(self, other: Money) -> Money:
        self._require_same_currency(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._require_same_currency(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __abs__(self) -> Money:
        return Money(abs(self.minor), self.currency)

    def __bool__(self) -> bool:
        return self.minor != 0

    def __lt__(self, other: Money) -> bool:
        self._require_same_currency(other)
        return self.minor < other.minor

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"

    def times(self, quantity: Decimal) -> Money:
        """Multiply by a quantity and round to hundredths, halves away from zero."""
        return Money(_rounded(self.minor * quantity), self.currency)

    def _require_same_currency(self, other: Money) -> None:
        if self.currency != other.currency:
            raise CurrencyMismatch("{one} and {other} are in two currencies.", one=self, other=other)


def _rounded(number: Decimal) -> int:
    """The one rounding rule: halves away from zero, as invoices and the tax office expect."""
    return int(number.quantize(Decimal(1), rounding=ROUND_HALF_UP))
