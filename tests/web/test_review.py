"""Review: confirm, reject, dismiss, resolve, and undo all of it."""

from __future__ import annotations

import gzip
import re
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
    row = a_payment(account, counterparty_account="123456789/0100")
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
    assert f"same reference {invoice.variable_symbol}" in text
    assert f"<mark>{invoice.variable_symbol}</mark>" in text


def test_a_known_payer_account_of_another_client_is_named_as_the_reason(
    browser: Browser, personas: Personas, invoice: Invoice
) -> None:
    add_payer_account(a_client(personas.organization, "Jiný"), "123456789/0100", actor=SYSTEM)
    a_payment(
        an_account(personas.organization),
        variable_symbol=invoice.variable_symbol,
        counterparty_account="123456789/0100",
    )
    reconcile(personas.organization)
    text = page(browser)
    assert "123456789/0100 is known for another client only." in text
    assert "payer&#x27;s account of another client" in text
    assert not Settlement.objects.exists()


def accept_url(row: MoneyTransaction, write_off: str = "") -> str:
    """Where the decision that waits about the movement is accepted."""
    decision = Decision.objects.waiting().get(transaction=row)
    return f"/decisions/{decision.pk}/acceptance/" + (f"{write_off}/" if write_off else "")


def test_accepting_twice_pays_once_and_undo_opens_the_invoice_again(
    browser: Browser, invoice: Invoice, payment: MoneyTransaction
) -> None:
    url = accept_url(payment)
    assert browser.post(url, {"candidate": 0}).status_code == 302
    again = browser.post(url, {"candidate": 0}, follow=True).text
    assert "Somebody else changed this a moment ago." in again
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
    url, form = accept_url(payment), {"candidate": 0, "next": "/review/#movement-7"}
    response = browser.post(url, form)
    assert response["Location"] == "/review/#movement-7"
    decision = Decision.objects.get(port="manual")
    undo = f"/decisions/{decision.pk}/undo/"
    assert f'action="{undo}"' in page(browser)
    back = browser.post(undo, {"next": "/review/?page=1#movement-7"})
    assert back["Location"] == f"/review/?page=1#movement-{payment.pk}"

    form["next"] = "https://elsewhere.example/"
    assert browser.post(url, form)["Location"] == "/review/"


def test_the_second_candidate_is_accepted_by_its_own_button(
    browser: Browser, personas: Personas, invoice: Invoice, payment: MoneyTransaction
) -> None:
    other = an_invoice(a_client(personas.organization), account=an_account(personas.organization))
    browser.post(f"/transactions/{payment.pk}/dismissal/")
    Decision.objects.decided().get()
    browser.post(f"/decisions/{Decision.objects.decided().get().pk}/undo/")
    (card,) = browser.get("/review/").context["cards"]
    assert [offer.invoice for offer in (card.best, *card.others)] == [invoice, other]
    browser.post(accept_url(payment), {"candidate": 1})
    other.refresh_from_db()
    assert other.state == "paid"


@pytest.mark.parametrize(
    ("paid", "write_off", "said"),
    [("1209.60 CZK", "rounding", "closed as rounding"), ("1160.00 CZK", "fee", "closed as a fee")],
)
def test_a_small_shortage_is_closed_where_it_is_offered(
    browser: Browser, invoice: Invoice, paid: str, write_off: str, said: str
) -> None:
    row = a_payment(an_account(invoice.organization), paid, variable_symbol=invoice.variable_symbol)
    reconcile(invoice.organization)
    (card,) = browser.get("/review/").context["cards"]
    assert card.best.write_off == write_off
    url = accept_url(row, write_off)
    assert f'formaction="{url}"' in page(browser)
    assert said in browser.post(url, {"candidate": 0}, follow=True).text
    invoice.refresh_from_db()
    assert invoice.state == "paid"
    kinds = Settlement.objects.order_by("id").values_list("source_kind", flat=True)
    assert list(kinds) == ["transaction", write_off]
    browser.post(f"/decisions/{Decision.objects.decided().get().pk}/undo/")
    invoice.refresh_from_db()
    assert (invoice.state, invoice.settled_minor) == ("issued", 0)


def test_nothing_else_is_written_off(browser: Browser, invoice: Invoice, payment: MoneyTransaction) -> None:
    assert "acceptance/rounding" not in page(browser)
    assert browser.post(accept_url(payment, "manual"), {"candidate": 0}).status_code == 404
    assert browser.post(accept_url(payment), {"candidate": "x"}).status_code == 404
    assert "Somebody else" in browser.post(accept_url(payment), {"candidate": 9}, follow=True).text


def test_all_that_are_as_good_as_certain_are_accepted_at_once_and_undone_together(
    browser: Browser, personas: Personas
) -> None:
    """Many owe the same amount and the payer is unknown, but the reference and the amount are right."""
    account = an_account(personas.organization)
    invoices = [an_invoice(a_client(personas.organization), account=account) for _ in range(4)]
    for one in invoices[:3]:
        a_payment(account, variable_symbol=one.variable_symbol)
    reconcile(personas.organization)
    context = browser.get("/review/").context
    equal = context["equal"]
    assert (equal["certainty"], equal["count"]) == (3, 3)
    assert "Accept all 3 that are as good as certain" in page(browser)
    a_payment(account, variable_symbol=invoices[3].variable_symbol)
    reconcile(personas.organization)

    form = {"certainty": 3, "latest": equal["latest"]}
    said = browser.post("/review/acceptances/", form, follow=True).text
    assert "3 payments were accepted." in said
    states = [Invoice.objects.get(pk=one.pk).state for one in invoices]
    assert states == ["paid", "paid", "paid", "issued"], "what came later was not seen"
    ids = re.findall(r'name="decisions" value="([\d ]+)"', said)[0]
    assert (
        "Undone: 3 payments wait again."
        in browser.post("/decisions/undo/", {"decisions": ids}, follow=True).text
    )
    assert not Invoice.objects.filter(state="paid").exists()
    assert "undone already" in browser.post("/decisions/undo/", {"decisions": ids}, follow=True).text
    assert browser.post("/review/acceptances/", {"certainty": 1, "latest": 9}).status_code == 404


def test_only_the_selected_are_accepted(browser: Browser, personas: Personas) -> None:
    account = an_account(personas.organization)
    invoices = [an_invoice(a_client(personas.organization), account=account) for _ in range(3)]
    rows = [a_payment(account, variable_symbol=one.variable_symbol) for one in invoices]
    reconcile(personas.organization)
    chosen = [Decision.objects.waiting().get(transaction=row).pk for row in rows[:2]]
    said = browser.post("/review/acceptances/", {"decision": [*chosen, 10**9]}, follow=True).text
    assert "2 payments were accepted." in said
    assert "Some had changed meanwhile" in said
    assert [Invoice.objects.get(pk=one.pk).state for one in invoices] == ["paid", "paid", "issued"]


def settle_url(row: MoneyTransaction) -> str:
    return f"/transactions/{row.pk}/settlement/"


def test_another_invoice_may_be_paid_in_part(
    browser: Browser, personas: Personas, payment: MoneyTransaction
) -> None:
    larger = an_invoice(a_client(personas.organization), "5000.00 CZK")
    browser.post(settle_url(payment), {"invoice": larger.pk})
    larger.refresh_from_db()
    assert (larger.state, str(larger.open)) == ("issued", "3790.00 CZK")


def test_open_invoices_are_found_by_number_client_symbol_and_amount(
    browser: Browser, personas: Personas, invoice: Invoice, payment: MoneyTransaction
) -> None:
    bakery = an_invoice(a_client(personas.organization, "Pekařství Šťastný"), "777.50 CZK", symbol="900111")
    for text in ("stastny", "ŠŤASTNÝ", "900111", bakery.number, "777,50", "777.5"):
        found = browser.get(settle_url(payment), {"q": text}).context["found"]
        assert found == [bakery], text
    assert browser.get(settle_url(payment), {"q": "nobody"}).context["found"] == []
    found = browser.get(settle_url(payment)).context["found"]
    assert found == [invoice, bakery], "what owes exactly this comes first"
    gathered = browser.get(f"{settle_url(payment)}?q=900111&add={bakery.pk}").context
    assert ([choice.invoice for choice in gathered["choices"]], gathered["text"]) == ([bakery], "")
    assert gathered["found"] == [invoice]
    without = browser.get(settle_url(payment), {"invoice": bakery.pk, "without": bakery.pk}).context
    assert without["choices"] == []


def test_several_invoices_are_paid_and_the_rest_stays_the_clients_or_waits(
    browser: Browser, personas: Personas
) -> None:
    customer = a_client(personas.organization)
    account = an_account(personas.organization)
    for left, is_asked in (("credit", False), ("waits", True)):
        first, second = (an_invoice(customer, amount) for amount in ("100.00 CZK", "50.00 CZK"))
        row = a_payment(account, "500.00 CZK", message="dve faktury")
        reconcile(personas.organization)
        form = {
            "invoice": [first.pk, second.pk],
            f"amount-{first.pk}": "100,00",
            f"amount-{second.pk}": "30",
            f"rest-{second.pk}": "fee",
            "left": left,
            "revision": MoneyTransaction.objects.get(pk=row.pk).match_revision,
        }
        said = browser.post(settle_url(row), form, follow=True).text
        assert f"pays invoices {first.number}, {second.number}." in said
        assert "is closed as a fee" in said
        row.refresh_from_db()
        assert row.settled_minor == 13000
        assert Decision.objects.waiting().filter(transaction=row).exists() is is_asked
        assert not Invoice.objects.filter(pk__in=[first.pk, second.pk]).exclude(state="paid").exists()
        again = browser.post(settle_url(row), form)
        assert again.status_code == 422
        assert "Somebody else changed this a moment ago." in again.text
        row.refresh_from_db()
        assert row.settled_minor == 13000


def test_an_invoice_in_another_currency_says_how_much_of_the_payment_it_takes(
    browser: Browser, personas: Personas, payment: MoneyTransaction
) -> None:
    euros = an_invoice(a_client(personas.organization), "48.00 EUR")
    (choice,) = browser.get(settle_url(payment), {"add": euros.pk}).context["choices"]
    assert (choice.amount, choice.used, choice.is_other_currency) == ("48.00", "1210.00", True)
    form = {"invoice": euros.pk, f"amount-{euros.pk}": "48.00", f"used-{euros.pk}": "1 200,00"}
    assert "1,200.00 pays invoice" in browser.post(settle_url(payment), form, follow=True).text
    line = Settlement.objects.get()
    assert (line.amount_minor, line.currency, line.source_minor) == (4800, "EUR", 120000)
    payment.refresh_from_db()
    assert payment.settled_minor == 120000


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        ("12 50", "An amount cannot be read. Nothing was paid."),
        ("1,234", "An amount cannot be read. Nothing was paid."),
        ("", "An amount cannot be read. Nothing was paid."),
        ("-5", "Only an amount above zero can be settled."),
        ("0", "Only an amount above zero can be settled."),
        ("1211", "is open on"),
    ],
)
def test_an_amount_that_cannot_be_is_refused_beside_it(
    browser: Browser, invoice: Invoice, payment: MoneyTransaction, amount: str, said: str
) -> None:
    form = {"invoice": invoice.pk, f"amount-{invoice.pk}": amount}
    answer = browser.post(settle_url(payment), form)
    assert answer.status_code == 422
    assert said in answer.text
    assert f'value="{amount}"' in answer.text
    assert not Settlement.objects.exists()
    assert "Choose at least one invoice." in browser.post(settle_url(payment)).text


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
    browser.post(f"/transactions/{payment.pk}/settlement/", {"invoice": invoice.pk})
    account = an_account(personas.organization)
    post(account, [a_movement(payment.external_id, "9.00 CZK", counterparty_account="123456789/0100")])
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
    browser.post(f"/transactions/{duplicate.transaction_id}/settlement/", form)
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
    url = f"/transactions/{payment.pk}/settlement/"
    for invoice in ("x", "9" * 30, "²", str(other.pk), "0"):
        assert browser.post(url, {"invoice": invoice}).status_code == 404
    assert browser.get("/review/?tab=nonsense").status_code == 404
    url = f"/transactions/{payment.pk}/rejection/"
    for invoice in ("", "x", str(other.pk), f"{payment.pk} {other.pk}"):
        assert browser.post(url, {"invoice": invoice}).status_code == 404
    assert browser.get(url).status_code == 405
    assert browser.post(f"/transactions/{payment.pk}/dismissal/", {"category": "x"}).status_code == 404


def test_an_accountant_looks_and_a_stranger_finds_nothing(
    client: Browser, personas: Personas, invoice: Invoice, payment: MoneyTransaction
) -> None:
    conflict, duplicate = conflict_of(personas), duplicate_of(personas)
    decision = Decision.objects.current().get(transaction=payment)
    posts = [
        f"/transactions/{payment.pk}/settlement/",
        f"/transactions/{payment.pk}/rejection/",
        f"/transactions/{payment.pk}/rejection/undo/",
        f"/transactions/{payment.pk}/dismissal/",
        f"/transactions/{payment.pk}/disregard/",
        f"/decisions/{decision.pk}/acceptance/",
        f"/decisions/{decision.pk}/acceptance/rounding/",
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


def test_a_dismissed_payment_says_what_it_is_and_an_ignored_one_is_listed_with_it(
    browser: Browser, personas: Personas, payment: MoneyTransaction
) -> None:
    account = an_account(personas.organization)
    noise = a_payment(account, "3.00 CZK")
    reconcile(personas.organization)
    shown = Decision.objects.waiting().get(transaction=payment).pk
    url, form = f"/transactions/{payment.pk}/dismissal/", {"category": "tax", "decision": shown}
    assert "tax or insurance" in browser.post(url, form, follow=True).text
    assert "Somebody else changed" in browser.post(url, form, follow=True).text
    assert Decision.objects.filter(port="dismissed").count() == 1
    waiting = Decision.objects.waiting().get(transaction=noise).pk
    form = {"decision": waiting}
    for said in ("is ignored.", "Somebody else changed"):
        assert said in browser.post(f"/transactions/{noise.pk}/disregard/", form, follow=True).text
    context = browser.get("/review/?tab=dismissed").context
    assert [one.decision.port for one in context["decided"]] == ["ignored", "dismissed"]
    assert context["counts"]["dismissed"] == "2"
    for one in context["decided"]:
        browser.post(f"/decisions/{one.decision.pk}/undo/")
    assert len(browser.get("/review/").context["cards"]) == 2


def test_a_payment_that_comes_twice_shows_what_was_paid_and_uses_nothing_by_itself(
    browser: Browser, personas: Personas, invoice: Invoice
) -> None:
    account = an_account(personas.organization)
    following = an_invoice(invoice.client, account=account)
    first = a_payment(account, variable_symbol=invoice.variable_symbol, counterparty_account="9/0100")
    reconcile(personas.organization)
    a_payment(account, variable_symbol=invoice.variable_symbol, counterparty_account="9/0100")
    reconcile(personas.organization)
    (card,) = browser.get("/review/").context["cards"]
    assert (card.decision.port, card.best, card.paid.invoice) == ("duplicate", None, invoice)
    assert [line.transaction for line in card.paid.lines] == [first]
    text = page(browser)
    assert "Paid already" in text
    assert f"Pay {following.number} instead" in text
    assert f"Confirm {following.number}" not in text
    following.refresh_from_db()
    assert following.settled_minor == 0


def test_money_that_went_back_reads_as_a_refund(
    browser: Browser, personas: Personas, invoice: Invoice
) -> None:
    account = an_account(personas.organization)
    a_payment(account, variable_symbol=invoice.variable_symbol, counterparty_account="9/0100")
    reconcile(personas.organization)
    sent = a_payment(
        account, "-1210.00 CZK", variable_symbol=invoice.variable_symbol, counterparty_account="9/0100"
    )
    reconcile(personas.organization)
    (card,) = browser.get("/review/").context["cards"]
    assert (card.row, card.paid.invoice, card.best) == (sent, invoice, None)
    text = page(browser)
    for said in ("It may be a refund of", f"Write a credit note for {invoice.number}", "It is a refund"):
        assert said in text
    assert "Payee's account" in text
    assert "It may pay" not in text
    browser.post(f"/transactions/{sent.pk}/dismissal/", {"category": "refund"})
    assert browser.get("/review/").context["cards"] == []


def test_a_transfer_between_own_accounts_is_one_press(browser: Browser, personas: Personas) -> None:
    account = an_account(personas.organization)
    savings = an_account(personas.organization, "CZ5508000000001234567899")
    row = a_payment(account, "500.00 CZK", counterparty_account=savings.number)
    reconcile(personas.organization)
    (card,) = browser.get("/review/").context["cards"]
    assert (card.decision.port, card.own_account) == ("transfer", savings)
    assert "It is a transfer" in page(browser)
    browser.post(f"/transactions/{row.pk}/dismissal/", {"category": "transfer"})
    assert Decision.objects.current().get(transaction=row).category == "transfer"


def test_a_sum_of_several_invoices_is_accepted_and_rejected_as_one(
    browser: Browser, personas: Personas
) -> None:
    account = an_account(personas.organization)
    customer = a_client(personas.organization)
    invoices = [an_invoice(customer, amount, account=account) for amount in ("300.00 CZK", "450.00 CZK")]
    add_payer_account(customer, "123456789/0100", actor=SYSTEM)
    row = a_payment(account, "750.00 CZK", counterparty_account="123456789/0100")
    reconcile(personas.organization)
    (card,) = browser.get("/review/").context["cards"]
    assert [part.invoice for part in card.best.parts] == invoices
    assert (str(card.best.sum), card.best.difference.minor) == ("750.00 CZK", 0)
    form = {"invoice": card.best.invoice_ids}
    browser.post(f"/transactions/{row.pk}/rejection/", form)
    assert Rejection.objects.count() == 2
    browser.post(f"/transactions/{row.pk}/rejection/undo/", form)
    assert not Rejection.objects.exists()
    said = browser.post(accept_url(row), {"candidate": 0}, follow=True).text
    assert f"pays invoices {invoices[0].number}, {invoices[1].number}." in said
    assert not Invoice.objects.exclude(state="paid").exists()


def test_an_automatic_match_says_who_why_and_what_was_checked(browser: Browser, invoice: Invoice) -> None:
    a_payment(an_account(invoice.organization), variable_symbol=invoice.variable_symbol)
    reconcile(invoice.organization)
    (one,) = browser.get("/review/?tab=matched").context["decided"]
    assert one.why.tier == "One symbol, exactly what is open"
    assert len(one.why.vetoes) == 8
    assert all(veto.ok for veto in one.why.vetoes)
    text = page(browser, "/review/?tab=matched")
    for said in ("Kvit by itself", "names 2026-001 and nothing else.", "What was checked", invoice.number):
        assert said in text
    assert len(browser.get("/review/?tab=matched&by=person").context["decided"]) == 0
    assert len(browser.get("/review/?tab=matched&by=kvit").context["decided"]) == 1


def test_decisions_that_hold_come_in_pages_with_each_once(browser: Browser, personas: Personas) -> None:
    account = an_account(personas.organization)
    for n in range(60):
        a_payment(account, f"{n + 1}.00 CZK")
    reconcile(personas.organization)
    for decision in Decision.objects.waiting():
        browser.post(f"/transactions/{decision.transaction_id}/disregard/")
    first = browser.get("/review/?tab=dismissed").context
    older = browser.get(f"/review/?tab=dismissed&before={first['older']}").context
    seen = [one.decision.pk for context in (first, older) for one in context["decided"]]
    assert seen == sorted(set(seen), reverse=True)
    assert (len(seen), older["older"]) == (60, None)


def test_a_full_page_is_small_and_takes_few_queries(
    browser: Browser, personas: Personas, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    account = an_account(personas.organization)
    for n in range(30):
        one = an_invoice(
            a_client(personas.organization, f"Kavárna U Zlatého lva {n} s.r.o."), account=account
        )
        a_payment(
            account,
            variable_symbol=one.variable_symbol,
            counterparty_name=f"KAVARNA U ZLATEHO LVA {n} SRO",
            counterparty_account=f"{n + 1000}/0100",
            message=f"platba faktury {one.number} za listopad",
        )
    reconcile(personas.organization)
    browser.get("/review/")
    with django_assert_max_num_queries(24):
        answer = browser.get("/review/", headers={"accept-encoding": "gzip"})
    assert len(answer.context["cards"]) == 20
    assert all(len(card.others) == 2 for card in answer.context["cards"])
    assert len(answer.content) < 15_000
    assert len(gzip.decompress(answer.content)) < 100_000
