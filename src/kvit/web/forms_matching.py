"""The form of what an organization lets matching do by itself."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from kvit.matching.models import MatchingSettings

TIERS = ("auto_a1", "auto_a2", "auto_a3", "auto_a4", "auto_a5")


class MatchingForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """The switches, each with a sentence on what it means."""

    class Meta:
        model = MatchingSettings
        fields = (*TIERS, "sends_thanks", "grace_hours")
        help_texts = {
            "auto_a1": _(
                "The variable symbol, or a reference in the message, belongs to one invoice, and exactly what"
                " is open on it was paid. Example: VS 2026014 and 12,100.00 for invoice 2026014."
            ),
            "auto_a2": _(
                "No symbol, but the message holds the number of one invoice, and exactly what is open on it"
                " was paid. Example: “invoice 2026-014, thank you” and 12,100.00."
            ),
            "auto_a3": _(
                "The payment names several invoices of one client, and together exactly as much is open on"
                " them. Example: “2026013 and 2026014” and 20,000.00 for 7,900.00 and 12,100.00."
            ),
            "auto_a4": _(
                "The symbol belongs to one invoice and less than is open came from an account that is known"
                " as the client's. The invoice is paid in part. Example: 5,000.00 of 12,100.00."
            ),
            "auto_a5": _(
                "The symbol belongs to one invoice and more than is open came from an account known as"
                " the client's. The invoice is paid, the rest stays the client's credit. Example: 12,200.00"
                " for 12,100.00."
            ),
            "sends_thanks": _(
                "A short mail to the client's e-mail when an invoice was paid in full and matched by itself."
                " Payments older than 14 days are not thanked for."
            ),
            "grace_hours": _("Undoing the match within this time keeps the mail from being sent."),
        }

    def __init__(self, *arguments: Any, can_change: bool, has_mail_server: bool, **named: Any) -> None:
        super().__init__(*arguments, **named)
        for name, field in self.fields.items():
            field.disabled = not can_change or (name not in TIERS and not has_mail_server)
