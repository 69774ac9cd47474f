"""Payouts of gateways: the report handed over, its bank credit chosen, its lines settled or taken back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, override

from django import forms
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from kvit.kernel.errors import KvitError, Refused, StatementUnreadable
from kvit.ledger.models import MoneyTransaction
from kvit.matching import payouts, review
from kvit.matching.payout_models import PayoutReport
from kvit.web.forms_money import CURRENCIES, DayField
from kvit.web.requests import Request, refusal_as_message
from kvit.web.words import error_text

PER_PAGE: Final = 50


class ReportForm(forms.Form):
    """A report and what it may not say of itself."""

    report = forms.FileField(label=gettext_lazy("Payout report (CSV)"), max_length=300)
    currency = forms.ChoiceField(
        label=gettext_lazy("Currency, where the report does not say it"),
        required=False,
        choices=[("", gettext_lazy("as in the report")), *((name, name) for name in CURRENCIES)],
    )
    paid_on = DayField(label=gettext_lazy("Paid out on, where the report does not say it"), required=False)

    @override
    def clean(self) -> dict[str, Any]:
        upload: UploadedFile[Any] | None = self.cleaned_data.get("report")
        if upload is not None and (upload.size or 0) > payouts.LARGEST_BYTES:
            self.add_error("report", gettext("A payout report has at most 5 MB; this file is larger."))
        return self.cleaned_data

    def show(self, error: KvitError) -> None:
        """Show why the report is refused, at the field that answers it."""
        field = error.field if isinstance(error, StatementUnreadable) and error.line is None else None
        self.add_error(field if field in ("currency", "paid_on") else "report", error_text(error))


@require_safe
def listing(request: Request) -> HttpResponse:
    """Show the imported payouts, the latest first."""
    rows = request.access.within(PayoutReport.objects.prefetch_related("lines"))
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    shown = [(report, _state(report)) for report in page]
    return render(request, "web/payouts/list.html", {"page": page, "reports": shown})


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: Request) -> HttpResponse:
    """Take a report over; nothing is settled yet."""
    form = ReportForm(request.POST, request.FILES) if request.method == "POST" else ReportForm()
    chosen = _number(request.POST if form.is_bound else request.GET)
    if form.is_bound and form.is_valid():
        upload = form.cleaned_data["report"]
        try:
            brought = payouts.import_file(
                request.access.organization,
                upload.read(),
                name=upload.name or "",
                currency=form.cleaned_data["currency"],
                paid_on=form.cleaned_data["paid_on"],
                actor=request.actor,
            )
        except KvitError as error:
            form.show(error)
        else:
            return _imported(request, brought, chosen)
    return render(request, "web/payouts/new.html", {"form": form, "chosen": chosen})


@require_safe
def detail(request: Request, pk: int) -> HttpResponse:
    """Show a payout: its lines, its bank credit or those it may be, and what can be done."""
    report = _report(request, pk)
    decision = payouts.standing(report)
    found = None if decision else payouts.find_credit(report)
    credits_ = [] if decision else list(payouts.possible_credits(report))
    if found and found not in credits_:
        credits_.insert(0, found)
    shown = {
        "report": report,
        "state": _state(report),
        "decision": decision,
        "lines": report.lines.select_related("invoice__client"),
        "credits": credits_,
        "chosen": found.pk if found else _number(request.GET),
        "found": found,
    }
    return render(request, "web/payouts/detail.html", shown)


@require_POST
def application(request: Request, pk: int) -> HttpResponse:
    """Settle what fits by the chosen credit, or by the one it is applied to."""
    report = _report(request, pk)
    number = _number(request.POST)
    row = None if number is None else request.access.get(MoneyTransaction.objects.all(), number)
    with refusal_as_message(request):
        applied = payouts.apply(report, row, actor=request.actor)
        text = ngettext(
            "{count} line of the payout was settled.",
            "{count} lines of the payout were settled.",
            applied.settled,
        ).format(count=applied.settled)
        messages.success(request, text)
    return redirect("payout", pk=report.pk)


@require_POST
def undo(request: Request, pk: int) -> HttpResponse:
    """Take back all that the payout settled."""
    report = _report(request, pk)
    with refusal_as_message(request):
        decision = payouts.standing(report)
        if decision is None:
            raise Refused("This was undone already.")
        review.undo(decision, actor=request.actor)
        messages.success(request, _("Undone. The invoices of the payout are open again."))
    return redirect("payout", pk=report.pk)


def _report(request: Request, pk: int) -> PayoutReport:
    return request.access.get(PayoutReport.objects.select_related("organization", "transaction"), pk)


def _state(report: PayoutReport) -> str:
    """Say `unconfirmed` (not applied), `partly` or `settled`."""
    if payouts.standing(report) is None:
        return "unconfirmed"
    open_lines = [line for line in report.lines.all() if line.gross_minor and line.invoice_id is None]
    return "partly" if open_lines else "settled"


def _number(values: Mapping[str, Any]) -> int | None:
    """Return the movement that a form or a link names."""
    text = str(values.get("transaction", ""))
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _imported(request: Request, brought: payouts.Imported, chosen: int | None) -> HttpResponse:
    for report in brought.differing:
        text = _("The payout {payout} is known already and was told otherwise. Nothing was changed.")
        messages.error(request, text.format(payout=report.reference))
    for report in brought.known:
        text = _("The payout {payout} is known already. Nothing was changed.")
        messages.success(request, text.format(payout=report.reference))
    reports = [*brought.new, *brought.known, *brought.differing]
    if len(reports) > 1:
        return redirect("payouts")
    query = "" if chosen is None else f"?transaction={chosen}"
    return redirect(reverse("payout", kwargs={"pk": reports[0].pk}) + query)
