"""The decision about one payment: a conjunction of equalities, uniqueness and vetoes, never a score.

Adding data can take an automatic match away, but never make a wrong one. The first condition that fails is
the reason the payment waits. Money that leaves settles credit notes by the same tiers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from kvit.kernel.matching.evidence import Evidence
from kvit.kernel.matching.extract import folded
from kvit.kernel.matching.index import Index
from kvit.kernel.matching.near import is_near
from kvit.kernel.matching.subsets import adds_up
from kvit.kernel.matching.suggest import candidates
from kvit.kernel.matching.values import (
    Candidate,
    Check,
    Invoice,
    Line,
    Payment,
    Port,
    Provenance,
    Reason,
    Tier,
    Verdict,
    Veto,
    written,
)
from kvit.kernel.references import account_key, symbol_key

LARGEST_ROUNDING_MINOR: Final = 100
"""A difference up to this is rounding, which a person confirms; but the client may pay that much too much."""
EARLIEST: Final = timedelta(days=14)
"""How long before its document is issued a payment may be booked, inclusive."""
VETOES: Final = {
    "payer.other_client": Veto.V1,
    "amount.common": Veto.V2,
    "reference.disagree": Veto.V3,
    "reference.near": Veto.V4,
    "reference.of_payer": Veto.V5,
    "payment.returned": Veto.V6,
    "reference.ambiguous": Veto.V7,
    "amount.second_reading": Veto.V8,
}
"""The reason that each veto gives."""
_ACQUIRERS: Final = re.compile(
    r"GOPAY|COMGATE|STRIPE|ADYEN|SUMUP|PAYU|GP WEBPAY|GLOBAL PAYMENTS|PAYPAL|WORLDLINE"
)
_ALL_HOLD: Final = tuple(Check(veto, ok=True) for veto in Veto)

type _Fault = Reason | None


def decide(payment: Payment, index: Index) -> Verdict:
    """Conclude what the payment pays. Pure: the same payment and index give the same verdict."""
    if payment.is_pending:
        return Verdict(port=Port.NONE, because=(Reason("payment.pending"),))
    if index.own_accounts and account_key(payment.counterparty_account) in index.own_accounts:
        return Verdict(port=Port.TRANSFER, because=(Reason("payer.own_account"),))
    evidence = Evidence(payment, index)
    result = _automatic(evidence)
    if isinstance(result, Reason):
        return _waiting(evidence, result, candidates(evidence))
    if result.tier not in index.enabled:
        off = Reason("tier.off", {"tier": str(result.tier)})
        return _waiting(evidence, off, (Candidate(result.settle, for_=result.because),))
    return result


def _waiting(evidence: Evidence, fault: Reason, found: tuple[Candidate, ...]) -> Verdict:
    veto = VETOES.get(fault.code)
    return Verdict(
        port=_port(fault, evidence, bool(found)),
        because=(fault,),
        candidates=found,
        checked=() if veto is None else (Check(veto, ok=False),),
    )


def _port(fault: Reason, evidence: Evidence, has_candidates: bool) -> Port:
    if fault.code == "document.settled":
        return Port.DUPLICATE
    if _is_from_acquirer(evidence):
        return Port.PAYOUT
    return Port.SUGGEST if has_candidates or fault.code == "refund.of_invoice" else Port.NONE


def _is_from_acquirer(evidence: Evidence) -> bool:
    """Whether the money is the net sum of a gateway; one that names a document is a buyer's."""
    payment = evidence.payment
    return (
        payment.minor > 0
        and not evidence.named
        and _ACQUIRERS.search(folded(payment.counterparty_name)) is not None
    )


def _automatic(evidence: Evidence) -> Verdict | Reason:
    """Return an automatic verdict, or the first condition that does not hold."""
    fault = _fault_of_payment(evidence)
    if fault is not None:
        return fault
    named = evidence.named
    if not named:
        return _nothing_named(evidence)
    if evidence.ambiguous:
        return Reason("reference.ambiguous", {"symbol": evidence.ambiguous, "count": len(named)})
    if len(named) > 1:
        return _several(evidence, named)
    return _one(evidence, named[0])


def _fault_of_payment(evidence: Evidence) -> _Fault:
    """What no reference can outweigh; vetoes V5 and V6 are among it."""
    payment = evidence.payment
    if not payment.minor:
        return Reason("payment.empty")
    if payment.is_possible_duplicate:
        return Reason("payment.possible_duplicate")
    if payment.is_rest:
        return Reason("payment.rest")
    if payment.is_returned:
        return Reason("payment.returned")
    if evidence.payer_symbol and not _is_named_beside_payer(evidence):
        return Reason("reference.of_payer", {"symbol": evidence.payer_symbol})
    return None


def _is_named_beside_payer(evidence: Evidence) -> bool:
    """Whether a payer that always writes one symbol names its own documents by something else."""
    clients = evidence.index.always_writing(symbol_key(evidence.payer_symbol))
    return bool(evidence.named) and all(
        evidence.reference(invoice) != evidence.payer_symbol and invoice.client_id in clients
        for invoice in evidence.named
    )


def _nothing_named(evidence: Evidence) -> Reason:
    if evidence.payment.minor < 0:
        return Reason("payment.outgoing")
    if evidence.symbols:
        return Reason("symbol.unknown", {"symbol": evidence.symbols[0]})
    return Reason("symbol.none")


def _one(evidence: Evidence, invoice: Invoice) -> Verdict | Reason:
    """Tiers A1, A2, A4 and A5: everything that the payment names is one document."""
    owed_minor = evidence.index.owed(invoice.id)
    fault = (
        _fault_of_document(evidence, invoice, owed_minor)
        or _fault_of_reference(evidence, invoice)
        or _fault_of_payer(evidence, invoice.client_id)
        or _fault_of_time(evidence, invoice, owed_minor)
    )
    if fault is not None:
        return fault
    if owed_minor == evidence.minor:
        return _whole(evidence, invoice)
    return _other_amount(evidence, invoice, owed_minor)


def _fault_of_document(evidence: Evidence, invoice: Invoice, owed_minor: int) -> _Fault:
    payment = evidence.payment
    if invoice.is_credit_note is not (payment.minor < 0):
        return _fault_of_direction(evidence, invoice, owed_minor)
    if owed_minor and invoice.currency == payment.currency:
        if (payment.id, invoice.id) in evidence.index.rejected:
            return Reason("pair.rejected", {"invoice": invoice.number})
        return None
    if invoice.is_void:
        return Reason("document.void", _names(evidence, invoice))
    if not owed_minor:
        return Reason("document.settled", _names(evidence, invoice))
    return Reason("currency.differs", _amounts(evidence, invoice, owed_minor))


def _fault_of_direction(evidence: Evidence, invoice: Invoice, owed_minor: int) -> Reason:
    """Money that leaves under the number of a paid invoice may give it back; suppliers write numbers too."""
    if evidence.payment.minor < 0 and not owed_minor and evidence.is_client(invoice.client_id):
        return Reason("refund.of_invoice", {"symbol": evidence.reference(invoice), "invoice": invoice.number})
    return Reason("direction.differs", {"invoice": invoice.number})


def _fault_of_reference(evidence: Evidence, invoice: Invoice) -> _Fault:
    """A number in a text stands alone, or the payer supports it: another one may be what counts."""
    if not evidence.by_reference and evidence.strange and not evidence.supports(invoice.client_id):
        return Reason("reference.doubtful", _names(evidence, invoice))
    return None


def _fault_of_payer(evidence: Evidence, client_id: int) -> _Fault:
    """Veto V1: the payer's account is known for other clients only.

    What only matching itself has learned does not stand against the payer's own name. Money leaves to
    nobody but the client.
    """
    payers, payment = evidence.payers, evidence.payment
    if payers and client_id not in payers:
        is_confirmed = Provenance.HUMAN in payers.values()
        if is_confirmed or not evidence.is_named_like(client_id):
            return Reason("payer.other_client", {"account": payment.counterparty_account})
    if payment.minor < 0 and not evidence.is_client(client_id):
        return Reason("payee.unknown", {"account": payment.counterparty_account})
    return None


def _fault_of_time(evidence: Evidence, invoice: Invoice, owed_minor: int) -> _Fault:
    """Money that came before its document: shortly, exactly, from the client and for no other debt."""
    issued_on, booked_on = invoice.issued_on, evidence.payment.booked_on
    if issued_on <= booked_on or (
        issued_on - booked_on <= EARLIEST
        and owed_minor == evidence.minor
        and evidence.supports(invoice.client_id)
        and evidence.owing.get(invoice.client_id) == 1
    ):
        return None
    return Reason("document.later", {"invoice": invoice.number, "issued": invoice.issued_on.isoformat()})


def _whole(evidence: Evidence, invoice: Invoice) -> Verdict | Reason:
    """Tiers A1 and A2, exactly what is owed.

    Veto V2: where others owe the same, a slip in the reference would hit one of them unseen. Veto V4: the
    payer looks like one of them as well, whose symbol is a slip away.
    """
    amount = written(evidence.minor, invoice.currency)
    if evidence.has_rivals(invoice.client_id):
        if not evidence.supports(invoice.client_id):
            return Reason("amount.common", {"amount": amount, "invoice": invoice.number})
        if other := _near_debt(evidence, invoice):
            return Reason("reference.near", {**_names(evidence, invoice), "other": other.number})
    tier = Tier.A1 if evidence.by_reference else Tier.A2
    return _settled(evidence, tier, [(invoice, evidence.minor)], Reason("amount.equal", {"amount": amount}))


def _near_debt(evidence: Evidence, invoice: Invoice) -> Invoice | None:
    """Return an equal debt of another client the payer looks like, whose symbol is one slip away."""
    for client_id in evidence.looks_like_others(invoice.client_id):
        for other in evidence.exact_debts(client_id):
            if is_near(symbol_key(invoice.variable_symbol), symbol_key(other.variable_symbol)):
                return other
    return None


def _other_amount(evidence: Evidence, invoice: Invoice, owed_minor: int) -> Verdict | Reason:
    """Tiers A4 and A5: the payer must be the client, and the amount must not be right for anything else."""
    difference = evidence.minor - owed_minor
    amounts = _amounts(evidence, invoice, owed_minor)
    clients = {invoice.client_id, *evidence.payers}
    is_client = evidence.is_client(invoice.client_id)
    if abs(difference) <= LARGEST_ROUNDING_MINOR and (difference < 0 or not is_client):
        return Reason("amount.rounding", amounts)
    if not is_client:
        return Reason("amount.differs", amounts)
    if not clients.isdisjoint(evidence.owing):
        return Reason("amount.of_another", amounts)
    if difference < 0:
        return _settled(evidence, Tier.A4, [(invoice, evidence.minor)], Reason("amount.part", amounts))
    debts = [evidence.index.owed(each.id) for each in evidence.debts(clients)]
    if adds_up(debts, evidence.minor):
        return Reason("amount.of_several", amounts)
    return _settled(evidence, Tier.A5, [(invoice, owed_minor)], Reason("amount.over", amounts))


def _several(evidence: Evidence, named: Sequence[Invoice]) -> Verdict | Reason:
    """Tier A3: the documents are one client's, all open, and only together what was paid.

    Veto V3: they cannot be meant together. Veto V8: one of them is exactly what was paid.
    """
    index, payment = evidence.index, evidence.payment
    owed = [index.owed(invoice.id) for invoice in named]
    numbers = {"invoices": ", ".join(invoice.number for invoice in named[:5])}
    client_id = named[0].client_id
    if evidence.minor in owed:
        return Reason("amount.second_reading", {"paid": _paid(evidence), **numbers})
    if any(
        invoice.client_id != client_id
        or invoice.currency != payment.currency
        or invoice.is_credit_note is not (payment.minor < 0)
        for invoice in named
    ):
        return Reason("reference.disagree", numbers)
    if not all(owed) or evidence.strange:
        return Reason("reference.several", numbers)
    if sum(owed) != evidence.minor:
        return Reason("amount.of_sum_differs", {"paid": _paid(evidence), **numbers})
    if any((payment.id, invoice.id) in index.rejected for invoice in named):
        return Reason("pair.rejected", {"invoice": named[0].number})
    if any(invoice.issued_on > payment.booked_on for invoice in named):
        return Reason(
            "document.later", {"invoice": named[-1].number, "issued": named[-1].issued_on.isoformat()}
        )
    fault = _fault_of_payer(evidence, client_id)
    if fault is not None:
        return fault
    pays = list(zip(named, owed, strict=True))
    return _settled(evidence, Tier.A3, pays, Reason("amount.sum", {"amount": _paid(evidence)}))


def _settled(evidence: Evidence, tier: Tier, pays: Sequence[tuple[Invoice, int]], amount: Reason) -> Verdict:
    client_id = pays[0][0].client_id
    return Verdict(
        port=Port.AUTO,
        tier=tier,
        settle=tuple([Line(invoice.id, minor) for invoice, minor in pays]),
        because=(*[_naming(evidence, invoice) for invoice, _ in pays], amount, *_payer(evidence, client_id)),
        checked=_ALL_HOLD,
        client_id=client_id,
    )


def _naming(evidence: Evidence, invoice: Invoice) -> Reason:
    code = "symbol.names" if invoice.id in evidence.by_reference else "number.names"
    return Reason(code, _names(evidence, invoice))


def _payer(evidence: Evidence, client_id: int) -> tuple[Reason, ...]:
    payment = evidence.payment
    if client_id in evidence.payers:
        return (Reason("payer.known", {"account": payment.counterparty_account}),)
    if evidence.is_named_like(client_id):
        return (Reason("payer.named", {"name": payment.counterparty_name}),)
    return ()


def _names(evidence: Evidence, invoice: Invoice) -> dict[str, str | int]:
    return {"symbol": evidence.reference(invoice), "invoice": invoice.number}


def _paid(evidence: Evidence) -> str:
    return written(evidence.minor, evidence.payment.currency)


def _amounts(evidence: Evidence, invoice: Invoice, owed_minor: int) -> dict[str, str | int]:
    return {
        "paid": _paid(evidence),
        "open": written(owed_minor, invoice.currency),
        **_names(evidence, invoice),
    }
