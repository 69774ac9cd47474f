from __future__ import annotations

import argparse

import pytest

from kvit.cli import payments
from kvit.kernel.errors import Refused, Stale
from kvit.sync.models import PluginConfiguration
from tests.payments import paper_bank
from tests.payments.paper_bank import PaperBank
from tests.payments.paying import a_batch, an_order, states


def run(command: str, **options: object) -> int:
    given = {"organization": None, "open": False, "taken": False, "not_taken": False, "reference": ""}
    done: int = getattr(payments, command)(argparse.Namespace(**(given | options)))
    return done


def test_orders_are_sent_listed_and_resolved_by_commands(
    connection: PluginConfiguration, paper: PaperBank, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("list_orders") == 0
    assert capsys.readouterr().out == "no payment order\n"
    batch = a_batch(connection, an_order(connection.organization, counterparty_name="Jan Novák"))
    assert run("send") == 0
    assert "accepted 1 batch\n" in capsys.readouterr().out
    run("list_orders", open=True)
    listed = capsys.readouterr().out
    assert "1500.00 CZK" in listed
    assert "handed_over" in listed
    assert "B1" in listed
    assert "Jan Novák" in listed
    assert states(batch)[0] == "accepted"


@pytest.mark.parametrize(("answer", "state"), [("taken", "accepted"), ("not_taken", "refused")])
def test_a_lost_answer_is_named_until_it_is_resolved(
    connection: PluginConfiguration,
    paper: PaperBank,
    capsys: pytest.CaptureFixture[str],
    answer: str,
    state: str,
) -> None:
    paper.behaviour = paper_bank.falling_silent
    batch = a_batch(connection)
    assert [run("send"), run("send")] == [1, 1]
    assert f"kvit payment resolve {batch.pk}" in capsys.readouterr().out
    assert run("resolve", batch=batch.pk, **{answer: True}) == 0
    assert states(batch)[0] == state
    with pytest.raises(Stale):
        run("resolve", batch=batch.pk, taken=True)
    with pytest.raises(Refused, match="no batch"):
        run("resolve", batch=batch.pk + 1, taken=True)
