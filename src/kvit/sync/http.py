"""The HTTP client that plugins are given: the engine's policy on every request, in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final, Protocol

import httpx
import structlog

from kvit import __version__
from kvit.kernel.errors import AuthExpired, Misconfigured, RateLimited, Temporary
from kvit.plugin import Gate
from kvit.sync.redaction import Redactor

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS: Final = 30.0
LARGEST_ANSWER_BYTES: Final = 256 * 1024 * 1024
DEFAULT_WAIT: Final = timedelta(minutes=1)
LONGEST_WAIT_SECONDS: Final = 24 * 3600

_OF_THE_WIRE: Final = ("content-encoding", "content-length", "transfer-encoding")
"""Headers that describe the body as it travelled, not as it is given to a plugin."""


class Turnstile(Protocol):
    """Lets one request through a gate at a time, across processes."""

    def enter(self, gate: Gate) -> None:
        """Wait for the gate's turn and reserve it. Raises RateLimited where the wait is too long."""
        ...

    def leave(self, gate: Gate) -> None:
        """Count the gate's interval from now: the source may have seen the request as late as this."""
        ...


class HttpClient:
    """An `httpx.Client` under the engine's policy; it satisfies `kvit.plugin.Http`."""

    def __init__(
        self,
        *,
        redactor: Redactor,
        turnstile: Turnstile,
        before_request: Callable[[], None],
        transport: httpx.BaseTransport | None = None,
        largest_answer_bytes: int = LARGEST_ANSWER_BYTES,
    ) -> None:
        """Call `before_request` before each request and while reading: it refuses, or renews the lease."""
        self._redactor = redactor
        self._turnstile = turnstile
        self._before_request = before_request
        self._largest_answer_bytes = largest_answer_bytes
        self._client = httpx.Client(
            transport=transport,
            timeout=httpx.Timeout(TIMEOUT_SECONDS, connect=10.0),
            headers={"User-Agent": f"Kvit/{__version__}"},
            trust_env=transport is None,
        )

    def close(self) -> None:
        self._client.close()

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: httpx.Auth | None = None,
        gate: Gate | None = None,
    ) -> httpx.Response:
        response = self.request("GET", url, params=params, headers=headers, auth=auth, gate=gate)
        raise_for_status(response)
        return response

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: httpx.Auth | None = None,
        content: bytes | None = None,
        gate: Gate | None = None,
    ) -> httpx.Response:
        request = self._build(method, url, params=params, headers=headers, content=content)
        if gate is not None:
            self._turnstile.enter(gate)
        self._before_request()
        try:
            return self._send(request, auth)
        finally:
            if gate is not None:
                self._turnstile.leave(gate)

    def _build(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        content: bytes | None,
    ) -> httpx.Request:
        try:
            request = self._client.build_request(method, url, params=params, headers=headers, content=content)
        except (httpx.InvalidURL, ValueError):
            raise Misconfigured("The address of the source is not a valid URL.", field="base_url") from None
        if request.url.scheme not in ("http", "https") or not request.url.host:
            raise Misconfigured(
                "The address of the source must start with https:// or http://.", field="base_url"
            )
        return request

    def _send(self, request: httpx.Request, auth: httpx.Auth | None) -> httpx.Response:
        """Send and read the whole answer; nothing raised here names the URL, for it may hold a token."""
        host = request.url.host
        try:
            stream = self._client.send(request, auth=auth, stream=True)
            try:
                response = self._read(stream)
            finally:
                stream.close()
        except httpx.TimeoutException:
            raise Temporary("{host} did not answer in time.", host=host) from None
        except httpx.ConnectError:
            raise Temporary(
                "{host} cannot be reached. Check the address and the network.", host=host
            ) from None
        except httpx.RemoteProtocolError:
            raise Temporary("The answer of {host} was cut off.", host=host) from None
        except httpx.DecodingError:
            raise Temporary("The answer of {host} was damaged on the way.", host=host) from None
        except httpx.TransportError as error:
            raise Temporary(
                "The connection to {host} failed ({kind}).", host=host, kind=type(error).__name__
            ) from None
        log.info(
            "http.request",
            method=request.method,
            url=self._redactor.mask(str(request.url)),
            status=response.status_code,
            bytes=len(response.content),
        )
        return response

    def _read(self, stream: httpx.Response) -> httpx.Response:
        """Return the answer with its whole body, decoded; a slow one renews the run's lease meanwhile."""
        body = bytearray()
        for chunk in stream.iter_bytes():
            self._before_request()
            body += chunk
            if len(body) > self._largest_answer_bytes:
                raise Temporary("The answer of {host} is too large to read.", host=stream.url.host)
        headers = [(name, value) for name, value in stream.headers.multi_items() if name not in _OF_THE_WIRE]
        return httpx.Response(
            stream.status_code, headers=headers, content=bytes(body), request=stream.request
        )


def raise_for_status(response: httpx.Response) -> None:
    """Turn an unsuccessful answer into the error that says what to do."""
    status = response.status_code
    if response.is_success:
        return
    if status in (401, 403):
        raise AuthExpired
    if status == 429:
        raise RateLimited(_retry_after(response))
    if status >= 500:
        raise Temporary("{host} answered with an error ({status}).", host=response.url.host, status=status)
    raise Misconfigured("{host} refused the request ({status}).", host=response.url.host, status=status)


def _retry_after(response: httpx.Response) -> timedelta:
    """Read `Retry-After` in seconds (RFC 9110, 10.2.3), at most a day; else it is the default wait."""
    with suppress(ValueError):
        seconds = int(response.headers.get("Retry-After", ""))
        return timedelta(seconds=min(max(0, seconds), LONGEST_WAIT_SECONDS))
    return DEFAULT_WAIT
