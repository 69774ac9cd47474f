"""Posting 100,000 movements, audit included, beside what a good programmer writes with Django and beside dlt.

Peers: Django as it is well made (known ids fetched in 2,000s, compared in Python, `bulk_create`,
`bulk_update` and an audit entry for each change), Django's `update_or_create` row by row without audit on its
first rows only, and on PostgreSQL dlt's upsert without audit. Limits: one statement that writes the same
columns into a table without keys, indexes or audit, by `executemany` and on PostgreSQL by COPY. Kvit seals
the source's records as well, which no peer does. Each figure is the best of its rounds; Kvit's and its
well-made peer's take turns.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

from benchmarks.measuring import report, seconds
from benchmarks.movements import ACCOUNT, invented
from benchmarks.peer_environment import peer_python

MOVEMENTS = 100_000
PER_ROW = 2_000
BATCH = 2_000
ROUNDS = 2
SOURCE = f"bench:{ACCOUNT}"
type Writer = Callable[[Any, Sequence[str], Sequence[tuple[Any, ...]]], None]
type Rates = dict[str, float]
type Post = Callable[[Sequence[Any]], None]


def main(database: str, prefix: str) -> None:
    django.setup()
    call_command("migrate", verbosity=0, skip_checks=True)
    phases = [name for name in ("load", "same", "changed") if _is_asked(f"{database}.{name}", prefix)]
    if phases:
        _report_rates(database, phases)
    if _is_asked(f"{database}.memory", prefix):
        _report_memory(database)
    if connection.vendor == "sqlite" and _is_asked(f"{database}.readers", prefix):
        _report_readers(database)


def checked(count: int) -> Iterator[Any]:
    """The invented movements as the engine checks them, each with its source's record."""
    from kvit.ledger.movements import movement_of
    from kvit.plugin import Transaction

    for movement in invented(count):
        values = asdict(movement)
        raw = {name: str(value) for name, value in values.items()}
        yield movement_of(Transaction(account_id=ACCOUNT, raw=raw, **values))


def own_account(number: str = ACCOUNT) -> Any:
    """An account of the one organization that the benchmarks post into."""
    from kvit.ledger.models import BankAccount
    from kvit.users.models import Organization

    organization, _ = Organization.objects.get_or_create(name="Bench")
    return BankAccount.objects.get_or_create(organization=organization, number=number, currency="CZK")[0]


def post(account: Any, movements: Sequence[Any], source: str = SOURCE) -> Any:
    """Post in one transaction, as the engine does."""
    from kvit.audit.recording import Actor
    from kvit.ledger import posting
    from kvit.users.keys import key_ring

    keys = key_ring(account.organization)
    with transaction.atomic():
        return posting.post(account, source, movements, actor=Actor(name="bench", run_id=1), keys=keys)


def _is_asked(name: str, prefix: str) -> bool:
    return name.startswith(prefix) or prefix.startswith(f"{name}.")


def _report_rates(database: str, phases: Sequence[str]) -> None:
    from benchmarks import ingest_peers

    account = own_account()
    movements = list(checked(MOVEMENTS))
    limits = {"executemany INSERT": _bare_insert(movements, _write_many)}
    if connection.vendor == "postgresql":
        limits["COPY"] = _bare_insert(movements, _write_copy)
    peers = {
        "Django update_or_create per row": _best(
            1, movements[:PER_ROW], lambda given: ingest_peers.per_row(account, SOURCE, given)
        ),
        "Django well made": {},
    }
    kvit: Rates = {}
    for _ in range(ROUNDS):
        for name, act in (
            ("Kvit", lambda given: _post_exactly(account, given)),
            ("Django well made", lambda given: ingest_peers.well_made(account, SOURCE, given)),
        ):
            rates = _best(1, movements, act)
            best = kvit if name == "Kvit" else peers[name]
            best.update({phase: max(rate, best.get(phase, 0)) for phase, rate in rates.items()})
    if connection.vendor == "postgresql":
        peers["dlt upsert"] = _dlt()
    for phase in phases:
        for peer, rates in peers.items():
            report(f"{database}.{phase}", kvit[phase], unit="movements/s", peer=peer, peer_value=rates[phase])
        for limit, rate in limits.items():
            report(f"{database}.{phase}", kvit[phase], unit="movements/s", limit=limit, limit_value=rate)


def _best(rounds: int, movements: Sequence[Any], act: Post) -> Rates:
    """Rates of a load into an empty ledger, of the same again, and with every hundredth changed."""
    best: Rates = {}
    changed = [
        movement._replace(message="changed") if at % 100 == 0 else movement
        for at, movement in enumerate(movements)
    ]
    for _ in range(rounds):
        _empty()
        for phase, given in (("load", movements), ("same", movements), ("changed", changed)):
            rate = len(given) / seconds(lambda given=given: act(given))  # type: ignore[misc]
            best[phase] = max(rate, best.get(phase, 0))
            _look_over()
        _check(len(movements))
    return best


def _post_exactly(account: Any, movements: Sequence[Any]) -> None:
    posted = post(account, movements)
    assert sum(asdict(posted).values()) == len(movements), posted
    assert not posted.conflicting, posted


def _check(count: int) -> None:
    """Nobody is fast by leaving something out."""
    from kvit.ledger.models import MoneyTransaction

    assert MoneyTransaction.objects.count() == count
    assert MoneyTransaction.objects.filter(message="changed").count() == (count + 99) // 100


def _empty() -> None:
    tables = ("audit_auditentry", "ledger_moneytransaction", "ledger_rawpayload")
    with connection.cursor() as cursor:
        for table in tables:
            if connection.vendor == "postgresql":
                cursor.execute(f"TRUNCATE {table} CASCADE")
            else:
                cursor.execute(f"DELETE FROM {table}")


def _look_over() -> None:
    """What PostgreSQL does by itself within a minute: plans would change in the middle of a round."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE ledger_moneytransaction")


def _bare_insert(movements: Sequence[Any], write: Writer) -> float:
    """Rows a second into a table without keys, the best of the rounds."""
    columns = movements[0]._fields[:-1]
    rows = [
        tuple(str(value) if isinstance(value, date) else value for value in movement[:-1])
        for movement in movements
    ]

    def act() -> None:
        with transaction.atomic():
            write(cursor, columns, rows)

    best = 0.0
    with connection.cursor() as cursor:
        for _ in range(ROUNDS):
            cursor.execute(f"CREATE TABLE bench_limit ({', '.join(map(_column, columns))})")
            best = max(best, len(rows) / seconds(act))
            cursor.execute("DROP TABLE bench_limit")
    return best


def _column(name: str) -> str:
    return f"{name} { {'amount_minor': 'bigint', 'is_bank_id': 'boolean'}.get(name, 'text') }"


def _write_copy(cursor: Any, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    with cursor.copy(f"COPY bench_limit ({', '.join(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _write_many(cursor: Any, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    marks = ", ".join(["%s"] * len(columns))
    cursor.executemany(f"INSERT INTO bench_limit ({', '.join(columns)}) VALUES ({marks})", rows)


def _dlt() -> Rates:
    url = settings.KVIT.database_url
    with tempfile.TemporaryDirectory(prefix="kvit-dlt-") as folder:
        command = [str(peer_python()), "-m", "benchmarks.dlt_peer", url, str(MOVEMENTS), folder]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {phase: MOVEMENTS / took for phase, took in json.loads(done.stdout.splitlines()[-1]).items()}


def _report_memory(database: str) -> None:
    """Peak memory of a process that streams everything through posting in batches."""
    command = [sys.executable, "-m", "benchmarks.ingest_memory", str(MOVEMENTS), str(BATCH)]
    _empty()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    told = json.loads(done.stdout)
    report(f"{database}.memory", told["peak"], unit="MB", after_imports=told["after_imports"])


def _report_readers(database: str) -> None:
    """How long a reader waits for the list of transactions, alone and while a load is going on."""
    _empty()
    movements = list(checked(MOVEMENTS))
    post(own_account(), movements)
    other = own_account("CZ5508000000001234567899")
    command = [sys.executable, "-m", "benchmarks.ingest_reader"]
    alone = _read_while(command, lambda: time.sleep(5))
    loaded = _read_while(
        command,
        lambda: [
            post(other, movements[start : start + BATCH], "bench:other")
            for start in range(0, len(movements), BATCH)
        ],
    )
    for share in ("p50", "p99", "longest"):
        report(
            f"{database}.readers",
            loaded[share],
            unit=f"ms {share}",
            peer="the same reader without a load",
            peer_value=alone[share],
            reads=loaded["reads"],
        )


def _read_while(command: Sequence[str], act: Callable[[], object]) -> Rates:
    """Let a reader's process read while something is done; it begins by saying that it is ready."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdin is not None
        reader.stdout.readline()
        act()
        reader.stdin.close()
        told: Rates = json.loads(reader.stdout.readline())
    return told


if __name__ == "__main__":
    main(*sys.argv[1:3])
