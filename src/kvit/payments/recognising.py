"""Executed orders among the movements: told by equalities and uniqueness, never by a score."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet
from django.utils import timezone

from kvit.audit.recording import SYSTEM, Actor, record
from kvit.kernel.errors import Refused, Stale
from kvit.kernel.references import account_key, symbol_key
from kvit.ledger.models import MoneyTransaction
from kvit.ledger.whole import whole
from kvit.payments import orders as ordering
from kvit.payments import outbox
from kvit.payments.models import PaymentBatch, PaymentOrder
from kvit.users.models import Organization

EARLY: Final = timedelta(days=1)
"""A bank may book on the working day before the due day, but never before it has the order."""
PATIENCE: Final = timedelta(days=30)
"""How long after its due day, or after it was sent where that is later, a movement may execute an order."""

MOST_CANDIDATES: Final = 20
WATCHED: Final = timedelta(days=90)
"""For how long after a batch was sent its orders are looked for a second time."""

_BatchState = PaymentBatch.State
_OrderState = PaymentOrder.State
_SENT: Final = (_BatchState.ACCEPTED, _BatchState.UNKNOWN)
_GIVEN_UP: Final = (*PaymentOrder.OPEN, _OrderState.CANCELLED)
_ID: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")


@dataclass(frozen=True, slots=True)
class Recognised:
    """What came of one look."""

    executed: int = 0
    proved: int = 0
    """Unknown batches that a movement proved to be at the bank."""
    released: int = 0
    """Orders whose movement counts no more."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A movement that may execute an order, for a person to judge."""

    transaction: MoneyTransaction
    differing: tuple[str, ...]
    """The facts in which the two differ, by the names of the order's columns; `due_on` for the day."""


type _Pair = tuple[PaymentOrder, MoneyTransaction]


def recognise(organization: Organization, *, actor: Actor = SYSTEM) -> Recognised:
    """Find the orders that were executed, and link each to its movement where both fit nothing else.

    Order and movement must agree in account, amount, currency, counterparty's account and variable symbol,
    in the other symbols where the order has them, and in time; the bank's telling the order's own id stands
    in for the symbols and the time. Among several that fit, equal messages decide where they leave one pair.
    What a person rejected is never linked again. A movement that executes an order of an unknown batch proves
    that the bank has it; one that tells the id of an order that was given up shows that it was executed.
    """
    released = _release_withdrawn(organization, actor)
    executed = proved = 0
    for order, movement in _sure(_fitting_pairs(organization)):
        with suppress(Stale, Refused):  # somebody was faster with one of the two
            proved += _link(order, movement, actor, reason="recognised")
            executed += 1
    for order, movement, batch in _given_up(organization):
        with suppress(Stale, Refused):
            _link_after_all(order, movement, batch, actor)
            executed += 1
    return Recognised(executed, proved, released)


def candidates(order: PaymentOrder) -> list[Candidate]:
    """Return movements of the paying account that may execute the order, those that differ least first.

    In the order's own currency they are of its amount. Empty where the order is not at the bank.
    """
    order = PaymentOrder.objects.select_related("batch", "organization").get(pk=order.pk)
    if order.state not in PaymentOrder.UNDER_WAY or order.batch is None or order.batch.state not in _SENT:
        return []
    rows = _free_movements(order.organization).filter(
        Q(amount_minor=-order.amount_minor) | ~Q(currency=order.currency),
        account_id=order.account_id,
        booked_on__range=(_sent_on(order) - EARLY, _last_day(order) + PATIENCE),
    )
    found = [Candidate(row, _differing(order, row)) for row in rows.order_by("booked_on", "pk")]
    return sorted(found, key=lambda each: len(each.differing))[:MOST_CANDIDATES]


def link(order: PaymentOrder, transaction: MoneyTransaction, *, actor: Actor) -> None:
    """Note that a movement executed an order, because a person says so.

    Raises Refused where that can never be, and Stale where one of the two is taken by now.
    """
    _require_possible(order, transaction)
    _link(order, transaction, actor, reason="linked by hand")
    order.refresh_from_db()


def unlink(order: PaymentOrder, *, actor: Actor) -> None:
    """Take back that the movement executed the order: that pair is never linked by itself again.

    Raises Stale if it was not executed.
    """
    _unlink(order, actor, reason="unlinked by hand", is_rejected=True)
    order.refresh_from_db()


def told_again(organization: Organization, today: date) -> list[_Pair]:
    """Return movements that tell the id of an order which another one executed, or which was given up.

    The order was paid twice, its money came back (a storno), or it was paid otherwise than it is written
    here; a person must look.
    """
    orders = PaymentOrder.objects.filter(
        organization=organization, state__in=(_OrderState.EXECUTED, *_GIVEN_UP)
    ).filter(created_at__date__gte=today - 2 * WATCHED)
    by_id = {order.id_for_bank: order for order in orders}
    rows = MoneyTransaction.objects.booked().filter(
        organization=organization,
        payment_order__isnull=True,
        account_id__in={order.account_id for order in by_id.values()},
        booked_on__gte=today - WATCHED,
    )
    told = [(by_id[name], row) for row in rows for name in _ids_in(row) if name in by_id]
    return [
        (order, row)
        for order, row in told
        if "counterparty_account" not in _unlike(order, row) and row.pk not in order.rejected_ids
    ]


def reject(order: PaymentOrder, transaction: MoneyTransaction, *, actor: Actor) -> None:
    """Note that a person has looked at a movement and says that it is not, or not only, this order's."""
    with whole():
        row = ordering.locked([order])[0]
        if row.executed_by_id == transaction.pk:
            raise Stale
        rejected = sorted({*row.rejected_ids, transaction.pk})
        record(row.organization, actor, [*ordering.put([row], reason="looked at", rejected_ids=rejected)])
    order.refresh_from_db()


def overdue(organization: Organization, today: date) -> QuerySet[PaymentOrder]:
    """Return orders that the bank has and that no movement executed in the time in which one can."""
    longest_ago = today - PATIENCE
    midnight = datetime.combine(longest_ago, time(), tzinfo=ZoneInfo(organization.time_zone))
    return PaymentOrder.objects.filter(
        organization=organization,
        state=_OrderState.HANDED_OVER,
        due_on__lt=longest_ago,
        batch__sent_at__lt=midnight,
    )


def _release_withdrawn(organization: Organization, actor: Actor) -> int:
    """Take the link away from orders whose movement is no booked one any more."""
    executed = PaymentOrder.objects.filter(organization=organization, state=_OrderState.EXECUTED)
    released = 0
    for order in executed.exclude(executed_by__status=MoneyTransaction.Status.BOOKED):
        with suppress(Stale):  # somebody was faster
            _unlink(order, actor, reason="the movement was withdrawn")
            released += 1
    return released


def _unlink(order: PaymentOrder, actor: Actor, *, reason: str, is_rejected: bool = False) -> None:
    with whole():
        row = ordering.locked([order])[0]
        if row.state != _OrderState.EXECUTED or row.executed_by_id != order.executed_by_id:
            raise Stale
        changes: dict[str, Any] = {"executed_by": None, "state": _OrderState.HANDED_OVER}
        if row.batch is None or row.batch.state not in _SENT:  # given up once: nobody waits for it
            changes |= {"state": _OrderState.DRAFT, "batch": None}
        if is_rejected:
            changes["rejected_ids"] = sorted({*row.rejected_ids, row.executed_by_id})
        record(row.organization, actor, [*ordering.put([row], reason=reason, **changes)])


def _given_up(organization: Organization) -> list[tuple[PaymentOrder, MoneyTransaction, PaymentBatch]]:
    """Orders that a person took for not being at the bank, each beside the one movement that tells its id."""
    batches: dict[int, PaymentBatch] = {}
    denied = PaymentBatch.objects.filter(
        organization=organization, state=_BatchState.REFUSED, resolved_at__isnull=False
    )
    for batch in denied.order_by("pk"):
        batches |= dict.fromkeys(batch.order_ids, batch)
    given_up = PaymentOrder.objects.filter(organization=organization, state__in=_GIVEN_UP)
    orders = list(
        given_up.filter(Q(pk__in=batches) | Q(batch__isnull=False)).select_related("organization", "batch")
    )
    by_id = {order.id_for_bank: order for order in orders}
    rows = _free_movements(organization).filter(
        account_id__in={order.account_id for order in orders},
        amount_minor__in={-order.amount_minor for order in orders},
    )
    pairs = [(by_id[name], row) for row in rows for name in _ids_in(row) if name in by_id]
    fitting = [
        (order, row)
        for order, row in pairs
        if not {"amount", "counterparty_account"} & {*_unlike(order, row)}
        and row.pk not in order.rejected_ids
    ]
    return [(order, row, order.batch or batches[order.pk]) for order, row in _alone(fitting)]


def _fitting_pairs(organization: Organization) -> list[_Pair]:
    """Every order that the bank has or may have, beside every free movement that fits it."""
    orders = list(
        PaymentOrder.objects.under_way()
        .filter(organization=organization, batch__state__in=_SENT)
        .select_related("batch", "organization")
        .order_by("pk")
    )
    if not orders:
        return []
    rows = _free_movements(organization).filter(
        account_id__in={order.account_id for order in orders},
        amount_minor__in={-order.amount_minor for order in orders},
        booked_on__gte=min(order.created_at.date() for order in orders) - EARLY,
    )
    by_amount: dict[tuple[int, int, str], list[MoneyTransaction]] = {}
    for row in rows.order_by("booked_on", "pk"):
        by_amount.setdefault((row.account_id, -row.amount_minor, row.currency), []).append(row)
    return [
        (order, row)
        for order in orders
        for row in by_amount.get((order.account_id, order.amount_minor, order.currency), [])
        if _fits(order, row)
    ]


def _free_movements(organization: Organization) -> QuerySet[MoneyTransaction]:
    """Booked movements out of an account that execute no order yet."""
    return MoneyTransaction.objects.booked().filter(
        organization=organization, type=MoneyTransaction.Type.EXPENSE, payment_order__isnull=True
    )


def _sure(pairs: Sequence[_Pair]) -> list[_Pair]:
    """The pairs of which both sides fit nothing else: as told, then of what remains by equal messages.

    Where the bank tells an order's id, order and movement go with nothing else; told twice, they stay open.
    """
    named = [pair for pair in pairs if _names(*pair)]
    rest = _without(pairs, named)
    plain = _alone(rest)
    by_message = _alone([pair for pair in _without(rest, plain) if _same_message(*pair)])
    return [*_alone(named), *plain, *by_message]


def _alone(pairs: Sequence[_Pair]) -> list[_Pair]:
    """The pairs whose order and whose movement are in no other pair."""
    orders = Counter(order.pk for order, _ in pairs)
    movements = Counter(row.pk for _, row in pairs)
    return [(order, row) for order, row in pairs if orders[order.pk] == movements[row.pk] == 1]


def _without(pairs: Iterable[_Pair], taken: Sequence[_Pair]) -> list[_Pair]:
    """The pairs of which neither side is taken."""
    orders, movements = {order.pk for order, _ in taken}, {row.pk for _, row in taken}
    return [(order, row) for order, row in pairs if order.pk not in orders and row.pk not in movements]


def _fits(order: PaymentOrder, row: MoneyTransaction) -> bool:
    """Whether nothing speaks against it; the order's own id, where told, stands in for symbols and day."""
    if row.pk in order.rejected_ids:
        return False
    differing = {*_unlike(order, row)}
    if _names(order, row):
        return not differing - {"variable_symbol", "constant_symbol", "specific_symbol"}
    return not differing and _first_day(order) <= row.booked_on <= _last_day(order)


def _differing(order: PaymentOrder, row: MoneyTransaction) -> tuple[str, ...]:
    """The facts that differ for a person's eye: a message is no other one where the bank adds to it."""
    is_in_time = _first_day(order) <= row.booked_on <= _last_day(order)
    is_said = _in_line(order.message) in _in_line(row.message)
    return (*_unlike(order, row), *(() if is_in_time else ("due_on",)), *(() if is_said else ("message",)))


def _unlike(order: PaymentOrder, row: MoneyTransaction) -> tuple[str, ...]:
    told = {
        "amount": (row.amount_minor, row.currency) == (-order.amount_minor, order.currency),
        "counterparty_account": account_key(row.counterparty_account)
        == account_key(order.counterparty_account),
        "variable_symbol": symbol_key(row.variable_symbol) == symbol_key(order.variable_symbol),
        "constant_symbol": _same_if_given(order.constant_symbol, row.constant_symbol),
        "specific_symbol": _same_if_given(order.specific_symbol, row.specific_symbol),
    }
    return tuple(name for name, is_same in told.items() if not is_same)


def _same_if_given(wanted: str, told: str) -> bool:
    return not symbol_key(wanted) or symbol_key(wanted) == symbol_key(told)


def _same_message(order: PaymentOrder, row: MoneyTransaction) -> bool:
    return order.message != "" and _in_line(order.message) == _in_line(row.message)


def _in_line(text: str) -> str:
    return " ".join(text.split()).casefold()


def _names(order: PaymentOrder, row: MoneyTransaction) -> bool:
    """Whether the bank tells the order's own id: plugins hand it over as end-to-end id or in a comment."""
    return order.id_for_bank in _ids_in(row)


def _ids_in(row: MoneyTransaction) -> set[str]:
    return {*_ID.findall(f"{row.reference} {row.message}".lower())}


def _first_day(order: PaymentOrder) -> date:
    """A movement from before the order was sent is another payment."""
    return max(order.due_on - EARLY, _sent_on(order))


def _last_day(order: PaymentOrder) -> date:
    return max(order.due_on, _sent_on(order)) + PATIENCE


def _sent_on(order: PaymentOrder) -> date:
    assert order.batch is not None, "only orders in a batch are looked for"
    assert order.batch.sent_at is not None, "and only in one that was sent"
    return order.batch.sent_at.astimezone(ZoneInfo(order.organization.time_zone)).date()


def _require_possible(order: PaymentOrder, row: MoneyTransaction) -> None:
    if order.organization_id != row.organization_id or order.account_id != row.account_id:
        raise Refused("The movement is not on the account that pays the order.")
    if row.type != MoneyTransaction.Type.EXPENSE or row.status != MoneyTransaction.Status.BOOKED:
        raise Refused("Only a booked payment that left can execute an order.")
    if row.currency == order.currency and row.amount_minor != -order.amount_minor:
        raise Refused("The movement is of another amount than the order.")


def _link(order: PaymentOrder, row: MoneyTransaction, actor: Actor, *, reason: str) -> bool:
    """Link the two as they are now; return whether that proved an unknown batch to be at the bank.

    Raises Stale where one of them is taken by now, and Refused where they can never go together.
    """
    with whole():
        held = ordering.locked([order])[0]
        movement = MoneyTransaction.objects.select_for_update(of=("self",)).get(pk=row.pk)
        _require_possible(held, movement)
        batch = held.batch
        if held.state not in PaymentOrder.UNDER_WAY or batch is None or batch.state not in _SENT:
            raise Stale
        if PaymentOrder.objects.filter(executed_by=movement).exists():
            raise Stale
        is_proof = batch.state == _BatchState.UNKNOWN
        if is_proof:
            _prove(batch, actor)
            held.refresh_from_db()
        linked = ordering.put(
            [held],
            reason=reason,
            state=_OrderState.EXECUTED,
            executed_by=movement,
            rejected_ids=[pk for pk in held.rejected_ids if pk != movement.pk],
        )
        record(held.organization, actor, [*linked])
    return is_proof


def _link_after_all(order: PaymentOrder, row: MoneyTransaction, batch: PaymentBatch, actor: Actor) -> None:
    """Link an order that was given up; that its batch is at the bank contradicts who said otherwise."""
    with whole():
        held = ordering.locked([order])[0]
        movement = MoneyTransaction.objects.select_for_update(of=("self",)).get(pk=row.pk)
        _require_possible(held, movement)
        if held.state not in _GIVEN_UP or PaymentOrder.objects.filter(executed_by=movement).exists():
            raise Stale
        linked = ordering.put(
            [held],
            reason="the bank executed it after all",
            state=_OrderState.EXECUTED,
            executed_by=movement,
            batch=batch,
        )
        record(held.organization, actor, [*linked])
        if batch.state == _BatchState.REFUSED:
            denied = outbox.in_state(_BatchState.REFUSED)
            contradicted = _BatchState.ACCEPTED
            outbox.move(denied, batch, _BatchState.REFUSED, actor=actor, contradiction=contradicted)


def _prove(batch: PaymentBatch, actor: Actor) -> None:
    outbox.move(
        outbox.in_state(_BatchState.UNKNOWN),
        batch,
        _BatchState.ACCEPTED,
        actor=actor,
        reason="a movement of it was booked",
        resolved_at=timezone.now(),
        resolved_by=actor.name,
    )
