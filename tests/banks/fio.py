"""A pretend Fio bank: a real HTTP server in a process of its own, as strict as the real one.

It follows the bank's manual (API Bankovnictví, 16.10.2025): one use of a token in 30 seconds (8.3), a limit
of movements in one answer (8.6), an unlock for data older than 90 days (8.7), 500 for an unknown token (8.4).
It takes payment orders (6) as `tests.banks.fio_orders` reads them; a person authorizes them by `execute`.
Run it from the root of the repository: `python -m tests.banks.fio --port 0 --seed 7`. It prints its address.

Under `/control/` it tells what it holds and what it was asked, and takes faults for its next answers.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import random
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import ProxyHandler, build_opener
from zoneinfo import ZoneInfo

import msgspec

from tests.banks.fio_orders import Batch, Upload, imported, movements_of, upload_of

ROOT: Final = Path(__file__).resolve().parents[2]
PRAGUE: Final = ZoneInfo("Europe/Prague")
TOKEN: Final = "Kvit0Test" + "x7" * 27 + "A"
ORDERS_TOKEN: Final = "Kvit0Pays" + "y8" * 27 + "B"
"""May read the account and enter payment orders."""
TODAY: Final = date(2025, 6, 30)
SLOVAK_BANK: Final = "8330"
FREE_DAYS: Final = 90
"""How many days back the bank answers without an unlock (manual 3.1)."""

type DateShape = Literal["offset", "millis", "xml", "mixed"]
_SHAPES: Final[tuple[DateShape, ...]] = ("offset", "millis", "xml")


@dataclass(frozen=True, kw_only=True)
class Movement:
    """One movement; a negative amount leaves the account. Absent text is empty."""

    id: int
    booked_on: date
    amount: Decimal
    currency: str = "CZK"
    counter_account: str = ""
    counter_bank: str = ""
    counter_name: str = ""
    constant_symbol: str = ""
    variable_symbol: str = ""
    specific_symbol: str = ""
    user_identification: str = ""
    message: str = ""
    kind: str = "Bezhotovostní příjem"
    entered_by: str = ""
    detail: str = ""
    comment: str = ""
    bic: str = ""
    order_id: int | None = None
    reference: str = ""
    is_pending: bool = False
    """Blocked, such as a card payment of today: Fio's API tells it only when it is booked."""


@dataclass(kw_only=True)
class Account:
    """One account with the tokens that open it; `opening` is the balance before its first movement."""

    number: str = "2900123457"
    bank: str = "2010"
    currency: str = "CZK"
    opening: Decimal = Decimal("1000.00")
    tokens: list[str] = field(default_factory=lambda: [TOKEN])
    order_tokens: list[str] = field(default_factory=lambda: [ORDERS_TOKEN])
    """Those that may enter payment orders as well; the others may only watch."""
    movements: list[Movement] = field(default_factory=list)

    @property
    def iban(self) -> str:
        return iban_of(self.number, self.bank)

    @property
    def bic(self) -> str:
        return "FIOZSKBAXXX" if self.bank == SLOVAK_BANK else "FIOBCZPPXXX"


@dataclass(kw_only=True)
class Fault:
    """What happens to the next `times` answers.

    `answer` sends the given status and body instead; `cut` ends the connection in the middle of the body;
    `cut_json` sends half of the document as if it were whole; `reset` drops the connection; `slow` waits
    `seconds` first. Payment orders are taken before their answer is spoilt, except by `answer` and where
    `before` says otherwise.
    """

    kind: Literal["answer", "cut", "cut_json", "reset", "slow"]
    times: int = 1
    seconds: float = 0.0
    status: int = 200
    content_type: str = "application/json;charset=UTF-8"
    body: str = ""
    location: str = ""
    before: bool = False
    """Of an upload: the connection ends before the bank has looked at it."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request for movements and how it ended; `status` 0 is a connection dropped without an answer."""

    account: str
    from_date: str
    to_date: str
    status: int


@dataclass(frozen=True, kw_only=True)
class State:
    """What the bank saw: `violations` counts uses of a token before its interval was over.

    The bank is one process, so it counts the uses by all processes of its clients together.
    """

    requests: list[Request]
    violations: int
    violations_of: dict[str, int] = field(default_factory=dict)
    """By token, those that made any."""
    batches: list[Batch] = field(default_factory=list)
    """The payment orders that it has taken."""
    uploads: int = 0
    """How many files arrived, whatever became of them."""


@dataclass(kw_only=True)
class Settings:
    """The rules of the bank; tests shorten the interval and lower the limit of one answer."""

    today: date = TODAY
    interval_seconds: float = 30.0
    told_interval_milliseconds: int | None = None
    """What the header X-IntervalUseToken says, where not the truth: the real bank said 20000 in 2018."""
    unlock_seconds: float = 600.0
    largest_answer: int = 50_000
    date_shape: DateShape = "offset"
    newest_first: bool = False


@dataclass(kw_only=True)
class Data:
    """The file the bank starts from."""

    accounts: list[Account]
    settings: Settings = field(default_factory=Settings)


def iban_of(number: str, bank: str) -> str:
    """Return the IBAN of an account without a prefix (ISO 13616, check digits by ISO 7064 mod 97-10)."""
    country, letters = ("SK", "2820") if bank == SLOVAK_BANK else ("CZ", "1235")  # A is 10, Z is 35
    bban = f"{bank}000000{number:0>10}"
    check = 98 - int(f"{bban}{letters}00") % 97
    return f"{country}{check:02d}{bban}"


def generated(
    *, seed: int, count: int, last_day: date, days: int, currency: str = "CZK", first_id: int = 26_000_000_001
) -> list[Movement]:
    """Make exactly `count` movements over `days` days up to `last_day`; one seed, one list.

    They hold what real accounts hold: leading zeros, diacritics, card payments abroad, a fee and a storno
    with the order of their payment, and two equal payments on one day.
    """
    dice = random.Random(seed)
    made: list[Movement] = []
    while len(made) < count:
        day = last_day - timedelta(days=days - 1 - len(made) * days // count)
        made.extend(_scene(dice, Movement(id=0, booked_on=day, amount=Decimal(0), currency=currency)))
    return [replace(movement, id=first_id + 3 * place) for place, movement in enumerate(made[:count])]


def _scene(dice: random.Random, blank: Movement) -> list[Movement]:
    amount = Decimal(dice.randrange(100, 5_000_000)).scaleb(-2)
    order = dice.randrange(30_000_000_000, 40_000_000_000)
    payment = replace(
        blank,
        amount=amount,
        counter_account=dice.choice(["19-2000145399", "1234567899", "000000-0000123457", "2600170205"]),
        counter_bank=dice.choice(["0800", "2010", "0100", "5500"]),
        counter_name=dice.choice(
            ["Řehoř Čížek", "Žofie Ďáblová", "Pekárna U Tří koček s.r.o.", "NOVÁKOVÁ JANA"]
        ),
        variable_symbol=dice.choice(
            ["", f"{dice.randrange(1, 10_000):010d}", str(dice.randrange(1, 10**10))]
        ),
        constant_symbol=dice.choice(["", "0308", "0558"]),
        specific_symbol=dice.choice(["", "", "0000000042", "9"]),
        message=dice.choice(["", "Faktura č. 2025/014", "děkuji 🙂 & <nashledanou>", "  VS 0012 "]),
        user_identification=dice.choice(["", "Faktura č. 2025/014", "poznámka"]),
        kind=dice.choice(["Bezhotovostní příjem", "Okamžitá příchozí platba"]),
        order_id=order,
        reference=dice.choice(["", "", "E2E-0007"]),
    )
    match dice.randrange(6):
        case 0:
            card = replace(
                blank,
                amount=-amount,
                kind="Platba kartou",
                user_identification="Nákup: CAFÉ MÜLLER, WIEN, AT",
                detail=f"{(amount / 25).quantize(Decimal('0.01'))} EUR",
                entered_by="Čížek, Řehoř",
                order_id=order,
            )
            fee = replace(blank, amount=Decimal("-2.50"), kind="Poplatek", order_id=order)
            return [card, fee]
        case 1:
            sent = replace(payment, amount=-amount, kind="Bezhotovostní platba")
            return [sent, replace(sent, amount=amount, kind="Storno", comment="vráceno")]
        case 2:
            return [payment, payment]
        case 3:
            return [replace(blank, amount=Decimal("0.01"), kind="Připsaný úrok")]
        case _:
            return [payment]


def statement_json(
    account: Account,
    from_date: date,
    to_date: date,
    *,
    shape: DateShape = "offset",
    newest_first: bool = False,
) -> bytes:
    """Write the bank's answer about a period, both days inclusive."""
    told = [movement for movement in account.movements if not movement.is_pending]
    ordered = sorted(told, key=lambda movement: (movement.booked_on, movement.id))
    before = [movement for movement in ordered if movement.booked_on < from_date]
    inside = [movement for movement in ordered if from_date <= movement.booked_on <= to_date]
    opening = account.opening + sum((movement.amount for movement in before), Decimal(0))
    closing = opening + sum((movement.amount for movement in inside), Decimal(0))
    info = {
        "accountId": account.number,
        "bankId": account.bank,
        "currency": account.currency,
        "iban": account.iban,
        "bic": account.bic,
        "openingBalance": opening,
        "closingBalance": closing,
        "dateStart": _date(from_date, "offset"),
        "dateEnd": _date(to_date, "offset"),
        "yearList": None,
        "idList": None,
        "idFrom": inside[0].id if inside else None,
        "idTo": inside[-1].id if inside else None,
        "idLastDownload": None,
    }
    rows = [_columns(movement, _shape(shape, place)) for place, movement in enumerate(inside)]
    if newest_first:
        rows.reverse()
    listed = {"transaction": rows} if rows else None
    return _NUMBERS.encode({"accountStatement": {"info": info, "transactionList": listed}})


_NUMBERS: Final = msgspec.json.Encoder(decimal_format="number")


def _columns(movement: Movement, shape: DateShape) -> dict[str, Any]:
    columns: list[tuple[int, str, object]] = [
        (22, "ID pohybu", movement.id),
        (0, "Datum", _date(movement.booked_on, shape)),
        (1, "Objem", movement.amount),
        (14, "Měna", movement.currency),
        (2, "Protiúčet", movement.counter_account),
        (10, "Název protiúčtu", movement.counter_name),
        (3, "Kód banky", movement.counter_bank),
        (12, "Název banky", "Fio banka, a.s." if movement.counter_bank == "2010" else ""),
        (4, "KS", movement.constant_symbol),
        (5, "VS", movement.variable_symbol),
        (6, "SS", movement.specific_symbol),
        (7, "Uživatelská identifikace", movement.user_identification),
        (16, "Zpráva pro příjemce", movement.message),
        (8, "Typ", movement.kind),
        (9, "Provedl", movement.entered_by),
        (18, "Upřesnění", movement.detail),
        (25, "Komentář", movement.comment),
        (26, "BIC", movement.bic),
        (17, "ID pokynu", movement.order_id),
        (27, "Reference plátce", movement.reference),
    ]
    return {
        f"column{number}": None if value in ("", None) else {"value": value, "name": name, "id": number}
        for number, name, value in columns
    }


def _shape(shape: DateShape, place: int) -> DateShape:
    return _SHAPES[place % len(_SHAPES)] if shape == "mixed" else shape


def _date(day: date, shape: DateShape) -> str | int:
    """Write a date in one of the three shapes that real answers and the manual show."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=PRAGUE)
    if shape == "millis":
        return int(midnight.timestamp()) * 1000
    offset = midnight.strftime("%z")
    return f"{day}{offset[:3]}:{offset[3:]}" if shape == "xml" else f"{day}{offset}"


class FioBank:
    """A running bank, as a test sees it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.base_url = f"{url}/v1/rest/"

    def movements(self, iban: str = "") -> list[Movement]:
        """Return the bank's own list, of one account or of all."""
        return msgspec.json.decode(self._call("movements", iban=iban), type=list[Movement])

    def add(self, *movements: Movement, token: str = TOKEN) -> None:
        """Book movements on the account that the token opens."""
        self._post("movements", list(movements), token=token)

    def transfer(self, movement: Movement, *, payer: str, payee: str) -> None:
        """Move money between two accounts: both tell it with one id, the payer's with the other sign."""
        self.add(replace(movement, amount=-abs(movement.amount), kind="Platba převodem"), token=payer)
        self.add(replace(movement, amount=abs(movement.amount), kind="Příjem převodem"), token=payee)

    def reverse(self, movement: Movement, *, id: int, token: str = TOKEN) -> Movement:
        """Book the storno of a movement, with the same order and the opposite sign, and return it."""
        storno = replace(movement, id=id, amount=-movement.amount, kind="Storno")
        self.add(storno, token=token)
        return storno

    def book(self, id: int, booked_on: date, *, token: str = TOKEN) -> None:
        """Book a pending movement."""
        self._post("booking", {"id": id, "booked_on": booked_on}, token=token)

    def fail(self, *faults: Fault) -> None:
        """Spoil the next answers, in this order."""
        self._post("faults", list(faults))

    def recover(self) -> None:
        """Forget the faults that are left."""
        self._post("recovery", None)

    def forgive(self) -> None:
        """Forget the faults that did not happen yet."""
        self._post("no-faults", None)

    def load(self, *accounts: Account, **settings: object) -> None:
        """Start afresh with these accounts (one empty account where none is given) and Settings."""
        self._post("data", {"accounts": list(accounts) or [Account()], "settings": settings})

    def change(self, **settings: object) -> None:
        """Change some of the Settings."""
        self._post("settings", settings)

    def unlock(self, token: str = TOKEN) -> None:
        """Open data older than 90 days for `unlock_seconds`, as the owner does in the internet banking."""
        self._post("unlock", None, token=token)

    def authorize(
        self, token: str, *, at: str = TOKEN, works_after_seconds: float = 300.0, lives_seconds: float = 1e9
    ) -> None:
        """Give the account that the token `at` opens another token, which works later and then expires.

        The same token again replaces its times.
        """
        times = {"token": token, "works_after": works_after_seconds, "lives": lives_seconds}
        self._post("token", times, token=at)

    def revoke(self, token: str = TOKEN) -> None:
        """Let the token expire."""
        self._post("revoke", None, token=token)

    def execute(self, batch_id: int, *, first_id: int = 27_000_000_001) -> list[Movement]:
        """Authorize a batch as a person does, book its payments today and return them."""
        body = msgspec.json.encode({"batch": batch_id, "first_id": first_id})
        return msgspec.json.decode(self._call("execution", body), type=list[Movement])

    def state(self) -> State:
        return msgspec.json.decode(self._call("state"), type=State)

    def _post(self, noun: str, body: object, *, token: str = "") -> None:
        self._call(noun, msgspec.json.encode(body), token=token)

    def _call(self, noun: str, body: bytes | None = None, **query: str) -> bytes:
        url = f"{self.url}/control/{noun}?{urlencode(query)}"
        with _DIRECT.open(url, data=body, timeout=10) as answer:
            return bytes(answer.read())


_DIRECT: Final = build_opener(ProxyHandler({}))


@contextlib.contextmanager
def running_fio_bank(
    *accounts: Account,
    interval_seconds: float = 0.0,
    today: date = TODAY,
    largest_answer: int = 50_000,
    date_shape: DateShape = "offset",
) -> Iterator[FioBank]:
    """Run a bank with these accounts (one empty account where none is given) in its own process."""
    settings = Settings(
        today=today, interval_seconds=interval_seconds, largest_answer=largest_answer, date_shape=date_shape
    )
    data = Data(accounts=list(accounts) or [Account()], settings=settings)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bank.json"
        path.write_bytes(msgspec.json.encode(data))
        command = [sys.executable, "-m", "tests.banks.fio", "--port", "0", "--data", str(path)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                address = process.stdout.readline().strip()
                assert address, "The pretend bank did not start."
                yield FioBank(address)
            finally:
                process.terminate()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, data: Data) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.lock = threading.Lock()
        self.load(data)

    def load(self, data: Data) -> None:
        self.settings = data.settings
        self.accounts = data.accounts
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.violations: Counter[str] = Counter()
        self.last_use: dict[str, float] = {}
        self.unlocked_until: dict[str, float] = {}
        self.lives: dict[str, tuple[float, float]] = {}
        self.batches: list[Batch] = []
        self.uploads = 0

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent about clients that went away: tests make them do so."""

    def account(self, token: str) -> Account | None:
        return next(
            (account for account in self.accounts if token in (*account.tokens, *account.order_tokens)), None
        )

    def account_opened_by(self, token: str) -> Account | None:
        """Return the account of a token that works now."""
        begins, ends = self.lives.get(token, (0.0, math.inf))
        return self.account(token) if begins <= time.monotonic() < ends else None

    def is_unlocked(self, token: str) -> bool:
        return time.monotonic() < self.unlocked_until.get(token, 0.0)

    def next_fault(self) -> Fault | None:
        if not self.faults:
            return None
        fault = self.faults[0]
        fault.times -= 1
        if fault.times <= 0:
            self.faults.pop(0)
        return fault

    def too_soon(self, token: str) -> bool:
        """Count this use of the token and say whether it came before its interval was over."""
        now = time.monotonic()
        last = self.last_use.get(token)
        if last is not None and now - last < self.settings.interval_seconds:
            self.violations[token] += 1
            return True
        self.last_use[token] = now
        return False


@dataclass(kw_only=True)
class _Answer:
    status: int
    body: bytes = b""
    content_type: str = "text/plain;charset=UTF-8"
    location: str = ""


def _answer(fault: Fault) -> _Answer:
    return _Answer(
        status=fault.status,
        body=fault.body.encode(),
        content_type=fault.content_type,
        location=fault.location,
    )


@dataclass(kw_only=True)
class _Booking:
    id: int
    booked_on: date


@dataclass(kw_only=True)
class _Lifetime:
    token: str
    works_after: float
    lives: float


@dataclass(kw_only=True)
class _Execution:
    batch: int
    first_id: int


def _book(account: Account, booking: _Booking) -> None:
    account.movements = [
        replace(movement, booked_on=booking.booked_on, is_pending=False)
        if movement.id == booking.id
        else movement
        for movement in account.movements
    ]


def _told_interval(settings: Settings) -> int:
    told = settings.told_interval_milliseconds
    return int(settings.interval_seconds * 1000) if told is None else told


_PERIODS: Final = re.compile(r"/v1/rest/periods/([^/]+)/([^/]+)/([^/]+)/transactions\.json")


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: paths hold tokens."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path.startswith("/control/"):
            self._tell(url.path.removeprefix("/control/"), dict(parse_qsl(url.query)))
        else:
            self._serve(url.path)

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not url.path.startswith("/control/"):
            self._import(url.path, body)
            return
        if url.path == "/control/execution":
            self._send(self._execute(msgspec.json.decode(body, type=_Execution)))
            return
        with self.server.lock:
            noun = url.path.removeprefix("/control/")
            self._obey(noun, dict(parse_qsl(url.query)).get("token", ""), body)
        self._send(_Answer(status=204))

    def _tell(self, noun: str, query: dict[str, str]) -> None:
        server = self.server
        with server.lock:
            if noun == "state":
                told: object = State(
                    requests=server.requests,
                    violations=server.violations.total(),
                    violations_of=dict(server.violations),
                    batches=server.batches,
                    uploads=server.uploads,
                )
            else:
                wanted = query.get("iban", "")
                told = [
                    movement
                    for account in server.accounts
                    if wanted in ("", account.iban)
                    for movement in account.movements
                ]
            body = msgspec.json.encode(told)
        self._send(_Answer(status=200, body=body, content_type="application/json"))

    def _obey(self, noun: str, token: str, body: bytes) -> None:
        server = self.server
        account = server.account(token)
        match noun:
            case "data":
                server.load(msgspec.json.decode(body, type=Data))
            case "movements" if account is not None:
                account.movements += msgspec.json.decode(body, type=list[Movement])
            case "recovery":
                server.faults.clear()
            case "faults":
                server.faults += msgspec.json.decode(body, type=list[Fault])
            case "no-faults":
                server.faults.clear()
            case "settings":
                known = msgspec.to_builtins(server.settings)
                server.settings = msgspec.convert(known | msgspec.json.decode(body), type=Settings)
            case "unlock":
                server.unlocked_until[token] = time.monotonic() + server.settings.unlock_seconds
            case "booking" if account is not None:
                _book(account, msgspec.json.decode(body, type=_Booking))
            case "token" if account is not None:
                wish = msgspec.json.decode(body, type=_Lifetime)
                begins = time.monotonic() + wish.works_after
                server.lives[wish.token] = (begins, begins + wish.lives)
                account.tokens += [] if wish.token in account.tokens else [wish.token]
            case "revoke" if account is not None:
                account.tokens.remove(token)
            case _:
                raise ValueError(noun)

    def _import(self, path: str, body: bytes) -> None:
        if path != "/v1/rest/import/":
            self._send(_Answer(status=404))
            return
        upload = upload_of(self.headers.get("Content-Type", ""), body)
        server = self.server
        with server.lock:
            server.uploads += 1
            fault = server.next_fault()
            if fault is not None and fault.before:
                self._reset()
                return
            answer = _answer(fault) if fault and fault.kind == "answer" else self._decide_import(upload)
        self._send(answer, fault)

    def _decide_import(self, upload: Upload | None) -> _Answer:
        """Take the orders, or say why not (manual 6, 8)."""
        server = self.server
        if upload is None:
            page = "<html><body>The server encountered an internal error ()</body></html>"
            return _Answer(status=500, body=page.encode(), content_type="text/html;charset=UTF-8")
        account = server.account_opened_by(upload.token)
        if account is None or upload.token not in account.order_tokens:
            return _Answer(status=500, body=b"\n")
        if server.too_soon(upload.token):
            return _Answer(status=409)
        body, batch = imported(
            upload, account.number, account.iban, server.settings.today, 3_400_000_001 + len(server.batches)
        )
        server.batches += [batch] if batch is not None else []
        return _Answer(status=200, body=body, content_type="text/xml;charset=UTF-8")

    def _execute(self, wish: _Execution) -> _Answer:
        server = self.server
        with server.lock:
            batch = next(each for each in server.batches if each.id == wish.batch)
            account = next(each for each in server.accounts if each.iban == batch.account)
            booked = [
                Movement(id=wish.first_id + place, booked_on=server.settings.today, **facts)
                for place, facts in enumerate(movements_of(batch))
            ]
            account.movements += booked
        return _Answer(status=200, body=msgspec.json.encode(booked), content_type="application/json")

    def _serve(self, path: str) -> None:
        found = _PERIODS.fullmatch(path)
        if found is None:
            fault = self.server.next_fault()
            self._send(_answer(fault) if fault is not None else _Answer(status=404))
            return
        token, from_date, to_date = found.groups()
        with self.server.lock:
            account = self.server.account_opened_by(token)
            answer, fault = self._decide(account, token, from_date, to_date)
            self.server.requests.append(
                Request(
                    account=account.iban if account else "",
                    from_date=from_date,
                    to_date=to_date,
                    status=0 if fault is not None and fault.kind == "reset" else answer.status,
                )
            )
        self._send(answer, fault)

    def _decide(
        self, account: Account | None, token: str, from_date: str, to_date: str
    ) -> tuple[_Answer, Fault | None]:
        if account is None:
            return _Answer(status=500, body=b"\n"), None
        if self.server.too_soon(token):
            return _Answer(status=409), None
        answer = self._movements(account, token, from_date, to_date)
        fault = self.server.next_fault()
        if fault is None or fault.kind != "answer":
            return answer, fault
        return _answer(fault), None

    def _movements(self, account: Account, token: str, from_date: str, to_date: str) -> _Answer:
        settings = self.server.settings
        try:
            first, last = date.fromisoformat(from_date), date.fromisoformat(to_date)
        except ValueError:
            return _Answer(status=404)
        free_from = settings.today - timedelta(days=FREE_DAYS)
        if first < free_from and not self.server.is_unlocked(token):
            text = (
                "Data není možné poskytnout bez silné autorizace. Autorizujte pokyn v bankovnictví, "
                f"nebo požádejte o data, která nejsou starší jak {FREE_DAYS} dní (od {free_from:%d.%m.%Y})."
            )
            return _Answer(status=422, body=text.encode())
        if (
            sum(
                first <= movement.booked_on <= last
                for movement in account.movements
                if not movement.is_pending
            )
            > settings.largest_answer
        ):
            return _Answer(status=413)
        body = statement_json(
            account, first, last, shape=settings.date_shape, newest_first=settings.newest_first
        )
        return _Answer(status=200, body=body, content_type="application/json;charset=UTF-8")

    def _send(self, answer: _Answer, fault: Fault | None = None) -> None:
        kind = fault.kind if fault is not None else ""
        if kind == "reset":
            self._reset()
            return
        if fault is not None and kind == "slow":
            time.sleep(fault.seconds)
        body = answer.body[: len(answer.body) // 2] if kind == "cut_json" else answer.body
        self.send_response(answer.status)
        if answer.status != 204:
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(body)))
        if answer.location:
            self.send_header("Location", answer.location)
        self.send_header("X-IntervalUseToken", str(_told_interval(self.server.settings)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if kind == "cut" else body)
        if kind == "cut":
            self.close_connection = True

    def _reset(self) -> None:
        """Close without a goodbye: with linger at zero the client sees a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="A pretend Fio bank for tests and for trying Kvit out.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--data", type=Path, help="JSON with accounts and settings; else one is generated")
    parser.add_argument("--interval", type=float, help="seconds between two uses of one token")
    parser.add_argument("--today", type=date.fromisoformat, help="the bank's date, YYYY-MM-DD")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--movements", type=int, default=2000)
    parser.add_argument("--days", type=int, default=80)
    options = parser.parse_args(arguments)
    server = _Server(options.port, _data(options))
    with contextlib.suppress(KeyboardInterrupt):
        sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}\n")
        sys.stdout.flush()
        server.serve_forever()


def _data(options: argparse.Namespace) -> Data:
    if options.data is not None:
        data = msgspec.json.decode(options.data.read_bytes(), type=Data)
    else:
        today = options.today or datetime.now(UTC).astimezone(PRAGUE).date()
        movements = generated(seed=options.seed, count=options.movements, last_day=today, days=options.days)
        data = Data(accounts=[Account(movements=movements)], settings=Settings(today=today))
    if options.today is not None:
        data.settings.today = options.today
    if options.interval is not None:
        data.settings.interval_seconds = options.interval
    return data


if __name__ == "__main__":
    main()
