"""Own accounts: one row each, however a source writes the number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db import transaction

from kvit.audit.recording import Actor, changed, created, record
from kvit.ledger.models import BankAccount
from kvit.users.models import Organization

_IBAN: Final = re.compile(r"(?:CZ|SK)\d{2}(?P<bank>\d{4})(?P<prefix>\d{6})(?P<number>\d{10})", re.ASCII)
_WITH_BANK: Final = re.compile(r"(?:(?P<prefix>\d{1,6})-)?(?P<number>\d{1,10})/(?P<bank>\d{4})", re.ASCII)
_BARE: Final = re.compile(r"(?:(?P<prefix>\d{1,6})-)?(?P<number>\d{2,10})", re.ASCII)
_BARE_DIGITS: Final = re.compile(r"(?P<prefix>\d{1,6})(?P<number>\d{10})", re.ASCII)
"""As GPC has it: prefix and number without anything between, up to sixteen digits."""


def own_account(
    organization: Organization, number: str, currency: str, name: str, *, actor: Actor
) -> BankAccount:
    """Find the own account with this number in this currency, or make it.

    The number may be an IBAN, `[prefix-]number/bank code`, or without a bank, as GPC files have it. Where the
    stored row says less than the source, it takes the fuller number over. A number that may be two accounts
    is neither of them and gets a row of its own. Of two callers at once the second one finds the first
    one's row.
    """
    written = _Number.of(number)
    rows = BankAccount.objects.filter(organization=organization, currency=currency).order_by("id")
    found = _same_account(written, list(rows))
    if found is not None and not written.says_more_than(_Number.of(found.number)):
        return found
    with transaction.atomic():
        Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
        found = _same_account(written, list(rows.all()))
        if found is None:
            return _make(organization, written, currency, name, actor)
        _complete(found, written, actor)
        return found


def same_account(number: str, rows: Sequence[BankAccount]) -> BankAccount | None:
    """Return which of these accounts, all in one currency, `own_account` takes a number for, or none."""
    return _same_account(_Number.of(number), rows)


@dataclass(frozen=True, slots=True)
class _Number:
    """An account number as it is written, and its parts where they can be told."""

    text: str
    bank: str = ""
    digits: str = ""
    """Prefix and number, sixteen digits; empty where it is no Czech or Slovak number."""
    fullness: int = 0
    """IBAN > with the bank's code > without a bank > what is no such number."""

    @classmethod
    def of(cls, text: str) -> _Number:
        compact = "".join(text.split())
        for fullness, form in ((3, _IBAN), (2, _WITH_BANK), (1, _BARE), (1, _BARE_DIGITS)):
            if parts := form.fullmatch(compact.upper()):
                found = parts.groupdict(default="")
                digits = f"{found.get('prefix') or '':0>6}{found['number']:0>10}"
                return cls(compact.upper(), found.get("bank", ""), digits, fullness)
        return cls(compact)

    def is_same_as(self, other: _Number) -> bool:
        """Whether both are written in one way and say the same; leading zeros aside."""
        if self.fullness != other.fullness or self.fullness in (0, 3):
            return self.text == other.text
        return (self.bank, self.digits) == (other.bank, other.digits)

    def may_be(self, other: _Number) -> bool:
        """Whether the two, written in two ways, say nothing that differs."""
        return (
            self.fullness != other.fullness
            and bool(self.digits)
            and self.digits == other.digits
            and (not self.bank or not other.bank or self.bank == other.bank)
        )

    def says_more_than(self, other: _Number) -> bool:
        return self.fullness > other.fullness


def _same_account(written: _Number, rows: Sequence[BankAccount]) -> BankAccount | None:
    """The row with this number, else the only one that it may be and that may be nothing else."""
    numbers = [(_Number.of(row.number), row) for row in rows]
    same = [row for number, row in numbers if number.is_same_as(written)]
    if same:
        return same[0]
    fuller = [row for number, row in numbers if number.says_more_than(written) and written.may_be(number)]
    if fuller:
        return fuller[0] if len(fuller) == 1 else None
    shorter = [
        row
        for number, row in numbers
        if written.says_more_than(number)
        and written.may_be(number)
        and not any(number.may_be(other) for other, _row in numbers)
    ]
    return shorter[0] if len(shorter) == 1 else None


def _make(
    organization: Organization, written: _Number, currency: str, name: str, actor: Actor
) -> BankAccount:
    row = BankAccount.objects.create(
        organization=organization, number=written.text, currency=currency, name=name
    )
    record(organization, actor, [created(row)])
    return row


def _complete(row: BankAccount, written: _Number, actor: Actor) -> None:
    """Take the fuller number over."""
    if not written.says_more_than(_Number.of(row.number)):
        return
    before, row.number = row.number, written.text
    row.save(update_fields=["number"])
    reason = "the source writes the number in full"
    record(row.organization, actor, [changed(row, {"number": before}, {"number": row.number}, reason=reason)])
