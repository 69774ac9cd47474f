"""`kvit connection`: banks and other sources that are connected."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from getpass import getpass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone

from kvit.audit.recording import COMMAND
from kvit.cli.arguments import Assignment
from kvit.cli.organizations import all_or, the_only
from kvit.cli.tables import table
from kvit.kernel.errors import Refused
from kvit.plugin import Plugin
from kvit.sync import connections, schedule
from kvit.sync.configuring import config_fields, values_of
from kvit.sync.models import PluginConfiguration
from kvit.sync.registry import plugin_class
from kvit.users.models import Organization


def add(options: argparse.Namespace) -> int:
    """Test a new connection and keep it."""
    organization = the_only(options.organization)
    texts = texts_of(plugin_class(options.plugin), options.setting, options.credential)
    connection = connections.add(organization, options.plugin, options.name, texts, actor=COMMAND)
    print(f"“{connection.name}” works and is connected: {connection.account_label}.")
    return 0


def show(options: argparse.Namespace) -> int:
    """Print the connections, their state and when they run next."""
    organizations = all_or(options.organization)
    rows = PluginConfiguration.objects.filter(organization__in=organizations).select_related("organization")
    found = list(rows.order_by("organization__name", "name"))
    if not found:
        print("There is no connection yet; “kvit connection add” makes one.")
        return 0
    headings = ["Name", "Plugin", "Account", "State", "Next sync", "Organization"]
    columns = len(headings) if len(organizations) > 1 else len(headings) - 1
    lines = [headings, *([*_described(connection)] for connection in found)]
    print("\n".join(table([line[:columns] for line in lines])))
    return 0


def check(options: argparse.Namespace) -> int:
    """Test a connection with what is stored for it; nothing is changed."""
    connection = named(the_only(options.organization), options.name)
    identity = connections.check(
        plugin_class(connection.plugin), values_of(connection), connection=connection
    )
    if connection.account_key and identity.key != connection.account_key:
        raise Refused(
            "The credentials of “{name}” open another account ({found}) than before ({expected}).",
            name=connection.name,
            found=identity.label,
            expected=connection.account_label,
        )
    print(f"“{connection.name}” works: {identity.label}.")
    return 0


def set_schedule(options: argparse.Namespace) -> int:
    """Change when a connection is synced and print the next times on the organization's clock."""
    connection = named(the_only(options.organization), options.name)
    connections.set_schedule(connection, _expression(options.expression), actor=COMMAND)
    print(f"“{connection.name}”: {schedule.in_words(schedule.expression_of(connection))}.")
    zone = ZoneInfo(connection.organization.time_zone)
    moments = schedule.upcoming(connection, timezone.now())
    if moments:
        print("Next syncs: " + ", ".join(f"{at.astimezone(zone):%Y-%m-%d %H:%M}" for at in moments))
    else:
        print("It is paused or needs attention; no sync is planned.")
    return 0


def named(organization: Organization, name: str) -> PluginConfiguration:
    """Return the organization's connection of this name. Raises Refused, listing those there are."""
    connection = organization.connections.select_related("organization").filter(name=name).first()
    if connection is None:
        names = ", ".join(f"“{known}”" for known in organization.connections.values_list("name", flat=True))
        raise Refused("There is no connection “{name}”; there is {names}.", name=name, names=names or "none")
    return connection


def texts_of(
    plugin: type[Plugin[Any]], settings: list[Assignment], credentials: list[Assignment]
) -> Mapping[str, str]:
    """Gather what a person gave for the plugin's fields and ask for the required credentials left out.

    Raises Refused for a credential that stands on the command line or lies nowhere, and for a setting that
    was given as a credential.
    """
    secrets = {item.name: item for item in config_fields(plugin) if item.is_secret}
    for given in settings:
        if given.name in secrets:
            raise Refused(
                "“{name}” is a credential and does not belong on the command line."
                " Write --credential {name}=@env:VARIABLE or {name}=@file:PATH.",
                name=given.name,
            )
    known = {item.name for item in config_fields(plugin)}
    for given in credentials:
        if given.name in known and given.name not in secrets:
            raise Refused(
                "“{name}” is a setting, not a credential: write --setting {name}=VALUE.", name=given.name
            )
    texts = {given.name: given.value for given in settings}
    texts |= {given.name: _fetched(given) for given in credentials}
    for name, item in secrets.items():
        if name not in texts and item.is_required:
            texts[name] = _asked(name, item.label)
    return texts


def _expression(text: str) -> str:
    """The cron expression that a person's word stands for; `default` is the plugin's own schedule."""
    words = {preset.key: preset.expression for preset in schedule.PRESETS} | {"default": ""}
    return words.get(text, text)


def _described(connection: PluginConfiguration) -> tuple[str, ...]:
    next_run = connection.next_run_at
    return (
        connection.name,
        connection.plugin,
        connection.account_label,
        connection.get_state_display() if connection.enabled else "paused",
        timezone.localtime(next_run).strftime("%Y-%m-%d %H:%M") if next_run and connection.enabled else "–",
        connection.organization.name,
    )


def _fetched(given: Assignment) -> str:
    """Read a credential from where the command line says it is."""
    kind, _, place = given.value.partition(":")
    if kind == "@env":
        if not os.environ.get(place):
            raise Refused(
                "The environment variable {variable} for “{name}” is not set.",
                variable=place,
                name=given.name,
            )
        return os.environ[place]
    try:
        return Path(place).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise Refused("The file {path} for “{name}” cannot be read.", path=place, name=given.name) from None


def _asked(name: str, label: str) -> str:
    if not sys.stdin.isatty():
        raise Refused(
            "“{label}” is missing. Write --credential {name}=@env:VARIABLE or {name}=@file:PATH.",
            label=label,
            name=name,
        )
    return getpass(f"{label}: ")
