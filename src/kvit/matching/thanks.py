"""Thank-you mails: promised in the transaction of a match, sent by a worker once the grace period is over.

The row is the outbox. Undoing the match first keeps the mail from being sent, and a mail is never sent twice:
a worker that dies while it sends leaves one of which nobody can say whether it went out.
"""

from __future__ import annotations

import smtplib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.core.mail import EmailMessage, mailers
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from kvit.invoices.models import Invoice
from kvit.matching import thank_you_mail
from kvit.matching.models import Decision, MatchingSettings, ThankYou
from kvit.users.models import Organization
from kvit.work.models import Client

log = structlog.get_logger(__name__)

RECENT: Final = timedelta(days=14)
"""Who paid longer ago, as in a statement that is imported late, is not thanked."""
TOO_LATE: Final = timedelta(days=7)
"""What could not be sent for so long, as without a mail server, is not sent any more."""
LOST: Final = timedelta(minutes=15)
"""After so long, the worker that began to send is taken for dead; a mail server is given far less."""
AGAIN_AFTER: Final = timedelta(hours=1)
MOST_ATTEMPTS: Final = 24
AT_ONCE: Final = 20
_State = ThankYou.State


def is_possible() -> bool:
    """Whether a mail server is set up."""
    return "default" in mailers


def promise(organization: Organization, made: Iterable[tuple[Decision, Sequence[Invoice]]]) -> None:
    """Write down whom to thank for invoices that automatic decisions have just made paid.

    Call it in the transaction of the settlements. Nothing is written where the organization sends no thanks,
    no mail server is set up, or the client has no e-mail.
    """
    switches = MatchingSettings.of(organization)
    if not (switches.sends_thanks and is_possible()):
        return
    now = timezone.now()
    since = (now - RECENT).date()
    paid = {
        decision: [invoice for invoice in invoices if not invoice.is_credit_note]
        for decision, invoices in made
        if decision.transaction.booked_on >= since
    }
    clients = {invoice.client_id for invoices in paid.values() for invoice in invoices}
    reachable = set(Client.objects.filter(pk__in=clients).exclude(email="").values_list("pk", flat=True))
    ThankYou.objects.bulk_create(
        ThankYou(
            organization=organization,
            decision=decision,
            client_id=invoices[0].client_id,
            invoices=[invoice.pk for invoice in invoices],
            send_after=now + timedelta(hours=switches.grace_hours),
        )
        for decision, invoices in paid.items()
        if invoices and invoices[0].client_id in reachable
    )


def cancel(decision: Decision) -> None:
    """Have the mail about a decision that is being undone not be sent, unless it is on its way already."""
    waiting = ThankYou.objects.filter(decision=decision, state=_State.WAITING)
    waiting.update(state=_State.CANCELLED, ended_at=timezone.now())


def send_due(now: datetime) -> int:
    """Send what is due and still holds, at most twenty at once; return how many were sent.

    Two workers never send one mail both: it is claimed, and that is committed, before the mail server hears
    of it. While the server cannot be reached nothing is claimed.
    """
    _give_up_on_lost(now)
    due = ThankYou.objects.filter(state=_State.WAITING, send_after__lte=now).order_by("send_after", "pk")
    ids = list(due.values_list("pk", flat=True)[:AT_ONCE]) if is_possible() else []
    sent = 0
    for pk in ids:
        try:
            with _connected() as server:
                sent += _send(pk, now, server)
        except OSError as error:
            log.error("mail.unreachable", problem=_problem(error))
            due.filter(pk__in=ids).update(problem=_problem(error))
            break
    return sent


def _give_up_on_lost(now: datetime) -> None:
    lost = ThankYou.objects.filter(state=_State.SENDING, claimed_at__lt=now - LOST)
    if lost.update(state=_State.UNKNOWN, ended_at=now):
        log.warning("mail.lost", advice="a worker died while it sent a mail; it is not sent again")


@contextmanager
def _connected() -> Iterator[BaseEmailBackend]:
    """Yield a connection to the mail server. Raises OSError where there is none to be had."""
    server = mailers["default"]
    server.open()
    try:
        yield server
    finally:
        with suppress(OSError):  # it was sent or not by then
            server.close()


def _send(pk: int, now: datetime, server: BaseEmailBackend) -> bool:
    """Send one mail unless another worker does or it holds no more; return whether it was sent."""
    mail = _claim(pk, now)
    if mail is None:
        return False
    try:
        server.send_messages([mail])
    except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused) as refusal:
        _refused(pk, _code(refusal), _problem(refusal))
    except ValueError as error:
        _end(pk, _State.FAILED, _problem(error))
    except OSError as error:
        _end(pk, _State.UNKNOWN, _problem(error))
    else:
        _end(pk, _State.SENT)
        return True
    return False


def _claim(pk: int, now: datetime) -> EmailMessage | None:
    """Take a mail for this worker and return it, or None where another has it or it is not to be sent."""
    with transaction.atomic():
        row = ThankYou.objects.select_related("client", "organization", "decision__transaction").get(pk=pk)
        # An undo locks the decision first: it was before and is seen here, or it comes too late.
        decision = Decision.objects.select_for_update().get(pk=row.decision_id)
        waiting = ThankYou.objects.filter(pk=pk, state=_State.WAITING)
        if not waiting.update(state=_State.SENDING, claimed_at=now, attempts=F("attempts") + 1):
            return None
        invoices = _still_paid(row)
        if decision.undone_at is not None or not invoices or not _may_be_sent(row, now):
            _end(pk, _State.CANCELLED)
            return None
    return thank_you_mail.compose(row, invoices)


def _still_paid(row: ThankYou) -> list[Invoice]:
    """Return the invoices that are paid and that the decision still settles."""
    lines = {"decision_id": row.decision_id, "voids__isnull": True, "voided_by__isnull": True}
    settled = Invoice.objects.filter(**{f"settlements__{name}": value for name, value in lines.items()})
    return list(settled.filter(pk__in=row.invoices, state=Invoice.State.PAID).distinct().order_by("number"))


def _may_be_sent(row: ThankYou, now: datetime) -> bool:
    is_wanted = MatchingSettings.of(row.organization).sends_thanks
    return is_wanted and row.client.email != "" and row.send_after >= now - TOO_LATE


def _refused(pk: int, code: int, problem: str) -> None:
    """Try again later where the mail server said so (4xx), give up where it refused for good (5xx)."""
    row = ThankYou.objects.get(pk=pk)
    if 400 <= code < 500 and row.attempts < MOST_ATTEMPTS:
        again = timezone.now() + AGAIN_AFTER
        ThankYou.objects.filter(pk=pk, state=_State.SENDING).update(
            state=_State.WAITING, send_after=again, problem=problem
        )
    else:
        _end(pk, _State.FAILED if 400 <= code < 600 else _State.UNKNOWN, problem)


def _end(pk: int, state: str, problem: str = "") -> None:
    """Say what became of a claimed mail; one taken for lost may turn out to be sent after all."""
    claimed = ThankYou.objects.filter(pk=pk, state__in=(_State.SENDING, _State.UNKNOWN))
    claimed.update(state=state, ended_at=timezone.now(), problem=problem)
    log.info("mail.ended", thank_you=pk, state=str(state), problem=problem)


def _code(refusal: smtplib.SMTPResponseException | smtplib.SMTPRecipientsRefused) -> int:
    if isinstance(refusal, smtplib.SMTPRecipientsRefused):
        return max(code for code, _words in refusal.recipients.values())
    return refusal.smtp_code


def _problem(error: Exception) -> str:
    """Name an error without its words, which can repeat addresses and credentials."""
    name = type(error).__name__
    if isinstance(error, smtplib.SMTPResponseException | smtplib.SMTPRecipientsRefused):
        return f"{name} {_code(error)}"
    return name
