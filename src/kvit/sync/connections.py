"""What a person does with a connection: add it, test it, change it, pause it, ask for a sync."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.utils import timezone

from kvit.audit.recording import Actor, Change, audited_values, changed, created, record
from kvit.kernel.errors import Misconfigured, Refused, SealError
from kvit.plugin import Grant, Grants, Identity, Plugin, SourceFile
from kvit.sync import cron, files, schedule
from kvit.sync import grants as kept_grants
from kvit.sync.configuring import Values, config_fields, read_values, seal_credentials, values_of
from kvit.sync.gates import DatabaseTurnstile
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.sync.opening import client_for as client_for
from kvit.sync.opening import crashes_named, opened
from kvit.sync.opening import refuse_in_transaction as refuse_in_transaction
from kvit.sync.redaction import Redactor
from kvit.sync.registry import plugin_class
from kvit.sync.switches import require_switched_on
from kvit.users.models import Organization

CHECK_PATIENCE = timedelta(seconds=40)
"""A check may have to wait for a bank's interval, and a person for the check."""

STATEMENT_PLUGIN: Final = "statement_file"
"""Reads the files that people hand over; an organization has one connection of it."""

CREDENTIALS_ENTERED: Final = "credentials entered and tested"
"""The reason that the audit keeps of credentials entered again; they themselves are not in it."""

ACCESS_GRANTED: Final = "access granted again and tested"
SETTINGS_SAVED: Final = "settings tested and saved"

CHANGED_BY_PEOPLE: Final = (
    "name",
    "settings",
    "schema_version",
    "credentials_sealed",
    "account_key",
    "account_label",
    "state",
    "next_run_at",
    "credentials_entered_on",
    "credentials_expire_on",
)
"""What `change` writes; the cursor belongs to the run that may have moved it during the check."""


def check(
    plugin: type[Plugin[Any]],
    values: Values,
    *,
    connection: PluginConfiguration | None = None,
    grants: Grants | None = None,
    redactor: Redactor | None = None,
    is_draft: bool = False,
) -> Identity:
    """Ask the source whether these values work, and whose account they open.

    A plugin with Consent needs the connection that access was granted to, or the grants. With `is_draft` the
    values are not the connection's stored ones.
    Raises AuthExpired, RateLimited, Temporary or Misconfigured, and PluginCrashed for any mistake of its own.
    """
    turnstile = DatabaseTurnstile(patience=CHECK_PATIENCE)
    with (
        crashes_named(),
        opened(
            plugin,
            values,
            connection=connection,
            grants=grants,
            is_draft=is_draft,
            redactor=redactor,
            turnstile=turnstile,
            tries=1,
        ) as instance,
    ):
        return instance.check()


def add(
    organization: Organization,
    plugin_name: str,
    name: str | None,
    texts: Mapping[str, str],
    *,
    actor: Actor,
    uid: UUID | None = None,
) -> PluginConfiguration:
    """Test a new connection and keep it. Nothing is kept where the test fails.

    Without a name it is called as the account that the plugin finds. `uid` becomes its own: asked for twice
    with one, it is kept once, and the second time is refused.

    Raises PluginUnavailable, AuthExpired, RateLimited, Temporary, Misconfigured, or Refused where the
    name or the account is connected already.
    """
    plugin = plugin_class(plugin_name)
    require_switched_on(organization, plugin_name)
    if name is not None:
        name = _free_name(organization, name)
    values = read_values(plugin, texts)
    return keep_new(organization, plugin, name, values, check(plugin, values), actor=actor, uid=uid)


def keep_new(
    organization: Organization,
    plugin: type[Plugin[Any]],
    name: str | None,
    values: Values,
    identity: Identity,
    *,
    actor: Actor,
    uid: UUID | None = None,
    grant: Grant | None = None,
) -> PluginConfiguration:
    """Keep a new connection that was tested, with what was granted to it. Raises Refused as `add` does."""
    connection = PluginConfiguration(
        organization=organization,
        uid=uid or uuid4(),
        plugin=plugin.name,
        name=name or _name_of_account(organization, identity.label or plugin.title),
        settings=dict(values.settings),
        schema_version=plugin.schema_version,
        account_key=identity.key,
        account_label=identity.label,
        next_run_at=None if plugin.accepts_files else timezone.now(),
    )
    _keep_credentials(connection, values, grant)
    _note_expiry(connection, plugin, values, grant)
    with _said_once(identity), transaction.atomic():
        connection.save(force_insert=True)
        if grant is not None:
            kept_grants.keep(connection, grant)
        record(organization, actor, [created(connection)])
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
    kept = credentials_if_readable(connection)
    values = read_values(plugin, texts, kept=kept)
    identity = check(plugin, values, connection=connection, is_draft=True)
    are_entered = bool(values.credentials) and (values.credentials != kept or _are_entered(plugin, texts))
    return keep_changed(connection, plugin, name, values, identity, actor=actor, are_entered=are_entered)


def keep_changed(
    connection: PluginConfiguration,
    plugin: type[Plugin[Any]],
    name: str,
    values: Values,
    identity: Identity,
    *,
    actor: Actor,
    are_entered: bool,
    grant: Grant | None = None,
) -> PluginConfiguration:
    """Keep settings that were tested, and what was granted anew; the same account only.

    `are_entered` says whether a person gave credentials or access. Raises Refused as `change` does.
    """
    if connection.account_key and identity.key != connection.account_key:
        raise Refused(
            "These credentials open another account ({found}) than this connection's ({expected})."
            " Add a new connection for it.",
            found=identity.label,
            expected=connection.account_label,
        )
    connection.name = name
    connection.settings = dict(values.settings)
    connection.schema_version = plugin.schema_version
    connection.account_key = identity.key
    connection.account_label = identity.label
    connection.state = PluginConfiguration.State.OK
    connection.next_run_at = None if plugin.accepts_files else timezone.now()
    if are_entered:
        _keep_credentials(connection, values, grant)
    _note_expiry(connection, plugin, values, grant)
    with _said_once(identity), transaction.atomic():
        before = PluginConfiguration.objects.select_for_update().filter(pk=connection.pk).first()
        if before is None:
            raise Refused("The connection was deleted meanwhile.")
        connection.save(update_fields=CHANGED_BY_PEOPLE)
        if grant is not None:
            kept_grants.keep(connection, grant)
        reason = ACCESS_GRANTED if grant else CREDENTIALS_ENTERED if are_entered else SETTINGS_SAVED
        record(connection.organization, actor, [_change_by_a_person(before, connection, reason)])
    return connection


def _change_by_a_person(before: PluginConfiguration, after: PluginConfiguration, reason: str) -> Change:
    """What differs; that credentials were entered is told even where nothing else does."""
    old, new = audited_values(before), audited_values(after)
    written: dict[str, Any] = {name: new[name] for name in CHANGED_BY_PEOPLE if name in new}
    change = changed(after, old, written, reason=reason)
    if reason == SETTINGS_SAVED:
        return change
    day = "credentials_entered_on"
    return replace(
        change,
        before={**(change.before or {}), day: old[day]},
        after={**(change.after or {}), day: new[day]},
    )


def rename(connection: PluginConfiguration, name: str, *, actor: Actor) -> None:
    """Give the connection another name; nothing is tested for that.

    Raises Misconfigured where the name is empty or taken.
    """
    name = _free_name(connection.organization, name, but=connection)
    try:
        with transaction.atomic():
            before = PluginConfiguration.objects.select_for_update().get(pk=connection.pk).name
            PluginConfiguration.objects.filter(pk=connection.pk).update(name=name)
            record(connection.organization, actor, [changed(connection, {"name": before}, {"name": name})])
    except IntegrityError:
        raise _taken(name) from None
    connection.name = name


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
            if enabled:
                _come_no_later_than_scheduled(connection)
    connection.enabled = enabled


def set_schedule(connection: PluginConfiguration, expression: str, *, actor: Actor) -> None:
    """Let the connection sync by this cron expression; an empty one gives the plugin's own schedule back.

    The next run is planned anew from now on, except where the connection is paused or needs attention.
    Raises Misconfigured(field="schedule") for what is no schedule, and Refused where people hand it files.
    """
    if schedule.accepts_files(connection):
        raise Refused(
            "“{name}” reads the files that people hand over; it needs no schedule.", name=connection.name
        )
    text = cron.checked(expression) if expression.strip() else ""
    with transaction.atomic():
        row = PluginConfiguration.objects.select_for_update().get(pk=connection.pk)
        before, row.schedule = row.schedule, text
        if before != text:
            if row.enabled and row.state == PluginConfiguration.State.OK:
                row.next_run_at = schedule.next_run_at(row, timezone.now())
            row.save(update_fields=["schedule", "next_run_at"])
            record(row.organization, actor, [changed(row, {"schedule": before}, {"schedule": text})])
    connection.schedule, connection.next_run_at = row.schedule, row.next_run_at


def request_run(
    connection: PluginConfiguration,
    trigger: SyncHistory.Trigger,
    *,
    actor: Actor,
    handed: Sequence[SourceFile] = (),
) -> SyncHistory:
    """Queue a run, or return the one that is active already (a double click is one click).

    Raises Refused where the plugin is switched off, or files were handed over while another run is active.
    """
    require_switched_on(connection.organization, connection.plugin)
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


def credentials_if_readable(connection: PluginConfiguration) -> dict[str, Any]:
    """The stored credentials, or none where they cannot be opened: then all must be entered again."""
    try:
        return dict(values_of(connection).credentials)
    except SealError:
        return {}


def _come_no_later_than_scheduled(connection: PluginConfiguration) -> None:
    """Plan the next run by the schedule, which may have changed in a pause; one that is due stays due."""
    row = PluginConfiguration.objects.get(pk=connection.pk)
    planned = schedule.next_run_at(row, timezone.now())
    if planned is not None:
        PluginConfiguration.objects.filter(pk=row.pk, next_run_at__gt=planned).update(next_run_at=planned)


def _keep_credentials(connection: PluginConfiguration, values: Values, grant: Grant | None) -> None:
    """Seal what was entered today, and note the day; access is granted on a day as well."""
    connection.credentials_sealed = seal_credentials(connection, values.credentials)
    if values.credentials or grant is not None:
        today = timezone.localdate(timezone=ZoneInfo(connection.organization.time_zone))
        connection.credentials_entered_on = today


def _note_expiry(
    connection: PluginConfiguration, plugin: type[Plugin[Any]], values: Values, grant: Grant | None
) -> None:
    """Note until when credentials and access work, where plugin or source can tell; a setting may say it."""
    entered_on = connection.credentials_entered_on
    if entered_on is None:
        return
    turnstile = DatabaseTurnstile(patience=CHECK_PATIENCE)
    with crashes_named(), opened(plugin, values, turnstile=turnstile) as instance:
        last = instance.credentials_expire_on(entered_on)
    ends_on = grant.ends_on if grant else kept_grants.end_of(connection)
    connection.credentials_expire_on = min(filter(None, (last, ends_on)), default=None)


def _are_entered(plugin: type[Plugin[Any]], texts: Mapping[str, str]) -> bool:
    """Whether a person wrote any credential, be it the same one: a token may be renewed as it is."""
    return any(item.is_secret and texts.get(item.name, "").strip() for item in config_fields(plugin))


def _free_name(organization: Organization, name: str, but: PluginConfiguration | None = None) -> str:
    """The name without spaces around it. Raises Misconfigured where it is empty or another connection's."""
    name = name.strip()
    if not name:
        raise Misconfigured("Give the connection a name.", field="name")
    others = organization.connections.filter(name=name)
    if but is not None:
        others = others.exclude(pk=but.pk)
    if others.exists():
        raise _taken(name)
    return name


def _taken(name: str) -> Misconfigured:
    return Misconfigured("There is a connection named “{name}” already.", field="name", name=name)


def _name_of_account(organization: Organization, label: str) -> str:
    """The account's label, numbered where another connection is called so."""
    longest = 90
    label = label.strip()[:longest]
    taken = set(organization.connections.values_list("name", flat=True))
    numbered = (f"{label} ({number})" for number in itertools.count(2))
    return next(name for name in (label, *itertools.islice(numbered, len(taken))) if name not in taken)


@contextmanager
def _said_once(identity: Identity) -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise Refused(
            "{account} is connected already, or the name is taken.", account=identity.label
        ) from None
