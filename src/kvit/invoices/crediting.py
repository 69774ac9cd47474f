"""Credit notes: an invoice taken back, whole or in part, by a document of its own that links back to it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from django.db import transaction

from kvit.audit.recording import Actor
from kvit.invoices import settling
from kvit.invoices.models import Invoice, InvoiceLine, Settlement
from kvit.kernel.errors import Refused

DAYS_UNTIL_DUE: Final = 14


def draft_credit_note(invoice: Invoice, today: date, *, actor: Actor) -> Invoice:
    """Return the draft of a credit note of an invoice, made with the invoice's lines where there is none.

    Raises Refused for a draft, for a void one, for a credit note, and where nothing is left to take back.
    """
    with transaction.atomic():
        corrected = Invoice.objects.select_for_update(of=("self",)).get(pk=invoice.pk)
        _require_creditable(corrected)
        draft = corrected.credit_notes.filter(state=Invoice.State.DRAFT).first()
        return draft or _copied(corrected, today, actor)


def require_room(note: Invoice, invoice: Invoice, on: date) -> None:
    """Refuse a credit note that takes back more than its invoice leaves, or that is older than it.

    Call it with the invoice locked: what its other credit notes take back must not grow meanwhile.
    """
    _require_creditable(invoice)
    if (note.client_id, note.currency) != (invoice.client_id, invoice.currency):
        raise Refused("A credit note has the client and the currency of its invoice.")
    if invoice.issued_on is not None and on < invoice.issued_on:
        raise Refused("A credit note cannot be issued before its invoice.")
    if note.total > invoice.creditable:
        raise Refused(
            "Only {left} of {number} is not taken back yet.", left=invoice.creditable, number=invoice.number
        )


def offset(note: Invoice, invoice: Invoice, on: date, *, actor: Actor) -> Settlement | None:
    """Let a credit note pay what is open on an invoice of its client; None where nothing is open on one.

    Raises Stale where one of them has changed since it was read, and Refused where they do not belong
    together.
    """
    minor = min(note.open.minor, invoice.open.minor)
    if not minor:
        return None
    line = settling.Line(
        invoice=invoice, minor=minor, kind=Settlement.Source.CREDIT_NOTE, on=on, credit_note=note
    )
    with transaction.atomic():
        settled = settling.settle_lines(note.organization, [line], actor=actor)[0]
        # what was paid for the invoice may be exactly what is open now
        Invoice.objects.filter(pk__in=(note.pk, invoice.pk)).update(match_due=True)
    return settled


def _require_creditable(invoice: Invoice) -> None:
    if invoice.is_credit_note:
        raise Refused("A credit note is not taken back by another one. Declare it void.")
    if invoice.is_draft:
        raise Refused("A draft is changed or deleted; only an issued invoice is taken back.")
    if invoice.is_void:
        raise Refused("{number} is void, so nothing is left to take back.", number=invoice.number)
    if not invoice.creditable:
        raise Refused("Credit notes take back the whole of {number} already.", number=invoice.number)


def _copied(invoice: Invoice, today: date, actor: Actor) -> Invoice:
    note = Invoice(
        organization=invoice.organization,
        kind=Invoice.Kind.CREDIT_NOTE,
        corrects=invoice,
        client=invoice.client,
        account=invoice.account,
        currency=invoice.currency,
        due_on=today + timedelta(days=DAYS_UNTIL_DUE),
    )
    note.write([_copy(line) for line in invoice.lines.all()], actor=actor)
    return note


def _copy(line: InvoiceLine) -> InvoiceLine:
    return InvoiceLine(
        description=line.description,
        quantity_thousandths=line.quantity_thousandths,
        unit=line.unit,
        unit_price_minor=line.unit_price_minor,
        total_minor=line.total_minor,
    )
