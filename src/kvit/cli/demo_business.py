"""The invented business of the demo: its owner, clients and a year of invoices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from django.db import transaction

from kvit.audit.recording import COMMAND, created, record
from kvit.invoices.models import Invoice, InvoiceLine
from kvit.kernel.money import Money
from kvit.ledger.models import BankAccount
from kvit.users.models import Membership, Organization, User
from kvit.work.models import Client

ORGANIZATION: Final = "Ukázka s.r.o. (demo)"
EMAIL: Final = "demo@kvit.example"
IBAN: Final = "CZ2520100000002600447710"
CURRENCY: Final = "CZK"
MONTHS_BACK: Final = 12
DAYS_TO_PAY: Final = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A client and how we work for it: every `every` months from month `start` on."""

    name: str
    street: str
    city: str
    postal_code: str
    account: str
    """The account it pays from."""
    every: int
    start: int
    day: int
    """Day of the month when its invoice is issued."""
    work: str
    unit: str
    least: str
    """Quantity of the smallest invoice."""
    step: str
    """By how much quantities differ."""
    price: str


CUSTOMERS: Final = (
    Customer(
        name="Pekárna U Zvonu s.r.o.",
        street="Zvonařská 12",
        city="Praha 2",
        postal_code="120 00",
        account="1070033312/0100",
        every=1,
        start=0,
        day=1,
        work="Správa e-shopu",
        unit="měsíc",
        least="1",
        step="0",
        price="4900.00",
    ),
    Customer(
        name="Autodílna Horák a syn",
        street="Dílenská 845",
        city="Kladno",
        postal_code="272 01",
        account="2112400454/0800",
        every=1,
        start=0,
        day=2,
        work="Vedení webu a hosting",
        unit="měsíc",
        least="1",
        step="0",
        price="1450.00",
    ),
    Customer(
        name="Advokátní kancelář Dvořáková",
        street="Údolní 33",
        city="Brno",
        postal_code="602 00",
        account="4390021170/0300",
        every=1,
        start=0,
        day=4,
        work="Technická podpora",
        unit="hod",
        least="3",
        step="0.5",
        price="1250.00",
    ),
    Customer(
        name="Zahradnictví Čermák s.r.o.",
        street="Na Sadech 7",
        city="Olomouc",
        postal_code="779 00",
        account="2900116681/2010",
        every=2,
        start=0,
        day=6,
        work="Fotografie rostlin pro katalog",
        unit="hod",
        least="6",
        step="1.5",
        price="980.00",
    ),
    Customer(
        name="Nakladatelství Modrá velryba s.r.o.",
        street="Přístavní 51",
        city="Praha 7",
        postal_code="170 00",
        account="1234509875/5500",
        every=2,
        start=1,
        day=8,
        work="Sazba knihy",
        unit="strana",
        least="120",
        step="24",
        price="68.50",
    ),
    Customer(
        name="Kavárna Pod Lípou",
        street="Lipová 3",
        city="Plzeň",
        postal_code="301 00",
        account="7720041160/3030",
        every=3,
        start=0,
        day=11,
        work="Grafický návrh nápojového lístku",
        unit="ks",
        least="1",
        step="1",
        price="3600.00",
    ),
    Customer(
        name="Fyzioterapie Novotná s.r.o.",
        street="Lázeňská 20",
        city="Liberec",
        postal_code="460 01",
        account="5010022249/0600",
        every=3,
        start=1,
        day=14,
        work="Rezervační systém – úpravy",
        unit="hod",
        least="8",
        step="2.25",
        price="1350.00",
    ),
    Customer(
        name="Obec Dolní Lípa",
        street="Náves 1",
        city="Dolní Lípa",
        postal_code="391 11",
        account="2480017758/0800",
        every=3,
        start=2,
        day=17,
        work="Obecní zpravodaj – sazba a tisková data",
        unit="číslo",
        least="1",
        step="0",
        price="8200.00",
    ),
)


@transaction.atomic
def make(today: date) -> Organization:
    """Make the organization with its account, clients and invoices, issued month by month up to today."""
    organization = Organization.objects.create(
        name=ORGANIZATION, street="Ukázková 1", city="Praha 1", postal_code="110 00"
    )
    account = BankAccount.objects.create(
        organization=organization, number=IBAN, currency=CURRENCY, name="Podnikatelský účet"
    )
    record(organization, COMMAND, [created(organization), created(account)])
    clients = [_client(organization, customer) for customer in CUSTOMERS]
    planned = sorted(_plan(today))
    for issued_on, at, month in planned:
        draft = _draft(account, clients[at], CUSTOMERS[at], month, issued_on)
        draft.issue(issued_on, actor=COMMAND)
    for at in (2, 5):
        _draft(account, clients[at], CUSTOMERS[at], MONTHS_BACK + 1, today)
    return organization


@transaction.atomic
def let_in(organization: Organization, password: str) -> None:
    """Make the owner, or give the owner this password again."""
    user = User.objects.filter(email=EMAIL).first()
    if user is None:
        user = User.objects.create_user(EMAIL, password)
        record(organization, COMMAND, [created(user)])
    elif not user.check_password(password):
        user.set_password(password)
        user.save(update_fields=["password"])
    membership, is_new = Membership.objects.get_or_create(
        user=user, organization=organization, defaults={"role": Membership.Role.OWNER}
    )
    if is_new:
        record(organization, COMMAND, [created(membership)])


def _plan(today: date) -> list[tuple[date, int, int]]:
    """Return the date of issue, the customer's place and the number of the month of every invoice."""
    this_month = today.year * 12 + today.month - 1
    planned = []
    for month in range(MONTHS_BACK + 1):
        year, month_index = divmod(this_month - MONTHS_BACK + month, 12)
        for at, customer in enumerate(CUSTOMERS):
            issued_on = date(year, month_index + 1, customer.day)
            if month % customer.every == customer.start and issued_on <= today:
                planned.append((issued_on, at, month))
    return planned


def _client(organization: Organization, customer: Customer) -> Client:
    client = Client.objects.create(
        organization=organization,
        name=customer.name,
        street=customer.street,
        city=customer.city,
        postal_code=customer.postal_code,
    )
    record(organization, COMMAND, [created(client)])
    return client


def _draft(account: BankAccount, client: Client, customer: Customer, month: int, on: date) -> Invoice:
    """Write a draft; quantities go up and down over the year."""
    quantity = Decimal(customer.least) + Decimal(customer.step) * (month * 5 % 4)
    line = InvoiceLine.of(customer.work, quantity, customer.unit, Money.of(customer.price, CURRENCY))
    draft = Invoice(
        organization=client.organization,
        client=client,
        account=account,
        currency=CURRENCY,
        due_on=on + timedelta(days=DAYS_TO_PAY),
    )
    draft.write([line], actor=COMMAND)
    return draft
