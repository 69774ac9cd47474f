"""What the kernel decides on, read from the database: documents, clients, known payers, movements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import batched
from typing import Any, Final

from django.db.models import Q

from kvit.invoices.models import Invoice
from kvit.kernel import matching as kernel
from kvit.ledger import duplicates
from kvit.ledger.models import BankAccount, MoneyTransaction
from kvit.matching.models import MatchingSettings, Rejection
from kvit.users.models import Organization
from kvit.work.models import Client, PayerAccount

KNOWN_FOR: Final = timedelta(days=400)
"""How long a settled document is known after its issue, for payments that name it again."""
LATEST_RETURN: Final = timedelta(days=30)
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """An organization's documents and clients as they are now."""

    index: kernel.Index
    """Without documents; they are known from the day of their issue."""
    documents: Sequence[kernel.Invoice]
    """In the order of their issue."""


def load_books(organization: Organization, since: date) -> Books:
    """Read everything that a movement booked on or after this day may have to do with."""
    numbers = BankAccount.objects.filter(organization=organization).values_list("number", flat=True)
    rejected = Rejection.objects.filter(organization=organization)
    index = kernel.Index(
        own_accounts=numbers,
        rejected=rejected.values_list("transaction_id", "invoice_id"),
        enabled=MatchingSettings.of(organization).enabled,
    )
    accounts: dict[int, list[tuple[str, kernel.Provenance]]] = {}
    payers = PayerAccount.objects.filter(organization=organization)
    for client_id, number, provenance in payers.values_list("client_id", "number", "provenance"):
        accounts.setdefault(client_id, []).append((number, kernel.Provenance(provenance)))
    for client_id, name in Client.objects.filter(organization=organization).values_list("pk", "name"):
        index.add_client(client_id, name, accounts.get(client_id, ()))
    return Books(index=index, documents=_documents(organization, since))


def document_of(row: Invoice) -> kernel.Invoice:
    """Return an issued document as the kernel knows it."""
    return _document([getattr(row, name) for name in _DOCUMENT])


def payments_of(organization: Organization, rows: Sequence[MoneyTransaction]) -> dict[int, kernel.Payment]:
    """Return what no settlement uses yet of each movement, by its id."""
    doubtful = _possible_duplicates(rows)
    returned = _returned(organization, rows)
    return {row.pk: _payment(row, row.pk in doubtful, row.pk in returned) for row in rows}


def movement_of(row: MoneyTransaction) -> kernel.Movement:
    """Return a movement as one side of a transfer, or of money sent back."""
    return kernel.Movement(
        id=row.pk,
        account=row.account.number,
        counterparty_account=row.counterparty_account,
        minor=row.amount_minor,
        currency=row.currency,
        booked_on=row.booked_on,
        text=f"{row.message} {row.reference}",
    )


_DOCUMENT: Final = (
    "pk",
    "number",
    "variable_symbol",
    "client_id",
    "currency",
    "total_minor",
    "settled_minor",
    "issued_on",
    "due_on",
    "state",
    "kind",
    "order_number",
)


def _documents(organization: Organization, since: date) -> list[kernel.Invoice]:
    rows = (
        Invoice.objects.filter(organization=organization)
        .filter(Q(state=Invoice.State.ISSUED) | Q(issued_on__gte=since - KNOWN_FOR))
        .exclude(state=Invoice.State.DRAFT)
        .order_by("issued_on", "pk")
    )
    return [_document(values) for values in rows.values_list(*_DOCUMENT).iterator(chunk_size=2000)]


def _document(values: Sequence[Any]) -> kernel.Invoice:
    (pk, number, symbol, client_id, currency, total, settled, issued_on, due_on, state, kind, order) = values
    return kernel.Invoice(
        id=pk,
        number=number,
        variable_symbol=symbol,
        client_id=client_id,
        currency=currency,
        open_minor=total - settled if state == Invoice.State.ISSUED else 0,
        issued_on=issued_on,
        due_on=due_on,
        is_void=state == Invoice.State.VOID,
        is_credit_note=kind == Invoice.Kind.CREDIT_NOTE,
        aliases=(order,) if order else (),
    )


def _payment(row: MoneyTransaction, is_possible_duplicate: bool, is_returned: bool) -> kernel.Payment:
    left = row.unsettled.minor
    return kernel.Payment(
        id=row.pk,
        minor=-left if row.amount_minor < 0 else left,
        currency=row.currency,
        booked_on=row.booked_on,
        is_pending=row.status != MoneyTransaction.Status.BOOKED,
        is_possible_duplicate=is_possible_duplicate,
        is_rest=row.settled_minor > 0,
        is_returned=is_returned,
        variable_symbol=row.variable_symbol,
        texts=(row.message, row.reference),
        counterparty_account=row.counterparty_account,
        counterparty_name=row.counterparty_name,
    )


def _possible_duplicates(rows: Iterable[MoneyTransaction]) -> set[int]:
    """Return the movements of which nobody has said yet whether they are another one."""
    found: set[int] = set()
    for some in batched((row.pk for row in rows), _AT_ONCE):
        asked = duplicates.unanswered().filter(transaction__in=some)
        found.update(asked.values_list("transaction_id", flat=True))
    return found


def _returned(organization: Organization, rows: Sequence[MoneyTransaction]) -> dict[int, int]:
    """Return incoming movement -> the outgoing one that sent it back."""
    incoming = [row for row in rows if row.amount_minor > 0]
    outgoing: dict[int, MoneyTransaction] = {}
    for some in batched(incoming, _AT_ONCE):
        for row in _possible_returns(organization, some):
            outgoing[row.pk] = row
    if not outgoing:
        return {}
    return kernel.returned(map(movement_of, [*incoming, *outgoing.values()]))


def _possible_returns(
    organization: Organization, rows: Sequence[MoneyTransaction]
) -> Iterator[MoneyTransaction]:
    days = [row.booked_on for row in rows]
    yield from MoneyTransaction.objects.filter(
        organization=organization,
        status=MoneyTransaction.Status.BOOKED,
        booked_on__range=(min(days), max(days) + LATEST_RETURN),
        amount_minor__in={-row.amount_minor for row in rows},
    ).select_related("account")
