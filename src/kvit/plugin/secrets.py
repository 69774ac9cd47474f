"""Credentials, and how a request carries one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Never

import httpx


class Secret:
    """A credential: revealed on request, a mask everywhere else.

    It is not a `str`, so that joining it to text, pickling it or writing it as JSON fails instead of leaking.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the credential itself, at the moment of use and not earlier."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> Never:
        raise TypeError("A secret cannot be pickled.")


class Bearer(httpx.Auth):
    """HTTP bearer authentication with a secret token (RFC 6750)."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]  # httpx asks for a Generator and only iterates
        request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        yield request
