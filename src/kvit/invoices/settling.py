"""Settling and unsettling invoices: the only code that moves the counters on both sides.

Both counters move by conditional UPDATE, the transaction's first and the invoice's second, in every
process; whoever is second gets Stale and nothing is half-done. Constraints in the database hold the same.
"""

from __future__ import annotations

from datetime import date

from django.db import transaction as database_transaction
from django.db.models import F
from django.utils import timezone

from kvit.audit.recording import Actor, Change, changed, created, record
from kvit.invoices.models import Invoice, Settlement
from kvit.kernel.errors import CurrencyMismatch, Refused, Stale
from kvit.kernel.money import Money
from kvit.ledger.models import MoneyTransaction


def settle(
    invoice: Invoice,
    transaction: MoneyTransaction,
    amount: Money,
    *,
    actor: Actor,
    decision_id: int | None = None,
) -> Settlement:
    """Use a positive amount of a booked incoming movement to pay an issued invoice.

    Raises CurrencyMismatch, Refused for what can never be, and Stale where the invoice or the movement has
    been settled by somebody else since they were read.
    """
    _require_settleable(invoice, transaction, amount)
    with database_transaction.atomic():
        _use(transaction, amount)
        _pay(invoice, amount, transaction.booked_on)
        return _append(
            invoice,
            actor,
            source_kind=Settlement.Source.TRANSACTION,
            transaction=transaction,
            amount_minor=amount.minor,
            settled_on=transaction.booked_on,
            decision_id=decision_id,
        )


def settle_by_hand(invoice: Invoice, on: date, *, actor: Actor) -> Settlement:
    """Mark what is open on an issued invoice as paid on a day, without a bank movement. Raises Stale."""
    amount = invoice.open
    if not amount:
        raise Stale("Nothing is open on this invoice any more.")
    with database_transaction.atomic():
        _pay(invoice, amount, on)
        return _append(
            invoice,
            actor,
            source_kind=Settlement.Source.MANUAL,
            amount_minor=amount.minor,
            settled_on=on,
        )


def unsettle(settlement: Settlement, *, actor: Actor, reason: str = "") -> Settlement:
    """Undo a settlement by a voiding line; the invoice is open again. Raises Stale where that is done."""
    if settlement.voids_id is not None:
        raise Refused("This line is itself an undo.")
    with database_transaction.atomic():
        if settlement.transaction is not None:
            _release(settlement.transaction, settlement)
        invoice = Invoice.objects.select_for_update(of=("self",)).get(pk=settlement.invoice_id)
        if Settlement.objects.filter(voids=settlement).exists():
            raise Stale("This was undone already.")
        _reopen(invoice, settlement.amount)
        return _append(
            invoice,
            actor,
            reason=reason,
            source_kind=settlement.source_kind,
            transaction=settlement.transaction,
            amount_minor=settlement.amount_minor,
            settled_on=settlement.settled_on,
            decision_id=settlement.decision_id,
            voids=settlement,
        )


def _require_settleable(invoice: Invoice, transaction: MoneyTransaction, amount: Money) -> None:
    if invoice.organization_id != transaction.organization_id:
        raise Refused("The invoice and the movement belong to two organizations.")
    if not invoice.currency == transaction.currency == amount.currency:
        raise CurrencyMismatch(
            "{one} and {other} are in two currencies.", one=invoice.total, other=transaction.amount
        )
    if transaction.status != MoneyTransaction.Status.BOOKED:
        raise Refused("The bank has not booked this movement yet.")
    if transaction.amount_minor <= 0 or amount.minor <= 0:
        raise Refused("Only money that came in can pay an invoice.")
    if invoice.is_draft:
        raise Refused("A draft cannot be paid. Issue it first.")


def _use(transaction: MoneyTransaction, amount: Money) -> None:
    used = MoneyTransaction.objects.filter(
        pk=transaction.pk,
        settled_minor=transaction.settled_minor,
        status=MoneyTransaction.Status.BOOKED,
        amount_minor__gte=F("settled_minor") + amount.minor,
    ).update(settled_minor=F("settled_minor") + amount.minor)
    if not used:
        raise Stale


def _pay(invoice: Invoice, amount: Money, on: date) -> None:
    is_whole = invoice.settled_minor + amount.minor == invoice.total_minor
    paid = Invoice.objects.filter(
        pk=invoice.pk,
        state=Invoice.State.ISSUED,
        settled_minor=invoice.settled_minor,
        total_minor__gte=F("settled_minor") + amount.minor,
    ).update(
        settled_minor=F("settled_minor") + amount.minor,
        state=Invoice.State.PAID if is_whole else Invoice.State.ISSUED,
        paid_on=on if is_whole else None,
    )
    if not paid:
        raise Stale


def _release(transaction: MoneyTransaction, settlement: Settlement) -> None:
    released = MoneyTransaction.objects.filter(
        pk=transaction.pk, settled_minor__gte=settlement.amount_minor
    ).update(settled_minor=F("settled_minor") - settlement.amount_minor)
    if not released:
        raise Stale


def _reopen(invoice: Invoice, amount: Money) -> None:
    """Open the invoice again. Raises Refused where another open invoice has its variable symbol by now."""
    taken = Invoice.objects.open().filter(
        organization_id=invoice.organization_id, account_id=invoice.account_id, symbol_key=invoice.symbol_key
    )
    if invoice.state == Invoice.State.PAID and taken.exclude(pk=invoice.pk).exists():
        raise Refused(
            "Invoice {number} cannot be opened again: another open invoice has its variable symbol {symbol}.",
            number=invoice.number,
            symbol=invoice.variable_symbol,
        )
    Invoice.objects.filter(pk=invoice.pk).update(
        settled_minor=F("settled_minor") - amount.minor, state=Invoice.State.ISSUED, paid_on=None
    )


def _append(invoice: Invoice, actor: Actor, *, reason: str = "", **values: object) -> Settlement:
    """Write the line, and both sides' changes into the audit."""
    line = Settlement.objects.create(
        organization_id=invoice.organization_id,
        invoice=invoice,
        currency=invoice.currency,
        created_by=actor.name,
        created_at=timezone.now(),
        **values,
    )
    record(
        invoice.organization,
        actor,
        [created(line, reason), _change_of_invoice(invoice), *_change_of_transaction(line)],
    )
    return line


def _change_of_invoice(before: Invoice) -> Change:
    columns = ("state", "settled_minor", "paid_on")
    after = Invoice.objects.values(*columns).get(pk=before.pk)
    return changed(before, {name: getattr(before, name) for name in columns}, after)


def _change_of_transaction(line: Settlement) -> list[Change]:
    if line.transaction is None:
        return []
    after = MoneyTransaction.objects.values_list("settled_minor", flat=True).get(pk=line.transaction.pk)
    moved = -line.amount_minor if line.voids_id else line.amount_minor
    return [changed(line.transaction, {"settled_minor": after - moved}, {"settled_minor": after})]
