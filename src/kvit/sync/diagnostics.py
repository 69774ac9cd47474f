"""What a person may send along with a question: how a connection does, with everything private left out.

The bundle is an allow-list: only what is named here goes in. Text that somebody else wrote (a plugin's log,
the parts of an error, a setting) is masked on top of that: credentials, the names of counterparties and
clients, account numbers and other long numbers, addresses' user part and query, e-mail addresses.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import django
from django.db import connection as database
from django.db.models import Count

from kvit.kernel.errors import PluginUnavailable, SealError
from kvit.ledger.models import MoneyTransaction
from kvit.plugin import Plugin
from kvit.sync.configuring import config_fields, open_credentials
from kvit.sync.models import PluginConfiguration, SourceAccount, SyncHistory
from kvit.sync.redaction import MASK, Redactor
from kvit.sync.registry import plugin_class
from kvit.users.models import Organization
from kvit.work.models import Client

FORMAT: Final = 1
"""Grows when a reader of older bundles would misread a new one."""
RUNS: Final = 20
SHORTEST_NAME: Final = 3
"""Shorter names of counterparties would mask ordinary words."""

_ADDRESS: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s\"'<>]+")
_EMAIL: Final = re.compile(r"[^\s@<>,;:\"'()]+@[^\s@<>,;:\"'()]+\.\w+")
_IBAN: Final = re.compile(r"\b[A-Z]{2}\d{2}(?:[ \u00a0]?[A-Z0-9]{4}){2,7}(?:[ \u00a0]?[A-Z0-9]{1,3})?\b")
_NUMBER: Final = re.compile(r"(?:\d{1,6}-)?\d{2,10}/\d{4}\b|(?:\d{1,6}-)?\d{6,}|\d{4}(?:[ \u00a0]\d{4})+")
_OPAQUE: Final = re.compile(r"[A-Za-z0-9+_=~-]{20,}")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?")
_COUNTERS: Final = ("fetched", "created", "updated", "unchanged", "conflicting", "quarantined", "warnings")


def of_connection(connection: PluginConfiguration, now: datetime) -> dict[str, Any]:
    """Return the bundle of one connection as JSON values."""
    return {
        **_head(now),
        "connections": [_connection(connection, _Mask.of(connection.organization, [connection]))],
    }


def of_organization(organization: Organization, now: datetime) -> dict[str, Any]:
    """Return the bundle of all connections of the organization as JSON values."""
    rows = list(organization.connections.order_by("id"))
    mask = _Mask.of(organization, rows)
    return {**_head(now), "connections": [_connection(row, mask) for row in rows]}


def _head(now: datetime) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "made_at": now.isoformat(),
        "versions": {
            "kvit": version("kvit"),
            "python": platform.python_version(),
            "django": django.get_version(),
            "database": f"{database.vendor} {'.'.join(map(str, database.get_database_version()))}",
        },
    }


def _connection(row: PluginConfiguration, mask: _Mask) -> dict[str, Any]:
    plugin = _plugin(row)
    runs = row.runs.all()
    return {
        "id": row.pk,
        "plugin": row.plugin,
        "plugin_version": plugin.version if plugin else None,
        "schema_version": row.schema_version,
        "settings": _settings(row, plugin, mask),
        "accounts": [_account(source) for source in row.accounts.select_related("account").order_by("id")],
        "enabled": row.enabled,
        "state": row.state,
        "schedule": row.schedule,
        "cursor": {key: mask.value(value) for key, value in row.cursor.items()},
        "times": _moments(
            row,
            "created_at",
            "credentials_entered_on",
            "credentials_expire_on",
            "next_run_at",
            "last_success_at",
            "failing_since",
        ),
        "runs_by_status": dict(
            runs.order_by().values_list("status").annotate(count=Count("id")).order_by("status")
        ),
        "quarantined_open": row.quarantined_records.filter(resolved_at=None).count(),
        "runs": [_run(run, mask) for run in runs[:RUNS]],
    }


def _run(run: SyncHistory, mask: _Mask) -> dict[str, Any]:
    return {
        "id": run.pk,
        "status": run.status,
        "trigger": run.trigger,
        "requested_by": run.requested_by.partition(":")[0],
        "plugin_version": run.plugin_version,
        "today": _plain(run.today),
        "replays": run.replays_id,
        "times": _moments(
            run,
            "created_at",
            "not_before",
            "started_at",
            "finished_at",
            "cancel_requested_at",
            "reverted_at",
        ),
        "attempts": run.attempts,
        "takeovers": run.takeovers,
        "fence": run.fence,
        "counters": {name: getattr(run, name) for name in _COUNTERS},
        "error": {
            "kind": run.error_kind,
            "message": mask.text(run.error_message),
            "params": {name: mask.value(value) for name, value in run.error_params.items()},
        },
        "log": [_line(line, mask) for line in run.log],
    }


def _line(line: Mapping[str, Any], mask: _Mask) -> dict[str, Any]:
    return {
        "at": line.get("at"),
        "level": line.get("level", "info"),
        "text": mask.text(str(line.get("text", ""))),
    }


def _account(source: SourceAccount) -> dict[str, Any]:
    return {
        "number": last_digits(source.account.number),
        "currency": source.account.currency,
        "seen_at": source.seen_at.isoformat(),
    }


def _settings(
    row: PluginConfiguration, plugin: type[Plugin[Any]] | None, mask: _Mask
) -> dict[str, Any] | list[str]:
    """The values of the fields that the plugin declares as no secret; without the plugin only their names."""
    if plugin is None:
        return sorted(row.settings)
    shown = [item.name for item in config_fields(plugin) if not item.is_secret and item.name in row.settings]
    return {name: mask.setting(row.settings[name]) for name in shown}


def _plugin(row: PluginConfiguration) -> type[Plugin[Any]] | None:
    try:
        return plugin_class(row.plugin)
    except PluginUnavailable:
        return None


def _moments(row: PluginConfiguration | SyncHistory, *names: str) -> dict[str, str | None]:
    return {name: _plain(getattr(row, name)) for name in names}


def _plain(value: date | datetime | None) -> str | None:
    return None if value is None else value.isoformat()


def last_digits(number: str) -> str:
    """`CZ65 0800 0000 1920 0014 5399` → `…5399`; a bank code after a slash is not part of the number."""
    digits = re.sub(r"\D", "", number.partition("/")[0])
    return f"…{digits[-4:]}"


@dataclass(frozen=True, slots=True)
class _Mask:
    """Hides what is private in text that others wrote."""

    credentials: Redactor
    names: Sequence[str]
    """Of counterparties and clients, the longest first, in lower case."""

    @classmethod
    def of(cls, organization: Organization, rows: Iterable[PluginConfiguration]) -> _Mask:
        secrets = [secret for row in rows for secret in _secrets(row)]
        return cls(Redactor(secrets), _names(organization))

    def setting(self, value: Any) -> Any:
        """A setting's number or truth as it is; of its text what is private is masked."""
        return self.text(value) if isinstance(value, str) else value

    def value(self, value: Any) -> Any:
        """A part of an error or a cursor: dates and small numbers as they are, anything else hidden."""
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int | float):
            return value if abs(value) < 100_000 else MASK
        is_date = isinstance(value, str) and _DATE.fullmatch(value)
        return value if is_date else MASK

    def text(self, text: str) -> str:
        text = self.credentials.mask(text)
        text = self._without_names(text)
        text = _EMAIL.sub(MASK, _ADDRESS.sub(_bare_address, text))
        text = _IBAN.sub(lambda found: last_digits(found[0]), text)
        return _NUMBER.sub(lambda found: last_digits(found[0]), _OPAQUE.sub(_opaque, text))

    def _without_names(self, text: str) -> str:
        folded = text.casefold()
        for name in self.names:
            if name in folded:
                text = re.sub(re.escape(name), MASK, text, flags=re.IGNORECASE)
                folded = text.casefold()
        return text


def _secrets(row: PluginConfiguration) -> Iterable[Any]:
    """The stored credentials; those that cannot be opened could not get into a log either."""
    try:
        return open_credentials(row).values()
    except SealError:
        return ()


def _names(organization: Organization) -> list[str]:
    counterparties = (
        MoneyTransaction.objects.filter(organization=organization)
        .order_by()
        .values_list("counterparty_name", flat=True)
        .distinct()
    )
    clients = Client.objects.filter(organization=organization).values_list("name", flat=True)
    names = {name.strip().casefold() for name in (*counterparties, *clients)}
    return sorted((name for name in names if len(name) >= SHORTEST_NAME), key=len, reverse=True)


def _bare_address(found: re.Match[str]) -> str:
    """The address without user, password, query and fragment."""
    try:
        parts = urlsplit(found[0])
    except ValueError:
        return MASK
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, MASK if parts.query else "", ""))


def _opaque(found: re.Match[str]) -> str:
    """Mask what looks like a token: long, without spaces, of letters and digits."""
    text = found[0]
    is_token = any(sign.isdigit() for sign in text) and any(sign.isalpha() for sign in text)
    return MASK if is_token or len(text) >= 40 else text
