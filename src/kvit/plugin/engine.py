"""What the engine gives to a plugin: its HTTP client and what it is told about a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import httpx

from kvit.plugin.items import Json
from kvit.plugin.secrets import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A limit the source sets: one request for `key` in `seconds`, whoever asks, in any process."""

    key: Secret
    seconds: float


class Http(Protocol):
    """The engine's HTTP client: timeouts, gates, size limits and masked logs are its business.

    All methods refuse to work inside a database transaction, wait for the gate, and raise Temporary
    where no whole answer came, or Misconfigured where the host is not one of the plugin's `hosts` nor of the
    addresses in its settings. A GET or HEAD that got no whole answer, or 502, 503 or 504, is tried three
    times at most before the plugin hears of it. Redirects are not followed. Answers are kept, sealed, for
    replays.
    """

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: httpx.Auth | None = None,
        gate: Gate | None = None,
    ) -> httpx.Response:
        """Return a successful answer.

        Raises AuthExpired on 401 and 403, RateLimited on 429 and on 503 with Retry-After, Temporary on other
        5xx and Misconfigured on the rest.
        """
        ...

    def post(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: httpx.Auth | None = None,
        content: bytes | None = None,
        json: Json = None,
        data: Mapping[str, str] | None = None,
        gate: Gate | None = None,
    ) -> httpx.Response:
        """Send a body, once, and return a successful answer; raises what `get` raises."""
        ...

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: httpx.Auth | None = None,
        content: bytes | None = None,
        json: Json = None,
        data: Mapping[str, str] | None = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
        gate: Gate | None = None,
    ) -> httpx.Response:
        """Return whatever the source answered, for plugins whose source has rules of its own.

        The body is one of `content`, `json`, or the fields of a form in `data`, with `files` as parts of
        their own: by name, the file's name, its bytes and its media type.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file a person handed to the connection, and what they said about it that it does not say itself."""

    name: str
    data: bytes
    account: str = ""
    """IBAN, or `[prefix-]number/bank code`."""
    currency: str = ""
    profile: str = ""
    """For a CSV file: the name of a profile that comes with Kvit, or a whole profile as TOML."""


class Context(Protocol):
    """What the engine tells a plugin about this run."""

    @property
    def cursor(self) -> Mapping[str, Json]:
        """The last committed Checkpoint's cursor; empty on the first sync."""
        ...

    @property
    def today(self) -> date:
        """The current date in the organization's time zone."""
        ...

    @property
    def files(self) -> Sequence[SourceFile]:
        """Files handed over with this run, usually none."""
        ...

    def log(self, text: str) -> None:
        """Add a line to the run's log, for people; secrets are masked."""
        ...

    def warn(self, text: str) -> None:
        """Add a warning to the run's log, which the run's and the connection's page point out."""
        ...
