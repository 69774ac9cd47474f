"""Payments in the order of time against documents that are issued meanwhile: as the application meets them.

A payment that names nothing yet is looked at again when a document of that name is issued.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from kvit.kernel.matching.decide import EARLIEST, decide
from kvit.kernel.matching.extract import keys_in
from kvit.kernel.matching.index import Index
from kvit.kernel.matching.values import Invoice, Payment, Port, Verdict


class Decided(NamedTuple):
    """A payment and what was concluded for it."""

    payment: Payment
    verdict: Verdict


class Stream:
    """Keeps its own books: what is decided automatically is settled, what is suggested stays open."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._waiting: dict[int, Payment] = {}
        self._waiting_for: dict[str, list[int]] = {}
        """Reference -> payments that may mean it."""
        self._queue: deque[tuple[Payment, list[str]]] = deque()

    def pay(self, payment: Payment) -> Verdict:
        """Decide about a payment, no earlier than the last one, and settle what it pays."""
        verdict = self._decide(payment)
        if verdict.port in (Port.NONE, Port.SUGGEST) and payment.minor > 0 and not payment.is_pending:
            keys = keys_in(payment.variable_symbol, payment.texts)
            self._waiting[payment.id] = payment
            self._queue.append((payment, keys))
            for key in keys:
                self._waiting_for.setdefault(key, []).append(payment.id)
        return verdict

    def issue(self, invoice: Invoice) -> Iterator[Decided]:
        """Know the document, and yield what is now concluded for earlier payments that may mean it."""
        names = self.index.add(invoice)
        early = {each for key in names for each in self._waiting_for.get(key, ())}
        for payment in map(self._waiting.get, sorted(early)):
            if payment is not None and invoice.issued_on - payment.booked_on <= EARLIEST:
                verdict = self._decide(payment)
                if verdict.port is Port.AUTO:
                    del self._waiting[payment.id]
                yield Decided(payment, verdict)

    def waits(self, payment: Payment) -> bool:
        """Whether a document that is issued yet may be what the payment pays."""
        return payment.id in self._waiting

    def pass_to(self, day: date) -> None:
        """Stop waiting for documents of payments that were too early for any issued from this day on."""
        while self._queue and self._queue[0][0].booked_on + EARLIEST < day:
            payment, keys = self._queue.popleft()
            self._waiting.pop(payment.id, None)
            for key in keys:
                waiting = self._waiting_for[key]
                waiting.remove(payment.id)
                if not waiting:
                    del self._waiting_for[key]

    def _decide(self, payment: Payment) -> Verdict:
        verdict = decide(payment, self.index)
        if verdict.client_id is not None:
            self.index.settle(verdict.settle)
            self.index.learn(payment.counterparty_account, verdict.client_id)
        return verdict


def walk(index: Index, invoices: Iterable[Invoice], payments: Iterable[Payment]) -> Iterator[Decided]:
    """Decide about payments, in order of day, and yield each once, when nothing can change it any more.

    Documents are known from their day of issue. The payments of one day are taken in the order of their ids,
    so that the order in which a bank delivers them changes nothing.
    """
    stream = Stream(index)
    coming = deque(sorted(invoices, key=attrgetter("issued_on", "id")))
    kept: dict[int, Decided] = {}
    for day, of_day in groupby(payments, key=attrgetter("booked_on")):
        while coming and coming[0].issued_on <= day:
            invoice = coming.popleft()
            stream.pass_to(invoice.issued_on)
            for decided in stream.issue(invoice):
                kept[decided.payment.id] = decided
        stream.pass_to(day)
        yield from _final(kept, stream)
        for payment in sorted(of_day, key=attrgetter("id")):
            decided = Decided(payment, stream.pay(payment))
            if stream.waits(payment):
                kept[payment.id] = decided
            else:
                yield decided
    yield from kept.values()


def _final(kept: dict[int, Decided], stream: Stream) -> Iterator[Decided]:
    """Yield, and keep no more, what waits for no document any more."""
    for payment_id in [each for each in kept if not stream.waits(kept[each].payment)]:
        yield kept.pop(payment_id)
