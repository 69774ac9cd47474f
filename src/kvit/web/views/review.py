"""Review: the queue of what waits for a person, and the lists of what was decided."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any, Final

from django.core.paginator import Paginator
from django.db.models import Count, Max, Q, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from kvit.ledger import duplicates
from kvit.ledger.models import MoneyTransaction, PossibleDuplicate, TransactionConflict
from kvit.matching.models import Decision
from kvit.web import comparing
from kvit.web.requests import Request
from kvit.web.views.review_acts import AT_ONCE
from kvit.web.views.review_cards import cards_of
from kvit.web.views.review_decided import counts, decided

CARDS_PER_PAGE: Final = 20
TABS: Final = ("waiting", "matched", "dismissed")
_Certainty: Final = Decision.Certainty

type _Question = TransactionConflict | PossibleDuplicate | Decision


@require_safe
@gzip_page
def queue(request: Request) -> HttpResponse:
    tab = request.GET.get("tab", "waiting")
    if tab not in TABS:
        raise Http404
    shown = _to_review(request) if tab == "waiting" else decided(request, tab)
    context = {"tab": tab, "counts": counts(request.access), **shown}
    return render(request, "web/review/queue.html", context)


def _to_review(request: Request) -> dict[str, Any]:
    access = request.access
    decisions = access.within(Decision.objects.waiting())
    waiting = _Waiting(
        access.within(TransactionConflict.objects.filter(resolved_at__isnull=True))
        .select_related("transaction__account")
        .order_by("id"),
        duplicates.waiting(access.organization)
        .select_related("transaction__account", "candidate__account")
        .order_by("id"),
        _ordered(decisions),
    )
    pages: Paginator[Any] = Paginator(waiting, CARDS_PER_PAGE)  # type: ignore[arg-type]  # only sliced
    page = pages.get_page(request.GET.get("page"))
    return {
        "waiting_count": waiting.count(),
        "page": page,
        "equal": _equal(decisions) if access.can_change else None,
        "choices": _choices(),
        "matched_until": None if waiting.count() else _last_day(request),
        **_asked(request, list(page.object_list), page.number),
    }


def _choices() -> SafeString:
    """The buttons that say what a movement is that pays no invoice, written once for all cards."""
    button = '<button name="category" value="{}">{}</button>'
    return format_html_join("", button, Decision.Category.choices)


def _equal(decisions: QuerySet[Decision]) -> dict[str, int] | None:
    """The largest certainty that several may be accepted by together, and how many have it."""
    found = decisions.aggregate(
        certain=Count("pk", filter=Q(certainty=_Certainty.CERTAIN)),
        likely=Count("pk", filter=Q(certainty=_Certainty.LIKELY)),
        latest=Max("pk"),
    )
    for certainty, count in ((_Certainty.CERTAIN, found["certain"]), (_Certainty.LIKELY, found["likely"])):
        if count:
            return {
                "certainty": int(certainty),
                "count": min(count, AT_ONCE),
                "latest": found["latest"],
            }
    return None


def _last_day(request: Request) -> Any:
    income = request.access.within(MoneyTransaction.objects.booked().income())
    return income.aggregate(day=Max("booked_on"))["day"]


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
        "cards": cards_of(
            request.access,
            decisions,
            {one.transaction_id: places[_anchor(one)] for one in decisions},
        ),
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
