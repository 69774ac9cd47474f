"""The page of one connection: overview, history, settings, events, and entering its credentials again."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from kvit.dashboard.connections import cards, overview
from kvit.kernel.errors import KvitError, PluginCrashed, PluginUnavailable
from kvit.plugin import Plugin
from kvit.sync import connections as domain
from kvit.sync import diagnostics, schedule
from kvit.sync.consents import asks_consent
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.sync.registry import plugin_class
from kvit.web.connection_events import events_of
from kvit.web.forms import ConnectionForm
from kvit.web.forms_connections import CredentialsForm, ScheduleForm
from kvit.web.requests import Request
from kvit.web.sparkline import sparkline
from kvit.web.views.connections import listing_of
from kvit.web.views.consents import lead_to_source, return_url
from kvit.web.views.webhooks import address_of
from kvit.web.words import error_text

RUNS_ON_A_PAGE = 30


@require_safe
def connection(request: Request, pk: int) -> HttpResponse:
    """Show how one connection stands; refreshed while a run of it is active."""
    row = _row(request, pk)
    shown = overview(row, timezone.now(), timezone.localdate())
    found = {
        **_frame(row, "overview"),
        "card": shown.card,
        "overview": shown,
        "schedule_words": schedule.in_words(shown.schedule) if shown.schedule else "",
        "sparkline": sparkline(shown.card.recent_runs),
        "webhook_address": address_of(row) if request.access.can_change else "",
    }
    return render(request, "web/connection.html#live" if request.htmx else "web/connection.html", found)


@require_safe
def history(request: Request, pk: int) -> HttpResponse:
    """Show the runs of the connection, the newest first."""
    row = _row(request, pk)
    runs = list(_older(row, request.GET.get("before", ""))[: RUNS_ON_A_PAGE + 1])
    found = {
        "runs": runs[:RUNS_ON_A_PAGE],
        "older_before": runs[RUNS_ON_A_PAGE - 1].pk if len(runs) > RUNS_ON_A_PAGE else None,
    }
    return render(request, "web/connection_history.html", {**_framed(row, "history"), **found})


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
def settings(request: Request, pk: int) -> HttpResponse:
    """Change settings or credentials; both are tested before they are kept."""
    row = _row(request, pk)
    try:
        plugin = plugin_class(row.plugin)
        form = ConnectionForm(plugin, request.POST if request.method == "POST" else None, connection=row)
    except (PluginUnavailable, PluginCrashed) as error:
        return _settings_page(request, row, problem=error_text(error))
    if form.is_valid():
        try:
            domain.change(row, form.cleaned_data["name"], form.texts, actor=request.actor)
        except KvitError as error:
            form.show(error)
        else:
            messages.success(request, _("The settings work and are saved."))
            return redirect("connection", pk=row.pk)
    planned = None if plugin.accepts_files else ScheduleForm(row)
    return _settings_page(request, row, form=form, schedule=planned)


@require_POST
def set_schedule(request: Request, pk: int) -> HttpResponse:
    """Choose how often the connection is synced."""
    row = _row(request, pk)
    form = ScheduleForm(row, request.POST)
    if form.is_valid():
        try:
            domain.set_schedule(row, form.chosen, actor=request.actor)
        except KvitError as error:
            form.show(error)
        else:
            messages.success(request, _("The schedule is saved."))
            return redirect("connection", pk=row.pk)
    try:
        settings_form = ConnectionForm(plugin_class(row.plugin), connection=row)
    except (PluginUnavailable, PluginCrashed) as error:
        return _settings_page(request, row, problem=error_text(error))
    return _settings_page(request, row, form=settings_form, schedule=form)


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
def credentials(request: Request, pk: int) -> HttpResponse:
    """Enter the credentials again: tested, of the same account only; then the schedule goes on at once.

    Where access is granted at the source's own pages, it is granted there again.
    """
    row = _row(request, pk)
    data = request.POST if request.method == "POST" else None
    try:
        plugin = plugin_class(row.plugin)
        form = (
            _consent_form(plugin, data, row)
            if asks_consent(plugin)
            else CredentialsForm(plugin, data, connection=row)
        )
    except (PluginUnavailable, PluginCrashed):
        return redirect("connection-settings", pk=row.pk)
    if form.is_valid() and asks_consent(plugin):
        try:
            return lead_to_source(request, listing_of(row.plugin), form.texts, connection=row)
        except KvitError as error:
            form.show(error)
    elif form.is_valid():
        try:
            domain.change(row, row.name, form.texts, actor=request.actor)
            run = domain.request_run(row, SyncHistory.Trigger.MANUAL, actor=request.actor)
        except KvitError as error:
            form.show(error)
        else:
            messages.success(
                request, _("The credentials work. The schedule goes on, and a sync has started.")
            )
            return redirect("run", pk=run.pk)
    found = {"form": form, "plugin": plugin, "return_url": return_url() if asks_consent(plugin) else ""}
    return render(request, "web/connection_credentials.html", {**_framed(row, ""), **found})


@require_safe
def events(request: Request, pk: int) -> HttpResponse:
    """Show who changed what on the connection, the newest first."""
    row = _row(request, pk)
    before = request.GET.get("before", "")
    page = events_of(row, request.access, int(before) if before.isdecimal() else None)
    return render(request, "web/connection_events.html", {**_framed(row, "events"), "page": page})


@require_safe
def download_diagnostics(request: Request, pk: int) -> HttpResponse:
    """Give what a person may send along with a question, without anything private."""
    row = _row(request, pk)
    now = timezone.now()
    name = f"kvit-{row.plugin}-{row.pk}-{now:%Y-%m-%d}.json"
    return as_file(diagnostics.of_connection(row, now), name)


def as_file(bundle: dict[str, Any], name: str) -> HttpResponse:
    """Return JSON that the browser saves under this name."""
    response = JsonResponse(bundle, json_dumps_params={"indent": 2, "ensure_ascii": False})
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _row(request: Request, pk: int) -> PluginConfiguration:
    return request.access.get(PluginConfiguration.objects.select_related("organization"), pk)


def _frame(row: PluginConfiguration, tab: str) -> dict[str, Any]:
    return {"connection": row, "tab": tab}


def _framed(row: PluginConfiguration, tab: str) -> dict[str, Any]:
    (card,) = cards([row], timezone.now(), timezone.localdate())
    return {**_frame(row, tab), "card": card}


def _consent_form(
    plugin: type[Plugin[Any]], data: QueryDict | None, row: PluginConfiguration
) -> ConnectionForm:
    """The settings without the name; a credential left out stays, since it is access that is given anew."""
    form = ConnectionForm(plugin, data, connection=row)
    del form.fields["name"]
    return form


def _settings_page(request: Request, row: PluginConfiguration, **found: Any) -> HttpResponse:
    words = schedule.in_words(schedule.expression_of(row))
    return render(
        request,
        "web/connection_settings.html",
        {**_framed(row, "settings"), "schedule_words": words, **found},
    )


def _older(row: PluginConfiguration, before: str) -> Any:
    """The runs older than the given id, or all of them."""
    runs = row.runs.defer("log", "cursor_before")
    return runs.filter(pk__lt=int(before)) if before.isdecimal() else runs
