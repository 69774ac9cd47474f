"""Which movements matching looks at again, when something they may rest on has changed.

A movement that waited once is settled by itself only when new evidence names it: a document that is issued,
an account that became known. That an equal debt of somebody else went away is none, since the movement may
have been meant for that one. So everything else only refreshes what is offered to a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import batched

from django.db.models import F, Q

from kvit.invoices.models import Invoice
from kvit.kernel.matching.extract import keys_in
from kvit.kernel.matching.index import spellings
from kvit.kernel.references import account_key
from kvit.ledger.models import MoneyTransaction
from kvit.ledger.whole import whole
from kvit.matching.loading import document_of
from kvit.matching.models import Decision, MatchingSettings
from kvit.users.models import Organization
from kvit.work.models import PayerAccount

_Due = MoneyTransaction.MatchDue


def take_notice(organization: Organization) -> None:
    """Mark what the documents and accounts that are new to matching may be the other side of."""
    for invoice in Invoice.objects.filter(organization=organization, match_due=True).order_by("pk"):
        with whole():
            if Invoice.objects.filter(pk=invoice.pk, match_due=True).update(match_due=False):
                _look_at_document(invoice)
    for account in PayerAccount.objects.filter(organization=organization, match_due=True).order_by("pk"):
        with whole():
            if PayerAccount.objects.filter(pk=account.pk, match_due=True).update(match_due=False):
                _look_at_account(account)


def tiers_switched(organization: Organization, before: MatchingSettings, after: MatchingSettings) -> None:
    """Look again at what waited only because a tier was off that is on now."""
    switched_on = after.enabled - before.enabled
    waiting = Decision.objects.waiting().filter(organization=organization, because__0__code="tier.off")
    rows = waiting.filter(because__0__values__tier__in=[str(tier) for tier in switched_on])
    _mark(rows.values_list("transaction_id", flat=True), _Due.DECISION)


def money_moved(row: MoneyTransaction, invoices: Iterable[Invoice]) -> None:
    """Refresh what is offered for movements that may have been meant for the same documents."""
    alike = Q(transaction__amount_minor=row.amount_minor, transaction__currency=row.currency)
    if row.counterparty_account:
        alike |= Q(transaction__counterparty_account=row.counterparty_account)
    for invoice in invoices:
        alike |= Q(transaction__amount_minor=invoice.total_minor, transaction__currency=invoice.currency)
        alike |= Q(transaction__variable_symbol=invoice.variable_symbol)
    waiting = Decision.objects.waiting().filter(alike, organization=row.organization_id)
    _mark(waiting.values_list("transaction_id", flat=True), _Due.CANDIDATES)


def everything(organization: Organization) -> None:
    """Refresh what is offered for everything that waits."""
    waiting = Decision.objects.waiting().filter(organization=organization)
    _mark(waiting.values_list("transaction_id", flat=True), _Due.CANDIDATES)


def _look_at_document(invoice: Invoice) -> None:
    """What may have been paid before its document was there; and equal amounts, to offer it for them."""
    names = spellings(document_of(invoice))
    accounts = set(PayerAccount.objects.filter(client=invoice.client_id).values_list("key", flat=True))
    named, alike = [], []
    for row in _waiting(invoice.organization):
        if not names.isdisjoint(keys_in(row.variable_symbol, (row.message, row.reference))):
            named.append(row.pk)
        elif row.unsettled == invoice.open or account_key(row.counterparty_account) in accounts:
            alike.append(row.pk)
    _mark(named, _Due.DECISION)
    _mark(alike, _Due.CANDIDATES)


def _look_at_account(account: PayerAccount) -> None:
    rows = _waiting(account.organization)
    _mark((row.pk for row in rows if account_key(row.counterparty_account) == account.key), _Due.DECISION)


def _waiting(organization: Organization) -> Iterator[MoneyTransaction]:
    """Movements of which something is left that wait for a person."""
    ids = Decision.objects.waiting().filter(organization=organization).values("transaction_id")
    rows = MoneyTransaction.objects.filter(pk__in=ids).exclude(settled_minor=F("amount_minor"))
    yield from rows.iterator(chunk_size=1000)


def _mark(ids: Iterable[int], due: MoneyTransaction.MatchDue) -> None:
    """Mark movements, locked in the order of their ids as everywhere."""
    for some in batched(ids, 500):
        rows = MoneyTransaction.objects.filter(pk__in=some)
        with whole():
            list(rows.select_for_update(of=("self",)).order_by("pk").values_list("pk"))
            rows.mark_to_match(due)
