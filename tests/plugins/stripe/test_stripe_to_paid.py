"""The whole way: sold by card, paid out by Stripe, credited by the bank, and the invoice is paid once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from importlib.metadata import EntryPoint, EntryPoints

import pytest
from django.db.models import Sum

from kvit.audit.recording import SYSTEM
from kvit.invoices.models import Invoice
from kvit.ledger.models import MoneyTransaction
from kvit.matching import payouts
from kvit.matching.payout_models import PayoutReport
from kvit.matching.reconcile import reconcile
from kvit.sync import connections, registry
from kvit.sync.models import PluginConfiguration, SourceAccount, SyncHistory
from kvit.testing import serving
from kvit.users.models import Organization
from tests.factories import a_client, a_movement, an_account, an_invoice, money, post
from tests.plugins.stripe.stripe_bank import ACCOUNT, StripeBank
from tests.sync.installation import counts, sync, today

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)
PAYER = "IE29AIBK93115212345678"


@pytest.fixture
def bank() -> StripeBank:
    bank = StripeBank()
    bank.today = today()
    return bank


@pytest.fixture
def connection(
    bank: StripeBank, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PluginConfiguration]:
    entry = EntryPoint("stripe", "kvit.plugins.stripe:Stripe", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints([entry]))
    registry.forget()
    with serving(bank) as address:
        texts = {
            "api_key": bank.secret,
            "base_url": address,
            "payer_account": PAYER,
            "keep_balance": "true",
        }
        yield connections.add(organization, "stripe", "Stripe", texts, actor=SYSTEM)
    monkeypatch.undo()
    registry.forget()


def sold_and_paid_out(bank: StripeBank, *symbols: str) -> str:
    """Sell each invoice of 1210.00 for a fee of 24.15 and pay all out at once."""
    for symbol in symbols:
        bank.sale(today() - 9 * DAY, 121_000, 2_415, metadata={"variable_symbol": symbol})
    return bank.pay_out(today() - 5 * DAY)


def test_an_invoice_paid_by_card_is_settled_by_the_payout_and_by_nothing_else(
    bank: StripeBank, organization: Organization, connection: PluginConfiguration
) -> None:
    invoice = an_invoice(a_client(organization), symbol="20260042", issued_on=today() - 12 * DAY)
    payout = sold_and_paid_out(bank, "20260042")
    assert sync(connection).status == SyncHistory.Status.COMPLETED
    assert Invoice.objects.get(pk=invoice.pk).settled_minor == 0

    report = PayoutReport.objects.get(provider="stripe", reference=payout)
    post(
        an_account(organization),
        [a_movement("B1", "1185.85 CZK", booked_on=today() - 2 * DAY, counterparty_account=PAYER)],
    )
    reconcile(organization, actor=SYSTEM)
    credit = payouts.find_credit(report)
    assert credit is not None
    assert payouts.apply(report, credit, actor=SYSTEM) == payouts.Applied(settled=1, left=0)

    paid = Invoice.objects.get(pk=invoice.pk)
    assert paid.settled_minor == paid.total_minor == 121_000
    shares = dict(paid.settlements.order_by().values_list("source_kind").annotate(Sum("amount_minor")))
    assert shares == {"transaction": 118_585, "fee": 2_415}


def test_the_ledger_holds_the_balance_once_however_often_it_is_synced(
    bank: StripeBank, organization: Organization, connection: PluginConfiguration
) -> None:
    sold_and_paid_out(bank, "1", "2", "3")
    bank.sale(today(), 50_000, 900)
    first, second = sync(connection), sync(connection)

    assert counts(first) == {"fetched": 6, "created": 5}
    assert counts(second) == {"fetched": 2, "unchanged": 2}
    rows = MoneyTransaction.objects.filter(organization=organization)
    total = rows.aggregate(total=Sum("amount_minor"))["total"]
    assert total == bank.total("czk").minor == 49_100
    source = SourceAccount.objects.get(connection=connection)
    assert source.external_id == f"{ACCOUNT} CZK"
    booked = rows.filter(status="booked").aggregate(total=Sum("amount_minor"))["total"]
    assert source.balance_minor == booked == 0
    assert PayoutReport.objects.count() == 1


def test_money_that_becomes_available_is_booked_in_its_place(
    bank: StripeBank, organization: Organization, connection: PluginConfiguration
) -> None:
    bank.sale(today() - DAY, 50_000, 900)
    sync(connection)
    row = MoneyTransaction.objects.get(organization=organization)
    assert (row.status, row.amount) == ("pending", money("491.00 CZK"))

    bank.today += 3 * DAY
    assert counts(sync(connection)) == {"fetched": 1, "updated": 1}
    assert MoneyTransaction.objects.get(pk=row.pk).status == "booked"


def test_no_movement_of_the_balance_settles_an_invoice_by_itself(
    bank: StripeBank, organization: Organization, connection: PluginConfiguration
) -> None:
    invoice = an_invoice(a_client(organization), symbol="20260042", issued_on=today() - 12 * DAY)
    bank.sale(today() - 9 * DAY, 121_000, 0, description="Faktura 20260042")
    sync(connection)

    assert MoneyTransaction.objects.get(organization=organization).amount_minor == invoice.total_minor
    assert Invoice.objects.get(pk=invoice.pk).settled_minor == 0
