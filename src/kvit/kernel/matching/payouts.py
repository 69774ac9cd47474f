"""Payouts of card and payment gateways: one bank credit, and a report that says what it is made of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final, NamedTuple

from kvit.kernel.matching.extract import folded, keys_in
from kvit.kernel.matching.index import Index
from kvit.kernel.matching.values import Invoice, Line, Payment, Reason, written
from kvit.kernel.references import account_key, symbol_key

LONGEST_WAY: Final = timedelta(days=5)
"""From the day the provider pays out to the day the bank books it, inclusive."""


class PayoutLine(NamedTuple):
    """One sale or refund of a payout."""

    reference: str
    """Order number, invoice number or variable symbol."""
    gross_minor: int
    """What the buyer paid; negative for a refund."""
    fee_minor: int = 0
    """What the provider keeps; negative where it gives a fee back."""


class Payout(NamedTuple):
    """A provider's report of one payout."""

    reference: str
    currency: str
    net_minor: int
    paid_on: date
    lines: tuple[PayoutLine, ...]
    account: str = ""
    """The account that the provider pays from, where the report tells it."""


class Settled(NamedTuple):
    """What a payout settles; `fee_minor` is what the provider kept of it."""

    settle: tuple[Line, ...]
    fee_minor: int
    left: tuple[tuple[PayoutLine, Reason], ...]
    """Lines that a person must look at, with the reason."""


def credit_of(payout: Payout, payments: Iterable[Payment]) -> Payment | None:
    """Return the one bank credit of exactly the net sum: by reference, else by account and day."""
    credits_ = [
        payment
        for payment in payments
        if payment.minor == payout.net_minor > 0
        and payment.currency == payout.currency
        and not payment.is_pending
    ]
    key = _skeleton(payout.reference)
    if key and (named := [each for each in credits_ if key in _names(each)]):
        return named[0] if len(named) == 1 else None
    near = [
        each
        for each in credits_
        if payout.account
        and account_key(each.counterparty_account) == account_key(payout.account)
        and timedelta(0) <= each.booked_on - payout.paid_on <= LONGEST_WAY
    ]
    return near[0] if len(near) == 1 else None


def settle_payout(payout: Payout, index: Index) -> Settled | Reason:
    """Say which documents the lines settle. Returns a reason where the lines do not make up the net sum.

    A line settles the one open document that its reference names, of exactly that amount: an invoice by a
    sale, a credit note by a refund. Nothing is settled in part. A cost (gross 0) settles nothing; it is only
    part of the fee.
    """
    fee_minor = sum(line.fee_minor for line in payout.lines)
    if difference := sum_differs(payout):
        return difference
    results = documents_of(payout.lines, payout.currency, index)
    settle = [
        Line(each, abs(line.gross_minor))
        for line, each in zip(payout.lines, results, strict=True)
        if isinstance(each, int)
    ]
    left = [
        (line, each) for line, each in zip(payout.lines, results, strict=True) if isinstance(each, Reason)
    ]
    return Settled(tuple(settle), fee_minor, tuple(left))


def sum_differs(payout: Payout) -> Reason | None:
    """Return why a report cannot be right: its lines do not make up what was paid out."""
    made_up_minor = sum(line.gross_minor - line.fee_minor for line in payout.lines)
    if made_up_minor == payout.net_minor:
        return None
    sums = {
        "net": written(payout.net_minor, payout.currency),
        "sum": written(made_up_minor, payout.currency),
    }
    return Reason("payout.sum_differs", sums)


def documents_of(lines: Iterable[PayoutLine], currency: str, index: Index) -> list[int | Reason | None]:
    """Return of each line the document it settles, or why it settles none; nothing of a cost.

    No document is settled by two lines: the first one counts.
    """
    found: list[int | Reason | None] = []
    for line in lines:
        if not line.gross_minor:
            found.append(None)
            continue
        result = _document(line, currency, index)
        if isinstance(result, Invoice):
            is_taken = result.id in found
            found.append(Reason("payout.settled", {"symbol": line.reference}) if is_taken else result.id)
        else:
            found.append(result)
    return found


class Share(NamedTuple):
    """What pays one sale, in hundredths that are never negative and together make its gross."""

    paid_minor: int
    """Of the bank credit."""
    fee_minor: int
    """Kept by the provider."""
    offset_minor: int
    """Used up by refunds of the same payout."""


class Withheld(NamedTuple):
    """What a payout withholds besides the fees of its sales; neither is negative."""

    fee_minor: int
    """Costs of the payout, and fees of refunds."""
    offset_minor: int
    """Refunds, less the fees that the provider gave back."""


def withheld(lines: Iterable[PayoutLine]) -> Withheld:
    """Return what a payout withholds. Fees given back beyond all refunds withhold nothing."""
    fee_minor = refunds_minor = 0
    for line in lines:
        fee_minor += line.fee_minor - own_fee(line)
        refunds_minor += max(-line.gross_minor, 0)
    return Withheld(max(fee_minor, 0), max(refunds_minor + min(fee_minor, 0), 0))


def own_fee(line: PayoutLine) -> int:
    """Return the part of a line's fee that a sale pays out of its own gross; 0 for anything but a sale."""
    return min(max(line.fee_minor, 0), max(line.gross_minor, 0))


def shares(sales: Iterable[PayoutLine], still: Withheld) -> list[Share]:
    """Say what pays each of these sales, where `still` has to be taken out of them.

    The first ones bear it, so that what is left of the bank credit is what the other sales brought.
    """
    fee_left, offset_left = still
    result = []
    for line in sales:
        fee_minor = own_fee(line)
        more = min(fee_left, line.gross_minor - fee_minor)
        offset = min(offset_left, line.gross_minor - fee_minor - more)
        fee_left, offset_left = fee_left - more, offset_left - offset
        fee_minor += more
        result.append(Share(line.gross_minor - fee_minor - offset, fee_minor, offset))
    return result


def _document(line: PayoutLine, currency: str, index: Index) -> Invoice | Reason:
    """Return the document that a line settles, or why it settles none."""
    names: dict[str, str | int] = {"symbol": line.reference}
    keys = (_skeleton(line.reference), symbol_key(line.reference))
    ids = next((found for key in keys if (found := index.named.get(key))), ())
    fitting = [
        index.invoices[each] for each in ids if index.invoices[each].is_credit_note is (line.gross_minor < 0)
    ]
    if not fitting:
        return Reason("payout.refund" if line.gross_minor < 0 and ids else "payout.unknown", names)
    valid = [each for each in fitting if index.owed(each.id)]
    if not valid:
        return Reason("payout.settled", names)
    if len(valid) > 1:
        return Reason("reference.ambiguous", {**names, "count": len(valid)})
    [invoice] = valid
    if invoice.currency != currency or index.owed(invoice.id) != abs(line.gross_minor):
        amounts = {
            "paid": written(line.gross_minor, currency),
            "open": written(index.owed(invoice.id), invoice.currency),
        }
        return Reason("payout.amount_differs", {**names, **amounts})
    return invoice


def _names(payment: Payment) -> set[str]:
    """What a bank credit may call the payout: numbers as a document's, and whole words without separators."""
    words = {_skeleton(word) for text in payment.texts for word in text.split()}
    return {*keys_in(payment.variable_symbol, payment.texts), *words} - {""}


def _skeleton(text: str) -> str:
    compact = "".join(sign for sign in folded(text) if sign.isalnum())
    return compact.lstrip("0") if compact.isdecimal() else compact
