"""The form that says which column of a CSV file means what."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, override

from django import forms
from django.forms.boundfield import BoundField
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from kvit.kernel.errors import KvitError
from kvit.kernel.statements.csv import SHIPPED, Layout, Profile, Role, mapped, roles_of
from kvit.sync.models import HandedFile
from kvit.users.scoping import Access
from kvit.web.forms_imports import WhoseForm
from kvit.web.words import error_text

ROWS_SHOWN: Final = 6
UNSAVED: Final = "custom"
"""The name of a mapping that is not kept; its statements have the format “csv:custom”."""

ROLES: Final = (
    (
        _("When and how much"),
        (
            (Role.BOOKED_ON, _("day booked")),
            (Role.VALUE_ON, _("value date")),
            (Role.AMOUNT, _("amount with its sign")),
            (Role.INCOME, _("amount that came in")),
            (Role.EXPENSE, _("amount that went out")),
            (Role.SIGN_MARK, _("mark of in or out")),
            (Role.CURRENCY, _("currency")),
            (Role.FEE, _("fee")),
            (Role.BALANCE, _("balance after it")),
        ),
    ),
    (
        _("Who"),
        (
            (Role.COUNTERPARTY_NAME, _("name of the other side")),
            (Role.COUNTERPARTY_ACCOUNT, _("account of the other side")),
            (Role.COUNTERPARTY_BANK, _("bank code of the other side")),
            (Role.ACCOUNT, _("own account")),
        ),
    ),
    (
        _("What for"),
        (
            (Role.VARIABLE_SYMBOL, _("variable symbol")),
            (Role.CONSTANT_SYMBOL, _("constant symbol")),
            (Role.SPECIFIC_SYMBOL, _("specific symbol")),
            (Role.MESSAGE, _("message (several columns are joined)")),
            (Role.REFERENCE, _("payer's reference")),
            (Role.EXTERNAL_ID, _("the bank's id of the movement")),
            (Role.STATUS, _("state of the movement")),
        ),
    ),
)
_OTHER_ROLES: Final = (
    (Role.IS_BANK_ID, _("whether the id is the bank's (Kvit's own export)")),
    (Role.PENDING, _("whether it is only announced (Kvit's own export)")),
)


@dataclass(frozen=True, slots=True)
class ColumnChoice:
    """One column of the table: its heading, the first cells, and the field that says what it holds."""

    heading: str
    """Empty where the table has no header."""
    number: int
    """From 1."""
    field: BoundField


class MappingForm(WhoseForm):
    """A role for each column, and what the columns alone do not tell."""

    decimal = forms.ChoiceField(
        required=False,
        label=_("Decimal mark"),
        choices=[("", _("as the file shows")), (",", _("comma: 1 234,56")), (".", _("point: 1,234.56"))],
    )
    date_order = forms.ChoiceField(
        required=False,
        label=_("Order in dates"),
        choices=[
            ("", _("as the file shows")),
            ("dmy", _("day, month, year")),
            ("mdy", _("month, day, year")),
            ("ymd", _("year, month, day")),
        ],
    )
    outgoing = forms.CharField(
        required=False,
        max_length=200,
        label=_("Marks of money that went out"),
        help_text=_("Separated by commas, such as D, Af, debit."),
    )
    incoming = forms.CharField(
        required=False,
        max_length=200,
        label=_("Marks of money that came in"),
        help_text=_("Separated by commas, such as C, Bij, credit."),
    )
    inverted = forms.BooleanField(
        required=False, label=_("Amounts are positive where money leaves (card accounts)")
    )
    fee = forms.BooleanField(required=False, label=_("The fee is taken besides the amount"))
    save_as = forms.CharField(
        required=False,
        max_length=100,
        label=_("Remember these columns as"),
        help_text=_("Files with the same columns are then read by themselves. Empty: only this once."),
    )

    def __init__(
        self,
        file: HandedFile,
        layout: Layout,
        profile: Profile,
        *,
        access: Access,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Start from a profile, which may say too little."""
        said = {"account": file.account or profile.account, "currency": file.currency or profile.currency}
        super().__init__(frozenset({"account", "currency"}), access=access, data=data, said=said)
        self._layout = layout
        self.initial.update(_initial(profile))
        self.initial["save_as"] = profile.title or _name_of(file)
        for place, role in enumerate(roles_of(profile, layout)):
            self.fields[_column(place)] = _role_field(layout, place, role)

    @property
    def columns(self) -> Iterator[ColumnChoice]:
        """Each column of the table, from the left."""
        for place in range(self._layout.width):
            heading = self._layout.header[place] if place < len(self._layout.header) else ""
            yield ColumnChoice(heading, place + 1, self[_column(place)])

    @property
    def rows(self) -> list[list[str]]:
        """The first rows of the table, each with a cell for every column."""
        width = self._layout.width
        return [[*row, *[""] * width][:width] for row in self._layout.rows[:ROWS_SHOWN]]

    @property
    def whose(self) -> list[BoundField]:
        return [self[name] for name in ("account", "number", "currency")]

    @property
    def reading(self) -> list[BoundField]:
        return [self[name] for name in ("decimal", "date_order")]

    @property
    def profile(self) -> Profile:
        """The profile that the choices make, be they sent or only offered.

        It holds the account and the currency that were written by hand; a chosen own account is kept beside
        it. Raises StatementUnreadable where the choices cannot give a movement.
        """
        chosen = self.answers
        by_hand = self.said if chosen["account"] is None else {}
        title = str(chosen["save_as"]).strip()
        return mapped(
            self._layout,
            [_role(chosen[_column(place)]) for place in range(self._layout.width)],
            name=_profile_name(title),
            title=title,
            decimal=chosen["decimal"],
            date_order=chosen["date_order"],
            incoming=_marks(chosen["incoming"]),
            outgoing=_marks(chosen["outgoing"]),
            inverted=chosen["inverted"],
            fee="besides" if chosen["fee"] else "",
            account=by_hand.get("account", ""),
            currency=by_hand.get("currency", ""),
        )

    @override
    def clean(self) -> None:
        """Ask for nothing: a column may tell the account or the currency, and else the look asks for them."""

    @override
    def show(self, error: KvitError) -> None:
        """Show an error above the columns."""
        self.add_error(None, error_text(error))


class StartForm(forms.Form):
    """A profile to start from, in place of the best guess."""

    profile = forms.ChoiceField(required=False, label=_("Start from"))

    def __init__(self, saved: Mapping[str, str], data: Mapping[str, Any] | None = None) -> None:
        """Take the saved profiles by their keys; those that come with Kvit are offered beside them."""
        super().__init__(data)
        shipped = sorted((name, profile.title or name) for name, profile in SHIPPED.items())
        field: Any = self.fields["profile"]
        field.choices = [("", _("the best guess")), *saved.items(), (_("Known banks"), shipped)]


def _column(place: int) -> str:
    return f"column-{place}"


def _role_field(layout: Layout, place: int, role: Role | None) -> forms.ChoiceField:
    others = [(one.value, name) for one, name in _OTHER_ROLES if one == role]
    groups = [(title, [(one.value, name) for one, name in roles]) for title, roles in ROLES]
    heading = layout.header[place] if place < len(layout.header) else ""
    return forms.ChoiceField(
        required=False,
        label=heading or str(place + 1),
        choices=[("", _("– not needed –")), *groups, *others],
        initial=role.value if role else "",
    )


def _role(text: str) -> Role | None:
    return Role(text) if text else None


def _marks(text: str) -> tuple[str, ...]:
    return tuple(mark for part in text.split(",") if (mark := part.strip()))


def _initial(profile: Profile) -> dict[str, Any]:
    return {
        "decimal": profile.decimal,
        "date_order": profile.date_order,
        "incoming": ", ".join(profile.incoming),
        "outgoing": ", ".join(profile.outgoing),
        "inverted": profile.inverted,
        "fee": bool(profile.fee),
    }


def _name_of(file: HandedFile) -> str:
    """A name to begin with: that of the file without its dates and numbers."""
    stem = re.sub(r"[\W\d_]+", " ", file.name.rpartition(".")[0]).strip()
    return stem[:60] or "CSV"


def _profile_name(title: str) -> str:
    """The name that a profile has in sources; never that of one that comes with Kvit."""
    name = slugify(title.replace("_", "-")) or UNSAVED
    return f"{name}-own" if name in SHIPPED else name
