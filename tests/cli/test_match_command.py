"""`kvit match`: words checked in processes of its own, what it does on this process's database."""

from __future__ import annotations

import argparse

import pytest

from kvit.cli.matching import match
from kvit.invoices.models import Invoice
from kvit.matching.models import Decision, MatchingRun
from kvit.matching.reconcile import reconcile
from kvit.users.models import Organization
from tests.commands import Kvit
from tests.factories import a_client, a_payment, an_account, an_invoice


def asked(*, again: bool = False, undo_run: int | None = None) -> argparse.Namespace:
    return argparse.Namespace(organization=None, again=again, undo_run=undo_run)


def test_undoing_a_run_that_is_not_there_is_refused_in_one_sentence(kvit: Kvit) -> None:
    answer = kvit.run("match", "--undo-run", "7")
    assert (answer.code, answer.sentence()) == (1, "There is no matching run 7.")


def test_again_and_undoing_are_two_things(kvit: Kvit) -> None:
    answer = kvit.run("match", "--again", "--undo-run", "7")
    assert answer.code == 2
    assert "not allowed with" in answer.err


def test_a_run_is_undone_and_what_cannot_be_is_named(
    organization: Organization, capsys: pytest.CaptureFixture[str]
) -> None:
    account = an_account(organization)
    for amount in ("10.00 CZK", "20.00 CZK"):
        invoice = an_invoice(a_client(organization), amount)
        a_payment(account, amount, variable_symbol=invoice.variable_symbol)
    assert match(asked()) == 0
    assert capsys.readouterr().out == f"{organization}: settled 2, waiting 0\n"
    run = MatchingRun.objects.get()
    an_invoice(a_client(organization), "5.00 CZK", symbol=invoice.variable_symbol)
    assert match(asked(undo_run=run.pk)) == 1
    first, named = capsys.readouterr().out.splitlines()
    assert first == f"{organization}: undone 1, refused 1"
    assert f"Invoice {invoice.number} cannot be opened again" in named


@pytest.mark.past_the_audit
def test_again_finds_new_candidates_and_settles_nothing_that_waited(
    organization: Organization, capsys: pytest.CaptureFixture[str]
) -> None:
    client = a_client(organization)
    row = a_payment(an_account(organization), "70.00 CZK", variable_symbol="2026001")
    reconcile(organization)
    invoice = an_invoice(client, "70.00 CZK")
    Invoice.objects.filter(pk=invoice.pk).update(match_due=False)
    assert Decision.objects.current().get(transaction=row).candidates == []
    match(asked(again=True))
    assert capsys.readouterr().out == f"{organization}: settled 0, waiting 1\n"
    assert Decision.objects.current().get(transaction=row).candidates[0]["lines"] == [[invoice.pk, 7000]]
