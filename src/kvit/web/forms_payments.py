"""The form of a payment order."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy as _

from kvit.kernel.errors import AmountUnreadable, KvitError, Misconfigured
from kvit.kernel.money import Money
from kvit.ledger.models import BankAccount
from kvit.payments.models import PaymentOrder
from kvit.users.scoping import Access
from kvit.web.amounts import NumberField
from kvit.web.forms_money import CURRENCIES, DayField
from kvit.web.words import error_text

ABROAD: Final = (
    "counterparty_bic",
    "counterparty_street",
    "counterparty_city",
    "counterparty_country",
    "charges",
    "reason",
)
"""What only a payment abroad needs."""


class PaymentOrderForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """Whom to pay, how much and when. `uid` is the same however often one form is sent."""

    uid = forms.UUIDField(widget=forms.HiddenInput, required=False)
    amount = NumberField(label=_("Amount"), decimals=2)
    currency = forms.ChoiceField(label=_("Currency"))
    due_on = DayField(label=_("Due on"))

    class Meta:
        model = PaymentOrder
        fields = [
            "account",
            "counterparty_account",
            "counterparty_name",
            "variable_symbol",
            "constant_symbol",
            "specific_symbol",
            "message",
            "comment",
            "document_number",
            "due_on",
            "speed",
            *ABROAD,
        ]
        widgets = {
            name: forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"})
            for name in ("variable_symbol", "constant_symbol", "specific_symbol")
        } | {"counterparty_account": forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})}
        help_texts = {
            "counterparty_account": _("An IBAN, or [prefix-]number/bank code."),
            "document_number": _("The number of the invoice that it pays, as the supplier writes it."),
        }

    def __init__(self, *arguments: Any, access: Access, **named: Any) -> None:
        super().__init__(*arguments, **named)
        order: PaymentOrder = self.instance
        order.organization = access.organization
        accounts: Any = self.fields["account"]
        accounts.queryset = access.within(BankAccount.objects.all())
        accounts.empty_label = None
        known = dict.fromkeys([*CURRENCIES, *accounts.queryset.values_list("currency", flat=True)])
        currencies: Any = self.fields["currency"]
        currencies.choices = [(name, name) for name in known]
        self.initial["uid"] = order.uid
        self.initial["currency"] = order.currency
        if order.amount_minor:
            self.initial["amount"] = order.amount.amount
        if order.refunds_id or order.credit_note_id:
            self.fields["currency"].disabled = True
            del self.fields["document_number"]

    @property
    def main_fields(self) -> list[forms.BoundField]:
        """The fields that every payment needs, below whom and how much to pay."""
        shown = ("due_on", "speed", "variable_symbol", "specific_symbol", "constant_symbol")
        return [self[name] for name in shown]

    @property
    def abroad_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in ABROAD]

    def clean(self) -> dict[str, Any]:
        values = self.cleaned_data
        if values.get("amount") is not None and values.get("currency"):
            try:
                money = Money.of(values["amount"], values["currency"])
            except AmountUnreadable as error:
                self.add_error("amount", error_text(error))
            else:
                self.instance.amount_minor, self.instance.currency = money.minor, money.currency
        if self.instance._state.adding and values.get("uid"):
            self.instance.uid = values["uid"]
        return values

    def show(self, error: KvitError) -> None:
        """Show why the order is refused, at the field that answers it."""
        field = error.field if isinstance(error, Misconfigured) else None
        self.add_error(field if field in self.fields else None, error_text(error))
