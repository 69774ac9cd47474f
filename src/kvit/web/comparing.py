"""Two versions of a movement, or two movements that may be one, side by side with what differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _

from kvit.ledger import duplicates
from kvit.ledger.models import MoneyTransaction, PossibleDuplicate, TransactionConflict
from kvit.web.words import day_text, money_text, source_text


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact as the two tell it."""

    name: str
    first: str
    second: str
    differs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """What is booked beside what the source says now."""

    row: TransactionConflict
    facts: tuple[Fact, ...]
    next: str
    """Where the reader goes on after the answer."""

    @property
    def movement(self) -> MoneyTransaction:
        return self.row.transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """The movement that was stored before beside the one that came later."""

    row: PossibleDuplicate
    facts: tuple[Fact, ...]
    next: str
    kept: MoneyTransaction
    """The one that stays, were they called one movement."""
    withdrawn: MoneyTransaction

    @property
    def keeps_the_later(self) -> bool:
        return self.kept.pk == self.row.transaction_id


def conflict(row: TransactionConflict, next: str) -> Conflict:
    """Compare the movement of an open conflict, loaded with it, with what the source says now."""
    booked = row.transaction
    return Conflict(
        row=row,
        next=next,
        facts=(
            _fact(_("Amount"), money_text(booked.amount), money_text(row.amount)),
            _fact(_("Booked on"), day_text(booked.booked_on), day_text(row.booked_on)),
        ),
    )


def duplicate(row: PossibleDuplicate, next: str) -> Duplicate:
    """Compare the two movements of an open question, loaded with it."""
    withdrawn, kept = duplicates.withdrawn_and_kept(row.transaction, row.candidate)
    return Duplicate(
        row=row,
        next=next,
        facts=tuple(_facts(row.candidate, row.transaction)),
        kept=kept,
        withdrawn=withdrawn,
    )


def _facts(first: MoneyTransaction, second: MoneyTransaction) -> Iterator[Fact]:
    yield _fact(_("Amount"), money_text(first.amount), money_text(second.amount))
    yield _fact(_("Booked on"), day_text(first.booked_on), day_text(second.booked_on))
    yield _fact(_("State"), first.get_status_display(), second.get_status_display())
    yield _fact(_("Counterparty"), first.counterparty_name, second.counterparty_name)
    yield from _told(_("Counterparty's account"), first.counterparty_account, second.counterparty_account)
    yield _symbol(_("Variable symbol"), first.variable_symbol, second.variable_symbol)
    for name, one, other in (
        (_("Constant symbol"), first.constant_symbol, second.constant_symbol),
        (_("Specific symbol"), first.specific_symbol, second.specific_symbol),
    ):
        if one or other:
            yield _symbol(name, one, other)
    yield from _told(_("Message"), first.message, second.message)
    yield from _told(_("Reference"), first.reference, second.reference)
    yield Fact(_("Source"), source_text(first.source), source_text(second.source), differs=False)
    yield Fact(_("Bank's id"), first.external_id, second.external_id, differs=False)


def _fact(name: str, first: str, second: str) -> Fact:
    return Fact(name, first or "–", second or "–", differs=first != second)


def _told(name: str, first: str, second: str) -> Iterator[Fact]:
    """A fact that is left out where neither tells it."""
    if first or second:
        yield _fact(name, first, second)


def _symbol(name: str, first: str, second: str) -> Fact:
    """Some sources pad symbols with zeros, which says nothing."""
    return Fact(name, first or "–", second or "–", differs=first.lstrip("0") != second.lstrip("0"))
