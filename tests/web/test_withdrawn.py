"""A withdrawn movement counts and is listed nowhere, and its own page says what became of it."""

from __future__ import annotations

from argparse import Namespace

import pytest
from django.test import Client as Browser

from kvit.audit.recording import SYSTEM
from kvit.cli import transactions
from kvit.dashboard.figures import overview
from kvit.ledger import duplicates
from kvit.ledger.models import MoneyTransaction, PossibleDuplicate
from tests.factories import TODAY, a_movement, an_account, post
from tests.personas import Personas


@pytest.fixture
def withdrawn(personas: Personas) -> MoneyTransaction:
    """The second telling of a payment of 1210.00 CZK."""
    account = an_account(personas.organization)
    post(account, [a_movement("KEPT")], source="fio:1")
    post(account, [a_movement("TWICE")], source="statement_file:1")
    duplicates.same(PossibleDuplicate.objects.get(), actor=SYSTEM)
    return MoneyTransaction.objects.get(external_id="TWICE")


@pytest.fixture
def browser(personas: Personas, client: Browser) -> Browser:
    personas.owner.language = "en"
    personas.owner.save(update_fields=["language"])
    client.force_login(personas.owner)
    return client


def test_the_list_and_the_export_leave_it_out(browser: Browser, withdrawn: MoneyTransaction) -> None:
    rows = browser.get("/transactions/").context["rows"]
    assert [row.external_id for row, _standing in rows] == ["KEPT"]
    exported = b"".join(browser.get("/transactions/export.csv")).decode()
    assert "KEPT" in exported
    assert "TWICE" not in exported


def test_its_page_says_so_and_offers_no_invoice(browser: Browser, withdrawn: MoneyTransaction) -> None:
    page = browser.get(f"/transactions/{withdrawn.pk}/")
    assert page.context["standing"].state == "withdrawn"
    assert not page.context["may_pay"]
    assert "withdrawn" in page.content.decode()


def test_the_figures_leave_it_out(personas: Personas, withdrawn: MoneyTransaction) -> None:
    figures = overview(personas.organization, TODAY)
    assert (figures.received.count, str(figures.received.amounts[0])) == (1, "1210.00 CZK")
    assert str(figures.months[-1].income) == "1210.00 CZK"


@pytest.mark.parametrize("jsonl", [True, False])
def test_the_command_leaves_it_out(
    withdrawn: MoneyTransaction, capsys: pytest.CaptureFixture[str], jsonl: bool
) -> None:
    transactions.show(Namespace(organization=None, jsonl=jsonl))
    assert capsys.readouterr().out.count("1210.00") == 1
