"""Forms of statement files: handing them over, and what they do not say of themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, override

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from kvit.kernel.errors import KvitError
from kvit.ledger.models import BankAccount
from kvit.plugin import SourceFile
from kvit.sync.imports import FileLook
from kvit.users.scoping import Access
from kvit.web.forms_money import CURRENCIES
from kvit.web.words import error_text

MOST_FILES: Final = 20
LARGEST_PROFILE_BYTES: Final = 64 * 1024


class _SeveralFilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class _SeveralFilesField(forms.FileField):
    """Several files at once; what is wrong with one of them is told with its name."""

    widget = _SeveralFilesInput

    @override
    def clean(self, data: Any, initial: Any = None) -> Any:
        files: Sequence[Any] = data if isinstance(data, list | tuple) else [data]
        if len(files) > MOST_FILES:
            raise forms.ValidationError(
                gettext("Choose at most {count} files at once.").format(count=MOST_FILES)
            )
        if not any(files):
            raise forms.ValidationError(gettext("Choose a file first."))
        wrong = [
            gettext("{file}: the file is empty.").format(file=file.name) for file in files if not file.size
        ]
        if wrong:
            raise forms.ValidationError(wrong)
        return list(files)


class UploadForm(forms.Form):
    statements = _SeveralFilesField(label=_("Choose statement files"))

    @property
    def handed(self) -> list[SourceFile]:
        """The files as the import takes them; only after validation."""
        uploads: list[UploadedFile[Any]] = self.cleaned_data["statements"]
        return [SourceFile(name=file.name or "file", data=file.read()) for file in uploads]


class WhoseForm(forms.Form):
    """Whose account a file is about, and in which currency: an own account, or a number written by hand."""

    account = forms.ModelChoiceField(
        BankAccount.objects.none(),
        required=False,
        label=_("Own account"),
        empty_label=_("another one, written beside"),
    )
    number = forms.CharField(
        required=False,
        max_length=64,
        label=_("IBAN or account number"),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    currency = forms.ChoiceField(required=False, label=_("Currency"))

    def __init__(
        self,
        asked: frozenset[str],
        *,
        access: Access,
        data: Mapping[str, Any] | None = None,
        said: Mapping[str, str],
        prefix: str | None = None,
    ) -> None:
        """Ask for the “account”, the “currency” or both; `said` is what was answered before."""
        super().__init__(data, prefix=prefix)
        self._asked = asked
        accounts = access.within(BankAccount.objects.all())
        self._offer_accounts(accounts, said)
        self._offer_currencies(accounts, said)

    @property
    def said(self) -> dict[str, str]:
        """What the person says, as `account` and `currency`; of a form not sent yet, what it begins with."""
        chosen: BankAccount | None = self.answers.get("account")
        number: str = self.answers.get("number") or ""
        currency: str = self.answers.get("currency") or ""
        if chosen is not None:
            return {"account": chosen.number, "currency": currency or chosen.currency}
        return {"account": "".join(number.split()), "currency": currency}

    @property
    def answers(self) -> Mapping[str, Any]:
        """The values of the fields; of a form not sent yet, those it begins with."""
        if self.is_bound:
            return self.cleaned_data
        return {name: self.get_initial_for_field(field, name) for name, field in self.fields.items()}

    @override
    def clean(self) -> None:
        chosen, number = self.cleaned_data.get("account"), self.cleaned_data.get("number")
        if "account" in self._asked and not chosen and not number and "number" not in self.errors:
            self.add_error("number", gettext("Choose an own account, or write its number."))
        if "currency" in self._asked and not chosen and not self.cleaned_data.get("currency"):
            self.add_error("currency", gettext("Choose the currency."))

    def show(self, error: KvitError) -> None:
        """Show why what was said is refused."""
        self.add_error(None, error_text(error))

    def _offer_accounts(self, accounts: Any, said: Mapping[str, str]) -> None:
        if "account" not in self._asked:
            del self.fields["account"], self.fields["number"]
            return
        field: Any = self.fields["account"]
        field.queryset = accounts
        known = accounts.filter(number=said["account"]).first() if said["account"] else None
        self.initial["account"] = known
        self.initial["number"] = "" if known else said["account"]

    def _offer_currencies(self, accounts: Any, said: Mapping[str, str]) -> None:
        if "currency" not in self._asked:
            del self.fields["currency"]
            return
        names = dict.fromkeys([*CURRENCIES, *accounts.values_list("currency", flat=True)])
        field: Any = self.fields["currency"]
        nothing = _("as the own account") if "account" in self._asked else _("choose a currency")
        field.choices = [("", nothing), *((name, name) for name in names)]
        self.initial["currency"] = said["currency"]


class FileForm(WhoseForm):
    """What one file of an import does not say of itself."""

    def __init__(self, look: FileLook, *, access: Access, data: Mapping[str, Any] | None = None) -> None:
        self.file = look.file
        said = {"account": look.file.account, "currency": look.file.currency}
        answered = {name for name, value in said.items() if value}
        asked = (look.needs | answered) & {"account", "currency"}
        super().__init__(asked, access=access, data=data, said=said, prefix=f"file-{look.file.pk}")


class ProfileFileForm(forms.Form):
    """A CSV profile that somebody shared as a TOML file."""

    name = forms.CharField(label=_("Name"), max_length=100)
    toml = forms.FileField(label=_("Profile (TOML)"))

    @override
    def clean(self) -> None:
        upload: UploadedFile[Any] | None = self.cleaned_data.get("toml")
        if upload is None:
            return
        if (upload.size or 0) > LARGEST_PROFILE_BYTES:
            self.add_error("toml", gettext("A profile is a small text file; this one is too large."))
            return
        try:
            self.cleaned_data["text"] = upload.read().decode("utf-8")
        except UnicodeDecodeError:
            self.add_error("toml", gettext("This is not a text file."))

    def show(self, error: KvitError) -> None:
        """Show why the profile is refused."""
        self.add_error("toml", error_text(error))
