"""Settling and unsettling documents: the only code that moves the counters on both sides.

Counters move by conditional UPDATE, the movements' first and the documents' second, each in the order of
their ids, in every process; whoever is second gets Stale and nothing is half-done. Constraints in the
database hold the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.db import connection
from django.db import transaction as database_transaction
from django.db.models import F
from django.utils import timezone

from kvit.audit.recording import Actor, Change, changed, created, record
from kvit.invoices.models import Invoice, Settlement
from kvit.kernel.errors import CurrencyMismatch, Refused, Stale
from kvit.kernel.money import Money
from kvit.ledger.models import MoneyTransaction
from kvit.users.models import Organization

_Source = Settlement.Source
_USE: Final = (
    "UPDATE ledger_moneytransaction"
    " SET settled_minor = settled_minor + %s, match_revision = match_revision + 1, match_due = 0"
    " WHERE id = %s AND settled_minor = %s AND match_revision = %s AND status = 'booked'"
    " AND settled_minor + %s <= abs(amount_minor)"
)
_PAY: Final = (
    "UPDATE invoices_invoice SET settled_minor = settled_minor + %s, state = %s, paid_on = %s"
    " WHERE id = %s AND settled_minor = %s AND state = 'issued' AND settled_minor + %s <= total_minor"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How much of a document is to be settled, by what; the rows as they were read."""

    invoice: Invoice
    minor: int
    """Positive hundredths of the document's currency."""
    kind: Settlement.Source
    on: date
    transaction: MoneyTransaction | None = None
    credit_note: Invoice | None = None
    source_minor: int | None = None
    """What it uses of a movement in another currency, in positive hundredths of that; else nothing."""
    decision_id: int | None = None

    @property
    def used_minor(self) -> int:
        """What it uses of its source, in positive hundredths of the source's currency."""
        return self.minor if self.source_minor is None else self.source_minor


def settle_lines(organization: Organization, lines: Sequence[Line], *, actor: Actor) -> list[Settlement]:
    """Settle all lines or none, in one transaction.

    Incoming money pays invoices and outgoing money credit notes, once booked; a credit note pays invoices
    of its client. Raises CurrencyMismatch and Refused for what can never be, and Stale where a movement or
    document has changed since it was read.
    """
    for line in lines:
        _require_possible(organization, line)
    movements, documents = _by_movement(lines), _by_document(lines)
    with database_transaction.atomic():
        _use(movements)
        _pay(documents)
        rows = Settlement.objects.bulk_create(_row(organization, line, actor) for line in lines)
        changes = [*_used(movements), *_paid(documents), *map(created, rows)]
        record(organization, actor, changes)
    return rows


def settle(
    invoice: Invoice,
    transaction: MoneyTransaction,
    amount: Money,
    *,
    actor: Actor,
    decision_id: int | None = None,
) -> Settlement:
    """Use a positive amount of one movement for one document of its currency. Raises as `settle_lines`."""
    if not invoice.currency == transaction.currency == amount.currency:
        raise CurrencyMismatch(
            "{one} and {other} are in two currencies.", one=invoice.total, other=transaction.amount
        )
    line = Line(
        invoice=invoice,
        minor=amount.minor,
        kind=_Source.TRANSACTION,
        on=transaction.booked_on,
        transaction=transaction,
        decision_id=decision_id,
    )
    return settle_lines(invoice.organization, [line], actor=actor)[0]


def settle_by_hand(invoice: Invoice, on: date, *, actor: Actor) -> Settlement:
    """Mark what is open on an issued document as paid on a day, without a bank movement. Raises Stale."""
    amount = invoice.open
    if not amount:
        raise Stale("Nothing is open on this invoice any more.")
    line = Line(invoice=invoice, minor=amount.minor, kind=_Source.MANUAL, on=on)
    return settle_lines(invoice.organization, [line], actor=actor)[0]


def unsettle(settlement: Settlement, *, actor: Actor, reason: str = "") -> Settlement:
    """Undo a settlement by a voiding line; the document is open again. Raises Stale where that is done."""
    if settlement.voids_id is not None:
        raise Refused("This line is itself an undo.")
    with database_transaction.atomic():
        released = _release(settlement)
        documents = _locked_documents(settlement)
        if Settlement.objects.filter(voids=settlement).exists():
            raise Stale("This was undone already.")
        reopened = [_reopen(document, settlement.amount_minor) for document in documents]
        line = Settlement.objects.create(
            organization_id=settlement.organization_id,
            invoice=settlement.invoice,
            source_kind=settlement.source_kind,
            transaction=settlement.transaction,
            credit_note=settlement.credit_note,
            amount_minor=settlement.amount_minor,
            currency=settlement.currency,
            source_minor=settlement.source_minor,
            source_currency=settlement.source_currency,
            settled_on=settlement.settled_on,
            decision_id=settlement.decision_id,
            voids=settlement,
            created_by=actor.name,
            created_at=timezone.now(),
        )
        record(settlement.organization, actor, [created(line, reason), *reopened, *released])
    return line


type _OfMovement = dict[MoneyTransaction, int]
type _OfDocument = dict[Invoice, tuple[int, date]]


def _require_possible(organization: Organization, line: Line) -> None:
    invoice = line.invoice
    if invoice.organization_id != organization.pk:
        raise Refused("The invoice and the movement belong to two organizations.")
    if invoice.is_draft:
        raise Refused("A draft cannot be paid. Issue it first.")
    if invoice.state == Invoice.State.VOID:
        raise Refused("{number} is void, so nothing can pay it.", number=invoice.number)
    if line.minor <= 0 or line.used_minor <= 0:
        raise Refused("Only an amount above zero can be settled.")
    if line.transaction is not None:
        _require_movement(invoice, line.transaction, line.source_minor)
    if line.credit_note is not None:
        _require_credit_note(invoice, line.credit_note)


def _require_movement(invoice: Invoice, row: MoneyTransaction, source_minor: int | None) -> None:
    if invoice.organization_id != row.organization_id:
        raise Refused("The invoice and the movement belong to two organizations.")
    if (invoice.currency == row.currency) is not (source_minor is None):
        raise CurrencyMismatch(
            "{one} and {other} are in two currencies.", one=invoice.total, other=row.amount
        )
    if row.status != MoneyTransaction.Status.BOOKED:
        raise Refused("The bank has not booked this movement yet.")
    if invoice.is_credit_note is not (row.amount_minor < 0):
        raise Refused("Money that came in pays invoices; money that left pays credit notes.")


def _require_credit_note(invoice: Invoice, credit_note: Invoice) -> None:
    if (invoice.client_id, invoice.currency) != (credit_note.client_id, credit_note.currency):
        raise Refused("A credit note pays invoices of its own client in its own currency.")
    if invoice.is_credit_note or not credit_note.is_credit_note:
        raise Refused("Only a credit note pays an invoice, and never another credit note.")


def _by_movement(lines: Iterable[Line]) -> _OfMovement:
    """What the lines use of each movement, in the order of their ids."""
    used: _OfMovement = defaultdict(int)
    for line in lines:
        if line.transaction is not None:
            used[line.transaction] += line.used_minor
    return dict(sorted(used.items(), key=lambda pair: pair[0].pk))


def _by_document(lines: Iterable[Line]) -> _OfDocument:
    """What is settled of each document, of credit notes that pay others too, and the last day of it."""
    paid: _OfDocument = {}
    for line in lines:
        for document in (line.invoice, line.credit_note):
            if document is not None:
                minor, on = paid.get(document, (0, line.on))
                paid[document] = (minor + line.minor, max(on, line.on))
    return dict(sorted(paid.items(), key=lambda pair: pair[0].pk))


def _use(movements: _OfMovement) -> None:
    _change_each(
        _USE,
        [(used, row.pk, row.settled_minor, row.match_revision, used) for row, used in movements.items()],
    )


def _pay(documents: _OfDocument) -> None:
    _change_each(
        _PAY,
        [
            (minor, *_state(invoice, minor, on), invoice.pk, invoice.settled_minor, minor)
            for invoice, (minor, on) in documents.items()
        ],
    )


def _state(invoice: Invoice, minor: int, on: date) -> tuple[str, Any]:
    is_whole = invoice.settled_minor + minor == invoice.total_minor
    if is_whole:
        return Invoice.State.PAID.value, connection.ops.adapt_datefield_value(on)
    return Invoice.State.ISSUED.value, None


def _change_each(statement: str, parameters: Sequence[tuple[Any, ...]]) -> None:
    """Change one row by each execution. Raises Stale where one is not as it was read."""
    if parameters:
        with connection.cursor() as cursor:
            cursor.executemany(statement, parameters)
            if cursor.rowcount != len(parameters):
                raise Stale


def _row(organization: Organization, line: Line, actor: Actor) -> Settlement:
    return Settlement(
        organization=organization,
        invoice=line.invoice,
        source_kind=line.kind,
        transaction=line.transaction,
        credit_note=line.credit_note,
        amount_minor=line.minor,
        currency=line.invoice.currency,
        source_minor=line.source_minor,
        source_currency=""
        if line.source_minor is None or line.transaction is None
        else line.transaction.currency,
        settled_on=line.on,
        decision_id=line.decision_id,
        created_by=actor.name,
        created_at=timezone.now(),
    )


def _used(movements: _OfMovement) -> Iterator[Change]:
    for row, used in movements.items():
        yield changed(row, {"settled_minor": row.settled_minor}, {"settled_minor": row.settled_minor + used})


def _paid(documents: _OfDocument) -> Iterator[Change]:
    for invoice, (minor, on) in documents.items():
        after = {"settled_minor": invoice.settled_minor + minor}
        if after["settled_minor"] == invoice.total_minor:
            yield changed(invoice, _counters(invoice), {**after, "state": Invoice.State.PAID, "paid_on": on})
        else:
            yield changed(invoice, _counters(invoice), after)


def _counters(invoice: Invoice) -> dict[str, object]:
    return {name: getattr(invoice, name) for name in ("state", "settled_minor", "paid_on")}


def _release(settlement: Settlement) -> list[Change]:
    """Give the movement back what the line uses; matching looks at it again."""
    row = settlement.transaction
    if row is None:
        return []
    used = settlement.used.minor
    rows = MoneyTransaction.objects.filter(pk=row.pk)
    if not rows.filter(settled_minor__gte=used).update(settled_minor=F("settled_minor") - used):
        raise Stale
    rows.mark_to_match(MoneyTransaction.MatchDue.CANDIDATES)
    after = rows.values_list("settled_minor", flat=True).get()
    return [changed(row, {"settled_minor": after + used}, {"settled_minor": after})]


def _locked_documents(settlement: Settlement) -> list[Invoice]:
    """Return the document that is settled, and the credit note that settles it, locked in order of id."""
    ids = [each for each in (settlement.invoice_id, settlement.credit_note_id) if each is not None]
    return list(Invoice.objects.select_for_update(of=("self",)).filter(pk__in=ids).order_by("pk"))


def _reopen(invoice: Invoice, minor: int) -> Change:
    """Open the document again. Raises Refused where another open one has its variable symbol by now."""
    taken = Invoice.objects.open().filter(
        organization_id=invoice.organization_id, account_id=invoice.account_id, symbol_key=invoice.symbol_key
    )
    if invoice.state == Invoice.State.PAID and taken.exclude(pk=invoice.pk).exists():
        raise Refused(
            "Invoice {number} cannot be opened again: another open invoice has its variable symbol {symbol}.",
            number=invoice.number,
            symbol=invoice.variable_symbol,
        )
    before = _counters(invoice)
    invoice.settled_minor -= minor
    invoice.state, invoice.paid_on = Invoice.State.ISSUED, None
    Invoice.objects.filter(pk=invoice.pk).update(**_counters(invoice))
    return changed(invoice, before, _counters(invoice))
