"""The pretend bank of the demo: what moved on the account, and the server process that tells it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from kvit.cli.demo_business import CURRENCY, CUSTOMERS, DAYS_TO_PAY, IBAN
from kvit.cli.supervisor import end_with_parent
from kvit.invoices.models import Invoice
from kvit.kernel.errors import Refused
from kvit.kernel.money import Money
from kvit.users.models import Organization

type Record = dict[str, str]

_NEVER_PAID: Final = (-2, -5)
"""Places among the overdue invoices, from the end."""
_PAID_TWICE: Final = 18
_REGULAR: Final = (
    # (day of the month, id, amount, counterparty, account, VS, message)
    (1, "card-1", "-49.00", "", "", "", "Poplatek za platební kartu"),
    (1, "card-2", "-49.00", "", "", "", "Poplatek za platební kartu"),
    (5, "rent", "-14500.00", "Reality Na Nábřeží a.s.", "1070033312/2700", "51", "Nájem kanceláře"),
    (8, "insurance", "-4759.00", "ČSSZ", "11017-7720041160/0710", "1234567890", "Pojistné OSVČ"),
    (18, "phone", "-599.00", "Mobilní operátor", "2112400454/2600", "777000111", "Tarif"),
)


def write_bank_file(path: Path, organization: Organization, today: date) -> None:
    """Write what moved on the account until today, unless the file is there: a person may have edited it.

    The movements follow from the invoices and the day alone, so that a lost file can be made again.
    """
    if path.exists():
        return
    account = {
        "id": "1",
        "iban": IBAN,
        "name": "Podnikatelský účet",
        "currency": CURRENCY,
        "transactions": _records(organization, today),
    }
    data = {"token": secrets.token_urlsafe(24), "accounts": [account]}
    write_private(path, json.dumps(data, ensure_ascii=False, indent=1))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def read_token(path: Path) -> str:
    """Return the token that opens the bank."""
    token: str = json.loads(path.read_text(encoding="utf-8"))["token"]
    return token


def bank_command(path: Path, port: int) -> list[str]:
    """Return the command line of the bank's server; it prints its address first."""
    server = "kvit.plugins.demo_bank.server"
    return [sys.executable, "-m", server, "--port", str(port), "--data", str(path)]


@contextmanager
def running_bank(path: Path, port: int) -> Iterator[str]:
    """Run the bank on this port, or on a free one where it is taken or 0, and give its address."""
    process = _started(path, port)
    address = _address(process)
    if not address and port:
        process.wait()
        process = _started(path, 0)
        address = _address(process)
    try:
        if not address:
            raise Refused("The pretend bank did not start. Is {path} damaged? Delete it.", path=path)
        yield address
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _started(path: Path, port: int) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603  # our own command line
        bank_command(path, port),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=end_with_parent(),
    )


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _records(organization: Organization, today: date) -> list[Record]:
    invoices = Invoice.objects.filter(organization=organization).exclude(state=Invoice.State.DRAFT)
    issued = list(invoices.select_related("client").order_by("issued_on", "id"))
    overdue = [invoice.pk for invoice in issued if invoice.due_on < today]
    never_paid = {overdue[place] for place in _NEVER_PAID if len(overdue) >= -place}
    records = []
    for at, invoice in enumerate(issued):
        if invoice.pk not in never_paid:
            records += _payments(invoice, at)
    first = min((invoice.issued_on for invoice in issued if invoice.issued_on), default=today)
    records += [record for month in _months(first, today) for record in _regular(month)]
    records.append(_refund(first + timedelta(days=100)))
    booked = (record for record in records if date.fromisoformat(record["booked_on"]) <= today)
    return sorted(booked, key=lambda record: (record["booked_on"], record["id"]))


def _payments(invoice: Invoice, at: int) -> list[Record]:
    """What the client pays: mostly right, sometimes without a symbol, too little, mistyped or twice."""
    record = {
        "id": f"{invoice.number}-1",
        "amount": str(invoice.total.amount),
        "currency": CURRENCY,
        "booked_on": (invoice.due_on + timedelta(days=at * 5 % 11 - DAYS_TO_PAY // 2)).isoformat(),
        "counterparty": invoice.client.name,
        "account": next(one.account for one in CUSTOMERS if one.name == invoice.client.name),
        "vs": invoice.variable_symbol,
        "ks": "0308",
        "message": "",
    }
    match at % 20:
        case 4:
            return [record | {"vs": "", "message": f"Faktura {invoice.number}"}]
        case 9:
            return [record | {"amount": str((invoice.total - Money.of("100.00", CURRENCY)).amount)}]
        case 14:
            return [record | {"vs": f"9{invoice.variable_symbol}"}]
    if at == _PAID_TWICE:
        return [record, record | {"id": f"{invoice.number}-2"}]
    return [record]


def _regular(first_day: date) -> Iterator[Record]:
    """What leaves the account every month."""
    for day, name, amount, counterparty, account, symbol, message in _REGULAR:
        booked_on = first_day.replace(day=day).isoformat()
        yield {
            "id": f"{name}-{booked_on}",
            "amount": amount,
            "currency": CURRENCY,
            "booked_on": booked_on,
            "counterparty": counterparty,
            "account": account,
            "vs": symbol,
            "message": message,
        }


def _refund(booked_on: date) -> Record:
    """Money that comes in and pays no invoice."""
    return {
        "id": f"refund-{booked_on}",
        "amount": "1842.00",
        "currency": CURRENCY,
        "booked_on": booked_on.isoformat(),
        "counterparty": "Elektrárny Povltaví a.s.",
        "account": "7720041160/0100",
        "vs": "7710034512",
        "message": "Přeplatek vyúčtování elektřiny",
    }


def _months(first: date, last: date) -> list[date]:
    """The first days of the months from `first` to `last`, both inclusive."""
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [date(number // 12, number % 12 + 1, 1) for number in numbers]
