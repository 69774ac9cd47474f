"""Forms of connections: credentials in the wizard and entered again, the name, the schedule."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy as _

from kvit.kernel.errors import KvitError
from kvit.plugin import Plugin
from kvit.sync import schedule
from kvit.sync.configuring import config_fields
from kvit.sync.models import PluginConfiguration
from kvit.web.forms import ConnectionForm
from kvit.web.words import error_text

OWN: Final = "own"
"""The choice of a cron expression of one's own."""


class CredentialsForm(ConnectionForm):
    """What a plugin needs to read the source, all credentials anew, without the name of the connection."""

    def __init__(
        self,
        plugin: type[Plugin[Any]],
        data: Mapping[str, Any] | None = None,
        *,
        connection: PluginConfiguration | None = None,
    ) -> None:
        super().__init__(plugin, data, connection=connection)
        del self.fields["name"]
        if connection is None:
            self.fields["attempt"] = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
        for item in config_fields(plugin):
            if item.is_secret:
                self.fields[f"setting-{item.name}"].required = item.is_required
                self.fields[f"setting-{item.name}"].help_text = _(item.help) if item.help else ""

    @property
    def attempt(self) -> uuid.UUID:
        """The same number however often the form is sent; only after validation, and of a new connection."""
        attempt: uuid.UUID = self.cleaned_data["attempt"]
        return attempt


class NameForm(forms.Form):
    name = forms.CharField(label=_("Name of the connection"), max_length=100)

    def show(self, error: KvitError) -> None:
        """Show an error at the name, the only thing that can be wrong here."""
        self.add_error("name", error_text(error))


class ScheduleForm(forms.Form):
    """How often a connection is synced: one of the presets, or a cron expression of one's own."""

    preset = forms.ChoiceField(label=_("How often"), widget=forms.RadioSelect)
    expression = forms.CharField(
        label=_("Cron expression"),
        required=False,
        max_length=100,
        help_text=_(
            "For the last choice only: minute, hour, day, month and weekday in the organization's time zone."
        ),
        widget=forms.TextInput(attrs={"class": "mono", "autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, connection: PluginConfiguration, data: Mapping[str, Any] | None = None) -> None:
        current = schedule.expression_of(connection)
        keys = {preset.expression: preset.key for preset in schedule.PRESETS}
        super().__init__(data, initial={"preset": keys.get(current, OWN), "expression": current})
        preset = self.fields["preset"]
        assert isinstance(preset, forms.ChoiceField)
        preset.choices = [
            *((preset.key, preset.name) for preset in schedule.PRESETS),
            (OWN, _("By a cron expression of my own")),
        ]

    @property
    def chosen(self) -> str:
        """The cron expression that was chosen; only after validation."""
        key = self.cleaned_data["preset"]
        expressions = {preset.key: preset.expression for preset in schedule.PRESETS}
        return expressions.get(key) or str(self.cleaned_data["expression"])

    def show(self, error: KvitError) -> None:
        """Show an error at the expression, the only thing that can be wrong here."""
        self.add_error("expression", error_text(error))
