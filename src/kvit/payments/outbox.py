"""The states of a batch: each moves by a conditional UPDATE with its audit entry, and its orders with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from kvit.audit.recording import Actor, Change, audited_values, changed, record
from kvit.kernel.errors import KvitError, Stale
from kvit.ledger.whole import whole
from kvit.payments import orders as ordering
from kvit.payments.models import PaymentBatch, PaymentOrder

_State = PaymentBatch.State
_OrderState = PaymentOrder.State


def move(
    rows: QuerySet[PaymentBatch],
    batch: PaymentBatch,
    state: PaymentBatch.State,
    *,
    actor: Actor,
    reason: str = "",
    **values: Any,
) -> PaymentBatch:
    """Bring a batch that is still among `rows` into this state, and its orders where that state leads them.

    Everything commits together or not at all. Raises Stale where the batch is not among the rows any more.
    """
    with whole():
        orders = ordering.locked(batch.orders.all())
        before = PaymentBatch.objects.select_for_update(of=("self",)).get(pk=batch.pk)
        if not rows.filter(pk=batch.pk).update(state=state, **values):
            raise Stale
        after = PaymentBatch.objects.get(pk=batch.pk)
        record(
            batch.organization,
            actor,
            [
                changed(after, audited_values(before), audited_values(after), reason),
                *_led(orders, after, reason),
            ],
        )
    return after


def in_state(*states: PaymentBatch.State) -> QuerySet[PaymentBatch]:
    return PaymentBatch.objects.filter(state__in=states)


def due(now: datetime) -> QuerySet[PaymentBatch]:
    """Batches of which nothing has left and whose time has come."""
    return in_state(_State.WAITING).filter(Q(not_before__isnull=True) | Q(not_before__lte=now))


def in_words(error: KvitError) -> Mapping[str, Any]:
    """Return an error as the columns of a batch hold it."""
    return {
        "error_kind": type(error).__name__,
        "error_message": error.message,
        "error_params": {name: str(value) for name, value in error.params.items()},
    }


def no_error() -> Mapping[str, Any]:
    return {"error_kind": "", "error_message": "", "error_params": {}}


def _led(orders: Sequence[PaymentOrder], batch: PaymentBatch, reason: str) -> list[Change]:
    """Bring the orders of a batch where its new state leads them.

    A batch that the bank does not have sets them free; those that the bank found a fault with are refused.
    Those executed or given up meanwhile stay as they are.
    """
    under_way = [order for order in orders if order.state in PaymentOrder.UNDER_WAY]
    if batch.state == _State.ACCEPTED:
        return [*ordering.put(under_way, reason=reason, state=_OrderState.HANDED_OVER)]
    if batch.state in (_State.REFUSED, _State.WITHDRAWN):
        faulty = {each["order_id"] for each in batch.verdicts if each["status"] == "error"}
        refused = [order for order in under_way if order.id_for_bank in faulty]
        free = [order for order in under_way if order.id_for_bank not in faulty]
        return [
            *ordering.put(refused, reason=reason, state=_OrderState.REFUSED, batch=None),
            *ordering.put(free, reason=reason, state=_OrderState.DRAFT, batch=None),
        ]
    return []
