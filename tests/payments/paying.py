"""Plain functions that build orders, batches and what came of them."""

from __future__ import annotations

from datetime import date

from django.utils import timezone

from kvit.audit.recording import SYSTEM
from kvit.ledger.models import MoneyTransaction
from kvit.payments import batching, orders, sending
from kvit.payments.models import PaymentBatch, PaymentOrder
from kvit.sync import connections
from kvit.sync.models import PluginConfiguration, SourceAccount
from kvit.users.models import Organization
from tests.factories import a_payment, an_account, money
from tests.payments.paper_bank import NUMBER, TOKEN, PaperBank

SUPPLIER = "35-2000145399/0300"
SUPPLIER_IBAN = "CZ3003000000352000145399"


def today() -> date:
    """Batches are sent at the real time, so that orders are due on the real day."""
    return timezone.localdate()


def a_paying_connection(
    organization: Organization, bank: PaperBank, *, name: str = "Paper", address: str = ""
) -> PluginConfiguration:
    """Connect the bank, and have it told of the account that pays."""
    texts = {"token": TOKEN, "base_url": address or bank.base_url}
    connection = connections.add(organization, "paper", name, texts, actor=SYSTEM)
    SourceAccount.objects.create(
        connection=connection,
        external_id="1",
        account=an_account(organization, NUMBER),
        seen_at=timezone.now(),
    )
    return connection


def an_order(organization: Organization, amount: str = "1500.00 CZK", **fields: object) -> PaymentOrder:
    """A saved draft; columns of the order can be given by name."""
    value = money(amount)
    values: dict[str, object] = {
        "counterparty_account": SUPPLIER,
        "counterparty_name": "Dodavatel s.r.o.",
        "variable_symbol": "20260077",
        "due_on": today(),
        "account": an_account(organization, NUMBER),
    }
    order = PaymentOrder(
        organization=organization,
        amount_minor=value.minor,
        currency=value.currency,
        **(values | fields),
    )
    return orders.draft(order, actor=SYSTEM)


def a_batch(connection: PluginConfiguration, *drafts: PaymentOrder) -> PaymentBatch:
    return batching.make_batch(connection, drafts or (an_order(connection.organization),), actor=SYSTEM)


def a_sent_batch(connection: PluginConfiguration, *drafts: PaymentOrder) -> PaymentBatch:
    batch = a_batch(connection, *drafts)
    sending.send_due(timezone.now())
    batch.refresh_from_db()
    return batch


def an_expense(order: PaymentOrder, **fields: object) -> MoneyTransaction:
    """A booked movement as the bank tells an executed order; any field can be told otherwise."""
    told: dict[str, object] = {
        "booked_on": order.due_on,
        "counterparty_account": order.counterparty_account,
        "variable_symbol": order.variable_symbol,
        "constant_symbol": order.constant_symbol,
        "specific_symbol": order.specific_symbol,
        "message": order.message,
    }
    amount = str(fields.pop("amount", f"-{order.amount}"))
    return a_payment(order.account, amount, **(told | fields))


def states(batch: PaymentBatch) -> tuple[str, list[str]]:
    """The batch's state and those of the orders it was made of, as they are stored."""
    rows = PaymentOrder.objects.filter(pk__in=batch.order_ids).order_by("pk")
    state = PaymentBatch.objects.values_list("state", flat=True).get(pk=batch.pk)
    return state, list(rows.values_list("state", flat=True))
