"""Invoices: the list, the draft's editor, and the page of one as paper with what has paid it."""

from __future__ import annotations

from typing import Any, Final

from django.core.paginator import Paginator
from django.db.models import BigIntegerField, Case, F, QuerySet, Sum, When
from django.db.models.expressions import Combinable
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from kvit import pipeline
from kvit.invoices import crediting, settling
from kvit.invoices.models import Invoice, Settlement
from kvit.kernel.errors import Refused, Stale
from kvit.kernel.money import Money
from kvit.ledger.models import MoneyTransaction
from kvit.matching import attention, review
from kvit.matching.models import Decision
from kvit.matching.reconcile import reconcile
from kvit.web import history, settled
from kvit.web.acts import done
from kvit.web.amounts import quantity_shown
from kvit.web.forms_money import Editor, IssueForm, PaymentForm, VoidForm, sent_lines
from kvit.web.requests import Request, redirect_back, refusal_as_message
from kvit.web.words import error_text, money_text
from kvit.work.models import Client

ROWS_PER_PAGE: Final = 100
TABS: Final = ("all", "drafts", "open", "overdue", "paid", "credit-notes")


@require_safe
def listing(request: Request) -> HttpResponse:
    tab = request.GET.get("tab", "all")
    if tab not in TABS:
        raise Http404
    today = timezone.localdate()
    rows = request.access.within(Invoice.objects.all())
    tabs = [(name, _of_tab(rows, name)) for name in TABS]
    counts = [(name, found.count()) for name, found in tabs]
    shown = (
        dict(tabs)[tab]
        .select_related("client", "corrects")
        .order_by(F("issued_on").desc(nulls_first=True), "-id")
    )
    page = Paginator(shown, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "tab": tab,
        "tabs": [(name, count) for name, count in counts if count or name in (tab, *TABS[:-1])],
        "sums": sums_per_currency(dict(tabs)[tab]),
        "page": page,
        "rows": [
            (invoice, state_of(invoice), (invoice.due_on - today).days, (today - invoice.due_on).days)
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
        if invoice.is_credit_note:
            _look_again(request)
        said = _("Credit note {number} issued.") if invoice.is_credit_note else _("Invoice {number} issued.")
        done(request, said.format(number=invoice.number))
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
def void(request: Request, pk: int) -> HttpResponse:
    """Declare a document void; its number stays used."""
    invoice = _invoice(request, pk)
    form = VoidForm(request.POST)
    with refusal_as_message(request):
        reason = form.cleaned_data["reason"] if form.is_valid() else ""
        invoice.void(actor=request.actor, reason=reason)
        _look_again(request)
        done(request, _("{number} is void.").format(number=invoice.number))
    return redirect("invoice", invoice.pk)


@require_POST
def credit_note(request: Request, pk: int) -> HttpResponse:
    """Draft a credit note with the invoice's lines, and open it in the editor."""
    invoice = _invoice(request, pk)
    with refusal_as_message(request):
        crediting.draft_credit_note(invoice, timezone.localdate(), actor=request.actor)
    draft = invoice.credit_notes.filter(state=Invoice.State.DRAFT).first()
    return redirect("invoice", invoice.pk) if draft is None else redirect("invoice-edit", draft.pk)


@require_POST
def credit(request: Request, pk: int) -> HttpResponse:
    """Use what is left of a payment of the client for this invoice."""
    invoice = _invoice(request, pk)
    row = request.access.get(
        MoneyTransaction.objects.select_related("organization"), _key(request, "payment")
    )
    with refusal_as_message(request):
        decision = review.confirm(row, invoice, actor=request.actor)
        done(
            request,
            _("What was left of the payment pays {number}.").format(number=invoice.number),
            undo_url=reverse("decision-undo", args=[decision.pk]),
        )
    return redirect("invoice", invoice.pk)


@require_POST
def offset(request: Request, pk: int) -> HttpResponse:
    """Let a credit note pay what is open on an invoice; the page of either asks for it."""
    note = _invoice(request, pk)
    invoice = _invoice(request, _key(request, "invoice"))
    shown = invoice.pk if request.POST.get("from") == "invoice" else note.pk
    with refusal_as_message(request):
        line = crediting.offset(note, invoice, timezone.localdate(), actor=request.actor)
        if line is None:
            raise Stale("Nothing is open on one of them any more.")
        _look_again(request)
        text = _("Credit note {note} pays {amount} of {number}.").format(
            note=note.number, amount=money_text(line.amount), number=invoice.number
        )
        done(request, text, undo_url=reverse("settlement-undo", args=[line.pk]))
    return redirect("invoice", shown)


@require_POST
def payment(request: Request, pk: int) -> HttpResponse:
    invoice = _invoice(request, pk)
    form = PaymentForm(request.POST)
    if not form.is_valid():
        return _page(request, invoice, IssueForm(), form)
    with refusal_as_message(request):
        line = settling.settle_by_hand(invoice, form.cleaned_data["paid_on"], actor=request.actor)
        _look_again(request)
        text = _("{number} is marked as paid.").format(number=invoice.number)
        done(request, text, undo_url=reverse("settlement-undo", args=[line.pk]))
    return redirect("invoice", invoice.pk)


@require_POST
def settlement_undo(request: Request, pk: int) -> HttpResponse:
    """Undo a payment: with the decision it rests on, or by itself where a person marked it."""
    line = request.access.get(Settlement.objects.select_related("invoice__organization", "transaction"), pk)
    with refusal_as_message(request):
        _undo(line, request)
        done(request, _("Undone. {number} is open again.").format(number=line.invoice.number))
    return redirect_back(request, "invoice", pk=line.invoice_id)


def sums_per_currency(invoices: QuerySet[Invoice]) -> list[tuple[Money, Money]]:
    """Return the total and what is open of it for each currency.

    Credit notes are taken off the total, only invoices are open, and void documents count nowhere.
    """
    counted = invoices.exclude(state=Invoice.State.VOID).order_by("currency")
    rows = counted.values("currency").annotate(sum=Sum(_signed(F("total_minor"))))
    owed: dict[str, int] = dict(
        counted.filter(state=Invoice.State.ISSUED, kind=Invoice.Kind.INVOICE)
        .values_list("currency")
        .annotate(owed=Sum(F("total_minor") - F("settled_minor")))
    )
    return [
        (Money(row["sum"], row["currency"]), Money(owed.get(row["currency"], 0), row["currency"]))
        for row in rows
    ]


def state_of(invoice: Invoice) -> str:
    """Return the state that pages show (see words.STATES): overdue and paid in part are told apart."""
    if invoice.is_credit_note:
        return _state_of_note(invoice)
    if invoice.is_overdue(timezone.localdate()):
        return "overdue"
    if invoice.state == Invoice.State.ISSUED and invoice.settled_minor:
        return "partly_paid"
    return invoice.state


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
        _look_again(request)
    else:
        decision = request.access.get(
            Decision.objects.select_related("transaction", "organization"), line.decision_id
        )
        review.undo(decision, actor=request.actor)


def _look_again(request: Request) -> None:
    """Offer anew what waits for a person: no payment of the bank paid a document, or opened it."""
    attention.everything(request.access.organization)
    reconcile(request.access.organization)


def _invoice(request: Request, pk: int) -> Invoice:
    return request.access.get(
        Invoice.objects.select_related("organization", "client", "account", "corrects"), pk
    )


def _key(request: Request, name: str) -> int:
    """The id that a form names. Raises Http404 where it is none."""
    text = request.POST.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Http404
    return int(text)


def _page(
    request: Request, invoice: Invoice, issue_form: IssueForm, payment_form: PaymentForm
) -> HttpResponse:
    payments = settled.of_document(invoice)
    told = history.of_invoice(invoice, request.access)
    context: dict[str, Any] = {
        "invoice": invoice,
        "state": state_of(invoice),
        "lines": [(line, number_format(quantity_shown(line.quantity))) for line in invoice.lines.all()],
        "settled": Money(invoice.settled_minor, invoice.currency),
        "payments": payments,
        "last_payment": next((one for one in reversed(payments) if one.is_live), None),
        "days_late": (timezone.localdate() - invoice.due_on).days,
        "credit_notes": [(note, state_of(note)) for note in invoice.credit_notes.order_by("id")],
        "credits": settled.credits_for(invoice).select_related("account"),
        "counterparts": settled.counterparts_of(invoice),
        "history": told,
        "withdrawal": next((event for event in told if event.is_withdrawal), None),
        "issue_form": issue_form,
        "payment_form": payment_form,
        "void_form": VoidForm(),
    }
    return render(request, "web/invoices/detail.html", context)


def _of_tab(rows: QuerySet[Invoice], tab: str) -> QuerySet[Invoice]:
    """The rows of a tab; credit notes have their own, and stand among all and among drafts."""
    invoices = rows.filter(kind=Invoice.Kind.INVOICE)
    of = {
        "drafts": rows.filter(state=Invoice.State.DRAFT),
        "open": invoices.filter(state=Invoice.State.ISSUED),
        "overdue": invoices.filter(state=Invoice.State.ISSUED, due_on__lt=timezone.localdate()),
        "paid": invoices.filter(state=Invoice.State.PAID),
        "credit-notes": rows.filter(kind=Invoice.Kind.CREDIT_NOTE),
    }
    return of.get(tab, rows)


def _signed(minor: Combinable) -> Case:
    """An amount of a document as sums count it: negative of a credit note."""
    return Case(
        When(kind=Invoice.Kind.CREDIT_NOTE, then=minor * -1), default=minor, output_field=BigIntegerField()
    )


def _state_of_note(note: Invoice) -> str:
    if note.is_draft:
        return note.state
    if note.is_void:
        return "void_note"
    if not note.open:
        return "used"
    return "partly_used" if note.settled_minor else "owed_back"
