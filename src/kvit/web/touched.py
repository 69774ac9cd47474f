"""What a run created and changed, row by row, as the audit tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db import models
from django.db.models import Count
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from kvit.audit.models import AuditEntry
from kvit.invoices.models import Invoice, Settlement
from kvit.ledger.models import (
    BankAccount,
    BankStatement,
    MoneyTransaction,
    PossibleDuplicate,
    TransactionConflict,
)
from kvit.matching.models import Decision
from kvit.sync.models import PluginConfiguration
from kvit.users.scoping import Access
from kvit.web.differences import Difference, differences
from kvit.web.words import account_text, day_text, money_text
from kvit.work.models import PayerAccount

ENTRIES_SHOWN: Final = 50

_KINDS: Final[Mapping[type[models.Model], Any]] = {
    MoneyTransaction: gettext_lazy("Movement"),
    BankAccount: gettext_lazy("Own account"),
    BankStatement: gettext_lazy("Statement"),
    TransactionConflict: gettext_lazy("Conflict"),
    PossibleDuplicate: gettext_lazy("Possible duplicate"),
    Invoice: gettext_lazy("Invoice"),
    Settlement: gettext_lazy("Payment of an invoice"),
    Decision: gettext_lazy("Match"),
    PayerAccount: gettext_lazy("Payer's account"),
    PluginConfiguration: gettext_lazy("Connection"),
}
_BY_TABLE: Final = {model._meta.db_table: model for model in _KINDS}


@dataclass(frozen=True, slots=True)
class Touched:
    """One row that the run created, changed or removed."""

    entry: AuditEntry
    kind: str
    label: str
    url: str
    differences: tuple[Difference, ...]
    """Of a changed row only."""
    is_withdrawn: bool
    """Whether it is a movement that counts nowhere by now."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows of a kind a run created or changed."""

    key: str
    """Names them in a query string."""
    kind: str
    action: str
    count: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some of what the run did, in the order it was done."""

    rows: tuple[Touched, ...]
    after: int | None
    """Where the next page begins; None on the last one."""


def tallies(run_id: int, access: Access) -> list[Tally]:
    """Count what the run did, by kind of row."""
    rows = (
        access.within(AuditEntry.objects.filter(run_id=run_id))
        .order_by()
        .values("table", "action")
        .annotate(count=Count("id"))
    )
    found = [
        Tally(
            key=f"{row['table']}.{row['action']}",
            kind=_kind(row["table"]),
            action=str(AuditEntry.Action(row["action"]).label),
            count=row["count"],
        )
        for row in rows
    ]
    return sorted(found, key=_place_of)


def of_run(run_id: int, access: Access, *, only: str = "", after: int = 0) -> Page:
    """Return the run's entries that follow the entry `after`; `only` is the key of a tally."""
    entries = access.within(AuditEntry.objects.filter(run_id=run_id, pk__gt=after)).order_by("id")
    if only:
        table, _dot, action = only.partition(".")
        entries = entries.filter(table=table, action=action)
    found = list(entries[: ENTRIES_SHOWN + 1])
    shown = found[:ENTRIES_SHOWN]
    named = _Named(shown, access)
    return Page(
        rows=tuple(_touched(entry, named) for entry in shown),
        after=shown[-1].pk if len(found) > ENTRIES_SHOWN else None,
    )


def _place_of(tally: Tally) -> tuple[int, str]:
    """Movements first, as `_KINDS` lists them; of one kind, the changed before the created."""
    table, _dot, action = tally.key.partition(".")
    tables = list(_BY_TABLE)
    return tables.index(table) if table in tables else len(tables), action


def _touched(entry: AuditEntry, named: _Named) -> Touched:
    row = named.row(entry)
    label, url = _name_and_page(row, entry)
    return Touched(
        entry=entry,
        kind=_kind(entry.table),
        label=label,
        url=url,
        differences=_differences(entry, row),
        is_withdrawn=isinstance(row, MoneyTransaction) and row.status == MoneyTransaction.Status.WITHDRAWN,
    )


def _kind(table: str) -> str:
    model = _BY_TABLE.get(table)
    return table if model is None else str(_KINDS[model])


def _differences(entry: AuditEntry, row: models.Model | None) -> tuple[Difference, ...]:
    model = _BY_TABLE.get(entry.table)
    return differences(entry, model, getattr(row, "currency", "")) if model else ()


class _Named:
    """The rows that entries are about, loaded a table at a time."""

    def __init__(self, entries: Iterable[AuditEntry], access: Access) -> None:
        self._rows: dict[tuple[str, int], models.Model] = {}
        keys: dict[str, set[int]] = {}
        for entry in entries:
            keys.setdefault(entry.table, set()).add(entry.object_id)
        for table, ids in keys.items():
            if table in _BY_TABLE:
                rows = _with_relations(_BY_TABLE[table]._default_manager.filter(pk__in=ids))
                self._rows |= {(table, row.pk): row for row in rows if access.owns(row)}

    def row(self, entry: AuditEntry) -> models.Model | None:
        """Return the row that an entry is about, or None where it is gone or has no page."""
        return self._rows.get((entry.table, entry.object_id))


def _name_and_page(row: models.Model | None, entry: AuditEntry) -> tuple[str, str]:
    """Return the name and the page of a row; a row that is gone has a number and no page."""
    match row:
        case MoneyTransaction():
            return _movement(row)
        case TransactionConflict() | PossibleDuplicate() | Decision():
            return _movement(row.transaction)
        case Settlement():
            text = _("{amount} for invoice {number}").format(
                amount=money_text(row.amount), number=row.invoice.number
            )
            return text, reverse("invoice", args=[row.invoice_id])
        case Invoice():
            return row.number or _("draft"), reverse("invoice", args=[row.pk])
        case BankAccount():
            return account_text(row), reverse("account", args=[row.pk])
        case BankStatement():
            return _statement(row), reverse("account", args=[row.account_id])
        case PayerAccount():
            return row.number, reverse("client", args=[row.client_id])
        case PluginConfiguration():
            return row.name, reverse("connection", args=[row.pk])
        case None:
            return _("gone by now (#{id})").format(id=entry.object_id), ""
    return str(row), ""


def _with_relations(rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """Load with each row what its name is made of."""
    if rows.model is Settlement:
        return rows.select_related("invoice")
    if rows.model in (TransactionConflict, PossibleDuplicate, Decision):
        return rows.select_related("transaction")
    return rows


def _statement(row: BankStatement) -> str:
    days = [day_text(day) for day in (row.from_date, row.to_date) if day is not None]
    number = _("No. {number}").format(number=row.number) if row.number else ""
    return " · ".join(part for part in (number, " – ".join(days)) if part)


def _movement(row: MoneyTransaction) -> tuple[str, str]:
    who = row.counterparty_name or row.counterparty_account or row.message
    parts = (day_text(row.booked_on), money_text(row.amount), who)
    return " · ".join(part for part in parts if part), reverse("transaction", args=[row.pk])
