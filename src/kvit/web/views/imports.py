"""Statement files: handing them over, looking at what they would bring, and confirming it or not."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from kvit.kernel.errors import KvitError
from kvit.sync import imports, runs
from kvit.sync.models import HandedFile, StatementImport
from kvit.web import importing
from kvit.web.forms_imports import FileForm, UploadForm
from kvit.web.requests import Request, refusal_as_message
from kvit.web.views.accounts import account_cards
from kvit.web.words import error_text, reverted_text


@require_http_methods(["GET", "HEAD", "POST"])
def import_files(request: Request) -> HttpResponse:
    """Take statement files and go on to the look at them; nothing of them is written to the ledger yet."""
    form = UploadForm(request.POST, request.FILES) if request.method == "POST" else UploadForm()
    if form.is_bound and form.is_valid():
        try:
            staged = imports.stage(request.access.organization, form.handed, actor=request.actor)
        except KvitError as error:
            form.add_error("statements", error_text(error))
        else:
            return redirect("import-look", pk=staged.pk)
    found = {
        "form": form,
        "imports": importing.latest(request.access),
        "accounts": account_cards(request.access),
    }
    return render(request, "web/imports/list.html", found)


@require_safe
def look(request: Request, pk: int) -> HttpResponse:
    """Show what the files of an import hold; of a confirmed one, its run."""
    return _looked(request, _import(request, pk))


@require_POST
def describe(request: Request, pk: int, file_pk: int) -> HttpResponse:
    """Keep what a person says about a file that does not say it."""
    row = _import(request, pk)
    file = _file(row, file_pk)
    file_look = next((one for one in imports.look(row) if one.file == file), None)
    if file_look is None:
        return redirect("import-look", pk=row.pk)
    form = FileForm(file_look, access=request.access, data=request.POST)
    if form.is_valid():
        try:
            imports.describe(file, **form.said, profile=file.profile, actor=request.actor)
        except KvitError as error:
            form.show(error)
        else:
            return redirect("import-look", pk=row.pk)
    return _looked(request, row, form)


@require_POST
def drop(request: Request, pk: int, file_pk: int) -> HttpResponse:
    """Leave one file out of an import."""
    row = _import(request, pk)
    file = _file(row, file_pk)
    with refusal_as_message(request):
        imports.drop(file, actor=request.actor)
        messages.success(request, _("{file} is left out of the import.").format(file=file.name))
    return redirect("import-look", pk=row.pk)


@require_POST
def confirmation(request: Request, pk: int) -> HttpResponse:
    """Queue the one run that imports the files, and show it."""
    row = _import(request, pk)
    with refusal_as_message(request):
        imports.confirm(row, actor=request.actor)
    return redirect("import-look", pk=row.pk)


@require_POST
def discarding(request: Request, pk: int) -> HttpResponse:
    """Throw the files of an import away; nothing of them was written."""
    row = _import(request, pk)
    with refusal_as_message(request):
        imports.discard(row, actor=request.actor)
        messages.success(request, _("The files were thrown away; nothing of them was imported."))
    return redirect("import")


@require_POST
def reversal(request: Request, pk: int) -> HttpResponse:
    """Take back everything a confirmed import brought and changed."""
    row = _import(request, pk)
    if row.run is None:
        raise Http404
    with refusal_as_message(request):
        messages.success(request, reverted_text(runs.revert(row.run, actor=request.actor)))
    return redirect("import")


def waiting_file(request: Request, pk: int, file_pk: int) -> tuple[StatementImport, HandedFile]:
    """One file of an import that still waits. Raises Http404 where it does not."""
    row = _import(request, pk)
    if row.state != StatementImport.State.WAITING:
        raise Http404
    return row, _file(row, file_pk)


def _import(request: Request, pk: int) -> StatementImport:
    rows = StatementImport.objects.select_related("organization", "run__connection", "run__organization")
    return request.access.get(rows, pk)


def _file(row: StatementImport, pk: int) -> HandedFile:
    file = row.files.filter(pk=pk).first()
    if file is None:
        raise Http404
    return file


def _looked(request: Request, row: StatementImport, filled: FileForm | None = None) -> HttpResponse:
    if row.run_id is not None:
        return redirect("run", pk=row.run_id)
    found: dict[str, object] = {"import": row}
    if row.state == StatementImport.State.WAITING:
        found["look"] = importing.look_at(row, request.access, filled)
    return render(request, "web/imports/look.html", found)
