"""Which document a buyer paid: as the shop wrote to the payment, else as its description announces."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from kvit.plugins.stripe.entries import Entry

USUAL_FIELDS: Final = (
    "order_id", "order_number", "order", "OrderNumber", "orderId", "variable_symbol", "vs",
    "invoice_number", "invoice_id", "invoice", "reference",
)  # fmt: skip
"""Names of metadata that shops use, in the order in which the payout report of Stripe is read, too."""
LONGEST: Final = 200

_NUMBER: Final = re.compile(
    r"(?<!\w)(?:vs|variabiln[ií] symbol|faktur\w*|fa|doklad\w*|objedn[aá]vk\w*|invoice|inv|order|rechnung\w*"
    r"|bestellung\w*)(?:[ .:#-]+(?:no|nr|number|id|č|c|číslo|cislo))?[ .:#-]*"
    r"([A-Z]{0,8}[/-]?[0-9](?:[A-Z0-9/-]*[A-Z0-9])?)(?!\w)",
    re.IGNORECASE,
)


def reference_of(entry: Entry, field: str) -> str:
    """Return the number or symbol of the document, and where none is told the id of the payment itself.

    `field` is the name of the metadata that holds it, or empty for the usual names. A refund or dispute that
    says nothing itself is of the document that its charge is of.
    """
    sources = list(_told_by(entry.source))
    texts = [_text(source, "description").strip() for source in sources] + [entry.description.strip()]
    named = [_of_metadata(source, field) for source in sources]
    announced = [_of_text(text) for text in texts]
    found = next(filter(None, (*named, *announced, *texts, entry.source_id)), entry.id)
    return found[:LONGEST]


def _told_by(source: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield source
    charge = source.get("charge")
    if isinstance(charge, dict):
        yield charge


def _of_metadata(source: Mapping[str, Any], field: str) -> str:
    metadata = source.get("metadata")
    if not isinstance(metadata, dict):
        return ""
    for name in (field,) if field else USUAL_FIELDS:
        value = metadata.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return ""


def _of_text(text: str) -> str:
    """Return the only number that the text announces; two are none."""
    numbers = set(_NUMBER.findall(text))
    return numbers.pop() if len(numbers) == 1 else ""


def _text(source: Mapping[str, Any], name: str) -> str:
    value = source.get(name)
    return value if isinstance(value, str) else ""
