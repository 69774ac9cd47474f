"""Plugins that nobody should write, and one that does what a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from kvit.plugin import Account, Context, Identity, Item, Plugin, Secret, Transaction, field

if TYPE_CHECKING:
    from kvit.sync.models import PluginConfiguration

TOKEN = "s3cret/token+of the\\tests"
"""It changes its look in a URL, in JSON and in Python's repr."""
ACCOUNT = Account(external_id="1", name="Own account", currency="CZK", number="1/0100")


def a_transaction(external_id: str, amount: object = "10.00", **fields: object) -> Transaction:
    values: dict[str, object] = {
        "external_id": external_id,
        "account_id": "1",
        "amount": amount,
        "currency": "CZK",
        "booked_on": "2026-11-02",
        "raw": {"id": external_id},
    }
    return Transaction(**(values | fields))  # type: ignore[arg-type]  # names are the test's


@dataclass(frozen=True, kw_only=True)
class ScriptedConfig:
    token: Secret = field("Token")


class Scripted(Plugin[ScriptedConfig]):
    """Does what `script` says, which gets the plugin and the context."""

    name, title, version, hosts = "scripted", "Scripted", "0.1", ("bank.example",)
    Config: ClassVar[type] = ScriptedConfig
    script: ClassVar[Callable[[Scripted, Context], Iterator[Item]]]

    def check(self) -> Identity:
        return Identity(key="scripted", label="Scripted")

    def sync(self, ctx: Context) -> Iterator[Item]:
        return type(self).script(self, ctx)


type Script = Callable[[Scripted, Context], Iterator[Item]]
type Play = Callable[[Script], PluginConfiguration]


def raising(error: Exception) -> Script:
    def script(plugin: Scripted, ctx: Context) -> Iterator[Item]:
        yield ACCOUNT
        raise error

    return script


@dataclass(frozen=True, kw_only=True)
class GrownConfig:
    token: Secret = field("Token")
    region: str = field("Region")


class Grown(Scripted):
    """A later version of Scripted that needs one field more."""

    version, Config = "0.2", GrownConfig


class Nameless(Plugin[ScriptedConfig]):
    Config = ScriptedConfig

    def check(self) -> Identity:
        return Identity(key="x", label="x")

    def sync(self, ctx: Context) -> Iterator[Item]:
        yield from ()


class CannotSync(Plugin[ScriptedConfig]):
    name, title, version, Config = "cannot_sync", "Cannot sync", "1", ScriptedConfig

    def check(self) -> Identity:
        return Identity(key="x", label="x")


class FromTheFuture(Scripted):
    name, api = "future", 2


class PlainConfig(Scripted):
    name, Config = "plain_config", dict


@dataclass(frozen=True)
class _Unresolved:
    token: Missing  # type: ignore[name-defined]  # noqa: F821  # what a name under TYPE_CHECKING leads to


class UnresolvedConfig(Scripted):
    name, Config = "unresolved", _Unresolved


@dataclass(frozen=True)
class _Listed:
    tokens: list[str]


class ListConfig(Scripted):
    name, Config = "listed", _Listed


not_a_plugin = object()
