"""What a person gave for a dry run: a connection, settings and credentials, or the tests' pretend bank."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx

from kvit.cli.connections import named, texts_of
from kvit.cli.organizations import the_only
from kvit.kernel.errors import Refused
from kvit.plugin import Plugin
from kvit.sync.configuring import Values, read_values, values_of
from kvit.sync.models import PluginConfiguration
from kvit.users.models import Organization


@dataclass(slots=True)
class Given:
    """Where the values for a dry run come from; what a person has to type is asked for once."""

    options: argparse.Namespace
    texts: Mapping[str, str] | None = None
    files: frozenset[Path] = frozenset()
    """The file of the pretend bank, once it was used."""
    transport: httpx.BaseTransport | None = None
    """The pretend bank; None for the real source."""

    def connection(self) -> PluginConfiguration | None:
        """Return the connection that was named. Raises Refused where it is another plugin's."""
        options = self.options
        if options.connection is None:
            return None
        found = named(the_only(options.organization), options.connection)
        if found.plugin != options.name:
            raise Refused(
                "“{name}” is a connection of the plugin “{plugin}”.", name=found.name, plugin=found.plugin
            )
        if options.setting or options.credential or self._pretends:
            raise Refused("Give only one of --connection, --pretend, or --setting and --credential.")
        return found

    def values(self, plugin: type[Plugin[Any]], connection: PluginConfiguration | None) -> Values:
        """Return settings and credentials. Raises Misconfigured, and Refused where there are no tests."""
        if connection is not None:
            return values_of(connection)
        if self._pretends:
            return self._pretended(plugin)
        if self.texts is None:
            self.texts = texts_of(plugin, self.options.setting, self.options.credential)
        return read_values(plugin, self.texts)

    def organization(self, connection: PluginConfiguration | None) -> Organization | None:
        """Return whose ledger it is compared with; none where there is no organization yet."""
        if connection is not None:
            return connection.organization
        if self.options.organization is None and not Organization.objects.exists():
            return None
        return the_only(self.options.organization)

    @property
    def _pretends(self) -> bool:
        return bool(getattr(self.options, "pretend", False))

    def _pretended(self, plugin: type[Plugin[Any]]) -> Values:
        """Take the bank of the contract's tests, filled as the kit fills it."""
        if self.options.setting or self.options.credential:
            raise Refused("Give only one of --connection, --pretend, or --setting and --credential.")
        contract = layer_above("kvit.testing.finding").contracts_of(self.options.name)[0]
        self.files = frozenset({Path(inspect.getfile(contract)).resolve()})
        bank = contract().installed().bank
        self.transport = layer_above("kvit.testing").InProcess(bank)
        return read_values(plugin, contract().settings(bank))


def layer_above(module: str) -> Any:
    """Import a module of the kit, which lies above the commands as their targets do, when it is needed."""
    return import_module(module)
