"""Invoices: the list, the draft's editor, and the page of one as paper with what has paid it."""

from __future__ import annotations

from typing import Any, Final

from django.core.paginator import Paginator
from django.db.models import F, QuerySet, Sum
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from kvit import pipeline
from kvit.invoices import settling
from kvit.invoices.models import Invoice, Settlement
from kvit.kernel.errors import Refused
from kvit.kernel.money import Money
from kvit.matching import review
from kvit.matching.models import Decision
from kvit.matching.reconcile import reconcile
from kvit.web import history
from kvit.web.acts import done
from kvit.web.amounts import quantity_shown
from kvit.web.forms_money import Editor, IssueForm, PaymentForm, sent_lines
from kvit.web.requests import Request, redirect_back, refusal_as_message
from kvit.web.words import error_text
from kvit.work.models import Client

ROWS_PER_PAGE: Final = 100
TABS: Final = ("all", "drafts", "open", "overdue", "paid")


@require_safe
def listing(request: Request) -> HttpResponse:
    tab = request.GET.get("tab", "all")
    if tab not in TABS:
        raise Http404
    today = timezone.localdate()
    rows = request.access.within(Invoice.objects.all())
    tabs = [(name, _of_tab(rows, name)) for name in TABS]
    shown = dict(tabs)[tab].select_related("client").order_by(F("issued_on").desc(nulls_first=True), "-id")
    page = Paginator(shown, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "tab": tab,
        "tabs": [(name, found.count()) for name, found in tabs],
        "sums": sums_per_currency(dict(tabs)[tab]),
        "page": page,
        "rows": [
            (invoice, _state(invoice), (invoice.due_on - today).days, (today - invoice.due_on).days)
            for invoice in page
        ],
    }
    return render(request, "web/invoices/list.html", context)


def new(request: Request) -> HttpResponse:
    request.access.require_change()
    return _edit(request, Invoice(organization=request.access.organization))


def edit(request: Request, pk: int) -> HttpResponse:
    request.access.require_change()
    invoice = request.access.get(Invoice.objects.select_related("organization"), pk)
    if not invoice.is_draft:
        done(request, _("The invoice has been issued; it no longer changes."))
        return redirect("invoice", invoice.pk)
    return _edit(request, invoice)


@require_safe
def detail(request: Request, pk: int) -> HttpResponse:
    return _page(request, _invoice(request, pk), IssueForm(), PaymentForm())


@require_POST
def issue(request: Request, pk: int) -> HttpResponse:
    invoice = _invoice(request, pk)
    form = IssueForm(request.POST)
    if not form.is_valid():
        return _page(request, invoice, form, PaymentForm())
    with refusal_as_message(request):
        pipeline.issue(invoice, form.cleaned_data["issued_on"], actor=request.actor)
        done(request, _("Invoice {number} issued.").format(number=invoice.number))
    return redirect("invoice", invoice.pk)


@require_POST
def discard(request: Request, pk: int) -> HttpResponse:
    invoice = _invoice(request, pk)
    with refusal_as_message(request):
        invoice.discard(actor=request.actor)
        done(request, _("The draft was deleted."))
    if Invoice.objects.filter(pk=pk).exists():
        return redirect("invoice", pk)
    return redirect("invoices")


@require_POST
def payment(request: Request, pk: int) -> HttpResponse:
    invoice = _invoice(request, pk)
    form = PaymentForm(request.POST)
    if not form.is_valid():
        return _page(request, invoice, IssueForm(), form)
    with refusal_as_message(request):
        line = settling.settle_by_hand(invoice, form.cleaned_data["paid_on"], actor=request.actor)
        reconcile(invoice.organization)
        text = _("Invoice {number} is marked as paid.").format(number=invoice.number)
        done(request, text, undo_url=reverse("settlement-undo", args=[line.pk]))
    return redirect("invoice", invoice.pk)


@require_POST
def settlement_undo(request: Request, pk: int) -> HttpResponse:
    """Undo a payment: with the decision it rests on, or by itself where a person marked it."""
    line = request.access.get(Settlement.objects.select_related("invoice__organization", "transaction"), pk)
    with refusal_as_message(request):
        _undo(line, request)
        done(request, _("Undone. Invoice {number} is open again.").format(number=line.invoice.number))
    return redirect_back(request, "invoice", pk=line.invoice_id)


def sums_per_currency(invoices: QuerySet[Invoice]) -> list[tuple[Money, Money]]:
    """Return the total and what is open of it for each currency; drafts owe nothing."""
    rows = invoices.order_by("currency").values("currency").annotate(sum=Sum("total_minor"))
    owed: dict[str, int] = dict(
        invoices.filter(state=Invoice.State.ISSUED)
        .order_by("currency")
        .values_list("currency")
        .annotate(owed=Sum(F("total_minor") - F("settled_minor")))
    )
    return [
        (Money(row["sum"], row["currency"]), Money(owed.get(row["currency"], 0), row["currency"]))
        for row in rows
    ]


def _edit(request: Request, invoice: Invoice) -> HttpResponse:
    if request.method == "POST" and ("add-line" in request.POST or "remove-line" in request.POST):
        editor = Editor.with_lines(invoice, request.access, request.POST, _changed_lines(request.POST))
    elif request.method == "POST":
        editor = Editor(invoice, request.access, request.POST)
        if _save(request, editor):
            done(request, _("Draft saved."))
            return redirect("invoice", invoice.pk)
    else:
        named = {"client": request.GET["client"]} if "client" in request.GET else None
        editor = Editor(invoice, request.access, initial=named)
    context = {
        "head": editor.head,
        "lines": editor.lines,
        "invoice": invoice,
        "has_clients": request.access.within(Client.objects.all()).exists(),
    }
    return render(request, "web/invoices/edit.html", context)


def _save(request: Request, editor: Editor) -> bool:
    lines = editor.read()
    if lines is None:
        return False
    try:
        editor.head.instance.write(lines, actor=request.actor)
    except Refused as error:
        editor.head.add_error(None, error_text(error))
        return False
    return True


def _changed_lines(data: Any) -> list[dict[str, str]]:
    """The lines as sent, with one more at the end or without the one whose place is named."""
    lines = sent_lines(data)
    if "remove-line" in data:
        return [line for place, line in enumerate(lines) if str(place) != data["remove-line"]]
    return [*lines, {"quantity": "1"}]


def _undo(line: Settlement, request: Request) -> None:
    if line.decision_id is None:
        settling.unsettle(line, actor=request.actor)
        reconcile(request.access.organization)
    else:
        decision = request.access.get(
            Decision.objects.select_related("transaction", "organization"), line.decision_id
        )
        review.undo(decision, actor=request.actor)


def _invoice(request: Request, pk: int) -> Invoice:
    return request.access.get(Invoice.objects.select_related("organization", "client", "account"), pk)


def _page(
    request: Request, invoice: Invoice, issue_form: IssueForm, payment_form: PaymentForm
) -> HttpResponse:
    lines = list(
        invoice.settlements.filter(voids__isnull=True).select_related("transaction__account", "voided_by")
    )
    decisions = Decision.objects.in_bulk({line.decision_id for line in lines if line.decision_id is not None})
    settlements = [(line, decisions.get(line.decision_id or 0)) for line in lines]
    context: dict[str, Any] = {
        "invoice": invoice,
        "state": _state(invoice),
        "lines": [(line, number_format(quantity_shown(line.quantity))) for line in invoice.lines.all()],
        "settled": Money(invoice.settled_minor, invoice.currency),
        "settlements": settlements,
        "last_payment": next(((a, b) for a, b in reversed(settlements) if a.is_live), None),
        "days_late": (timezone.localdate() - invoice.due_on).days,
        "history": history.of_invoice(invoice, request.access),
        "issue_form": issue_form,
        "payment_form": payment_form,
    }
    return render(request, "web/invoices/detail.html", context)


def _of_tab(rows: QuerySet[Invoice], tab: str) -> QuerySet[Invoice]:
    if tab == "drafts":
        return rows.filter(state=Invoice.State.DRAFT)
    if tab == "open":
        return rows.filter(state=Invoice.State.ISSUED)
    if tab == "overdue":
        return rows.filter(state=Invoice.State.ISSUED, due_on__lt=timezone.localdate())
    if tab == "paid":
        return rows.filter(state=Invoice.State.PAID)
    return rows


def _state(invoice: Invoice) -> str:
    return "overdue" if invoice.is_overdue(timezone.localdate()) else invoice.state
