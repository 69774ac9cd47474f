"""Plain functions that build what a test needs; values are written as text, as people would."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

from django.db import transaction

from kvit.audit.recording import SYSTEM, Actor, created, record
from kvit.invoices.models import Invoice, InvoiceLine
from kvit.kernel.money import Money
from kvit.ledger import posting
from kvit.ledger.models import BankAccount, MoneyTransaction
from kvit.ledger.movements import Movement, movement_of
from kvit.plugin import Transaction
from kvit.users.keys import key_ring
from kvit.users.models import Membership, Organization, User
from kvit.work.models import Client

TODAY = date(2026, 11, 22)
IBAN = "CZ6508000000192000145399"
_numbers = itertools.count(1)


def money(text: str) -> Money:
    """`money("1250.00 CZK")`"""
    amount, currency = text.split()
    return Money.of(amount, currency)


@transaction.atomic
def an_organization(name: str = "") -> Organization:
    organization = Organization.objects.create(name=name or f"Firma {next(_numbers)} s.r.o.")
    record(organization, SYSTEM, [created(organization)])
    return organization


@transaction.atomic
def a_member(organization: Organization, role: str = "owner", email: str = "") -> User:
    user = User.objects.create_user(email or f"person{next(_numbers)}@example.com", "correct horse battery")
    membership = Membership.objects.create(user=user, organization=organization, role=role)
    record(organization, SYSTEM, [created(user), created(membership)])
    return user


@transaction.atomic
def an_account(organization: Organization, number: str = IBAN, currency: str = "CZK") -> BankAccount:
    account, is_new = BankAccount.objects.get_or_create(
        organization=organization, number=number, currency=currency, defaults={"name": "Běžný účet"}
    )
    if is_new:
        record(organization, SYSTEM, [created(account)])
    return account


@transaction.atomic
def a_client(organization: Organization, name: str = "") -> Client:
    client = Client.objects.create(organization=organization, name=name or f"Klient {next(_numbers)}")
    record(organization, SYSTEM, [created(client)])
    return client


def a_draft(
    client: Client,
    total: str = "1210.00 CZK",
    *,
    symbol: str = "",
    account: BankAccount | None = None,
    due_on: date = TODAY + timedelta(days=14),
) -> Invoice:
    amount = money(total)
    invoice = Invoice(
        organization=client.organization,
        client=client,
        account=account,
        currency=amount.currency,
        variable_symbol=symbol,
        due_on=due_on,
    )
    invoice.write([InvoiceLine.of("Práce", Decimal(1), "ks", amount)], actor=SYSTEM)
    return invoice


def an_invoice(
    client: Client,
    total: str = "1210.00 CZK",
    *,
    symbol: str = "",
    account: BankAccount | None = None,
    issued_on: date = TODAY - timedelta(days=7),
    due_on: date = TODAY + timedelta(days=14),
) -> Invoice:
    invoice = a_draft(client, total, symbol=symbol, account=account, due_on=due_on)
    invoice.issue(issued_on, actor=SYSTEM)
    return invoice


def a_movement(external_id: str = "", amount: str = "1210.00 CZK", **fields: object) -> Movement:
    """A checked movement; anything of `kvit.plugin.Transaction` can be given by name."""
    value = money(amount)
    values: dict[str, object] = {
        "external_id": external_id or f"M{next(_numbers)}",
        "account_id": IBAN,
        "amount": value.amount,
        "currency": value.currency,
        "booked_on": TODAY,
        "raw": {"bank": "says"},
    }
    return movement_of(Transaction(**(values | fields)))  # type: ignore[arg-type]  # names are the test's


def post(
    account: BankAccount,
    movements: Sequence[Movement],
    *,
    source: str = f"test:{IBAN}",
    actor: Actor = SYSTEM,
) -> posting.Posted:
    with transaction.atomic():
        return posting.post(account, source, movements, actor=actor, keys=key_ring(account.organization))


def a_payment(account: BankAccount, amount: str = "1210.00 CZK", **fields: object) -> MoneyTransaction:
    """A posted movement with an id of its own."""
    movement = a_movement("", amount, **fields)
    post(account, [movement])
    return MoneyTransaction.objects.get(organization=account.organization, external_id=movement.external_id)
