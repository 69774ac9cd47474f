"""What happened to a connection itself, told from the audit in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.utils.translation import gettext as _

from kvit.audit.models import AuditEntry
from kvit.kernel.errors import PluginUnavailable
from kvit.sync import schedule
from kvit.sync.configuring import ConfigField, config_fields
from kvit.sync.connections import ACCESS_GRANTED, CREDENTIALS_ENTERED
from kvit.sync.consents import CONSENT_REFUSED
from kvit.sync.models import PluginConfiguration
from kvit.sync.registry import plugin_class
from kvit.users.scoping import Access
from kvit.web.words import day_text

ENTRIES_ON_A_PAGE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change of the connection, by one person or program."""

    at: datetime
    actor: str
    run_id: int | None
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Events, the newest first, and where the older ones begin."""

    events: tuple[Event, ...]
    older_before: int | None


def events_of(connection: PluginConfiguration, access: Access, before: int | None = None) -> Page:
    """Return a page of events older than the audit entry `before`, or the newest ones."""
    table = PluginConfiguration._meta.db_table
    entries = access.within(AuditEntry.objects.filter(table=table, object_id=connection.pk))
    if before is not None:
        entries = entries.filter(pk__lt=before)
    found = list(entries.order_by("-id")[: ENTRIES_ON_A_PAGE + 1])
    shown = found[:ENTRIES_ON_A_PAGE]
    fields = _fields(connection)
    told = [(entry, tuple(_sentences(entry, fields))) for entry in shown]
    return Page(
        events=tuple(
            Event(at=entry.at, actor=entry.actor, run_id=entry.run_id, sentences=sentences)
            for entry, sentences in told
            if sentences
        ),
        older_before=shown[-1].pk if len(found) > len(shown) else None,
    )


def _sentences(entry: AuditEntry, fields: Mapping[str, ConfigField]) -> Iterator[str]:
    before, after = entry.before or {}, entry.after or {}
    if entry.action == AuditEntry.Action.CREATED:
        account = after.get("account_label") or after.get("account_key", "")
        yield _("Connected: {account}").format(account=account) if account else _("Connected.")
        return
    if entry.reason == CREDENTIALS_ENTERED:
        yield _("The credentials were entered again; they work.")
    if entry.reason == ACCESS_GRANTED:
        yield _("Access was granted again; it works.")
    if entry.reason.startswith(CONSENT_REFUSED):
        yield _("An answer from the source's page was refused.")
    yield from _about_state(before, after)
    if "name" in after:
        yield _("Renamed from “{old}” to “{new}”.").format(old=before.get("name", ""), new=after["name"])
    if "settings" in after:
        yield from _about_settings(before.get("settings") or {}, after["settings"] or {}, fields)
    if "schedule" in after:
        yield _about_schedule(after["schedule"])
    if after.get("credentials_expire_on"):
        last = date.fromisoformat(after["credentials_expire_on"])
        yield _("The credentials work until {day}.").format(day=day_text(last))


def _about_state(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    if after.get("enabled") is True:
        yield _("Resumed.")
    elif after.get("enabled") is False:
        yield _("Paused.")
    if after.get("state") == PluginConfiguration.State.NEEDS_ATTENTION:
        yield _("The schedule stopped: the connection needs attention.")
    elif after.get("state") == PluginConfiguration.State.OK and "state" in before:
        yield _("The connection is in order again.")


def _about_settings(
    before: Mapping[str, Any], after: Mapping[str, Any], fields: Mapping[str, ConfigField]
) -> Iterator[str]:
    for name in (*after, *(name for name in before if name not in after)):
        if before.get(name) == after.get(name):
            continue
        label = _(fields[name].label) if name in fields else name
        yield _("“{label}” changed from “{old}” to “{new}”.").format(
            label=label, old=_shown(before.get(name)), new=_shown(after.get(name))
        )


def _about_schedule(expression: str) -> str:
    if not expression:
        return _("Synced as often as the plugin proposes.")
    return _("New schedule: {words}.").format(words=schedule.in_words(expression))


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return "–" if value in (None, "") else str(value)


def _fields(connection: PluginConfiguration) -> dict[str, ConfigField]:
    try:
        plugin = plugin_class(connection.plugin)
    except PluginUnavailable:
        return {}
    return {item.name: item for item in config_fields(plugin)}
