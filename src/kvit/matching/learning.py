"""Accounts that clients are seen to pay from: learned from settlements, withdrawn with them.

What was learned supports a reference and never overrides one; a person's word is not weakened by what
matching itself has seen.
"""

from __future__ import annotations

from collections.abc import Iterable

from kvit.audit.recording import Actor, Change, changed, created, deleted, record
from kvit.invoices.models import Settlement
from kvit.kernel.references import account_key
from kvit.matching.models import Decision
from kvit.users.models import Organization
from kvit.work.models import PayerAccount

_AUTO = PayerAccount.Provenance.AUTO
_HUMAN = PayerAccount.Provenance.HUMAN


def learn(organization: Organization, seen: Iterable[tuple[Decision, int]], *, actor: Actor) -> None:
    """Remember whose account each decided movement came from; pairs of decision and client."""
    facts = {
        (client_id, account_key(number)): decision
        for decision, client_id in reversed(list(seen))
        if (number := decision.transaction.counterparty_account)
    }
    known = {
        (row.client_id, row.key): row
        for row in PayerAccount.objects.select_for_update(of=("self",))
        .filter(organization=organization, key__in={key for _, key in facts})
        .order_by("pk")
    }
    new = [
        PayerAccount(
            organization=organization,
            client_id=client_id,
            number=decision.transaction.counterparty_account,
            key=key,
            provenance=_provenance(decision),
            decision_id=decision.pk,
        )
        for (client_id, key), decision in facts.items()
        if (client_id, key) not in known
    ]
    PayerAccount.objects.bulk_create(new)
    confirmed = [
        _give(row, facts[pair])
        for pair, row in known.items()
        if pair in facts and row.provenance == _AUTO and _provenance(facts[pair]) == _HUMAN
    ]
    record(organization, actor, [*map(created, new), *confirmed])


def unlearn(decision: Decision, *, actor: Actor) -> None:
    """Withdraw what was learned from a decision that is being undone.

    Where other settlements that hold show the same, the account stays, as known by the first of them. Call
    it once the decision's own settlements are undone.
    """
    learned = PayerAccount.objects.select_for_update(of=("self",)).filter(decision_id=decision.pk)
    changes: list[Change] = []
    for row in learned:
        others = _supporting(row)
        if others:
            first = next((each for each in others if _provenance(each) == _HUMAN), others[0])
            changes.append(_give(row, first))
        else:
            changes.append(deleted(row, reason="decision undone"))
            row.delete()
    record(decision.organization, actor, changes)


def _give(row: PayerAccount, decision: Decision) -> Change:
    """Say that an account is known by this decision."""
    before = {"provenance": row.provenance, "decision_id": row.decision_id}
    after = {"provenance": _provenance(decision), "decision_id": decision.pk}
    PayerAccount.objects.filter(pk=row.pk).update(**after)
    return changed(row, before, after)


def _supporting(row: PayerAccount) -> list[Decision]:
    """Return the decisions that hold by which the client was paid for from this account, the first first."""
    lines = Settlement.objects.filter(
        invoice__client=row.client_id,
        source_kind=Settlement.Source.TRANSACTION,
        decision_id__isnull=False,
        voids__isnull=True,
        voided_by__isnull=True,
    ).exclude(decision_id=row.decision_id)
    numbers = lines.order_by("id").values_list("decision_id", "transaction__counterparty_account")
    ids = [decision_id for decision_id, number in numbers if number and account_key(number) == row.key]
    found = Decision.objects.in_bulk([each for each in ids if each is not None])
    return [found[each] for each in dict.fromkeys(ids) if each in found]


def _provenance(decision: Decision) -> PayerAccount.Provenance:
    return _AUTO if decision.port == Decision.Port.AUTO else _HUMAN
