"""Payouts as sources tell them, until matching takes them up."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from kvit.users.models import Organization


class ReportedPayout(models.Model):
    """A payout that a connection told: what it is made of, and whether matching has it."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="reported_payouts")
    connection = models.ForeignKey("sync.PluginConfiguration", models.CASCADE, related_name="payouts")
    run = models.ForeignKey("sync.SyncHistory", models.SET_NULL, null=True, related_name="payouts")
    """The run that told it first."""
    external_id = models.CharField(max_length=255)
    currency = models.CharField(max_length=3)
    net_minor = models.BigIntegerField()
    paid_on = models.DateField()
    bank_account = models.CharField(max_length=64, blank=True)
    lines = models.JSONField()
    """`[reference, gross, fee]` of each line, in hundredths."""
    taken_up_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField()

    AUDITED: ClassVar[tuple[str, ...]] = (
        "external_id",
        "currency",
        "net_minor",
        "paid_on",
        "bank_account",
        "lines",
    )

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["connection", "external_id"], name="sync_reportedpayout_once")
        ]
        indexes = [
            models.Index(
                fields=["organization"], name="sync_payout_waiting", condition=models.Q(taken_up_at=None)
            )
        ]

    def __str__(self) -> str:
        return self.external_id
