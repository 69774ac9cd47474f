"""Review: confirm, reject, dismiss, resolve, and undo all of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser

from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM
from kvit.invoices.models import Invoice, Settlement
from kvit.ledger.models import MoneyTransaction, PossibleDuplicate, TransactionConflict
from kvit.matching.models import Decision, Rejection
from kvit.matching.reconcile import reconcile
from kvit.work.clients import add_payer_account
from tests.factories import a_client, a_movement, a_payment, an_account, an_invoice, post
from tests.personas import Personas


@pytest.fixture
def browser(personas: Personas, client: Browser) -> Browser:
    personas.owner.language = "en"
    personas.owner.save()
    client.force_login(personas.owner)
    return client


@pytest.fixture
def invoice(personas: Personas) -> Invoice:
    return an_invoice(a_client(personas.organization), account=an_account(personas.organization))


@pytest.fixture
def payment(invoice: Invoice) -> MoneyTransaction:
    """A payment of the invoice's amount without its symbol, waiting for a person."""
    account = an_account(invoice.organization)
    row = a_payment(account, counterparty_account="19-2000145399/0800")
    reconcile(invoice.organization)
    return row


def conflict_of(personas: Personas) -> TransactionConflict:
    account = an_account(personas.organization)
    post(account, [a_movement("C1", "500.00 CZK")])
    post(account, [a_movement("C1", "550.00 CZK")])
    return TransactionConflict.objects.get()


def duplicate_of(personas: Personas, **fields: Any) -> PossibleDuplicate:
    """A movement that another source tells again, with these fields in its own words."""
    account = an_account(personas.organization)
    post(account, [a_movement("A1", "500.00 CZK", counterparty_name="Pekárna", variable_symbol="42")])
    told = {"counterparty_name": "Pekárna", "variable_symbol": "0042"} | fields
    post(account, [a_movement("S1", "500.00 CZK", **told)], source=f"statement_file:{account.number}")
    return PossibleDuplicate.objects.get()


def page(browser: Browser, url: str = "/review/") -> str:
    return browser.get(url).content.decode()


def test_a_card_shows_the_reason_the_candidate_and_the_difference(
    browser: Browser, personas: Personas, invoice: Invoice
) -> None:
    account = an_account(personas.organization)
    a_payment(account, "1000.00 CZK", variable_symbol=invoice.variable_symbol)
    reconcile(personas.organization)
    shown = browser.get("/review/").context["cards"][0]
    assert shown.best.invoice == invoice
    assert str(shown.best.missing) == "210.00 CZK"
    text = page(browser)
    assert "too little" in text
    assert "same variable symbol" in text


def test_a_known_payer_account_of_another_client_is_named_as_the_reason(
    browser: Browser, personas: Personas, invoice: Invoice
) -> None:
    add_payer_account(a_client(personas.organization, "Jiný"), "19-2000145399/0800", actor=SYSTEM)
    a_payment(
        an_account(personas.organization),
        variable_symbol=invoice.variable_symbol,
        counterparty_account="19-2000145399/0800",
    )
    reconcile(personas.organization)
    text = page(browser)
    assert "19-2000145399/0800 is known for another client only." in text
    assert "payer account of another client" in text
    assert not Settlement.objects.exists()


def test_confirming_twice_pays_once_and_undo_opens_the_invoice_again(
    browser: Browser, invoice: Invoice, payment: MoneyTransaction
) -> None:
    url, form = f"/transactions/{payment.pk}/confirmation/", {"invoice": invoice.pk}
    assert browser.post(url, form).status_code == 302
    assert browser.post(url, form, follow=True).status_code == 200
    line = Settlement.objects.get()
    invoice.refresh_from_db()
    assert (invoice.state, invoice.settled_minor) == ("paid", 121000)

    undo = f"/decisions/{line.decision_id}/undo/"
    assert undo in page(browser, "/review/?tab=matched")
    browser.post(undo)
    browser.post(undo)
    invoice.refresh_from_db()
    payment.refresh_from_db()
    assert (invoice.state, invoice.settled_minor, payment.settled_minor) == ("issued", 0, 0)
    assert Settlement.objects.count() == 2
    assert Decision.objects.waiting().get().transaction == payment


def test_an_act_offers_to_undo_it_and_goes_on_where_the_form_says(
    browser: Browser, invoice: Invoice, payment: MoneyTransaction
) -> None:
    form = {"invoice": invoice.pk, "next": "/review/#movement-7"}
    response = browser.post(f"/transactions/{payment.pk}/confirmation/", form)
    assert response["Location"] == "/review/#movement-7"
    decision = Decision.objects.get(port="manual")
    assert f'action="/decisions/{decision.pk}/undo/"' in page(browser)

    form["next"] = "https://elsewhere.example/"
    response = browser.post(f"/transactions/{payment.pk}/confirmation/", form)
    assert response["Location"] == "/review/"


def test_another_invoice_may_be_paid_in_part(
    browser: Browser, personas: Personas, payment: MoneyTransaction
) -> None:
    larger = an_invoice(a_client(personas.organization), "5000.00 CZK")
    browser.post(f"/transactions/{payment.pk}/confirmation/", {"invoice": larger.pk})
    larger.refresh_from_db()
    assert (larger.state, str(larger.open)) == ("issued", "3790.00 CZK")


def test_an_invoice_in_another_currency_is_refused_with_a_message(
    browser: Browser, personas: Personas, payment: MoneyTransaction
) -> None:
    euros = an_invoice(a_client(personas.organization), "1210.00 EUR")
    response = browser.post(f"/transactions/{payment.pk}/confirmation/", {"invoice": euros.pk}, follow=True)
    assert "two currencies" in response.content.decode()
    assert not Settlement.objects.exists()


def test_a_rejected_pair_is_offered_no_more_until_that_is_undone(
    browser: Browser, invoice: Invoice, payment: MoneyTransaction
) -> None:
    form = {"invoice": invoice.pk}
    browser.post(f"/transactions/{payment.pk}/rejection/", form)
    assert browser.get("/review/").context["cards"][0].best is None
    assert "Marked as not paying invoice" in page(browser, f"/transactions/{payment.pk}/")

    browser.post(f"/transactions/{payment.pk}/rejection/undo/", form)
    again = browser.post(f"/transactions/{payment.pk}/rejection/undo/", form, follow=True)
    assert "undone already" in again.content.decode()
    assert not Rejection.objects.exists()
    assert browser.get("/review/").context["cards"][0].best.invoice == invoice
    entry = AuditEntry.objects.get(table="matching_rejection", action="deleted")
    assert entry.actor == "user:owner@example.com"


def test_a_dismissed_payment_leaves_the_review_and_can_be_restored(
    browser: Browser, payment: MoneyTransaction
) -> None:
    browser.post(f"/transactions/{payment.pk}/dismissal/")
    assert browser.get("/review/").context["cards"] == []
    assert "Everything is matched until" in page(browser)
    decision = Decision.objects.current().get()
    assert f"/decisions/{decision.pk}/undo/" in page(browser, "/review/?tab=dismissed")
    browser.post(f"/decisions/{decision.pk}/undo/")
    assert [card.row for card in browser.get("/review/").context["cards"]] == [payment]


@pytest.mark.parametrize(("answer", "amount"), [("keep", 50000), ("accept", 55000)])
def test_a_conflict_is_decided_once(browser: Browser, personas: Personas, answer: str, amount: int) -> None:
    conflict = conflict_of(personas)
    url = f"/conflicts/{conflict.pk}/resolution/"
    assert url in page(browser)
    browser.post(url, {"answer": answer})
    browser.post(url, {"answer": "accept"})
    assert MoneyTransaction.objects.get().amount_minor == amount
    assert browser.get("/review/").context["conflicts"] == []


def test_both_versions_of_a_conflict_stand_side_by_side(browser: Browser, personas: Personas) -> None:
    conflict_of(personas)
    (card,) = browser.get("/review/").context["conflicts"]
    assert [(fact.name, fact.differs) for fact in card.facts] == [("Amount", True), ("Booked on", False)]
    assert (card.facts[0].first[-6:], card.facts[0].second[-6:]) == ("500.00", "550.00")
    assert page(browser).count('<tr class="differs">') == 1


def test_a_kept_version_can_be_asked_about_again(browser: Browser, personas: Personas) -> None:
    conflict = conflict_of(personas)
    url = f"/conflicts/{conflict.pk}/resolution/"
    assert f'action="{url}undo/"' in browser.post(url, {"answer": "keep"}, follow=True).content.decode()
    assert "waits for you again" in browser.post(f"{url}undo/", follow=True).content.decode()
    browser.post(f"{url}undo/")
    (card,) = browser.get("/review/").context["conflicts"]
    assert card.row == conflict
    told = page(browser, f"/transactions/{conflict.transaction_id}/")
    assert told.count("The answer was undone: the bank tells") == 1
    browser.post(url, {"answer": "accept"})
    refused = browser.post(f"{url}undo/", follow=True).content.decode()
    assert "holds this version by now" in refused
    assert MoneyTransaction.objects.get().amount_minor == 55000


def test_two_movements_called_different_can_be_asked_about_again(
    browser: Browser, personas: Personas
) -> None:
    duplicate = duplicate_of(personas)
    url = f"/duplicates/{duplicate.pk}/resolution/"
    text = browser.post(url, {"answer": "different"}, follow=True).content.decode()
    assert f'action="{url}undo/"' in text
    browser.post(f"{url}undo/")
    browser.post(f"{url}undo/")
    (card,) = browser.get("/review/").context["duplicates"]
    assert card.row == duplicate
    browser.post(url, {"answer": "same"})
    browser.post(f"{url}undo/")
    assert browser.get("/review/").context["duplicates"] == []
    assert MoneyTransaction.objects.filter(status="withdrawn").count() == 1


def test_a_conflict_about_a_movement_that_pays_can_only_be_kept(
    browser: Browser, personas: Personas, invoice: Invoice, payment: MoneyTransaction
) -> None:
    browser.post(f"/transactions/{payment.pk}/confirmation/", {"invoice": invoice.pk})
    account = an_account(personas.organization)
    post(account, [a_movement(payment.external_id, "9.00 CZK", counterparty_account="19-2000145399/0800")])
    conflict = TransactionConflict.objects.get()
    text = page(browser)
    assert "undo that payment first" in text
    assert 'value="accept"' not in text
    refused = browser.post(f"/conflicts/{conflict.pk}/resolution/", {"answer": "accept"}, follow=True)
    assert "pays an invoice" in refused.content.decode()
    conflict.refresh_from_db()
    assert conflict.resolved_at is None


def test_possible_duplicates_stand_side_by_side_with_what_differs(
    browser: Browser, personas: Personas
) -> None:
    duplicate_of(personas, counterparty_name="PEKARNA SRO", message="děkujeme")
    (card,) = browser.get("/review/").context["duplicates"]
    assert [fact.name for fact in card.facts if fact.differs] == ["Counterparty", "Message"]
    assert not card.keeps_the_later
    text = page(browser)
    assert text.count('<tr class="differs">') == 2
    assert "Statement files · CZ6508000000192000145399" in text
    assert "1 thing waits for you." in text


@pytest.mark.parametrize(
    ("answer", "statuses", "said"),
    [
        ("same", ["booked", "withdrawn"], "They are one movement now"),
        ("different", ["booked", "booked"], "They stay two movements."),
    ],
)
def test_a_possible_duplicate_is_answered_once(
    browser: Browser, personas: Personas, answer: str, statuses: list[str], said: str
) -> None:
    duplicate = duplicate_of(personas)
    url = f"/duplicates/{duplicate.pk}/resolution/"
    assert said in browser.post(url, {"answer": answer}, follow=True).content.decode()
    browser.post(url, {"answer": "same"})
    rows = MoneyTransaction.objects.order_by("id").values_list("status", flat=True)
    assert list(rows) == statuses
    assert url not in page(browser)
    assert browser.get("/review/").context["duplicates"] == []


def test_the_one_that_would_be_withdrawn_and_pays_stands_in_the_way(
    browser: Browser, personas: Personas, invoice: Invoice
) -> None:
    duplicate = duplicate_of(personas)
    form = {"invoice": invoice.pk}
    browser.post(f"/transactions/{duplicate.transaction_id}/confirmation/", form)
    text = page(browser)
    assert f'href="/transactions/{duplicate.transaction_id}/#pays"' in text
    assert 'value="same"' not in text
    refused = browser.post(f"/duplicates/{duplicate.pk}/resolution/", {"answer": "same"}, follow=True)
    assert "pays an invoice" in refused.content.decode()
    assert not MoneyTransaction.objects.filter(status="withdrawn").exists()


def test_a_pending_movement_gives_way_to_the_booked_one(browser: Browser, personas: Personas) -> None:
    account = an_account(personas.organization)
    post(account, [a_movement(name, status="pending") for name in ("P1", "P2")])
    post(account, [a_movement("B1")])
    first, _second = browser.get("/review/").context["duplicates"]
    assert first.keeps_the_later
    assert first.withdrawn.external_id == "P1"
    browser.post(f"/duplicates/{first.row.pk}/resolution/", {"answer": "same"})
    statuses = dict(MoneyTransaction.objects.values_list("external_id", "status"))
    assert statuses == {"P1": "withdrawn", "P2": "pending", "B1": "booked"}


def test_an_answer_leads_to_the_next_question(
    browser: Browser, personas: Personas, payment: MoneyTransaction
) -> None:
    conflict, duplicate = conflict_of(personas), duplicate_of(personas)
    context = browser.get("/review/").context
    places = [card.next for card in (*context["conflicts"], *context["duplicates"])]
    first = context["cards"][0].row
    assert places == [f"/review/#duplicate-{duplicate.pk}", f"/review/#movement-{first.pk}"]
    form = {"answer": "keep", "next": places[0]}
    assert browser.post(f"/conflicts/{conflict.pk}/resolution/", form)["Location"] == places[0]


def test_many_questions_come_in_pages_with_each_once(
    browser: Browser, personas: Personas, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    account = an_account(personas.organization)
    post(account, [a_movement(f"C{n}", f"{n + 1}.00 CZK", status="booked") for n in range(25)])
    post(account, [a_movement(f"C{n}", f"{n + 1}.50 CZK") for n in range(25)])
    post(account, [a_movement(f"D{n}", f"{n + 100}.00 CZK") for n in range(25)])
    post(account, [a_movement(f"S{n}", f"{n + 100}.00 CZK") for n in range(25)], source="file:x")
    reconcile(personas.organization)
    seen: list[tuple[str, int]] = []
    for number in range(1, 20):
        with django_assert_max_num_queries(25):
            context = browser.get(f"/review/?page={number}").context
        for kind in ("conflicts", "duplicates"):
            seen += [(kind, card.row.pk) for card in context[kind]]
        seen += [("cards", card.row.pk) for card in context["cards"]]
        if not context["page"].has_next():
            break
    waiting = context["waiting_count"]
    assert waiting == context["frame"].to_review
    assert len(seen) == len(set(seen)) == waiting > 60
    assert [kind for kind, _key in seen] == sorted(
        (kind for kind, _key in seen), key=["conflicts", "duplicates", "cards"].index
    )


def test_what_was_not_asked_for_properly_is_not_there(
    browser: Browser, personas: Personas, payment: MoneyTransaction
) -> None:
    other = an_invoice(a_client(personas.stranger.memberships.get().organization))
    url = f"/transactions/{payment.pk}/confirmation/"
    for invoice in ("", "x", "9" * 30, "²", str(other.pk), "0"):
        assert browser.post(url, {"invoice": invoice}).status_code == 404
    assert browser.get("/review/?tab=nonsense").status_code == 404
    assert browser.get(url).status_code == 405


def test_an_accountant_looks_and_a_stranger_finds_nothing(
    client: Browser, personas: Personas, invoice: Invoice, payment: MoneyTransaction
) -> None:
    conflict, duplicate = conflict_of(personas), duplicate_of(personas)
    decision = Decision.objects.current().get(transaction=payment)
    posts = [
        f"/transactions/{payment.pk}/confirmation/",
        f"/transactions/{payment.pk}/rejection/",
        f"/transactions/{payment.pk}/rejection/undo/",
        f"/transactions/{payment.pk}/dismissal/",
        f"/decisions/{decision.pk}/undo/",
        f"/conflicts/{conflict.pk}/resolution/",
        f"/duplicates/{duplicate.pk}/resolution/undo/",
        f"/conflicts/{conflict.pk}/resolution/undo/",
        f"/duplicates/{duplicate.pk}/resolution/",
    ]
    form = {"invoice": invoice.pk, "answer": "accept"}
    before = AuditEntry.objects.count()
    client.force_login(personas.accountant)
    assert 'action="/transactions/' not in page(client).replace('action="/transactions/"', "")
    assert len(client.get("/review/").context["conflicts"]) == 1
    assert not {url for url in posts if url in page(client)}
    assert {client.post(url, form).status_code for url in posts} == {403}
    client.force_login(personas.stranger)
    assert client.get("/review/").context["cards"] == []
    assert {client.post(url, form).status_code for url in posts} == {404}
    client.logout()
    assert {client.post(url, form).status_code for url in posts} == {302}
    for url in (f"/conflicts/{conflict.pk}/resolution/", posts[-1]):
        client.force_login(personas.owner)
        assert client.post(url, {"answer": "nonsense"}).status_code == 404
    assert AuditEntry.objects.count() == before
