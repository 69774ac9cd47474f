"""Batches of payment orders: made, watched, and cleared up where nobody knows what became of one."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from kvit.kernel.errors import KvitError, Misconfigured
from kvit.payments import batching, resolving
from kvit.payments.models import PaymentBatch, PaymentOrder
from kvit.sync.models import PluginConfiguration
from kvit.web.requests import Request, refusal_as_message
from kvit.web.views.payments import explained_verdicts
from kvit.web.words import batch_error_text, error_text, order_error_text


@require_POST
def make(request: Request) -> HttpResponse:
    """Put the chosen orders into a batch, which a worker hands to the bank; a double click makes one."""
    chosen = [int(each) for each in request.POST.getlist("order") if each.isdecimal()]
    rows = request.access.within(PaymentOrder.objects.select_related("account")).filter(pk__in=chosen)
    number = request.POST.get("connection", "")
    if not chosen or not number.isdecimal():
        messages.error(request, _("Choose at least one payment order."))
        return redirect("payments")
    connection = request.access.get(PluginConfiguration.objects.select_related("organization"), int(number))
    try:
        made = batching.make_batch(connection, list(rows), actor=request.actor, uid=_attempt(request))
    except KvitError as error:
        return _refused(request, error)
    return redirect("payment-batch", pk=made.pk)


@require_safe
def batch(request: Request, pk: int) -> HttpResponse:
    """Show a batch: its orders, what the bank said, and what a person has to find out."""
    row = request.access.get(PaymentBatch.objects.select_related("account", "connection"), pk)
    shown = {
        "batch": row,
        "orders": request.access.within(PaymentOrder.objects.filter(pk__in=row.order_ids)).order_by("id"),
        "verdicts": explained_verdicts(row),
        "error_text": batch_error_text(row),
        "is_under_way": row.state in (PaymentBatch.State.WAITING, PaymentBatch.State.SENDING),
    }
    return render(request, "web/payments/batch.html", shown)


@require_safe
def file(request: Request, pk: int) -> HttpResponse:
    """Give the file exactly as it is sent."""
    row = request.access.get(PaymentBatch.objects.select_related("organization"), pk)
    sent = batching.file_of(row)
    response = HttpResponse(sent.data, content_type=sent.media_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{sent.name}"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@require_POST
def withdrawal(request: Request, pk: int) -> HttpResponse:
    """Take back a batch that has not left yet."""
    row = request.access.get(PaymentBatch.objects.all(), pk)
    with refusal_as_message(request):
        batching.withdraw(row, actor=request.actor)
        messages.success(request, _("The batch is withdrawn; its orders are drafts again."))
    return redirect("payment-batch", pk=row.pk)


@require_POST
def resolution(request: Request, pk: int) -> HttpResponse:
    """Keep what a person found in the bank about a batch whose answer was lost."""
    row = request.access.get(PaymentBatch.objects.all(), pk)
    with refusal_as_message(request):
        match request.POST.get("found"):
            case "taken":
                reference = request.POST.get("reference", "").strip()
                resolving.bank_has_it(row, actor=request.actor, reference=reference)
                messages.success(request, _("The bank has the batch. Authorize it there."))
            case "not-taken":
                resolving.bank_does_not_have_it(row, actor=request.actor)
                messages.success(request, _("Its orders are drafts again, for a new batch."))
            case "seen":
                resolving.acknowledge(row, actor=request.actor)
    return redirect("payment-batch", pk=row.pk)


def _attempt(request: Request) -> uuid.UUID | None:
    try:
        return uuid.UUID(request.POST.get("attempt", ""))
    except ValueError:
        return None


def _refused(request: Request, error: KvitError) -> HttpResponse:
    """Say why, and which order is to blame where it is one; a batch made by the first click is shown."""
    attempt = _attempt(request)
    made = attempt and request.access.within(PaymentBatch.objects.filter(uid=attempt)).first()
    if made:
        return redirect("payment-batch", pk=made.pk)
    blamed = (error.field or "").partition(".")[0] if isinstance(error, Misconfigured) else ""
    messages.error(request, order_error_text(error) if blamed else error_text(error))
    for row in request.access.within(PaymentOrder.objects.open()):
        if row.id_for_bank == blamed:
            return redirect("payment", pk=row.pk)
    return redirect("payments")
