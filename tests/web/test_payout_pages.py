"""The pages of payouts: a report is handed over, its credit chosen, settled and undone."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as Browser

from kvit.invoices.models import Invoice
from kvit.ledger.models import MoneyTransaction
from kvit.matching.payout_models import PayoutReport
from kvit.matching.reconcile import reconcile
from tests.factories import TODAY, a_client, a_payment, an_account, an_invoice
from tests.personas import Personas

HEADER = "payout;paid_on;reference;gross;fee;currency\n"


@pytest.fixture
def browser(personas: Personas, client: Browser) -> Browser:
    personas.owner.language = "en"
    personas.owner.save()
    client.force_login(personas.owner)
    return client


@pytest.fixture
def invoice(personas: Personas) -> Invoice:
    return an_invoice(a_client(personas.organization), "1000.00 CZK")


@pytest.fixture
def payment(personas: Personas) -> MoneyTransaction:
    row = a_payment(an_account(personas.organization), "990.00 CZK", message="cards")
    reconcile(personas.organization)
    return row


def hand_over(browser: Browser, text: str, **said: str) -> str:
    file = SimpleUploadedFile("payout.csv", text.encode())
    answer = browser.post("/payouts/new/", {"report": file, **said}, follow=True)
    return answer.content.decode()


def test_a_report_is_handed_over_settled_by_the_chosen_payment_and_undone(
    browser: Browser, invoice: Invoice, payment: MoneyTransaction
) -> None:
    text = hand_over(
        browser,
        f"{HEADER}PO-1;{TODAY};{invoice.number};1000.00;10.00;CZK\n",
        transaction=str(payment.pk),
    )
    assert "nothing says for sure" in text
    assert "checked" in text
    report = PayoutReport.objects.get()
    values = {"transaction": payment.pk}
    shown = browser.post(f"/payouts/{report.pk}/application/", values, follow=True).content.decode()
    assert "1 line of the payout was settled." in shown
    invoice.refresh_from_db()
    assert invoice.state == "paid"
    assert "settled" in browser.get("/payouts/").content.decode()
    browser.post(f"/payouts/{report.pk}/undo/")
    invoice.refresh_from_db()
    assert invoice.state == "issued"
    assert "not applied" in browser.get("/payouts/").content.decode()


def test_a_line_that_was_left_is_told_with_its_reason(
    browser: Browser, invoice: Invoice, payment: MoneyTransaction
) -> None:
    rows = f"PO-1;{TODAY};{invoice.number};700.00;10.00;CZK\nPO-1;{TODAY};OBJ-9;300.00;0.00;CZK\n"
    hand_over(browser, HEADER + rows)
    report = PayoutReport.objects.get()
    browser.post(f"/payouts/{report.pk}/application/", {"transaction": payment.pk})
    shown = browser.get(f"/payouts/{report.pk}/").content.decode()
    assert "No invoice has the number OBJ-9." in shown
    assert "but CZK\N{NO-BREAK SPACE}1,000.00 is open" in shown


def test_errors_are_told_with_their_line_and_a_known_report_changes_nothing(browser: Browser) -> None:
    broken = hand_over(browser, f"{HEADER}PO-1;{TODAY};A;lots;1.00;CZK\n")
    assert "gross" in broken
    assert "2" in broken
    assert not PayoutReport.objects.exists()
    good = f"{HEADER}PO-1;{TODAY};A;10.00;1.00;CZK\n"
    hand_over(browser, good)
    assert "known already. Nothing was changed." in hand_over(browser, good)
    assert "told otherwise" in hand_over(browser, good.replace("1.00;CZK", "2.00;CZK"))
    assert PayoutReport.objects.count() == 1


def test_a_file_over_the_limit_is_refused(browser: Browser) -> None:
    assert "at most 5 MB" in hand_over(browser, HEADER + "x" * 5_000_000)


def test_a_stranger_finds_nothing_and_an_accountant_changes_nothing(
    browser: Browser, personas: Personas, invoice: Invoice, payment: MoneyTransaction
) -> None:
    hand_over(browser, f"{HEADER}PO-1;{TODAY};{invoice.number};1000.00;10.00;CZK\n")
    report = PayoutReport.objects.get()
    browser.force_login(personas.stranger)
    assert browser.get(f"/payouts/{report.pk}/").status_code == 404
    browser.force_login(personas.accountant)
    assert browser.get(f"/payouts/{report.pk}/").status_code == 200
    values = {"transaction": payment.pk}
    assert browser.post(f"/payouts/{report.pk}/application/", values).status_code == 403
