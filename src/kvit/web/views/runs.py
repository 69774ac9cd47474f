"""One attempt to sync, and the import of statement files that makes one."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from kvit.kernel.errors import KvitError
from kvit.ledger.models import MoneyTransaction
from kvit.sync.connections import request_run, statement_connection
from kvit.sync.models import SyncHistory
from kvit.web.forms import ImportForm
from kvit.web.requests import Request
from kvit.web.words import error_text, run_advice, run_error_text

ROWS_SHOWN = 50


@require_safe
def run(request: Request, pk: int) -> HttpResponse:
    """Show what a run did: counts, error and advice, log, what it brought; refreshed while it is active."""
    row = request.access.get(SyncHistory.objects.select_related("connection"), pk)
    brought = request.access.within(MoneyTransaction.objects.all()).filter(run_id=row.pk)
    found = {
        "run": row,
        "error": run_error_text(row),
        "advice": run_advice(row),
        "files": row.files.order_by("id"),
        "quarantined_records": row.quarantined_records.all()[:ROWS_SHOWN],
        "transactions": brought.order_by("-booked_on", "-id")[:ROWS_SHOWN],
    }
    return render(request, "web/run.html#live" if request.htmx else "web/run.html", found)


@require_http_methods(["GET", "HEAD", "POST"])
def import_files(request: Request) -> HttpResponse:
    """Take statement files and queue the run that reads them."""
    form = ImportForm()
    if request.method == "POST":
        form = ImportForm(request.POST, request.FILES)
        if form.is_valid():
            try:
                connection = statement_connection(request.access.organization, actor=request.actor)
                queued = request_run(
                    connection, SyncHistory.Trigger.IMPORT, actor=request.actor, handed=form.handed
                )
            except KvitError as error:
                form.add_error(None, error_text(error))
            else:
                return redirect("run", pk=queued.pk)
    return render(request, "web/import.html", {"form": form})
