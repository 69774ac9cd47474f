"""Reconciling in the application: decisions, settlement lines, counters, learned accounts and audit written.

The peer is the simplest thing with an ORM: one indexed query per payment for the open invoice of its
variable symbol, which decides and writes nothing. The limit is one SQL join of payments and invoices by
symbol and amount, which only counts.
"""

from __future__ import annotations

import sys
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

import django
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from benchmarks.measuring import peak_memory_mb, report, seconds

PAYMENTS: Final = 20_000
CLIENTS: Final = 2_000
PER_QUERY: Final = 2_000
FIRST_DAY: Final = date(2026, 1, 5)


def main(name: str) -> None:
    django.setup()
    call_command("migrate", verbosity=0, skip_checks=True)
    from benchmarks.ingest import own_account, post
    from kvit.matching.reconcile import reconcile

    account = own_account()
    _issue(account.organization)
    movements = list(_payments())
    for start in range(0, PAYMENTS, 2_000):
        post(account, movements[start : start + 2_000])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    peer = PER_QUERY / seconds(lambda: _ask(account.organization))
    limit = PAYMENTS / seconds(_join)
    took = seconds(lambda: reconcile(account.organization))
    settled = _settled()
    report(
        name,
        PAYMENTS / took,
        unit="payments/s",
        peer="one indexed ORM query per payment, nothing written",
        peer_value=peer,
        limit="SQL join that counts",
        limit_value=limit,
        settled=settled,
        memory_mb=round(peak_memory_mb()),
    )


def _issue(organization: Any) -> None:
    """Put clients and issued invoices there, past the audit: they are what is read, not what is measured."""
    from kvit.invoices.models import Invoice
    from kvit.work.models import Client

    clients = Client.objects.bulk_create(
        Client(organization=organization, name=f"Odběratel {number:05d}") for number in range(CLIENTS)
    )
    with transaction.atomic():
        Invoice.objects.bulk_create(
            (
                Invoice(
                    organization=organization,
                    client=clients[number % CLIENTS],
                    state=Invoice.State.ISSUED,
                    number=f"2026-{number:06d}",
                    variable_symbol=_symbol(number),
                    symbol_key=_symbol(number),
                    issued_on=FIRST_DAY,
                    due_on=FIRST_DAY + timedelta(days=14),
                    total_minor=100_000 + number,
                    created_at=timezone.now(),
                )
                for number in range(PAYMENTS)
            ),
            batch_size=2_000,
        )


def _payments() -> Any:
    """Four of five name their invoice and pay exactly it; the fifth pays something else."""
    from kvit.ledger.movements import movement_of
    from kvit.plugin import Transaction

    for number in range(PAYMENTS):
        yield movement_of(
            Transaction(
                external_id=f"M{number}",
                account_id="CZ6508000000192000145399",
                amount=Decimal(100_000 + number + (1_234 if number % 5 == 0 else 0)).scaleb(-2),
                currency="CZK",
                booked_on=FIRST_DAY + timedelta(days=1 + number * 60 // PAYMENTS),
                counterparty_account=f"{1_000_000_000 + number % CLIENTS}/0800",
                counterparty_name=f"Odběratel {number % CLIENTS:05d}",
                variable_symbol=_symbol(number),
                message="platba",
                raw={},
            )
        )


def _symbol(number: int) -> str:
    return f"{2_600_000_000 + number * 37}"


def _ask(organization: Any) -> None:
    from kvit.invoices.models import Invoice

    for number in range(PER_QUERY):
        Invoice.objects.filter(
            organization=organization, symbol_key=_symbol(number), state=Invoice.State.ISSUED
        ).first()


def _join() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM ledger_moneytransaction t JOIN invoices_invoice i"
            " ON i.organization_id = t.organization_id AND i.symbol_key = t.variable_symbol"
            " AND i.total_minor - i.settled_minor = t.amount_minor AND i.state = 'issued'"
        )
        assert cursor.fetchone()[0] == PAYMENTS * 4 // 5


def _settled() -> int:
    """Nobody is fast by leaving something out."""
    from kvit.invoices.models import Invoice

    settled = Invoice.objects.filter(state="paid").count()
    assert settled >= PAYMENTS * 4 // 5, settled
    return settled


if __name__ == "__main__":
    main(sys.argv[1])
