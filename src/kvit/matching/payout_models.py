"""Payout reports of gateways as they were imported, and what became of each line."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from kvit.invoices.models import Invoice
from kvit.kernel.money import Money
from kvit.ledger.models import MoneyTransaction
from kvit.users.models import Organization


class PayoutReport(models.Model):
    """What a gateway says one of its payouts is made of."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="payout_reports")
    provider = models.CharField(max_length=50)
    """The name of the profile that read it."""
    reference = models.CharField(_("payout"), max_length=300)
    """As the provider calls it."""
    currency = models.CharField(_("currency"), max_length=3)
    net_minor = models.BigIntegerField()
    """What was paid out, in hundredths."""
    fee_minor = models.BigIntegerField()
    """What the provider kept; negative where it gave more back."""
    paid_on = models.DateField(_("paid out on"))
    account = models.CharField(max_length=64, blank=True)
    """The account that the provider pays from, where the report tells it."""
    file_name = models.CharField(max_length=300)
    transaction = models.ForeignKey(
        MoneyTransaction, models.PROTECT, null=True, related_name="payout_reports"
    )
    """The bank credit that it was last settled by; `decision_id` tells whether that holds."""
    decision_id = models.BigIntegerField(null=True)
    revision = models.PositiveIntegerField(default=0)
    """Counts how often it was applied: of two people who do so at once, one is too late."""
    created_by = models.CharField(max_length=300)
    created_at = models.DateTimeField()

    AUDITED: ClassVar[tuple[str, ...]] = (
        "provider",
        "reference",
        "currency",
        "net_minor",
        "fee_minor",
        "paid_on",
        "transaction_id",
        "decision_id",
        "created_by",
    )

    class Meta:
        ordering = ["-paid_on", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "provider", "reference"], name="matching_payoutreport_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.reference}"

    @property
    def net(self) -> Money:
        return Money(self.net_minor, self.currency)

    @property
    def fee(self) -> Money:
        return Money(self.fee_minor, self.currency)


class PayoutLine(models.Model):
    """One sale (gross above zero), refund (below) or cost (zero) of a payout."""

    report = models.ForeignKey(PayoutReport, models.CASCADE, related_name="lines")
    position = models.PositiveIntegerField()
    reference = models.CharField(max_length=300, blank=True)
    """Order number, invoice number or variable symbol."""
    gross_minor = models.BigIntegerField()
    fee_minor = models.BigIntegerField()
    invoice = models.ForeignKey(Invoice, models.PROTECT, null=True, related_name="payout_lines")
    """The document it was settled against when the report was last applied."""
    because = models.JSONField(null=True)
    """Why it could not be settled then: a reason `{"code", "values"}`."""

    AUDITED: ClassVar[tuple[str, ...]] = ("report_id", "reference", "gross_minor", "fee_minor", "invoice_id")

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["report", "position"], name="matching_payoutline_once")
        ]

    def __str__(self) -> str:
        return f"{self.reference} {self.gross}"

    @property
    def gross(self) -> Money:
        return Money(self.gross_minor, self.report.currency)

    @property
    def fee(self) -> Money:
        return Money(self.fee_minor, self.report.currency)
