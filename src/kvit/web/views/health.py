"""The health page: is everything in order, and what to do where it is not."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from kvit.dashboard.health import health
from kvit.sync import diagnostics
from kvit.web.checkup import checkup
from kvit.web.requests import Request
from kvit.web.views.connection_pages import as_file


@require_safe
@never_cache
def status(request: Request) -> HttpResponse:
    """Show each thing that was looked at: fine, or what to do."""
    now = timezone.now()
    groups = checkup(health(request.access.organization, now, timezone.localdate()), now)
    to_look_at = sum(not line.is_fine for group in groups for line in group.lines)
    return render(request, "web/health.html", {"groups": groups, "to_look_at": to_look_at, "now": now})


@require_safe
def download_diagnostics(request: Request) -> HttpResponse:
    """Give the diagnostics of all connections, without anything private."""
    now = timezone.now()
    bundle = diagnostics.of_organization(request.access.organization, now)
    return as_file(bundle, f"kvit-diagnostics-{now:%Y-%m-%d}.json")
