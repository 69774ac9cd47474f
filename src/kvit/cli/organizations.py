"""Which organizations a command is about."""

from __future__ import annotations

from kvit.users.models import Organization
from kvit.users.scoping import access_for_command


def the_only(name: str | None) -> Organization:
    """Return the named organization, or the only one there is. Raises Refused."""
    return access_for_command(name).organization


def all_or(name: str | None) -> list[Organization]:
    """Return the named organization, or all of them by name. Raises Refused for a name nobody has."""
    if name is not None:
        return [the_only(name)]
    return list(Organization.objects.order_by("name"))
