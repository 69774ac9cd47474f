"""The overview of connections and the catalogue of plugins, and what a person does by one button."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.csp import CSP
from django.utils.translation import gettext as _
from django.views.decorators.csp import csp_override
from django.views.decorators.http import require_POST, require_safe

from kvit.dashboard.connections import cards
from kvit.kernel.errors import KvitError
from kvit.sync import connections as domain
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.sync.registry import Listing, catalogue
from kvit.sync.switches import set_plugin_enabled, switched_off
from kvit.web.requests import Request, redirect_back, refusal_as_message
from kvit.web.sparkline import sparkline
from kvit.web.words import error_text


@require_safe
def connections(request: Request) -> HttpResponse:
    """Show what is connected and how it stands, then what can be connected."""
    rows = list(request.access.within(PluginConfiguration.objects.all()))
    off = switched_off(request.access.organization)
    shown = cards(rows, timezone.now(), timezone.localdate())
    found = {
        "cards": [(card, sparkline(card.recent_runs)) for card in shown],
        "listings": [(listing, listing.name in off) for listing in catalogue()],
        "connected": {row.plugin for row in rows},
    }
    return render(request, "web/connections.html", found)


@require_POST
def sync_now(request: Request, pk: int) -> HttpResponse:
    """Sync now: queue a run, or show the one that is active already."""
    row = request.access.get(PluginConfiguration.objects.select_related("organization"), pk)
    try:
        run = domain.request_run(row, SyncHistory.Trigger.MANUAL, actor=request.actor)
    except KvitError as error:
        messages.error(request, error_text(error))
        return redirect("connection", pk=row.pk)
    return redirect("run", pk=run.pk)


@require_POST
def pause(request: Request, pk: int) -> HttpResponse:
    return _set_enabled(request, pk, enabled=False)


@require_POST
def resume(request: Request, pk: int) -> HttpResponse:
    return _set_enabled(request, pk, enabled=True)


@require_POST
def switch(request: Request, plugin: str) -> HttpResponse:
    """Switch a plugin off for the organization, or on again; its connections stay as they are."""
    is_on = request.POST.get("state") == "on"
    with refusal_as_message(request):
        set_plugin_enabled(request.access.organization, plugin, is_on, actor=request.actor)
        messages.success(
            request, _("The plugin can be used again.") if is_on else _("The plugin is switched off.")
        )
    return redirect("connections")


@require_safe
@csp_override({"default-src": [CSP.NONE], "style-src": [CSP.UNSAFE_INLINE], "sandbox": [""]})
def picture(_request: Request, plugin: str) -> HttpResponse:
    """Give the plugin's drawing of where its source hides the credentials; by itself it can do nothing."""
    listing = listing_of(plugin)
    if not listing.picture:
        raise Http404
    return HttpResponse(
        listing.picture,
        content_type="image/svg+xml; charset=utf-8",
        headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "private, max-age=3600"},
    )


def listing_of(plugin: str) -> Listing:
    """Return the plugin of the catalogue, also a broken one. Raises Http404 where it is not installed."""
    listing = next((found for found in catalogue() if found.name == plugin), None)
    if listing is None:
        raise Http404
    return listing


def _set_enabled(request: Request, pk: int, *, enabled: bool) -> HttpResponse:
    row = request.access.get(PluginConfiguration.objects.select_related("organization"), pk)
    with refusal_as_message(request):
        domain.set_enabled(row, enabled, actor=request.actor)
        messages.success(
            request, _("The connection syncs again.") if enabled else _("The connection is paused.")
        )
    return redirect_back(request, "connection", pk=row.pk)
