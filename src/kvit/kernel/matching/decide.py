"""The decision about one payment: a conjunction of equalities and uniqueness, never a score.

Tier A1: the variable symbol names exactly one open invoice, in the same currency and of the same amount, and
the payer's account is not known for other clients only. Adding data can take an automatic match away, but
never make a wrong one.
"""

from __future__ import annotations

from typing import Final

from kvit.kernel.matching.index import Index
from kvit.kernel.matching.values import Candidate, Invoice, Payment, Port, Reason, Settle, Verdict

MOST_CANDIDATES: Final = 3


def decide(payment: Payment, index: Index) -> Verdict:
    """Conclude what the payment pays. Pure: the same payment and index give the same verdict."""
    named = index.with_symbol(payment.variable_symbol)
    still_open = [invoice for invoice in named if invoice.open]
    fault = _first_fault(payment, index, named, still_open)
    if fault is None:
        return _settled_by_symbol(payment, still_open[0])
    return Verdict(
        port=_port_of(fault),
        because=(fault,),
        candidates=_candidates(payment, index, still_open),
    )


def _first_fault(
    payment: Payment, index: Index, named: list[Invoice], still_open: list[Invoice]
) -> Reason | None:
    """The first condition of A1 that does not hold, or None where all of them do."""
    if payment.is_pending:
        return Reason("payment.pending")
    if payment.is_possible_duplicate:
        return Reason("payment.possible_duplicate")
    if not payment.variable_symbol.strip("0 "):
        return Reason("symbol.none")
    if not named:
        return Reason("symbol.unknown", {"symbol": payment.variable_symbol})
    if not still_open:
        return Reason("symbol.settled", {"symbol": payment.variable_symbol, "invoice": named[-1].number})
    if len(still_open) > 1:
        return Reason("symbol.ambiguous", {"symbol": payment.variable_symbol, "count": len(still_open)})
    return _fault_of_pair(payment, still_open[0], index)


def _fault_of_pair(payment: Payment, invoice: Invoice, index: Index) -> Reason | None:
    if invoice.open.currency != payment.amount.currency:
        return Reason("currency.differs", {"paid": str(payment.amount), "open": str(invoice.open)})
    if invoice.open != payment.amount:
        return Reason("amount.differs", {"paid": str(payment.amount), "open": str(invoice.open)})
    clients = index.clients_of(payment.counterparty_account)
    if clients and invoice.client_id not in clients:
        return Reason("payer.other_client", {"account": payment.counterparty_account})
    if index.is_rejected(payment.id, invoice.id):
        return Reason("pair.rejected", {"invoice": invoice.number})
    return None


def _settled_by_symbol(payment: Payment, invoice: Invoice) -> Verdict:
    return Verdict(
        port=Port.AUTO,
        tier="A1",
        settle=(Settle(invoice.id, payment.amount),),
        because=(
            Reason("symbol.names", {"symbol": payment.variable_symbol, "invoice": invoice.number}),
            Reason("amount.equal", {"amount": str(payment.amount)}),
        ),
    )


def _port_of(fault: Reason) -> Port:
    if fault.code == "symbol.settled":
        return Port.DUPLICATE
    if fault.code in ("symbol.none", "symbol.unknown", "payment.pending"):
        return Port.NONE
    return Port.SUGGEST


def _candidates(payment: Payment, index: Index, still_open: list[Invoice]) -> tuple[Candidate, ...]:
    """Invoices named by the symbol, then by the message, then of the same amount, the payer's own first."""
    clients = index.clients_of(payment.counterparty_account)
    equal = index.with_open_amount(payment.amount)
    named = index.named_in(payment.message)
    ranked = [*still_open, *named, *sorted(equal, key=lambda invoice: invoice.client_id not in clients)]
    unique = {invoice.id: invoice for invoice in ranked if not index.is_rejected(payment.id, invoice.id)}
    same_currency = [
        invoice for invoice in unique.values() if invoice.open.currency == payment.amount.currency
    ]
    return tuple(_candidate(payment, invoice, index) for invoice in same_currency[:MOST_CANDIDATES])


def _candidate(payment: Payment, invoice: Invoice, index: Index) -> Candidate:
    clients = index.clients_of(payment.counterparty_account)
    named = invoice in index.with_symbol(payment.variable_symbol)
    in_message = invoice in index.named_in(payment.message)
    equal = invoice.open == payment.amount
    facts: list[tuple[bool, Reason, Reason | None]]
    facts = [
        (named, Reason("symbol.equal"), Reason("symbol.other")),
        (in_message, Reason("number.in_message"), None),
        (equal, Reason("amount.equal", {"amount": str(payment.amount)}), _difference(payment, invoice)),
    ]
    if clients:
        facts.append((invoice.client_id in clients, Reason("payer.known"), Reason("payer.of_other_client")))
    return Candidate(
        invoice.id,
        for_=tuple(yes for holds, yes, _ in facts if holds),
        against=tuple(no for holds, _, no in facts if not holds and no is not None),
    )


def _difference(payment: Payment, invoice: Invoice) -> Reason:
    return Reason("amount.difference", {"difference": str(payment.amount - invoice.open)})
