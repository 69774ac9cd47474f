"""Review: answers about movements that a source told in two ways, or perhaps twice."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from kvit.ledger import conflicts, duplicates
from kvit.ledger.models import PossibleDuplicate, TransactionConflict
from kvit.matching.reconcile import reconcile
from kvit.web.acts import done
from kvit.web.requests import Request, redirect_back, refusal_as_message


@require_POST
def resolution(request: Request, pk: int) -> HttpResponse:
    conflict = request.access.get(TransactionConflict.objects.select_related("organization"), pk)
    answer = request.POST.get("answer")
    if answer not in ("keep", "accept"):
        raise Http404
    with refusal_as_message(request):
        if answer == "keep":
            conflicts.keep(conflict, actor=request.actor)
            undo_url = reverse("resolution-undo", args=[conflict.pk])
            done(request, _("The payment stays as it was booked."), undo_url=undo_url)
        else:
            conflicts.accept(conflict, actor=request.actor)
            reconcile(request.access.organization)
            done(request, _("What the bank says now was taken over."))
    return redirect_back(request, "review")


@require_POST
def resolution_undo(request: Request, pk: int) -> HttpResponse:
    """Ask again about a version that was not taken over."""
    conflict = request.access.get(
        TransactionConflict.objects.select_related("organization", "transaction"), pk
    )
    with refusal_as_message(request):
        conflicts.reopen(conflict, actor=request.actor)
        done(request, _("Undone. The question waits for you again."))
    return redirect_back(request, "review")


@require_POST
def duplicate_resolution(request: Request, pk: int) -> HttpResponse:
    """Say whether two movements are one."""
    duplicate = request.access.get(PossibleDuplicate.objects.select_related("organization"), pk)
    answer = request.POST.get("answer")
    if answer not in ("same", "different"):
        raise Http404
    with refusal_as_message(request):
        if answer == "same":
            duplicates.same(duplicate, actor=request.actor)
            done(request, _("They are one movement now; the other one counts nowhere any more."))
        else:
            duplicates.different(duplicate, actor=request.actor)
            reconcile(request.access.organization)
            undo_url = reverse("duplicate-resolution-undo", args=[duplicate.pk])
            done(request, _("They stay two movements."), undo_url=undo_url)
    return redirect_back(request, "review")


@require_POST
def duplicate_resolution_undo(request: Request, pk: int) -> HttpResponse:
    """Ask again about two movements that were called different."""
    duplicate = request.access.get(PossibleDuplicate.objects.select_related("organization"), pk)
    with refusal_as_message(request):
        duplicates.reopen(duplicate, actor=request.actor)
        done(request, _("Undone. The question waits for you again."))
    return redirect_back(request, "review")
