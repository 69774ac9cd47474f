"""Amounts and quantities as people write them in Czech and English, read exactly or not at all."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _

_SPACES = re.compile(r"[ \u00a0\u2007\u2009\u202f]")
_PLAIN = re.compile(r"(?P<whole>\d{1,12}|\d{1,3}(?: \d{3}){1,3})(?:[.,](?P<part>\d{1,3}))?", re.ASCII)
_COMMAS = re.compile(r"(?P<whole>\d{1,3}(?:,\d{3}){1,3})\.(?P<part>\d{1,3})", re.ASCII)
_DOTS = re.compile(r"(?P<whole>\d{1,3}(?:\.\d{3}){1,3}),(?P<part>\d{1,3})", re.ASCII)
_MINUS: Final = "-−"


def read_number(text: str) -> Decimal:
    """Read `1 250,50`, `1250.50`, `1,250.50` or `1.250,50`, with a minus in front or without.

    Raises ValueError for anything else: `12 50` is asked about instead of guessed. The decimals written are
    kept, so that a field of two decimals asks about `1,250` too.
    """
    spaced = _SPACES.sub(" ", text.strip())
    sign = "-" if spaced[:1] in _MINUS and spaced else ""
    digits = spaced[len(sign) :].strip()
    found = _PLAIN.fullmatch(digits) or _COMMAS.fullmatch(digits) or _DOTS.fullmatch(digits)
    if found is None:
        raise ValueError(text)
    whole = re.sub(r"\D", "", found["whole"])
    return Decimal(f"{sign}{whole}.{found['part'] or '0'}")


def quantity_shown(quantity: Decimal) -> Decimal:
    """Return the quantity without zeros at the end of its decimals: `1`, `1.5`."""
    return quantity.quantize(Decimal(1)) if quantity == quantity.to_integral_value() else quantity.normalize()


def _decimals(number: Decimal) -> int:
    """How many decimals are written, zeros at the end among them."""
    return len(str(number).partition(".")[2])


class NumberField(forms.Field):
    """An exact number with at most `decimals` decimals, shown with the reader's decimal comma."""

    widget = forms.TextInput
    default_error_messages = {
        "invalid": _("Write a number such as 1 250,50."),
        "decimals": _("At most %(decimals)s decimals."),
    }

    def __init__(self, *, decimals: int, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.decimals = decimals

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return {"inputmode": "decimal", "autocomplete": "off"}

    def to_python(self, value: Any) -> Decimal | None:
        if value in self.empty_values:
            return None
        try:
            number = read_number(str(value))
        except ValueError:
            raise ValidationError(self.error_messages["invalid"], "invalid") from None
        if _decimals(number) > self.decimals:
            raise ValidationError(self.error_messages["decimals"], "decimals", {"decimals": self.decimals})
        return number

    def prepare_value(self, value: Any) -> Any:
        return number_format(value) if isinstance(value, Decimal) else value
