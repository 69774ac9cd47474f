"""Review: what waits for a person, and what a person says about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.core.paginator import Paginator
from django.db.models import Max, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from kvit.invoices.models import Invoice, Settlement
from kvit.kernel.money import Money
from kvit.ledger import conflicts
from kvit.ledger.models import MoneyTransaction, TransactionConflict
from kvit.matching import review
from kvit.matching.models import Decision
from kvit.matching.reconcile import reconcile
from kvit.web.acts import done
from kvit.web.requests import Request, redirect_back, refusal_as_message
from kvit.web.views.transactions import nearest_first, open_invoices
from kvit.web.words import money_text

CARDS_PER_PAGE: Final = 20
LATEST: Final = 50
TABS: Final = ("waiting", "matched", "dismissed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A candidate as a card shows it."""

    invoice: Invoice
    for_: list[dict[str, Any]]
    against: list[dict[str, Any]]
    difference: Money
    """Paid less open: positive where too much came."""

    @property
    def missing(self) -> Money:
        """How much too little came."""
        return -self.difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One movement that waits, with the best candidate and the others."""

    decision: Decision
    row: MoneyTransaction
    best: Offer | None
    others: list[Offer]
    choices: list[Invoice]
    next: str
    """Where the reader goes on after an act on this card."""


@require_safe
def queue(request: Request) -> HttpResponse:
    tab = request.GET.get("tab", "waiting")
    if tab not in TABS:
        raise Http404
    access = request.access
    waiting = access.within(Decision.objects.waiting())
    conflicting = access.within(TransactionConflict.objects.filter(resolved_at__isnull=True))
    context: dict[str, Any] = {
        "tab": tab,
        "waiting_count": waiting.count() + conflicting.count(),
        "dismissed_count": access.within(Decision.objects.current()).filter(port="dismissed").count(),
    }
    if tab == "waiting":
        page = Paginator(_ordered(waiting), CARDS_PER_PAGE).get_page(request.GET.get("page"))
        context |= {
            "page": page,
            "cards": _cards(request, page.object_list, page.number),
            "conflicts": conflicting.select_related("transaction__account").order_by("id"),
            "matched_until": access.within(MoneyTransaction.objects.booked().income()).aggregate(
                day=Max("booked_on")
            )["day"],
        }
    else:
        context["decided"] = _decided(request, tab)
    return render(request, "web/review/queue.html", context)


@require_POST
def confirmation(request: Request, pk: int) -> HttpResponse:
    row, invoice = _pair(request, pk)
    with refusal_as_message(request):
        decision = review.confirm(row, invoice, actor=request.actor)
        reconcile(request.access.organization)
        line = Settlement.objects.get(decision_id=decision.pk, voids__isnull=True)
        text = _("{amount} pays invoice {number}.").format(
            amount=money_text(line.amount), number=invoice.number
        )
        done(request, text, undo_url=reverse("decision-undo", args=[decision.pk]))
    return redirect_back(request, "review")


@require_POST
def rejection(request: Request, pk: int) -> HttpResponse:
    row, invoice = _pair(request, pk)
    with refusal_as_message(request):
        review.reject(row, invoice, actor=request.actor)
        text = _("Invoice {number} will not be offered for this payment again.").format(number=invoice.number)
        undo_url = reverse("rejection-undo", args=[row.pk])
        done(request, text, undo_url=undo_url, values={"invoice": invoice.pk})
    return redirect_back(request, "review")


@require_POST
def rejection_undo(request: Request, pk: int) -> HttpResponse:
    row, invoice = _pair(request, pk)
    with refusal_as_message(request):
        review.withdraw_rejection(row, invoice, actor=request.actor)
        done(request, _("The payment may pay invoice {number} again.").format(number=invoice.number))
    return redirect_back(request, "review")


@require_POST
def dismissal(request: Request, pk: int) -> HttpResponse:
    row = request.access.get(MoneyTransaction.objects.all(), pk)
    with refusal_as_message(request):
        decision = review.dismiss(row, actor=request.actor)
        text = _("{amount} is marked as paying no invoice.").format(amount=money_text(row.amount))
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
    return redirect_back(request, "review")


@require_POST
def resolution(request: Request, pk: int) -> HttpResponse:
    conflict = request.access.get(TransactionConflict.objects.select_related("organization"), pk)
    answer = request.POST.get("answer")
    if answer not in ("keep", "accept"):
        raise Http404
    with refusal_as_message(request):
        if answer == "keep":
            conflicts.keep(conflict, actor=request.actor)
            done(request, _("The payment stays as it was booked."))
        else:
            conflicts.accept(conflict, actor=request.actor)
            reconcile(request.access.organization)
            done(request, _("What the bank says now was taken over."))
    return redirect_back(request, "review")


def _pair(request: Request, pk: int) -> tuple[MoneyTransaction, Invoice]:
    """The movement of the URL and the invoice of the form, both the organization's own."""
    row = request.access.get(MoneyTransaction.objects.select_related("organization"), pk)
    number = request.POST.get("invoice", "")
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        raise Http404
    return row, request.access.get(Invoice.objects.select_related("organization"), int(number))


def _ordered(waiting: QuerySet[Decision]) -> QuerySet[Decision]:
    return waiting.select_related("transaction__account").order_by(
        "-transaction__booked_on", "-transaction_id"
    )


def _cards(request: Request, decisions: Iterable[Decision], page_number: int) -> list[Card]:
    shown = list(decisions)
    named = {one["invoice"] for decision in shown for one in decision.candidates}
    invoices = request.access.within(
        Invoice.objects.filter(pk__in=named, state=Invoice.State.ISSUED)
    ).select_related("client")
    by_key = {invoice.pk: invoice for invoice in invoices}
    choices = {
        currency: open_invoices(request.access, currency)
        for currency in {decision.transaction.currency for decision in shown}
    }
    return [
        _card(decision, by_key, choices[decision.transaction.currency], _place(shown, index, page_number))
        for index, decision in enumerate(shown)
    ]


def _card(decision: Decision, by_key: dict[int, Invoice], choices: list[Invoice], place: str) -> Card:
    row = decision.transaction
    offers = [
        Offer(
            invoice=by_key[one["invoice"]],
            for_=one["for"],
            against=[reason for reason in one["against"] if reason["code"] != "amount.difference"],
            difference=row.unsettled - by_key[one["invoice"]].open,
        )
        for one in decision.candidates
        if one["invoice"] in by_key and by_key[one["invoice"]].currency == row.currency
    ]
    return Card(
        decision=decision,
        row=row,
        best=offers[0] if offers else None,
        others=offers[1:],
        choices=nearest_first(choices, row),
        next=place,
    )


def _place(shown: list[Decision], index: int, page_number: int) -> str:
    """The page at the next card, or at the one before where this is the last."""
    page = "" if page_number == 1 else f"?page={page_number}"
    neighbours = shown[index + 1 : index + 2] or shown[max(index - 1, 0) : index]
    anchor = f"#movement-{neighbours[0].transaction_id}" if neighbours else ""
    return f"{reverse('review')}{page}{anchor}"


def _decided(request: Request, tab: str) -> list[tuple[Decision, list[Settlement]]]:
    """The latest decisions that hold, with the lines that rest on them."""
    rows = request.access.within(Decision.objects.filter(undone_at__isnull=True)).select_related(
        "transaction__account"
    )
    if tab == "dismissed":
        rows = rows.filter(port=Decision.Port.DISMISSED, is_current=True)
    else:
        rows = rows.filter(port__in=[Decision.Port.AUTO, Decision.Port.MANUAL])
    shown = list(rows[:LATEST])
    lines: dict[int | None, list[Settlement]] = {}
    for line in Settlement.objects.filter(
        decision_id__in=[decision.pk for decision in shown], voids__isnull=True, voided_by__isnull=True
    ).select_related("invoice__client"):
        lines.setdefault(line.decision_id, []).append(line)
    return [(decision, lines.get(decision.pk, [])) for decision in shown]
