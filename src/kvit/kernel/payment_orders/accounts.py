"""The account that an order pays to: an IBAN, a Czech or Slovak number, or a number of another country."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from stdnum import iban as iban_numbers
from stdnum.exceptions import ValidationError
from stdnum.iso7064 import mod_97_10

from kvit.kernel.statements.accounts import is_valid

_SEPA: Final = (
    "AD AL AT BE BG CH CY CZ DE DK EE ES FI FR GB GI GR HR HU IE IS IT LI LT LU LV MC MD ME MK MT NL NO PL "
    "PT RO RS SE SI SK SM VA"
)
SEPA_COUNTRIES: Final = frozenset(_SEPA.split())
"""Countries of IBANs that SEPA credit transfers reach (European Payments Council, EPC409-09)."""

type DomesticCountry = Literal["CZ", "SK"]

_DOMESTIC: Final = re.compile(r"(?:([0-9]{1,6})-)?([0-9]{1,10})/([0-9]{4})")
_DOMESTIC_IBAN: Final = re.compile(r"(CZ|SK)[0-9]{2}([0-9]{4})([0-9]{6})([0-9]{10})")
_IBAN_SHAPE: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]*")
"""Also one that is too short or too long, which is a slip and not another country's number."""
_OTHER: Final = re.compile(r"[A-Z0-9]{1,34}")


@dataclass(frozen=True, slots=True)
class DomesticAccount:
    """An account as it is written in the Czech Republic and in Slovakia, without zeros in front."""

    country: DomesticCountry
    prefix: str
    """Empty where there is none."""
    number: str
    bank_code: str

    @property
    def without_bank(self) -> str:
        """`[prefix-]number`."""
        return f"{self.prefix}-{self.number}" if self.prefix else self.number

    @property
    def iban(self) -> str:
        """The same account as an IBAN (ISO 13616, ČNB decree 169/2011)."""
        basic = f"{self.bank_code}{self.prefix:0>6}{self.number:0>10}"
        check: str = mod_97_10.calc_check_digits(f"{basic}{self.country}")
        return f"{self.country}{check}{basic}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where an order pays to; a Czech or Slovak account is known in both of its forms."""

    number: str
    """The IBAN where there is one, else the number as its country writes it."""
    iban: str = ""
    domestic: DomesticAccount | None = None

    @property
    def is_in_sepa(self) -> bool:
        return self.iban[:2] in SEPA_COUNTRIES


def target_of(text: str, country: DomesticCountry) -> Target | None:
    """Read an account; None where it is none, or where its check digits are wrong.

    `[prefix-]number/bank code` belongs to `country`, the one of the account that pays, and must pass the
    mod-11 checks. An IBAN must have the length and the check digits of its country. Anything else is a
    number of at most 34 letters and digits, which nobody can check.
    """
    compact = "".join(text.split()).upper()
    if _DOMESTIC.fullmatch(compact):
        found = _domestic(compact, country)
        return Target(found.iban, found.iban, found) if found else None
    if _IBAN_SHAPE.fullmatch(compact):
        return Target(compact, compact, domestic_of_iban(compact)) if is_iban(compact) else None
    return Target(compact) if _OTHER.fullmatch(compact) else None


def domestic_of(text: str, country: DomesticCountry) -> DomesticAccount | None:
    """Read a Czech or Slovak account from either of its forms; None where it is none."""
    target = target_of(text, country)
    return target.domestic if target else None


def domestic_of_iban(iban: str) -> DomesticAccount | None:
    """Take a Czech or Slovak IBAN apart; None for one of another country or one that names no account."""
    found = _DOMESTIC_IBAN.fullmatch(iban)
    if found is None or not found[4].strip("0"):
        return None
    country: DomesticCountry = "CZ" if found[1] == "CZ" else "SK"
    return DomesticAccount(country, found[3].lstrip("0"), found[4].lstrip("0"), found[2])


def is_iban(text: str) -> bool:
    """Whether it is an IBAN without spaces of the length, the shape and the check digits of its country."""
    try:
        iban_numbers.validate(text, check_country=False)
    except ValidationError:
        return False
    return True


def _domestic(compact: str, country: DomesticCountry) -> DomesticAccount | None:
    found = _DOMESTIC.fullmatch(compact)
    if found is None:
        return None
    prefix, number, bank_code = found[1] or "", found[2], found[3]
    if not is_valid(f"{prefix:0>6}{number:0>10}"):
        return None
    return DomesticAccount(country, prefix.lstrip("0"), number.lstrip("0"), bank_code)
