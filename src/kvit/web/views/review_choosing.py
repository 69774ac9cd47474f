"""Review: a person chooses what a movement pays: other documents, several, parts, another currency."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final

from django.db.models import F, Q, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from kvit.invoices.models import Invoice, Settlement
from kvit.kernel.errors import KvitError, Refused, Stale
from kvit.kernel.matching.extract import folded
from kvit.ledger.models import MoneyTransaction
from kvit.matching import review
from kvit.matching.models import Decision
from kvit.matching.review import Chosen
from kvit.users.scoping import Access
from kvit.web.amounts import read_number
from kvit.web.requests import Request, redirect_back
from kvit.web.views.review_acts import say_settled
from kvit.web.views.review_cards import told
from kvit.web.words import error_text
from kvit.work.models import Client

MOST_FOUND: Final = 8
MOST_CHOSEN: Final = 50
_WRITE_OFFS: Final = (Settlement.Source.ROUNDING, Settlement.Source.FEE)


@dataclass(slots=True, kw_only=True)
class Choice:
    """One document that was chosen, with the amounts as the person writes them."""

    invoice: Invoice
    amount: str
    used: str
    """What it uses of a movement in another currency; empty in the same one."""
    rest: str
    """What becomes of what stays open: nothing, `rounding` or `fee`."""
    is_other_currency: bool
    errors: list[str] = field(default_factory=list)


@require_http_methods(["GET", "HEAD", "POST"])
def settlement(request: Request, pk: int) -> HttpResponse:
    """Search among open documents, gather some, and settle them by the movement."""
    rows = MoneyTransaction.objects.select_related("account", "organization")
    row = request.access.get(rows, pk)
    values = request.POST if request.method == "POST" else request.GET
    choices = _choices(request.access, row, values)
    error = ""
    if request.method == "POST":
        try:
            revision = _number(values.get("revision", ""))
            if revision not in (None, row.match_revision):
                raise Stale
            decision = review.settle_chosen(
                row,
                _read(choices),
                revision=revision,
                asks_about_rest=values.get("left") == "waits",
                actor=request.actor,
            )
        except KvitError as refusal:
            error = error_text(refusal)
            row = request.access.get(rows, pk)
        else:
            say_settled(request, decision)
            return redirect_back(request, "review")
    context = _context(request, row, choices, values) | {"error": error}
    status = HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK
    return render(request, "web/review/settlement.html", context, status=status)


def found_invoices(
    access: Access, row: MoneyTransaction, text: str, without: Iterable[int] = ()
) -> list[Invoice]:
    """Return open documents that the movement may pay, those that owe exactly what is left of it first.

    `text` is a part of a number, symbol, order number or client's name, or an amount. At most one more than
    `MOST_FOUND`, to tell that there are more.
    """
    kind = Invoice.Kind.CREDIT_NOTE if row.amount_minor < 0 else Invoice.Kind.INVOICE
    rows = access.within(Invoice.objects.filter(state=Invoice.State.ISSUED, kind=kind))
    rows = rows.exclude(pk__in=list(without)).select_related("client").order_by("due_on", "id")
    if text:
        rows = rows.filter(_search(access, text))
    exact = Q(currency=row.currency, total_minor=row.unsettled.minor + F("settled_minor"))
    found = list(rows.filter(exact)[: MOST_FOUND + 1])
    for others in (rows.filter(currency=row.currency), rows.exclude(currency=row.currency)):
        found += _others(others.exclude(exact), MOST_FOUND + 1 - len(found))
    return found


def _others(rows: QuerySet[Invoice], room: int) -> list[Invoice]:
    return list(rows[:room]) if room > 0 else []


def _search(access: Access, text: str) -> Q:
    found = Q(number__icontains=text) | Q(variable_symbol__icontains=text) | Q(order_number__icontains=text)
    wanted = folded(text)
    names = access.within(Client.objects.all()).values_list("pk", "name")
    found |= Q(client__in=[pk for pk, name in names.iterator() if wanted in folded(name)][:500])
    try:
        minor = read_number(text).scaleb(2)
    except ValueError:
        return found
    if minor == minor.to_integral_value() and minor < 10**15:
        found |= Q(total_minor=int(minor)) | Q(total_minor=int(minor) + F("settled_minor"))
    return found


def _context(
    request: Request, row: MoneyTransaction, choices: Sequence[Choice], values: Any
) -> dict[str, Any]:
    is_adding = bool(values.get("add"))
    text = "" if is_adding else values.get("q", "").strip()
    can_choose = request.access.can_change and row.status == MoneyTransaction.Status.BOOKED
    found = (
        found_invoices(request.access, row, text, [choice.invoice.pk for choice in choices])
        if can_choose and row.unsettled
        else []
    )
    decision = Decision.objects.current().filter(transaction=row).first()
    return {
        "row": row,
        "told": told(row, decision),
        "choices": choices,
        "found": found[:MOST_FOUND],
        "has_more": len(found) > MOST_FOUND,
        "text": text,
        "can_choose": can_choose and bool(row.unsettled),
        "waits": values.get("left") == "waits",
        "next": values.get("next") or f"{reverse('review')}#movement-{row.pk}",
    }


def _choices(access: Access, row: MoneyTransaction, values: Any) -> list[Choice]:
    """What was chosen so far, one more that is added, and less one that is taken away. Raises Http404."""
    ids = [_number(text) for text in (*values.getlist("invoice"), *values.getlist("add"))]
    gone = _number(values.get("without", ""))
    kept = [pk for pk in dict.fromkeys(ids) if pk is None or pk != gone][:MOST_CHOSEN]
    known = [pk for pk in kept if pk is not None]
    rows = access.within(Invoice.objects.filter(pk__in=known)).select_related("client", "organization")
    by_key = rows.in_bulk()
    if not all(pk in by_key for pk in kept):
        raise Http404
    left_minor = row.unsettled.minor
    choices = []
    for invoice in (by_key[pk] for pk in known):
        choice = _choice(row, invoice, values, left_minor)
        left_minor -= _minor(choice.used if choice.is_other_currency else choice.amount) or 0
        choices.append(choice)
    return choices


def _choice(row: MoneyTransaction, invoice: Invoice, values: Any, left_minor: int) -> Choice:
    is_other = invoice.currency != row.currency
    open_minor = invoice.open.minor
    proposed = open_minor if is_other else min(open_minor, max(left_minor, 0))
    return Choice(
        invoice=invoice,
        amount=values.get(f"amount-{invoice.pk}", _written(proposed)),
        used=values.get(f"used-{invoice.pk}", _written(max(left_minor, 0))) if is_other else "",
        rest=values.get(f"rest-{invoice.pk}", ""),
        is_other_currency=is_other,
    )


def _read(choices: Sequence[Choice]) -> list[Chosen]:
    """Read the amounts. Raises Refused where one cannot be read, and says it beside it too."""
    chosen = []
    for choice in choices:
        minor = _minor(choice.amount)
        used = _minor(choice.used) if choice.is_other_currency else None
        if minor is None or (choice.is_other_currency and used is None):
            choice.errors.append(_("Write a number such as 1 250,50."))
            continue
        chosen.append(
            Chosen(
                invoice=choice.invoice,
                minor=minor,
                source_minor=used,
                write_off=Settlement.Source(choice.rest) if choice.rest in _WRITE_OFFS else None,
            )
        )
    if any(choice.errors for choice in choices):
        raise Refused("An amount cannot be read. Nothing was paid.")
    return chosen


def _minor(text: str) -> int | None:
    """Read an amount in hundredths; None where it cannot be read exactly."""
    try:
        minor = read_number(text).scaleb(2)
    except ValueError:
        return None
    return int(minor) if minor == minor.to_integral_value() and abs(minor) < 10**15 else None


def _written(minor: int) -> str:
    return number_format(Decimal(minor).scaleb(-2), decimal_pos=2, use_l10n=True) if minor else ""


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
