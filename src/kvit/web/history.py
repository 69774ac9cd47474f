"""What the audit knows, told in sentences: the history of an invoice, a movement or a client."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _

from kvit.audit.models import AuditEntry
from kvit.invoices.models import Invoice, Settlement
from kvit.kernel.money import Money
from kvit.ledger.models import MoneyTransaction, PossibleDuplicate, TransactionConflict
from kvit.matching.models import Decision, Rejection
from kvit.users.scoping import Access
from kvit.web.differences import Difference, differences
from kvit.web.words import day_text, money_text
from kvit.work.models import Client, PayerAccount

_REVERTED = re.compile(r"run ([0-9]{1,18}) reverted")


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    at: datetime
    actor: str
    run_id: int | None
    text: str
    differences: tuple[Difference, ...] = ()
    """What it changed, where the sentence does not say that itself."""
    link: str = ""
    """The page of the other movement or document that it is about."""
    is_withdrawal: bool = False
    """Whether a movement or a document counts nowhere since then."""


def of_invoice(invoice: Invoice, access: Access) -> list[Event]:
    """Return what happened to the invoice, the newest first."""
    lines = Settlement.objects.filter(Q(invoice=invoice) | Q(credit_note=invoice))
    others = Invoice.objects.filter(Q(settlements__in=lines) | Q(settlements_of_others__in=lines))
    numbers = dict(others.values_list("pk", "number"))
    entries = _entries(
        access,
        Q(table=Invoice._meta.db_table, object_id=invoice.pk) | _of(Settlement, lines.values("pk")),
    )

    def about(entry: AuditEntry) -> _Told:
        if entry.table == Settlement._meta.db_table:
            return _about_paying(entry, invoice, numbers)
        return _about_invoice(entry, invoice)

    return _events(entries, about)


def of_transaction(row: MoneyTransaction, access: Access) -> list[Event]:
    """Return what happened to the movement and what was decided about it, the newest first."""
    versions = _versions(row, access)
    questions = {
        question.pk: question
        for question in PossibleDuplicate.objects.filter(Q(transaction=row) | Q(candidate=row))
    }
    entries = _entries(
        access,
        Q(table=MoneyTransaction._meta.db_table, object_id=row.pk)
        | _of(Decision, Decision.objects.filter(transaction=row).values("pk"))
        | _of(Settlement, Settlement.objects.filter(transaction=row).values("pk"))
        | _of(TransactionConflict, list(versions))
        | _of(PossibleDuplicate, list(questions))
        | _pair_of(Rejection, "transaction_id", row.pk),
    )
    numbers = dict(
        access.within(Invoice.objects.all())
        .filter(Q(settlements__transaction=row) | Q(rejections__transaction=row))
        .values_list("pk", "number")
    )

    def about(entry: AuditEntry) -> _Told:
        if entry.table == MoneyTransaction._meta.db_table:
            return _about_row(entry, row)
        if entry.table == PossibleDuplicate._meta.db_table:
            return _about_question(entry, questions[entry.object_id], row)
        if entry.table == TransactionConflict._meta.db_table:
            return _about_conflict(entry, versions[entry.object_id])
        return _about_matching(entry, row, numbers)

    return _events(entries, about)


def of_client(client: Client, access: Access) -> list[Event]:
    """Return what happened to the client and to the accounts it is known to pay from, the newest first."""
    entries = _entries(
        access,
        Q(table=Client._meta.db_table, object_id=client.pk) | _pair_of(PayerAccount, "client_id", client.pk),
    )
    return _events(entries, _about_client)


type _Told = str | tuple[str, tuple[Difference, ...]] | tuple[str, tuple[Difference, ...], str]
"""A sentence, with what differs and the page of the other movement where there is one."""


def _versions(row: MoneyTransaction, access: Access) -> dict[int, dict[str, Any]]:
    """By conflict, also one that is gone by now, what the source told otherwise about the movement."""
    first_entries = access.within(AuditEntry.objects.all()).filter(
        table=TransactionConflict._meta.db_table,
        action=AuditEntry.Action.CREATED,
        after__transaction_id=row.pk,
    )
    return {key: after or {} for key, after in first_entries.values_list("object_id", "after")}


def _of(model: type[models.Model], keys: Any) -> Q:
    return Q(table=model._meta.db_table, object_id__in=keys)


def _pair_of(model: type[models.Model], column: str, key: int) -> Q:
    """The entries of rows that name another row; such a row may be gone by now."""
    named = Q(**{f"after__{column}": key}) | Q(**{f"before__{column}": key})
    return Q(table=model._meta.db_table) & named


def _entries(access: Access, wanted: Q) -> Iterable[AuditEntry]:
    return access.within(AuditEntry.objects.all()).filter(wanted).order_by("-id")


def _events(entries: Iterable[AuditEntry], tell: Callable[[AuditEntry], _Told]) -> list[Event]:
    events = []
    for entry in entries:
        told = tell(entry)
        text, *more = (told,) if isinstance(told, str) else told
        if text:
            event = Event(entry.at, entry.actor, entry.run_id, text, *more)
            events.append(replace(event, is_withdrawal=_is_withdrawal(entry)))
    return events


def _is_withdrawal(entry: AuditEntry) -> bool:
    after = entry.after or {}
    return after.get("status") == MoneyTransaction.Status.WITHDRAWN or _voids(entry)


def _voids(entry: AuditEntry) -> bool:
    return (entry.after or {}).get("state") == Invoice.State.VOID


def _about_invoice(entry: AuditEntry, invoice: Invoice) -> str:
    after = entry.after or {}
    if after.get("number"):
        return _("Issued as {number}.").format(number=after["number"])
    if _voids(entry):
        said = _("Declared void: {reason}") if entry.reason else _("Declared void.")
        return said.format(reason=entry.reason)
    if after.get("state") == Invoice.State.PAID:
        return _("Nothing is left of it.") if invoice.is_credit_note else _("Nothing is left to pay.")
    if "total_minor" in after:
        total = money_text(Money(after["total_minor"], after.get("currency", invoice.currency)))
        if entry.action == AuditEntry.Action.CREATED:
            return _("Draft of {amount} created.").format(amount=total)
        return _("Draft saved with {amount}.").format(amount=total)
    return ""


def _about_paying(entry: AuditEntry, invoice: Invoice, numbers: dict[int, str]) -> _Told:
    """What a settlement line says on the page of a document that it settles, or that it is made of."""
    after = entry.after or {}
    amount = money_text(Money(after["amount_minor"], after["currency"]))
    if after["voids_id"]:
        return _("A payment of {amount} was undone.").format(amount=amount)
    if after["source_kind"] == Settlement.Source.TRANSACTION:
        said = _("{amount} was paid back.") if invoice.is_credit_note else _("{amount} was paid.")
        return said.format(amount=amount), (), reverse("transaction", args=[after["transaction_id"]])
    if after["source_kind"] == Settlement.Source.CREDIT_NOTE:
        pays = after["credit_note_id"] == invoice.pk
        other = after["invoice_id"] if pays else after["credit_note_id"]
        said = _("{amount} of it pays {number}.") if pays else _("Credit note {number} pays {amount}.")
        text = said.format(amount=amount, number=numbers.get(other, ""))
        return text, (), reverse("invoice", args=[other])
    said = {
        Settlement.Source.ROUNDING: _("{amount} was left and written off as rounding."),
        Settlement.Source.FEE: _("{amount} was left and written off as a fee."),
    }.get(after["source_kind"], _("{amount} was marked as paid."))
    return said.format(amount=amount)


def _about_row(entry: AuditEntry, row: MoneyTransaction) -> _Told:
    if entry.action == AuditEntry.Action.CREATED:
        if (entry.after or {}).get("status") == MoneyTransaction.Status.PENDING:
            return _("Received from the bank; it is not booked yet.")
        return _("Received from the bank.")
    before, after = entry.before or {}, entry.after or {}
    if set(after) == {"settled_minor"}:
        return ""
    found = differences(entry, MoneyTransaction, row.currency)
    reverted = _REVERTED.fullmatch(entry.reason)
    if _is_withdrawal(entry):
        return _about_withdrawal(entry, reverted)
    if reverted:
        return _("Its former values are back: run {number} was taken back.").format(number=reverted[1]), found
    if before.get("status") == MoneyTransaction.Status.WITHDRAWN:
        return _("Back again: the bank tells it again."), _without(found, "status")
    if "external_id" in after and before.get("status") == MoneyTransaction.Status.PENDING:
        return _("Booked by the bank under another id than while it was pending."), _without(found, "status")
    if entry.reason == "conflict accepted by a person":
        return _("It holds what the bank says now."), found
    if set(after) <= {"status", "fingerprint"} and after.get("status") == MoneyTransaction.Status.BOOKED:
        return _("Booked by the bank.")
    return (_("The bank's record changed."), found) if found else ""


def _about_withdrawal(entry: AuditEntry, reverted: re.Match[str] | None) -> _Told:
    same_as = (entry.after or {}).get("duplicate_of_id")
    if same_as:
        return (
            _("Withdrawn: it is another movement told twice. It counts nowhere any more."),
            (),
            reverse("transaction", args=[same_as]),
        )
    if reverted:
        return _("Withdrawn: run {number}, which had brought it, was taken back.").format(number=reverted[1])
    if entry.reason == "gone at the source":
        return _("Withdrawn: the bank no longer tells this pending movement.")
    return _("Withdrawn: it counts nowhere any more.")


def _about_question(entry: AuditEntry, question: PossibleDuplicate, row: MoneyTransaction) -> _Told:
    other = question.candidate_id if question.transaction_id == row.pk else question.transaction_id
    link = reverse("transaction", args=[other])
    if entry.action == AuditEntry.Action.CREATED:
        return _("It may be the same as another movement."), (), link
    if entry.reason == "asked again":
        return _("The answer was undone: it may be the same as another movement."), (), link
    return {
        PossibleDuplicate.Verdict.SAME: (_("It is the same as another movement."), (), link),
        PossibleDuplicate.Verdict.DIFFERENT: (_("It is not the same as another movement."), (), link),
    }.get((entry.after or {}).get("verdict", ""), "")


def _about_conflict(entry: AuditEntry, version: dict[str, Any]) -> _Told:
    if entry.action == AuditEntry.Action.CREATED:
        sentence = _("The bank tells it otherwise: {amount} on {day}.")
    elif _REVERTED.fullmatch(entry.reason):
        sentence = _("Forgotten with its run that the bank told otherwise: {amount} on {day}.")
    else:
        sentence = {
            "asked again": _("The answer was undone: the bank tells {amount} on {day}."),
            "kept as booked": _("Kept as it is booked; {amount} on {day} was not taken over."),
            "taken over from the source": _(
                "Another version from the bank was taken over: {amount} on {day}."
            ),
        }.get(entry.reason, "")
    return sentence.format(
        amount=money_text(Money(version["amount_minor"], version["currency"])),
        day=day_text(date.fromisoformat(version["booked_on"])),
    )


def _about_matching(entry: AuditEntry, row: MoneyTransaction, numbers: dict[int, str]) -> _Told:
    if entry.table == Settlement._meta.db_table:
        return _about_settlement(entry, row, numbers)
    if entry.table == Rejection._meta.db_table:
        return _about_rejection(entry, numbers)
    after = entry.after or {}
    if after.get("undone_at"):
        return _("The decision was undone.")
    if after.get("port") == Decision.Port.DISMISSED:
        return _("Marked as paying no invoice.")
    if after.get("port") == Decision.Port.IGNORED:
        return _("Taken out of the review.")
    if after.get("port") == Decision.Port.TRANSFERRED and after.get("mirror_id"):
        link = reverse("transaction", args=[after["mirror_id"]])
        return _("It is one side of a transfer between own accounts."), (), link
    return ""


def _about_client(entry: AuditEntry) -> _Told:
    if entry.table == PayerAccount._meta.db_table:
        number = (entry.after or entry.before or {}).get("number", "")
        if entry.action == AuditEntry.Action.DELETED:
            return _("Account {number} was forgotten.").format(number=number)
        if (entry.after or {}).get("provenance") == PayerAccount.Provenance.AUTO:
            return _("Account {number} was learned from a payment.").format(number=number)
        return _("Account {number} was added.").format(number=number)
    if entry.action == AuditEntry.Action.CREATED:
        return _("Client {name} was added.").format(name=(entry.after or {}).get("name", ""))
    found = differences(entry, Client)
    return (_("The client's details changed."), found) if found else ""


def _without(found: tuple[Difference, ...], column: str) -> tuple[Difference, ...]:
    return tuple(one for one in found if one.column != column)


def _about_settlement(entry: AuditEntry, row: MoneyTransaction, numbers: dict[int, str]) -> str:
    after = entry.after or {}
    if row.type == MoneyTransaction.Type.EXPENSE:
        taken = _("{amount} was taken back from credit note {number}.")
        used = _("{amount} was used to pay back credit note {number}.")
    else:
        taken = _("{amount} was taken back from invoice {number}.")
        used = _("{amount} was used to pay invoice {number}.")
    words = taken if after.get("voids_id") else used
    amount = money_text(Money(after["amount_minor"], after["currency"]))
    return words.format(amount=amount, number=numbers.get(after["invoice_id"], ""))


def _about_rejection(entry: AuditEntry, numbers: dict[int, str]) -> str:
    pair = entry.after or entry.before or {}
    number = numbers.get(pair.get("invoice_id", 0), "")
    if entry.action == AuditEntry.Action.DELETED:
        return _("It may pay invoice {number} again.").format(number=number)
    return _("Marked as not paying invoice {number}.").format(number=number)
