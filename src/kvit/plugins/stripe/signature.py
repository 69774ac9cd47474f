"""Messages that Stripe sends, told by their signature (docs.stripe.com/webhooks/signature)."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any, Final

from kvit.plugin import Delivery, Event, Secret, WebhookRefused, require_signature

HEADER: Final = "stripe-signature"
TELLING: Final = (
    "application_fee.", "balance.", "charge.", "checkout.session.", "invoice.", "payment_intent.", "payout.",
    "refund.", "topup.", "transfer.",
)  # fmt: skip
"""How the types of the events begin after which there may be something new to read."""
THIN: Final = "v1."
"""Stands before the same type where the owner chose thin events, which hold no more than what happened
(docs.stripe.com/webhooks/migrate-snapshot-to-thin-events)."""

_MOMENT: Final = re.compile(r"[0-9]{1,10}")


def event_of(delivery: Delivery, secret: Secret, *, is_live: bool) -> Event:
    """Check the signature, then say which event it is.

    While a signing secret is being rolled, Stripe signs with the old and with the new one, so one right
    signature of scheme `v1` is enough; other schemes say nothing. An event of the other mode, or of an
    account connected to ours, is no reason to sync. Raises WebhookRefused.
    """
    moment, signatures = _parts(delivery.headers.get(HEADER, ""))
    _require_any(moment.encode() + b"." + delivery.body, signatures, secret)
    told = _object(delivery.body)
    id_, type_ = told.get("id"), told.get("type")
    if not isinstance(id_, str) or not id_ or not isinstance(type_, str):
        raise WebhookRefused
    return Event(
        id=id_,
        sent_at=datetime.fromtimestamp(int(moment), UTC),
        wants_sync=type_.removeprefix(THIN).startswith(TELLING)
        and told.get("livemode") is is_live
        and not told.get("account"),
    )


def _parts(header: str) -> tuple[str, list[str]]:
    """Split `t=…,v1=…,v1=…`. Raises WebhookRefused unless it holds exactly one moment and a signature."""
    pairs = [part.strip().partition("=") for part in header.split(",")]
    moments = [value for name, _, value in pairs if name == "t"]
    signatures = [value for name, _, value in pairs if name == "v1"]
    if len(moments) != 1 or not _MOMENT.fullmatch(moments[0]) or not signatures:
        raise WebhookRefused
    return moments[0], signatures


def _require_any(signed: bytes, signatures: list[str], secret: Secret) -> None:
    for signature in signatures[:-1]:
        try:
            return require_signature(signed, signature, secret)
        except WebhookRefused:
            continue
    return require_signature(signed, signatures[-1], secret)


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise WebhookRefused
    return told
