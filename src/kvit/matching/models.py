"""What matching concluded, in which run, what people said no to, and what may happen by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from kvit.invoices.models import Invoice
from kvit.kernel.matching import Tier
from kvit.ledger.models import MoneyTransaction
from kvit.users.models import Organization
from kvit.work.models import Client


class MatchingSettings(models.Model):
    """What an organization lets matching do by itself; one without a row has the defaults."""

    organization = models.OneToOneField(
        Organization, models.CASCADE, related_name="matching_settings", primary_key=True
    )
    auto_a1 = models.BooleanField(_("one symbol, exactly what is open"), default=True)
    auto_a2 = models.BooleanField(_("one invoice number in the message, exactly what is open"), default=True)
    auto_a3 = models.BooleanField(_("several symbols or numbers that add up exactly"), default=True)
    auto_a4 = models.BooleanField(_("less than is open, from the client's own account"), default=True)
    auto_a5 = models.BooleanField(_("more than is open, from the client's own account"), default=True)
    sends_thanks = models.BooleanField(_("thank clients by e-mail for what matched by itself"), default=False)
    grace_hours = models.PositiveSmallIntegerField(
        _("hours before the thank-you mail"), default=24, validators=[MaxValueValidator(720)]
    )
    """Undoing the match within them also keeps the mail from being sent."""

    AUDITED: ClassVar[tuple[str, ...]] = (
        "auto_a1",
        "auto_a2",
        "auto_a3",
        "auto_a4",
        "auto_a5",
        "sends_thanks",
        "grace_hours",
    )

    def __str__(self) -> str:
        return f"{self.organization}: {', '.join(sorted(self.enabled))}"

    @property
    def enabled(self) -> frozenset[Tier]:
        """The tiers that may settle without asking."""
        return frozenset(tier for tier in Tier if getattr(self, f"auto_{tier.lower()}"))

    @classmethod
    def of(cls, organization: Organization) -> MatchingSettings:
        """Return the organization's settings, or the defaults as a row that is not saved."""
        return cls.objects.filter(organization=organization).first() or cls(organization=organization)


class MatchingRun(models.Model):
    """One pass over movements that were to be looked at; it can be undone as a whole."""

    class Trigger(models.TextChoices):
        SYNC = "sync", _("after a sync")
        ISSUE = "issue", _("after an invoice was issued")
        LEARNED = "learned", _("after an account became known")
        PERSON = "person", _("after a decision of a person")
        DEMAND = "demand", _("on demand")

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="matching_runs")
    trigger = models.CharField(max_length=7, choices=Trigger)
    sync_run_id = models.BigIntegerField(null=True)
    """The sync that brought the movements."""
    actor = models.CharField(max_length=300)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    """Empty while it runs, or where its process died; what it decided until then stands."""
    settled = models.PositiveIntegerField(default=0)
    waiting = models.PositiveIntegerField(default=0)
    undone_at = models.DateTimeField(null=True)
    undone_by = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M} ({self.trigger})"


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
        TRANSFER = "transfer", _("between own accounts?")
        TRANSFERRED = "transferred", _("between own accounts")
        PAYOUT = "payout", _("paid out by a gateway")
        DISMISSED = "dismissed", _("pays no invoice")
        IGNORED = "ignored", _("ignored")

    class Category(models.TextChoices):
        """What a movement is that pays no invoice."""

        TRANSFER = "transfer", _("between own accounts")
        REFUND = "refund", _("refund")
        TAX = "tax", _("tax or insurance")
        FEE = "fee", _("bank fee or interest")
        LOAN = "loan", _("loan")
        PRIVATE = "private", _("private")
        OTHER = "other", _("something else")

    class Certainty(models.IntegerChoices):
        """How much speaks for the best candidate; equal ones may be accepted together."""

        NOTHING = 0, _("no candidate")
        POSSIBLE = 1, _("possible")
        LIKELY = 2, _("likely")
        CERTAIN = 3, _("as good as certain")

    WAITING = (Port.SUGGEST, Port.NONE, Port.DUPLICATE, Port.TRANSFER, Port.PAYOUT)

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="decisions")
    transaction = models.ForeignKey(MoneyTransaction, models.CASCADE, related_name="decisions")
    sequence = models.PositiveIntegerField()
    """Counts the decisions about one movement; of two equal ones made at once, one fails."""
    is_current = models.BooleanField(default=True)
    port = models.CharField(max_length=11, choices=Port)
    tier = models.CharField(max_length=4, blank=True)
    category = models.CharField(max_length=8, choices=Category, blank=True)
    certainty = models.PositiveSmallIntegerField(choices=Certainty, default=Certainty.NOTHING)
    because = models.JSONField(default=list)
    """Reasons `{"code", "values"}` (see kernel.matching.explain), with `"span": [field, start, end]` where
    the reference stands in the movement as the bank sent it."""
    candidates = models.JSONField(default=list)
    """`{"lines": [[invoice, hundredths]], "for": [reason], "against": [reason]}`, the best first."""
    checked = models.JSONField(default=list)
    """Vetoes that were looked at, `{"veto", "ok"}`."""
    engine = models.CharField(max_length=8, blank=True)
    """Version of the rules that made it; empty for what a person decided."""
    key = models.CharField(max_length=64, null=True)  # many rows without one are not equal
    """What an automatic decision rests on, digested: the same one is applied at most once."""
    mirror = models.ForeignKey(MoneyTransaction, models.CASCADE, null=True, related_name="+")
    """The other side of a transfer between own accounts."""
    matching_run = models.ForeignKey(MatchingRun, models.SET_NULL, null=True, related_name="decisions")
    actor = models.CharField(max_length=300)
    run_id = models.BigIntegerField(null=True)
    """The sync that brought it about."""
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
        "category",
        "mirror_id",
    )
    AUDITED_AT_FIRST: ClassVar[Mapping[str, Any]] = {"category": "", "mirror_id": None}

    objects: ClassVar[models.Manager[Decision]] = models.Manager.from_queryset(DecisionQuerySet)()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["transaction", "sequence"], name="matching_decision_once"),
            models.UniqueConstraint(
                fields=["transaction"], condition=Q(is_current=True), name="matching_decision_one_current"
            ),
            models.UniqueConstraint(fields=["key"], name="matching_decision_applied_once"),
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

    @property
    def is_waiting(self) -> bool:
        return self.port in self.WAITING

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


class ThankYou(models.Model):
    """A mail that thanks a client for what matched by itself: promised with the match, sent later."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waits")
        SENDING = "sending", _("being sent")
        SENT = "sent", _("sent")
        CANCELLED = "cancelled", _("not sent, it does not hold any more")
        FAILED = "failed", _("refused by the mail server")
        UNKNOWN = "unknown", _("perhaps sent; it is not tried again")

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="thank_yous", db_index=False)
    decision = models.OneToOneField(Decision, models.CASCADE, related_name="thank_you")
    client = models.ForeignKey(Client, models.CASCADE, related_name="thank_yous")
    invoices = models.JSONField()
    """The ids of the invoices that the decision made paid."""
    send_after = models.DateTimeField()
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    claimed_at = models.DateTimeField(null=True)
    """When a worker began to send it, before it did anything else about it."""
    ended_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=100, blank=True)
    """Why it was not sent so far: the kind of the error and the mail server's number, never its words."""

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["state", "send_after"], name="matching_thankyou_due"),
            models.Index(fields=["organization", "-id"], name="matching_thankyou_list"),
        ]

    def __str__(self) -> str:
        return f"{self.client}: {self.state}"


from kvit.matching.payout_models import PayoutLine, PayoutReport  # noqa: E402, F401 – Django finds models here
