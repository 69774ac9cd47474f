"""A pretend bank: written once, it serves the contract, tests of one's own and as a real server."""

from __future__ import annotations

import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

import httpx

TODAY: Final = date(2026, 4, 2)
"""The day on which a bank begins: four days after Europe's clocks changed."""
RETRY_AFTER_SECONDS: Final = 120
_OF_THE_WIRE: Final = ("connection", "content-length", "content-encoding", "transfer-encoding")


@dataclass(frozen=True, slots=True, kw_only=True)
class PretendAccount:
    """An own account at the pretend bank."""

    id: str
    iban: str
    name: str
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """One movement that the pretend bank knows, in nobody's format."""

    id: str
    """Digits; later ones are larger. Empty in the rule about records without one: tell it as a bank would."""
    account: str
    """The `PretendAccount.id`."""
    booked_at: datetime
    """Aware, in the bank's zone."""
    told_at: datetime
    """Since when the bank tells it: `booked_at`, or up to `late_by` later."""
    amount: Decimal
    """Incoming is positive."""
    currency: str
    counterparty: str = ""
    counterparty_account: str = ""
    variable_symbol: str = ""
    message: str = ""
    pending: bool = False

    @property
    def booked_on(self) -> date:
        """The bank's local calendar day."""
        return self.booked_at.date()

    @property
    def value_on(self) -> date:
        """The day from which it bears interest, for a bank that tells it: never the day of booking."""
        return self.booked_on + timedelta(days=1 if self.amount > 0 else -1)


class PretendBank(ABC):
    """Speaks the language of one source. Write `answer`; the kit fills `movements` and changes them."""

    address: ClassVar[str] = "https://bank.example"
    """Where it is reached in process: no name is resolved and any path is passed on."""
    secret: ClassVar[str] = "kit-secret-7f3a9c41e8d25b60"  # noqa: S105  # of a bank that does not exist
    """What a right credential is; `answer` should refuse another one with `refused`."""
    zone: ClassVar[ZoneInfo] = ZoneInfo("Europe/Prague")
    accounts: Sequence[PretendAccount] = (
        PretendAccount(id="1", iban="CZ6508000000192000145399", name="Eva Nová", currency="CZK"),
    )
    """Name two where a credential opens several: a cursor that they share wrongly is found only then."""
    page_size: int = 20
    """How many rows one answer holds; the kit makes several pages of them, and once shorter ones."""
    full_pages: ClassVar[bool] = False
    """Whether the source promises that only its last page holds less than `page_size`."""
    late_by: ClassVar[timedelta] = timedelta(days=2)
    """How long after its booking a movement may appear; zero where the source dates nothing back.

    Even then one may come with the very second of the newest one.
    """
    dates_ahead: ClassVar[bool] = False
    """Whether it may book a movement on a day to come."""
    tells_pending: ClassVar[bool] = False
    """Whether it tells movements that are not booked yet."""

    def __init__(self) -> None:
        self.today = TODAY
        self.movements: list[Movement] = []
        self.overlap = 0
        """How many rows of the page before every page repeats."""
        self.fault: Callable[[httpx.Request], httpx.Response | None] | None = None
        """Asked before `answer`: what it returns is answered instead, and what it raises is raised."""
        self.after_answer: Callable[[int], None] | None = None
        """Told, after each answer, how many there have been."""
        self.requests: list[httpx.Request] = []
        self.answers: list[httpx.Response] = []
        self._lock = threading.Lock()

    @abstractmethod
    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer one request as the source would, from `movements`, for `today`."""

    def refused(self, request: httpx.Request) -> httpx.Response:
        """How the source says that the credentials are wrong."""
        return httpx.Response(401, json={"error": "unauthorized"})

    def slowed(self, request: httpx.Request) -> httpx.Response:
        """How the source says that it was asked too often."""
        return httpx.Response(
            429, headers={"Retry-After": str(RETRY_AFTER_SECONDS)}, json={"error": "too many requests"}
        )

    def failed(self, request: httpx.Request) -> httpx.Response:
        """How the source says that it is broken itself."""
        return httpx.Response(500, text="Internal Server Error")

    def receive(self, request: httpx.Request) -> httpx.Response:
        """Take one request as it came by HTTP, or in process; one at a time."""
        with self._lock:
            request.read()
            self.requests.append(request)
            response = self.fault(request) if self.fault is not None else None
            if response is None:
                response = self.answer(request)
            response.request = request
            self.answers.append(response)
            if self.after_answer is not None:
                self.after_answer(len(self.requests))
            return response

    @property
    def now(self) -> datetime:
        """The end of `today`, as an aware moment in the bank's zone."""
        return datetime(self.today.year, self.today.month, self.today.day, 23, 59, 59, tzinfo=self.zone)

    def carries(self, request: httpx.Request) -> bool:
        """Whether the request holds the right secret as HTTP bearer authentication (RFC 6750)."""
        given: str = request.headers.get("Authorization", "")
        return given == f"Bearer {self.secret}"

    def listed(
        self,
        *,
        account: str = "",
        since: date | None = None,
        until: date | None = None,
        newest_first: bool = False,
    ) -> list[Movement]:
        """Return the movements booked in a period, both days inclusive, by `booked_at` and then `id`.

        Pending ones are among them only where the bank tells them.
        """
        found = [
            item
            for item in self.movements
            if (not account or item.account == account)
            and (since is None or item.booked_on >= since)
            and (until is None or item.booked_on <= until)
            and (self.tells_pending or not item.pending)
        ]
        return sorted(found, key=lambda item: (item.booked_at, len(item.id), item.id), reverse=newest_first)

    def part(
        self, rows: Sequence[Movement], start: int, size: int | None = None
    ) -> tuple[list[Movement], bool]:
        """Return the rows from `start` (0 is the first) and whether there are more; `overlap` is added."""
        end = start + (size or self.page_size)
        return list(rows[max(0, start - self.overlap) : end]), end < len(rows)

    def page(
        self, rows: Sequence[Movement], number: int, size: int | None = None
    ) -> tuple[list[Movement], bool]:
        """Return the page of that number (1 is the first), and whether there is a next one."""
        return self.part(rows, (number - 1) * (size or self.page_size), size)

    def after(
        self, rows: Sequence[Movement], id: str, size: int | None = None
    ) -> tuple[list[Movement], bool]:
        """Return the rows after the one with this id and whether more follow; without an id, the first rows.

        Raises LookupError where no row has the id.
        """
        if not id:
            return self.part(rows, 0, size)
        found = next((at for at, item in enumerate(rows) if item.id == id), None)
        if found is None:
            raise LookupError(id)
        return self.part(rows, found + 1, size)


class InProcess(httpx.BaseTransport):
    """Hands requests to a pretend bank without a network."""

    def __init__(self, bank: PretendBank) -> None:
        self._bank = bank

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._bank.receive(request)


@contextlib.contextmanager
def serving(bank: PretendBank, port: int = 0) -> Iterator[str]:
    """Serve a pretend bank by HTTP on this computer only and give its address; port 0 takes a free one."""
    server = _Server(bank, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, bank: PretendBank, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.bank = bank


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: whoever serves the bank looks at `requests`."""

    def _take(self) -> None:
        host = self.headers.get("Host", "127.0.0.1")
        request = httpx.Request(
            self.command,
            f"http://{host}{self.path}",
            headers=list(self.headers.items()),
            content=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
        )
        try:
            response = self.server.bank.receive(request)
        except httpx.TransportError:
            self.close_connection = True
            return
        self._send(response)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _take  # noqa: N815  # http.server's names

    def _send(self, response: httpx.Response) -> None:
        body = response.read()
        self.send_response(response.status_code)
        for name, value in response.headers.multi_items():
            if name not in _OF_THE_WIRE:
                self.send_header(name, value)
        if response.status_code != httpx.codes.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and response.status_code != httpx.codes.NO_CONTENT:
            self.wfile.write(body)


def utc(movement: Movement) -> str:
    """Return `booked_at` as many APIs write it: `2026-03-31T22:10:00Z`."""
    return movement.booked_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
