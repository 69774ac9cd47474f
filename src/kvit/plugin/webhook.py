"""Messages that a source sends by itself: checked, told apart, and only ever a reason to sync."""

from __future__ import annotations

import hmac
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from kvit.kernel.errors import WebhookRefused
from kvit.plugin.secrets import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message as it arrived."""

    headers: Mapping[str, str]
    """By lower-case names."""
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a message with a right signature says about itself."""

    id: str
    """The source's id of the message: a message whose id has come before is refused."""
    sent_at: datetime
    """The aware moment that the signature covers: a message five minutes off is refused."""
    wants_sync: bool = True
    """Whether it is a reason to sync now."""


class Webhook(ABC):
    """Mixin of a plugin whose source tells when there is something new: `class Acme(Webhook, Plugin[C])`.

    The message itself is never believed: it only has the connection synced sooner.
    """

    @abstractmethod
    def event(self, delivery: Delivery) -> Event:
        """Check the signature, then say which message it is. It asks nobody.

        Raises WebhookRefused where the signature is missing or wrong, before anything else is read.
        """


def require_signature(body: bytes, signature: str, secret: Secret, digest: str = "sha256") -> None:
    """Compare a hexadecimal HMAC (RFC 2104) of the body in constant time. Raises WebhookRefused."""
    expected = hmac.new(secret.reveal().encode(), body, digest).hexdigest()
    if not (secret and hmac.compare_digest(expected.encode(), signature.strip().lower().encode())):
        raise WebhookRefused
