"""What matching concluded, and what people said no to."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from kvit.invoices.models import Invoice
from kvit.ledger.models import MoneyTransaction
from kvit.users.models import Organization


class DecisionQuerySet(models.QuerySet["Decision"]):
    def current(self) -> DecisionQuerySet:
        return self.filter(is_current=True)

    def waiting(self) -> DecisionQuerySet:
        """Current decisions that wait for a person; a movement that was withdrawn waits for nobody."""
        return self.current().filter(
            port__in=Decision.WAITING, transaction__status=MoneyTransaction.Status.BOOKED
        )

    def decided(self) -> DecisionQuerySet:
        """Current decisions that settled or dismissed their movement."""
        return self.current().exclude(port__in=Decision.WAITING)


class Decision(models.Model):
    """What was concluded about a movement, with its evidence; a later one replaces it and both stay."""

    class Port(models.TextChoices):
        AUTO = "auto", _("matched automatically")
        MANUAL = "manual", _("matched by a person")
        SUGGEST = "suggest", _("to be confirmed")
        NONE = "none", _("unexplained")
        DUPLICATE = "duplicate", _("paid twice?")
        DISMISSED = "dismissed", _("pays no invoice")

    WAITING = (Port.SUGGEST, Port.NONE, Port.DUPLICATE)

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="decisions")
    transaction = models.ForeignKey(MoneyTransaction, models.CASCADE, related_name="decisions")
    sequence = models.PositiveIntegerField()
    """Counts the decisions about one movement; of two equal ones made at once, one fails."""
    is_current = models.BooleanField(default=True)
    port = models.CharField(max_length=9, choices=Port)
    tier = models.CharField(max_length=4, blank=True)
    because = models.JSONField(default=list)
    """Reasons `{"code", "values"}` (see kernel.matching.explain)."""
    candidates = models.JSONField(default=list)
    """`{"invoice", "for", "against"}`, the best first."""
    actor = models.CharField(max_length=300)
    run_id = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()
    undone_at = models.DateTimeField(null=True)
    undone_by = models.CharField(max_length=300, blank=True)

    AUDITED: ClassVar[tuple[str, ...]] = (
        "transaction_id",
        "sequence",
        "port",
        "tier",
        "actor",
        "run_id",
        "undone_at",
        "undone_by",
    )

    objects: ClassVar[models.Manager[Decision]] = models.Manager.from_queryset(DecisionQuerySet)()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["transaction", "sequence"], name="matching_decision_once"),
            models.UniqueConstraint(
                fields=["transaction"], condition=Q(is_current=True), name="matching_decision_one_current"
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "port"],
                name="matching_decision_waiting",
                condition=Q(is_current=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.transaction}: {self.port}"

    @classmethod
    def audited_rows(cls) -> models.QuerySet[Decision]:
        """Decisions that settled or dismissed a movement; proposals come and go with every pass."""
        return cls.objects.exclude(port__in=cls.WAITING)

    def says_the_same_as(self, other: Decision | None) -> bool:
        """Whether the other one concluded the same for the same reasons."""
        return other is not None and (self.port, self.because, self.candidates) == (
            other.port,
            other.because,
            other.candidates,
        )


class Rejection(models.Model):
    """A person said that this movement does not pay this invoice; matching never pairs them again."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="rejections")
    transaction = models.ForeignKey(MoneyTransaction, models.CASCADE, related_name="rejections")
    invoice = models.ForeignKey(Invoice, models.CASCADE, related_name="rejections")
    created_by = models.CharField(max_length=300)
    created_at = models.DateTimeField(auto_now_add=True)

    AUDITED: ClassVar[tuple[str, ...]] = ("transaction_id", "invoice_id", "created_by")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["transaction", "invoice"], name="matching_rejection_once")
        ]

    def __str__(self) -> str:
        return f"{self.transaction} ↛ {self.invoice}"
