"""What a person does with a connection: add it, test it, change it, pause it, ask for a sync."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db import connection as database
from django.utils import timezone

from kvit.audit.recording import Actor, changed, created, record
from kvit.kernel.errors import KvitError, Misconfigured, PluginCrashed, Refused, SealError
from kvit.plugin import Identity, Plugin, SourceFile
from kvit.sync import files
from kvit.sync.configuring import Values, make_config, read_values, seal_credentials, values_of
from kvit.sync.gates import DatabaseTurnstile
from kvit.sync.http import HttpClient
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.sync.redaction import Redactor
from kvit.sync.registry import plugin_class
from kvit.users.models import Organization

CHECK_PATIENCE = timedelta(seconds=40)
"""A check may have to wait for a bank's interval, and a person for the check."""

STATEMENT_PLUGIN: Final = "statement_file"
"""Reads the files that people hand over; an organization has one connection of it."""

CHANGED_BY_PEOPLE: Final = (
    "name",
    "settings",
    "schema_version",
    "credentials_sealed",
    "account_key",
    "account_label",
    "state",
    "next_run_at",
)
"""What `change` writes; the cursor belongs to the run that may have moved it during the check."""


def check(plugin: type[Plugin[Any]], values: Values) -> Identity:
    """Ask the source whether these values work, and whose account they open.

    Raises AuthExpired, RateLimited, Temporary or Misconfigured, and PluginCrashed for any mistake of its own.
    """
    with client_for(values, DatabaseTurnstile(patience=CHECK_PATIENCE)) as http:
        try:
            return plugin(make_config(plugin, values), http).check()
        except KvitError:
            raise
        except Exception as error:  # noqa: BLE001  # its message may hold a secret
            raise PluginCrashed(kind=type(error).__name__) from None


def add(
    organization: Organization,
    plugin_name: str,
    name: str,
    texts: Mapping[str, str],
    *,
    actor: Actor,
) -> PluginConfiguration:
    """Test a new connection and keep it. Nothing is kept where the test fails.

    Raises PluginUnavailable, AuthExpired, RateLimited, Temporary, Misconfigured, or Refused where the
    name or the account is connected already.
    """
    plugin = plugin_class(plugin_name)
    name = name.strip()
    if not name:
        raise Misconfigured("Give the connection a name.", field="name")
    if organization.connections.filter(name=name).exists():
        raise Misconfigured("There is a connection named “{name}” already.", field="name", name=name)
    values = read_values(plugin, texts)
    identity = check(plugin, values)
    connection = PluginConfiguration(
        organization=organization,
        plugin=plugin_name,
        name=name,
        settings=dict(values.settings),
        schema_version=plugin.schema_version,
        account_key=identity.key,
        account_label=identity.label,
        next_run_at=None if plugin.accepts_files else timezone.now(),
    )
    connection.credentials_sealed = seal_credentials(connection, values.credentials)
    with _said_once(identity), transaction.atomic():
        connection.save(force_insert=True)
        record(organization, actor, [created(connection, "plugin", "name", "settings", "account_key")])
    return connection


def statement_connection(organization: Organization, *, actor: Actor) -> PluginConfiguration:
    """Return the organization's connection for statement files; the first import makes it.

    Raises what `add` raises.
    """
    connections = organization.connections.filter(plugin=STATEMENT_PLUGIN)
    existing = connections.first()
    if existing is not None:
        return existing
    try:
        return add(organization, STATEMENT_PLUGIN, plugin_class(STATEMENT_PLUGIN).title, {}, actor=actor)
    except (Refused, Misconfigured):
        made_meanwhile = connections.first()
        if made_meanwhile is None:
            raise
        return made_meanwhile


def change(
    connection: PluginConfiguration, name: str, texts: Mapping[str, str], *, actor: Actor
) -> PluginConfiguration:
    """Test changed settings and keep them; an empty credential stays as it was, history stays always.

    Raises what `add` raises, and Refused where the credentials open a different account.
    """
    plugin = plugin_class(connection.plugin)
    name = name.strip() or connection.name
    values = read_values(plugin, texts, kept=_credentials_if_readable(connection))
    identity = check(plugin, values)
    if connection.account_key and identity.key != connection.account_key:
        raise Refused(
            "These credentials open another account ({found}) than this connection's ({expected})."
            " Add a new connection for it.",
            found=identity.label,
            expected=connection.account_label,
        )
    before = {"name": connection.name, "settings": connection.settings, "state": connection.state}
    connection.name = name
    connection.settings = dict(values.settings)
    connection.schema_version = plugin.schema_version
    connection.account_key = identity.key
    connection.account_label = identity.label
    connection.state = PluginConfiguration.State.OK
    connection.next_run_at = None if plugin.accepts_files else timezone.now()
    connection.credentials_sealed = seal_credentials(connection, values.credentials)
    after = {"name": connection.name, "settings": connection.settings, "state": connection.state}
    with _said_once(identity), transaction.atomic():
        connection.save(update_fields=CHANGED_BY_PEOPLE)
        record(
            connection.organization,
            actor,
            [changed(connection, before, after, reason="settings and credentials tested and saved")],
        )
    return connection


def set_enabled(connection: PluginConfiguration, enabled: bool, *, actor: Actor) -> None:
    """Resume or pause the schedule of a connection; a run that is under way goes on."""
    with transaction.atomic():
        changed_rows = PluginConfiguration.objects.filter(pk=connection.pk, enabled=not enabled).update(
            enabled=enabled
        )
        if changed_rows:
            record(
                connection.organization,
                actor,
                [changed(connection, {"enabled": not enabled}, {"enabled": enabled})],
            )
    connection.enabled = enabled


def request_run(
    connection: PluginConfiguration,
    trigger: SyncHistory.Trigger,
    *,
    actor: Actor,
    handed: Sequence[SourceFile] = (),
) -> SyncHistory:
    """Queue a run, or return the one that is active already (a double click is one click).

    Raises Refused where files were handed over while another run is active.
    """
    try:
        with transaction.atomic():
            run = SyncHistory.objects.create(
                organization=connection.organization,
                connection=connection,
                trigger=trigger,
                requested_by=actor.name,
            )
            files.keep(run, handed)
            return run
    except IntegrityError:
        active = SyncHistory.objects.filter(connection=connection).active().first()
        if active is None:
            return request_run(connection, trigger, actor=actor, handed=handed)
        if handed:
            raise Refused("Another import is under way. Try again when it has ended.") from None
        return active


@contextmanager
def client_for(values: Values, turnstile: DatabaseTurnstile, **options: Any) -> Iterator[HttpClient]:
    """Give the HTTP client for one connection; it masks its secrets and refuses to work in a transaction."""
    http = HttpClient(
        redactor=Redactor(values.credentials.values()),
        turnstile=turnstile,
        **{"before_request": refuse_in_transaction, **options},
    )
    try:
        yield http
    finally:
        http.close()


def refuse_in_transaction() -> None:
    """Raise RuntimeError inside a database transaction: the network never holds its locks."""
    if database.in_atomic_block:
        raise RuntimeError("The network is never used inside a database transaction.")


def _credentials_if_readable(connection: PluginConfiguration) -> dict[str, Any]:
    """The stored credentials, or none where they cannot be opened: then all must be entered again."""
    try:
        return dict(values_of(connection).credentials)
    except SealError:
        return {}


@contextmanager
def _said_once(identity: Identity) -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise Refused(
            "{account} is connected already, or the name is taken.", account=identity.label
        ) from None
