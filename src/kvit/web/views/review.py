"""Review: what waits for a person, and what a person says about it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
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
from kvit.ledger import conflicts, duplicates
from kvit.ledger.models import MoneyTransaction, PossibleDuplicate, TransactionConflict
from kvit.matching import review
from kvit.matching.models import Decision
from kvit.matching.reconcile import reconcile
from kvit.web import comparing
from kvit.web.acts import done
from kvit.web.requests import Request, redirect_back, refusal_as_message
from kvit.web.views.transactions import nearest_first, open_invoices
from kvit.web.words import money_text

CARDS_PER_PAGE: Final = 20
LATEST: Final = 50
TABS: Final = ("waiting", "matched", "dismissed")


type _Question = TransactionConflict | PossibleDuplicate | Decision


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
    waiting = _Waiting(
        access.within(TransactionConflict.objects.filter(resolved_at__isnull=True))
        .select_related("transaction__account")
        .order_by("id"),
        duplicates.waiting(access.organization)
        .select_related("transaction__account", "candidate__account")
        .order_by("id"),
        _ordered(access.within(Decision.objects.waiting())),
    )
    context: dict[str, Any] = {
        "tab": tab,
        "waiting_count": waiting.count(),
        "dismissed_count": access.within(Decision.objects.current()).filter(port="dismissed").count(),
    }
    if tab == "waiting":
        pages: Paginator[Any] = Paginator(waiting, CARDS_PER_PAGE)  # type: ignore[arg-type]  # only sliced
        page = pages.get_page(request.GET.get("page"))
        context |= {
            "page": page,
            **_asked(request, list(page.object_list), page.number),
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


def _pair(request: Request, pk: int) -> tuple[MoneyTransaction, Invoice]:
    """The movement of the URL and the invoice of the form, both the organization's own."""
    row = request.access.get(MoneyTransaction.objects.select_related("organization"), pk)
    number = request.POST.get("invoice", "")
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        raise Http404
    return row, request.access.get(Invoice.objects.select_related("organization"), int(number))


class _Waiting:
    """Everything that waits for a person as one list, in the order of the querysets; read page by page."""

    def __init__(self, *parts: QuerySet[Any]) -> None:
        self._parts = [(part, part.count()) for part in parts]

    def count(self) -> int:
        return sum(count for _part, count in self._parts)

    def __len__(self) -> int:
        return self.count()

    def __getitem__(self, wanted: slice) -> list[_Question]:
        found: list[_Question] = []
        start, stop = wanted.start, wanted.stop
        for part, count in self._parts:
            if start < count and stop > 0:
                found += part[max(start, 0) : stop]
            start, stop = start - count, stop - count
        return found


def _ordered(waiting: QuerySet[Decision]) -> QuerySet[Decision]:
    return waiting.select_related("transaction__account").order_by(
        "-transaction__booked_on", "-transaction_id"
    )


def _asked(request: Request, questions: list[_Question], page_number: int) -> dict[str, Any]:
    """One page of questions by their kind, each with the place where the reader goes on after the answer."""
    places = _places(questions, page_number)
    decisions = [one for one in questions if isinstance(one, Decision)]
    return {
        "conflicts": [
            comparing.conflict(one, places[_anchor(one)])
            for one in questions
            if isinstance(one, TransactionConflict)
        ],
        "duplicates": [
            comparing.duplicate(one, places[_anchor(one)])
            for one in questions
            if isinstance(one, PossibleDuplicate)
        ],
        "cards": _cards(request, decisions, places),
    }


def _anchor(question: _Question) -> str:
    match question:
        case TransactionConflict():
            return f"conflict-{question.pk}"
        case PossibleDuplicate():
            return f"duplicate-{question.pk}"
    return f"movement-{question.transaction_id}"


def _places(questions: list[_Question], page_number: int) -> dict[str, str]:
    """By anchor of each question, the page at the next one, or at the one before where it is the last."""
    page = reverse("review") + ("" if page_number == 1 else f"?page={page_number}")
    anchors = [_anchor(question) for question in questions]
    beside = [*anchors[1:], *anchors[-2:-1]]
    return {
        anchor: f"{page}#{other}" if other else page
        for anchor, other in zip_longest(anchors, beside, fillvalue="")
    }


def _cards(request: Request, shown: list[Decision], places: dict[str, str]) -> list[Card]:
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
        _card(decision, by_key, choices[decision.transaction.currency], places[_anchor(decision)])
        for decision in shown
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
