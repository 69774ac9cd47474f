"""Reconciling: load what is open, let the kernel decide, settle what is certain, queue the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import batched
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Exists, F, Max, OuterRef
from django.utils import timezone

from kvit.audit.recording import SYSTEM, Actor, created, record
from kvit.invoices import settling
from kvit.invoices.models import Invoice
from kvit.kernel import matching as kernel
from kvit.kernel.errors import Refused, Stale
from kvit.kernel.references import account_key
from kvit.ledger import duplicates
from kvit.ledger.models import MoneyTransaction
from kvit.matching.models import Decision, Rejection
from kvit.users.models import Organization
from kvit.work.models import PayerAccount

CHUNK_MOVEMENTS: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What one pass did: movements settled, and movements that wait for a person."""

    settled: int
    waiting: int


def reconcile(
    organization: Organization, *, actor: Actor = SYSTEM, between: Callable[[], object] = lambda: None
) -> Reconciled:
    """Decide about every booked incoming movement with money left that no person has decided about.

    Settles the certain ones, each in its own transaction, and stores the rest in chunks; `between` is called
    after each few hundred movements, outside any transaction of this function. Running it again changes
    nothing; two at once settle nothing twice, since the slower one finds its rows changed and leaves them
    to the next pass.
    """
    index = _index(organization)
    settled = waiting = 0
    for chunk in batched(_undecided(organization), CHUNK_MOVEMENTS):
        undecided = []
        for row, current in chunk:
            verdict = kernel.decide(_payment(row), index)
            if verdict.port is kernel.Port.AUTO:
                settled += _settle(row, verdict, actor, index)
            else:
                undecided.append((row, current, verdict))
        _keep(undecided, actor)
        waiting += len(undecided)
        between()
    return Reconciled(settled=settled, waiting=waiting)


def append_decision(
    row: MoneyTransaction,
    port: str,
    *,
    actor: Actor,
    tier: str = "",
    because: Iterable[kernel.Reason] = (),
) -> Decision:
    """Make this the current decision about a movement. Raises Stale where another was made just now."""
    try:
        with transaction.atomic():
            last = Decision.objects.filter(transaction=row).order_by("-sequence").first()
            Decision.objects.filter(transaction=row, is_current=True).update(is_current=False)
            decision = Decision.objects.create(
                organization_id=row.organization_id,
                transaction=row,
                sequence=last.sequence + 1 if last else 1,
                port=port,
                tier=tier,
                because=[_plain(reason) for reason in because],
                actor=actor.name,
                run_id=actor.run_id,
                created_at=timezone.now(),
            )
            record(row.organization, actor, [created(decision)])
            return decision
    except IntegrityError:
        raise Stale from None


def learn_payer(
    invoice: Invoice, row: MoneyTransaction, decision: Decision, provenance: str, *, actor: Actor
) -> None:
    """Remember whose account the money came from; undoing the decision withdraws it."""
    if row.counterparty_account:
        learned, is_new = PayerAccount.objects.get_or_create(
            client_id=invoice.client_id,
            key=account_key(row.counterparty_account),
            defaults={
                "organization_id": row.organization_id,
                "number": row.counterparty_account,
                "provenance": provenance,
                "decision_id": decision.pk,
            },
        )
        if is_new:
            record(row.organization, actor, [created(learned)])


def _index(organization: Organization) -> kernel.Index:
    invoices = Invoice.objects.filter(organization=organization).exclude(state=Invoice.State.DRAFT)
    accounts = PayerAccount.objects.filter(organization=organization)
    rejected = Rejection.objects.filter(organization=organization)
    return kernel.Index(
        (_invoice(row) for row in invoices.order_by("due_on", "id").iterator()),
        accounts.values_list("number", "client_id"),
        rejected.values_list("transaction_id", "invoice_id"),
    )


def _undecided(organization: Organization) -> Iterator[tuple[MoneyTransaction, Decision | None]]:
    """Movements whose money is left and whose current decision, if any, is the engine's own."""
    rows = (
        MoneyTransaction.objects.filter(
            organization=organization,
            type=MoneyTransaction.Type.INCOME,
            status=MoneyTransaction.Status.BOOKED,
            amount_minor__gt=F("settled_minor"),
        )
        .annotate(is_possible_duplicate=_is_possible_duplicate())
        .exclude(pk__in=Decision.objects.decided().filter(organization=organization).values("transaction"))
        .order_by("booked_on", "id")
    )
    current = {
        decision.transaction_id: decision
        for decision in Decision.objects.waiting().filter(organization=organization)
    }
    for row in rows:
        yield row, current.get(row.pk)


def _is_possible_duplicate() -> Exists:
    """Whether nobody has said yet if the movement is another one; asked with it, so as not to miss it."""
    return Exists(duplicates.unanswered().filter(transaction=OuterRef("pk")))


def _payment(row: MoneyTransaction) -> kernel.Payment:
    return kernel.Payment(
        id=row.pk,
        amount=row.unsettled,
        booked_on=row.booked_on,
        is_possible_duplicate=row.is_possible_duplicate,  # type: ignore[attr-defined]  # annotated
        variable_symbol=row.variable_symbol,
        message=row.message,
        counterparty_account=row.counterparty_account,
        counterparty_name=row.counterparty_name,
    )


def _invoice(row: Invoice) -> kernel.Invoice:
    return kernel.Invoice(
        id=row.pk,
        number=row.number,
        variable_symbol=row.variable_symbol,
        client_id=row.client_id,
        open=row.open,
        total=row.total,
        due_on=row.due_on,
    )


def _settle(row: MoneyTransaction, verdict: kernel.Verdict, actor: Actor, index: kernel.Index) -> bool:
    """Apply an automatic verdict; an automatic decision is not a trusted one and passes the same guards."""
    try:
        with transaction.atomic():
            decision = append_decision(
                row, Decision.Port.AUTO, actor=actor, tier=verdict.tier, because=verdict.because
            )
            for settle in verdict.settle:
                invoice = Invoice.objects.get(pk=settle.invoice_id)
                settling.settle(invoice, row, settle.amount, actor=actor, decision_id=decision.pk)
                learn_payer(invoice, row, decision, PayerAccount.Provenance.AUTO, actor=actor)
    except Refused:
        return False
    for settle in verdict.settle:
        index.settle(settle)
        index.learn(row.counterparty_account, index.client_of(settle.invoice_id))
    return True


def _keep(verdicts: Iterable[tuple[MoneyTransaction, Decision | None, kernel.Verdict]], actor: Actor) -> None:
    """Store verdicts that wait for a person, but for those whose current decision says the same.

    Where somebody decided about a movement since it was read, that decision stands.
    """
    news = {
        row.pk: (current.pk if current else None, decision)
        for row, current, verdict in verdicts
        if not (decision := _decision(row, verdict, actor)).says_the_same_as(current)
    }
    earlier = Decision.objects.filter(transaction__in=news)
    try:
        with transaction.atomic():
            standing = dict(earlier.current().values_list("transaction", "pk"))
            last = dict(earlier.values_list("transaction").annotate(Max("sequence")).order_by())
            fresh = [decision for pk, (seen, decision) in news.items() if standing.get(pk) == seen]
            for decision in fresh:
                decision.sequence = last.get(decision.transaction_id, 0) + 1
            earlier.current().filter(transaction__in=[one.transaction_id for one in fresh]).update(
                is_current=False
            )
            Decision.objects.bulk_create(fresh)
    except IntegrityError:
        return  # somebody decides about one of them at this moment; the next pass sees that


def _decision(row: MoneyTransaction, verdict: kernel.Verdict, actor: Actor) -> Decision:
    return Decision(
        organization_id=row.organization_id,
        transaction=row,
        sequence=1,
        port=verdict.port,
        because=[_plain(reason) for reason in verdict.because],
        candidates=[_plain_candidate(candidate) for candidate in verdict.candidates],
        actor=actor.name,
        run_id=actor.run_id,
        created_at=timezone.now(),
    )


def _plain(reason: kernel.Reason) -> dict[str, Any]:
    return {"code": reason.code, "values": dict(reason.values)}


def _plain_candidate(candidate: kernel.Candidate) -> dict[str, Any]:
    return {
        "invoice": candidate.invoice_id,
        "for": [_plain(reason) for reason in candidate.for_],
        "against": [_plain(reason) for reason in candidate.against],
    }
