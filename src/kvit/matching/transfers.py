"""Money between own accounts: both sides are linked where each is the only mirror of the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import batched
from typing import Final, NamedTuple

from kvit.audit.recording import Actor
from kvit.kernel import matching as kernel
from kvit.kernel.errors import Stale
from kvit.kernel.references import account_key
from kvit.ledger.models import BankAccount, MoneyTransaction
from kvit.ledger.whole import whole
from kvit.matching.loading import movement_of
from kvit.matching.models import Decision, MatchingRun
from kvit.matching.recording import append_decision
from kvit.users.models import Organization

MOST_APART: Final = timedelta(days=5)
_AT_ONCE: Final = 500


class Transfer(NamedTuple):
    """Both sides of a transfer."""

    outgoing: MoneyTransaction
    incoming: MoneyTransaction


def find(organization: Organization, rows: Sequence[MoneyTransaction]) -> list[Transfer]:
    """Return the transfers of which one of these movements, or one that waits for its mirror, is a side.

    A pair that a person undid is not found again.
    """
    own = frozenset(
        map(
            account_key,
            BankAccount.objects.filter(organization=organization).values_list("number", flat=True),
        )
    )
    suspects = [row for row in rows if account_key(row.counterparty_account) in own]
    suspects += _waiting(organization)
    if not suspects:
        return []
    known = {row.pk: row for row in _alike(organization, suspects)}
    undone = _undone(organization)
    return [
        Transfer(known[out_id], known[in_id])
        for out_id, in_id in kernel.transfers(map(movement_of, known.values()), own)
        if (out_id, in_id) not in undone
    ]


def link(transfer: Transfer, *, run: MatchingRun, actor: Actor) -> None:
    """Decide that these are two sides of one transfer. Raises Stale where one has changed since read."""
    with whole():
        for row in sorted(transfer, key=lambda row: row.pk):
            untouched = MoneyTransaction.objects.filter(
                pk=row.pk,
                settled_minor=0,
                match_revision=row.match_revision,
                status=MoneyTransaction.Status.BOOKED,
            )
            if not untouched.update(match_due=0, match_revision=row.match_revision + 1):
                raise Stale
        for row, mirror in (transfer, transfer[::-1]):
            append_decision(
                row,
                Decision.Port.TRANSFERRED,
                actor=actor,
                because=[kernel.Reason("payer.own_account")],
                mirror=mirror,
                run=run,
            )


def _waiting(organization: Organization) -> list[MoneyTransaction]:
    """Return the movements from or to own accounts that wait for their other side."""
    decisions = Decision.objects.waiting().filter(organization=organization, port=Decision.Port.TRANSFER)
    return [decision.transaction for decision in decisions.select_related("transaction")]


def _alike(organization: Organization, suspects: Iterable[MoneyTransaction]) -> Iterator[MoneyTransaction]:
    """Yield the movements that may be a side of the same transfers, and all that stand in their way."""
    decided = Decision.objects.decided().filter(organization=organization)
    for some in batched(suspects, _AT_ONCE):
        days = [row.booked_on for row in some]
        amounts = {row.amount_minor for row in some}
        yield from (
            MoneyTransaction.objects.filter(
                organization=organization,
                status=MoneyTransaction.Status.BOOKED,
                settled_minor=0,
                booked_on__range=(min(days) - MOST_APART, max(days) + MOST_APART),
                amount_minor__in=amounts | {-amount for amount in amounts},
            )
            .exclude(pk__in=decided.values("transaction_id"))
            .select_related("account", "organization")
        )


def _undone(organization: Organization) -> set[tuple[int, int]]:
    """Return the pairs, the outgoing side first, that a person said are no transfer."""
    rows = Decision.objects.filter(
        organization=organization,
        port=Decision.Port.TRANSFERRED,
        undone_at__isnull=False,
        transaction__amount_minor__lt=0,
    )
    return {(out_id, in_id) for out_id, in_id in rows.values_list("transaction_id", "mirror_id") if in_id}
