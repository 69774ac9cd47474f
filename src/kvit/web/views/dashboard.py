"""The overview: four figures, what waits for a person, and the last twelve months."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from kvit.dashboard.connections import to_resolve
from kvit.dashboard.figures import overview
from kvit.web.charts import bars
from kvit.web.requests import Request
from kvit.web.views.accounts import account_cards


@require_safe
def dashboard(request: Request) -> HttpResponse:
    today = timezone.localdate()
    figures = overview(request.access.organization, today)
    connections = to_resolve(request.access.organization, timezone.now(), today)
    gapped = [card for card in account_cards(request.access) if card.gaps]
    return render(
        request,
        "web/dashboard.html",
        {
            "overview": figures,
            "connections": connections,
            "gapped_accounts": gapped,
            "bars": bars(figures.months),
            "first_of_month": today.replace(day=1).isoformat(),
            "today": today.isoformat(),
            "is_all_done": not (figures.to_review or connections or gapped or figures.overdue.count),
        },
    )
