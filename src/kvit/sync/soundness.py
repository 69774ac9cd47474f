"""What a class must be to be a plugin: looked at once, when it is loaded, so that no page stumbles."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from kvit.kernel.errors import Misconfigured
from kvit.plugin import API_VERSION, Plugin, Secret
from kvit.sync import cron

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{1,38}")
_KINDS: Final = (Secret, str, int, bool)
_METHODS: Final = ("check", "sync")
_NEEDED: Final = ("name", "title", "version", "Config")
_TEXTS: Final = ("name", "title", "version", "description", "schedule", "picture")
_LISTS_OF_TEXT: Final = ("hosts", "guide")
_NUMBERS: Final = ("api", "schema_version", "max_requests")
_SWITCHES: Final = ("accepts_files", "reads_statements")
_LONGEST: Final = {"title": 100, "version": 40, "description": 1000, "schedule": 100, "picture": 256 * 1024}
"""In characters: what the database holds, and what a page can show."""
_MOST_STEPS: Final = 30
_LONGEST_STEP: Final = 1000
_LONGEST_WORDS: Final = 500
_LABEL: Final = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_HOST: Final = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}(?::[0-9]{{1,5}})?", re.IGNORECASE)
"""A name of two labels or more: whatever stands below a top-level domain is no host of one source."""


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


def words_of(error: BaseException) -> str:
    """Say in one short line what a foreign class or module raised, whatever its words are."""
    try:
        words = str(error)
    except Exception:  # noqa: BLE001  # not even its words work
        words = ""
    return showable(f"{type(error).__name__}: {words}")


def showable(text: str) -> str:
    """Return foreign text as a page, a log and the database can take it: short, without half characters."""
    cut = text if len(text) <= _LONGEST_WORDS else f"{text[:_LONGEST_WORDS]}…"
    return cut.encode("utf-8", "replace").decode().replace("\0", "")


def _is_whole(plugin: type[Plugin[Any]]) -> Iterator[str]:
    missing = [word for word in _NEEDED if not hasattr(plugin, word)]
    if missing:
        yield f"It does not set {', '.join(missing)}."
    undefined = {
        *plugin.__abstractmethods__,
        *(word for word in _METHODS if not callable(getattr(plugin, word))),
    }
    if undefined:
        yield f"It does not define {', '.join(sorted(undefined))}."


def _is_plain(plugin: type[Plugin[Any]]) -> Iterator[str]:
    """Refuse what is computed whenever it is read: a page could stumble over it later."""
    for word in (*_TEXTS, *_LISTS_OF_TEXT, *_NUMBERS, *_SWITCHES, "Config"):
        is_of_the_metaclass = any(word in vars(kind) for kind in inspect.getmro(type(plugin)))
        if is_of_the_metaclass or inspect.getattr_static(plugin, word) is not getattr(plugin, word):
            yield f"Its {word} is computed; write it as a plain value of the class."


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
    for word in _SWITCHES:
        if not isinstance(getattr(plugin, word), bool):
            yield f"Its {word} is not True or False."


def _can_be_shown(plugin: type[Plugin[Any]]) -> Iterator[str]:
    for word in ("title", "version"):
        if not getattr(plugin, word).strip():
            yield f"Its {word} is empty."
    for word, longest in _LONGEST.items():
        if len(getattr(plugin, word)) > longest:
            yield f"Its {word} is longer than {longest} characters."
    if len(plugin.guide) > _MOST_STEPS or any(len(step) > _LONGEST_STEP for step in plugin.guide):
        yield f"Its guide is longer than {_MOST_STEPS} steps of {_LONGEST_STEP} characters."
    for text in (*(getattr(plugin, word) for word in _TEXTS), *plugin.guide):
        if not _is_clean(text):
            yield "One of its texts holds a character that no page can show."


def _is_clean(text: str) -> bool:
    return "\0" not in text and text == text.encode("utf-8", "replace").decode()


def _has_hosts(plugin: type[Plugin[Any]]) -> Iterator[str]:
    for host in plugin.hosts:
        if not _HOST.fullmatch(host.removeprefix(".")):
            yield (
                f"Its hosts name “{showable(host)}”. Write a host as “api.bank.example”,"
                " “api.bank.example:8443” or “.bank.example”, without https:// and without a path."
            )


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
        return
    for item in fields:
        yield from _field_faults(item)
        if item.default is not dataclasses.MISSING and not _is_default_of(item.default, kinds[item.name]):
            yield f"The default of {item.name} is no {kinds[item.name].__name__}."


def _is_default_of(default: object, kind: type) -> bool:
    """Whether it can stand in the form; the default of a credential, whatever it is, means none."""
    return kind is Secret or type(default) is kind


def _field_faults(item: dataclasses.Field[Any]) -> Iterator[str]:
    told: Mapping[str, Any] = item.metadata
    if not all(isinstance(told.get(word, ""), str) for word in ("label", "help", "pattern")):
        yield f"The label, help and pattern of {item.name} must be texts."
        return
    choices: Sequence[object] = told.get("choices", ())
    if not all(isinstance(choice, str) for choice in choices):
        yield f"The choices of {item.name} must be texts."
    if not all(isinstance(told.get(word), int | None) for word in ("min", "max")):
        yield f"The min and max of {item.name} must be whole numbers."
    try:
        re.compile(told.get("pattern", ""))
    except re.error as error:
        yield f"The pattern of {item.name} is no regular expression: {error}."
    if item.default_factory is not dataclasses.MISSING:
        yield f"The default of {item.name} must be a value: a form cannot show a factory."
    if not item.init:
        yield f"The field {item.name} is left out of __init__, so that a form cannot fill it in."


_LOOKS: Final[Sequence[Callable[[type[Plugin[Any]]], Iterator[str]]]] = (
    _is_whole,
    _has_right_kinds,
    _is_plain,
    _can_be_shown,
    _has_hosts,
    _has_a_schedule,
    _has_a_form,
)
