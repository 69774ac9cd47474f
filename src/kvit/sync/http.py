"""The HTTP client that plugins are given: the engine's policy on every request, in one place.

Every request, each try and also what an `httpx.Auth` sends on the way, goes through the same steps: its host
is allowed, the budget has room, the gate is open, the run may go on. Then the connection is made, and only
when the first byte is about to leave, the gate's turn is reserved.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol

import httpx
import stamina
import structlog

from kvit import __version__
from kvit.kernel.errors import AuthExpired, Misconfigured, RateLimited, RequestBudgetSpent, Temporary
from kvit.plugin import Gate, Json, Plugin
from kvit.sync.egress import Egress, Network
from kvit.sync.redaction import Redactor

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 10.0
WHOLE_ANSWER_SECONDS: Final = 600.0
"""How long the body of one answer may take: a source that drips for ever does not hold a worker."""
LARGEST_ANSWER_BYTES: Final = 256 * 1024 * 1024
TRIES: Final = 3
LONGEST_PAUSE_SECONDS: Final = 4.0
"""Between two tries; how long it really is, is random from zero up (full jitter)."""
DEFAULT_WAIT: Final = timedelta(minutes=1)
LONGEST_WAIT_SECONDS: Final = 24 * 3600

_IDEMPOTENT: Final = ("GET", "HEAD")
_PASSING: Final = (502, 503, 504)
"""Answers of something between Kvit and the source, or of a source that is just starting."""
_OF_THE_WIRE: Final = (b"content-encoding", b"content-length", b"transfer-encoding")
"""Headers that describe the body as it travelled, not as it is given to a plugin."""
_TURN: Final = "kvit_turn"
_TAKEN: Final = "kvit_turn_taken"
"""Extensions of a request: its turn, and whether that was taken."""


class Turn(Protocol):
    """One request's turn at one gate."""

    def wait(self) -> None:
        """Wait until the gate is open. Raises RateLimited where that would take too long."""
        ...

    def take(self) -> bool:
        """Reserve the turn, at once; False where another request was faster."""
        ...

    def end(self) -> None:
        """Count the gate's interval from now: the source may have seen the request as late as this."""
        ...


class Turnstile(Protocol):
    """Lets one request through a gate at a time, across processes."""

    def turn(self, gate: Gate) -> Turn: ...


class AnswerRecorder(Protocol):
    """Keeps answers before a plugin sees them."""

    def keep(self, request: httpx.Request, response: httpx.Response) -> None: ...


class _MayPass(Exception):  # not an error of Kvit: it asks for another try
    """What a try came to that another one may mend; of the last try it is the outcome."""

    def __init__(self, outcome: httpx.Response | Temporary) -> None:
        self.outcome = outcome
        super().__init__(str(outcome) if isinstance(outcome, Temporary) else f"status {outcome.status_code}")


class _TurnLost(Exception):  # not an error: nothing was sent, the gate is waited for again
    """Another request took the turn while the connection was made."""


class HttpClient:
    """An `httpx.Client` under the engine's policy; it satisfies `kvit.plugin.Http`."""

    def __init__(
        self,
        *,
        redactor: Redactor,
        egress: Egress,
        turnstile: Turnstile | None,
        before_request: Callable[[], None],
        waiting: Callable[[], AbstractContextManager[object]] = nullcontext,
        recorder: AnswerRecorder | None = None,
        transport: httpx.BaseTransport | None = None,
        max_requests: int = Plugin.max_requests,
        tries: int = TRIES,
        largest_answer_bytes: int = LARGEST_ANSWER_BYTES,
        whole_answer_seconds: float = WHOLE_ANSWER_SECONDS,
    ) -> None:
        """Call `before_request` before each request and while reading: it refuses, or renews the lease.

        `waiting` is held from before the gate until the answer is kept. A `transport` replaces the network,
        names are not resolved then; only with one the `turnstile` may be None, which keeps no gate.
        """
        if turnstile is None and transport is None:
            raise ValueError("The network is used with a turnstile only.")
        self._redactor = redactor
        self._egress = egress
        self._turnstile = turnstile
        self._before_request = before_request
        self._waiting = waiting
        self._recorder = recorder
        self._requests_left = self._max_requests = max_requests
        self.has_sent = False
        """Whether any request may have reached its source."""
        self._largest_answer_bytes = largest_answer_bytes
        self._whole_answer_seconds = whole_answer_seconds
        self._retrying = stamina.RetryingCaller(
            attempts=tries,
            timeout=None,
            wait_initial=0.0,
            wait_jitter=LONGEST_PAUSE_SECONDS,
            wait_max=LONGEST_PAUSE_SECONDS,
        )
        self._tells_departure = transport is None
        self._client = httpx.Client(
            transport=transport or Network(egress),
            timeout=httpx.Timeout(TIMEOUT_SECONDS, connect=CONNECT_SECONDS),
            headers={"User-Agent": f"Kvit/{__version__}"},
            follow_redirects=False,
            trust_env=False,
            event_hooks={"request": [self._before_sending]},
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
        response = self.request(
            "POST",
            url,
            params=params,
            headers=headers,
            auth=auth,
            content=content,
            json=json,
            data=data,
            gate=gate,
        )
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
        json: Json = None,
        data: Mapping[str, str] | None = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
        gate: Gate | None = None,
    ) -> httpx.Response:
        body = {"content": content, "json": json, "data": data, "files": files}

        def once() -> httpx.Response:
            request = self._build(method, url, params=params, headers=headers, body=body)
            return self._exchange(request, auth, gate)

        self._before_request()
        with self._waiting():
            response = self._try_again(once) if method.upper() in _IDEMPOTENT else _outcome(once)
            if self._recorder is not None:
                self._recorder.keep(response.request, response)
        return response

    def _try_again(self, once: Callable[[], httpx.Response]) -> httpx.Response:
        return _outcome(lambda: self._retrying(_MayPass, once))

    def _build(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        body: Mapping[str, Any],
    ) -> httpx.Request:
        try:
            request = self._client.build_request(method, url, params=params, headers=headers, **body)
        except (httpx.InvalidURL, ValueError):
            raise Misconfigured("The address of the source is not a valid URL.", field="base_url") from None
        if request.url.scheme not in ("http", "https") or not request.url.host:
            raise Misconfigured(
                "The address of the source must start with https:// or http://.", field="base_url"
            )
        return request

    def _exchange(self, request: httpx.Request, auth: httpx.Auth | None, gate: Gate | None) -> httpx.Response:
        """Make one try. Raises _MayPass where another one may come to something better."""
        turn = None
        if gate is not None and gate.seconds > 0 and self._turnstile is not None:
            turn = request.extensions[_TURN] = self._turnstile.turn(gate)
        try:
            while True:
                with suppress(_TurnLost):
                    response = self._send(request, auth)
                    break
        finally:
            if turn is not None:
                turn.end()
        if response.status_code in _PASSING and "Retry-After" not in response.headers:
            raise _MayPass(response)
        return response

    def _before_sending(self, request: httpx.Request) -> None:
        """Let a request go on or refuse it; httpx asks for each one, also those that an Auth makes."""
        self._egress.check(request.url)
        turn = request.extensions.get(_TURN)
        if turn is not None:
            turn.wait()
        self._before_request()
        if not self._requests_left:
            raise RequestBudgetSpent(limit=self._max_requests)
        self._requests_left -= 1
        if self._tells_departure:
            request.extensions["trace"] = self._on_departure(request, turn)
        else:
            self._leave(request, turn)

    def _on_departure(
        self, request: httpx.Request, turn: Turn | None
    ) -> Callable[[str, Mapping[str, Any]], None]:
        """Let the request leave when the connection stands and its first byte is about to go."""

        def trace(event: str, info: Mapping[str, Any]) -> None:
            if event == "http11.send_request_headers.started" and info["request"].method != b"CONNECT":
                self._leave(request, turn)

        return trace

    def _leave(self, request: httpx.Request, turn: Turn | None) -> None:
        """Take the turn, if there is one, and note that the source may know of the request from now on."""
        if turn is not None:
            if not turn.take():
                self._requests_left += 1
                raise _TurnLost
            request.extensions[_TAKEN] = True
        self.has_sent = True

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
            raise _MayPass(Temporary("{host} did not answer in time.", host=host)) from None
        except httpx.ConnectError:
            raise _MayPass(
                Temporary("{host} cannot be reached. Check the address and the network.", host=host)
            ) from None
        except httpx.RemoteProtocolError:
            raise _MayPass(Temporary("The answer of {host} was cut off.", host=host)) from None
        except httpx.DecodingError:
            raise _MayPass(Temporary("The answer of {host} was damaged on the way.", host=host)) from None
        except httpx.TransportError as error:
            raise _MayPass(
                Temporary("The connection to {host} failed ({kind}).", host=host, kind=type(error).__name__)
            ) from None
        if _TURN in request.extensions and _TAKEN not in request.extensions:
            raise RuntimeError("The request left without its turn at the gate.")
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
        deadline = time.monotonic() + self._whole_answer_seconds
        for chunk in stream.iter_bytes():
            self._before_request()
            body += chunk
            if len(body) > self._largest_answer_bytes:
                raise Temporary("The answer of {host} is too large to read.", host=stream.url.host)
            if time.monotonic() > deadline:
                raise Temporary("The answer of {host} took too long to arrive.", host=stream.url.host)
        headers = [(name, value) for name, value in stream.headers.raw if name.lower() not in _OF_THE_WIRE]
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
    if status == 429 or (status == 503 and "Retry-After" in response.headers):
        raise RateLimited(_retry_after(response))
    if status >= 500:
        raise Temporary("{host} answered with an error ({status}).", host=response.url.host, status=status)
    raise Misconfigured("{host} refused the request ({status}).", host=response.url.host, status=status)


def _outcome(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """Return what the last try came to, or raise it."""
    try:
        return ask()
    except _MayPass as last:
        if isinstance(last.outcome, Temporary):
            raise last.outcome from None
        return last.outcome


def _retry_after(response: httpx.Response) -> timedelta:
    """Read `Retry-After`, seconds or a date (RFC 9110, 10.2.3), at most a day; else the default wait."""
    text = response.headers.get("Retry-After", "")
    with suppress(ValueError, TypeError, OverflowError):
        seconds = int(text) if text.strip().isdigit() else _seconds_until(parsedate_to_datetime(text))
        return timedelta(seconds=min(max(0, seconds), LONGEST_WAIT_SECONDS))
    return DEFAULT_WAIT


def _seconds_until(moment: datetime) -> float:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - datetime.now(UTC)).total_seconds()
