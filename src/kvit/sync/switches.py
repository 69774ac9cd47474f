"""Switching plugins off and on: the connections of one that is off stay, and none of them syncs."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from kvit.audit.recording import Actor, created, deleted, record
from kvit.kernel.errors import PluginUnavailable, Refused
from kvit.sync.registry import catalogue
from kvit.sync.switch_models import PluginSwitch
from kvit.users.models import Organization


def switched_off(organization: Organization) -> frozenset[str]:
    """Return the names of the plugins that the organization does not use."""
    return frozenset(PluginSwitch.objects.filter(organization=organization).values_list("plugin", flat=True))


def require_switched_on(organization: Organization, name: str) -> None:
    """Raise Refused where the organization has switched the plugin off."""
    if PluginSwitch.objects.filter(organization=organization, plugin=name).exists():
        raise Refused("The plugin “{name}” is switched off. Switch it on under Connections.", name=name)


def set_plugin_enabled(organization: Organization, name: str, enabled: bool, *, actor: Actor) -> bool:
    """Switch a plugin on or off for the organization; return whether it was otherwise before.

    Switched off, it brings nothing in: no connection can be added, and neither schedule nor people start a
    sync; one that is under way ends first. Raises PluginUnavailable where there is no such plugin to switch
    off, or no connection of one.
    """
    return _switch_on(organization, name, actor) if enabled else _switch_off(organization, name, actor)


def _switch_on(organization: Organization, name: str, actor: Actor) -> bool:
    with transaction.atomic():
        rows = PluginSwitch.objects.select_for_update().filter(organization=organization, plugin=name)
        changes = [deleted(row, reason="switched on") for row in rows]
        rows.delete()
        record(organization, actor, changes)
    return bool(changes)


def _switch_off(organization: Organization, name: str, actor: Actor) -> bool:
    is_known = any(listing.name == name for listing in catalogue())
    if not (is_known or organization.connections.filter(plugin=name).exists()):
        raise PluginUnavailable("The plugin “{name}” is not installed.", name=name)
    try:
        with transaction.atomic():
            row = PluginSwitch.objects.create(
                organization=organization, plugin=name, switched_off_by=actor.name
            )
            record(organization, actor, [created(row)])
    except IntegrityError:
        return False
    return True
