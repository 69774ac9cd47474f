"""Payouts that plugins tell: checked, and kept once until matching takes them up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final, NamedTuple

from django.utils import timezone

from kvit.audit.recording import Actor, created, record
from kvit.kernel.errors import AmountUnreadable, RecordError
from kvit.kernel.money import Money
from kvit.plugin import Payout, Unreadable
from kvit.sync.models import SyncHistory
from kvit.sync.payout_models import ReportedPayout

LONGEST_ID: Final = 255
LONGEST_REFERENCE: Final = 300
_EARLIEST, _LATEST = date(1970, 1, 1), date(2200, 1, 1)


class Told(NamedTuple):
    """One checked payout by the names of the columns it is kept in."""

    external_id: str
    currency: str
    net_minor: int
    paid_on: date
    bank_account: str
    lines: list[list[str | int]]


def told(item: Payout) -> Told:
    """Check a payout. Raises RecordError naming the field that cannot be read."""
    if not _is_text(item.external_id, LONGEST_ID) or not item.external_id.strip():
        raise RecordError("The payout has no id that can be kept.", field="external_id")
    if type(item.paid_on) is not date or not _EARLIEST <= item.paid_on < _LATEST:
        raise RecordError("The day of the payout cannot be right.", field="paid_on")
    if not _is_text(item.bank_account, LONGEST_REFERENCE):
        raise RecordError("The account of the payout cannot be read.", field="bank_account")
    if not item.lines:
        raise RecordError("The payout has no lines, so nothing says what it is made of.", field="lines")
    if not all(_is_text(line.reference, LONGEST_REFERENCE) for line in item.lines):
        raise RecordError("A reference in the payout is too long to be one.", field="lines")
    return Told(
        external_id=item.external_id,
        currency=item.currency,
        net_minor=_minor(item.net, item.currency, "net"),
        paid_on=item.paid_on,
        bank_account=item.bank_account[:64],
        lines=[
            [
                line.reference.strip(),
                _minor(line.gross, item.currency, "gross"),
                _minor(line.fee, item.currency, "fee"),
            ]
            for line in item.lines
        ],
    )


def _is_text(value: object, longest: int) -> bool:
    """Whether a database can keep it: no NUL, and no half characters."""
    is_short_text = isinstance(value, str) and len(value) <= longest
    return is_short_text and not any(char == "\0" or "\ud800" <= char <= "\udfff" for char in str(value))


def unreadable(item: Payout, error: RecordError) -> Unreadable:
    """Return the payout as a record that is put aside."""
    return Unreadable(
        reason=str(error),
        external_id=str(item.external_id)[:LONGEST_ID],
        field=error.field or "",
        raw={"payout": repr(item)},
    )


def keep(run: SyncHistory, payouts: Iterable[Told], *, actor: Actor) -> Iterator[str]:
    """Keep the payouts that are new; yield a warning for each that was told otherwise before."""
    known = ReportedPayout.objects.filter(connection_id=run.connection_id)
    for payout in payouts:
        row = known.filter(external_id=payout.external_id).first()
        if row is None:
            row = ReportedPayout.objects.create(
                organization_id=run.organization_id,
                connection_id=run.connection_id,
                run=run,
                told_at=timezone.now(),
                **payout._asdict(),
            )
            record(run.organization, actor, [created(row)])
        elif Told(*(getattr(row, name) for name in Told._fields)) != payout:
            yield f"The payout {payout.external_id} is told otherwise than before; what was told first stays."


def _minor(amount: object, currency: str, name: str) -> int:
    try:
        return Money.of(amount, currency).minor  # type: ignore[arg-type]  # it refuses what is no exact amount
    except AmountUnreadable as error:
        raise RecordError(error.message, field=name, **error.params) from None
