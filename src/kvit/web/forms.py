"""Forms of the frame and of connections, and how every form field is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING
from typing import Any

from django import forms
from django.conf import settings
from django.forms.renderers import DjangoTemplates
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from kvit.kernel.errors import KvitError, Misconfigured
from kvit.plugin import Plugin
from kvit.sync.configuring import ConfigField, config_fields, settings_today
from kvit.sync.models import PluginConfiguration
from kvit.users.models import User
from kvit.web.words import error_text


class Renderer(DjangoTemplates):
    """Draws each field as a label, the control, its help and its error, joined by aria attributes."""

    form_template_name = "web/form.html"
    field_template_name = "web/field.html"


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for the type checker only
    language = forms.ChoiceField(
        label=_("Language"), required=False, choices=[("", _("as the browser")), *settings.LANGUAGES]
    )
    theme = forms.ChoiceField(label=_("Theme"), choices=User.Theme.choices)

    class Meta:
        model = User
        fields = ("name", "language", "theme")


class ConnectionForm(forms.Form):
    """The settings of a connection, as its plugin describes them; credentials are never sent back."""

    name = forms.CharField(label=_("Name of the connection"), max_length=100)

    def __init__(
        self,
        plugin: type[Plugin[Any]],
        data: Mapping[str, Any] | None = None,
        *,
        connection: PluginConfiguration | None = None,
    ) -> None:
        """Take the connection to change, or none for a new one.

        Raises PluginUnavailable or PluginCrashed where its settings are not known to the plugin of today.
        """
        self._items = config_fields(plugin)
        stored = settings_today(plugin, connection) if connection else {}
        super().__init__(data, initial={"name": connection.name if connection else plugin.title})
        for item in self._items:
            self.fields[_field_name(item)] = _field(item, has_stored=connection is not None)
            if item.name in stored and not item.is_secret:
                self.initial[_field_name(item)] = stored[item.name]

    @property
    def texts(self) -> dict[str, str]:
        """What the person wrote, by the plugin's field names; only after validation."""
        return {item.name: _text(self.cleaned_data[_field_name(item)]) for item in self._items}

    def show(self, error: KvitError) -> None:
        """Show an error beside the field it names, or above the form."""
        field = error.field if isinstance(error, Misconfigured) else None
        if field in {item.name for item in self._items}:
            field = f"{_PREFIX}{field}"
        self.add_error(field if field in self.fields else None, error_text(error))


_PREFIX = "setting-"
"""Keeps a plugin's field `name` apart from the connection's own name."""


def _field_name(item: ConfigField) -> str:
    return _PREFIX + item.name


def _field(item: ConfigField, *, has_stored: bool) -> forms.Field:
    default = None if item.default is MISSING else item.default
    common: dict[str, Any] = {
        "label": gettext(item.label),
        "help_text": gettext(item.help) if item.help else "",
        "required": item.is_required,
        "initial": default,
    }
    if item.is_secret:
        return _credential_field(common, has_stored=has_stored)
    if item.kind is bool:
        return forms.BooleanField(**common)
    if item.kind is int:
        return forms.IntegerField(min_value=item.min, max_value=item.max, **common)
    if item.choices:
        return forms.ChoiceField(choices=[(choice, gettext(choice)) for choice in item.choices], **common)
    return forms.CharField(**common)


def _credential_field(common: dict[str, Any], *, has_stored: bool) -> forms.Field:
    """Never filled in by the page, whatever happened before; a stored one is kept where it stays empty."""
    if has_stored:
        said = [gettext("Leave empty to keep the stored one."), common["help_text"]]
        if not common["required"]:
            said.insert(1, gettext("Write “-” to remove it."))
        common |= {"required": False, "help_text": " ".join(filter(None, said))}
    widget = forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"})
    return forms.CharField(widget=widget, **common | {"initial": None})


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
