from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from threading import Barrier

import pytest
from django.db import IntegrityError, connection, transaction

from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM
from kvit.invoices import settling
from kvit.invoices.models import Invoice, InvoiceLine, Settlement
from kvit.invoices.numbering import take_number
from kvit.kernel.errors import CurrencyMismatch, KvitError, Refused, Stale
from kvit.ledger.models import MoneyTransaction
from kvit.users.models import Organization
from tests.factories import (
    TODAY,
    a_client,
    a_draft,
    a_payment,
    an_account,
    an_invoice,
    an_organization,
    money,
)


def at_once[T](count: int, act: Callable[[int], T]) -> list[T | KvitError]:
    """Run `act` in threads that start together; an error of ours is a result too."""
    together = Barrier(count)

    def one(number: int) -> T | KvitError:
        try:
            together.wait()
            return act(number)
        except KvitError as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_a_draft_has_no_number_and_an_issued_invoice_the_next_one(organization: Organization) -> None:
    client = a_client(organization)
    draft = a_draft(client)
    assert draft.number == ""
    draft.issue(date(2026, 3, 1), actor=SYSTEM)
    assert (draft.number, draft.variable_symbol, draft.state) == ("2026-001", "2026001", "issued")
    assert an_invoice(client, issued_on=date(2026, 3, 2)).number == "2026-002"
    assert an_invoice(client, issued_on=date(2025, 12, 31)).number == "2025-001"


def test_numbers_grow_past_three_digits(organization: Organization) -> None:
    organization.number_series.create(year=2026, last_number=999)
    with transaction.atomic():
        assert take_number(organization, 2026) == "2026-1000"


def test_a_failed_issue_gives_its_number_back(organization: Organization) -> None:
    client = a_client(organization)
    an_invoice(client, symbol="77")
    with pytest.raises(Refused, match="variable symbol"):
        a_draft(client, symbol="0077").issue(TODAY, actor=SYSTEM)
    assert an_invoice(client).number == "2026-002"


def test_the_same_symbol_is_free_on_another_account_and_after_payment(organization: Organization) -> None:
    client = a_client(organization)
    first = an_invoice(client, symbol="77", account=an_account(organization))
    an_invoice(client, symbol="77", account=an_account(organization, "CZ5500000000000000000001"))
    settling.settle_by_hand(first, TODAY, actor=SYSTEM)
    assert an_invoice(client, symbol="77", account=first.account).state == "issued"


def test_an_issued_invoice_cannot_be_written_issued_again_or_discarded(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization))
    with pytest.raises(Stale):
        invoice.write([], actor=SYSTEM)
    with pytest.raises(Stale):
        invoice.issue(TODAY, actor=SYSTEM)
    with pytest.raises(Stale):
        invoice.discard(actor=SYSTEM)
    assert Invoice.objects.get().number == "2026-001"


@pytest.mark.parametrize(
    ("total", "symbol", "due_on"),
    [
        ("0.00 CZK", "", TODAY),
        ("-5.00 CZK", "", TODAY),
        ("5.00 CZK", "", TODAY - timedelta(days=1)),
        ("5.00 CZK", "000", TODAY),
    ],
    ids=["no amount", "negative", "due before issue", "symbol of zeros"],
)
def test_what_cannot_be_issued_stays_a_draft_and_takes_no_number(
    organization: Organization, total: str, symbol: str, due_on: date
) -> None:
    client = a_client(organization)
    draft = a_draft(client, total, symbol=symbol, due_on=due_on)
    with pytest.raises(Refused):
        draft.issue(TODAY, actor=SYSTEM)
    draft.refresh_from_db()
    assert draft.is_draft
    assert an_invoice(client).number == "2026-001"


def test_line_totals_round_halves_away_from_zero() -> None:
    assert InvoiceLine.of("h", Decimal("0.5"), "h", money("0.01 CZK")).total_minor == 1
    assert InvoiceLine.of("h", Decimal("1.333"), "h", money("1000.00 CZK")).total_minor == 133300
    with pytest.raises(Refused):
        InvoiceLine.of("h", Decimal("0.0005"), "h", money("1.00 CZK"))


def test_a_payment_settles_and_an_undo_opens_again(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization), "100.00 CZK")
    payment = a_payment(an_account(organization), "100.00 CZK", booked_on=date(2026, 11, 20))
    line = settling.settle(invoice, payment, money("100.00 CZK"), actor=SYSTEM)
    invoice.refresh_from_db()
    assert (invoice.state, invoice.paid_on, str(invoice.open)) == ("paid", date(2026, 11, 20), "0.00 CZK")
    settling.unsettle(line, actor=SYSTEM)
    invoice.refresh_from_db()
    payment.refresh_from_db()
    assert (invoice.state, invoice.paid_on, invoice.settled_minor) == ("issued", None, 0)
    assert payment.settled_minor == 0
    assert not [one for one in invoice.settlements.all() if one.is_live]
    with pytest.raises(Stale):
        settling.unsettle(line, actor=SYSTEM)


def test_parts_settle_until_the_invoice_is_whole(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization), "100.00 CZK")
    account = an_account(organization)
    for part, state in (("30.00 CZK", "issued"), ("70.00 CZK", "paid")):
        payment = a_payment(account, part)
        settling.settle(invoice, payment, money(part), actor=SYSTEM)
        invoice.refresh_from_db()
        assert invoice.state == state


def test_settling_is_audited_on_both_sides_from_what_to_what(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization), "100.00 CZK")
    payment = a_payment(an_account(organization), "100.00 CZK")
    settling.settle(invoice, payment, money("100.00 CZK"), actor=SYSTEM)
    entries = AuditEntry.objects.filter(before__has_key="settled_minor")
    changes = {
        entry.table: ((entry.before or {})["settled_minor"], (entry.after or {})["settled_minor"])
        for entry in entries
    }
    assert changes == {"invoices_invoice": (0, 10000), "ledger_moneytransaction": (0, 10000)}


def test_what_can_never_pay_is_refused(organization: Organization) -> None:
    client, account = a_client(organization), an_account(organization)
    euros = an_account(organization, currency="EUR")
    invoice = an_invoice(client, "100.00 CZK")
    cases = [
        (invoice, a_payment(account, "100.00 CZK", status="pending"), "100.00 CZK", Refused),
        (invoice, a_payment(account, "-100.00 CZK"), "100.00 CZK", Refused),
        (invoice, a_payment(account, "100.00 CZK"), "-1.00 CZK", Refused),
        (a_draft(client, "100.00 CZK"), a_payment(account, "100.00 CZK"), "100.00 CZK", Refused),
        (invoice, a_payment(euros, "1.00 EUR"), "1.00 EUR", CurrencyMismatch),
        (invoice, a_payment(an_account(an_organization()), "100.00 CZK"), "100.00 CZK", Refused),
        (invoice, a_payment(account, "50.00 CZK"), "60.00 CZK", Stale),
        (invoice, a_payment(account, "500.00 CZK"), "100.01 CZK", Stale),
    ]
    for target, payment, amount, error in cases:
        with pytest.raises(error):
            settling.settle(target, payment, money(amount), actor=SYSTEM)
    assert not Settlement.objects.exists()
    assert not MoneyTransaction.objects.exclude(settled_minor=0).exists()


def test_the_database_itself_refuses_over_settling(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization), "100.00 CZK")
    payment = a_payment(an_account(organization), "100.00 CZK")
    for rows, change in (
        (Invoice.objects.filter(pk=invoice.pk), {"settled_minor": 10001}),
        (Invoice.objects.filter(pk=invoice.pk), {"settled_minor": 10000}),
        (Invoice.objects.filter(pk=invoice.pk), {"state": "paid", "paid_on": TODAY}),
        (MoneyTransaction.objects.filter(pk=payment.pk), {"settled_minor": 10001}),
        (MoneyTransaction.objects.filter(pk=payment.pk), {"settled_minor": -1}),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(**change)


def test_a_settlement_line_is_never_changed_or_deleted(organization: Organization) -> None:
    line = settling.settle_by_hand(an_invoice(a_client(organization)), TODAY, actor=SYSTEM)
    with pytest.raises(TypeError):
        line.save()
    with pytest.raises(TypeError):
        line.delete()


def test_marked_as_paid_by_hand_with_a_date_and_undone(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization))
    line = settling.settle_by_hand(invoice, date(2026, 11, 1), actor=SYSTEM)
    invoice.refresh_from_db()
    assert (invoice.state, invoice.paid_on) == ("paid", date(2026, 11, 1))
    with pytest.raises(Stale):
        settling.settle_by_hand(invoice, TODAY, actor=SYSTEM)
    settling.unsettle(line, actor=SYSTEM)
    invoice.refresh_from_db()
    assert invoice.state == "issued"


def test_reopening_is_refused_where_the_symbol_was_taken_meanwhile(organization: Organization) -> None:
    client = a_client(organization)
    first = an_invoice(client, symbol="77")
    line = settling.settle_by_hand(first, TODAY, actor=SYSTEM)
    an_invoice(client, symbol="77")
    with pytest.raises(Refused, match="cannot be opened again"):
        settling.unsettle(line, actor=SYSTEM)
    first.refresh_from_db()
    assert first.state == "paid"


@pytest.mark.django_db(transaction=True)
def test_drafts_issued_at_once_get_distinct_gapless_numbers() -> None:
    client = a_client(an_organization())
    drafts = [a_draft(client) for _ in range(12)]

    def issue_every_fourth(first: int) -> None:
        for draft in drafts[first::4]:
            draft.issue(TODAY, actor=SYSTEM)

    results = at_once(4, issue_every_fourth)
    assert not [result for result in results if isinstance(result, KvitError)]
    numbers = sorted(Invoice.objects.values_list("number", flat=True))
    assert numbers == [f"2026-{number:03d}" for number in range(1, 13)]


@pytest.mark.django_db(transaction=True)
def test_one_draft_issued_twice_at_once_is_issued_once() -> None:
    draft = a_draft(a_client(an_organization()))
    results = at_once(4, lambda _: Invoice.objects.get(pk=draft.pk).issue(TODAY, actor=SYSTEM))
    assert sum(isinstance(result, Stale) for result in results) == 3
    assert Invoice.objects.get().number == "2026-001"


@pytest.mark.django_db(transaction=True)
def test_two_people_settling_the_same_rows_at_once_settle_once() -> None:
    organization = an_organization()
    invoice = an_invoice(a_client(organization), "100.00 CZK")
    payment = a_payment(an_account(organization), "100.00 CZK")
    results = at_once(4, lambda _: settling.settle(invoice, payment, money("100.00 CZK"), actor=SYSTEM))
    assert sum(isinstance(result, Stale) for result in results) == 3
    assert Settlement.objects.count() == 1
    assert MoneyTransaction.objects.get().settled_minor == 10000


@pytest.mark.django_db(transaction=True)
def test_two_payments_at_once_never_over_settle_one_invoice() -> None:
    organization = an_organization()
    invoice = an_invoice(a_client(organization), "100.00 CZK")
    payments = [a_payment(an_account(organization), "60.00 CZK") for _ in range(2)]
    results = at_once(2, lambda n: settling.settle(invoice, payments[n], money("60.00 CZK"), actor=SYSTEM))
    assert sum(isinstance(result, Stale) for result in results) == 1
    assert Invoice.objects.get().settled_minor == 6000


@pytest.mark.django_db(transaction=True)
def test_one_undo_clicked_twice_at_once_is_one_undo() -> None:
    organization = an_organization()
    invoice = an_invoice(a_client(organization), "100.00 CZK")
    payment = a_payment(an_account(organization), "100.00 CZK")
    line = settling.settle(invoice, payment, money("100.00 CZK"), actor=SYSTEM)
    results = at_once(3, lambda _: settling.unsettle(line, actor=SYSTEM))
    assert sum(isinstance(result, Stale) for result in results) == 2
    assert MoneyTransaction.objects.get().settled_minor == 0
