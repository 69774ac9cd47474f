"""Where in the payment, as the bank sent it, the reference of a reason stands."""

from __future__ import annotations

from kvit.kernel.matching.extract import folded
from kvit.kernel.matching.values import Payment, Reason, Span
from kvit.kernel.references import symbol_key


def located(reason: Reason, payment: Payment) -> Span | None:
    """Return the place of the reason's reference in the raw fields; None where it has none.

    The symbol field counts before the texts, and those in their order. Whatever separates the parts of a
    number, a line break too, lies within the span.
    """
    reference = reason.values.get("symbol")
    if not isinstance(reference, str) or not reference:
        return None
    field = payment.variable_symbol
    if (key := symbol_key(reference)) and symbol_key(field) == key:
        start = len(field) - len(field.lstrip())
        return Span("variable_symbol", start, start + len(field.strip()))
    for name, text in zip(payment.fields, payment.texts, strict=False):
        if (place := _place(text, reference)) is not None:
            return Span(name, *place)
    return None


def _place(text: str, reference: str) -> tuple[int, int] | None:
    """Return the first place where the reference stands as a whole, separators within it apart."""
    raws = text.upper() if text.isascii() else map(folded, text)
    signs = [(sign, at) for at, raw in enumerate(raws) for sign in raw if sign.isalnum()]
    skeleton = "".join([sign for sign, _ in signs])
    found = skeleton.find(reference)
    while found != -1:
        start, end = signs[found][1], signs[found + len(reference) - 1][1] + 1
        if not (_digits_touch(text, start) or _digits_touch(text, end)):
            return start, end
        found = skeleton.find(reference, found + 1)
    return None


def _digits_touch(text: str, at: int) -> bool:
    """Whether a run of digits goes on over this place."""
    return 0 < at < len(text) and text[at - 1].isdigit() and text[at].isdigit()
