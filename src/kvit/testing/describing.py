"""Rules about what a plugin is before it reads anything: its class, its words, its form and its imports."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from django.utils import translation

from kvit.plugin import Plugin
from kvit.sync.configuring import config_fields, make_config, read_values
from kvit.sync.models import PluginConfiguration
from kvit.sync.soundness import fault_of
from kvit.testing.rules import rule
from kvit.testing.seeing import Contract, broken, leaks
from kvit.web.forms_connections import CredentialsForm

_OURS = ("kvit.plugin", "kvit.kernel")
_NEVER = ("kvit", "django")


class Describing:
    """Rules that need no bank."""

    plugin: ClassVar[type[Plugin[Any]]]

    @rule(
        "sound",
        why="A class that is none is shown in the catalogue as broken, and nobody can connect it.",
        mend="Set name, title, version and Config, define check and sync, and use a name of lower case "
        "letters, digits and underscores.",
    )
    def test_the_class_is_a_plugin(self) -> None:
        """The class is one that Kvit loads."""
        if fault := fault_of(getattr(self.plugin, "name", ""), self.plugin):
            broken(fault)

    @rule(
        "described",
        why="A person who connects the source sees these words and nothing else.",
        mend="Write a description, a `guide` of steps that lead to the credentials, and a label for each "
        'field: `token: Secret = field("API token", help="…")`.',
    )
    def test_it_says_what_it_is_and_where_credentials_come_from(self) -> None:
        """It has a description, a label for each field and, where it wants credentials, a guide to them."""
        fields = config_fields(self.plugin)
        if not self.plugin.description.strip():
            broken("There is no description.")
        for item in fields:
            if not item.label.strip() or item.label == item.name:
                broken(f"The field {item.name} has no label.")
        explained = any(item.is_secret and item.help.strip() for item in fields)
        if any(item.is_secret for item in fields) and not (self.plugin.guide or explained):
            broken("Neither a guide nor the help of a credential says where it comes from.")

    @rule(
        "secret-defaults",
        why="A default is published with the plugin, so it is no secret.",
        mend="Leave the default of a credential out, or make it an empty Secret where the field is optional.",
    )
    def test_no_credential_has_a_default(self) -> None:
        """No credential has a default value."""
        for item in config_fields(self.plugin):
            if item.is_secret and not item.is_required and item.default:
                broken(f"The credential {item.name} has a default.")

    @rule(
        "form",
        why="The form of a connection is made from the Config; what it loses, the owner cannot set.",
        mend="Give each field a default that its own choices, pattern and limits allow, and settings to the "
        "contract that the form takes.",
    )
    def test_the_form_is_drawn_and_keeps_what_is_written(self: Contract) -> None:
        """The form shows every field, keeps what was written, and never shows a credential again."""
        installation = self.installed(filled=False)
        plugin, values = installation.plugin, installation.values
        texts = {name: _written(value) for name, value in values.settings.items()}
        secrets = {name: secret.reveal() for name, secret in values.credentials.items()}
        with translation.override("en"):
            empty = CredentialsForm(plugin)
            written = {f"setting-{name}": text for name, text in (texts | secrets).items()}
            form = CredentialsForm(plugin, {**written, "attempt": str(empty["attempt"].value())})
            drawn, redrawn = empty.render(), form.render()
            if not form.is_valid():
                broken(f"The form refuses the settings: {form.errors.as_text()}")
            stored = PluginConfiguration(
                name=plugin.title,
                plugin=plugin.name,
                settings=dict(values.settings),
                schema_version=plugin.schema_version,
            )
            again = CredentialsForm(plugin, connection=stored).render()
        for item in config_fields(plugin):
            if f'name="setting-{item.name}"' not in drawn:
                broken(f"The form does not show the field {item.name}.")
        if read_values(plugin, form.texts) != values:
            broken("The form gives other values than were written into it.")
        if make_config(plugin, read_values(plugin, form.texts)) != make_config(plugin, values):
            broken("The Config made from the form is another one than was written.")
        if leaks(installation, [redrawn, again]):
            broken("The form shows a credential that was written into it.")

    @rule(
        "imports",
        why="Only kvit.plugin and kvit.kernel stay as they are from one version of Kvit to the next, and a "
        "plugin that knows no Django cannot reach the database.",
        mend="Import what you need from kvit.plugin; ask for what is missing there.",
    )
    def test_it_imports_only_the_contract_of_kvit(self) -> None:
        """Of Kvit it imports only `kvit.plugin` and `kvit.kernel`, and never Django."""
        home = sys.modules[self.plugin.__module__]
        own = home.__name__ if hasattr(home, "__path__") else home.__package__ or ""
        for path in _files(self.plugin):
            for name in _imported(path):
                allowed = (*_OURS, own) if own not in ("", "kvit.plugins") else _OURS
                if name.partition(".")[0] in _NEVER and not _is_of(name, allowed):
                    broken(f"{path.name} imports {name}.")


def _files(plugin: type[Plugin[Any]]) -> list[Path]:
    """The files of the plugin: its package's, or its only one."""
    home = sys.modules[plugin.__module__]
    path = Path(str(home.__file__))
    package = path.parent
    is_package = hasattr(home, "__path__") or home.__package__ not in ("", None, "kvit.plugins")
    return sorted(package.rglob("*.py")) if is_package and (package / "__init__.py").exists() else [path]


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from _imported_from(node)


def _imported_from(node: ast.ImportFrom) -> Iterator[str]:
    """Name what is taken from the package `kvit` itself: `from kvit import sync` is `kvit.sync`."""
    module = node.module or ""
    yield from (f"kvit.{alias.name}" for alias in node.names) if module == "kvit" else (module,)


def _is_of(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in packages)


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else ""
    return str(value)
