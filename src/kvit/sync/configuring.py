"""From a plugin's Config dataclass to form fields, checked values and sealed credentials, and back."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from functools import cache
from typing import Any, Final

import msgspec
from django.db import transaction

from kvit.audit.recording import Actor, changed, record
from kvit.kernel.errors import KvitError, Misconfigured, PluginCrashed, PluginUnavailable, SealError
from kvit.kernel.sealing import KeyRing, Place
from kvit.plugin import Plugin, Secret
from kvit.sync.models import PluginConfiguration
from kvit.sync.registry import plugin_class
from kvit.users.keys import key_ring

REMOVED: Final = "-"
"""What a person writes to remove an optional credential: an empty one stays as it was."""

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigField:
    """One field of a connection's form, as the plugin described it."""

    name: str
    kind: type
    """`Secret`, `str`, `int` or `bool`."""
    label: str
    help: str
    default: Any
    """`MISSING` where the field must be filled in."""
    choices: tuple[str, ...]
    pattern: str
    min: int | None
    max: int | None

    @property
    def is_secret(self) -> bool:
        return self.kind is Secret

    @property
    def is_required(self) -> bool:
        return self.default is MISSING and self.kind is not bool


@dataclass(frozen=True, slots=True)
class Values:
    """The checked values of a form: settings may be shown, credentials may not."""

    settings: Mapping[str, str | int | bool]
    credentials: Mapping[str, Secret]


@cache
def config_fields(plugin: type[Plugin[Any]]) -> tuple[ConfigField, ...]:
    """Return the plugin's form fields in the order it wrote them."""
    kinds = typing.get_type_hints(plugin.Config)
    return tuple(_config_field(item, kinds[item.name]) for item in dataclasses.fields(plugin.Config))


def read_values(
    plugin: type[Plugin[Any]], texts: Mapping[str, str], kept: Mapping[str, Secret] | None = None
) -> Values:
    """Check what a person wrote; an empty credential keeps the one in `kept`, and REMOVED removes it.

    Raises Misconfigured naming the field; its message never repeats a credential.
    """
    fields = {item.name: item for item in config_fields(plugin)}
    unknown = sorted(set(texts) - set(fields))
    if unknown:
        raise Misconfigured(
            "“{name}” is not a field of this plugin; it has {names}.",
            field=unknown[0],
            name=unknown[0],
            names=", ".join(fields) or "none",
        )
    settings: dict[str, str | int | bool] = {}
    credentials: dict[str, Secret] = {}
    for item in fields.values():
        text = texts.get(item.name, "").strip()
        if item.is_secret:
            credentials[item.name] = _credential(item, text, (kept or {}).get(item.name))
        else:
            settings[item.name] = _setting(item, text, given=item.name in texts)
    return Values(settings, credentials)


def make_config(plugin: type[Plugin[Any]], values: Values) -> Any:
    """Build the Config instance; settings the plugin no longer knows are left out.

    Raises Misconfigured for a field that a newer version of the plugin needs and that was never filled in,
    and for a stored setting that it does not allow any more.
    """
    given = {**values.settings, **values.credentials}
    fields = config_fields(plugin)
    for item in fields:
        if item.default is MISSING and item.name not in given:
            raise Misconfigured("Fill in “{label}”.", field=item.name, label=item.label)
        if not item.is_secret and given.get(item.name, item.default) != item.default:
            _require_allowed(item, given[item.name])
    return plugin.Config(**{item.name: given[item.name] for item in fields if item.name in given})


def seal_credentials(connection: PluginConfiguration, credentials: Mapping[str, Secret]) -> bytes:
    """Seal all credentials of a connection as one envelope bound to its row."""
    plain = {name: secret.reveal() for name, secret in credentials.items()}
    return _keys(connection).seal(msgspec.json.encode(plain), _place(connection))


def open_credentials(connection: PluginConfiguration) -> dict[str, Secret]:
    """Open the connection's credentials. Raises KeyMissing or SealBroken, never returns anything else."""
    if not connection.credentials_sealed:
        return {}
    plain = _keys(connection).open(bytes(connection.credentials_sealed), _place(connection))
    return {name: Secret(value) for name, value in msgspec.json.decode(plain, type=dict[str, str]).items()}


def values_of(connection: PluginConfiguration) -> Values:
    """Return what is stored for a connection, as its plugin knows it today.

    Raises KeyMissing or SealBroken, and what `migrated` raises. Where the plugin is missing or broken, it is
    returned as it is stored.
    """
    stored = Values(connection.settings, open_credentials(connection))
    try:
        plugin = plugin_class(connection.plugin)
    except PluginUnavailable:
        return stored
    return migrated(plugin, stored, connection.schema_version)


def settings_today(plugin: type[Plugin[Any]], connection: PluginConfiguration) -> Mapping[str, Any]:
    """Return the stored settings by the names of the plugin's Config of today, for a form.

    Raises what `migrated` raises. Credentials that cannot be opened do not matter where nothing is migrated;
    where it is, the settings are returned as they are stored.
    """
    if connection.schema_version == plugin.schema_version:
        return dict(connection.settings)
    try:
        return values_of(connection).settings
    except SealError:
        return dict(connection.settings)


def migrated(plugin: type[Plugin[Any]], stored: Values, version: int) -> Values:
    """Return values of an earlier `schema_version` as the plugin's Config of today.

    Raises PluginUnavailable where a newer version of the plugin stored them, and PluginCrashed where the
    plugin's `migrate_settings` makes a mistake.
    """
    if version == plugin.schema_version:
        return stored
    if version > plugin.schema_version:
        raise PluginUnavailable(
            "The settings of this connection were saved by a newer version of the plugin “{name}”."
            " Update the plugin.",
            name=plugin.name,
        )
    try:
        return _split(plugin, plugin.migrate_settings({**stored.settings, **stored.credentials}, version))
    except KvitError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever a plugin does wrong; its message may hold a secret
        raise PluginCrashed(kind=f"{type(error).__name__} in migrate_settings") from None


def keep_migrated(connection: PluginConfiguration, *, actor: Actor) -> None:
    """Store the connection's values as its plugin knows them today, where an earlier version stored them.

    Raises what `values_of` raises, and Misconfigured where a required field is left without a value; then
    nothing is changed, so that a better `migrate_settings` still finds what was stored.
    """
    plugin = plugin_class(connection.plugin)
    before = connection.schema_version
    if before == plugin.schema_version:
        return
    values = values_of(connection)
    make_config(plugin, values)
    columns = {
        "settings": dict(values.settings),
        "schema_version": plugin.schema_version,
        "credentials_sealed": seal_credentials(connection, values.credentials),
    }
    with transaction.atomic():
        row = PluginConfiguration.objects.filter(pk=connection.pk, schema_version=before)
        old = {"settings": connection.settings, "schema_version": before}
        if row.update(**columns):
            new = {name: columns[name] for name in old}
            change = changed(connection, old, new, reason="the plugin's new version knows them otherwise")
            record(connection.organization, actor, [change])
    connection.refresh_from_db(fields=list(columns))


def _split(plugin: type[Plugin[Any]], told: Mapping[str, Any]) -> Values:
    """Tell settings from credentials and leave out what is no field. Raises TypeError for a wrong kind."""
    settings: dict[str, str | int | bool] = {}
    credentials: dict[str, Secret] = {}
    for item in config_fields(plugin):
        value = told.get(item.name, MISSING)
        if value is MISSING:
            continue
        if isinstance(value, Secret) and item.is_secret:
            credentials[item.name] = value
        elif isinstance(value, str | int) and type(value) is item.kind:
            settings[item.name] = value
        else:
            raise TypeError(item.name)
    return Values(settings, credentials)


def _config_field(item: dataclasses.Field[Any], kind: type) -> ConfigField:
    """Read what `kvit.plugin.field` wrote; a plain dataclass field is labelled by its name."""
    told = item.metadata
    return ConfigField(
        name=item.name,
        kind=kind,
        default=item.default,
        label=told.get("label", item.name),
        help=told.get("help", ""),
        choices=told.get("choices", ()),
        pattern=told.get("pattern", ""),
        min=told.get("min"),
        max=told.get("max"),
    )


def _credential(item: ConfigField, text: str, kept: Secret | None) -> Secret:
    if text == REMOVED and not item.is_required:
        return Secret("")
    if not text and kept is not None:
        return kept
    if not text and item.is_required:
        raise Misconfigured("Fill in “{label}”.", field=item.name, label=item.label)
    if text and item.pattern and not re.fullmatch(item.pattern, text):
        raise Misconfigured(
            "“{label}” does not have the right form. Copy it again, whole and without spaces.",
            field=item.name,
            label=item.label,
        )
    return Secret(text)


def _setting(item: ConfigField, text: str, *, given: bool) -> str | int | bool:
    if item.kind is bool:
        return _truth(item, text) if given else bool(item.default is not MISSING and item.default)
    if not text:
        if item.is_required:
            raise Misconfigured("Fill in “{label}”.", field=item.name, label=item.label)
        return typing.cast("str | int", item.default)
    if item.kind is int:
        return _number(item, text)
    if item.choices and text not in item.choices:
        raise Misconfigured(
            "“{label}” can be {choices}.", field=item.name, label=item.label, choices=", ".join(item.choices)
        )
    if item.pattern and not re.fullmatch(item.pattern, text):
        raise Misconfigured("“{label}” does not have the right form.", field=item.name, label=item.label)
    return text


def _require_allowed(item: ConfigField, stored: object) -> None:
    """Raise Misconfigured where the form of today would not take what is stored."""
    if item.kind is int and isinstance(stored, int | float):
        _require_within(item, stored)
    else:
        _setting(item, str(stored), given=True)


def _truth(item: ConfigField, text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise Misconfigured("“{label}” can be true or false.", field=item.name, label=item.label)


def _number(item: ConfigField, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise Misconfigured("“{label}” must be a whole number.", field=item.name, label=item.label) from None
    _require_within(item, number)
    return number


def _require_within(item: ConfigField, number: float) -> None:
    if (item.min is not None and number < item.min) or (item.max is not None and number > item.max):
        raise Misconfigured(
            "“{label}” must be between {min} and {max}.",
            field=item.name,
            label=item.label,
            min="−∞" if item.min is None else item.min,
            max="∞" if item.max is None else item.max,
        )


def _keys(connection: PluginConfiguration) -> KeyRing:
    return key_ring(connection.organization)


def _place(connection: PluginConfiguration) -> Place:
    return Place(
        "sync_pluginconfiguration",
        "credentials_sealed",
        connection.organization.uid,
        str(connection.uid),
    )
