"""Own accounts and what moved on them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, ClassVar, Final

from django.db import models
from django.db.models import F, Q
from django.db.models.expressions import RawSQL
from django.db.models.functions import Abs, Greatest
from django.utils.translation import gettext_lazy as _

from kvit.audit.faults import Fault
from kvit.kernel.money import Money
from kvit.ledger.movements import fingerprint_of_row
from kvit.users.models import Organization
from kvit.users.sealed import SealedColumn

_TO_MATCH: Final = RawSQL(  # a constant; SQLite uses a partial index only for written-out values
    "ledger_moneytransaction.match_due > 0", (), output_field=models.BooleanField()
)


class BankAccount(models.Model):
    """An own account that movements belong to."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="bank_accounts")
    number = models.CharField(_("account number"), max_length=64)
    """IBAN where known, else as the source writes it."""
    currency = models.CharField(_("currency"), max_length=3)
    name = models.CharField(_("name"), max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    AUDITED: ClassVar[tuple[str, ...]] = ("number", "currency", "name")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "number", "currency"], name="ledger_bankaccount_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name or self.number} ({self.currency})"


class RawPayload(models.Model):
    """The source's own records of one posted batch, as sealed compressed JSON: position -> record."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="raw_payloads")
    uid = models.UUIDField(default=uuid.uuid4, editable=False)
    """The row's name in the seal, made before the row is inserted."""
    run_id = models.BigIntegerField(null=True)
    sealed = models.BinaryField()
    created_at = models.DateTimeField()

    SEALED: ClassVar = (SealedColumn("sealed"),)

    def __str__(self) -> str:
        return str(self.uid)


class MoneyTransactionQuerySet(models.QuerySet["MoneyTransaction"]):
    def booked(self) -> MoneyTransactionQuerySet:
        return self.filter(status=MoneyTransaction.Status.BOOKED)

    def income(self) -> MoneyTransactionQuerySet:
        return self.filter(type=MoneyTransaction.Type.INCOME)

    def received_between(self, first: date, last: date) -> MoneyTransactionQuerySet:
        """Booked income from `first` to `last`, both inclusive."""
        return self.booked().income().filter(booked_on__range=(first, last))

    def to_match(self) -> MoneyTransactionQuerySet:
        """Movements that matching must look at."""
        return self.filter(_TO_MATCH)

    def mark_to_match(self, due: MoneyTransaction.MatchDue) -> int:
        """Have matching look at these again; what it concludes meanwhile from before is not applied."""
        return self.update(
            match_due=Greatest(F("match_due"), int(due)), match_revision=F("match_revision") + 1
        )


class MoneyTransaction(models.Model):
    """One bank movement, stored exactly once; only `posting.post` writes it, only settling counts on it."""

    class Type(models.TextChoices):
        INCOME = "income", _("income")
        EXPENSE = "expense", _("expense")

    class Status(models.TextChoices):
        BOOKED = "booked", _("booked")
        PENDING = "pending", _("pending")
        WITHDRAWN = "withdrawn", _("withdrawn")

    class MatchDue(models.IntegerChoices):
        """What matching has still to do about a movement."""

        NOTHING = 0
        CANDIDATES = 1
        """Look which candidates there are; it waits for a person whatever is found."""
        DECISION = 2

    organization = models.ForeignKey(
        Organization, models.CASCADE, related_name="transactions", db_index=False, db_constraint=False
    )
    """The account's; its own foreign key would be checked a second time for every posted row."""
    account = models.ForeignKey(
        BankAccount, models.PROTECT, related_name="transactions", db_index=False, db_constraint=False
    )
    """Without an index of its own: few accounts have many movements each, and lists go by day. Without a
    check by the database: `posting.post` holds the account's row locked, and a check per row costs a third
    of a load."""
    source = models.CharField(max_length=255)
    """Who minted the external id: plugin and its account, such as `fio:CZ79…`."""
    external_id = models.CharField(max_length=255)
    is_bank_id = models.BooleanField(default=False)
    """Whether the bank minted `external_id`: its API and its statement files then name the movement alike."""
    fingerprint = models.CharField(max_length=32, default="")
    """What the source told, digested (see `movements.fingerprint`); empty on rows from before it was kept."""
    type = models.CharField(max_length=7, choices=Type)
    status = models.CharField(max_length=9, choices=Status)
    duplicate_of = models.ForeignKey(
        "self", models.PROTECT, null=True, related_name="duplicates", db_index=False, db_constraint=False
    )
    """A person said that it is the same movement as that one; it is withdrawn then."""
    amount_minor = models.BigIntegerField()
    """Hundredths of the currency; incoming is positive."""
    currency = models.CharField(max_length=3)
    booked_on = models.DateField()
    value_on = models.DateField(null=True)
    counterparty_name = models.TextField(blank=True)
    counterparty_account = models.TextField(blank=True)
    counterparty_bank = models.TextField(blank=True)
    variable_symbol = models.TextField(blank=True)
    constant_symbol = models.TextField(blank=True)
    specific_symbol = models.TextField(blank=True)
    message = models.TextField(blank=True)
    reference = models.TextField(blank=True)
    raw_payload = models.ForeignKey(
        RawPayload, models.SET_NULL, null=True, related_name="+", db_index=False, db_constraint=False
    )
    """Written in the same transaction, and gone when its days of keeping are over."""
    raw_position = models.IntegerField(null=True)
    run_id = models.BigIntegerField(null=True)
    """The run that first brought it."""
    settled_minor = models.BigIntegerField(default=0)
    """How much of it live settlement lines use, never negative."""
    match_due = models.SmallIntegerField(
        choices=MatchDue, default=MatchDue.DECISION, db_default=MatchDue.DECISION
    )
    match_revision = models.IntegerField(default=0, db_default=0)
    """Counts what happened to it that a conclusion of matching rests on."""
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    AUDITED: ClassVar[tuple[str, ...]] = (
        "account_id",
        "source",
        "external_id",
        "amount_minor",
        "currency",
        "booked_on",
        "status",
        "variable_symbol",
        "duplicate_of_id",
        "settled_minor",
        "fingerprint",
    )
    AUDITED_AT_FIRST: ClassVar[Mapping[str, Any]] = {"duplicate_of_id": None, "settled_minor": 0}

    objects: ClassVar[models.Manager[MoneyTransaction]] = models.Manager.from_queryset(
        MoneyTransactionQuerySet
    )()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "source", "external_id"], name="ledger_moneytransaction_once"
            ),
            models.CheckConstraint(
                condition=Q(type="income", amount_minor__gte=0) | Q(type="expense", amount_minor__lt=0),
                name="ledger_moneytransaction_type_is_sign",
            ),
            models.CheckConstraint(
                condition=Q(settled_minor__gte=0) & Q(settled_minor__lte=Abs(F("amount_minor"))),
                name="ledger_moneytransaction_never_over_settled",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "-booked_on", "-id"], name="ledger_transaction_list"),
            models.Index(
                fields=["organization", "account"],
                name="ledger_transaction_pending",
                condition=Q(status="pending"),
            ),
            models.Index(
                fields=["organization", "booked_on"],
                name="ledger_transaction_to_match",
                condition=Q(match_due__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.booked_on} {self.amount}"

    @classmethod
    def audit_faults(cls) -> Iterator[Fault]:
        """Yield the movements whose columns do not fit their fingerprint; see `audit.verifying`."""
        for row in cls.objects.exclude(fingerprint="").order_by("pk").iterator():
            if fingerprint_of_row(row) != row.fingerprint:
                yield Fault(
                    cls._meta.db_table, row.pk, "what the source told about it does not fit its fingerprint"
                )

    @property
    def amount(self) -> Money:
        """Incoming is positive."""
        return Money(self.amount_minor, self.currency)

    @property
    def unsettled(self) -> Money:
        """What no live settlement line uses yet, never negative."""
        return Money(abs(self.amount_minor) - self.settled_minor, self.currency)


class TransactionAlias(models.Model):
    """Another id under which a source tells a movement that is stored already."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    source = models.CharField(max_length=255)
    external_id = models.CharField(max_length=255)
    transaction = models.ForeignKey(MoneyTransaction, models.CASCADE, related_name="aliases")
    run_id = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "source", "external_id"], name="ledger_transactionalias_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.external_id}"


class PossibleDuplicate(models.Model):
    """Two stored movements that may be one; a person decides."""

    class Reason(models.TextChoices):
        PENDING = "pending", _("a pending movement that may have been booked under another id")
        OTHER_SOURCE = "other_source", _("the same account, day and amount from another source")
        TOLD_AGAIN = "told_again", _("the same account, day and amount in another export of the same source")

    class Verdict(models.TextChoices):
        SAME = "same", _("one movement")
        DIFFERENT = "different", _("two movements")

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="possible_duplicates")
    transaction = models.ForeignKey(MoneyTransaction, models.CASCADE, related_name="possible_duplicates")
    """The later one."""
    candidate = models.ForeignKey(MoneyTransaction, models.CASCADE, related_name="+")
    """The one that was there before."""
    reason = models.CharField(max_length=12, choices=Reason)
    run_id = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()
    verdict = models.CharField(max_length=9, choices=Verdict, blank=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.CharField(max_length=300, blank=True)

    AUDITED: ClassVar[tuple[str, ...]] = (
        "transaction_id",
        "candidate_id",
        "reason",
        "verdict",
        "resolved_at",
        "resolved_by",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["transaction", "candidate"], name="ledger_possibleduplicate_once")
        ]
        indexes = [
            models.Index(
                fields=["organization"],
                name="ledger_duplicate_waiting",
                condition=Q(resolved_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return f"{self.transaction} = {self.candidate}?"


class BankStatement(models.Model):
    """A statement that a bank drew up for an account, as one source told it."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="bank_statements")
    account = models.ForeignKey(BankAccount, models.PROTECT, related_name="statements")
    source = models.CharField(max_length=255)
    number = models.CharField(max_length=64, blank=True)
    """The bank's sequence number, as the source writes it."""
    from_date = models.DateField(null=True)
    to_date = models.DateField(null=True)
    """Both days inclusive."""
    opening_minor = models.BigIntegerField(null=True)
    closing_minor = models.BigIntegerField(null=True)
    entries = models.PositiveIntegerField(default=0)
    """How many movements it holds."""
    file_name = models.CharField(max_length=255, blank=True)
    fingerprint = models.CharField(max_length=32)
    """What it says, digested: the same statement in two files is one row."""
    run_id = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()

    AUDITED: ClassVar[tuple[str, ...]] = (
        "account_id",
        "source",
        "number",
        "from_date",
        "to_date",
        "opening_minor",
        "closing_minor",
        "entries",
    )

    class Meta:
        ordering = ["-to_date", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "account", "source", "fingerprint"], name="ledger_bankstatement_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.number or self.to_date}"

    @property
    def opening_balance(self) -> Money | None:
        return None if self.opening_minor is None else Money(self.opening_minor, self.account.currency)

    @property
    def closing_balance(self) -> Money | None:
        return None if self.closing_minor is None else Money(self.closing_minor, self.account.currency)


class TransactionConflict(models.Model):
    """A source told other facts about a booked movement; a person decides."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="conflicts")
    transaction = models.ForeignKey(MoneyTransaction, models.CASCADE, related_name="conflicts")
    run_id = models.BigIntegerField(null=True)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    booked_on = models.DateField()
    created_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.CharField(max_length=300, blank=True)

    AUDITED: ClassVar[tuple[str, ...]] = (
        "transaction_id",
        "amount_minor",
        "currency",
        "booked_on",
        "resolved_at",
        "resolved_by",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["transaction", "amount_minor", "currency", "booked_on"],
                name="ledger_transactionconflict_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.transaction} ≠ {self.booked_on} {self.amount}"

    @property
    def amount(self) -> Money:
        """What the source says now; incoming is positive."""
        return Money(self.amount_minor, self.currency)
