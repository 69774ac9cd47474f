"""What is settled in part, too much, by several, with a fee, a rounding or another currency."""

from __future__ import annotations

import pytest

from kvit import pipeline
from kvit.audit.recording import Actor
from kvit.invoices.models import Invoice, Settlement
from kvit.kernel.errors import CurrencyMismatch, Refused, Stale
from kvit.ledger.models import MoneyTransaction
from kvit.matching import review
from kvit.matching.models import Decision, MatchingSettings
from kvit.matching.reconcile import reconcile
from kvit.matching.review import Chosen
from kvit.users.models import Organization
from kvit.work.clients import add_payer_account
from kvit.work.models import Client
from tests.factories import TODAY, a_client, a_draft, a_payment, an_account, an_invoice, money
from tests.matching.invariants import assert_books_hold, bank_facts

EVA = Actor(name="user:eva@example.com")
PAYER = "35-4171760237/0100"


@pytest.fixture
def client_known(organization: Organization) -> Client:
    """A client whose account is known."""
    client = a_client(organization)
    add_payer_account(client, PAYER, actor=EVA)
    return client


def current(row: MoneyTransaction) -> Decision:
    return Decision.objects.current().get(transaction=row)


def paid(organization: Organization, amount: str, symbol: str = "", **fields: str) -> MoneyTransaction:
    fields = {"counterparty_account": PAYER} | fields
    row = a_payment(an_account(organization), amount, variable_symbol=symbol, **fields)
    reconcile(organization)
    row.refresh_from_db()
    return row


def test_less_from_the_clients_own_account_pays_a_part(
    organization: Organization, client_known: Client
) -> None:
    invoice = an_invoice(client_known)
    first = paid(organization, "500.00 CZK", invoice.variable_symbol)
    assert (current(first).port, current(first).tier) == ("auto", "A4")
    invoice.refresh_from_db()
    assert (invoice.state, str(invoice.open)) == ("issued", "710.00 CZK")
    second = paid(organization, "710.00 CZK", invoice.variable_symbol)
    assert (current(second).port, current(second).tier) == ("auto", "A1")
    assert_books_hold(bank_facts())


def test_more_pays_it_whole_and_the_rest_is_left(organization: Organization, client_known: Client) -> None:
    invoice = an_invoice(client_known)
    row = paid(organization, "1500.00 CZK", invoice.variable_symbol)
    assert (current(row).port, current(row).tier) == ("auto", "A5")
    assert str(row.unsettled) == "290.00 CZK"
    assert not Decision.objects.waiting().exists()


@pytest.mark.parametrize("amount", ["500.00 CZK", "1500.00 CZK"])
def test_a_stranger_in_part_or_too_much_waits(organization: Organization, amount: str) -> None:
    invoice = an_invoice(a_client(organization))
    row = paid(organization, amount, invoice.variable_symbol)
    assert current(row).port == "suggest"


def test_a_tier_that_is_off_waits_and_settles_when_it_is_on(
    organization: Organization, client_known: Client
) -> None:
    off = MatchingSettings(organization=organization, auto_a4=False)
    pipeline.switch_matching(off, actor=EVA)
    invoice = an_invoice(client_known)
    row = paid(organization, "500.00 CZK", invoice.variable_symbol)
    assert [reason["code"] for reason in current(row).because] == ["tier.off"]
    assert current(row).certainty == Decision.Certainty.POSSIBLE
    on = MatchingSettings.of(organization)
    on.auto_a4 = True
    pipeline.switch_matching(on, actor=EVA)
    assert (current(row).port, current(row).tier) == ("auto", "A4")


def test_several_references_that_add_up_pay_them_all(organization: Organization) -> None:
    client = a_client(organization)
    invoices = [an_invoice(client, "100.00 CZK"), an_invoice(client, "250.00 CZK")]
    text = " a ".join(invoice.number for invoice in invoices)
    row = paid(organization, "350.00 CZK", message=f"faktury {text}")
    assert (current(row).port, current(row).tier) == ("auto", "A3")
    assert {line.invoice for line in Settlement.objects.all()} == set(invoices)


def test_a_sum_without_references_is_offered_as_one_candidate(
    organization: Organization, client_known: Client
) -> None:
    invoices = [an_invoice(client_known, "100.00 CZK"), an_invoice(client_known, "250.00 CZK")]
    row = paid(organization, "350.00 CZK")
    [candidate] = current(row).candidates
    assert sorted(candidate["lines"]) == [[invoices[0].pk, 10_000], [invoices[1].pk, 25_000]]
    review.accept(current(row), actor=EVA)
    for invoice in invoices:
        invoice.refresh_from_db()
        assert invoice.state == "paid"


@pytest.mark.parametrize(
    ("amount", "kind"), [("1209.60 CZK", Settlement.Source.ROUNDING), ("1195.00 CZK", Settlement.Source.FEE)]
)
def test_a_shortage_is_closed_as_what_it_is_and_undone_whole(
    organization: Organization, amount: str, kind: Settlement.Source
) -> None:
    invoice = an_invoice(a_client(organization))
    row = paid(organization, amount, invoice.variable_symbol)
    decision = review.accept(current(row), write_off=kind, actor=EVA)
    invoice.refresh_from_db()
    assert invoice.state == "paid"
    lines = Settlement.objects.filter(decision_id=decision.pk).order_by("pk")
    assert [line.source_kind for line in lines] == ["transaction", kind]
    assert sum(line.amount_minor for line in lines) == invoice.total_minor
    assert_books_hold(bank_facts())
    review.undo(decision, actor=EVA)
    invoice.refresh_from_db()
    row.refresh_from_db()
    assert (invoice.state, invoice.settled_minor, row.settled_minor) == ("issued", 0, 0)


def test_another_currency_pays_by_a_persons_word(organization: Organization, client_known: Client) -> None:
    invoice = an_invoice(client_known, "100.00 EUR")
    row = paid(organization, "2480.00 CZK", invoice.variable_symbol)
    assert current(row).port == "suggest"
    decision = review.accept(current(row), actor=EVA)
    invoice.refresh_from_db()
    row.refresh_from_db()
    assert (invoice.state, str(row.unsettled)) == ("paid", "0.00 CZK")
    line = Settlement.objects.get()
    assert (str(line.amount), str(line.used)) == ("100.00 EUR", "2480.00 CZK")
    assert_books_hold(bank_facts())
    review.undo(decision, actor=EVA)
    row.refresh_from_db()
    assert row.settled_minor == 0


def test_a_person_chooses_several_in_part_and_the_rest_is_asked_about(
    organization: Organization, client_known: Client
) -> None:
    one, other = an_invoice(client_known, "100.00 CZK"), an_invoice(client_known, "300.00 CZK")
    row = paid(organization, "250.00 CZK")
    chosen = [Chosen(invoice=one, minor=10_000), Chosen(invoice=other, minor=5_000)]
    review.settle_chosen(row, chosen, revision=row.match_revision, asks_about_rest=True, actor=EVA)
    row.refresh_from_db()
    assert str(row.unsettled) == "100.00 CZK"
    assert [reason["code"] for reason in current(row).because] == ["payment.rest"]
    assert_books_hold(bank_facts())


def test_a_page_that_shows_an_older_state_is_refused(
    organization: Organization, client_known: Client
) -> None:
    one, other = an_invoice(client_known, "100.00 CZK"), an_invoice(client_known, "300.00 CZK")
    row = paid(organization, "250.00 CZK")
    seen = row.match_revision
    review.settle_chosen(row, [Chosen(invoice=one, minor=10_000)], revision=seen, actor=EVA)
    row.refresh_from_db()
    with pytest.raises(Stale):
        review.settle_chosen(row, [Chosen(invoice=other, minor=5_000)], revision=seen, actor=EVA)


@pytest.mark.parametrize(
    ("minor", "words"),
    [(30_100, "Only 300.00 CZK is open"), (26_000, "Only 250.00 CZK is left"), (0, "above zero")],
)
def test_more_than_there_is_is_refused(
    organization: Organization, client_known: Client, minor: int, words: str
) -> None:
    invoice = an_invoice(client_known, "300.00 CZK")
    row = paid(organization, "250.00 CZK")
    with pytest.raises(Refused, match=words):
        review.settle_chosen(row, [Chosen(invoice=invoice, minor=minor)], actor=EVA)
    assert not Settlement.objects.exists()


def test_currencies_are_never_mixed_silently(organization: Organization, client_known: Client) -> None:
    invoice = an_invoice(client_known, "100.00 EUR")
    row = paid(organization, "100.00 CZK")
    with pytest.raises(CurrencyMismatch):
        review.settle_chosen(row, [Chosen(invoice=invoice, minor=10_000)], actor=EVA)
    with pytest.raises(Refused):
        review.confirm(row, invoice, actor=EVA)


def test_money_that_was_sent_back_is_not_settled(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization))
    account = an_account(organization)
    row = a_payment(account, variable_symbol=invoice.variable_symbol, counterparty_account=PAYER)
    a_payment(account, "-1210.00 CZK", counterparty_account=PAYER, message="Vrácení platby")
    reconcile(organization)
    assert [reason["code"] for reason in current(row).because] == ["payment.returned"]


def test_expenses_do_not_fill_the_review(organization: Organization) -> None:
    a_payment(an_account(organization), "-99.00 CZK", message="nájem")
    assert reconcile(organization).waiting == 0
    assert not Decision.objects.exists()
    assert not MoneyTransaction.objects.to_match().exists()


def test_several_as_good_as_certain_are_accepted_together(organization: Organization) -> None:
    """The same price for all, from accounts and names that say nothing: a person takes them at once."""
    account = an_account(organization)
    invoices = [an_invoice(a_client(organization)) for _ in range(3)]
    for invoice in invoices:
        a_payment(account, variable_symbol=invoice.variable_symbol)
    assert reconcile(organization).waiting == 3
    decisions = list(Decision.objects.waiting())
    assert {decision.certainty for decision in decisions} == {Decision.Certainty.CERTAIN}
    handled = review.accept_all(organization, decisions, actor=EVA)
    assert (handled.count, handled.refused) == (3, ())
    assert not Invoice.objects.exclude(state="paid").exists()
    again = review.accept_all(organization, decisions, actor=EVA)
    assert (again.count, len(again.refused)) == (0, 3)


def test_evidence_is_stored_with_its_place_in_the_banks_words(organization: Organization) -> None:
    invoice = an_invoice(a_client(organization))
    row = paid(organization, "1210.00 CZK", message=f"Úhrada fa č. {invoice.number} děkuji")
    named = current(row).because[0]
    field, start, end = named["span"]
    assert getattr(row, field)[start:end] == invoice.number
    assert {check["veto"] for check in current(row).checked} == {f"V{number}" for number in range(1, 9)}


def test_an_invoice_issued_later_takes_the_money_that_came_before(
    organization: Organization, client_known: Client
) -> None:
    row = paid(organization, str(money("1210.00 CZK")), "4711")
    assert current(row).port == "none"
    draft = a_draft(client_known, symbol="4711")
    pipeline.issue(draft, TODAY, actor=EVA)
    assert (current(row).port, current(row).tier) == ("auto", "A1")


def test_an_account_that_becomes_known_settles_what_waited_for_it(organization: Organization) -> None:
    client = a_client(organization)
    invoice, _rival = an_invoice(client), an_invoice(a_client(organization))
    row = paid(organization, "1210.00 CZK", invoice.variable_symbol)
    assert [reason["code"] for reason in current(row).because] == ["amount.common"]
    pipeline.know_payer(client, PAYER, actor=EVA)
    assert (current(row).port, current(row).tier) == ("auto", "A1")
