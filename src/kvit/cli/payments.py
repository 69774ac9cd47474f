"""`kvit payment …`: payment orders and the batches in which the bank gets them."""

from __future__ import annotations

import argparse
from typing import Final

from django.utils import timezone

from kvit.audit.recording import COMMAND
from kvit.cli.organizations import all_or
from kvit.cli.tables import counted, shown, table
from kvit.kernel.errors import KvitError, Refused
from kvit.payments import resolving, sending
from kvit.payments.models import PaymentBatch, PaymentOrder

LAST_BATCHES: Final = 20
_SOME_UNKNOWN: Final = 1


def list_orders(options: argparse.Namespace) -> int:
    """Print the payment orders, the latest first, then what is known of the last twenty batches."""
    organizations = all_or(options.organization)
    orders = PaymentOrder.objects.filter(organization__in=organizations).select_related("account")
    if options.open:
        orders = orders.open() | orders.under_way()
    rows = list(orders)
    if not rows:
        print("no payment order")
        return 0
    heading = ("order", "due on", "amount", "to", "VS", "state", "batch")
    print(*table([heading, *map(_order, rows)]), sep="\n")
    batches = PaymentBatch.objects.filter(organization__in=organizations).select_related("account")
    if batches:
        titles = ("batch", "account", "state", "bank's number", "problem")
        print("", *table([titles, *map(_batch, batches[:LAST_BATCHES])]), sep="\n")
    return 0


def send(_options: argparse.Namespace) -> int:
    """Hand over the batches that wait, once each; 1 where the answer to one was lost, now or earlier."""
    accepted = sending.send_due(timezone.now())
    print(f"accepted {counted(accepted, 'batch', 'batches')}")
    unknown = PaymentBatch.objects.filter(state=PaymentBatch.State.UNKNOWN).order_by("pk")
    for batch in unknown:
        print(shown(f"batch {batch.pk} ({batch}): look in the bank, then “kvit payment resolve {batch.pk}”"))
    return _SOME_UNKNOWN if unknown else 0


def resolve(options: argparse.Namespace) -> int:
    """Note what a person found in the bank about a batch whose answer was lost. Raises Refused and Stale."""
    batches = PaymentBatch.objects.filter(organization__in=all_or(options.organization))
    batch = batches.filter(pk=options.batch).first()
    if batch is None:
        raise Refused("There is no batch {number}.", number=options.batch)
    if options.taken:
        resolving.bank_has_it(batch, actor=COMMAND, reference=options.reference)
        print("The bank has it; its orders wait for their movements.")
    else:
        resolving.bank_does_not_have_it(batch, actor=COMMAND)
        print("The bank does not have it; its orders are drafts again.")
    return 0


def _order(order: PaymentOrder) -> list[str]:
    return [
        str(order.pk),
        order.due_on.isoformat(),
        str(order.amount),
        shown(f"{order.counterparty_account} {order.counterparty_name}".strip()),
        shown(order.variable_symbol),
        order.state,
        "" if order.batch_id is None else str(order.batch_id),
    ]


def _batch(batch: PaymentBatch) -> list[str]:
    problem = str(KvitError(batch.error_message, **batch.error_params)) if batch.error_message else ""
    return [str(batch.pk), shown(str(batch.account)), batch.state, shown(batch.reference), shown(problem)]
