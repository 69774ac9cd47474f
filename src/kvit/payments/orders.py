"""What a person does with a payment order before it is in a batch, and how its state moves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from django.db import IntegrityError
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_noop

from kvit.audit.recording import Actor, Change, audited_values, changed, created, record
from kvit.kernel.errors import Misconfigured, MoneyError, Refused, Stale
from kvit.kernel.money import Money
from kvit.kernel.references import account_key
from kvit.kernel.statements.accounts import is_iban, is_valid
from kvit.ledger.whole import whole
from kvit.payments import refunds
from kvit.payments.models import PaymentOrder

_State = PaymentOrder.State
_DOMESTIC: Final = re.compile(r"(?:(?P<prefix>\d{1,6})-)?(?P<number>\d{2,10})/\d{4}", re.ASCII)
_SYMBOL: Final = (
    re.compile(r"\d{1,10}", re.ASCII),
    gettext_noop("A symbol has at most ten digits and nothing else."),
)
_FORMS: Final = {
    "variable_symbol": _SYMBOL,
    "constant_symbol": _SYMBOL,
    "specific_symbol": _SYMBOL,
    "counterparty_bic": (
        re.compile(r"[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?", re.ASCII),
        gettext_noop("A BIC has eight or eleven letters and digits."),
    ),
    "counterparty_country": (
        re.compile(r"[A-Z]{2}", re.ASCII),
        gettext_noop("Write the country as two letters, such as DE."),
    ),
}
"""The form that each text has where it is given, and what is said where it has not."""
_TEXTS: Final = (
    "counterparty_account",
    "counterparty_name",
    "counterparty_bic",
    "counterparty_street",
    "counterparty_city",
    "counterparty_country",
    "variable_symbol",
    "constant_symbol",
    "specific_symbol",
    "message",
    "comment",
    "reason",
    "document_number",
)


def draft(order: PaymentOrder, *, actor: Actor) -> PaymentOrder:
    """Keep a new order. With a `uid` that a form was given, a second click is told from a second payment.

    Raises Misconfigured naming the field that is wrong, Refused where it gives back more than is left or
    something of another organization, and Stale where the same form was sent before.
    """
    _normalize(order)
    _require_sound(order)
    order.state, order.created_by = _State.DRAFT, actor.name
    try:
        with whole():
            refunds.require_room(order)
            order.save(force_insert=True)
            record(order.organization, actor, [created(order)])
    except IntegrityError:
        if not PaymentOrder.objects.filter(uid=order.uid).exists():
            raise
        raise Stale("This payment order was saved already.") from None
    return order


def change(order: PaymentOrder, *, actor: Actor) -> PaymentOrder:
    """Keep what was changed in an order that is in no batch; a refused one is a draft again.

    Raises what `draft` raises, and Stale where it is in a batch or cancelled by now.
    """
    _normalize(order)
    _require_sound(order)
    with whole():
        refunds.require_room(order)
        before = locked([order])[0]
        if not before.is_open:
            raise Stale("The payment order is in a batch by now; it no longer changes.")
        order.state = _State.DRAFT
        order.save(update_fields=[*PaymentOrder.TOLD, "state"])
        record(order.organization, actor, [changed(order, audited_values(before), audited_values(order))])
    return order


def cancel(order: PaymentOrder, *, actor: Actor, reason: str = "") -> None:
    """Give an order up: one in no batch, or one that a person deleted in the bank after it was handed over.

    Raises Stale where it is on its way to the bank, executed or cancelled by now.
    """
    with whole():
        row = locked([order])[0]
        if row.state not in (*PaymentOrder.OPEN, _State.HANDED_OVER):
            raise Stale
        record(row.organization, actor, [*put([row], reason=reason, state=_State.CANCELLED)])
    order.refresh_from_db()


def similar(order: PaymentOrder) -> QuerySet[PaymentOrder]:
    """Return other orders that stand, to the same account: of the same sum and symbol, or invoice.

    They are a reason to ask whether something is about to be paid twice.
    """
    same_sum = Q(
        amount_minor=order.amount_minor, currency=order.currency, variable_symbol=order.variable_symbol
    )
    same_document = Q(document_number=order.document_number) & ~Q(document_number="")
    others = (
        PaymentOrder.objects.standing()
        .filter(same_sum | same_document, organization_id=order.organization_id)
        .exclude(uid=order.uid)
    )
    key = account_key(order.counterparty_account)
    same_account = [each.pk for each in others if account_key(each.counterparty_account) == key]
    return others.filter(pk__in=same_account)


def locked(orders: Iterable[PaymentOrder]) -> list[PaymentOrder]:
    """Return the orders as they are now, held against others, in the order of their ids.

    Raises Stale where one of them is gone.
    """
    wanted = {order.pk for order in orders}
    rows = list(
        PaymentOrder.objects.select_for_update(of=("self",))
        .filter(pk__in=wanted)
        .select_related("organization")
        .order_by("pk")
    )
    if len(rows) != len(wanted):
        raise Stale
    return rows


def put(orders: Sequence[PaymentOrder], *, reason: str = "", **values: Any) -> Iterator[Change]:
    """Write these columns of locked orders, one after another, and yield what changed."""
    for order in orders:
        before = audited_values(order)
        for name, value in values.items():
            setattr(order, name, value)
        order.save(update_fields=list(values))
        yield changed(order, before, audited_values(order), reason)


def _normalize(order: PaymentOrder) -> None:
    """Write every text without spaces around it or twice, and codes and accounts in one way."""
    for name in _TEXTS:
        setattr(order, name, " ".join(getattr(order, name).split()))
    for name in ("counterparty_bic", "counterparty_country", "reason", "currency"):
        setattr(order, name, getattr(order, name).upper())
    order.counterparty_account = "".join(order.counterparty_account.split()).upper()


def _require_sound(order: PaymentOrder) -> None:
    _require_amount(order)
    _require_account(order)
    for name in _TEXTS:
        _require_text(order, name)
    for name, (form, wanted) in _FORMS.items():
        text: str = getattr(order, name)
        if text and not form.fullmatch(text):
            raise Misconfigured(wanted, field=name)
    _require_own(order)


def _require_amount(order: PaymentOrder) -> None:
    try:
        is_positive = Money(order.amount_minor, order.currency).minor > 0
    except MoneyError as error:
        raise Misconfigured(error.message, field="amount", **error.params) from None
    if not is_positive:
        raise Misconfigured("Only an amount above zero can be paid.", field="amount")


def _require_account(order: PaymentOrder) -> None:
    """A mistyped account shows by its check digits (ISO 13616; ČNB decree 169/2011)."""
    text = order.counterparty_account
    domestic = _DOMESTIC.fullmatch(text)
    if domestic is not None:
        holds = is_valid(f"{domestic['prefix'] or '':0>6}{domestic['number']:0>10}")
    else:
        holds = is_iban(text)
    if not holds:
        raise Misconfigured(
            "“{account}” is no account number. Write an IBAN or [prefix-]number/bank code.",
            field="counterparty_account",
            account=text,
        )
    if account_key(text) == account_key(order.account.number):
        raise Misconfigured("An account does not pay itself.", field="counterparty_account")


def _require_text(order: PaymentOrder, name: str) -> None:
    longest = PaymentOrder.room_for(name)
    text: str = getattr(order, name)
    if len(text) > longest:
        raise Misconfigured("At most {count} characters fit.", field=name, count=longest)
    if not text.isprintable():
        raise Misconfigured("The text holds characters that cannot be printed.", field=name)


def _require_own(order: PaymentOrder) -> None:
    """Everything that an order points to is its organization's."""
    for row in (order.account, order.refunds, order.credit_note):
        if row is not None and row.organization_id != order.organization_id:
            raise Refused("The payment order and what it is for belong to two organizations.")
