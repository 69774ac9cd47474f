"""What the audit knows about money, told in sentences: the history of an invoice or a movement."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from kvit.audit.models import AuditEntry
from kvit.invoices.models import Invoice, Settlement
from kvit.kernel.money import Money
from kvit.ledger.models import MoneyTransaction, TransactionConflict
from kvit.matching.models import Decision, Rejection
from kvit.users.scoping import Access
from kvit.web.words import money_text


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    at: datetime
    actor: str
    run_id: int | None
    text: str


def of_invoice(invoice: Invoice, access: Access) -> list[Event]:
    """Return what happened to the invoice, the newest first."""
    entries = _entries(access, [(Invoice, [invoice.pk])])
    return _events(entries, lambda entry: _about_invoice(entry, invoice.currency))


def of_transaction(row: MoneyTransaction, access: Access) -> list[Event]:
    """Return what happened to the movement and what was decided about it, the newest first."""
    of_row = {"transaction": row}
    entries = _entries(
        access,
        [
            (MoneyTransaction, [row.pk]),
            (Decision, Decision.objects.filter(**of_row).values_list("pk", flat=True)),
            (Settlement, Settlement.objects.filter(**of_row).values_list("pk", flat=True)),
            (TransactionConflict, TransactionConflict.objects.filter(**of_row).values_list("pk", flat=True)),
        ],
        rejections_of=row.pk,
    )
    numbers = dict(
        access.within(Invoice.objects.all())
        .filter(Q(settlements__transaction=row) | Q(rejections__transaction=row))
        .values_list("pk", "number")
    )
    return _events(entries, lambda entry: _about_transaction(entry, row, numbers))


def _entries(
    access: Access, rows: Iterable[tuple[type, Iterable[int]]], rejections_of: int | None = None
) -> Iterable[AuditEntry]:
    named: Any = [
        Q(table=model._meta.db_table, object_id__in=list(keys))  # type: ignore[attr-defined]  # models
        for model, keys in rows
    ]
    wanted = Q()
    for one in named:
        wanted |= one
    if rejections_of is not None:
        pair = Q(after__transaction_id=rejections_of) | Q(before__transaction_id=rejections_of)
        wanted |= Q(table=Rejection._meta.db_table) & pair
    return access.within(AuditEntry.objects.all()).filter(wanted).order_by("-id")


def _events(entries: Iterable[AuditEntry], tell: Any) -> list[Event]:
    told = ((entry, tell(entry)) for entry in entries)
    return [Event(entry.at, entry.actor, entry.run_id, text) for entry, text in told if text]


def _about_invoice(entry: AuditEntry, currency: str) -> str:
    before, after = entry.before or {}, entry.after or {}
    if after.get("number"):
        return _("Issued as {number}.").format(number=after["number"])
    if "settled_minor" in before and "settled_minor" in after:
        moved = after["settled_minor"] - before["settled_minor"]
        amount = money_text(Money(abs(moved), currency))
        if moved < 0:
            return _("A payment of {amount} was undone.").format(amount=amount)
        if after.get("state") == Invoice.State.PAID:
            return _("{amount} was paid; nothing is left to pay.").format(amount=amount)
        return _("{amount} was paid in part.").format(amount=amount)
    if "total_minor" in after:
        total = money_text(Money(after["total_minor"], after.get("currency", currency)))
        if entry.action == AuditEntry.Action.CREATED:
            return _("Draft of {amount} created.").format(amount=total)
        return _("Draft saved with {amount}.").format(amount=total)
    return ""


def _about_transaction(entry: AuditEntry, row: MoneyTransaction, numbers: dict[int, str]) -> str:
    if entry.table == MoneyTransaction._meta.db_table:
        return _about_row(entry)
    if entry.table == Settlement._meta.db_table:
        return _about_settlement(entry, row, numbers)
    if entry.table == Rejection._meta.db_table:
        return _about_rejection(entry, numbers)
    if entry.table == TransactionConflict._meta.db_table:
        return {
            "kept as booked": _("Another version from the bank was not taken over."),
            "taken over from the source": _("Another version from the bank was taken over."),
        }.get(entry.reason, "")
    if (entry.after or {}).get("port") == Decision.Port.DISMISSED:
        return _("Marked as paying no invoice.")
    if (entry.after or {}).get("undone_at"):
        return _("The decision was undone.")
    return ""


def _about_row(entry: AuditEntry) -> str:
    if entry.action == AuditEntry.Action.CREATED:
        return _("Received from the bank.")
    before, after = entry.before or {}, entry.after or {}
    if set(after) == {"settled_minor"}:
        return ""
    names = [name for name in after if before.get(name) != after[name]]
    if not names:
        return ""
    return _("The bank's record changed: {fields}.").format(
        fields=", ".join(_field_name(name) for name in names)
    )


def _field_name(name: str) -> str:
    return {
        "amount_minor": _("amount"),
        "currency": _("currency"),
        "booked_on": _("booking date"),
        "value_on": _("value date"),
        "status": _("status"),
        "type": _("direction"),
        "counterparty_name": _("counterparty"),
        "counterparty_account": _("counterparty's account"),
        "counterparty_bank": _("counterparty's bank"),
        "variable_symbol": _("variable symbol"),
        "constant_symbol": _("constant symbol"),
        "specific_symbol": _("specific symbol"),
        "message": _("message"),
        "reference": _("reference"),
    }.get(name, name)


def _about_settlement(entry: AuditEntry, row: MoneyTransaction, numbers: dict[int, str]) -> str:
    after = entry.after or {}
    words = (
        _("{amount} was taken back from invoice {number}.")
        if after.get("voids_id")
        else _("{amount} was used to pay invoice {number}.")
    )
    amount = money_text(Money(after["amount_minor"], row.currency))
    return words.format(amount=amount, number=numbers.get(after["invoice_id"], ""))


def _about_rejection(entry: AuditEntry, numbers: dict[int, str]) -> str:
    pair = entry.after or entry.before or {}
    number = numbers.get(pair.get("invoice_id", 0), "")
    if entry.action == AuditEntry.Action.DELETED:
        return _("It may pay invoice {number} again.").format(number=number)
    return _("Marked as not paying invoice {number}.").format(number=number)
