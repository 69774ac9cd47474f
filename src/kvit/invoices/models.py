"""Invoices, their lines and numbers, and the settlement lines that pay them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar, Never

from django.core.validators import MinValueValidator, RegexValidator
from django.db import IntegrityError, models, transaction
from django.db.models import F, OuterRef, Q, Subquery, Sum
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from kvit.audit.faults import Fault
from kvit.audit.recording import Actor, Change, audited_values, changed, created, deleted, record
from kvit.invoices.numbering import take_number
from kvit.kernel.errors import Refused, Stale
from kvit.kernel.money import Money
from kvit.kernel.references import LONGEST_VARIABLE_SYMBOL, symbol_key, symbol_of_number
from kvit.ledger.models import BankAccount, MoneyTransaction
from kvit.users.models import Organization
from kvit.work.models import Client


class NumberSeries(models.Model):
    """The counter of one year's invoice numbers; only `numbering.take_number` moves it."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="number_series")
    year = models.PositiveIntegerField()
    last_number = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "number series"
        constraints = [
            models.UniqueConstraint(fields=["organization", "year"], name="invoices_numberseries_once")
        ]

    def __str__(self) -> str:
        return f"{self.year}: {self.last_number}"


class InvoiceQuerySet(models.QuerySet["Invoice"]):
    def open(self) -> InvoiceQuerySet:
        """Issued documents of which something is open, credit notes among them."""
        return self.filter(state=Invoice.State.ISSUED)

    def receivable(self) -> InvoiceQuerySet:
        """Open invoices: what clients owe."""
        return self.open().filter(kind=Invoice.Kind.INVOICE)

    def payable(self) -> InvoiceQuerySet:
        """Open credit notes: what is owed to clients."""
        return self.open().filter(kind=Invoice.Kind.CREDIT_NOTE)

    def overdue(self, today: date) -> InvoiceQuerySet:
        """Open invoices whose due date has passed; on the due date itself they are not overdue yet."""
        return self.receivable().filter(due_on__lt=today)

    def effective(self) -> InvoiceQuerySet:
        """Documents that were issued and are not void."""
        return self.filter(state__in=(Invoice.State.ISSUED, Invoice.State.PAID))


class Invoice(models.Model):
    """An invoice: a draft until it is issued, then unchanged for ever but for what settles it."""

    class Kind(models.TextChoices):
        INVOICE = "invoice", _("invoice")
        CREDIT_NOTE = "credit_note", _("credit note")

    class State(models.TextChoices):
        DRAFT = "draft", _("draft")
        ISSUED = "issued", _("issued")
        PAID = "paid", _("paid")
        VOID = "void", _("void")

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="invoices")
    kind = models.CharField(max_length=11, choices=Kind, default=Kind.INVOICE)
    corrects = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="credit_notes")
    """The invoice that a credit note takes back, whole or in part."""
    client = models.ForeignKey(Client, models.PROTECT, related_name="invoices", verbose_name=_("client"))
    account = models.ForeignKey(
        BankAccount,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="invoices",
        verbose_name=_("account to be paid to"),
    )
    state = models.CharField(max_length=6, choices=State, default=State.DRAFT)
    number = models.CharField(_("number"), max_length=20, blank=True)
    """Empty on a draft; taken at issue and never given back."""
    variable_symbol = models.CharField(
        _("variable symbol"),
        max_length=LONGEST_VARIABLE_SYMBOL,
        blank=True,
        validators=[RegexValidator(r"^\d{1,10}$", _("A variable symbol has at most ten digits."))],
    )
    symbol_key = models.CharField(max_length=LONGEST_VARIABLE_SYMBOL, blank=True, editable=False)
    """The symbol without leading zeros, as banks compare it."""
    order_number = models.CharField(_("order number"), max_length=40, blank=True)
    """The client's or a shop's number of the order, which payments and payout reports may name."""
    currency = models.CharField(_("currency"), max_length=3, default="CZK")
    issued_on = models.DateField(_("issued on"), null=True, blank=True)
    due_on = models.DateField(_("due on"))
    note = models.TextField(_("note"), blank=True)
    total_minor = models.BigIntegerField(default=0)
    """Positive hundredths; of a credit note what we owe."""
    settled_minor = models.BigIntegerField(default=0)
    """How much of the total live settlement lines pay, or take from a credit note."""
    paid_on = models.DateField(null=True)
    """The day of the last payment that made it whole."""
    match_due = models.BooleanField(default=False, editable=False)
    """Issued, and matching has not looked yet what may have been paid for it."""
    created_at = models.DateTimeField(auto_now_add=True)

    AUDITED: ClassVar[tuple[str, ...]] = (
        "client_id",
        "account_id",
        "state",
        "number",
        "variable_symbol",
        "currency",
        "issued_on",
        "due_on",
        "note",
        "total_minor",
        "settled_minor",
        "paid_on",
        "kind",
        "corrects_id",
        "order_number",
    )
    AUDITED_AT_FIRST: ClassVar[Mapping[str, Any]] = {
        "kind": "invoice",
        "corrects_id": None,
        "order_number": "",
    }

    objects: ClassVar[models.Manager[Invoice]] = models.Manager.from_queryset(InvoiceQuerySet)()

    class Meta:
        ordering = ["-issued_on", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "number"], condition=~Q(number=""), name="invoices_number_once"
            ),
            models.UniqueConstraint(
                fields=["organization", "account", "symbol_key"],
                condition=Q(state="issued", account__isnull=False),
                name="invoices_open_symbol_once_per_account",
            ),
            models.UniqueConstraint(
                fields=["organization", "symbol_key"],
                condition=Q(state="issued", account__isnull=True),
                name="invoices_open_symbol_once_without_account",
            ),
            models.CheckConstraint(
                condition=Q(state="draft", number="", settled_minor=0, paid_on__isnull=True)
                | Q(
                    state="issued",
                    issued_on__isnull=False,
                    settled_minor__gte=0,
                    settled_minor__lt=F("total_minor"),
                    paid_on__isnull=True,
                )
                | Q(
                    state="paid",
                    issued_on__isnull=False,
                    settled_minor=F("total_minor"),
                    paid_on__isnull=False,
                )
                | Q(state="void", issued_on__isnull=False, settled_minor=0, paid_on__isnull=True),
                name="invoices_paid_means_settled_whole",
            ),
            models.CheckConstraint(
                condition=Q(kind="invoice", corrects__isnull=True)
                | Q(kind="credit_note", corrects__isnull=False),
                name="invoices_credit_note_corrects",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "state", "due_on"], name="invoices_by_state"),
            models.Index(fields=["organization", "symbol_key"], name="invoices_by_symbol"),
            models.Index(fields=["organization"], name="invoices_to_match", condition=Q(match_due=True)),
        ]

    def __str__(self) -> str:
        return self.number or f"{self.client} ({self.total})"

    @property
    def total(self) -> Money:
        return Money(self.total_minor, self.currency)

    @property
    def open(self) -> Money:
        """What no live settlement line pays yet; nothing is owed on a draft or a void one."""
        owed = self.total_minor - self.settled_minor if self.state == self.State.ISSUED else 0
        return Money(owed, self.currency)

    @property
    def is_credit_note(self) -> bool:
        return self.kind == self.Kind.CREDIT_NOTE

    @property
    def is_draft(self) -> bool:
        return self.state == self.State.DRAFT

    @property
    def is_void(self) -> bool:
        return self.state == self.State.VOID

    @property
    def signed_total(self) -> Money:
        """The total as lists and sums count it: negative for a credit note."""
        return -self.total if self.is_credit_note else self.total

    @property
    def creditable(self) -> Money:
        """How much of an invoice its credit notes leave; nothing of what is no effective invoice."""
        if self.is_credit_note or self.is_draft or self.is_void:
            return Money(0, self.currency)
        credited = self.credit_notes.effective().aggregate(sum=Sum("total_minor"))["sum"] or 0
        return Money(self.total_minor - credited, self.currency)

    @property
    def is_voidable(self) -> bool:
        """Whether nothing stands in the way of declaring it void; see `void`."""
        return (
            self.state == self.State.ISSUED
            and not self.settled_minor
            and not self.credit_notes.effective().exists()
        )

    def is_overdue(self, today: date) -> bool:
        return self.state == self.State.ISSUED and not self.is_credit_note and self.due_on < today

    def write(self, lines: Sequence[InvoiceLine], *, actor: Actor) -> None:
        """Save the draft with these lines instead of its former ones. Raises Stale once it is issued."""
        with transaction.atomic():
            is_new = self.pk is None
            draft = self if is_new else _locked(self)
            if not draft.is_draft:
                raise Stale("The invoice has been issued; it no longer changes.")
            before = audited_values(draft)
            self.total_minor = sum(line.total_minor for line in lines)
            self.symbol_key = symbol_key(self.variable_symbol)
            self.save()
            saved = created(self) if is_new else changed(self, before, audited_values(self), "draft saved")
            record(self.organization, actor, [saved, *self._replace_lines(lines)])

    def issue(self, on: date, *, actor: Actor) -> None:
        """Take the next number and freeze the document; `on` is its date of issue.

        A credit note pays what is open on the invoice it corrects; the rest of it is owed to the client.
        Raises Stale where it is no draft any more, and Refused where it has no lines or amount, where it
        takes back more than its invoice leaves, or where another open document has its variable symbol. The
        number is taken only if all else holds.
        """
        from kvit.invoices import crediting  # it settles, and settling rests on this module

        try:
            with transaction.atomic():
                corrected = None if self.corrects is None else _locked(self.corrects)
                draft = _locked(self)
                if not draft.is_draft:
                    raise Stale("The invoice has been issued already.")
                if corrected is not None:
                    crediting.require_room(draft, corrected, on)
                before = audited_values(draft)
                draft._freeze(on)
                record(draft.organization, actor, [changed(draft, before, audited_values(draft))])
                if corrected is not None:
                    crediting.offset(draft, corrected, on, actor=actor)
        except IntegrityError:
            raise Refused(
                "Another open invoice has the same variable symbol. Change it on this one."
            ) from None
        self.refresh_from_db()

    def void(self, *, actor: Actor, reason: str = "") -> None:
        """Declare an issued document to be none; its number stays used and its symbol is free again.

        Raises Refused for a draft, for what anything pays and for an invoice with credit notes, and Stale
        where it is void already.
        """
        with transaction.atomic():
            document = _locked(self)
            document._require_voidable()
            untouched = Invoice.objects.filter(pk=document.pk, state=self.State.ISSUED, settled_minor=0)
            if not untouched.update(state=self.State.VOID, match_due=True):
                raise Stale
            before, after = {"state": document.state}, {"state": self.State.VOID}
            record(document.organization, actor, [changed(document, before, after, reason)])
        self.refresh_from_db()

    def discard(self, *, actor: Actor) -> None:
        """Delete a draft. Raises Stale once it is issued."""
        with transaction.atomic():
            draft = _locked(self)
            if not draft.is_draft:
                raise Stale("The invoice has been issued; it cannot be deleted.")
            record(draft.organization, actor, [deleted(row) for row in (draft, *draft.lines.all())])
            draft.delete()

    def _replace_lines(self, lines: Sequence[InvoiceLine]) -> list[Change]:
        """Put these lines in the place of the former ones, unless they are the same."""
        former = list(self.lines.all())
        for position, line in enumerate(lines, start=1):
            line.pk, line.invoice, line.position = None, self, position
        if [audited_values(line) for line in former] == [audited_values(line) for line in lines]:
            return []
        gone = [deleted(line) for line in former]
        self.lines.all().delete()
        InvoiceLine.objects.bulk_create(lines)
        return [*gone, *map(created, lines)]

    def _require_voidable(self) -> None:
        if self.is_void:
            raise Stale("{number} is void already.", number=self.number)
        if self.is_draft:
            raise Refused("A draft is deleted, not declared void.")
        if self.settled_minor:
            raise Refused("Something pays {number}. Undo its payments first.", number=self.number)
        if self.credit_notes.effective().exists():
            raise Refused("{number} has credit notes. Declare them void first.", number=self.number)

    def _freeze(self, on: date) -> None:
        if self.total_minor <= 0:
            raise Refused("An invoice without an amount cannot be issued. Add a line with a price.")
        if self.due_on < on:
            raise Refused("The due date is before the date of issue. Move it.")
        self.number = take_number(self.organization, on.year)
        self.variable_symbol = self.variable_symbol or symbol_of_number(self.number)
        self.symbol_key = symbol_key(self.variable_symbol)
        if not self.symbol_key:
            raise Refused("The invoice needs a variable symbol of one to ten digits, not all zeros.")
        self.state = self.State.ISSUED
        self.issued_on = on
        self.match_due = True
        self.save()


class InvoiceLine(models.Model):
    """One line of an invoice."""

    invoice = models.ForeignKey(Invoice, models.CASCADE, related_name="lines")
    position = models.PositiveIntegerField()
    description = models.CharField(_("description"), max_length=500)
    quantity_thousandths = models.BigIntegerField(default=1000)
    unit = models.CharField(_("unit"), max_length=20, blank=True)
    unit_price_minor = models.BigIntegerField()
    total_minor = models.BigIntegerField()

    AUDITED: ClassVar[tuple[str, ...]] = (
        "invoice_id",
        "position",
        "description",
        "quantity_thousandths",
        "unit",
        "unit_price_minor",
        "total_minor",
    )

    class Meta:
        ordering = ["position"]

    def __str__(self) -> str:
        return self.description

    @classmethod
    def of(cls, description: str, quantity: Decimal, unit: str, unit_price: Money) -> InvoiceLine:
        """Make a line; its total is rounded to hundredths, halves away from zero.

        `quantity` has at most three decimals, more raise Refused.
        """
        thousandths = quantity.scaleb(3)
        if thousandths != thousandths.to_integral_value():
            raise Refused("A quantity has at most three decimals.")
        return cls(
            description=description,
            quantity_thousandths=int(thousandths),
            unit=unit,
            unit_price_minor=unit_price.minor,
            total_minor=unit_price.times(quantity).minor,
        )

    @property
    def quantity(self) -> Decimal:
        return Decimal(self.quantity_thousandths).scaleb(-3)

    @property
    def unit_price(self) -> Money:
        return Money(self.unit_price_minor, self.invoice.currency)

    @property
    def total(self) -> Money:
        return Money(self.total_minor, self.invoice.currency)

    @property
    def signed_unit_price(self) -> Money:
        """As paper shows it: with a minus on a credit note."""
        return -self.unit_price if self.invoice.is_credit_note else self.unit_price

    @property
    def signed_total(self) -> Money:
        """As paper shows it: with a minus on a credit note."""
        return -self.total if self.invoice.is_credit_note else self.total


class Settlement(models.Model):
    """How much of a source settles which invoice. Append-only: an undo is a line that voids another."""

    class Source(models.TextChoices):
        TRANSACTION = "transaction", _("bank transaction")
        CREDIT_NOTE = "credit_note", _("credit note")
        ROUNDING = "rounding", _("rounding")
        FEE = "fee", _("fee")
        MANUAL = "manual", _("marked by hand")
        PAYOUT = "payout", _("offset in a payout")
        """Refunds that a gateway took out of its payout: part of sales, against the credit notes refunded."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="settlements")
    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="settlements")
    source_kind = models.CharField(max_length=11, choices=Source)
    transaction = models.ForeignKey(
        MoneyTransaction, models.PROTECT, null=True, blank=True, related_name="settlements"
    )
    credit_note = models.ForeignKey(
        Invoice, models.PROTECT, null=True, blank=True, related_name="settlements_of_others"
    )
    """The credit note that pays the invoice."""
    amount_minor = models.BigIntegerField(validators=[MinValueValidator(1)])
    """Positive hundredths of the invoice's currency."""
    currency = models.CharField(max_length=3)
    source_minor = models.BigIntegerField(null=True)
    """What it uses of a movement in another currency, in positive hundredths of that; else nothing."""
    source_currency = models.CharField(max_length=3, blank=True)
    settled_on = models.DateField()
    decision_id = models.BigIntegerField(null=True)
    voids = models.OneToOneField("self", models.PROTECT, null=True, related_name="voided_by")
    created_by = models.CharField(max_length=300)
    created_at = models.DateTimeField(default=timezone.now)

    AUDITED: ClassVar[tuple[str, ...]] = (
        "invoice_id",
        "transaction_id",
        "source_kind",
        "amount_minor",
        "currency",
        "settled_on",
        "decision_id",
        "voids_id",
        "created_by",
        "credit_note_id",
        "source_minor",
        "source_currency",
    )
    AUDITED_AT_FIRST: ClassVar[Mapping[str, Any]] = {
        "credit_note_id": None,
        "source_minor": None,
        "source_currency": "",
    }

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="invoices_settlement_positive"),
            models.CheckConstraint(
                condition=Q(source_kind="transaction", transaction__isnull=False, credit_note__isnull=True)
                | Q(source_kind="credit_note", transaction__isnull=True, credit_note__isnull=False)
                | Q(
                    source_kind__in=["manual", "rounding", "fee", "payout"],
                    transaction__isnull=True,
                    credit_note__isnull=True,
                ),
                name="invoices_settlement_has_its_source",
            ),
            models.CheckConstraint(
                condition=Q(source_minor__isnull=True, source_currency="")
                | (Q(source_kind="transaction", source_minor__gt=0) & ~Q(source_currency=F("currency"))),
                name="invoices_settlement_other_currency",
            ),
            models.UniqueConstraint(
                fields=["decision_id", "invoice", "source_kind"],
                condition=Q(voids__isnull=True, decision_id__isnull=False),
                name="invoices_settlement_once_per_decision",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} → {self.invoice}"

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def used(self) -> Money:
        """What it uses of its source, in the source's currency."""
        if self.source_minor is None:
            return self.amount
        return Money(self.source_minor, self.source_currency)

    @property
    def is_live(self) -> bool:
        """Whether it counts: it neither voids another line nor is voided."""
        return self.voids_id is None and not hasattr(self, "voided_by")

    @classmethod
    def audit_faults(cls) -> Iterator[Fault]:
        """Yield movements and documents whose counter is not the sum of their live lines."""
        used = Coalesce(F("source_minor"), F("amount_minor"))
        yield from _miscounted(MoneyTransaction.objects.all(), _live_sum("transaction", used))
        paid = _live_sum("invoice", F("amount_minor")) + _live_sum("credit_note", F("amount_minor"))
        yield from _miscounted(Invoice.objects.all(), paid)

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("A settlement line is never changed; void it by another one.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Never:
        raise TypeError("A settlement line is never deleted; void it by another one.")


def _live_sum(side: str, amount: Combinable) -> Combinable:
    """What the live lines of that side of each row make."""
    lines = Settlement.objects.filter(voids__isnull=True, voided_by__isnull=True, **{side: OuterRef("pk")})
    total = lines.order_by().values(side).annotate(total=Sum(amount)).values("total")
    return Coalesce(Subquery(total), 0)


def _miscounted(rows: models.QuerySet[Any], live: Combinable) -> Iterator[Fault]:
    """Yield the rows whose `settled_minor` is not this sum of their live lines."""
    wrong = rows.annotate(live=live).exclude(settled_minor=F("live"))
    for key, settled, lines in wrong.order_by("pk").values_list("pk", "settled_minor", "live").iterator():
        problem = f"settled_minor is {settled}, its live settlement lines make {lines}"
        yield Fault(rows.model._meta.db_table, key, problem, "settled_minor")


def _locked(invoice: Invoice) -> Invoice:
    """Read the invoice again, locked until the transaction ends. Raises Stale where it is gone."""
    row = Invoice.objects.select_for_update(of=("self",)).filter(pk=invoice.pk).first()
    if row is None:
        raise Stale
    return row
