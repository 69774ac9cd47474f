"""The words of a thank-you mail, in the client's language: plain text, nothing to click."""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import formataddr, parseaddr
from typing import Final

from babel.dates import format_date
from babel.numbers import format_currency
from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from kvit.invoices.models import Invoice
from kvit.matching.models import ThankYou
from kvit.work.models import Client

_LOCALES: Final = {"cs": "cs_CZ", "en": "en_GB"}
_CZECH_SPEAKING: Final = ("CZ", "SK", "")


def compose(row: ThankYou, invoices: Sequence[Invoice]) -> EmailMessage:
    """Return the mail; it needs the row's client, organization and movement."""
    language = language_of(row.client)
    with translation.override(language):
        subject, body = _subject(invoices), _body(row, invoices, _LOCALES[language])
    sender = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
    return EmailMessage(
        subject=subject,
        body=body,
        from_email=formataddr((_one_line(row.organization.name), sender)),
        to=[row.client.email],
        headers={
            "Message-ID": f"<thank-you.{row.pk}.{row.organization.uid}@{sender.rpartition('@')[2]}>",
            "Auto-Submitted": "auto-generated",
        },
    )


def language_of(client: Client) -> str:
    """Return Czech for clients in Czechia and Slovakia or of no known country, else English."""
    return "cs" if client.country.upper() in _CZECH_SPEAKING else "en"


def _subject(invoices: Sequence[Invoice]) -> str:
    text = ngettext(
        "Thank you for paying invoice {numbers}", "Thank you for paying invoices {numbers}", len(invoices)
    )
    return _one_line(text.format(numbers=_numbers(invoices)))


def _body(row: ThankYou, invoices: Sequence[Invoice], locale: str) -> str:
    payment = row.decision.transaction
    received = _("we have received your payment of {amount} from {day}.").format(
        amount=format_currency(payment.amount.amount, payment.currency, locale=locale),
        day=format_date(payment.booked_on, "long", locale=locale),
    )
    paid = ngettext(
        "Invoice {numbers} is paid in full.", "Invoices {numbers} are paid in full.", len(invoices)
    ).format(numbers=_numbers(invoices))
    return "\n\n".join((_("Hello,"), f"{received} {paid}", _("Thank you."), row.organization.name)) + "\n"


def _numbers(invoices: Sequence[Invoice]) -> str:
    return ", ".join(invoice.number for invoice in invoices)


def _one_line(text: str) -> str:
    return " ".join(text.split())
