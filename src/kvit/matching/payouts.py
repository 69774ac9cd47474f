"""Payout reports of gateways: imported once, found in the bank, and settled line by line.

The buyers paid whole invoices; the provider paid out what was left of that. So each invoice is settled whole:
by its share of the bank credit, by the fee, and by what refunds of the same payout used up (`offset`), which
in turn settles the refunds' credit notes. Over a payout of which everything is settled

    of the credit + fee + offset of invoices - offset of credit notes = gross

holds to the hundredth. What cannot be settled leaves its share on the movement; trying again settles it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from django.db import IntegrityError
from django.db.models import F, Sum
from django.utils import timezone

from kvit.audit.recording import Actor, changed, created, record
from kvit.invoices import settling
from kvit.invoices.models import Invoice, Settlement
from kvit.kernel import payout_reports
from kvit.kernel.errors import Refused, Stale
from kvit.kernel.matching import Reason, payouts
from kvit.kernel.matching.explain import WORDS
from kvit.ledger.models import MoneyTransaction
from kvit.ledger.whole import whole
from kvit.matching import attention
from kvit.matching.loading import load_books, payments_of
from kvit.matching.models import Decision, MatchingRun
from kvit.matching.payout_models import PayoutLine, PayoutReport
from kvit.matching.reconcile import reconcile
from kvit.matching.recording import append_decision, plain
from kvit.sync.payout_models import ReportedPayout
from kvit.users.models import Organization

NEAR: Final = timedelta(days=10)
"""How far from the day of the payout, either way and inclusive, a person may choose the bank credit."""
LARGEST_BYTES: Final = 5_000_000
LONGEST_REFERENCE: Final = 300
_Source = Settlement.Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What a file brought: reports that are new, known as they are, and known otherwise."""

    new: tuple[PayoutReport, ...]
    known: tuple[PayoutReport, ...]
    differing: tuple[PayoutReport, ...]
    """Known already, but told otherwise before; what was told first stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """How many lines were settled just now, and how many wait with a reason."""

    settled: int
    left: int


def import_file(
    organization: Organization,
    data: bytes,
    *,
    name: str,
    currency: str = "",
    paid_on: date | None = None,
    actor: Actor,
) -> Imported:
    """Store the payouts of a report; nothing is settled yet. The same payout is never stored twice.

    Raises Refused for a file too large, UnknownFormat and StatementUnreadable as `payout_reports.read`, and
    Stale where somebody imports the same at once.
    """
    if len(data) > LARGEST_BYTES:
        raise Refused("A payout report has at most 5 MB; this file is larger.")
    provider = payout_reports.recognise(data, source=name).name
    told = payout_reports.read(data, source=name, currency=currency, paid_on=paid_on)
    new: list[PayoutReport] = []
    known: list[PayoutReport] = []
    differing: list[PayoutReport] = []
    try:
        with whole():
            for payout in told:
                row = PayoutReport.objects.filter(
                    organization=organization, provider=provider, reference=payout.reference
                ).first()
                if row is None:
                    new.append(_store(organization, provider, payout, name, actor))
                else:
                    (known if as_told(row) == payout else differing).append(row)
    except IntegrityError:
        raise Stale from None
    return Imported(new=tuple(new), known=tuple(known), differing=tuple(differing))


def take_up(organization: Organization, *, actor: Actor) -> tuple[PayoutReport, ...]:
    """Make reports of the payouts that connections have told since, and return those that are new.

    One that was imported from a file of the same provider before is the same. Nothing is settled yet.
    """
    waiting = ReportedPayout.objects.filter(organization=organization, taken_up_at=None)
    made = (_take_up(told, actor) for told in waiting.select_related("organization", "connection"))
    return tuple(report for report in made if report is not None)


def as_told(report: PayoutReport) -> payouts.Payout:
    """Return the report as the kernel knows it."""
    return payouts.Payout(
        reference=report.reference,
        currency=report.currency,
        net_minor=report.net_minor,
        paid_on=report.paid_on,
        lines=tuple(map(_line, report.lines.all())),
        account=report.account,
    )


def standing(report: PayoutReport) -> Decision | None:
    """Return the decision that the report is applied by; none where it is not, or was undone."""
    if report.decision_id is None:
        return None
    return Decision.objects.filter(pk=report.decision_id, undone_at__isnull=True).first()


def find_credit(report: PayoutReport) -> MoneyTransaction | None:
    """Return the one bank credit that is surely this payout; none where a person must say."""
    rows = _free(report)
    payments = payments_of(report.organization, list(rows))
    found = payouts.credit_of(as_told(report), payments.values())
    if found is None or found.is_possible_duplicate:
        return None
    return next(row for row in rows if row.pk == found.id)


def possible_credits(report: PayoutReport) -> Sequence[MoneyTransaction]:
    """Return the movements a person may choose from: exactly the sum, near the day, and nothing decided."""
    near = (report.paid_on - NEAR, report.paid_on + NEAR)
    return [row for row in _free(report) if near[0] <= row.booked_on <= near[1]]


def apply(report: PayoutReport, row: MoneyTransaction | None = None, *, actor: Actor) -> Applied:
    """Settle the lines that fit by a bank credit: the one given, or the one it is applied to already.

    Applied again, it settles what fits by now and nothing twice. Raises Refused where the lines do not make
    up the net sum or the credit is none of this payout, and Stale where somebody else was faster.
    """
    fresh = PayoutReport.objects.select_related("organization", "transaction").get(pk=report.pk)
    if fresh.revision != report.revision:
        raise Stale
    decision = standing(fresh)
    credit = fresh.transaction if decision is not None else row
    if credit is None:
        raise Refused("Say first which payment this payout is.")
    if decision is not None and row is not None and row.pk != credit.pk:
        raise Refused("This payout is applied to another payment already. Undo that first.")
    credit = MoneyTransaction.objects.select_related("organization").get(pk=credit.pk)
    if decision is None:
        _require_credit(fresh, credit)
    difference = payouts.sum_differs(as_told(fresh))
    if difference is not None:
        raise Refused(WORDS[difference.code], **difference.values)
    with whole():
        if not PayoutReport.objects.filter(pk=fresh.pk, revision=fresh.revision).update(
            revision=F("revision") + 1
        ):
            raise Stale
        applied, paid = _settle(fresh, credit, decision, actor)
    if paid:
        attention.money_moved(credit, paid)
        reconcile(fresh.organization, trigger=MatchingRun.Trigger.PERSON)
    report.refresh_from_db()
    return applied


def _take_up(told: ReportedPayout, actor: Actor) -> PayoutReport | None:
    """Make a report of one payout; None where it is known, or another worker was faster."""
    provider = told.connection.plugin
    payout = payouts.Payout(
        reference=told.external_id,
        currency=told.currency,
        net_minor=told.net_minor,
        paid_on=told.paid_on,
        lines=tuple(payouts.PayoutLine(*line) for line in told.lines),
        account=told.bank_account,
    )
    with whole():
        mine = ReportedPayout.objects.filter(pk=told.pk, taken_up_at=None).update(taken_up_at=timezone.now())
        known = PayoutReport.objects.filter(
            organization=told.organization, provider=provider, reference=payout.reference
        )
        if not mine or known.exists():
            return None
        return _store(told.organization, provider, payout, told.connection.name, actor)


def _store(
    organization: Organization, provider: str, payout: payouts.Payout, name: str, actor: Actor
) -> PayoutReport:
    if max(len(payout.reference), *(len(line.reference) for line in payout.lines)) > LONGEST_REFERENCE:
        raise Refused("A reference in the report is too long to be one.")
    row = PayoutReport.objects.create(
        organization=organization,
        provider=provider,
        reference=payout.reference,
        currency=payout.currency,
        net_minor=payout.net_minor,
        fee_minor=sum(line.fee_minor for line in payout.lines),
        paid_on=payout.paid_on,
        account=payout.account[:64],
        file_name=name[:300],
        created_by=actor.name,
        created_at=timezone.now(),
    )
    lines = PayoutLine.objects.bulk_create(
        PayoutLine(
            report=row,
            position=position,
            reference=line.reference,
            gross_minor=line.gross_minor,
            fee_minor=line.fee_minor,
        )
        for position, line in enumerate(payout.lines, 1)
    )
    record(organization, actor, [created(row), *map(created, lines)])
    return row


def _line(row: PayoutLine) -> payouts.PayoutLine:
    return payouts.PayoutLine(row.reference, row.gross_minor, row.fee_minor)


def _free(report: PayoutReport) -> list[MoneyTransaction]:
    """Booked movements of exactly the sum that nothing uses and nobody has decided about."""
    rows = MoneyTransaction.objects.booked().filter(
        organization=report.organization,
        currency=report.currency,
        amount_minor=report.net_minor,
        amount_minor__gt=0,
        settled_minor=0,
    )
    decided = Decision.objects.decided().filter(organization=report.organization)
    free = rows.exclude(pk__in=decided.values("transaction_id"))
    return list(free.select_related("organization", "account").order_by("booked_on", "pk"))


def _require_credit(report: PayoutReport, row: MoneyTransaction) -> None:
    if row.organization_id != report.organization_id or row.amount != report.net or report.net_minor <= 0:
        raise Refused("The payment is not the {net} of this payout.", net=report.net)
    if row.pk not in {each.pk for each in _free(report)}:
        raise Stale("Something was decided about this payment already. Undo that first.")


def _settle(
    report: PayoutReport, row: MoneyTransaction, decision: Decision | None, actor: Actor
) -> tuple[Applied, list[Invoice]]:
    """Settle what fits, in the transaction of the caller; return also the documents."""
    lines = list(report.lines.all())
    if decision is None:
        _forget(report, lines, actor)
    untried = [line for line in lines if line.invoice_id is None]
    found = _documents(report, untried)
    documents = Invoice.objects.in_bulk([each for each in found if isinstance(each, int)])
    fits = {line: documents[each] for line, each in zip(untried, found, strict=True) if isinstance(each, int)}
    for line, each in zip(untried, found, strict=True):
        line.because = plain(each) if isinstance(each, Reason) else None
    PayoutLine.objects.bulk_update(untried, ["because"])
    left = sum(line.because is not None for line in untried)
    if not fits:
        return Applied(settled=0, left=left), []
    if decision is None:
        names = {"payout": report.reference, "provider": report.provider}
        decision = append_decision(
            row, Decision.Port.MANUAL, actor=actor, because=[Reason("payout.applied", names)]
        )
        before = {"transaction_id": report.transaction_id, "decision_id": report.decision_id}
        after = {"transaction_id": row.pk, "decision_id": decision.pk}
        PayoutReport.objects.filter(pk=report.pk).update(**after)
        record(report.organization, actor, [changed(report, before, after)])
    settled = _settlements(lines, fits, row, decision)
    settling.settle_lines(report.organization, settled, actor=actor)
    for line, invoice in fits.items():
        record(report.organization, actor, [changed(line, {"invoice_id": None}, {"invoice_id": invoice.pk})])
        line.invoice = invoice
    PayoutLine.objects.bulk_update(fits, ["invoice"])
    _ask_about_rest(row, decision)
    return Applied(settled=len(fits), left=left), list(fits.values())


def _forget(report: PayoutReport, lines: Iterable[PayoutLine], actor: Actor) -> None:
    """Begin anew after an undo."""
    settled = [line for line in lines if line.invoice_id is not None]
    for line in settled:
        record(
            report.organization,
            actor,
            [changed(line, {"invoice_id": line.invoice_id}, {"invoice_id": None}, reason="undone")],
        )
        line.invoice = None
    PayoutLine.objects.bulk_update(settled, ["invoice"])


def _documents(report: PayoutReport, lines: Sequence[PayoutLine]) -> list[int | Reason | None]:
    books = load_books(report.organization, report.paid_on)
    for document in books.documents:
        books.index.add(document)
    return payouts.documents_of(map(_line, lines), report.currency, books.index)


def _settlements(
    lines: Sequence[PayoutLine],
    fits: dict[PayoutLine, Invoice],
    row: MoneyTransaction,
    decision: Decision,
) -> list[settling.Line]:
    """Return what settles each document. Raises Refused where the movement has too little left."""
    sales = [line for line in fits if line.gross_minor > 0]
    shares = payouts.shares(map(_line, sales), _still_withheld(lines, decision))
    paid = sum(share.paid_minor for share in shares)
    if paid > row.unsettled.minor:
        raise Refused("Only {left} is left of this payment.", left=row.unsettled)
    result = []
    for line, share in zip(sales, shares, strict=True):
        if sum(share) != line.gross_minor:
            raise AssertionError(f"the shares of {line} do not make up its gross")
        for minor, kind in zip(share, (_Source.TRANSACTION, _Source.FEE, _Source.PAYOUT), strict=True):
            if minor:
                result.append(_settling(fits[line], minor, kind, row, decision))
    for line, note in fits.items():
        if line.gross_minor < 0:
            result.append(_settling(note, -line.gross_minor, _Source.PAYOUT, row, decision))
    return result


def _still_withheld(lines: Sequence[PayoutLine], decision: Decision) -> payouts.Withheld:
    """Return what the sales settled so far have not borne of what the payout withholds."""
    whole_payout = payouts.withheld(map(_line, lines))
    own = sum(payouts.own_fee(_line(line)) for line in lines if line.invoice_id is not None)
    made = Settlement.objects.filter(
        decision_id=decision.pk, voids__isnull=True, invoice__kind=Invoice.Kind.INVOICE
    )
    used = dict(made.order_by().values_list("source_kind").annotate(Sum("amount_minor")))
    return payouts.Withheld(
        whole_payout.fee_minor - (used.get(_Source.FEE, 0) - own),
        whole_payout.offset_minor - used.get(_Source.PAYOUT, 0),
    )


def _settling(
    invoice: Invoice, minor: int, kind: Settlement.Source, row: MoneyTransaction, decision: Decision
) -> settling.Line:
    return settling.Line(
        invoice=invoice,
        minor=minor,
        kind=kind,
        on=row.booked_on,
        transaction=row if kind == _Source.TRANSACTION else None,
        decision_id=decision.pk,
    )


def _ask_about_rest(row: MoneyTransaction, decision: Decision) -> None:
    """Let what is left of the movement wait for a person; nothing where it is used up."""
    rows = MoneyTransaction.objects.filter(pk=row.pk)
    used_up = rows.filter(settled_minor=F("amount_minor")).exists()
    current = Decision.objects.current().filter(transaction=row)
    if used_up:
        current.exclude(pk=decision.pk).update(is_current=False)
        Decision.objects.filter(pk=decision.pk).update(is_current=True)
    else:
        current.filter(pk=decision.pk).update(is_current=False)
        rows.mark_to_match(MoneyTransaction.MatchDue.CANDIDATES)
