"""One attempt to sync, and what is done with it."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.db.models import F
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from kvit.audit.models import AuditEntry
from kvit.invoices.models import Settlement
from kvit.kernel.errors import Cancelled
from kvit.ledger.models import MoneyTransaction, TransactionAlias, TransactionConflict
from kvit.sync import runs
from kvit.sync.models import SyncHistory
from kvit.web import touched
from kvit.web.requests import Request, refusal_as_message
from kvit.web.words import reverted_text, run_advice, run_error_text

ROWS_SHOWN: Final = 50
MOST_PAYING: Final = 10
_TAKEN_BACK: Final = (MoneyTransaction._meta.db_table, TransactionConflict._meta.db_table)


@require_safe
def run(request: Request, pk: int) -> HttpResponse:
    """Show what a run did: counts, error and advice, log, what it brought; refreshed while it is active."""
    row = request.access.get(SyncHistory.objects.select_related("connection", "replays"), pk)
    tallies = touched.tallies(row.pk, request.access)
    only, after = request.GET.get("only", ""), request.GET.get("after", "")
    if only not in {tally.key for tally in tallies}:
        only = ""
    page = touched.of_run(row.pk, request.access, only=only, after=int(after) if _is_id(after) else 0)
    found = {
        "run": row,
        "error": run_error_text(row),
        "advice": run_advice(row),
        "was_cancelled": row.error_kind == Cancelled.__name__,
        "files": row.files.defer("sealed").order_by("id"),
        "tallies": tallies,
        "only": only,
        "touched": page,
        "is_continued": _is_id(after),
        "can_replay": runs.can_replay(row),
        **_set_aside(row),
        **_recognised(row),
        **_way_back(row),
    }
    return render(request, "web/run.html#live" if request.htmx else "web/run.html", found)


@require_POST
def cancellation(request: Request, pk: int) -> HttpResponse:
    """End an active run; what it has read stays."""
    row = request.access.get(SyncHistory.objects.all(), pk)
    with refusal_as_message(request):
        runs.request_cancel(row, actor=request.actor)
        messages.success(request, _("The sync ends in a moment. What it has read is kept."))
    return redirect("run", pk=row.pk)


@require_POST
def replay(request: Request, pk: int) -> HttpResponse:
    """Read again what the source answered then, and show that run."""
    row = request.access.get(SyncHistory.objects.select_related("connection", "organization"), pk)
    with refusal_as_message(request):
        row = runs.request_replay(row, actor=request.actor)
    return redirect("run", pk=row.pk)


@require_POST
def reversal(request: Request, pk: int) -> HttpResponse:
    """Take back everything the run brought and changed."""
    row = request.access.get(SyncHistory.objects.select_related("connection", "organization"), pk)
    with refusal_as_message(request):
        reverted = runs.revert(row, actor=request.actor)
        messages.success(request, reverted_text(reverted))
    return redirect("run", pk=row.pk)


def _set_aside(row: SyncHistory) -> dict[str, Any]:
    """The records that could not be read; those that still cannot come first."""
    records = row.quarantined_records.order_by(F("resolved_at").asc(nulls_first=True), "id")
    return {
        "quarantined_records": records[:ROWS_SHOWN],
        "quarantined_count": records.count(),
        "open_records": records.filter(resolved_at__isnull=True).count(),
    }


def _recognised(row: SyncHistory) -> dict[str, Any]:
    """The movements that the run told by another id than the one they are stored by."""
    aliases = TransactionAlias.objects.filter(organization=row.organization_id, run_id=row.pk)
    return {
        "aliases": aliases.select_related("transaction").order_by("id")[:ROWS_SHOWN],
        "alias_count": aliases.count(),
    }


def _way_back(row: SyncHistory) -> dict[str, Any]:
    """Whether the run may be taken back, and which of its movements stand in the way."""
    may_revert = (
        not row.is_active
        and row.reverted_at is None
        and (
            AuditEntry.objects.filter(
                organization=row.organization_id, run_id=row.pk, table__in=_TAKEN_BACK
            ).exists()
            or TransactionAlias.objects.filter(organization=row.organization_id, run_id=row.pk).exists()
        )
    )
    lines = Settlement.objects.filter(organization=row.organization_id, transaction__run_id=row.pk)
    paying = MoneyTransaction.objects.filter(
        pk__in=lines.values("transaction"), settled_minor__gt=0
    ).order_by("id")
    return {
        "can_revert": may_revert,
        "paying": paying[:MOST_PAYING] if may_revert else (),
        "paying_count": paying.count() if may_revert else 0,
    }


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19
