"""Movements: the list and its export, and the page of one."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import Max, Min, Prefetch, Q, QuerySet
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_safe

from kvit.invoices.models import Settlement
from kvit.kernel.errors import SealError
from kvit.ledger import duplicates
from kvit.ledger.models import MoneyTransaction
from kvit.ledger.posting import raw_record
from kvit.matching.models import Decision, Rejection
from kvit.users.keys import key_ring
from kvit.web import comparing, history
from kvit.web.amounts import read_number
from kvit.web.forms_money import TransactionFilter
from kvit.web.requests import Request
from kvit.web.views.review_cards import told
from kvit.web.views.review_decided import why
from kvit.web.words import error_text, month_text

ROWS_PER_PAGE: Final = 50
_WITHDRAWN: Final = MoneyTransaction.Status.WITHDRAWN
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a movement stands: a key of words.STATES, and the invoices it pays."""

    state: str
    settlements: tuple[Settlement, ...]

    @property
    def waits(self) -> bool:
        return self.state in Decision.WAITING


@require_safe
def listing(request: Request) -> HttpResponse:
    form, rows = _filtered(request)
    if not form.cleaned_data["withdrawn"]:
        rows = rows.exclude(status=_WITHDRAWN)
    page = list(_after(_with_standing(rows), request.GET.get("after", ""))[: ROWS_PER_PAGE + 1])
    shown = page[:ROWS_PER_PAGE]
    context = {
        "form": form,
        "rows": [(row, standing_of(row)) for row in shown],
        "search": request.GET.get("q", ""),
        "older": _query(request, after=_key(shown[-1])) if len(page) > ROWS_PER_PAGE else "",
        "newest": _query(request) if request.GET.get("after") else "",
        "export": _query(request, withdrawn=""),
        "is_filtered": any(value for name, value in form.cleaned_data.items() if name != "withdrawn"),
        "shows_withdrawn": form.cleaned_data["withdrawn"],
        "with_withdrawn": _query(request, withdrawn="on"),
        "without_withdrawn": _query(request, withdrawn=""),
    }
    return render(request, "web/transactions/list.html", context)


@require_GET
def export(request: Request) -> HttpResponseBase:
    """The filtered movements as CSV for a spreadsheet in the reader's language, the newest first.

    Withdrawn ones are never among them: they would be counted in a sum.
    In Czech a semicolon stands between columns and a comma in amounts, as spreadsheets there expect it;
    else a comma and a point. Days are ISO 8601. Text that a spreadsheet would run gets an apostrophe.
    """
    _form, rows = _filtered(request)
    rows = rows.exclude(status=_WITHDRAWN)
    is_czech = translation.get_language() == "cs"
    # The headings are written now: the rest streams when the reader's language is no longer active.
    lines = _export_lines(_headings(), _with_standing(rows).select_related("account"), is_czech=is_czech)
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="kvit-{timezone.localdate().isoformat()}.csv"'
    return response


@require_safe
def detail(request: Request, pk: int) -> HttpResponse:
    rows = MoneyTransaction.objects.select_related(
        "account", "raw_payload__organization", "organization", "duplicate_of"
    )
    row = request.access.get(_with_standing(rows), pk)
    decision = row.decisions.current().select_related("matching_run").first()
    events = history.of_transaction(row, request.access)
    lines = row.settlements.select_related("invoice__client", "voided_by").filter(voids__isnull=True)
    context = {
        "row": row,
        "standing": standing_of(row),
        "decision": decision,
        "why": why(decision) if decision else None,
        "told": told(row, decision),
        "settlements": lines,
        "rejections": Rejection.objects.filter(transaction=row).select_related("invoice__client"),
        "may_pay": _may_pay(row),
        "refund_orders": row.refund_orders.standing(),
        **_questions(row),
        "aliases": row.aliases.order_by("id"),
        "duplicates_of_it": row.duplicates.order_by("id"),
        "history": events,
        "withdrawal": next((event for event in events if event.is_withdrawal), None),
        "raw": _raw(row),
    }
    return render(request, "web/transactions/detail.html", context)


def standing_of(row: MoneyTransaction) -> Standing:
    """Return how a movement loaded by `with_standing` stands."""
    settlements = tuple(row.live_settlements)  # type: ignore[attr-defined]  # prefetched
    current = row.current_decisions  # type: ignore[attr-defined]  # prefetched
    if row.status != MoneyTransaction.Status.BOOKED:
        state = row.status
    elif current:
        state = current[0].port
    else:
        state = "settled" if settlements else ""
    return Standing(state, settlements)


def _questions(row: MoneyTransaction) -> dict[str, Any]:
    """What a person has to decide about the movement, beside what it pays."""
    here = reverse("transaction", args=[row.pk])
    conflicts = row.conflicts.filter(resolved_at__isnull=True).select_related("transaction__account")
    asked = duplicates.unanswered().filter(Q(transaction=row) | Q(candidate=row))
    asked = asked.select_related("transaction__account", "candidate__account").order_by("id")
    return {
        "conflicts": [comparing.conflict(one, here) for one in conflicts.order_by("id")],
        "questions": [comparing.duplicate(one, here) for one in asked],
    }


def _may_pay(row: MoneyTransaction) -> bool:
    """Whether a person may choose what it pays."""
    return row.status == MoneyTransaction.Status.BOOKED and bool(row.unsettled)


def _filtered(request: Request) -> tuple[TransactionFilter, QuerySet[MoneyTransaction]]:
    rows = request.access.within(MoneyTransaction.objects.order_by("-booked_on", "-id"))
    form = TransactionFilter(request.GET, access=request.access, months=_months(rows))
    form.is_valid()
    chosen = form.cleaned_data
    if chosen.get("account"):
        rows = rows.filter(account=chosen["account"])
    if chosen.get("type"):
        rows = rows.filter(type=chosen["type"])
    if chosen.get("month"):
        first: date = chosen["month"]
        rows = rows.filter(booked_on__gte=first, booked_on__lt=_next_month(first))
    if chosen.get("from"):
        rows = rows.filter(booked_on__gte=chosen["from"])
    if chosen.get("to"):
        rows = rows.filter(booked_on__lte=chosen["to"])
    if chosen.get("q"):
        rows = rows.filter(_search(chosen["q"]))
    return form, rows


def _search(text: str) -> Q:
    found = Q()
    for name in ("counterparty_name", "counterparty_account", "message", "reference", "variable_symbol"):
        found |= Q(**{f"{name}__icontains": text})
    try:
        number = read_number(text).scaleb(2)
    except ValueError:
        return found
    if number == number.to_integral_value():
        found |= Q(amount_minor__in=[int(number), -int(abs(number))])
    return found


def _months(rows: QuerySet[MoneyTransaction]) -> Iterator[tuple[str, str]]:
    """The months from the newest movement's to the oldest one's."""
    ends = rows.aggregate(first=Min("booked_on"), last=Max("booked_on"))
    if ends["first"] is None:
        return
    month = ends["last"].replace(day=1)
    while month >= ends["first"].replace(day=1):
        yield month.isoformat(), month_text(month)
        month = (date(month.year - 1, 12, 1)) if month.month == 1 else month.replace(month=month.month - 1)


def _next_month(first: date) -> date:
    return date(first.year + first.month // 12, first.month % 12 + 1, 1)


def _with_standing(rows: QuerySet[MoneyTransaction]) -> QuerySet[MoneyTransaction]:
    live = Settlement.objects.filter(voids__isnull=True, voided_by__isnull=True).select_related("invoice")
    return rows.prefetch_related(
        Prefetch("settlements", live, to_attr="live_settlements"),
        Prefetch("decisions", Decision.objects.current(), to_attr="current_decisions"),
    )


def _after(rows: QuerySet[MoneyTransaction], key: str) -> QuerySet[MoneyTransaction]:
    """The rows older than the one with this key; a key that cannot be read means all of them."""
    day, _comma, number = key.partition(",")
    try:
        booked_on, pk = date.fromisoformat(day), int(number)
    except ValueError:
        return rows
    return rows.filter(Q(booked_on__lt=booked_on) | Q(booked_on=booked_on, pk__lt=pk))


def _key(row: MoneyTransaction) -> str:
    return f"{row.booked_on.isoformat()},{row.pk}"


def _query(request: Request, **more: str) -> str:
    kept = {name: value for name, value in request.GET.items() if name != "after"} | more
    return "?" + urlencode({name: value for name, value in kept.items() if value})


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def _export_lines(headings: list[str], rows: QuerySet[MoneyTransaction], *, is_czech: bool) -> Iterator[str]:
    writer = csv.writer(_Echo(), delimiter=";" if is_czech else ",")
    yield "\ufeff" + _line(writer, headings)
    for row in rows.iterator(chunk_size=2000):
        yield _line(writer, _cells(row, is_czech=is_czech))


def _line(writer: Any, cells: list[str]) -> str:
    line: str = writer.writerow(cells)
    return line


def _headings() -> list[str]:
    return [
        _("Booked on"),
        _("Own account"),
        _("Amount"),
        _("Currency"),
        _("Counterparty"),
        _("Counterparty's account"),
        _("Variable symbol"),
        _("Constant symbol"),
        _("Specific symbol"),
        _("Message"),
        _("Pays invoices"),
        _("Bank's id"),
    ]


def _cells(row: MoneyTransaction, *, is_czech: bool) -> list[str]:
    amount = str(row.amount.amount)
    settlements = row.live_settlements  # type: ignore[attr-defined]  # prefetched
    return [
        row.booked_on.isoformat(),
        row.account.number,
        amount.replace(".", ",") if is_czech else amount,
        row.currency,
        *map(
            _harmless,
            [
                row.counterparty_name,
                row.counterparty_account,
                row.variable_symbol,
                row.constant_symbol,
                row.specific_symbol,
                row.message,
                " ".join(line.invoice.number for line in settlements),
                row.external_id,
            ],
        ),
    ]


def _harmless(text: str) -> str:
    """A payer chooses the message; a spreadsheet must not take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _raw(row: MoneyTransaction) -> str:
    """The source's own record as text, or in words why it cannot be shown."""
    if row.raw_payload is None:
        return ""
    try:
        record = raw_record(row, key_ring(row.organization))
    except SealError as error:
        return error_text(error)
    return json.dumps(record, ensure_ascii=False, indent=2, default=str)
