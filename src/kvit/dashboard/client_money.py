"""What is left between us and a client besides open invoices: credits, refunds owed, known accounts."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import F, QuerySet

from kvit.invoices.models import Invoice, Settlement
from kvit.kernel.money import Money
from kvit.ledger.models import MoneyTransaction
from kvit.matching.models import Decision
from kvit.work.clients import other_clients_paying_from
from kvit.work.models import Client, PayerAccount


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """What a settled payment of the client leaves."""

    payment: MoneyTransaction
    left: Money
    is_waiting: bool
    """Whether the review asks what to do with it."""
    also_of: tuple[Client, ...]
    """Other clients whose invoices the same payment pays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAccount:
    """An account that the client is known to pay from."""

    row: PayerAccount
    learned_from: MoneyTransaction | None
    """The payment that showed it, where a decision did."""
    others: tuple[Client, ...]
    """Other clients known to pay from it."""


def credits_of(client: Client) -> list[Credit]:
    """Return what payments that pay the client's invoices leave, the latest first."""
    rows = (
        MoneyTransaction.objects.booked()
        .income()
        .filter(pk__in=_live_lines().filter(invoice__client=client).values("transaction"))
        .exclude(settled_minor=F("amount_minor"))
        .order_by("-booked_on", "-pk")
    )
    payments = list(rows)
    ids = [row.pk for row in payments]
    waiting = set(
        Decision.objects.waiting().filter(transaction__in=ids).values_list("transaction_id", flat=True)
    )
    others: dict[int | None, dict[int, Client]] = {}
    shared = _live_lines().filter(transaction__in=ids).exclude(invoice__client=client)
    for line in shared.select_related("invoice__client"):
        others.setdefault(line.transaction_id, {})[line.invoice.client_id] = line.invoice.client
    return [
        Credit(
            payment=row,
            left=row.unsettled,
            is_waiting=row.pk in waiting,
            also_of=tuple(others.get(row.pk, {}).values()),
        )
        for row in payments
    ]


def refunds_owed(client: Client) -> QuerySet[Invoice]:
    """Return the client's open credit notes, those due first at the top."""
    notes = Invoice.objects.open().filter(client=client, kind=Invoice.Kind.CREDIT_NOTE)
    return notes.order_by("due_on", "pk")


def known_accounts(client: Client) -> list[KnownAccount]:
    """Return the accounts the client is known to pay from, and how each became known."""
    rows = list(client.payer_accounts.all())
    decisions = Decision.objects.filter(organization=client.organization_id).select_related("transaction")
    found = decisions.in_bulk([row.decision_id for row in rows if row.decision_id is not None])
    return [
        KnownAccount(
            row=row,
            learned_from=found[row.decision_id].transaction if row.decision_id in found else None,
            others=tuple(other_clients_paying_from(client, row.number)),
        )
        for row in rows
    ]


def _live_lines() -> QuerySet[Settlement]:
    return Settlement.objects.filter(
        source_kind=Settlement.Source.TRANSACTION, voids__isnull=True, voided_by__isnull=True
    )
