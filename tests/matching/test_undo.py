"""Undo: of one decision, of a whole run, of what was learned; the books are as they were before."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Any

import pytest

from kvit.audit.recording import SYSTEM, Actor
from kvit.dashboard.figures import overview
from kvit.invoices.models import Invoice, Settlement
from kvit.kernel.errors import Stale
from kvit.ledger.models import MoneyTransaction
from kvit.matching import review
from kvit.matching.models import Decision, MatchingRun, Rejection
from kvit.matching.reconcile import reconcile
from kvit.users.models import Organization
from kvit.work.clients import add_payer_account
from kvit.work.models import PayerAccount
from tests.factories import a_client, a_payment, an_account, an_invoice
from tests.matching.invariants import assert_books_hold, bank_facts
from tests.matching.tenant import business, deliver, issue_all

EVA = Actor(name="user:eva@example.com")
PAYER = "35-4171760237/0100"
LATER = date(2026, 3, 31)


def dump(organization: Organization) -> dict[str, Any]:
    """Everything that undoing must bring back: documents, counters, learned accounts, figures."""
    figures = asdict(overview(organization, LATER)) | {"latest_runs": ()}
    return {
        "invoices": list(Invoice.objects.order_by("pk").values()),
        "movements": list(
            MoneyTransaction.objects.order_by("pk").values("pk", "settled_minor", "amount_minor", "status")
        ),
        "payers": list(PayerAccount.objects.order_by("pk").values("client", "key", "provenance")),
        "live": list(Settlement.objects.filter(voids__isnull=True, voided_by__isnull=True).values()),
        "figures": figures,
    }


def a_month(organization: Organization, seed: int) -> None:
    days = business(seed)
    for day in days:
        issue_all(organization, day)
    Invoice.objects.update(match_due=False)
    deliver(organization, [movement for day in days for movement in day.movements])


@pytest.mark.parametrize("seed", range(3))
def test_undoing_a_run_restores_everything(organization: Organization, seed: int) -> None:
    a_month(organization, seed)
    before, facts = dump(organization), bank_facts()
    reconcile(organization)
    run = MatchingRun.objects.get()
    assert run.settled > 10
    assert dump(organization) != before
    handled = review.undo_run(run, actor=EVA)
    assert (handled.count, handled.refused) == (run.settled, ())
    assert dump(organization) == before
    assert_books_hold(facts)
    reconcile(organization)
    assert dump(organization) == before


def test_a_run_is_undone_once_and_what_a_person_decided_in_between_stays(organization: Organization) -> None:
    client, account = a_client(organization), an_account(organization)
    settled = [a_payment(account, variable_symbol=an_invoice(client).variable_symbol) for _ in range(2)]
    chosen = an_invoice(client, "700.00 CZK")
    waiting = a_payment(account, "700.00 CZK")
    reconcile(organization)
    review.confirm(waiting, chosen, actor=EVA)
    run = MatchingRun.objects.earliest("pk")
    assert review.undo_run(run, actor=EVA).count == 2
    with pytest.raises(Stale):
        review.undo_run(run, actor=EVA)
    for row in settled:
        row.refresh_from_db()
        assert row.settled_minor == 0
    chosen.refresh_from_db()
    assert chosen.state == "paid"
    assert Rejection.objects.count() == 2


def test_a_refused_one_does_not_stop_the_others(organization: Organization) -> None:
    client, account = a_client(organization), an_account(organization)
    first = an_invoice(client, symbol="77", account=account)
    second = an_invoice(client, symbol="78", account=account)
    for symbol in ("77", "78"):
        a_payment(account, variable_symbol=symbol)
    reconcile(organization)
    run = MatchingRun.objects.get()
    an_invoice(client, "50.00 CZK", symbol="77", account=account)
    handled = review.undo_run(run, actor=EVA)
    assert handled.count == 1
    [(decision, refusal)] = handled.refused
    assert "cannot be opened again" in str(refusal)
    assert decision.transaction.variable_symbol == "77"
    first.refresh_from_db()
    second.refresh_from_db()
    run.refresh_from_db()
    assert (first.state, second.state, run.undone_at) == ("paid", "issued", None)


def test_an_account_seen_twice_stays_known_until_the_last_is_undone(organization: Organization) -> None:
    client, account = a_client(organization), an_account(organization)
    rows = [
        a_payment(account, variable_symbol=an_invoice(client).variable_symbol, counterparty_account=PAYER)
        for _ in range(2)
    ]
    reconcile(organization)
    first, second = (Decision.objects.get(transaction=row, port="auto") for row in rows)
    assert PayerAccount.objects.get().decision_id == first.pk
    review.undo(first, actor=EVA)
    assert PayerAccount.objects.get().decision_id == second.pk
    review.undo(second, actor=EVA)
    assert not PayerAccount.objects.exists()


def test_a_persons_word_outlives_what_was_learned(organization: Organization) -> None:
    client, account = a_client(organization), an_account(organization)
    row = a_payment(account, variable_symbol=an_invoice(client).variable_symbol, counterparty_account=PAYER)
    reconcile(organization)
    assert PayerAccount.objects.get().provenance == "auto"
    add_payer_account(client, "CZ3001000000354171760237", actor=EVA)
    review.undo(Decision.objects.get(transaction=row, port="auto"), actor=EVA)
    assert PayerAccount.objects.get().provenance == "human"


def test_a_confirmation_makes_a_learned_account_certain_until_it_is_undone(
    organization: Organization,
) -> None:
    client, account = a_client(organization), an_account(organization)
    a_payment(account, variable_symbol=an_invoice(client).variable_symbol, counterparty_account=PAYER)
    other = an_invoice(client, "300.00 CZK")
    row = a_payment(account, "300.00 CZK", counterparty_account=PAYER)
    reconcile(organization)
    decision = review.confirm(row, other, actor=EVA)
    assert PayerAccount.objects.get().provenance == "human"
    review.undo(decision, actor=EVA)
    assert PayerAccount.objects.get().provenance == "auto"


def test_undoing_a_transfer_undoes_both_sides_and_it_is_not_paired_again(organization: Organization) -> None:
    ours, savings = an_account(organization), an_account(organization, "CZ3001000000354171760237")
    out = a_payment(ours, "-900.00 CZK", counterparty_account=savings.number)
    into = a_payment(savings, "900.00 CZK", counterparty_account=ours.number)
    assert reconcile(organization).settled == 2
    decision = Decision.objects.current().get(transaction=out)
    assert (decision.port, decision.mirror) == ("transferred", into)
    review.undo(decision, actor=EVA)
    reconcile(organization, actor=SYSTEM)
    ports = Decision.objects.current().values_list("transaction", "port")
    assert dict(ports) == {out.pk: "transfer", into.pk: "transfer"}
