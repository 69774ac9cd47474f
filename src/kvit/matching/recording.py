"""Decisions as rows: what a verdict is stored as, and how one takes the place of the former."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from kvit.audit.recording import Actor, created, record
from kvit.kernel import matching as kernel
from kvit.kernel.errors import Stale
from kvit.ledger.models import MoneyTransaction
from kvit.matching.models import Decision, MatchingRun

ENGINE: Final = "m2"
"""Version of the rules; an automatic decision names the one that made it."""
_SOFT: Final = frozenset(("amount.common", "document.later", "reference.doubtful", "tier.off"))
"""Reasons to wait that leave a candidate with reference and amount as good as certain."""
_Certainty = Decision.Certainty


def append_decision(
    row: MoneyTransaction,
    port: str,
    *,
    actor: Actor,
    because: Iterable[kernel.Reason] = (),
    category: str = "",
    mirror: MoneyTransaction | None = None,
    run: MatchingRun | None = None,
) -> Decision:
    """Make this the current decision about a movement. Raises Stale where another was made just now."""
    decision = Decision(
        organization_id=row.organization_id,
        transaction=row,
        port=port,
        category=category,
        because=[plain(reason) for reason in because],
        mirror=mirror,
        matching_run=run,
        actor=actor.name,
        run_id=actor.run_id,
        created_at=timezone.now(),
    )
    with transaction.atomic():
        replace_current([decision])
        record(row.organization, actor, [created(decision)])
    return decision


def replace_current(decisions: list[Decision]) -> None:
    """Make each the current decision about its movement. Raises Stale where another one does so now."""
    earlier = Decision.objects.filter(transaction__in=[each.transaction_id for each in decisions])
    try:
        with transaction.atomic():
            last = dict(earlier.values_list("transaction").annotate(Max("sequence")).order_by())
            for decision in decisions:
                decision.sequence = last.get(decision.transaction_id, 0) + 1
            if last:
                earlier.current().update(is_current=False)
            Decision.objects.bulk_create(decisions)
    except IntegrityError:
        raise Stale from None


def decision_of(
    row: MoneyTransaction,
    payment: kernel.Payment,
    verdict: kernel.Verdict,
    *,
    actor: Actor,
    owed: Mapping[int, int] | None = None,
) -> Decision:
    """Return a verdict as a row that is not saved; `owed` is what was open on what it settles."""
    return Decision(
        organization_id=row.organization_id,
        transaction=row,
        port=verdict.port,
        tier=verdict.tier or "",
        certainty=certainty(verdict),
        because=[plain(reason, payment) for reason in verdict.because],
        candidates=[_plain_candidate(candidate, payment) for candidate in verdict.candidates],
        checked=[{"veto": check.veto.value, "ok": check.ok} for check in verdict.checked],
        engine=ENGINE,
        key=None if owed is None else _key(row, owed),
        actor=actor.name,
        run_id=actor.run_id,
        created_at=timezone.now(),
    )


def certainty(verdict: kernel.Verdict) -> Decision.Certainty:
    """Say how much speaks for the best candidate of a payment that waits."""
    if not verdict.candidates:
        return _Certainty.NOTHING
    best = verdict.candidates[0]
    for_ = {reason.code for reason in best.for_}
    is_exact = "amount.equal" in for_ or "amount.sum" in for_
    if best.against or not is_exact or verdict.port is kernel.Port.DUPLICATE:
        return _Certainty.POSSIBLE
    is_named = not for_.isdisjoint(("symbol.equal", "number.in_message", "symbol.names", "number.names"))
    if is_named and verdict.because[0].code in _SOFT:
        return _Certainty.CERTAIN
    return _Certainty.LIKELY if "payer.known" in for_ else _Certainty.POSSIBLE


def plain(reason: kernel.Reason, payment: kernel.Payment | None = None) -> dict[str, Any]:
    """Return a reason as it is stored, with the place of its reference in the payment."""
    stored: dict[str, Any] = {"code": reason.code, "values": dict(reason.values)}
    span = None if payment is None else kernel.located(reason, payment)
    return stored if span is None else stored | {"span": list(span)}


def _plain_candidate(candidate: kernel.Candidate, payment: kernel.Payment) -> dict[str, Any]:
    return {
        "lines": [list(line) for line in candidate.lines],
        "for": [plain(reason, payment) for reason in candidate.for_],
        "against": [plain(reason, payment) for reason in candidate.against],
    }


def _key(row: MoneyTransaction, owed: Mapping[int, int]) -> str:
    parts = (ENGINE, row.pk, row.match_revision, sorted(owed.items()))
    return sha256(repr(parts).encode()).hexdigest()
