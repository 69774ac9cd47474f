"""Masking of live secrets in everything of a plugin that is logged, stored or shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus

from kvit.plugin import Secret

MASK: Final = "***"
SHORTEST_MASKED: Final = 4
"""Shorter values would mask ordinary words; no credential is that short."""


class Redactor:
    """Replaces every known secret, also as URLs, JSON, Python and base64 write it, by a mask."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._forms: list[str] = []
        self.add(secrets)

    def add(self, secrets: Iterable[Secret]) -> None:
        """Mask these as well from now on, such as a token that has just been granted."""
        forms = {form for secret in secrets for form in _forms(secret.reveal())}
        if not forms.issubset(self._forms):
            self._forms = sorted(forms.union(self._forms), key=len, reverse=True)

    def mask(self, text: str) -> str:
        """Return the text without secrets, and without the characters that no database stores."""
        text = text.encode("utf-8", "replace").decode().replace("\x00", "")
        for form in self._forms:
            text = text.replace(form, MASK)
        return text


def _forms(value: str) -> set[str]:
    if len(value) < SHORTEST_MASKED:
        return set()
    encoded = base64.b64encode(value.encode()).decode()
    return {
        value,
        quote(value),
        quote(value, safe=""),
        quote_plus(value),
        json.dumps(value)[1:-1],
        repr(value)[1:-1],
        encoded,
        encoded.rstrip("="),
    }
