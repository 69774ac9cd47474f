"""Invoices and payments of the matching tests, written as short as they can be read."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, Final

from kvit.kernel.matching import Index, Invoice, Payment, Port, Provenance, Verdict, decide

DAY: Final = date(2026, 11, 22)
ALFA: Final = 1
BETA: Final = 2
CLIENTS: Final = {ALFA: "Alfa Stavby s.r.o.", BETA: "Beta Reklama a.s."}
ALFA_ACCOUNT: Final = "CZ9401000000006056126547"
BETA_ACCOUNT: Final = "CZ6508000000192000145399"
OTHER_ACCOUNT: Final = "CZ5508000000001234567899"


def invoice(id: int = 1, number: str = "", minor: int = 1000, client: int = ALFA, **more: Any) -> Invoice:
    """Invoice 2026-001 for 10.00 CZK of Alfa, unless told otherwise."""
    number = number or f"2026-{id:03d}"
    values: dict[str, Any] = {
        "variable_symbol": "".join(filter(str.isdigit, number)),
        "currency": "CZK",
        "issued_on": DAY - timedelta(days=10),
        "due_on": DAY,
    }
    return Invoice(id=id, number=number, client_id=client, open_minor=minor, **{**values, **more})


def payment(symbol: str = "2026001", *texts: str, minor: int = 1000, **more: Any) -> Payment:
    """A payment of 10.00 CZK from nobody known, unless told otherwise."""
    values: dict[str, Any] = {"id": 1, "currency": "CZK", "booked_on": DAY}
    return Payment(variable_symbol=symbol, texts=texts, minor=minor, **{**values, **more})


def index(*invoices: Invoice, known: Iterable[tuple[str, int]] = (), **more: Any) -> Index:
    """The two clients, these documents, and accounts that a person confirmed."""
    made = Index(**more)
    for client, name in CLIENTS.items():
        made.add_client(client, name)
    for account, client in known:
        made.learn(account, client, Provenance.HUMAN)
    for each in invoices:
        made.add(each)
    return made


def decided(paid: Payment, *invoices: Invoice, known: Iterable[tuple[str, int]] = (), **more: Any) -> Verdict:
    return decide(paid, index(*invoices, known=known, **more))


def code(verdict: Verdict) -> str:
    """The one reason of a payment that waits; its veto, if it has one, stands among what was checked."""
    assert verdict.port is not Port.AUTO
    assert not verdict.settle
    [reason] = verdict.because
    return reason.code


def settled(verdict: Verdict) -> dict[int, int]:
    """What an automatic verdict settles: invoice -> hundredths."""
    assert verdict.port is Port.AUTO, verdict
    return {line.invoice_id: line.minor for line in verdict.settle}


def offered(verdict: Verdict) -> list[dict[int, int]]:
    return [{line.invoice_id: line.minor for line in each.lines} for each in verdict.candidates]
