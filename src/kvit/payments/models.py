"""Payment orders, and the batches in which they are handed to the bank.

A batch is the outbox row: its file is stored before anything leaves, and the row says what is known of it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from kvit.invoices.models import Invoice
from kvit.kernel.money import Money
from kvit.ledger.models import BankAccount, MoneyTransaction
from kvit.sync.models import PluginConfiguration
from kvit.users.models import Organization
from kvit.users.sealed import SealedColumn


class PaymentBatch(models.Model):
    """Orders of one account that are handed to the bank together, and what the bank said."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waits to be sent")
        SENDING = "sending", _("being sent")
        ACCEPTED = "accepted", _("the bank has it")
        REFUSED = "refused", _("not taken by the bank")
        UNKNOWN = "unknown", _("unknown: look in the bank")
        WITHDRAWN = "withdrawn", _("withdrawn")

    STANDING = (State.WAITING, State.SENDING, State.ACCEPTED, State.UNKNOWN)
    """The bank has it, or may have it one day: its orders are in no other batch."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="payment_batches")
    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    """The idempotency key, and the row's name in the seal."""
    connection = models.ForeignKey(PluginConfiguration, models.PROTECT, related_name="payment_batches")
    account = models.ForeignKey(BankAccount, models.PROTECT, related_name="payment_batches")
    order_ids = models.JSONField(default=list)
    """The orders that it was made of, for ever."""
    file_sealed = models.BinaryField()
    """Exactly the bytes that are sent."""
    file_name = models.CharField(max_length=255)
    format = models.CharField(max_length=40)
    media_type = models.CharField(max_length=100)
    sha256 = models.CharField(max_length=64)
    size = models.PositiveIntegerField()
    """In bytes."""
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    reference = models.CharField(_("the bank's number"), max_length=200, blank=True)
    verdicts = models.JSONField(default=list)
    """What the bank said: `{"status", "code", "message", "order_id"}`, as in `kvit.plugin.Verdict`."""
    error_kind = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True)
    """An English template; `error_params` holds its named parts."""
    error_params = models.JSONField(default=dict)
    contradiction = models.CharField(max_length=9, choices=State, blank=True)
    """What the bank turned out to say after a person had said otherwise; a person must look again."""

    not_before = models.DateTimeField(null=True)
    """Where nothing has left yet, the moment of the next try."""
    attempts = models.PositiveSmallIntegerField(default=0)
    fence = models.PositiveIntegerField(default=0)
    """Grows with every claim."""
    lease_until = models.DateTimeField(null=True)
    """A batch still being sent after that was left by its worker, and nobody knows how far it came."""

    requested_by = models.CharField(max_length=300)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True)
    """When the last try to send it began."""
    answered_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.CharField(max_length=300, blank=True)
    """The person, or the movement, that told what became of an unknown one."""

    SEALED: ClassVar = (SealedColumn("file_sealed"),)

    AUDITED: ClassVar[tuple[str, ...]] = (
        "connection_id",
        "account_id",
        "order_ids",
        "file_name",
        "format",
        "sha256",
        "state",
        "reference",
        "verdicts",
        "error_kind",
        "error_message",
        "error_params",
        "contradiction",
        "requested_by",
        "sent_at",
        "answered_at",
        "resolved_at",
        "resolved_by",
    )

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "payment batches"
        indexes = [
            models.Index(fields=["state"], name="payments_batch_by_state"),
            models.Index(fields=["organization", "-id"], name="payments_batch_list"),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.file_name}"

    @property
    def key(self) -> str:
        """The idempotency key as the contract of plugins has it."""
        return self.uid.hex

    def totals(self) -> list[Money]:
        """Return the sums of the orders that it was made of, by currency; positive."""
        sums: dict[str, int] = {}
        orders = PaymentOrder.objects.filter(pk__in=self.order_ids, organization_id=self.organization_id)
        for minor, currency in orders.values_list("amount_minor", "currency"):
            sums[currency] = sums.get(currency, 0) + minor
        return [Money(minor, currency) for currency, minor in sorted(sums.items())]


class PaymentOrderQuerySet(models.QuerySet["PaymentOrder"]):
    def open(self) -> PaymentOrderQuerySet:
        """Orders in no batch, which may be changed and put into one."""
        return self.filter(state__in=PaymentOrder.OPEN)

    def under_way(self) -> PaymentOrderQuerySet:
        """Orders that the bank has or may have, and that no movement is known to execute yet."""
        return self.filter(state__in=PaymentOrder.UNDER_WAY)

    def standing(self) -> PaymentOrderQuerySet:
        """All but cancelled ones: money that is to leave, or has left."""
        return self.exclude(state=PaymentOrder.State.CANCELLED)


class PaymentOrder(models.Model):
    """One payment to be made: for a received invoice, or to give money back."""

    class State(models.TextChoices):
        DRAFT = "draft", _("draft")
        IN_BATCH = "in_batch", _("in a batch")
        HANDED_OVER = "handed_over", _("handed over")
        EXECUTED = "executed", _("executed")
        REFUSED = "refused", _("refused")
        CANCELLED = "cancelled", _("cancelled")

    class Speed(models.TextChoices):
        STANDARD = "standard", _("standard")
        PRIORITY = "priority", _("priority")
        INSTANT = "instant", _("instant")

    class Charges(models.TextChoices):
        SHARED = "SHA", _("shared (SHA)")
        OURS = "OUR", _("all paid by us (OUR)")
        THEIRS = "BEN", _("all paid by the recipient (BEN)")

    OPEN = (State.DRAFT, State.REFUSED)
    UNDER_WAY = (State.IN_BATCH, State.HANDED_OVER)

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="payment_orders")
    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    """Its 32 digits are the order's id for the bank."""
    account = models.ForeignKey(
        BankAccount, models.PROTECT, related_name="payment_orders", verbose_name=_("account that pays")
    )
    amount_minor = models.BigIntegerField()
    """Positive hundredths of the currency."""
    currency = models.CharField(_("currency"), max_length=3)
    counterparty_account = models.CharField(_("account of the recipient"), max_length=34)
    """IBAN, or `[prefix-]number/bank code`, without spaces."""
    counterparty_name = models.CharField(_("name of the recipient"), max_length=140, blank=True)
    counterparty_bic = models.CharField(_("BIC"), max_length=11, blank=True)
    counterparty_street = models.CharField(_("street"), max_length=70, blank=True)
    counterparty_city = models.CharField(_("city"), max_length=70, blank=True)
    counterparty_country = models.CharField(_("country"), max_length=2, blank=True)
    variable_symbol = models.CharField(_("variable symbol"), max_length=10, blank=True)
    constant_symbol = models.CharField(_("constant symbol"), max_length=10, blank=True)
    specific_symbol = models.CharField(_("specific symbol"), max_length=10, blank=True)
    message = models.CharField(_("message for the recipient"), max_length=140, blank=True)
    comment = models.CharField(_("comment for us"), max_length=255, blank=True)
    due_on = models.DateField(_("due on"))
    speed = models.CharField(_("speed"), max_length=8, choices=Speed, default=Speed.STANDARD)
    charges = models.CharField(_("charges"), max_length=3, choices=Charges, default=Charges.SHARED)
    reason = models.CharField(_("code of the purpose"), max_length=10, blank=True)

    document_number = models.CharField(_("supplier's invoice"), max_length=60, blank=True)
    """The number of the received invoice that it pays, as the supplier writes it."""
    refunds = models.ForeignKey(
        MoneyTransaction, models.PROTECT, null=True, blank=True, related_name="refund_orders"
    )
    """The incoming movement of which too much came."""
    credit_note = models.ForeignKey(
        Invoice, models.PROTECT, null=True, blank=True, related_name="refund_orders"
    )
    """The credit note whose sum it pays out."""

    state = models.CharField(max_length=11, choices=State, default=State.DRAFT)
    batch = models.ForeignKey(PaymentBatch, models.PROTECT, null=True, blank=True, related_name="orders")
    """The one standing batch that it is in."""
    executed_by = models.OneToOneField(
        MoneyTransaction, models.PROTECT, null=True, blank=True, related_name="payment_order"
    )
    rejected_ids = models.JSONField(default=list)
    """Movements of which a person said that they are not this order's."""
    created_by = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    TOLD: ClassVar[tuple[str, ...]] = (
        "account_id",
        "amount_minor",
        "currency",
        "counterparty_account",
        "counterparty_name",
        "counterparty_bic",
        "counterparty_street",
        "counterparty_city",
        "counterparty_country",
        "variable_symbol",
        "constant_symbol",
        "specific_symbol",
        "message",
        "comment",
        "due_on",
        "speed",
        "charges",
        "reason",
        "document_number",
        "refunds_id",
        "credit_note_id",
    )
    """What a person may change while it is in no batch."""

    AUDITED: ClassVar[tuple[str, ...]] = (*TOLD, "state", "batch_id", "executed_by_id", "rejected_ids")
    AUDITED_AT_FIRST: ClassVar[Mapping[str, Any]] = {
        "batch_id": None,
        "executed_by_id": None,
        "rejected_ids": [],
    }

    objects: ClassVar[models.Manager[PaymentOrder]] = models.Manager.from_queryset(PaymentOrderQuerySet)()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="payments_order_above_zero"),
            models.CheckConstraint(
                condition=Q(state__in=["draft", "refused"], batch__isnull=True, executed_by__isnull=True)
                | Q(state__in=["in_batch", "handed_over"], batch__isnull=False, executed_by__isnull=True)
                | Q(state="executed", batch__isnull=False, executed_by__isnull=False)
                | Q(state="cancelled", executed_by__isnull=True),
                name="payments_order_state_holds",
            ),
            models.CheckConstraint(
                condition=Q(refunds__isnull=True) | Q(credit_note__isnull=True),
                name="payments_order_gives_back_one_thing",
            ),
        ]
        indexes = [models.Index(fields=["organization", "state"], name="payments_order_by_state")]

    def __str__(self) -> str:
        return f"{self.counterparty_name or self.counterparty_account} {self.amount}"

    @property
    def amount(self) -> Money:
        """Positive."""
        return Money(self.amount_minor, self.currency)

    @classmethod
    def room_for(cls, name: str) -> int:
        """How many characters a text column holds."""
        column = cls._meta.get_field(name)
        assert isinstance(column, models.CharField), name
        assert column.max_length is not None, name
        return column.max_length

    @property
    def id_for_bank(self) -> str:
        """The order's id as the contract of plugins has it; verdicts name it."""
        return self.uid.hex

    @property
    def is_open(self) -> bool:
        """Whether it is in no batch and may be changed."""
        return self.state in self.OPEN
