"""Writing what matching concluded: settlements of what is certain, and proposals for a person.

An automatic decision is not a trusted one: it passes the same guards as a person's. What somebody else has
changed since it was read is not overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Final

from django.db import connection

from kvit.audit.recording import Actor, created, record
from kvit.invoices import settling
from kvit.invoices.models import Invoice, Settlement
from kvit.kernel import matching as kernel
from kvit.kernel.errors import Refused, Stale
from kvit.ledger.models import MoneyTransaction
from kvit.ledger.whole import whole
from kvit.matching import learning, thanks
from kvit.matching.models import Decision, MatchingRun
from kvit.matching.recording import decision_of, replace_current
from kvit.users.models import Organization

_AT_ONCE: Final = 500
_LOOKED_AT: Final = "UPDATE ledger_moneytransaction SET match_due = 0 WHERE id = %s AND match_revision = %s"


@dataclass(frozen=True, slots=True)
class Conclusion:
    """A verdict about a movement, as both were when it was made."""

    row: MoneyTransaction
    payment: kernel.Payment
    verdict: kernel.Verdict
    owed: Mapping[int, int]
    """What was open on each document that it settles, in hundredths."""


def settle(
    organization: Organization, conclusions: Sequence[Conclusion], *, run: MatchingRun, actor: Actor
) -> None:
    """Settle what the verdicts say, all or nothing, in one transaction. Raises Stale where rows changed."""
    invoices = _invoices(conclusions)
    decisions = [
        decision_of(each.row, each.payment, each.verdict, actor=actor, owed=each.owed) for each in conclusions
    ]
    for decision in decisions:
        decision.matching_run = run
    try:
        with whole():
            replace_current(decisions)
            lines = [
                line
                for decision, each in zip(decisions, conclusions, strict=True)
                for line in _lines(decision, each, invoices)
            ]
            settling.settle_lines(organization, lines, actor=actor)
            clients = [invoices[each.verdict.settle[0].invoice_id].client_id for each in conclusions]
            learning.learn(organization, zip(decisions, clients, strict=True), actor=actor)
            made = [_made_paid(each, invoices) for each in conclusions]
            thanks.promise(organization, zip(decisions, made, strict=True))
            record(organization, actor, map(created, decisions))
    except Stale:
        raise
    except Refused as refusal:
        raise Stale(str(refusal)) from None


def keep(proposals: Iterable[tuple[Decision | None, Decision]], run: Callable[[], MatchingRun]) -> None:
    """Store proposals for a person in the place of the former ones, but for those that say the same.

    Each comes with the current decision about its movement as it was read; where somebody decided since,
    that stands. `run` is called where there is something to store. Raises Stale where somebody decides at
    this moment.
    """
    news = {
        decision.transaction_id: (former, decision)
        for former, decision in proposals
        if not decision.says_the_same_as(former)
    }
    if not news:
        return
    matching_run = run()
    with whole():
        current = Decision.objects.current().filter(transaction__in=news)
        standing = dict(current.values_list("transaction_id", "pk"))
        fresh = [
            decision
            for key, (former, decision) in news.items()
            if standing.get(key) == (former.pk if former else None)
        ]
        for decision in fresh:
            decision.matching_run = matching_run
        replace_current(fresh)


def looked_at(rows: Iterable[MoneyTransaction]) -> None:
    """Take movements off the work list, but for those to which something happened since they were read."""
    seen = [(row.pk, row.match_revision) for row in rows]
    with connection.cursor() as cursor:
        for some in batched(seen, _AT_ONCE):
            cursor.executemany(_LOOKED_AT, some)


def _invoices(conclusions: Iterable[Conclusion]) -> dict[int, Invoice]:
    """Return the documents to be settled. Raises Stale where one is not open as it was when decided."""
    opened: dict[int, int] = {}
    for each in conclusions:
        for invoice_id, minor in each.owed.items():
            opened.setdefault(invoice_id, minor)
    found = Invoice.objects.select_related("organization").in_bulk(list(opened))
    if any(pk not in found or found[pk].open.minor != minor for pk, minor in opened.items()):
        raise Stale
    return found


def _made_paid(conclusion: Conclusion, invoices: Mapping[int, Invoice]) -> list[Invoice]:
    """Return the documents of which the conclusion settles all that was open."""
    lines = conclusion.verdict.settle
    return [invoices[line.invoice_id] for line in lines if line.minor == conclusion.owed[line.invoice_id]]


def _lines(
    decision: Decision, conclusion: Conclusion, invoices: Mapping[int, Invoice]
) -> list[settling.Line]:
    return [
        settling.Line(
            invoice=invoices[line.invoice_id],
            minor=line.minor,
            kind=Settlement.Source.TRANSACTION,
            on=conclusion.row.booked_on,
            transaction=conclusion.row,
            decision_id=decision.pk,
        )
        for line in conclusion.verdict.settle
    ]
