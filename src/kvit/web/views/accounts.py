"""Own accounts: the statements received for each of them, and what is missing between those."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from kvit.ledger import statements
from kvit.ledger.models import BankAccount, BankStatement
from kvit.ledger.statements import Gap
from kvit.sync.models import SourceAccount
from kvit.users.scoping import Access
from kvit.web.requests import Request

MOST_STATEMENTS: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCard:
    """An own account in a list: its newest statement and what is missing between its statements."""

    account: BankAccount
    newest: BankStatement | None
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True)
class StatementRow:
    """A statement of an account, and what is missing between it and the one before."""

    statement: BankStatement
    gaps: tuple[Gap, ...]

    @property
    def format(self) -> str:
        """The format it was read from, which its source ends with; empty for a source without formats."""
        return self.statement.source.rpartition(" ")[2] if " " in self.statement.source else ""


@require_safe
def listing(request: Request) -> HttpResponse:
    """The own accounts, each with its newest statement."""
    return render(request, "web/accounts/list.html", {"accounts": account_cards(request.access)})


@require_safe
def detail(request: Request, pk: int) -> HttpResponse:
    """One own account: its statements, the newest first, and the gaps between them."""
    account = request.access.get(BankAccount.objects.all(), pk)
    rows = list(statements.statements_of(account)[:MOST_STATEMENTS])
    gaps = statements.gaps(account)
    found = {
        "account": account,
        "gaps": gaps,
        "rows": [StatementRow(row, tuple(gap for gap in gaps if gap.before == row)) for row in rows],
        "sources": SourceAccount.objects.filter(account=account).select_related("connection"),
    }
    return render(request, "web/accounts/detail.html", found)


def account_cards(access: Access) -> list[AccountCard]:
    """Return the own accounts; those with a gap between their statements first."""
    accounts = access.within(BankAccount.objects.all())
    return sorted(map(_card, accounts), key=lambda card: not card.gaps)


def _card(account: BankAccount) -> AccountCard:
    return AccountCard(
        account=account, newest=statements.statements_of(account).first(), gaps=statements.gaps(account)
    )
