"""Who asks: the owner's application at Enable Banking, proved by a JWT that its private key signs.

The token's form is the provider's (API reference, “Authentication”): RS256, the application's id as `kid`,
the issuer and the audience always the same, at most a day between `iat` and `exp`.
"""

from __future__ import annotations

import json
import re
import textwrap
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Generator, Mapping
from functools import lru_cache
from typing import Final

import httpx
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from kvit.plugin import Misconfigured, Secret

LIVES_SECONDS: Final = 600
CLOCK_SLACK_SECONDS: Final = 30
"""How far the provider's clock may be behind ours."""

_PEM: Final = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----(.*)-----END \1-----", re.DOTALL)
_BREAKS: Final = re.compile(r"\\r|\\n|\s")
"""What stands between the digits of a key: real line breaks, and those that something wrote out."""


class Application(httpx.Auth):
    """Signs a short-lived token for each request."""

    def __init__(self, id: str, private_key: Secret) -> None:
        """Raises Misconfigured naming `private_key` where that is no RSA key."""
        self._id = id.strip()
        self._key = read_key(private_key)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        request.headers["Authorization"] = f"Bearer {self.token(int(time.time()))}"
        yield request

    def token(self, now: int) -> str:
        """Return the token for a moment, in seconds since 1970."""
        issued = now - CLOCK_SLACK_SECONDS
        header = {"typ": "JWT", "alg": "RS256", "kid": self._id}
        claims: dict[str, str | int] = {
            "iss": "enablebanking.com",
            "aud": "api.enablebanking.com",
            "iat": issued,
            "exp": issued + LIVES_SECONDS,
        }
        signed = f"{_part(header)}.{_part(claims)}"
        return f"{signed}.{_encoded(self._key.sign(signed.encode(), PKCS1v15(), SHA256()))}"


@lru_cache(maxsize=8)
def read_key(secret: Secret) -> RSAPrivateKey:
    """Read a PEM file, also one that lost its line breaks in a field of one line; checking a key takes long.

    Raises Misconfigured naming `private_key`.
    """
    found = _PEM.search(secret.reveal())
    if found is None:
        raise Misconfigured(
            "This is not a private key. Open the .pem file that you got with the application and copy all of "
            "it, from -----BEGIN to -----END PRIVATE KEY-----.",
            field="private_key",
        )
    label, digits = found[1], _BREAKS.sub("", found[2])
    lines = "\n".join(textwrap.wrap(digits, 64))
    try:
        b64decode(digits, validate=True)
        key = load_pem_private_key(
            f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n".encode(), None
        )
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise Misconfigured(
            "The private key cannot be read. Enable Banking wants an RSA key without a password: copy the "
            "whole .pem file again.",
            field="private_key",
        )
    return key


def _part(content: Mapping[str, str | int]) -> str:
    return _encoded(json.dumps(content, separators=(",", ":")).encode())


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
