"""Reconciling: take the movements that are due, let the kernel decide in the order of time, settle what is
certain, and keep the rest for a person.

The work list are the movements marked as due, never all of them. A movement is decided about with the
documents that were issued until its day, and again when one it names is issued, so that a year imported at
once ends as the same year synced day by day.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from itertools import batched, groupby
from typing import Final

from django.utils import timezone

from kvit.audit.recording import SYSTEM, Actor
from kvit.kernel import matching as kernel
from kvit.kernel.errors import Stale
from kvit.ledger.models import MoneyTransaction
from kvit.matching import applying, attention, transfers
from kvit.matching.applying import Conclusion
from kvit.matching.loading import load_books, payments_of
from kvit.matching.models import Decision, MatchingRun
from kvit.matching.recording import decision_of
from kvit.users.models import Organization

AT_ONCE: Final = 500
"""Movements settled, or kept for a person, in one short transaction."""
_MOST_ATTEMPTS: Final = 3
_WAITED: Final = kernel.Reason("payment.waited")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What a pass did: movements it settled or paired, and all that wait for a person now."""

    settled: int
    waiting: int


def reconcile(
    organization: Organization,
    *,
    actor: Actor = SYSTEM,
    trigger: MatchingRun.Trigger = MatchingRun.Trigger.DEMAND,
    between: Callable[[], object] = lambda: None,
) -> Reconciled:
    """Decide about every booked movement that is due.

    Each few hundred are stored in a transaction of their own, and `between` is called after each, outside
    any transaction of this function. Running it again changes nothing. Two at once settle nothing twice: the
    slower one finds its rows changed, reads anew and decides again; what still changes under it the third
    time is left, marked as due, to the next pass.
    """
    settled = 0
    for _ in range(_MOST_ATTEMPTS):
        work = _Pass(organization, actor, trigger, between)
        try:
            work.carry_out()
            break
        except Stale:
            continue
        finally:
            settled += work.settled
            work.end()
    waiting = Decision.objects.waiting().filter(organization=organization).count()
    return Reconciled(settled=settled, waiting=waiting)


class _Pass:
    """One reading of the books, and what follows from it."""

    def __init__(
        self,
        organization: Organization,
        actor: Actor,
        trigger: MatchingRun.Trigger,
        between: Callable[[], object],
    ) -> None:
        self.organization = organization
        self.actor = actor
        self.trigger = trigger
        self.between = between
        self.settled = 0
        self.rows: dict[int, MoneyTransaction] = {}
        """What is due, in the order in which it is decided about."""
        self.current: dict[int, Decision] = {}
        """What waits already, by its movement."""
        self.payments: dict[int, kernel.Payment] = {}
        self.faults: dict[int, tuple[kernel.Reason, ...]] = {}
        """Why a movement was not settled when its turn came."""
        self.certain: list[Conclusion] = []
        self._run: MatchingRun | None = None

    def carry_out(self) -> None:
        """Decide and write. Raises Stale where somebody else changes what was read."""
        attention.take_notice(self.organization)
        self._read_rows()
        self._link_transfers()
        if not self.rows:
            return
        rows = list(self.rows.values())
        self.payments = payments_of(self.organization, rows)
        books = load_books(self.organization, rows[0].booked_on)
        self.index = books.index
        self._walk(deque(books.documents))
        self._settle()
        self._keep_the_rest()

    def end(self) -> None:
        """Say in the run's row what it did."""
        if self._run is not None:
            self._run.ended_at = timezone.now()
            self._run.settled = self.settled
            self._run.waiting = self._run.decisions.filter(port__in=Decision.WAITING).count()
            self._run.save(update_fields=["ended_at", "settled", "waiting"])

    @property
    def run(self) -> MatchingRun:
        """The row of this pass, made when there is something to say about it."""
        if self._run is None:
            self._run = MatchingRun.objects.create(
                organization=self.organization,
                trigger=self.trigger,
                sync_run_id=self.actor.run_id,
                actor=self.actor.name,
                started_at=timezone.now(),
            )
        return self._run

    def _read_rows(self) -> None:
        """Read what is due; what is decided, or used up, is not.

        Movements of one day are taken in the order of their ids at the bank: how they arrived says nothing.
        """
        due = MoneyTransaction.objects.booked().filter(organization=self.organization).to_match()
        listed = list(due.order_by("booked_on", "source", "external_id").select_related("organization"))
        for some in batched([row.pk for row in listed], AT_ONCE):
            decisions = Decision.objects.current().filter(transaction__in=some)
            self.current.update((decision.transaction_id, decision) for decision in decisions)
        done = [row for row in listed if self._is_done(row)]
        applying.looked_at(done)
        gone = {row.pk for row in done}
        self.rows = {row.pk: row for row in listed if row.pk not in gone}

    def _is_done(self, row: MoneyTransaction) -> bool:
        current = self.current.get(row.pk)
        return not row.unsettled or (current is not None and not current.is_waiting)

    def _link_transfers(self) -> None:
        for transfer in transfers.find(self.organization, list(self.rows.values())):
            transfers.link(transfer, run=self.run, actor=self.actor)
            for row in transfer:
                self.rows.pop(row.pk, None)
            self.settled += 2

    def _walk(self, coming: deque[kernel.Invoice]) -> None:
        """Decide in the order of time, documents being known from the day of their issue."""
        stream = kernel.Stream(self.index)
        for day, of_day in groupby(list(self.rows.values()), key=lambda row: row.booked_on):
            self._issue(stream, coming, until=day)
            stream.pass_to(day)
            for row in of_day:
                if row.match_due == MoneyTransaction.MatchDue.DECISION:
                    payment = self.payments[row.pk]
                    self._conclude(payment, stream.pay(payment))
        self._issue(stream, coming, until=date.max)

    def _issue(self, stream: kernel.Stream, coming: deque[kernel.Invoice], until: date) -> None:
        while coming and coming[0].issued_on <= until:
            document = coming.popleft()
            stream.pass_to(document.issued_on)
            for payment, verdict in stream.issue(document):
                self._conclude(payment, verdict)

    def _conclude(self, payment: kernel.Payment, verdict: kernel.Verdict) -> None:
        if verdict.port is not kernel.Port.AUTO:
            self.faults[payment.id] = verdict.because
            return
        owed = {line.invoice_id: self.index.owed(line.invoice_id) + line.minor for line in verdict.settle}
        self.certain.append(Conclusion(self.rows.pop(payment.id), payment, verdict, owed))
        if len(self.certain) == AT_ONCE:
            self._settle()

    def _settle(self) -> None:
        if self.certain:
            applying.settle(self.organization, self.certain, run=self.run, actor=self.actor)
            self.settled += len(self.certain)
            self.certain = []
            self.between()

    def _keep_the_rest(self) -> None:
        """Offer what there is now; what waited once is not settled because something else went away."""
        for some in batched(self.rows.values(), AT_ONCE):
            proposals = []
            for row in some:
                verdict = self._for_a_person(row)
                if verdict is not None:
                    decision = decision_of(row, self.payments[row.pk], verdict, actor=self.actor)
                    proposals.append((self.current.get(row.pk), decision))
            applying.keep(proposals, lambda: self.run)
            applying.looked_at(some)
            self.between()

    def _for_a_person(self, row: MoneyTransaction) -> kernel.Verdict | None:
        """Return what a person is asked; nothing about money that left and has to do with no document."""
        payment = self.payments[row.pk]
        verdict = kernel.decide(payment, self.index)
        if verdict.port is kernel.Port.NONE and payment.minor < 0 and row.pk not in self.current:
            return None
        if verdict.port is not kernel.Port.AUTO:
            return verdict
        offered = kernel.Candidate(verdict.settle, for_=verdict.because)
        faults = self.faults.get(row.pk, (_WAITED,))
        return kernel.Verdict(port=kernel.Port.SUGGEST, because=faults, candidates=(offered,))
