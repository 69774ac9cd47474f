"""What every page's frame shows: the person, the organization, the badges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from kvit.dashboard.figures import to_review
from kvit.sync.models import PluginConfiguration
from kvit.users.keys import missing_master_keys
from kvit.users.models import Organization, User
from kvit.users.scoping import Access

_SECTIONS = {
    "dashboard": "overview",
    "invoice": "invoices",
    "settlement": "invoices",
    "transaction": "bank",
    "review": "bank",
    "import": "bank",
    "account": "bank",
    "matching": "bank",
    "client": "clients",
    "connection": "connections",
    "run": "connections",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The badges of the rail and the organizations a person can switch to."""

    to_review: int
    in_trouble: int
    organizations: tuple[Organization, ...]


def frame(request: HttpRequest) -> dict[str, Any]:
    """Give templates `access` (None before sign-in), `theme`, `section`; counted only if used, the rest."""
    access: Access | None = getattr(request, "access", None)
    found: dict[str, Any] = {
        "access": access,
        "theme": getattr(getattr(request, "user", None), "theme", User.Theme.SYSTEM),
        "section": _section(request),
    }
    if access is not None:
        found["missing_keys"] = SimpleLazyObject(missing_master_keys)
        found["frame"] = SimpleLazyObject(lambda: _counted(access))
    return found


def _counted(access: Access) -> Frame:
    return Frame(
        to_review=to_review(access.organization),
        in_trouble=access.within(PluginConfiguration.objects.all())
        .filter(state=PluginConfiguration.State.NEEDS_ATTENTION)
        .count(),
        organizations=tuple(Organization.objects.filter(memberships__user=access.user).order_by("name")),
    )


def _section(request: HttpRequest) -> str:
    """The entry of the rail that the page belongs to, by the first word of its URL's name."""
    match = request.resolver_match
    name = (match.url_name or "") if match else ""
    return _SECTIONS.get(name.partition("-")[0].rstrip("s"), "")
