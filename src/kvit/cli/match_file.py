"""`kvit match-file`: the kernel's decisions about invoices and movements in files, without a database."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec

from kvit.kernel.matching import (
    Candidate,
    Decided,
    Index,
    Invoice,
    Line,
    Payment,
    Port,
    Provenance,
    Reason,
    Verdict,
    located,
    walk,
)

NOT_READ: Final = 2
_TEXTS: Final = ("message", "end_to_end_id", "user_identification", "comment")
_CHUNK_LINES: Final = 1000

_day = lru_cache(maxsize=10_000)(date.fromisoformat)


class Unreadable(Exception):
    """A file is missing or damaged; the message names it and the line."""


class _Account(msgspec.Struct, gc=False):
    iban: str


class _KnownAccount(msgspec.Struct, gc=False):
    iban: str
    provenance: Provenance


class _Customer(msgspec.Struct, gc=False):
    id: int
    name: str
    ibans: list[_KnownAccount]


class _Invoice(msgspec.Struct, gc=False):
    id: int
    number: str
    variable_symbol: str
    customer_id: int
    currency: str
    open_minor: int
    issued_on: str
    due_on: str
    state: str
    rf_reference: str = ""


class _Transaction(msgspec.Struct, gc=False):
    id: int
    booked_on: str
    amount_minor: int
    currency: str
    variable_symbol: str
    message: str
    end_to_end_id: str
    user_identification: str
    comment: str
    counterparty_name: str
    counterparty_iban: str
    status: str


def match_file(options: argparse.Namespace) -> int:
    """Print one decision a line; exit 2 with one sentence where a file is missing or damaged."""
    gc.disable()  # no cycles are made, and looking for them among a million rows takes as long as deciding
    try:
        _print(decisions(options.folder))
    except Unreadable as error:
        print(f"kvit: {error}", file=sys.stderr)
        return NOT_READ
    return 0


def decisions(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield one decision for each transaction of the folder. Raises Unreadable."""
    for decided in walk(*read(folder)):
        yield _as_json(decided)


def read(folder: Path) -> tuple[Index, list[Invoice], Iterator[Payment]]:
    """Return what is known before the first payment, all documents, and the payments as they are read."""
    index = Index(row.iban for row in _rows(folder / "accounts.jsonl", _Account))
    for row in _rows(folder / "customers.jsonl", _Customer):
        index.add_client(row.id, row.name, [(known.iban, known.provenance) for known in row.ibans])
    return index, list(_invoices(folder / "invoices.jsonl")), _payments(folder / "transactions.jsonl")


def _print(rows: Iterator[dict[str, Any]]) -> None:
    encode = msgspec.json.Encoder().encode
    lines: list[bytes] = []
    for row in rows:
        lines += encode(row), b"\n"
        if len(lines) >= _CHUNK_LINES:
            sys.stdout.buffer.write(b"".join(lines))
            lines.clear()
    sys.stdout.buffer.write(b"".join(lines))
    sys.stdout.buffer.flush()


def _rows[Row](path: Path, kind: type[Row]) -> Iterator[Row]:
    decode = msgspec.json.Decoder(kind).decode
    try:
        file = path.open("rb")
    except OSError as error:
        raise Unreadable(f"{path} cannot be opened: {error.strerror}.") from error
    with file:
        for number, line in enumerate(file, start=1):
            try:
                row = decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise Unreadable(f"{path}, line {number}: {error}.") from error
            yield row


def _invoices(path: Path) -> Iterator[Invoice]:
    for number, row in enumerate(_rows(path, _Invoice), start=1):
        if row.open_minor < 0:
            raise Unreadable(f"{path}, line {number}: less than nothing is open.")
        yield Invoice(
            id=row.id,
            number=row.number,
            variable_symbol=row.variable_symbol,
            client_id=row.customer_id,
            currency=row.currency,
            open_minor=row.open_minor,
            issued_on=_date(row.issued_on, path, number),
            due_on=_date(row.due_on, path, number),
            is_void=row.state == "void",
            creditor_reference=row.rf_reference,
        )


def _payments(path: Path) -> Iterator[Payment]:
    for number, row in enumerate(_rows(path, _Transaction), start=1):
        yield Payment(
            id=row.id,
            minor=row.amount_minor,
            currency=row.currency,
            booked_on=_date(row.booked_on, path, number),
            is_pending=row.status == "pending",
            variable_symbol=row.variable_symbol,
            texts=(row.message, row.end_to_end_id, row.user_identification, row.comment),
            fields=_TEXTS,
            counterparty_account=row.counterparty_iban,
            counterparty_name=row.counterparty_name,
        )


def _date(text: str, path: Path, line: int) -> date:
    try:
        return _day(text)
    except ValueError:
        raise Unreadable(f"{path}, line {line}: “{text}” is no date.") from None


def _as_json(decided: Decided) -> dict[str, Any]:
    payment, verdict = decided
    return {
        "transaction_id": payment.id,
        "port": verdict.port,
        "settlements": _lines(verdict.settle),
        "suggestions": [_lines(candidate.lines) for candidate in verdict.candidates],
        "because": _because(payment, verdict),
    }


def _because(payment: Payment, verdict: Verdict) -> dict[str, Any]:
    because: dict[str, Any] = {"reasons": [_reason(each, payment) for each in verdict.because]}
    if verdict.port is Port.AUTO:
        because["tier"] = verdict.tier
    if verdict.checked:
        because["checked"] = [{"veto": veto, "ok": ok} for veto, ok in verdict.checked]
    if verdict.candidates:
        because["candidates"] = [_facts(candidate) for candidate in verdict.candidates]
    return because


def _facts(candidate: Candidate) -> dict[str, list[str]]:
    return {
        "for": [reason.code for reason in candidate.for_],
        "against": [reason.code for reason in candidate.against],
    }


def _reason(reason: Reason, payment: Payment) -> dict[str, Any]:
    row: dict[str, Any] = {"code": reason.code, "values": reason.values}
    span = located(reason, payment)
    if span is not None:
        row["span"] = {"field": span.field, "start": span.start, "end": span.end}
    return row


def _lines(lines: tuple[Line, ...]) -> list[dict[str, int]]:
    return [{"invoice_id": invoice_id, "amount_minor": minor} for invoice_id, minor in lines]
