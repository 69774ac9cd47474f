"""Payment orders: what is to be paid, what is on its way, and what was executed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from kvit.invoices.models import Invoice
from kvit.kernel.errors import KvitError, PluginUnavailable, Refused
from kvit.ledger.models import BankAccount, MoneyTransaction
from kvit.payments import batching, orders, recognising, refunds, resolving
from kvit.payments.models import PaymentBatch, PaymentOrder, PaymentOrderQuerySet
from kvit.plugin import Push
from kvit.sync.registry import plugin_class
from kvit.web.forms_payments import PaymentOrderForm
from kvit.web.requests import Request, refusal_as_message
from kvit.web.words import error_text, told_text

PER_PAGE: Final = 50
_State = PaymentOrder.State


@require_safe
def listing(request: Request) -> HttpResponse:
    """Show what waits for a person, then what is to be paid, by account, then everything else."""
    within = request.access.within
    rows = PaymentOrder.objects.select_related("account", "batch", "executed_by")
    ended = Paginator(within(rows.filter(state__in=[_State.EXECUTED, _State.CANCELLED])), PER_PAGE)
    to_pay = within(PaymentOrder.objects.open().select_related("account")).order_by("due_on", "id")
    shown = {
        "unclear": resolving.waiting_for_a_person(request.access.organization),
        "to_pay": _by_account(list(to_pay)),
        "under_way": (under_way := list(within(_with_what_it_gives_back().under_way()))),
        "uncovered": [row for row in under_way if not refunds.is_covered(row)],
        "told_again": recognising.told_again(request.access.organization, timezone.localdate()),
        "overdue": set(recognising.overdue(request.access.organization, timezone.localdate())),
        "ended": ended.get_page(request.GET.get("page")),
        "batches": within(PaymentBatch.objects.select_related("account"))[:10],
        "has_accounts": within(BankAccount.objects.all()).exists(),
        "attempt": uuid.uuid4(),
    }
    return render(request, "web/payments/list.html", shown)


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: Request) -> HttpResponse:
    """Write an order: empty, or back to whom too much came from, or for what a credit note owes."""
    try:
        proposal = _proposal(request)
    except Refused as error:
        messages.error(request, error_text(error))
        return redirect("payments")
    form = PaymentOrderForm(request.POST or None, instance=proposal, access=request.access)
    if form.is_bound and form.is_valid():
        try:
            made = orders.draft(form.instance, actor=request.actor)
        except KvitError as error:
            form.show(error)
        else:
            messages.success(request, _("The payment order is saved. Nothing has been sent."))
            return redirect("payment", pk=made.pk)
    return render(request, "web/payments/edit.html", {"form": form, "order": proposal})


@require_http_methods(["GET", "HEAD", "POST"])
def order(request: Request, pk: int) -> HttpResponse:
    """Show an order; while it is in no batch, it may be changed."""
    rows = PaymentOrder.objects.select_related("account", "batch", "executed_by", "refunds", "credit_note")
    row = request.access.get(rows, pk)
    form = PaymentOrderForm(request.POST or None, instance=row, access=request.access)
    if form.is_bound and form.is_valid():
        try:
            orders.change(form.instance, actor=request.actor)
        except KvitError as error:
            form.show(error)
        else:
            messages.success(request, _("The payment order is saved. Nothing has been sent."))
            return redirect("payment", pk=row.pk)
    shown = {
        "order": row,
        "form": form if row.is_open and request.access.can_change else None,
        "similar": orders.similar(row) if row.state != _State.CANCELLED else (),
        "candidates": recognising.candidates(row) if row.state == _State.HANDED_OVER else (),
        "verdicts": [] if row.batch is None else _complaints(row.batch, row),
        "is_uncovered": row.state in PaymentOrder.UNDER_WAY and not refunds.is_covered(row),
        "may_cancel": row.is_open or row.state == _State.HANDED_OVER,
    }
    return render(request, "web/payments/order.html", shown)


@require_POST
def cancellation(request: Request, pk: int) -> HttpResponse:
    """Give an order up; one that was handed over, after it was deleted in the bank."""
    row = request.access.get(PaymentOrder.objects.all(), pk)
    with refusal_as_message(request):
        orders.cancel(row, actor=request.actor)
        messages.success(request, _("The payment order is cancelled."))
    return redirect("payment", pk=row.pk)


@require_POST
def execution(request: Request, pk: int) -> HttpResponse:
    """Say which movement executed the order, or that one did not; a second click changes nothing."""
    row = request.access.get(PaymentOrder.objects.all(), pk)
    chosen, rejected = _movement(request, "transaction"), _movement(request, "rejected")
    with refusal_as_message(request):
        if chosen is not None and chosen.pk != row.executed_by_id:
            recognising.link(row, chosen, actor=request.actor)
            messages.success(request, _("The order is executed."))
        elif rejected is not None and rejected.pk != row.executed_by_id:
            recognising.reject(row, rejected, actor=request.actor)
        elif chosen is None and row.executed_by_id is not None:
            recognising.unlink(row, actor=request.actor)
            messages.success(request, _("The order waits for its movement again."))
    return redirect("payment", pk=row.pk)


def explained_verdicts(batch: PaymentBatch) -> list[dict[str, object]]:
    """Return what the bank said about a batch, each with what it means in our words, where that is known.

    A verdict of one order names it; a code that is no number is the plugin's own and tells nobody anything.
    """
    orders = {
        order.id_for_bank: order
        for order in PaymentOrder.objects.filter(
            pk__in=batch.order_ids, organization_id=batch.organization_id
        )
    }
    return [
        {
            **verdict,
            "message": told_text(verdict["message"]),
            "code": verdict["code"] if verdict["code"].isdecimal() else "",
            "meaning": _meaning(batch, verdict["code"]),
            "order": orders.get(verdict["order_id"]),
        }
        for verdict in batch.verdicts
        if not (verdict["status"] == "ok" and verdict["order_id"])
    ]


def _meaning(batch: PaymentBatch, code: str) -> str:
    try:
        plugin = plugin_class(batch.connection.plugin)
    except PluginUnavailable:
        return ""
    text = plugin.explained(code) if issubclass(plugin, Push) else ""
    return _(text) if text else ""


def _complaints(batch: PaymentBatch, row: PaymentOrder) -> list[dict[str, object]]:
    return [each for each in explained_verdicts(batch) if each["order_id"] == row.id_for_bank]


def _movement(request: Request, name: str) -> MoneyTransaction | None:
    """The movement that a form names; 404 for one of somebody else."""
    number = request.POST.get(name, "")
    if not number.isdecimal():
        return None
    return request.access.get(MoneyTransaction.objects.all(), int(number))


def _proposal(request: Request) -> PaymentOrder:
    """The order that the form starts from. Raises Refused where nothing is left to give back."""
    today = timezone.localdate()
    if request.GET.get("refund", "").isdecimal():
        row = request.access.get(MoneyTransaction.objects.all(), int(request.GET["refund"]))
        return refunds.refund_of(row, today)
    if request.GET.get("credit-note", "").isdecimal():
        note = request.access.get(Invoice.objects.all(), int(request.GET["credit-note"]))
        return refunds.refund_of_credit_note(note, today, account=note.account or _first_account(request))
    account = _first_account(request)
    if account is None:
        raise Refused("Connect a bank first: a payment order needs the account that pays.")
    return PaymentOrder(
        organization=request.access.organization, account=account, currency=account.currency, due_on=today
    )


def _with_what_it_gives_back() -> PaymentOrderQuerySet:
    return PaymentOrder.objects.all().select_related("refunds", "credit_note")


def _first_account(request: Request) -> BankAccount | None:
    """The first account that a connection can hand orders over for, else the first one."""
    accounts = list(request.access.within(BankAccount.objects.all()))
    payable = (account for account in accounts if batching.connections_for(account))
    return next(payable, accounts[0] if accounts else None)


def _by_account(rows: Sequence[PaymentOrder]) -> list[dict[str, object]]:
    """Group orders by the account that pays, with the connections that can hand them over."""
    accounts = {row.account_id: row.account for row in rows}
    return [
        {
            "account": account,
            "orders": [row for row in rows if row.account_id == key],
            "connections": batching.connections_for(account),
        }
        for key, account in accounts.items()
    ]
