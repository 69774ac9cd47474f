"""What a class must be to be a plugin: looked at once, when it is loaded, so that no page stumbles."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from kvit.kernel.errors import Misconfigured
from kvit.plugin import API_VERSION, Plugin, Secret
from kvit.sync import cron

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{1,38}")
_KINDS: Final = (Secret, str, int, bool)
_NEEDED: Final = ("name", "title", "version", "Config")
_TEXTS: Final = ("name", "title", "version", "description", "schedule", "picture")
_LISTS_OF_TEXT: Final = ("hosts", "guide")
_NUMBERS: Final = ("api", "schema_version", "max_requests")


def fault_of(name: str, plugin: object) -> str:
    """Say what the class lacks to be the plugin of that name, or nothing."""
    if not (isinstance(plugin, type) and issubclass(plugin, Plugin)):
        return "It is not a subclass of kvit.plugin.Plugin."
    if isinstance(plugin.api, int) and plugin.api > API_VERSION:
        return f"It needs a newer Kvit (plugin API {plugin.api}, this one has {API_VERSION})."
    fault = next((fault for look in _LOOKS for fault in look(plugin)), "")
    if not fault and (plugin.name != name or not _NAME.fullmatch(name)):
        return f"Its name “{plugin.name}” is not “{name}”, which its entry point or file is called."
    return fault


def _is_whole(plugin: type[Plugin[Any]]) -> Iterator[str]:
    missing = [word for word in _NEEDED if not hasattr(plugin, word)]
    if missing:
        yield f"It does not set {', '.join(missing)}."
    if plugin.__abstractmethods__:
        yield f"It does not define {', '.join(sorted(plugin.__abstractmethods__))}."


def _has_right_kinds(plugin: type[Plugin[Any]]) -> Iterator[str]:
    for word in _TEXTS:
        if not isinstance(getattr(plugin, word), str):
            yield f"Its {word} is not a text."
    for word in _LISTS_OF_TEXT:
        value = getattr(plugin, word)
        if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
            yield f"Its {word} is not a list of texts."
    for word in _NUMBERS:
        value = getattr(plugin, word)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            yield f"Its {word} is not a whole number from 1 up."


def _has_a_schedule(plugin: type[Plugin[Any]]) -> Iterator[str]:
    try:
        cron.checked(plugin.schedule)
    except Misconfigured as error:
        yield f"Its schedule is none: {error}"


def _has_a_form(plugin: type[Plugin[Any]]) -> Iterator[str]:
    if not dataclasses.is_dataclass(plugin.Config):
        yield "Its Config is not a dataclass."
        return
    kinds = typing.get_type_hints(plugin.Config)
    fields = dataclasses.fields(plugin.Config)
    strange = [item.name for item in fields if kinds[item.name] not in _KINDS]
    if strange:
        yield f"Its Config can hold Secret, str, int and bool; {', '.join(strange)} is something else."
    for item in fields:
        yield from _field_faults(item)


def _field_faults(item: dataclasses.Field[Any]) -> Iterator[str]:
    told: Mapping[str, Any] = item.metadata
    if not all(isinstance(told.get(word, ""), str) for word in ("label", "help", "pattern")):
        yield f"The label, help and pattern of {item.name} must be texts."
        return
    choices: Sequence[object] = told.get("choices", ())
    if not all(isinstance(choice, str) for choice in choices):
        yield f"The choices of {item.name} must be texts."
    try:
        re.compile(told.get("pattern", ""))
    except re.error as error:
        yield f"The pattern of {item.name} is no regular expression: {error}."
    if item.default_factory is not dataclasses.MISSING:
        yield f"The default of {item.name} must be a value: a form cannot show a factory."


_LOOKS: Final[Sequence[Callable[[type[Plugin[Any]]], Iterator[str]]]] = (
    _is_whole,
    _has_right_kinds,
    _has_a_schedule,
    _has_a_form,
)
