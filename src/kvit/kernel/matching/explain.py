"""Reasons in words: one English template per code, shown in the reader's language by the pages."""

from __future__ import annotations

from typing import Final

from kvit.kernel.matching.values import Reason

WORDS: Final = {
    "symbol.names": "The variable symbol {symbol} names invoice {invoice} and no other open one.",
    "symbol.equal": "same variable symbol",
    "symbol.other": "other variable symbol",
    "symbol.none": "The payment has no variable symbol.",
    "symbol.unknown": "No invoice has the variable symbol {symbol}.",
    "symbol.settled": "Invoice {invoice} with the variable symbol {symbol} is paid already.",
    "symbol.ambiguous": "Several open invoices ({count}) have the variable symbol {symbol}.",
    "number.in_message": "invoice number in the message",
    "amount.equal": "same amount",
    "amount.differs": "{paid} was paid, but {open} is open.",
    "amount.difference": "difference {difference}",
    "currency.differs": "{paid} was paid in another currency than the open {open}.",
    "payer.known": "known payer account",
    "payer.of_other_client": "payer account of another client",
    "payer.other_client": "The payer's account {account} is known for another client only.",
    "pair.rejected": "A person said that this payment does not pay invoice {invoice}.",
    "payment.pending": "The bank has not booked the payment yet.",
    "payment.possible_duplicate": "It may be the same payment as another one. Say first whether it is.",
    "person.chose": "Chosen by a person.",
    "person.dismissed": "Marked as not paying any invoice.",
}


def sentence(reason: Reason) -> str:
    """Return the reason in English."""
    return WORDS[reason.code].format(**reason.values)
