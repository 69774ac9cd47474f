"""Forms of transactions, review, invoices and clients."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.forms.formsets import BaseFormSet, formset_factory
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from kvit.invoices.models import Invoice, InvoiceLine
from kvit.kernel.errors import AmountUnreadable
from kvit.kernel.money import Money
from kvit.ledger.models import BankAccount, MoneyTransaction
from kvit.users.scoping import Access
from kvit.web.amounts import NumberField
from kvit.web.words import error_text
from kvit.work.models import Client

CURRENCIES: Final = ("CZK", "EUR", "USD", "GBP", "PLN", "HUF", "CHF")
DAYS_UNTIL_DUE: Final = 14
MOST_LINES: Final = 200
_DAY_FORMATS: Final = ["%Y-%m-%d", "%d.%m.%Y", "%d. %m. %Y"]


class DayField(forms.DateField):
    """A day, picked or written as `22. 11. 2026`."""

    def __init__(self, **arguments: Any) -> None:
        widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
        super().__init__(widget=widget, input_formats=_DAY_FORMATS, **arguments)


class TransactionFilter(forms.Form):
    """What the list of movements is narrowed to; a field that cannot be read narrows nothing."""

    account = forms.ModelChoiceField(
        BankAccount.objects.none(), required=False, label=_("Account"), empty_label=_("all accounts")
    )
    type = forms.ChoiceField(required=False, label=_("Direction"))
    month = forms.TypedChoiceField(
        required=False, label=_("Month"), coerce=date.fromisoformat, empty_value=None
    )
    withdrawn = forms.BooleanField(required=False, widget=forms.HiddenInput)
    q = forms.CharField(
        required=False,
        max_length=200,
        label=_("Search"),
        widget=forms.TextInput(attrs={"type": "search", "placeholder": _("name, VS, amount")}),
    )

    def __init__(self, data: Any, *, access: Access, months: Iterable[tuple[str, str]]) -> None:
        super().__init__(data)
        self.fields |= {
            "from": DayField(required=False, label=_("From")),
            "to": DayField(required=False, label=_("To")),
        }
        accounts: Any = self.fields["account"]
        accounts.queryset = access.within(BankAccount.objects.all())
        types: Any = self.fields["type"]
        types.choices = [("", _("in and out")), *MoneyTransaction.Type.choices]
        months_field: Any = self.fields["month"]
        months_field.choices = [("", _("all months")), *months]


class InvoiceForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """The head of a draft."""

    due_on = DayField(label=_("Due on"))
    currency = forms.ChoiceField(label=_("Currency"))

    class Meta:
        model = Invoice
        fields = ["client", "account", "currency", "due_on", "variable_symbol", "order_number", "note"]
        widgets = {
            "note": forms.Textarea(attrs={"rows": 3}),
            "variable_symbol": forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
        }
        help_texts = {
            "variable_symbol": _("Left empty, it is made of the invoice's number."),
            "order_number": _("The client's or the shop's, where payments may name it."),
        }

    def __init__(self, *arguments: Any, access: Access, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.instance.organization = access.organization
        clients: Any = self.fields["client"]
        clients.queryset = access.within(Client.objects.all())
        clients.empty_label = _("choose a client")
        accounts: Any = self.fields["account"]
        accounts.queryset = access.within(BankAccount.objects.all())
        accounts.empty_label = _("no account")
        known = dict.fromkeys([*CURRENCIES, *accounts.queryset.values_list("currency", flat=True)])
        currencies: Any = self.fields["currency"]
        currencies.choices = [(name, name) for name in known]
        if self.instance._state.adding:
            self.initial["due_on"] = timezone.localdate() + timedelta(days=DAYS_UNTIL_DUE)
            self.initial["account"] = accounts.queryset.first()
        if self.instance.is_credit_note:
            self._fix_what_the_invoice_decides()

    def _fix_what_the_invoice_decides(self) -> None:
        """A credit note has the client and the currency of its invoice, whatever is sent."""
        for name in ("client", "currency"):
            self.fields[name].disabled = True
        self.fields["account"].label = _("account to pay back from")


class LineForm(forms.Form):
    """One line of a draft; a line with nothing in it is left out."""

    description = forms.CharField(label=_("Description"), max_length=500, required=False)
    quantity = NumberField(label=_("Quantity"), decimals=3, required=False)
    unit = forms.CharField(label=_("Unit"), max_length=20, required=False)
    unit_price = NumberField(label=_("Unit price"), decimals=2, required=False)

    def clean(self) -> dict[str, Any]:
        values = self.cleaned_data
        if self.is_blank or self.errors:
            return values
        if not values["description"]:
            self.add_error("description", _("Say what the line is for."))
        if values["unit_price"] is None:
            self.add_error("unit_price", _("Fill in the price."))
        return values

    @property
    def is_blank(self) -> bool:
        """Whether neither a description nor a price is given, nor anything that cannot be read."""
        values = self.cleaned_data
        written = ("description" in self.errors, "quantity" in self.errors, "unit_price" in self.errors)
        return not (any(written) or values.get("description") or values.get("unit_price") is not None)

    def line(self, currency: str) -> InvoiceLine:
        """Return the line; an empty quantity is one. Raises AmountUnreadable for what is too large."""
        values = self.cleaned_data
        quantity = Decimal(1) if values["quantity"] is None else values["quantity"]
        price = Money.of(values["unit_price"], currency)
        return InvoiceLine.of(values["description"], quantity, values["unit"], price)


LineFormSet = formset_factory(
    LineForm, extra=0, max_num=MOST_LINES, absolute_max=MOST_LINES + 1, validate_max=True
)


def filled_lines(forms: BaseFormSet[LineForm], currency: str) -> list[InvoiceLine]:
    """Return the filled lines of a valid formset. Raises AmountUnreadable for what is too large."""
    found = [form.line(currency) for form in forms if not form.is_blank]
    Money(sum(line.total_minor for line in found), currency)
    return found


class Editor:
    """The head and the lines of one draft as they were sent, or as they are."""

    def __init__(
        self, invoice: Invoice, access: Access, data: Any = None, *, initial: dict[str, Any] | None = None
    ) -> None:
        self.head = InvoiceForm(data, instance=invoice, access=access, initial=initial)
        self.lines = LineFormSet(
            data, prefix="lines", initial=None if data is not None else _initial(invoice)
        )

    @classmethod
    def with_lines(cls, invoice: Invoice, access: Access, data: Any, lines: list[dict[str, str]]) -> Editor:
        """Show what was sent again, unchecked, with these lines instead."""
        fixed = ("client", "currency") if invoice.is_credit_note else ()
        sent = {name: data[name] for name in InvoiceForm.Meta.fields if name in data and name not in fixed}
        editor = cls(invoice, access, initial=sent)
        editor.lines = LineFormSet(prefix="lines", initial=lines or [{}])
        return editor

    def read(self) -> list[InvoiceLine] | None:
        """Return the lines where all is well, with the head in `head.instance`; else None and the errors."""
        if not (self.head.is_valid() & self.lines.is_valid()):
            return None
        try:
            return filled_lines(self.lines, self.head.cleaned_data["currency"])
        except AmountUnreadable as error:
            self.head.add_error(None, error_text(error))
            return None


def sent_lines(data: Any) -> list[dict[str, str]]:
    """Return the lines of a sent form as they were written."""
    text = data.get("lines-TOTAL_FORMS", "")
    count = min(int(text), MOST_LINES) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    return [
        {name: data.get(f"lines-{place}-{name}", "") for name in LineForm.base_fields}
        for place in range(count)
    ]


class IssueForm(forms.Form):
    """The day an invoice is issued."""

    issued_on = DayField(label=_("Date of issue"), initial=timezone.localdate)

    def clean_issued_on(self) -> date:
        day: date = self.cleaned_data["issued_on"]
        if abs((day - timezone.localdate()).days) > 366:
            raise forms.ValidationError(_("That is more than a year away from today. Check the year."))
        return day


class PaymentForm(forms.Form):
    """The day an invoice was paid, as a person says."""

    paid_on = DayField(label=_("Paid on"), initial=timezone.localdate)

    def clean_paid_on(self) -> date:
        day: date = self.cleaned_data["paid_on"]
        if day > timezone.localdate():
            raise forms.ValidationError(_("A payment cannot lie in the future."))
        return day


class VoidForm(forms.Form):
    """Why a document is declared void."""

    reason = forms.CharField(label=_("Why"), max_length=200, required=False)


class ClientForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """Who a client is."""

    class Meta:
        model = Client
        fields = [*Client.AUDITED]
        widgets = {"country": forms.TextInput(attrs={"size": 2, "autocapitalize": "characters"})}

    def clean_country(self) -> str:
        country: str = self.cleaned_data["country"].strip().upper()
        if not (len(country) == 2 and country.isascii() and country.isalpha()):
            raise forms.ValidationError(_("Write the country as two letters, such as CZ."))
        return country


class PayerAccountForm(forms.Form):
    """An account a client pays from."""

    number = forms.CharField(
        label=_("Account number"),
        max_length=64,
        help_text=_("An IBAN, or a Czech number such as 19-2000145399/0800."),
    )


def _initial(invoice: Invoice) -> list[dict[str, Any]]:
    if invoice._state.adding:
        return [{"quantity": Decimal(1)}]
    return [
        {
            "description": line.description,
            "quantity": line.quantity.normalize()
            if line.quantity % 1
            else line.quantity.quantize(Decimal(1)),
            "unit": line.unit,
            "unit_price": line.unit_price.amount,
        }
        for line in invoice.lines.all()
    ] or [{"quantity": Decimal(1)}]
