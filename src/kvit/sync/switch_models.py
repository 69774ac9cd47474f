"""Plugins that an organization has switched off."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from kvit.users.models import Organization


class PluginSwitch(models.Model):
    """A plugin that the organization does not use for now; while there is a row, it is off."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="plugin_switches")
    plugin = models.CharField(max_length=40)
    switched_off_at = models.DateTimeField(auto_now_add=True)
    switched_off_by = models.CharField(max_length=300)

    AUDITED: ClassVar[tuple[str, ...]] = ("plugin", "switched_off_by")

    class Meta:
        ordering = ["plugin"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "plugin"], name="sync_pluginswitch_once")
        ]

    def __str__(self) -> str:
        return self.plugin
