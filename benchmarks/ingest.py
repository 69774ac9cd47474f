"""Posting 100,000 movements, audit included, beside Django per row and beside a bare insert of the same rows.

The peer stores the same columns with `update_or_create`, row by row in one transaction and without audit; it
is measured on its first rows only, since it would take minutes. The limit is one statement that writes the
same columns into a table without keys, indexes or audit: `executemany`, and on PostgreSQL COPY as well.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import django
from django.core.management import call_command
from django.db import connection, transaction

from benchmarks.measuring import report, seconds

MOVEMENTS = 100_000
PEER_ROWS = 2_000
type Writer = Callable[[Any, Sequence[str], Sequence[tuple[Any, ...]]], None]

SOURCE = "bench:CZ6508000000192000145399"


def main(database: str, prefix: str) -> None:
    django.setup()
    call_command("migrate", verbosity=0)
    bench = Bench()
    limits = {"executemany INSERT": bench.bare_insert(_write_many)}
    if connection.vendor == "postgresql":
        limits["COPY"] = bench.bare_insert(_write_copy)
    peer_load, peer_same = bench.per_row()
    rounds = {
        "load": (bench.post(bench.movements, created=MOVEMENTS), peer_load),
        "same": (bench.post(bench.movements, created=0), peer_same),
        "changed": (bench.post(bench.changed(), created=0), None),
    }
    for name, (rate, peer_rate) in rounds.items():
        if not (f"{database}.{name}".startswith(prefix) or database.startswith(prefix)):
            continue
        for limit, limit_rate in limits.items():
            report(
                f"{database}.{name}",
                rate,
                unit="movements/s",
                peer="Django update_or_create per row" if peer_rate else None,
                peer_value=peer_rate,
                limit=limit,
                limit_value=limit_rate,
            )


class Bench:
    def __init__(self) -> None:
        from kvit.ledger.models import BankAccount
        from kvit.users.models import Organization

        self.organization = Organization.objects.create(name="Bench")
        self.account = BankAccount.objects.create(
            organization=self.organization, number="CZ6508000000192000145399", currency="CZK"
        )
        self.movements = list(_movements(MOVEMENTS))

    def post(self, movements: Sequence[Any], *, created: int) -> float:
        """Post everything in one transaction and return movements a second."""
        from kvit.audit.recording import SYSTEM
        from kvit.ledger import posting
        from kvit.users.keys import key_ring

        keys = key_ring(self.organization)

        def act() -> None:
            with transaction.atomic():
                posted = posting.post(self.account, SOURCE, movements, actor=SYSTEM, keys=keys)
            assert posted.created == created, posted

        return len(movements) / seconds(act)

    def changed(self) -> list[Any]:
        """The same movements, every hundredth with a new message."""
        return [
            movement._replace(message="changed") if at % 100 == 0 else movement
            for at, movement in enumerate(self.movements)
        ]

    def bare_insert(self, write: Writer) -> float:
        """Rows a second of a table without keys."""
        columns = self.movements[0]._fields[:-1]
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE bench_limit ({', '.join(_column(name) for name in columns)})")
            rows = [
                tuple(str(value) if isinstance(value, date) else value for value in movement[:-1])
                for movement in self.movements
            ]

            def act() -> None:
                with transaction.atomic():
                    write(cursor, columns, rows)

            rate = len(rows) / seconds(act)
            cursor.execute("DROP TABLE bench_limit")
        return rate

    def per_row(self) -> tuple[float, float]:
        """Rates of the peer: into an empty ledger, and the same rows again."""
        from kvit.ledger.models import MoneyTransaction

        rows = [movement._asdict() for movement in self.movements[:PEER_ROWS]]
        for row in rows:
            del row["raw"]

        def act() -> None:
            with transaction.atomic():
                for row in rows:
                    values = row | {"account": self.account, "created_at": _NOW, "changed_at": _NOW}
                    MoneyTransaction.objects.update_or_create(
                        organization=self.organization,
                        source=SOURCE,
                        external_id=values.pop("external_id"),
                        defaults=values,
                    )

        load, same = (PEER_ROWS / seconds(act) for _ in range(2))
        MoneyTransaction.objects.all().delete()
        return load, same


_NOW = "2026-01-01T00:00:00Z"


def _column(name: str) -> str:
    return f"{name} {'bigint' if name == 'amount_minor' else 'text'}"


def _write_copy(cursor: Any, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    with cursor.copy(f"COPY bench_limit ({', '.join(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _write_many(cursor: Any, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    marks = ", ".join(["%s"] * len(columns))
    cursor.executemany(f"INSERT INTO bench_limit ({', '.join(columns)}) VALUES ({marks})", rows)


def _movements(count: int) -> Iterator[Any]:
    """Invented but lifelike movements, the same ones each time, checked as the engine checks them."""
    from kvit.ledger.movements import movement_of
    from kvit.plugin import Transaction

    chance = random.Random(7)
    for number in range(count):
        record = Transaction(
            external_id=str(26_000_000_000 + number),
            account_id="CZ6508000000192000145399",
            amount=Decimal(chance.randrange(-5_000_000, 5_000_000)).scaleb(-2),
            currency="CZK",
            booked_on=date(2025, 1, 1) + timedelta(days=number * 365 // count),
            counterparty_name=f"Obchod {chance.randrange(10**6):06d} s.r.o.",
            counterparty_account=f"{chance.randrange(10**9):010d}/0800",
            variable_symbol=f"{2_025_000_000 + number}",
            constant_symbol="0308",
            message=f"Faktura {2_025_000_000 + number} děkujeme za platbu",
        )
        raw = {name: str(value) for name, value in asdict(record).items() if value and name != "raw"}
        yield movement_of(record)._replace(raw=raw)


if __name__ == "__main__":
    main(*sys.argv[1:3])
