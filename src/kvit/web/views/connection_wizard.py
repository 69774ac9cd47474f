"""Adding a connection in three steps: where the credentials are, their test, and its name and schedule.

The second step tests the credentials and keeps the connection at once, so that they are sent once and never
wait anywhere unsealed; the third names what is there already.
"""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from kvit.kernel.errors import KvitError
from kvit.sync import connections as domain
from kvit.sync.consents import asks_consent
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.sync.registry import Listing
from kvit.web.forms_connections import CredentialsForm, NameForm, ScheduleForm
from kvit.web.requests import Request
from kvit.web.views.connections import listing_of
from kvit.web.views.consents import lead_to_source, return_url


@require_safe
def guide(request: Request, plugin: str) -> HttpResponse:
    """Step 1: where the credentials are; a plugin that does not say goes straight to step 2."""
    listing = listing_of(plugin)
    if listing.plugin is not None and not listing.guide:
        return redirect("connection-try", plugin=plugin)
    found = {"listing": listing, "return_url": _return_url(listing), "step": 1, "steps": 3}
    return render(request, "web/connection_guide.html", found)


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
def credentials(request: Request, plugin: str) -> HttpResponse:
    """Step 2: test the credentials and keep the connection where they work; sent twice, it is kept once.

    Where access is granted at the source's own pages, they wait sealed until the person comes back.
    """
    listing = listing_of(plugin)
    if listing.plugin is None:
        return redirect("connection-add", plugin=plugin)
    steps = _steps(listing)
    found = {"listing": listing, "return_url": _return_url(listing), "step": steps - 1, "steps": steps}
    form = CredentialsForm(listing.plugin, request.POST if request.method == "POST" else None)
    if form.is_valid() and asks_consent(listing.plugin):
        try:
            return lead_to_source(request, listing, form.texts, draft_uid=form.attempt)
        except KvitError as error:
            form.show(error)
    elif form.is_valid():
        if _kept(request, form.attempt) is None:
            try:
                domain.add(
                    request.access.organization,
                    plugin,
                    None,
                    form.texts,
                    actor=request.actor,
                    uid=form.attempt,
                )
            except KvitError as error:
                form.show(error)
        connection = _kept(request, form.attempt)
        if connection is not None:
            return redirect("connection-name", pk=connection.pk)
    return render(request, "web/connection_try.html", {**found, "form": form})


@require_http_methods(["GET", "HEAD", "POST"])
def name(request: Request, pk: int) -> HttpResponse:
    """Step 3: say whose account was found, name it, choose how often it is synced, and start."""
    row = request.access.get(PluginConfiguration.objects.select_related("organization"), pk)
    listing = listing_of(row.plugin)
    data = request.POST if request.method == "POST" else None
    form = NameForm(data, initial={"name": row.name})
    schedule = None if listing.accepts_files else ScheduleForm(row, data)
    if form.is_valid() and (schedule is None or schedule.is_valid()) and _saved(request, row, form, schedule):
        return redirect("import") if schedule is None else _to_first_run(request, row)
    found = {"connection": row, "listing": listing, "form": form, "schedule": schedule}
    steps = _steps(listing)
    return render(request, "web/connection_name.html", {**found, "step": steps, "steps": steps})


def _steps(listing: Listing) -> int:
    """How many steps there are; without a guide the first one is left out."""
    return 3 if listing.guide else 2


def _return_url(listing: Listing) -> str:
    """Where the source sends people back to; empty where it sends nobody."""
    return return_url() if asks_consent(listing.plugin) else ""


def _kept(request: Request, attempt: UUID) -> PluginConfiguration | None:
    """The connection that this very form has made, by an earlier click."""
    return request.access.within(PluginConfiguration.objects.filter(uid=attempt)).first()


def _saved(request: Request, row: PluginConfiguration, form: NameForm, schedule: ScheduleForm | None) -> bool:
    try:
        domain.rename(row, form.cleaned_data["name"], actor=request.actor)
    except KvitError as error:
        form.show(error)
        return False
    if schedule is None:
        return True
    try:
        domain.set_schedule(row, schedule.chosen, actor=request.actor)
    except KvitError as error:
        schedule.show(error)
        return False
    return True


def _to_first_run(request: Request, row: PluginConfiguration) -> HttpResponse:
    """The run that the schedule has begun meanwhile, or one that begins now."""
    run = row.runs.first() or domain.request_run(row, SyncHistory.Trigger.MANUAL, actor=request.actor)
    return redirect("run", pk=run.pk)
