"""Clients and the accounts they are known to pay from."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from kvit.kernel.references import account_key
from kvit.users.models import Organization


class Client(models.Model):
    """Somebody we issue invoices to."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="clients")
    name = models.CharField(_("name"), max_length=200)
    identification_number = models.CharField(_("company number (IČO)"), max_length=20, blank=True)
    tax_number = models.CharField(_("tax number (DIČ)"), max_length=20, blank=True)
    email = models.EmailField(_("e-mail"), blank=True)
    street = models.CharField(_("street"), max_length=200, blank=True)
    city = models.CharField(_("city"), max_length=100, blank=True)
    postal_code = models.CharField(_("postal code"), max_length=20, blank=True)
    country = models.CharField(_("country"), max_length=2, default="CZ")
    created_at = models.DateTimeField(auto_now_add=True)

    AUDITED: ClassVar[tuple[str, ...]] = (
        "name",
        "identification_number",
        "tax_number",
        "email",
        "street",
        "city",
        "postal_code",
        "country",
    )

    class Meta:
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint(fields=["organization", "name"], name="work_client_name_once")]

    def __str__(self) -> str:
        return self.name


class PayerAccount(models.Model):
    """An account a client is known to pay from, and how we know."""

    class Provenance(models.TextChoices):
        HUMAN = "human", _("by a person")
        AUTO = "auto", _("from a payment")

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="payer_accounts")
    client = models.ForeignKey(Client, models.CASCADE, related_name="payer_accounts")
    number = models.TextField(_("account number"))
    key = models.TextField(editable=False)
    provenance = models.CharField(max_length=5, choices=Provenance)
    decision_id = models.BigIntegerField(null=True)
    """The decision it was learned from; undoing that decision withdraws it."""
    match_due = models.BooleanField(default=False, editable=False)
    """A person said it, and matching has not looked yet what came from it."""
    created_at = models.DateTimeField(auto_now_add=True)

    AUDITED: ClassVar[tuple[str, ...]] = ("client_id", "number", "provenance", "decision_id")

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["client", "key"], name="work_payeraccount_once")]
        indexes = [
            models.Index(
                fields=["organization"], name="work_payeraccount_to_match", condition=models.Q(match_due=True)
            )
        ]

    def __str__(self) -> str:
        return self.number

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.key = account_key(self.number)
        super().save(*args, **kwargs)
