"""Payouts in the books: every sale is settled whole, sums balance, undo restores, nobody settles twice."""

from __future__ import annotations

import random

import pytest
from django.db import transaction

from kvit.audit.recording import SYSTEM, Actor, changed, record
from kvit.invoices import settling
from kvit.invoices.crediting import draft_credit_note
from kvit.invoices.models import Invoice, Settlement
from kvit.kernel.errors import Refused, Stale
from kvit.kernel.money import Money
from kvit.ledger.models import MoneyTransaction
from kvit.matching import payouts, review
from kvit.matching.models import Decision
from kvit.matching.payout_models import PayoutReport
from kvit.matching.reconcile import reconcile
from kvit.users.models import Organization
from tests.factories import TODAY, a_client, a_payment, an_account, an_invoice
from tests.matching.invariants import assert_books_hold, bank_facts

EVA = Actor(name="user:eva@example.com")
HEADER = "payout;paid_on;reference;gross;fee;currency"


def a_report(
    organization: Organization, *lines: tuple[str, int, int], reference: str = "PO-77123"
) -> PayoutReport:
    """Import the plain report with these references, gross sums and fees in hundredths."""
    [report] = payouts.import_file(
        organization, the_file(*lines, reference=reference), name="payout.csv", actor=EVA
    ).new
    return report


def the_file(*lines: tuple[str, int, int], reference: str = "PO-77123") -> bytes:
    rows = [f"{reference};{TODAY};{name};{gross / 100:.2f};{fee / 100:.2f};CZK" for name, gross, fee in lines]
    return "\n".join([HEADER, *rows]).encode()


def a_credit(organization: Organization, minor: int, message: str = "PO-77123") -> MoneyTransaction:
    row = a_payment(an_account(organization), str(Money(minor, "CZK")), message=message)
    reconcile(organization)
    row.refresh_from_db()
    return row


def a_note(invoice: Invoice) -> Invoice:
    note = draft_credit_note(invoice, TODAY, actor=EVA)
    note.issue(TODAY, actor=EVA)
    note.refresh_from_db()
    return note


def order(invoice: Invoice, number: str) -> None:
    """Give an invoice the order number that it was sold under."""
    write(invoice, order_number=number)


def write(row: Invoice | PayoutReport, **values: object) -> None:
    with transaction.atomic():
        record(row.organization, EVA, [changed(row, {name: getattr(row, name) for name in values}, values)])
        type(row).objects.filter(pk=row.pk).update(**values)


def live(kind: str, document: str) -> int:
    lines = Settlement.objects.filter(
        source_kind=kind, invoice__kind=document, voids__isnull=True, voided_by__isnull=True
    )
    return sum(lines.values_list("amount_minor", flat=True))


def test_a_payout_pays_its_invoices_whole_and_books_the_fee(organization: Organization) -> None:
    invoices = [an_invoice(a_client(organization), total) for total in ("1000.00 CZK", "500.00 CZK")]
    report = a_report(
        organization,
        (invoices[0].number, 100_000, 1_200),
        (invoices[1].variable_symbol, 50_000, 600),
        ("", 0, 300),
    )
    row, facts = a_credit(organization, 147_900), bank_facts()
    assert payouts.find_credit(report) == row
    assert payouts.apply(report, row, actor=EVA) == payouts.Applied(settled=2, left=0)
    assert set(Invoice.objects.values_list("state", flat=True)) == {"paid"}
    row.refresh_from_db()
    assert row.settled_minor == 147_900
    assert live("fee", "invoice") == 2_100
    decision = payouts.standing(report)
    assert decision is not None
    assert (decision.is_current, decision.port) == (True, "manual")
    assert not Decision.objects.waiting().exists()
    assert_books_hold(facts)


def test_a_refund_settles_its_credit_note_by_a_sale_of_another_client(organization: Organization) -> None:
    sold = an_invoice(a_client(organization), "1000.00 CZK")
    refunded = an_invoice(a_client(organization), "300.00 CZK")
    first = a_credit(organization, 30_000, "first")
    review.confirm(first, refunded, actor=EVA)
    refunded.refresh_from_db()
    note = a_note(refunded)
    report = a_report(organization, (sold.number, 100_000, 1_000), (note.number, -30_000, 0))
    row, facts = a_credit(organization, 69_000), bank_facts()
    assert payouts.apply(report, row, actor=EVA).left == 0
    for document in (sold, note):
        document.refresh_from_db()
        assert document.state == "paid"
    assert (live("payout", "invoice"), live("payout", "credit_note")) == (30_000, 30_000)
    assert_books_hold(facts)


def test_what_is_not_known_waits_and_is_settled_later_once(organization: Organization) -> None:
    client = a_client(organization)
    sold = an_invoice(client, "1000.00 CZK")
    report = a_report(organization, (sold.number, 100_000, 1_000), ("OBJ-9", 50_000, 500), ("X", -20_000, 0))
    row, facts = a_credit(organization, 128_500), bank_facts()
    assert payouts.apply(report, row, actor=EVA) == payouts.Applied(settled=1, left=2)
    row.refresh_from_db()
    assert row.unsettled == Money(49_500, "CZK")
    assert Decision.objects.waiting().get().transaction == row
    reasons = [line.because and line.because["code"] for line in report.lines.all()]
    assert reasons == [None, "payout.unknown", "payout.unknown"]
    assert payouts.apply(report, actor=EVA).settled == 0
    late = an_invoice(client, "500.00 CZK")
    order(late, "OBJ-9")
    assert payouts.apply(report, actor=EVA) == payouts.Applied(settled=1, left=1)
    row.refresh_from_db()
    assert not row.unsettled
    assert not Decision.objects.waiting().exists()
    assert_books_hold(facts)


def test_undo_restores_everything_and_it_can_be_applied_again(organization: Organization) -> None:
    sold = an_invoice(a_client(organization), "1000.00 CZK")
    report = a_report(organization, (sold.number, 100_000, 1_000), ("OBJ-9", 50_000, 500))
    row, facts = a_credit(organization, 148_500), bank_facts()
    payouts.apply(report, row, actor=EVA)
    decision = payouts.standing(report)
    assert decision is not None
    review.undo(decision, actor=EVA)
    assert payouts.standing(report) is None
    sold.refresh_from_db()
    row.refresh_from_db()
    assert (sold.state, sold.settled_minor, row.settled_minor) == ("issued", 0, 0)
    assert_books_hold(facts)
    report.refresh_from_db()
    assert payouts.apply(report, row, actor=EVA).settled == 1
    assert_books_hold(facts)


def test_the_same_report_again_changes_nothing_and_another_of_its_name_is_told(
    organization: Organization,
) -> None:
    report = a_report(organization, ("A", 100_00, 100))
    again = payouts.import_file(organization, the_file(("A", 100_00, 100)), name="b.csv", actor=EVA)
    assert (again.new, again.known, again.differing) == ((), (report,), ())
    other = payouts.import_file(organization, the_file(("A", 100_00, 200)), name="b.csv", actor=EVA)
    assert (other.new, other.known, other.differing) == ((), (), (report,))
    assert PayoutReport.objects.get().fee_minor == 100


def test_the_credit_is_never_guessed(organization: Organization) -> None:
    sold = an_invoice(a_client(organization), "1000.00 CZK")
    report = a_report(organization, (sold.number, 100_000, 1_000))
    silent = a_credit(organization, 99_000, "card payments")
    assert payouts.find_credit(report) is None
    assert payouts.possible_credits(report) == [silent]
    with pytest.raises(Refused, match="which payment"):
        payouts.apply(report, actor=EVA)
    other = a_credit(organization, 99_100)
    with pytest.raises(Refused, match="is not the"):
        payouts.apply(report, other, actor=EVA)
    review.ignore(silent, actor=EVA)
    silent.refresh_from_db()
    with pytest.raises(Stale):
        payouts.apply(report, silent, actor=EVA)
    assert not Settlement.objects.exists()


def test_of_two_people_one_is_too_late(organization: Organization) -> None:
    sold = an_invoice(a_client(organization), "1000.00 CZK")
    report = a_report(organization, (sold.number, 100_000, 1_000))
    mine = PayoutReport.objects.get()
    row, facts = a_credit(organization, 99_000), bank_facts()
    payouts.apply(report, row, actor=EVA)
    with pytest.raises(Stale):
        payouts.apply(mine, row, actor=SYSTEM)
    assert_books_hold(facts)


def test_lines_that_do_not_make_up_the_sum_settle_nothing(organization: Organization) -> None:
    sold = an_invoice(a_client(organization), "1000.00 CZK")
    report = a_report(organization, (sold.number, 100_000, 1_000))
    write(report, net_minor=100_000)
    report.refresh_from_db()
    with pytest.raises(Refused, match="make up"):
        payouts.apply(report, a_credit(organization, 100_000), actor=EVA)


@pytest.mark.parametrize("seed", range(12))
def test_random_payouts_balance_in_two_goes_and_after_an_undo(organization: Organization, seed: int) -> None:
    chance = random.Random(seed)  # an invented business is no secret
    lines: list[tuple[str, int, int]] = []
    missing: list[tuple[Invoice, str]] = []
    for at in range(chance.randrange(2, 9)):
        invoice = an_invoice(a_client(organization), f"{chance.randrange(100, 2000)}.{at}0 CZK")
        minor = invoice.total_minor
        name = invoice.number
        if chance.random() < 0.3:
            name = f"OBJ-{at}-{seed}XY"
            missing.append((invoice, name))
        lines.append((name, minor, chance.randrange(-100, 5000)))
        if chance.random() < 0.4:
            returned = an_invoice(a_client(organization), f"{chance.randrange(100, 1000)}.00 CZK")
            settling.settle_by_hand(returned, TODAY, actor=EVA)
            returned.refresh_from_db()
            lines.append((a_note(returned).number, -returned.total_minor, chance.randrange(-200, 200)))
    lines += [("", 0, chance.randrange(1, 3000))]
    extra = an_invoice(a_client(organization), "9000.00 CZK")
    lines.append((extra.number, 900_000, 900))
    chance.shuffle(lines)
    net = sum(gross - fee for _, gross, fee in lines)
    report = a_report(organization, *lines)
    row, facts = a_credit(organization, net), bank_facts()
    payouts.apply(report, row, actor=EVA)
    assert_books_hold(facts)
    for invoice, name in missing:
        order(invoice, name)
    if missing:
        assert payouts.apply(report, actor=EVA).left == 0
    assert_books_hold(facts)
    row.refresh_from_db()
    surplus = row.unsettled.minor
    paid = live("transaction", "invoice")
    gross = sum(each for _, each, _ in lines)
    assert surplus == 0 or sum(fee for _, _, fee in lines) < 0
    offset = live("payout", "invoice") - live("payout", "credit_note")
    assert paid + live("fee", "invoice") + offset == gross
    assert paid + surplus == net
    assert not Invoice.objects.exclude(state="paid").exists()
    decision = payouts.standing(report)
    assert decision is not None
    review.undo(decision, actor=EVA)
    assert not any(live(kind, "invoice") for kind in ("transaction", "fee", "payout"))
    assert not live("payout", "credit_note")
    assert_books_hold(facts)
