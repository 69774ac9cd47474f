"""Matching: what it may do by itself, what its runs did, and undoing one as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from kvit import pipeline
from kvit.invoices.models import Settlement
from kvit.kernel.errors import Refused
from kvit.matching import review, thanks
from kvit.matching.models import Decision, MatchingRun, MatchingSettings, ThankYou
from kvit.sync.models import SyncHistory
from kvit.users.scoping import Access
from kvit.web.acts import done
from kvit.web.forms_matching import MatchingForm
from kvit.web.requests import Request, refusal_as_message
from kvit.web.words import error_text

RUNS_PER_PAGE: Final = 50
DECISIONS_PER_PAGE: Final = 50
MOST_REFUSED_TOLD: Final = 10
LATEST_MAILS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """A run as the list shows it."""

    run: MatchingRun
    sync: SyncHistory | None
    undone: int
    """How many of its decisions somebody took back."""


def settings(request: Request) -> HttpResponse:
    """Show and change the switches."""
    instance = MatchingSettings.of(request.access.organization)
    form = MatchingForm(
        request.POST or None,
        instance=instance,
        can_change=request.access.can_change,
        has_mail_server=thanks.is_possible(),
    )
    if request.method == "POST" and form.is_valid():
        pipeline.switch_matching(form.instance, actor=request.actor)
        done(request, _("The settings of matching are saved."))
        return redirect("matching")
    mails = request.access.within(ThankYou.objects.select_related("client", "decision"))
    context = {"form": form, "has_mail_server": thanks.is_possible(), "mails": mails[:LATEST_MAILS]}
    return render(request, "web/matching/settings.html", context)


@require_safe
def runs(request: Request) -> HttpResponse:
    rows = request.access.within(MatchingRun.objects.all())
    page = Paginator(rows, RUNS_PER_PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "passes": _passes(page.object_list, request.access)}
    return render(request, "web/matching/runs.html", context)


@require_safe
def run(request: Request, pk: int) -> HttpResponse:
    row = request.access.get(MatchingRun.objects.all(), pk)
    decisions = row.decisions.select_related("transaction").order_by("pk")
    page = Paginator(decisions, DECISIONS_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "pass": _passes([row], request.access)[0],
        "page": page,
        "decided": _with_lines(page.object_list),
        "holding": _holding(row).count(),
        "mails_sent": ThankYou.objects.filter(
            decision__matching_run=row, state__in=(ThankYou.State.SENT, ThankYou.State.UNKNOWN)
        ).count(),
    }
    return render(request, "web/matching/run.html", context)


@require_POST
def run_undo(request: Request, pk: int) -> HttpResponse:
    """Take back all that the run decided by itself, and name what could not be taken back."""
    row = request.access.get(MatchingRun.objects.select_related("organization"), pk)
    with refusal_as_message(request):
        handled = review.undo_run(row, actor=request.actor)
        text = ngettext("{count} match was undone.", "{count} matches were undone.", handled.count)
        messages.success(request, text.format(count=handled.count))
        if handled.refused:
            messages.warning(request, _refusals(handled.refused, request))
    return redirect("matching-run", pk=row.pk)


def _holding(row: MatchingRun) -> QuerySet[Decision]:
    """Return what the run decided and nobody has undone."""
    return row.decisions.filter(undone_at__isnull=True).exclude(port__in=Decision.WAITING)


def _passes(rows: Iterable[MatchingRun], access: Access) -> list[Pass]:
    listed = list(rows)
    syncs = access.within(SyncHistory.objects.select_related("connection")).in_bulk(
        [row.sync_run_id for row in listed if row.sync_run_id]
    )
    counted = MatchingRun.objects.filter(pk__in=[row.pk for row in listed]).annotate(
        count=Count("decisions", filter=Q(decisions__undone_at__isnull=False))
    )
    undone = dict(counted.values_list("pk", "count"))
    return [
        Pass(run=row, sync=syncs.get(row.sync_run_id or 0), undone=undone.get(row.pk, 0)) for row in listed
    ]


def _with_lines(decisions: Iterable[Decision]) -> list[tuple[Decision, list[Settlement]]]:
    """Return each decision with what it settled, undone or not."""
    listed = list(decisions)
    lines: dict[int | None, list[Settlement]] = {}
    found = Settlement.objects.filter(decision_id__in=[each.pk for each in listed], voids__isnull=True)
    for line in found.select_related("invoice").order_by("pk"):
        lines.setdefault(line.decision_id, []).append(line)
    return [(each, lines.get(each.pk, [])) for each in listed]


def _refusals(refused: tuple[tuple[Decision, Refused], ...], request: Request) -> str:
    told: dict[str, Any] = {
        "refused": [(each.transaction, error_text(why)) for each, why in refused[:MOST_REFUSED_TOLD]],
        "count": len(refused),
        "more": max(0, len(refused) - MOST_REFUSED_TOLD),
    }
    return render_to_string("web/matching/refused.html", told, request)
