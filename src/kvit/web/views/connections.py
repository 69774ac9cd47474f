"""Connections: the catalogue of plugins, adding one, its page, its settings, and syncing by hand."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.db.models import Max
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from kvit.kernel.errors import KvitError, PluginUnavailable
from kvit.kernel.money import Money
from kvit.sync import connections as domain
from kvit.sync.models import PluginConfiguration, SourceAccount, SyncHistory
from kvit.sync.registry import Listing, catalogue, plugin_class
from kvit.web.forms import ConnectionForm
from kvit.web.requests import Request, redirect_back, refusal_as_message
from kvit.web.words import error_text

RUNS_ON_A_PAGE = 30


@dataclass(frozen=True, slots=True)
class Card:
    """One connection of the overview, with its plugin and its last run."""

    connection: PluginConfiguration
    listing: Listing | None
    latest_run: SyncHistory | None


@require_safe
def connections(request: Request) -> HttpResponse:
    """Show what is connected, then what can be."""
    rows = list(request.access.within(PluginConfiguration.objects.all()))
    listings = {listing.name: listing for listing in catalogue()}
    latest = _latest_runs(rows)
    cards = [Card(row, listings.get(row.plugin), latest.get(row.pk)) for row in rows]
    return render(request, "web/connections.html", {"cards": cards, "listings": listings.values()})


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
def add(request: Request, plugin: str) -> HttpResponse:
    """Test a new connection, keep it if it works, and start its first sync."""
    listing = next((found for found in catalogue() if found.name == plugin), None)
    if listing is None:
        raise Http404
    if listing.plugin is None:
        return render(request, "web/connection_add.html", {"listing": listing})
    if request.method == "POST":
        form = ConnectionForm(listing.plugin, request.POST)
        if form.is_valid():
            try:
                connection = domain.add(
                    request.access.organization,
                    plugin,
                    form.cleaned_data["name"],
                    form.texts,
                    actor=request.actor,
                )
            except KvitError as error:
                form.show(error)
            else:
                messages.success(request, _("The connection works and is saved."))
                if not listing.accepts_files:
                    domain.request_run(connection, SyncHistory.Trigger.MANUAL, actor=request.actor)
                return redirect("connection", pk=connection.pk)
    else:
        form = ConnectionForm(listing.plugin)
    return render(request, "web/connection_add.html", {"listing": listing, "form": form})


@require_safe
def connection(request: Request, pk: int) -> HttpResponse:
    """Show one connection: its accounts and its runs, the newest first; refreshed while one is active."""
    row = request.access.get(PluginConfiguration.objects.all(), pk)
    runs = _page_of_runs(row, request.GET.get("before", ""))
    found = {
        "connection": row,
        "listing": next((found for found in catalogue() if found.name == row.plugin), None),
        "accounts": [
            (source.account, _balance(source))
            for source in SourceAccount.objects.filter(connection=row).select_related("account")
        ],
        "runs": runs[:RUNS_ON_A_PAGE],
        "older_before": runs[RUNS_ON_A_PAGE - 1].pk if len(runs) > RUNS_ON_A_PAGE else None,
        "latest_run": row.runs.first(),
        "is_active": row.runs.active().exists(),
    }
    return render(request, "web/connection.html#live" if request.htmx else "web/connection.html", found)


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
def settings(request: Request, pk: int) -> HttpResponse:
    """Change settings or enter credentials again; both are tested before they are kept."""
    row = request.access.get(PluginConfiguration.objects.select_related("organization"), pk)
    try:
        plugin = plugin_class(row.plugin)
    except PluginUnavailable as error:
        return render(
            request, "web/connection_settings.html", {"connection": row, "problem": error_text(error)}
        )
    if request.method == "POST":
        form = ConnectionForm(plugin, request.POST, connection=row)
        if form.is_valid():
            try:
                domain.change(row, form.cleaned_data["name"], form.texts, actor=request.actor)
            except KvitError as error:
                form.show(error)
            else:
                messages.success(request, _("The settings work and are saved."))
                return redirect("connection", pk=row.pk)
    else:
        form = ConnectionForm(plugin, connection=row)
    return render(request, "web/connection_settings.html", {"connection": row, "form": form})


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


def _set_enabled(request: Request, pk: int, *, enabled: bool) -> HttpResponse:
    row = request.access.get(PluginConfiguration.objects.select_related("organization"), pk)
    with refusal_as_message(request):
        domain.set_enabled(row, enabled, actor=request.actor)
        messages.success(
            request, _("The connection syncs again.") if enabled else _("The connection is paused.")
        )
    return redirect_back(request, "connection", pk=row.pk)


def _balance(source: SourceAccount) -> Money | None:
    if source.balance_minor is None:
        return None
    return Money(source.balance_minor, source.account.currency)


def _latest_runs(rows: list[PluginConfiguration]) -> dict[int, SyncHistory]:
    newest = SyncHistory.objects.filter(connection__in=rows).values("connection").annotate(newest=Max("id"))
    runs = SyncHistory.objects.in_bulk([row["newest"] for row in newest])
    return {run.connection_id: run for run in runs.values()}


def _page_of_runs(row: PluginConfiguration, before: str) -> list[SyncHistory]:
    """The page of runs older than the given id, and one more where there are older ones still."""
    runs = row.runs.all()
    if before.isdecimal():
        runs = runs.filter(pk__lt=int(before))
    return list(runs[: RUNS_ON_A_PAGE + 1])
