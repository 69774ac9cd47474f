"""Kvit's own JSON, as `kvit convert --to json` and `kvit parse-statement --json` write it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Final

import msgspec

from kvit.kernel.errors import RecordError
from kvit.kernel.money import Money
from kvit.kernel.statements.fields import read_day, read_money
from kvit.kernel.statements.json_stream import JsonStream, Value
from kvit.kernel.statements.source import Source
from kvit.kernel.statements.values import (
    NO_CURRENCY,
    Detail,
    Detection,
    Entry,
    Hints,
    OrderStatus,
    Part,
    Problem,
    Statement,
    StatementEnd,
)

FORMAT: Final = "kvit-json"

_BEGINNING: Final = re.compile(
    rb'(?:\xef\xbb\xbf)?\s*+\{\s*+(?:"file"\s*+:\s*+"(?:[^"\\]++|\\.)*+"\s*+,\s*+)?'
    rb'"format"\s*+:\s*+"[^"\\]{0,40}"\s*+,\s*+"statements"\s*+:'
)
_CHUNK: Final = 1000
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


class _Payment(msgspec.Struct):
    """What an entry and each of its details say; every number has become its exact text."""

    amount: str
    external_id: str = ""
    counterparty_name: str = ""
    counterparty_account: str = ""
    variable_symbol: str = ""
    constant_symbol: str = ""
    specific_symbol: str = ""
    message: str = ""
    reference: str = ""


class _Movement(_Payment, kw_only=True):
    booked_on: str
    currency: str = ""
    value_on: str | None = None
    pending: bool = False
    is_bank_id: bool = False
    details: list[_Payment] = []


class _OrderStatus(msgspec.Struct):
    message_id: str
    status: str
    level: str
    payment_id: str = ""
    end_to_end_id: str = ""
    amount: str | None = None
    currency: str = ""
    reason: str = ""
    text: str = ""


def detect(head: bytes) -> Detection | None:
    return Detection(format=FORMAT) if _BEGINNING.match(head) else None


def read(source: Source, _hints: Hints) -> Iterator[Part]:
    """Yield what the file says; one JSON object may follow another, as for a directory of statements.

    Ids and texts are taken as they stand, because Kvit wrote them. What could not be read when the file was
    written is still missing, so its errors are told again. Raises StatementUnreadable for damaged JSON.
    """
    stream = JsonStream(source)
    while stream.peek():
        for name in stream.members():
            if name == "statements":
                for _ in stream.items():
                    yield from _statement(stream)
            elif name == "errors":
                yield from (_error(stream.value()) for _ in stream.items())
            elif name == "order_statuses":
                yield from (_order_status(stream) for _ in stream.items())
            elif name == "warnings":
                for _ in stream.items():
                    stream.value()
            else:
                stream.value()


def _statement(stream: JsonStream) -> Iterator[Part]:
    """Yield the statement before its entries, and what stands behind them at its end."""
    said: dict[str, Value] = {}
    line, is_open = stream.line, False
    for name in stream.members():
        if name == "entries" and not is_open:
            is_open = True
            yield from _opened(_Said(said), line)
            said = {}
            yield from _entries(stream)
        else:
            said[name] = stream.value()
    if not is_open:
        yield from _opened(_Said(said), line)
    elif said:
        yield from _ended(_Said(said))


def _opened(said: _Said, line: int) -> Iterator[Part]:
    yield Statement(
        account=said.text("account"),
        currency=said.currency(),
        opening_balance=said.balance("opening_balance"),
        closing_balance=said.balance("closing_balance"),
        from_date=said.day("from_date"),
        to_date=said.day("to_date"),
        number=said.text("number"),
        line=line,
    )
    yield from said.problems


def _ended(said: _Said) -> Iterator[Part]:
    yield StatementEnd(
        currency=said.currency() or None,
        opening_balance=said.balance("opening_balance"),
        closing_balance=said.balance("closing_balance"),
        from_date=said.day("from_date"),
        to_date=said.day("to_date"),
        number=said.text("number") or None,
    )
    yield from said.problems


class _Said:
    """What a statement says of itself; a value that cannot be read is a problem and absent."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values
        self.problems: list[Problem] = []

    def text(self, name: str) -> str:
        value = self._values.get(name)
        return value if isinstance(value, str) else ""

    def currency(self) -> str:
        code = self.text("currency")
        return code if _CURRENCY.fullmatch(code) else ""

    def balance(self, name: str) -> Money | None:
        """Return a balance; without the currency nobody knows what it is of."""
        currency = self.currency()
        return self._read(name, lambda text: read_money(text, currency, name)) if currency else None

    def day(self, name: str) -> date | None:
        return self._read(name, lambda text: read_day(text, name))

    def _read[Read](self, name: str, reading: Callable[[str], Read]) -> Read | None:
        text = self.text(name)
        try:
            return reading(text) if text else None
        except RecordError as error:
            self.problems.append(Problem(message=str(error), field=name))
            return None


def _entries(stream: JsonStream) -> Iterator[Part]:
    chunk: list[Entry] = []
    for _ in stream.items():
        line, offset = stream.line, stream.offset
        try:
            chunk.append(_entry(stream.value(), stream.taken, line, offset))
        except RecordError as error:
            yield Problem(message=str(error), line=line, offset=offset, field=error.field, is_error=True)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _entry(value: Value, raw: str, line: int, offset: int) -> Entry:
    movement = _of_shape(value, _Movement)
    currency = movement.currency or NO_CURRENCY
    return Entry(
        booked_on=read_day(movement.booked_on, "booked_on"),
        minor=read_money(movement.amount, currency, "amount").minor,
        currency=currency,
        external_id=movement.external_id,
        is_bank_id=movement.is_bank_id and bool(movement.external_id),
        value_on=read_day(movement.value_on, "value_on") if movement.value_on else None,
        counterparty_name=movement.counterparty_name,
        counterparty_account=movement.counterparty_account,
        variable_symbol=movement.variable_symbol,
        constant_symbol=movement.constant_symbol,
        specific_symbol=movement.specific_symbol,
        message=movement.message,
        reference=movement.reference,
        pending=movement.pending,
        line=line,
        offset=offset,
        raw=raw,
        details=tuple(_detail(each, currency) for each in movement.details),
    )


def _detail(payment: _Payment, currency: str) -> Detail:
    return Detail(
        minor=read_money(payment.amount, currency, "details").minor,
        counterparty_name=payment.counterparty_name,
        counterparty_account=payment.counterparty_account,
        variable_symbol=payment.variable_symbol,
        constant_symbol=payment.constant_symbol,
        specific_symbol=payment.specific_symbol,
        message=payment.message,
        reference=payment.reference,
        external_id=payment.external_id,
    )


def _order_status(stream: JsonStream) -> Part:
    line, offset = stream.line, stream.offset
    try:
        said = _of_shape(stream.value(), _OrderStatus)
        return OrderStatus(
            message_id=said.message_id,
            status=said.status,
            level=said.level,
            payment_id=said.payment_id,
            end_to_end_id=said.end_to_end_id,
            amount=read_money(said.amount, said.currency or NO_CURRENCY, "amount") if said.amount else None,
            reason=said.reason,
            text=said.text,
            line=line,
        )
    except RecordError as error:
        return Problem(message=str(error), line=line, offset=offset, field=error.field, is_error=True)


def _error(value: Value) -> Problem:
    message = value.get("message") if isinstance(value, dict) else None
    return Problem(message=message if isinstance(message, str) else "Something was left out.", is_error=True)


def _of_shape[Shape](value: Value, shape: type[Shape]) -> Shape:
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `")
        raise RecordError(
            "The record is not as Kvit writes it: {reason}.", field=place.strip("`$.") or None, reason=message
        ) from None
