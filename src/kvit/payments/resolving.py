"""What a person says of a batch whose answer was lost, after having looked in the bank."""

from __future__ import annotations

from django.db.models import Q, QuerySet
from django.utils import timezone

from kvit.audit.recording import Actor
from kvit.payments import outbox
from kvit.payments.models import PaymentBatch
from kvit.users.models import Organization

_State = PaymentBatch.State


def waiting_for_a_person(organization: Organization) -> QuerySet[PaymentBatch]:
    """Return the batches that somebody must look for in the bank: unknown ones, and contradicted ones."""
    return PaymentBatch.objects.filter(Q(state=_State.UNKNOWN) | ~Q(contradiction="")).filter(
        organization=organization
    )


def bank_has_it(batch: PaymentBatch, *, actor: Actor, reference: str = "") -> None:
    """Note that the bank has an unknown batch; its orders are handed over. Raises Stale if it is not."""
    _resolve(batch, _State.ACCEPTED, actor, reference=" ".join(reference.split())[:200])


def bank_does_not_have_it(batch: PaymentBatch, *, actor: Actor) -> None:
    """Note that the bank does not have an unknown batch: its orders may go into a new one, with a new key.

    Raises Stale if it is not unknown any more.
    """
    _resolve(batch, _State.REFUSED, actor)


def acknowledge(batch: PaymentBatch, *, actor: Actor) -> None:
    """Note that a person has looked into a contradiction. Raises Stale where there is none."""
    rows = PaymentBatch.objects.exclude(contradiction="")
    state = _State(PaymentBatch.objects.values_list("state", flat=True).get(pk=batch.pk))
    outbox.move(
        rows.filter(state=state), batch, state, actor=actor, reason="contradiction seen", contradiction=""
    )
    batch.refresh_from_db()


def _resolve(batch: PaymentBatch, state: PaymentBatch.State, actor: Actor, **values: str) -> None:
    """Bring an unknown batch into this state, with who said so."""
    outbox.move(
        outbox.in_state(_State.UNKNOWN),
        batch,
        state,
        actor=actor,
        reason="looked up in the bank",
        resolved_at=timezone.now(),
        resolved_by=actor.name,
        **values,
    )
    batch.refresh_from_db()
