"""Movements that may be one: a person says whether they are, and then one of them counts no more."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Q, QuerySet
from django.utils import timezone

from kvit.audit.recording import Actor, Change, changed, created, record
from kvit.kernel.errors import Refused, Stale
from kvit.ledger.models import BankAccount, MoneyTransaction, PossibleDuplicate, TransactionConflict
from kvit.ledger.movements import fingerprint_of_row
from kvit.ledger.whole import whole
from kvit.users.models import Organization

_WITHDRAWN = MoneyTransaction.Status.WITHDRAWN
_DECISION = MoneyTransaction.MatchDue.DECISION
_Verdict = PossibleDuplicate.Verdict
_UNANSWERED = {"verdict": "", "resolved_at": None, "resolved_by": ""}


def waiting(organization: Organization) -> QuerySet[PossibleDuplicate]:
    """Return the organization's questions that wait for a person."""
    return unanswered().filter(organization=organization)


def unanswered() -> QuerySet[PossibleDuplicate]:
    """Return the questions that nobody has answered, of every organization.

    While one of the two movements is withdrawn there is nothing to ask; the question comes back with it.
    """
    return (
        PossibleDuplicate.objects.filter(resolved_at__isnull=True)
        .exclude(transaction__status=_WITHDRAWN)
        .exclude(candidate__status=_WITHDRAWN)
    )


def same(duplicate: PossibleDuplicate, *, actor: Actor) -> None:
    """Keep one of the two movements and withdraw the other, which then stays withdrawn.

    The earlier one is kept, but never a pending one before a booked one. Raises Refused where the one to
    withdraw pays an invoice or the two are of different amounts by now, and Stale where the question is
    answered already or one of the two counts no more.
    """
    with whole():
        withdrawn, kept = _told_apart(_locked_pair(duplicate))
        _answer(duplicate, _Verdict.SAME, actor)
        changes = [
            _withdraw(withdrawn, kept),
            *_close_questions_about(withdrawn, actor),
            *_close_other_pending(duplicate, actor),
            *_ask_about_the_kept_one(withdrawn, kept, actor),
            *_close_conflicts(withdrawn, actor),
        ]
        record(withdrawn.organization, actor, changes)


def different(duplicate: PossibleDuplicate, *, actor: Actor) -> None:
    """Remember that the two are two movements. Raises Stale where the question is answered already."""
    with whole():
        _locked_pair(duplicate)
        _answer(duplicate, _Verdict.DIFFERENT, actor)


def reopen(duplicate: PossibleDuplicate, *, actor: Actor) -> None:
    """Ask again about two movements that were called different. Raises Stale where that is not so."""
    with whole():
        _locked_pair(duplicate)
        answered = PossibleDuplicate.objects.select_for_update().filter(
            pk=duplicate.pk, verdict=_Verdict.DIFFERENT
        )
        before = answered.values(*_UNANSWERED).first()
        if before is None:
            raise Stale
        answered.update(**_UNANSWERED)
        record(duplicate.organization, actor, [changed(duplicate, before, _UNANSWERED, reason="asked again")])
        _match_again(duplicate)


def withdrawn_and_kept(
    later: MoneyTransaction, earlier: MoneyTransaction
) -> tuple[MoneyTransaction, MoneyTransaction]:
    """Return which of the two is withdrawn, and which is kept, where a person says that they are one."""
    pending = MoneyTransaction.Status.PENDING
    return (earlier, later) if pending == earlier.status != later.status else (later, earlier)


def _locked_pair(duplicate: PossibleDuplicate) -> tuple[MoneyTransaction, MoneyTransaction]:
    """Return the later and the earlier movement as they are now, held against posting and settling."""
    list(
        BankAccount.objects.select_for_update()
        .filter(pk__in=[duplicate.transaction.account_id, duplicate.candidate.account_id])
        .order_by("id")
    )
    rows = {
        row.pk: row
        for row in MoneyTransaction.objects.select_for_update(of=("self",))
        .filter(pk__in=[duplicate.transaction_id, duplicate.candidate_id])
        .select_related("organization")
        .order_by("id")
    }
    return rows[duplicate.transaction_id], rows[duplicate.candidate_id]


def _told_apart(
    pair: tuple[MoneyTransaction, MoneyTransaction],
) -> tuple[MoneyTransaction, MoneyTransaction]:
    """Return which of the two is withdrawn, and which is kept."""
    later, earlier = pair
    if _WITHDRAWN in (later.status, earlier.status):
        raise Stale("One of the two movements was withdrawn meanwhile, so there is nothing to decide.")
    if later.amount != earlier.amount:
        raise Refused("The two movements are of different amounts by now, so they cannot be one.")
    withdrawn, kept = withdrawn_and_kept(later, earlier)
    if withdrawn.settled_minor:
        raise Refused(
            "The movement that would be withdrawn pays an invoice. Undo that first, then say it again."
        )
    return withdrawn, kept


def _answer(duplicate: PossibleDuplicate, verdict: str, actor: Actor) -> None:
    answer = {"verdict": verdict, "resolved_at": timezone.now(), "resolved_by": actor.name}
    asked = PossibleDuplicate.objects.filter(pk=duplicate.pk, resolved_at__isnull=True)
    if not asked.update(**answer):
        raise Stale
    record(duplicate.organization, actor, [changed(duplicate, _UNANSWERED, answer)])
    _match_again(duplicate)


def _match_again(duplicate: PossibleDuplicate) -> None:
    """What may pay an invoice depends on the answer."""
    pair = [duplicate.transaction_id, duplicate.candidate_id]
    MoneyTransaction.objects.filter(pk__in=pair).mark_to_match(_DECISION)


def _withdraw(row: MoneyTransaction, kept: MoneyTransaction) -> Change:
    columns = ("status", "duplicate_of_id", "fingerprint")
    before = {name: getattr(row, name) for name in columns}
    row.status, row.duplicate_of = _WITHDRAWN, kept
    row.fingerprint = fingerprint_of_row(row)
    row.changed_at = timezone.now()
    row.save(update_fields=["status", "duplicate_of", "fingerprint", "changed_at"])
    after = {name: getattr(row, name) for name in columns}
    return changed(row, before, after, reason="a person said that it is another movement told twice")


def _close_questions_about(row: MoneyTransaction, actor: Actor) -> Iterator[Change]:
    """Answer what else it might have been, and what pending movement it might have been booked from."""
    asked = PossibleDuplicate.objects.filter(
        Q(transaction=row) | Q(candidate=row, reason=PossibleDuplicate.Reason.PENDING)
    )
    return _close(asked, actor)


def _close_other_pending(duplicate: PossibleDuplicate, actor: Actor) -> Iterator[Change]:
    """A booked movement was one pending one; the others it might have been are movements of their own."""
    if duplicate.reason == PossibleDuplicate.Reason.PENDING:
        asked = PossibleDuplicate.objects.filter(
            transaction_id=duplicate.transaction_id, reason=PossibleDuplicate.Reason.PENDING
        )
        yield from _close(asked, actor)


def _ask_about_the_kept_one(row: MoneyTransaction, kept: MoneyTransaction, actor: Actor) -> Iterator[Change]:
    """A third movement that may be the withdrawn one may be the kept one now."""
    asked = PossibleDuplicate.objects.filter(candidate=row)
    third = [
        question.transaction
        for question in asked.filter(resolved_at__isnull=True).select_related("transaction")
        if question.transaction.source != kept.source and question.transaction_id != kept.pk
    ]
    yield from _close(asked, actor)
    asked_already = PossibleDuplicate.objects.filter(transaction=kept)
    for movement in third:
        if asked_already.filter(candidate=movement).exists():
            continue
        question, is_new = PossibleDuplicate.objects.get_or_create(
            transaction=movement,
            candidate=kept,
            defaults={
                "organization_id": row.organization_id,
                "reason": PossibleDuplicate.Reason.OTHER_SOURCE,
                "run_id": actor.run_id,
                "created_at": timezone.now(),
            },
        )
        if is_new:
            yield created(question)


def _close(questions: QuerySet[PossibleDuplicate], actor: Actor) -> Iterator[Change]:
    answer = {"verdict": _Verdict.DIFFERENT, "resolved_at": timezone.now(), "resolved_by": actor.name}
    rows = list(questions.filter(resolved_at__isnull=True).select_for_update().order_by("id"))
    PossibleDuplicate.objects.filter(pk__in=[row.pk for row in rows]).update(**answer)
    MoneyTransaction.objects.filter(pk__in=[row.transaction_id for row in rows]).mark_to_match(_DECISION)
    for row in rows:
        yield changed(row, _UNANSWERED, answer, reason="answered by another question")


def _close_conflicts(row: MoneyTransaction, actor: Actor) -> Iterator[Change]:
    """Close what is open about a movement that was withdrawn."""
    closed = {"resolved_at": timezone.now(), "resolved_by": actor.name}
    rows = list(row.conflicts.filter(resolved_at__isnull=True).select_for_update().order_by("id"))
    TransactionConflict.objects.filter(pk__in=[conflict.pk for conflict in rows]).update(**closed)
    for conflict in rows:
        yield changed(conflict, {"resolved_at": None, "resolved_by": ""}, closed, reason="withdrawn")
