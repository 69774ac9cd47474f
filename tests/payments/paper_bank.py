"""A bank that takes payment orders over real HTTP, and the plugin that hands them over."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import EntryPoint, EntryPoints
from typing import ClassVar

from django.db import connection as database

from kvit import plugin
from kvit.kernel.errors import KeyMissing
from kvit.plugin import (
    Account,
    Bearer,
    Context,
    Gate,
    Identity,
    Item,
    Misconfigured,
    PaymentBatch,
    PaymentFile,
    Plugin,
    Push,
    RateLimited,
    Receipt,
    Secret,
    Temporary,
    Verdict,
)
from kvit.sync import registry

TOKEN = "paper/token+of the bank"
NUMBER = "CZ6508000000192000145399"

type Answer = tuple[int, dict[str, str], bytes]
type Behaviour = Callable[[PaperBank, bytes], Answer | None]


@dataclass(frozen=True, kw_only=True)
class PaperConfig:
    token: Secret = plugin.field("Token")
    base_url: str = plugin.field("Address")


class Paper(Push, Plugin[PaperConfig]):
    """Writes one order per line and hands the lines over by one POST."""

    name, title, version, Config = "paper", "Paper Bank", "0.1", PaperConfig
    mistake: ClassVar[str] = ""
    """Where the author erred: `writing`, `before`, `after`, `without a key`, `twice` or `in the answer`."""
    gate_seconds: ClassVar[float] = 0.0

    def check(self) -> Identity:
        return Identity(key=NUMBER, label="Paper account")

    def sync(self, ctx: Context) -> Iterator[Item]:
        yield Account(external_id="1", name="Paper account", currency="CZK", number=NUMBER)

    def payment_file(self, batch: PaymentBatch) -> PaymentFile:
        if self.mistake == "writing":
            raise ZeroDivisionError(self.config.token.reveal())
        for order in batch.orders:
            if order.currency != "CZK":
                raise Misconfigured("Paper pays in crowns only.", field=f"{order.id}.currency")
        lines = [
            f"{order.id} {order.amount} {order.counterparty_account} {order.variable_symbol} {order.due_on}"
            for order in batch.orders
        ]
        data = "\n".join([f"{batch.key} {batch.account} {batch.currency}", *lines]).encode()
        return PaymentFile(name="orders.txt", format="paper", media_type="text/plain", data=data)

    def push(self, batch: PaymentBatch, file: PaymentFile) -> Receipt:
        if self.mistake == "before":
            raise ZeroDivisionError(self.config.token.reveal())
        response = self.http.request(
            "POST",
            f"{self.config.base_url}/batches",
            content=file.data,
            headers={"Idempotency-Key": batch.key},
            auth=Bearer(self.config.token),
            gate=Gate(key=self.config.token, seconds=self.gate_seconds),
        )
        if self.mistake == "after":
            raise ZeroDivisionError(self.config.token.reveal())
        if self.mistake == "without a key":
            raise KeyMissing(key_id="4711")
        if self.mistake == "twice":
            self.http.get(f"{self.config.base_url}/batches")
        if self.mistake == "in the answer":
            return Receipt(accepted="no")  # type: ignore[arg-type]  # the mistake
        match response.status_code:
            case 401:
                raise plugin.AuthExpired(f"The bank refused {self.config.token.reveal()}.")
            case 409:
                raise RateLimited(timedelta(seconds=90))
            case 404:
                raise Misconfigured("There is no bank at this address.", field="base_url")
            case 200:
                return _receipt(response.content)
        raise Temporary("The bank answered {status}.", status=response.status_code)


def _receipt(body: bytes) -> Receipt:
    try:
        told = json.loads(body)
    except ValueError:
        raise Temporary("The answer of the bank was cut off.") from None
    verdicts = tuple(Verdict(**verdict) for verdict in told["verdicts"])
    return Receipt(accepted=told["accepted"], reference=told["reference"], verdicts=verdicts)


def install() -> None:
    """Make the plugin the only one that is installed, in this process."""
    setattr(registry, "entry_points", _entry_points)  # noqa: B010  # what is installed, not what Kvit does
    registry.forget()


def _entry_points(group: str) -> EntryPoints:
    return EntryPoints([EntryPoint("paper", "tests.payments.paper_bank:Paper", group)])


def accepting(bank: PaperBank, body: bytes) -> Answer:
    bank.batches.append(body)
    told = {"accepted": True, "reference": f"B{len(bank.batches)}", "verdicts": []}
    return 200, {}, json.dumps(told).encode()


def refusing(order_id: str = "", message: str = "No such account.") -> Behaviour:
    def refuse(bank: PaperBank, body: bytes) -> Answer:
        verdict = {"status": "error", "code": "201", "message": message, "order_id": order_id}
        told = {"accepted": False, "reference": "", "verdicts": [verdict]}
        return 200, {}, json.dumps(told).encode()

    return refuse


def answering(status: int, body: bytes = b"") -> Behaviour:
    return lambda bank, _body: (status, {}, body)


def falling_silent(bank: PaperBank, body: bytes) -> None:
    """Take the batch and hang up without a word."""
    bank.batches.append(body)


def held_back(bank: PaperBank, body: bytes) -> Answer:
    """Take the batch and answer when the test lets it."""
    answer = accepting(bank, body)
    bank.may_answer.wait(30)
    return answer


@dataclass
class PaperBank:
    base_url: str = ""
    behaviour: Behaviour = accepting
    received: list[bytes] = field(default_factory=list)
    """Every request's body, also of those that were refused."""
    batches: list[bytes] = field(default_factory=list)
    """What the bank took."""
    keys: list[str] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)
    may_answer: threading.Event = field(default_factory=threading.Event)


@contextmanager
def running() -> Iterator[PaperBank]:
    bank = PaperBank()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                answer: Answer | None = (401, {}, b"")
            else:
                bank.received.append(body)
                bank.keys.append(self.headers["Idempotency-Key"])
                bank.arrived.set()
                try:
                    answer = bank.behaviour(bank, body)
                finally:
                    database.close()  # a test may look into it from here
            self._answer(answer)

        def do_GET(self) -> None:
            bank.received.append(b"")
            self._answer((429, {"Retry-After": "5"}, b""))

        def log_message(self, format: str, *args: object) -> None:
            pass

        def _answer(self, answer: Answer | None) -> None:
            if answer is None:
                self.close_connection = True
                return
            status, headers, content = answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Stay silent about clients that went away: tests make them do so."""

    server = Server(("127.0.0.1", 0), Handler)
    bank.base_url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield bank
    finally:
        bank.may_answer.set()
        server.shutdown()
        server.server_close()
        thread.join()
