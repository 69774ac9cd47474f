"""`kvit demo`: an invented business whose pretend bank is read through real HTTP."""

from __future__ import annotations

import argparse
import logging
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection as database_connection
from django.utils import timezone

from kvit import tasks
from kvit.audit.recording import COMMAND
from kvit.cli import database, demo_business, serving
from kvit.cli.demo_bank import bank_command, read_token, running_bank, write_bank_file, write_private
from kvit.cli.runs import RunFailed, carry_out
from kvit.cli.supervisor import Supervisor
from kvit.dashboard.figures import to_review
from kvit.invoices.models import Invoice
from kvit.kernel.errors import PluginError, SealError
from kvit.ledger.models import MoneyTransaction
from kvit.plugin import Secret
from kvit.sync import connections
from kvit.sync.configuring import values_of
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.sync.registry import plugin_class
from kvit.users.models import Organization

PLUGIN: Final = "demo_bank"
CONNECTION: Final = "Demo banka"
_TIME_ZONE: Final = ZoneInfo("Europe/Prague")


def demo(options: argparse.Namespace) -> int:
    """Make the demo where it is not there yet, sync, match and print a summary; then serve it if asked to."""
    if options.serve:
        serving.require_free_port(options.host, options.port)
    database.bring_up_to_date()
    folder = settings.KVIT.data_dir / "demo"
    folder.mkdir(mode=0o700, exist_ok=True)
    today = timezone.now().astimezone(_TIME_ZONE).date()
    password = _password(folder / "password")
    organization = _organization(today)
    demo_business.let_in(organization, password)
    bank_file = folder / "bank.json"
    write_bank_file(bank_file, organization, today)
    address = _sync(organization, bank_file, keep_running=options.serve)
    print("\n".join(_summary(organization, today)), flush=True)
    where = f" at {serving.address(options)}" if options.serve else ""
    print(f"Sign in{where} as {demo_business.EMAIL}, password {password}", flush=True)
    if options.serve:
        _serve(options, bank_file, address)
    else:
        print("“kvit demo --serve” serves the pages and keeps the pretend bank running.")
    return 0


def _password(path: Path) -> str:
    """Return the owner's password: invented the first time and kept in this file."""
    if not path.exists():
        write_private(path, f"kvit-{secrets.token_hex(5)}")
    return path.read_text(encoding="utf-8").strip()


def _organization(today: date) -> Organization:
    found = Organization.objects.filter(name=demo_business.ORGANIZATION).first()
    return found or demo_business.make(today)


def _sync(organization: Organization, bank_file: Path, *, keep_running: bool) -> str:
    """Read the bank through HTTP, match, and return the bank's address. Raises RunFailed."""
    with _bank(organization, bank_file) as (address, is_ours):
        connection = _connected(organization, address, Secret(read_token(bank_file)))
        run = carry_out(connections.request_run(connection, SyncHistory.Trigger.MANUAL, actor=COMMAND))
    if run.status == SyncHistory.Status.FAILED:
        raise RunFailed(run.error_message, **run.error_params)
    if is_ours:
        connections.set_enabled(connection, keep_running, actor=COMMAND)
    return address


@contextmanager
def _bank(organization: Organization, bank_file: Path) -> Iterator[tuple[str, bool]]:
    """Give the bank's address and whether we run it: another `kvit demo --serve` may do so already."""
    connection = _connection_of(organization)
    if connection is not None and _answers(connection):
        yield str(connection.settings["base_url"]), False
        return
    with running_bank(bank_file, _port_of(connection)) as address:
        yield address, True


def _connected(organization: Organization, address: str, token: Secret) -> PluginConfiguration:
    """Return the connection to the bank at this address, added or changed where it has to be."""
    texts = {"base_url": address, "api_token": token.reveal()}
    connection = _connection_of(organization)
    if connection is None:
        return connections.add(organization, PLUGIN, CONNECTION, texts, actor=COMMAND)
    if connection.settings["base_url"] != address or _token_of(connection) != token:
        return connections.change(connection, connection.name, texts, actor=COMMAND)
    return connection


def _connection_of(organization: Organization) -> PluginConfiguration | None:
    return organization.connections.select_related("organization").filter(plugin=PLUGIN).first()


def _token_of(connection: PluginConfiguration) -> Secret | None:
    try:
        return values_of(connection).credentials.get("api_token")
    except SealError:
        return None


def _port_of(connection: PluginConfiguration | None) -> int:
    """The port the bank had the last time: the connection remembers it. 0 before the first time."""
    return 0 if connection is None else urlsplit(str(connection.settings["base_url"])).port or 0


def _answers(connection: PluginConfiguration) -> bool:
    """Whether the bank of this connection runs already and is ours."""
    try:
        socket.create_connection(("127.0.0.1", _port_of(connection)), timeout=1).close()
        return bool(connections.check(plugin_class(PLUGIN), values_of(connection)).key)
    except (OSError, PluginError, SealError):
        return False


def _summary(organization: Organization, today: date) -> Iterator[str]:
    invoices = Invoice.objects.filter(organization=organization)
    movements = MoneyTransaction.objects.filter(organization=organization)
    run = SyncHistory.objects.filter(organization=organization).latest("id")
    issued = Invoice.objects.open().filter(organization=organization)
    overdue = Invoice.objects.overdue(today).filter(organization=organization)
    yield organization.name
    yield f"  movements {movements.count()} (created {run.created}, unchanged {run.unchanged})"
    yield f"  invoices {invoices.count()}"
    yield f"  paid {invoices.filter(state=Invoice.State.PAID).count()}"
    yield f"  open {issued.count()}, of which overdue {overdue.count()}"
    yield f"  drafts {invoices.filter(state=Invoice.State.DRAFT).count()}"
    yield f"  to review {to_review(organization)}"


def _serve(options: argparse.Namespace, bank_file: Path, address: str) -> None:
    """Keep bank, web and worker running until this process is asked to stop."""
    database_connection.close()
    logging.getLogger().setLevel(logging.INFO)
    supervisor = Supervisor()
    supervisor.add(bank_command(bank_file, urlsplit(address).port or 0), silent=True)
    for command in serving.processes(options):
        supervisor.add(command)
    print(f"Kvit is at {serving.address(options)} – stop it with Ctrl-C.", flush=True)
    supervisor.run_until(tasks.stop_on_signals())
