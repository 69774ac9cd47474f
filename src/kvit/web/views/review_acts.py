"""Review: what a person says about a movement, each by one press; and undo of all of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from django.http import Http404, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from kvit.invoices.models import Invoice, Settlement
from kvit.kernel.errors import Refused, Stale
from kvit.ledger.models import MoneyTransaction
from kvit.matching import review
from kvit.matching.models import Decision
from kvit.web.acts import done
from kvit.web.requests import Request, redirect_back, refusal_as_message
from kvit.web.words import error_text, money_text

AT_ONCE: Final = 100
"""How many payments one press accepts at most."""
_WRITE_OFFS: Final = (Settlement.Source.ROUNDING, Settlement.Source.FEE)


@require_POST
def acceptance(request: Request, pk: int, write_off: str = "") -> HttpResponse:
    """Accept a candidate of a decision; `write_off` closes what is still open as a rounding or a fee."""
    decision = request.access.get(Decision.objects.select_related("transaction", "organization"), pk)
    if write_off and write_off not in _WRITE_OFFS:
        raise Http404
    (candidate,) = _numbers([request.POST.get("candidate", "0")])
    with refusal_as_message(request):
        made = review.accept(
            decision,
            candidate,
            write_off=Settlement.Source(write_off) if write_off else None,
            actor=request.actor,
        )
        say_settled(request, made)
    return redirect_back(request, "review")


@require_POST
def acceptances(request: Request) -> HttpResponse:
    """Accept the best candidates of those selected, or of all of one certainty that were shown."""
    chosen = _chosen(request)
    handled = review.accept_all(request.access.organization, chosen, actor=request.actor)
    refused = {decision.pk for decision, _error in handled.refused}
    rows = [decision.transaction_id for decision in chosen if decision.pk not in refused]
    made = Decision.objects.decided().filter(transaction__in=rows, port=Decision.Port.MANUAL)
    text = ngettext("{count} payment was accepted.", "{count} payments were accepted.", handled.count)
    sentences = [text.format(count=handled.count)]
    sentences += dict.fromkeys(
        f"{money_text(decision.transaction.amount)}: {error_text(error)}"
        for decision, error in handled.refused
    )
    if "certainty" not in request.POST and len(set(request.POST.getlist("decision"))) > len(chosen):
        sentences.append(_("Some had changed meanwhile and were left as they are."))
    ids = " ".join(str(decision.pk) for decision in made)
    undo_url = reverse("decisions-undo") if ids else ""
    done(request, " ".join(sentences), undo_url=undo_url, values={"decisions": ids})
    return redirect_back(request, "review")


@require_POST
def rejection(request: Request, pk: int) -> HttpResponse:
    row, invoices = _pairs(request, pk)
    with refusal_as_message(request):
        for invoice in invoices:
            review.reject(row, invoice, actor=request.actor)
        text = ngettext(
            "Invoice {number} will not be offered for this payment again.",
            "Invoices {number} will not be offered for this payment again.",
            len(invoices),
        )
        done(
            request,
            text.format(number=_listed(invoices)),
            undo_url=reverse("rejection-undo", args=[row.pk]),
            values={"invoice": request.POST["invoice"]},
        )
    return redirect_back(request, "review")


@require_POST
def rejection_undo(request: Request, pk: int) -> HttpResponse:
    row, invoices = _pairs(request, pk)
    with refusal_as_message(request):
        for invoice in invoices:
            review.withdraw_rejection(row, invoice, actor=request.actor)
        text = ngettext(
            "The payment may pay invoice {number} again.",
            "The payment may pay invoices {number} again.",
            len(invoices),
        )
        done(request, text.format(number=_listed(invoices)))
    return _back_at(request, row)


@require_POST
def dismissal(request: Request, pk: int) -> HttpResponse:
    """Say that a movement pays no invoice, and what it is."""
    row = request.access.get(MoneyTransaction.objects.select_related("organization"), pk)
    category = request.POST.get("category", Decision.Category.OTHER)
    if category not in Decision.Category.values:
        raise Http404
    with refusal_as_message(request):
        _require_as_shown(request, row)
        decision = review.dismiss(row, category, actor=request.actor)
        text = _("{amount} is marked as paying no invoice: {category}.").format(
            amount=money_text(row.amount), category=Decision.Category(category).label
        )
        done(request, text, undo_url=reverse("decision-undo", args=[decision.pk]))
    return redirect_back(request, "review")


@require_POST
def disregard(request: Request, pk: int) -> HttpResponse:
    """Take a movement out of the review without saying what it is."""
    row = request.access.get(MoneyTransaction.objects.select_related("organization"), pk)
    with refusal_as_message(request):
        _require_as_shown(request, row)
        decision = review.ignore(row, actor=request.actor)
        text = _("{amount} is ignored.").format(amount=money_text(row.amount))
        done(request, text, undo_url=reverse("decision-undo", args=[decision.pk]))
    return redirect_back(request, "review")


@require_POST
def decision_undo(request: Request, pk: int) -> HttpResponse:
    decision = request.access.get(Decision.objects.select_related("transaction", "organization"), pk)
    with refusal_as_message(request):
        review.undo(decision, actor=request.actor)
        done(
            request,
            _("Undone. The payment of {amount} is decided about again.").format(
                amount=money_text(decision.transaction.amount)
            ),
        )
    return _back_at(request, decision.transaction)


@require_POST
def decisions_undo(request: Request) -> HttpResponse:
    """Take back what was accepted together."""
    ids = _numbers(request.POST.get("decisions", "").split())
    rows = request.access.within(Decision.objects.filter(pk__in=ids))
    count, refused = 0, []
    for decision in rows.select_related("transaction", "organization"):
        try:
            review.undo(decision, actor=request.actor)
            count += 1
        except Refused as error:
            refused.append(error_text(error))
    text = ngettext("Undone: {count} payment waits again.", "Undone: {count} payments wait again.", count)
    done(request, " ".join([text.format(count=count), *dict.fromkeys(refused)]))
    return redirect_back(request, "review")


def say_settled(request: Request, decision: Decision) -> None:
    """Say what a decision settled, with a button that undoes it."""
    row = MoneyTransaction.objects.get(pk=decision.transaction_id)
    found = Settlement.objects.filter(decision_id=decision.pk, voids__isnull=True)
    lines = list(found.select_related("invoice", "transaction").order_by("id"))
    money = [line for line in lines if line.transaction_id is not None]
    text = ngettext("{amount} pays invoice {number}.", "{amount} pays invoices {number}.", len(money))
    used = sum((line.used for line in money[1:]), money[0].used)
    sentences = [text.format(amount=money_text(used), number=_listed([line.invoice for line in money]))]
    for line in lines:
        if line.source_kind == Settlement.Source.ROUNDING:
            sentences.append(_("{amount} is closed as rounding.").format(amount=money_text(line.amount)))
        elif line.source_kind == Settlement.Source.FEE:
            sentences.append(_("{amount} is closed as a fee.").format(amount=money_text(line.amount)))
    if row.unsettled:
        sentences.append(_("{amount} of it is left.").format(amount=money_text(row.unsettled)))
    done(request, " ".join(sentences), undo_url=reverse("decision-undo", args=[decision.pk]))


def _chosen(request: Request) -> Sequence[Decision]:
    """The decisions that a person means: those ticked, or all of a certainty until the latest one shown.

    What was paid already is never among them: it wants a look of its own.
    """
    waiting = request.access.within(Decision.objects.waiting()).exclude(port=Decision.Port.DUPLICATE)
    waiting = waiting.select_related("transaction", "organization").order_by("-transaction__booked_on", "pk")
    if "certainty" not in request.POST:
        ticked = _numbers(request.POST.getlist("decision"))
        return list(waiting.filter(pk__in=ticked, certainty__gt=0)[:AT_ONCE])
    certainty, latest = _numbers([request.POST["certainty"], request.POST.get("latest", "")])
    if certainty not in (Decision.Certainty.CERTAIN, Decision.Certainty.LIKELY):
        raise Http404
    return list(waiting.filter(certainty=certainty, pk__lte=latest)[:AT_ONCE])


def _pairs(request: Request, pk: int) -> tuple[MoneyTransaction, list[Invoice]]:
    """The movement of the URL and the invoices of the form, all the organization's own."""
    row = request.access.get(MoneyTransaction.objects.select_related("organization"), pk)
    invoices = Invoice.objects.select_related("organization")
    ids = _numbers(request.POST.get("invoice", "").split())
    if not ids:
        raise Http404
    return row, [request.access.get(invoices, number) for number in ids]


def _numbers(texts: Iterable[str]) -> list[int]:
    """Read ids. Raises Http404 for what is none."""
    found = list(texts)
    if not all(text.isascii() and text.isdigit() and len(text) < 19 for text in found):
        raise Http404
    return [int(text) for text in found]


def _require_as_shown(request: Request, row: MoneyTransaction) -> None:
    """Raise Stale where the form was about a decision that was replaced or undone since."""
    shown = request.POST.get("decision", "")
    if shown and not Decision.objects.current().filter(transaction=row, pk__in=_numbers([shown])).exists():
        raise Stale


def _back_at(request: Request, row: MoneyTransaction) -> HttpResponse:
    """Go back where the form says; to the movement's own card where that is the review."""
    response = redirect_back(request, "review")
    page = response["Location"].partition("#")[0]
    if page.partition("?")[0] == reverse("review"):
        response["Location"] = f"{page}#movement-{row.pk}"
    return response


def _listed(invoices: Iterable[Invoice]) -> str:
    return ", ".join(invoice.number for invoice in invoices)
