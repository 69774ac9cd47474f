"""Connections and runs against the pretend Fio bank, in this process and in worker processes of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.db import connection as database
from django.db import transaction

from kvit import pipeline
from kvit.audit.recording import SYSTEM, changed, record
from kvit.kernel.money import Money
from kvit.ledger.models import MoneyTransaction
from kvit.plugin import Secret
from kvit.sync import connections, queue
from kvit.sync.configuring import open_credentials, seal_credentials
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.users.models import Organization
from tests.banks import fio
from tests.banks.fio import PRAGUE, TOKEN, FioBank
from tests.commands import Kvit

PATIENCE_SECONDS: Final = 90.0


def today() -> date:
    """The bank and the app live on the same real day."""
    return datetime.now(UTC).astimezone(PRAGUE).date()


def movement(id: int, amount: str, *, days_ago: int = 3, **texts: str) -> fio.Movement:
    booked_on = today() - timedelta(days=days_ago)
    return fio.Movement(id=id, booked_on=booked_on, amount=Decimal(amount), **texts)  # type: ignore[arg-type]  # names are the test's


def a_token(number: int) -> str:
    return f"Token{number:02d}" + "q" * 57


def a_connection(
    organization: Organization, bank: FioBank, *, name: str = "Fio", token: str = TOKEN
) -> PluginConfiguration:
    """Connect the bank as a person would, with a test of the credentials over HTTP."""
    texts = {"api_token": token, "base_url": bank.base_url, "token_interval_seconds": "0"}
    return connections.add(organization, "fio", name, texts, actor=SYSTEM)


def requested(connection: PluginConfiguration) -> SyncHistory:
    return connections.request_run(connection, SyncHistory.Trigger.MANUAL, actor=SYSTEM)


def claimed(connection: PluginConfiguration) -> queue.Claim:
    held = queue.claim(requested(connection))
    assert held is not None
    return held


def sync(connection: PluginConfiguration, **options: Any) -> SyncHistory:
    """Carry one run through the whole pipeline in this process and return it as stored.

    A run that was put back is carried out as if its time had come.
    """
    SyncHistory.objects.filter(connection=connection).update(not_before=None)
    held = claimed(connection)
    pipeline.carry_out(held, **options)
    return SyncHistory.objects.get(pk=held.run.pk)


def counts(run: SyncHistory) -> dict[str, int]:
    """The counters that are not zero."""
    names = ("fetched", "created", "updated", "unchanged", "conflicting", "quarantined")
    return {name: getattr(run, name) for name in names if getattr(run, name)}


def words(run: SyncHistory) -> str:
    return run.error_message.format(**run.error_params)


def log_of(run: SyncHistory) -> str:
    return "\n".join(line["text"] for line in run.log)


def replace_token(connection: PluginConfiguration, token: str) -> None:
    """Store another token without a test, as if the bank had withdrawn the good one."""
    credentials = open_credentials(connection) | {"api_token": Secret(token)}
    connection.credentials_sealed = seal_credentials(connection, credentials)
    connection.save(update_fields=["credentials_sealed"])


def change_settings(connection: PluginConfiguration, **settings: object) -> None:
    """Store settings without a test of the credentials, also such as a form would not accept."""
    before = {"settings": connection.settings}
    connection.settings = {**connection.settings, **settings}
    with transaction.atomic():
        connection.save(update_fields=["settings"])
        after = {"settings": connection.settings}
        record(connection.organization, SYSTEM, [changed(connection, before, after)])


def told(movements: list[fio.Movement]) -> list[tuple[object, ...]]:
    """What the bank's own list says, in comparable form."""
    return sorted(
        (
            str(row.id),
            Money.of(row.amount, row.currency).minor,
            row.currency,
            row.booked_on,
            row.variable_symbol,
            row.constant_symbol,
            row.specific_symbol,
        )
        for row in movements
    )


def stored(organization: Organization) -> list[tuple[object, ...]]:
    """What the ledger holds, in the same form."""
    return sorted(
        MoneyTransaction.objects.filter(organization=organization).values_list(
            "external_id",
            "amount_minor",
            "currency",
            "booked_on",
            "variable_symbol",
            "constant_symbol",
            "specific_symbol",
        )
    )


def wait_until(holds: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "It did not happen in time."
        time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Worker:
    """A real `kvit worker`; its log goes to a file."""

    process: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def pause(self) -> None:
        """Stop the process wherever it is, as a machine that goes to sleep does."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def events(self, name: str) -> list[Mapping[str, Any]]:
        return _events(self.log.read_text(errors="replace"), name)


@dataclass(slots=True)
class Installation:
    """Processes of the real command on the database of the tests."""

    kvit: Kvit
    folder: Path
    started: int = 0

    @contextmanager
    def worker(self) -> Iterator[Worker]:
        self.started += 1
        path = self.folder / f"worker-{self.started}.log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                self.kvit.command("worker"), env=self.kvit.environment(), stdout=log, stderr=log, cwd=fio.ROOT
            )
        try:
            yield Worker(process, path)
        finally:
            process.kill()
            process.wait()

    def events(self, name: str) -> list[Mapping[str, Any]]:
        """What all workers so far logged about an event."""
        return _events(self.logs(), name)

    def logs(self) -> str:
        return "".join(path.read_text(errors="replace") for path in self.folder.glob("worker-*.log"))


def _events(log: str, name: str) -> list[Mapping[str, Any]]:
    """The whole lines about an event; a killed worker may leave half a line."""
    lines = log.splitlines()
    return [json.loads(line) for line in lines if f'"{name}"' in line and line.endswith("}")]


def installation_at(folder: Path, **variables: str) -> Installation:
    """Point a data folder's database, or PostgreSQL's URL, at the database of the tests."""
    env = {"KVIT_LOG_FORMAT": "json", "KVIT_LEASE_SECONDS": "30", **variables}
    data = folder / "data"
    data.mkdir()
    for key in ("master.key", "secret.key"):
        (data / key).symlink_to(settings.KVIT.data_dir / key)
    chosen = database.settings_dict
    if database.vendor == "sqlite":
        (data / "kvit.sqlite3").symlink_to(chosen["NAME"])
    else:
        url = urlsplit(settings.KVIT.database_url)
        env["KVIT_DATABASE_URL"] = urlunsplit(url._replace(path=f"/{chosen['NAME']}"))
    return Installation(Kvit(data, env), folder)
