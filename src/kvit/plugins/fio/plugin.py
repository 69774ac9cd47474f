"""The plugin of Fio banka: which periods to ask for, what the answers say, and payment orders.

It asks for periods that overlap and never for “movements since the last download”: there the bank moves its
bookmark before the answer has arrived, and an answer lost on the way would be lost for good (manual 5.2.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from kvit.plugin import (
    AuthExpired,
    Checkpoint,
    Context,
    Gate,
    Identity,
    Item,
    Misconfigured,
    PaymentBatch,
    PaymentFile,
    Plugin,
    Push,
    Receipt,
    Secret,
    Temporary,
    field,
)
from kvit.plugins.fio import answer, order_answers, orders
from kvit.plugins.fio.client import TOKEN, FioClient, Locked, TooMany
from kvit.plugins.fio.cursor import Cursor
from kvit.plugins.fio.reading import FREE, Moved, Reading

TOKEN_LIVES: Final = timedelta(days=180)
"""The longest life of a token after its authorization or, with automatic extension, a sign-in (manual 2)."""

_IMPORT_TYPES: Final = {orders.FIO_XML: "xml", orders.PAIN_001: "pain001_xml"}
_LANGUAGES: Final = {"CZ": "cs", "SK": "sk"}
"""In which the bank tells of errors."""
_PRAGUE: Final = ZoneInfo("Europe/Prague")
_ISO_DATE: Final = re.compile(r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})")
_CZECH_DATE: Final = re.compile(r"(?P<day>\d{1,2})\. ?(?P<month>\d{1,2})\. ?(?P<year>\d{4})")


@dataclass(frozen=True, kw_only=True)
class FioConfig:
    api_token: Secret = field(
        "API token",
        help="Fio internet banking → Settings → API. Make a token for Kvit alone, with the right to watch "
        "the account only. It works five minutes after you authorize it.",
        pattern=TOKEN,
    )
    token_valid_until: str = field(
        "The token is valid until",
        help="As Fio shows it at the token, such as 31. 12. 2026. Leave it empty where the token is extended "
        "automatically at each sign-in to the internet banking.",
        default="",
        pattern=r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}\. ?\d{1,2}\. ?\d{4}",
    )
    days_back: int = field(
        "Days of history to read",
        help="Fio gives more than 89 days only within 10 minutes after you unlock it at the token. "
        "A larger number entered later makes the next sync read the older movements too.",
        default=FREE.days,
        min=1,
        max=3660,
    )
    base_url: str = field("Address of the API", default="https://fioapi.fio.cz/v1/rest/")
    token_interval_seconds: int = field(
        "Seconds between two requests", help="Fio asks for 30.", default=31, min=0, max=3600
    )
    orders_token: Secret = field(
        "Token for payment orders",
        help="Only where Kvit should hand payment orders to Fio, which you then authorize there: a second "
        "token of the same account, with the right to watch the account and to enter orders.",
        default=Secret(""),
        pattern=TOKEN,
    )
    euro_format: str = field(
        "Format of euro payments",
        help="fio-xml keeps the symbols apart and takes all kinds of payments in one file. pain.001, where a "
        "batch is plain euro payments only, gives the payee a reference and longer names.",
        default=orders.FIO_XML,
        choices=orders.EURO_FORMATS,
    )
    payer_name: str = field(
        "Name of the account's holder",
        help="For pain.001, which names who pays.",
        default="",
        pattern=".{0,70}",
    )


class Fio(Push, Plugin[FioConfig]):
    name, title, version, Config = "fio", "Fio banka", "1.0", FioConfig
    description = (
        "Movements of an account at Fio banka (Czech Republic, Slovakia) and payment orders, by its API."
    )
    schedule = "0 */2 * * *"
    hosts = ("fioapi.fio.cz",)
    guide = (
        "Sign in to the internet banking of Fio and open Settings → API.",
        "Click “Add a new token” and choose the account. One token opens one account.",
        "Choose the right “Account monitoring” only. Kvit reads; it needs no right to enter payments.",
        "Set the validity to 180 days and switch on the automatic extension at each sign-in.",
        "Authorize the token as you authorize a payment. It starts to work five minutes later.",
        "Copy the whole token, 64 letters and digits, and paste it here. No other program may use it.",
        "For payment orders add a second token of the account, with the right to enter orders as well.",
        "What Kvit hands over waits in Fio until you authorize it there. Nothing is paid before.",
    )
    picture = files("kvit.plugins.fio").joinpath("where.svg").read_text(encoding="utf-8")

    def check(self) -> Identity:
        if self.config.token_valid_until and _day(self.config.token_valid_until) is None:
            raise Misconfigured("There is no such day.", field="token_valid_until")
        today = datetime.now(UTC).astimezone(_PRAGUE).date()
        body = self._client().try_out(today)
        if not isinstance(body, bytes):
            raise Temporary("Fio refused to answer for today. It will be tried again.")
        found = answer.identity(answer.read(body))
        self._require_orders_of(found, today)
        return found

    def payment_file(self, batch: PaymentBatch) -> PaymentFile:
        """Write the batch in Fio's XML, or in pain.001 where the owner wants it and it is plain euro.

        Raises Misconfigured as `orders.file_of` does, and where the connection has no token for orders.
        """
        self._require_orders_token()
        return orders.file_of(batch, euro_format=self.config.euro_format, payer_name=self.config.payer_name)

    def push(self, batch: PaymentBatch, file: PaymentFile) -> Receipt:
        """Hand over the file by one request; see `order_answers` for what an answer is worth."""
        token = self._require_orders_token()
        country = orders.payer_of(batch.account).country
        order_ids = orders.ids_in_file(batch, file.format)
        response = self.http.request(
            "POST",
            f"{self.config.base_url.strip().rstrip('/')}/import/",
            data={"token": token.reveal(), "type": _IMPORT_TYPES[file.format], "lng": _LANGUAGES[country]},
            files={"file": (file.name, file.data, file.media_type)},
            gate=Gate(key=token, seconds=self.config.token_interval_seconds),
        )
        return order_answers.receipt_of(response, order_ids=order_ids, totals=orders.totals(batch.orders))

    @classmethod
    def explained(cls, code: str) -> str:
        """Return what a verdict's code means and what to do, as `order_answers.explained` does."""
        return order_answers.explained(code)

    def credentials_expire_on(self, entered_on: date) -> date | None:
        """Return the day its owner wrote down, else 180 days from the entry, the most Fio allows.

        Each sign-in to the internet banking may extend a token, so it may live longer than this says. A day
        written down for an earlier token counts no more.
        """
        written = _day(self.config.token_valid_until)
        return written if written is not None and written >= entered_on else entered_on + TOKEN_LIVES

    def sync(self, ctx: Context) -> Iterator[Item]:
        """Read from the last sync, with an overlap, to today; see `cursor.Cursor` for what is remembered.

        Where Fio gives only a part, the rest is yielded, the cursor stays before the unread days and
        Misconfigured tells what to do about them.
        """
        client = self._client()
        reading = Reading(Cursor.of(ctx.cursor), today=ctx.today, days_back=self.config.days_back)
        for day in reading.left_out:
            ctx.warn(f"{day} is left out: it has more movements than Fio gives. Upload its statement file.")
        while reading.period is not None:
            first, last = reading.period
            match client.movements(first, last):
                case TooMany():
                    reading.halve(first, last)
                    yield Checkpoint(reading.cursor().as_json())
                case Locked(told, said):
                    free_from = reading.narrow(first, told)
                    ctx.log(f"Fio gives movements since {free_from} only; older ones need an unlock.")
                    ctx.log(f"In the words of Fio: “{said}”")
                case bytes() as body:
                    yield from _answered(ctx, reading, first, last, body)
        if reading.refusal is not None:
            raise reading.refusal

    def _require_orders_of(self, identity: Identity, today: date) -> None:
        """Raise Misconfigured where the token for orders does not work or opens another account."""
        if not self.config.orders_token or self.config.orders_token == self.config.api_token:
            return
        try:
            body = self._client(self._require_orders_token()).try_out(today)
        except AuthExpired as error:
            raise Misconfigured(error.message, field="orders_token", **error.params) from None
        if isinstance(body, bytes) and answer.identity(answer.read(body)).key != identity.key:
            raise Misconfigured(
                "The token for payment orders opens another account than the token that reads.",
                field="orders_token",
            )

    def _require_orders_token(self) -> Secret:
        """Return the token for orders; raises Misconfigured where there is none."""
        token = self.config.orders_token
        if not token:
            raise Misconfigured(
                "This connection only reads. For payment orders, in the internet banking of Fio (Settings "
                "→ API) make a token with the right “Account monitoring and entering orders”. Enter it here.",
                field="orders_token",
            )
        if not re.fullmatch(TOKEN, token.reveal()):
            raise Misconfigured(
                "A token of Fio has 64 letters and digits and nothing else.", field="orders_token"
            )
        return token

    def _client(self, token: Secret | None = None) -> FioClient:
        """Return a client for the token that reads, or for another one of the account."""
        config = self.config
        return FioClient(
            self.http,
            base_url=config.base_url,
            token=token or config.api_token,
            interval_seconds=config.token_interval_seconds,
        )


def _answered(ctx: Context, reading: Reading, first: date, last: date, body: bytes) -> Iterator[Item]:
    read = answer.read(body)
    for doubt in answer.doubts(read):
        ctx.warn(doubt)
    for moved in reading.answered(first, last, read):
        ctx.warn(_words(moved, read.statement.currency))
    closing = read.statement.closing_balance
    yield from answer.items(read, balance=closing.amount if closing and reading.period is None else None)
    yield Checkpoint(reading.cursor().as_json())


def _words(moved: Moved, currency: str) -> str:
    told = (
        f"Before {moved.before} the account held {moved.was} {currency} when that was read last, and "
        f"{moved.now} {currency} now: Fio booked or changed something with an earlier date."
    )
    return f"{told} Kvit reads the last {FREE.days} days again." if moved.reads_again else told


def _day(text: str) -> date | None:
    """Read `2026-12-31` or `31. 12. 2026`; None where it is empty or no day."""
    found = _ISO_DATE.fullmatch(text) or _CZECH_DATE.fullmatch(text)
    if found is None:
        return None
    try:
        return date(int(found["year"]), int(found["month"]), int(found["day"]))
    except ValueError:
        return None
