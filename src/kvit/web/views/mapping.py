"""Pointing at the columns of a CSV file that Kvit does not know, with the result in sight."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from kvit.kernel.errors import KvitError, StatementError
from kvit.kernel.statements.csv import (
    SHIPPED,
    Layout,
    Profile,
    profile_from_toml,
    profile_to_toml,
    sniff,
    suggest,
)
from kvit.kernel.statements.source import Source
from kvit.sync import files, imports
from kvit.sync.models import CsvProfile, HandedFile
from kvit.web.csv_mapping import Result, result_of
from kvit.web.forms_mapping import MappingForm, StartForm
from kvit.web.requests import Request
from kvit.web.views.imports import waiting_file
from kvit.web.words import error_text

_SAVED: Final = "saved-"
"""Before the id of a saved profile, so that no shipped one has the same key."""


@require_http_methods(["GET", "HEAD", "POST"])
def mapping(request: Request, pk: int, file_pk: int) -> HttpResponse:
    """Choose what each column is; “Show” only shows what the choices make of the file."""
    row, file = waiting_file(request, pk, file_pk)
    try:
        data = files.content_of(file)
        layout = sniff(Source(data, file.name))
    except KvitError as error:
        messages.error(request, error_text(error))
        return redirect("import-look", pk=row.pk)
    start = StartForm(_saved(request), request.GET or None)
    posted = request.POST if request.method == "POST" else None
    form = MappingForm(
        file, layout, _beginning(request, file, layout, start), access=request.access, data=posted
    )
    if posted is not None and posted.get("act") == "use" and form.is_valid() and _kept(request, file, form):
        return redirect("import-look", pk=row.pk)
    found = {"import": row, "file": file, "layout": layout, "form": form, "start": start}
    found["result"] = _result(form, data)
    name = "web/imports/mapping.html#result" if request.htmx else "web/imports/mapping.html"
    return render(request, name, found)


def _beginning(request: Request, file: HandedFile, layout: Layout, start: StartForm) -> Profile:
    """The profile chosen to start from, else the one the file is read by now, else the best guess."""
    chosen = start.cleaned_data["profile"] if start.is_valid() else ""
    for text in (_toml(request, chosen), file.profile):
        if text in SHIPPED:
            return SHIPPED[text]
        if text:
            try:
                return profile_from_toml(text)
            except StatementError:
                continue
    return suggest(layout)


def _toml(request: Request, chosen: str) -> str:
    """The saved profile of this key as TOML; the name of a shipped one as it is."""
    key = chosen.removeprefix(_SAVED)
    if key == chosen:
        return chosen
    saved = request.access.within(CsvProfile.objects.all()).filter(pk=key).first()
    return saved.toml if saved else ""


def _saved(request: Request) -> dict[str, str]:
    """The saved profiles by the keys that the form gives them."""
    return {f"{_SAVED}{one.pk}": one.name for one in imports.profiles_of(request.access.organization)}


def _kept(request: Request, file: HandedFile, form: MappingForm) -> bool:
    """Keep what was said of the file, and the profile where it got a name; a refusal is shown by the form."""
    try:
        profile = form.profile
        # Of this file the account is said beside the columns, so that it can be said otherwise at the look.
        columns = profile_to_toml(replace(profile, account="", currency=""))
        imports.describe(file, **form.said, profile=columns, actor=request.actor)
        name = form.cleaned_data["save_as"].strip()
        if name:
            account = form.cleaned_data["account"]
            toml = profile_to_toml(profile)
            imports.save_profile(request.access.organization, name, toml, account, actor=request.actor)
            messages.success(request, _("The columns are remembered as “{name}”.").format(name=name))
    except KvitError as error:
        form.show(error)
        return False
    return True


def _result(form: MappingForm, data: bytes) -> Result:
    if form.is_bound and not form.is_valid():
        return Result(error=_("Correct the choices above first."))
    try:
        return result_of(data, form.profile, **form.said)
    except StatementError as error:
        return Result(error=error_text(error))
