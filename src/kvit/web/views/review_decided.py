"""What was decided: lists of the decisions that hold, and why an automatic one was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from kvit.invoices.models import Settlement
from kvit.ledger.models import MoneyTransaction
from kvit.matching.models import Decision, MatchingSettings
from kvit.users.scoping import Access
from kvit.web.requests import Request

ROWS_PER_PAGE: Final = 50
_MOST_COUNTED: Final = 1000
_Port: Final = Decision.Port
_PORTS: Final[Mapping[str, tuple[Decision.Port, ...]]] = {
    "matched": (_Port.AUTO, _Port.MANUAL, _Port.TRANSFERRED),
    "dismissed": (_Port.DISMISSED, _Port.IGNORED),
}
_BY: Final[Mapping[str, tuple[Decision.Port, ...]]] = {
    "kvit": (_Port.AUTO, _Port.TRANSFERRED),
    "person": (_Port.MANUAL,),
}
VETOES: Final[Mapping[str, Any]] = {
    "V1": _("The payer's account is not known for another client only."),
    "V2": _("Nobody else owes the same amount, or the payer is told from whoever does."),
    "V3": _("The references do not contradict one another."),
    "V4": _("No reference a slip away names an equal debt of somebody whom the payer looks like."),
    "V5": _("The reference is not one that the client writes whatever it pays."),
    "V6": _("The same money was not sent back later."),
    "V7": _("The reference names one document only."),
    "V8": _("The references can be read in one way only."),
}


@dataclass(frozen=True, slots=True)
class Veto:
    """One condition that was looked at, in words."""

    text: str
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Who decided and on what it rests."""

    decision: Decision
    tier: str
    """The rule by which it was settled, in words; empty for what a person decided."""
    vetoes: tuple[Veto, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision that holds, and the settlement lines that rest on it."""

    decision: Decision
    lines: list[Settlement]
    why: Why


def why(decision: Decision) -> Why:
    """Put what the decision rests on in words."""
    return Why(
        decision=decision,
        tier=_tier_text(decision.tier),
        vetoes=tuple(
            Veto(str(VETOES.get(one["veto"], one["veto"])), bool(one["ok"])) for one in decision.checked
        ),
    )


def decided(request: Request, tab: str) -> dict[str, Any]:
    """Return one page of the decisions that hold, the latest first, with links to the older ones."""
    by = request.GET.get("by", "")
    rows = _holding(request.access, tab)
    if tab == "matched" and by in _BY:
        rows = rows.filter(port__in=_BY[by])
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    found = list(
        rows.select_related("transaction__account", "mirror__account", "matching_run")[: ROWS_PER_PAGE + 1]
    )
    shown = found[:ROWS_PER_PAGE]
    lines = _lines(shown)
    return {
        "decided": [Decided(decision=one, lines=lines.get(one.pk, []), why=why(one)) for one in shown],
        "by": by if by in _BY else "",
        "before": before,
        "older": shown[-1].pk if len(found) > ROWS_PER_PAGE else None,
    }


def counts(access: Access) -> dict[str, str]:
    """Return how many rows each tab holds, as text; beyond a thousand it only says so."""
    held = {tab: _counted(_holding(access, tab)) for tab in _PORTS}
    return held | {"all": _counted(access.within(MoneyTransaction.objects.booked()))}


def _holding(access: Access, tab: str) -> QuerySet[Decision]:
    rows = access.within(Decision.objects.filter(undone_at__isnull=True, port__in=_PORTS[tab]))
    return rows.filter(is_current=True) if tab == "dismissed" else rows


def _counted(rows: QuerySet[Any]) -> str:
    count = rows.order_by()[: _MOST_COUNTED + 1].count()
    return f"{_MOST_COUNTED}+" if count > _MOST_COUNTED else str(count)


def _lines(shown: list[Decision]) -> dict[int | None, list[Settlement]]:
    """The live settlement lines by the decision that they rest on."""
    lines: dict[int | None, list[Settlement]] = {}
    live = Settlement.objects.filter(
        decision_id__in=[decision.pk for decision in shown], voids__isnull=True, voided_by__isnull=True
    )
    for line in live.select_related("invoice__client", "transaction").order_by("id"):
        lines.setdefault(line.decision_id, []).append(line)
    return lines


def _tier_text(tier: str) -> str:
    if not tier:
        return ""
    names = {field.name: str(field.verbose_name) for field in MatchingSettings._meta.fields}
    return capfirst(names.get(f"auto_{tier.lower()}", ""))
