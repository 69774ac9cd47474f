"""Money that goes back: what came too much, and what a credit note owes."""

from __future__ import annotations

from datetime import date

from django.db.models import Sum

from kvit.invoices.models import Invoice, Settlement
from kvit.kernel.errors import Refused
from kvit.kernel.money import Money
from kvit.kernel.references import account_key
from kvit.ledger.models import BankAccount, MoneyTransaction
from kvit.payments.models import PaymentOrder


def refund_of(
    transaction: MoneyTransaction, today: date, *, account: BankAccount | None = None
) -> PaymentOrder:
    """Propose an order, not saved yet, that sends back what is left of a payment to whom it came from.

    It leaves from the account on which the payment came unless another one is given. The account to pay to is
    empty where the bank did not tell it. Raises Refused where nothing is left, or it is no booked income.
    """
    left = left_of(transaction)
    if left.minor <= 0:
        raise Refused("Nothing of this payment is left to give back.")
    return PaymentOrder(
        organization=transaction.organization,
        account=account or transaction.account,
        amount_minor=left.minor,
        currency=left.currency,
        counterparty_account="".join(transaction.counterparty_account.split()),
        counterparty_name=_fitting(transaction.counterparty_name, "counterparty_name"),
        variable_symbol=_symbol(transaction.variable_symbol),
        due_on=today,
        refunds=transaction,
    )


def refund_of_credit_note(note: Invoice, today: date, *, account: BankAccount | None = None) -> PaymentOrder:
    """Propose an order, not saved yet, that pays out what is open on a credit note.

    It carries the note's variable symbol, by which matching knows it when it comes back as a movement. It
    goes to the account that paid the corrected invoice, where that is one only; else that is empty. Raises
    Refused where nothing is left, it is no credit note, or no account to pay from is given or known.
    """
    left = left_of_credit_note(note)
    if left.minor <= 0:
        raise Refused("Nothing is open on {number} any more.", number=note.number)
    payments = _payments_of(note)
    payers = {account_key(each.counterparty_account): each for each in payments if each.counterparty_account}
    payer = next(iter(payers.values())) if len(payers) == 1 else None
    came_to = {each.account for each in payments}
    paying = account or note.account or (came_to.pop() if len(came_to) == 1 else None)
    if paying is None:
        raise Refused("Choose the account that pays.")
    return PaymentOrder(
        organization=note.organization,
        account=paying,
        amount_minor=left.minor,
        currency=left.currency,
        counterparty_account="" if payer is None else "".join(payer.counterparty_account.split()),
        counterparty_name=_fitting(note.client.name, "counterparty_name"),
        variable_symbol=note.variable_symbol,
        message=_fitting(note.number, "message"),
        due_on=today,
        credit_note=note,
    )


def left_of(transaction: MoneyTransaction, *, but: PaymentOrder | None = None) -> Money:
    """Return what neither an invoice nor a refund uses of an incoming payment; below zero for too much.

    `but` is not counted. Raises Refused for what is no booked income.
    """
    is_income = transaction.type == MoneyTransaction.Type.INCOME
    if not (is_income and transaction.status == MoneyTransaction.Status.BOOKED):
        raise Refused("Only a booked payment that came in can be given back.")
    orders = transaction.refund_orders.standing()
    if but is not None:
        orders = orders.exclude(uid=but.uid)
    going_back = orders.aggregate(sum=Sum("amount_minor"))["sum"] or 0
    return Money(transaction.unsettled.minor - going_back, transaction.currency)


def left_of_credit_note(note: Invoice, *, but: PaymentOrder | None = None) -> Money:
    """Return what is open on a credit note and no order pays out yet; below zero where too much does.

    An executed order counts until its movement settles the note, which matching does. `but` is not counted.
    Raises Refused for what is no credit note.
    """
    if not note.is_credit_note:
        raise Refused("Only what a credit note owes is paid out.")
    orders = note.refund_orders.standing()
    if but is not None:
        orders = orders.exclude(uid=but.uid)
    paid_out = sum(order.amount_minor - _settled_by(order, note) for order in orders)
    return Money(note.open.minor - paid_out, note.currency)


def is_covered(order: PaymentOrder) -> bool:
    """Whether what an order gives back is still free for it; matching may have used it by now."""
    try:
        if order.refunds is not None:
            return order.amount <= left_of(order.refunds, but=order)
        if order.credit_note is not None:
            return order.amount <= left_of_credit_note(order.credit_note, but=order)
    except Refused:  # the movement was withdrawn
        return False
    return True


def require_room(order: PaymentOrder) -> None:
    """Refuse an order that gives back more than is left.

    Call it in the transaction that saves the order: what it gives back is locked, so that of two orders
    at once the second one sees the first.
    """
    if order.refunds_id is not None:
        payment = MoneyTransaction.objects.select_for_update(of=("self",)).get(pk=order.refunds_id)
        _require(order, left_of(payment, but=order))
    if order.credit_note_id is not None:
        note = Invoice.objects.select_for_update(of=("self",)).get(pk=order.credit_note_id)
        _require(order, left_of_credit_note(note, but=order))


def _require(order: PaymentOrder, left: Money) -> None:
    if order.currency != left.currency:
        raise Refused(
            "Money goes back in the currency in which it is owed, {currency}.", currency=left.currency
        )
    if order.amount > left:
        raise Refused(
            "Only {left} is left to give back.", left=left if left.minor > 0 else Money.zero(left.currency)
        )


def _settled_by(order: PaymentOrder, note: Invoice) -> int:
    """How much of the note the order's own movement settles, at most the order's amount."""
    if order.executed_by_id is None:
        return 0
    lines = Settlement.objects.filter(
        invoice=note, transaction_id=order.executed_by_id, voids__isnull=True, voided_by__isnull=True
    )
    return min(order.amount_minor, lines.aggregate(sum=Sum("amount_minor"))["sum"] or 0)


def _payments_of(note: Invoice) -> list[MoneyTransaction]:
    """The movements that pay the invoice which the note takes back."""
    lines = Settlement.objects.filter(
        invoice=note.corrects, transaction__isnull=False, voids__isnull=True, voided_by__isnull=True
    ).select_related("transaction__account")
    return [line.transaction for line in lines if line.transaction is not None]


def _symbol(text: str) -> str:
    """The symbol where it is one; a source may tell anything."""
    return text if text.isascii() and text.isdigit() and len(text) <= 10 else ""


def _fitting(text: str, name: str) -> str:
    """As much of a name or number as the column holds; money and symbols are never cut."""
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return plain[: PaymentOrder.room_for(name)].strip()
