"""Clients: the list, and the page of one with its invoices and known payer accounts."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from kvit import pipeline
from kvit.dashboard.client_money import credits_of, known_accounts, refunds_owed
from kvit.invoices.models import Invoice
from kvit.kernel.errors import Refused
from kvit.matching import attention
from kvit.matching.models import MatchingRun
from kvit.matching.reconcile import reconcile
from kvit.web import history
from kvit.web.acts import done
from kvit.web.forms_money import ClientForm, PayerAccountForm
from kvit.web.requests import Request, refusal_as_message
from kvit.web.views.invoices import sums_per_currency
from kvit.web.words import error_text
from kvit.work import clients
from kvit.work.models import Client, PayerAccount


@require_safe
def listing(request: Request) -> HttpResponse:
    is_owed = Q(invoices__state=Invoice.State.ISSUED, invoices__kind=Invoice.Kind.INVOICE)
    rows = request.access.within(Client.objects.all()).annotate(
        invoice_count=Count("invoices"), open_count=Count("invoices", filter=is_owed)
    )
    return render(request, "web/clients/list.html", {"clients": rows})


def new(request: Request) -> HttpResponse:
    request.access.require_change()
    client = Client(organization=request.access.organization)
    form = ClientForm(request.POST or None, instance=client)
    to_invoice = "invoice" in request.GET
    if request.method == "POST" and _save(form, request):
        done(request, _("Client {name} saved.").format(name=client.name))
        if to_invoice:
            return redirect(f"{reverse('invoice-new')}?client={client.pk}")
        return redirect("client", client.pk)
    return render(request, "web/clients/new.html", {"form": form})


def detail(request: Request, pk: int) -> HttpResponse:
    client = request.access.get(Client.objects.select_related("organization"), pk)
    form = ClientForm(request.POST or None, instance=client)
    if request.method == "POST" and _save(form, request):
        done(request, _("Client {name} saved.").format(name=client.name))
        return redirect("client", client.pk)
    return _page(request, client, form, PayerAccountForm())


@require_POST
def account_add(request: Request, pk: int) -> HttpResponse:
    client = request.access.get(Client.objects.select_related("organization"), pk)
    form = PayerAccountForm(request.POST)
    if form.is_valid():
        try:
            row = pipeline.know_payer(client, form.cleaned_data["number"], actor=request.actor)
        except Refused as error:
            form.add_error("number", error_text(error))
        else:
            done(request, _("Account {number} is known from now on.").format(number=row.number))
            return redirect("client", client.pk)
    return _page(request, client, ClientForm(instance=client), form)


@require_POST
def account_remove(request: Request, pk: int) -> HttpResponse:
    row = request.access.get(PayerAccount.objects.select_related("organization"), pk)
    with refusal_as_message(request):
        clients.remove_payer_account(row, actor=request.actor)
        attention.everything(row.organization)
        reconcile(row.organization, trigger=MatchingRun.Trigger.PERSON)
        done(
            request,
            _("Account {number} is forgotten.").format(number=row.number),
            undo_url=reverse("payer-account-add", args=[row.client_id]),
            values={"number": row.number},
        )
    return redirect("client", row.client_id)


def _save(form: ClientForm, request: Request) -> bool:
    if not form.is_valid():
        return False
    try:
        clients.save_client(form.instance, actor=request.actor)
    except Refused as error:
        form.add_error("name", error_text(error))
        return False
    return True


def _page(request: Request, client: Client, form: ClientForm, account_form: PayerAccountForm) -> HttpResponse:
    invoices = request.access.within(Invoice.objects.filter(client=client))
    owed = invoices.filter(state=Invoice.State.ISSUED, kind=Invoice.Kind.INVOICE)
    today = timezone.localdate()
    context: dict[str, Any] = {
        "client": client,
        "name": Client.objects.values_list("name", flat=True).get(pk=client.pk),
        "form": form,
        "account_form": account_form,
        "payer_accounts": known_accounts(client),
        "credits": credits_of(client),
        "refunds": refunds_owed(client),
        "invoices": [(row, _state(row, today)) for row in invoices[:100]],
        "history": history.of_client(client, request.access),
        "open_sums": sums_per_currency(owed),
    }
    return render(request, "web/clients/detail.html", context)


def _state(invoice: Invoice, today: date) -> str:
    """Return the state to show; what we owe on a credit note is not overdue to us."""
    is_overdue = invoice.is_overdue(today) and not invoice.is_credit_note
    return "overdue" if is_overdue else invoice.state
