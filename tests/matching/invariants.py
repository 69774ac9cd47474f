"""What holds of the books whatever happened (matching specification, invariants I1 to I10)."""

from __future__ import annotations

from collections import defaultdict

from kvit.invoices.models import Invoice, Settlement
from kvit.ledger.models import MoneyTransaction
from kvit.matching.models import Decision, Rejection

type Facts = dict[int, tuple[object, ...]]

_FACTS = (
    "amount_minor",
    "currency",
    "booked_on",
    "variable_symbol",
    "message",
    "counterparty_account",
    "counterparty_name",
    "fingerprint",
    "status",
)


def bank_facts() -> Facts:
    """Return what the bank told of each movement, which matching never edits (I10)."""
    return {row[0]: row[1:] for row in MoneyTransaction.objects.values_list("pk", *_FACTS)}


def assert_books_hold(facts: Facts) -> None:
    """Check all invariants against the database; `facts` were taken before matching began."""
    lines = list(
        Settlement.objects.filter(voids__isnull=True, voided_by__isnull=True).select_related(
            "invoice", "transaction", "credit_note"
        )
    )
    used: dict[int, int] = defaultdict(int)
    paid: dict[int, int] = defaultdict(int)
    for line in lines:
        assert line.amount_minor > 0
        assert line.currency == line.invoice.currency, "I4"
        paid[line.invoice_id] += line.amount_minor
        if line.credit_note is not None:
            paid[line.credit_note.pk] += line.amount_minor
        if line.transaction is not None:
            assert line.used.currency == line.transaction.currency, "I4"
            used[line.transaction.pk] += line.used.minor
    for row in MoneyTransaction.objects.all():
        assert used[row.pk] <= abs(row.amount_minor), "I1"
        assert row.settled_minor == used[row.pk], "I3"
    for invoice in Invoice.objects.all():
        assert paid[invoice.pk] <= invoice.total_minor, "I2"
        assert invoice.settled_minor == paid[invoice.pk], "I3"
        is_whole = invoice.total_minor == paid[invoice.pk] and not invoice.is_draft
        assert (invoice.state == "paid") is is_whole, "I6"
        assert invoice.state != "void" or not paid[invoice.pk], "I8"
    pairs = [(line.decision_id, line.invoice_id, line.source_kind) for line in lines if line.decision_id]
    assert len(pairs) == len(set(pairs)), "I5"
    _assert_no_rejected_pair(lines)
    keys = list(Decision.objects.filter(key__isnull=False).values_list("key", flat=True))
    assert len(keys) == len(set(keys)), "I9"
    current = list(Decision.objects.current().values_list("transaction_id", flat=True))
    assert len(current) == len(set(current)), "one current decision"
    assert bank_facts() == facts, "I10"


def _assert_no_rejected_pair(lines: list[Settlement]) -> None:
    """I7: what a person said no to is settled by nobody but a person."""
    rejected = set(Rejection.objects.values_list("transaction_id", "invoice_id"))
    ports = dict(Decision.objects.values_list("pk", "port"))
    for line in lines:
        if (line.transaction_id, line.invoice_id) in rejected:
            assert ports[line.decision_id or 0] == Decision.Port.MANUAL, "I7"
