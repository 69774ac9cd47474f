"""A small invented business: what it issues and what its bank tells, day by day, from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from kvit.audit.recording import SYSTEM
from kvit.invoices.models import Invoice, Settlement
from kvit.kernel.money import Money
from kvit.ledger.models import MoneyTransaction
from kvit.ledger.movements import Movement
from kvit.matching.models import Decision
from kvit.users.models import Organization
from kvit.work.models import Client, PayerAccount
from tests.factories import a_client, a_draft, a_movement, an_account, post

FIRST_DAY = date(2026, 3, 2)
_PRICES = (50_000, 50_000, 121_000, 99_900)


@dataclass(frozen=True, slots=True)
class Issue:
    """An invoice to be issued; its number follows from the order."""

    client: str
    minor: int
    symbol: str


@dataclass(frozen=True, slots=True)
class Day:
    day: date
    issues: tuple[Issue, ...]
    movements: tuple[Movement, ...]


def business(seed: int, days: int = 15, clients: int = 5) -> list[Day]:
    """Make up days with issues and payments: exact, without a symbol, slipped, in part, too much, twice."""
    chance = random.Random(seed)  # an invented business is no secret
    names = [f"Klient {letter} s.r.o." for letter in "ABCDEFGH"[:clients]]
    accounts = {name: f"{1000 + at * 11}-{2000000000 + at}/0800" for at, name in enumerate(names)}
    owed: list[Issue] = []
    result = []
    for number in range(days):
        day = FIRST_DAY + timedelta(days=number)
        issues = tuple(
            Issue(chance.choice(names), chance.choice(_PRICES), f"26{number:02d}{at:02d}")
            for at in range(chance.randrange(1, 4))
        )
        owed += issues
        movements: list[Movement] = []
        for at in range(chance.randrange(1, 4)):
            if owed:
                issue = owed.pop(chance.randrange(len(owed)))
                movements += _payments(chance, issue, accounts[issue.client], day, f"{number:02d}-{at}")
        result.append(Day(day, issues, tuple(movements)))
    return result


def _payments(
    chance: random.Random, issue: Issue, account: str, day: date, identity: str
) -> Iterable[Movement]:
    symbol, minor = issue.symbol, issue.minor
    facts: dict[str, Any] = {"counterparty_account": account, "counterparty_name": issue.client}
    match chance.randrange(12):
        case 0:
            symbol = ""
        case 1:
            symbol = f"{int(symbol) + 1}"
        case 2:
            minor //= 2
        case 3:
            minor += 1_000
        case 4:
            yield _movement(identity + "-again", minor, day, symbol, facts)
        case 5:
            facts, symbol = facts | {"message": f"platba fa {symbol}"}, ""
        case 6:
            facts = facts | {"counterparty_account": "", "counterparty_name": "Neznámý plátce"}
        case _:
            pass
    yield _movement(identity, minor, day, symbol, facts)


def _movement(identity: str, minor: int, day: date, symbol: str, facts: dict[str, Any]) -> Movement:
    amount = str(Money(minor, "CZK"))
    return a_movement(identity, amount, booked_on=day, variable_symbol=symbol, **facts)


def issue_all(organization: Organization, day: Day) -> list[Invoice]:
    """Issue the day's invoices on its day."""
    made = []
    for issue in day.issues:
        client = Client.objects.filter(organization=organization, name=issue.client).first()
        draft = a_draft(
            client or a_client(organization, issue.client),
            str(Money(issue.minor, "CZK")),
            symbol=issue.symbol,
            due_on=day.day + timedelta(days=14),
        )
        draft.issue(day.day, actor=SYSTEM)
        made.append(draft)
    return made


def deliver(organization: Organization, movements: Sequence[Movement]) -> None:
    """Have the bank tell them in this order."""
    if movements:
        post(an_account(organization), movements)


def outcome(organization: Organization) -> dict[str, Any]:
    """Return all that matching settled and learned, by names that do not depend on the order of arrival."""
    lines = Settlement.objects.filter(organization=organization, voids__isnull=True, voided_by__isnull=True)
    invoices = Invoice.objects.filter(organization=organization)
    payers = PayerAccount.objects.filter(organization=organization)
    movements = MoneyTransaction.objects.filter(organization=organization)
    current = Decision.objects.current().filter(organization=organization)
    return {
        "lines": sorted(
            lines.values_list("transaction__external_id", "invoice__variable_symbol", "amount_minor"),
            key=str,
        ),
        "invoices": sorted(invoices.values_list("variable_symbol", "state", "settled_minor", "paid_on")),
        "movements": sorted(movements.values_list("external_id", "settled_minor")),
        "payers": sorted(payers.values_list("client__name", "key", "provenance")),
        "ports": sorted(current.values_list("transaction__external_id", "port", "tier")),
    }
