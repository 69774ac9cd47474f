"""Reasons in words: one English template per code, shown in the reader's language by the pages."""

from __future__ import annotations

from typing import Final

from kvit.kernel.matching.values import Reason

WORDS: Final = {
    # what an automatic match rests on
    "symbol.names": "The reference {symbol} names {invoice} and nothing else.",
    "number.names": "The message holds the number {symbol}, which names {invoice} and nothing else.",
    "amount.equal": "The amount is {amount}, exactly what is open.",
    "amount.sum": "The amount is {amount}, exactly what is open on them together.",
    "amount.part": "{paid} was paid of {open} open on {invoice}.",
    "amount.over": "{paid} was paid, and {open} was open on {invoice}; the rest is left.",
    "payer.known": "The account {account} is known as this client's.",
    "payer.named": "The payer's name {name} tells this client from others who owe the same.",
    # why a payment waits
    "payment.pending": "The bank has not booked the payment yet.",
    "payment.empty": "The amount is zero.",
    "payment.possible_duplicate": "It may be the same payment as another one. Say first whether it is.",
    "payment.rest": "A part of this payment settles something already; this is the rest.",
    "payment.returned": "The same money was sent back later.",
    "payment.waited": "It waited for a person before, so a person says what it pays.",
    "payment.outgoing": "The money left, and it names no credit note.",
    "payer.own_account": "The money moves between own accounts.",
    "symbol.none": "The payment names no invoice.",
    "symbol.unknown": "No invoice has the reference {symbol}.",
    "document.void": "{invoice}, which the reference {symbol} names, is void.",
    "document.settled": "{invoice}, which the reference {symbol} names, is paid already.",
    "document.later": "{invoice} was issued on {issued}, after the payment.",
    "direction.differs": "{invoice} is settled by money of the other direction.",
    "refund.of_invoice": "The money went back to the client of the paid {invoice}: a credit note is missing.",
    "currency.differs": "{paid} was paid in another currency than the {open} open on {invoice}.",
    "pair.rejected": "A person said that this payment does not pay {invoice}.",
    "reference.doubtful": "The message holds {symbol}, the number of {invoice}, and other numbers beside it.",
    "reference.disagree": "The references name documents that cannot be meant together: {invoices}.",
    "reference.several": "Several documents are named, and not all of them are open: {invoices}.",
    "reference.ambiguous": "The reference {symbol} names {count} documents.",
    "reference.near": "{symbol} names {invoice}, {other} is a slip away, and the payer looks like both.",
    "reference.of_payer": "A client writes {symbol} whatever it pays; it names no invoice.",
    "payer.other_client": "The payer's account {account} is known for another client only.",
    "payee.unknown": "The account {account} is not known as the client's.",
    "amount.common": "Others owe {amount} too, and nothing shows that the payer is the client of {invoice}.",
    "amount.second_reading": "{paid} is exactly one of the documents named, though several are: {invoices}.",
    "amount.rounding": "{paid} was paid and {open} is open on {invoice}: the difference is a rounding.",
    "amount.differs": "{paid} was paid, but {open} is open on {invoice}.",
    "amount.of_another": "{paid} is not what is open on {invoice}, but on another document of the payer.",
    "amount.of_several": "{paid} is what several debts of the client add up to; {open} is open on {invoice}.",
    "amount.of_sum_differs": "{paid} was paid, but the documents named do not add up to it: {invoices}.",
    "tier.off": "It would be settled by tier {tier}, which is switched off.",
    # what speaks for and against a candidate
    "symbol.equal": "same reference {symbol}",
    "symbol.near": "reference {symbol} is one slip away",
    "symbol.other": "other reference {symbol}",
    "number.in_message": "number {symbol} in the message",
    "amount.difference": "difference {difference}",
    "difference.rounding": "rounding {difference}",
    "difference.fee": "difference {difference}, perhaps a bank's fee",
    "difference.exchange": "{open} at a rate of {rate}",
    "currency.other": "other currency: {open} at a rate of {rate}",
    "payer.of_other_client": "payer's account of another client",
    "payer.alike": "payer's name alike",
    # payouts
    "payout.sum_differs": "The lines of the report make up {sum}, but {net} was paid out.",
    "payout.unknown": "No invoice has the number {symbol}.",
    "payout.settled": "The invoice of {symbol} is paid already.",
    "payout.refund": "{symbol} was refunded and has no credit note.",
    "payout.amount_differs": "{paid} was paid for {symbol}, but {open} is open.",
    "payout.applied": "The payout {payout} of {provider} says which invoices the payment pays.",
    # what a person said
    "person.chose": "Chosen by a person.",
    "person.dismissed": "Marked as not paying any invoice.",
    "person.ignored": "Ignored by a person.",
}


def sentence(reason: Reason) -> str:
    """Return the reason in English."""
    return WORDS[reason.code].format(**reason.values)
