"""Saved profiles of CSV files: which column says what. They are shared as small TOML files."""

from __future__ import annotations

from dataclasses import replace

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from kvit.kernel.errors import KvitError
from kvit.kernel.statements.csv import profile_from_toml, profile_to_toml
from kvit.sync import imports
from kvit.sync.models import CsvProfile
from kvit.web.forms_imports import ProfileFileForm
from kvit.web.requests import Request, refusal_as_message


@require_http_methods(["GET", "HEAD", "POST"])
def listing(request: Request) -> HttpResponse:
    """The saved profiles; a shared one is taken over from its TOML file."""
    form = ProfileFileForm(request.POST, request.FILES) if request.method == "POST" else ProfileFileForm()
    if form.is_bound and form.is_valid():
        try:
            saved = imports.save_profile(
                request.access.organization,
                form.cleaned_data["name"],
                form.cleaned_data["text"],
                None,
                actor=request.actor,
            )
        except KvitError as error:
            form.show(error)
        else:
            messages.success(request, _("The profile “{name}” is saved.").format(name=saved.name))
            return redirect("import-profiles")
    profiles = imports.profiles_of(request.access.organization).select_related("account")
    return render(request, "web/imports/profiles.html", {"form": form, "profiles": profiles})


@require_safe
def download(request: Request, pk: int) -> HttpResponse:
    """A profile as a TOML file to share, without the account it is used for."""
    profile = request.access.get(CsvProfile.objects.all(), pk)
    name = slugify(profile.name) or "profile"
    return HttpResponse(
        profile_to_toml(replace(profile_from_toml(profile.toml), account="", currency="")),
        content_type="application/toml; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.toml"'},
    )


@require_POST
def removal(request: Request, pk: int) -> HttpResponse:
    """Forget a profile; what was imported by it stays."""
    profile = request.access.get(CsvProfile.objects.all(), pk)
    with refusal_as_message(request):
        imports.delete_profile(profile, actor=request.actor)
        messages.success(request, _("The profile “{name}” is deleted.").format(name=profile.name))
    return redirect("import-profiles")
