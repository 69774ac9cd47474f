from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, transaction
from django.db import connection as database
from django.test import override_settings
from django.utils import timezone

from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM
from kvit.kernel.errors import Refused, Stale
from kvit.kernel.sealing import Key, KeyRing
from kvit.payments import batching, outbox, resolving, sending
from kvit.payments.models import PaymentBatch, PaymentOrder
from kvit.sync.models import GateTurn, PluginConfiguration
from kvit.sync.switches import set_plugin_enabled
from kvit.users.models import Organization
from tests.payments import paper_bank
from tests.payments.paper_bank import TOKEN, Behaviour, Paper, PaperBank
from tests.payments.paying import a_batch, a_paying_connection, a_sent_batch, an_order, states


def send(after: timedelta = timedelta(0)) -> int:
    return sending.send_due(timezone.now() + after)


def words(batch: PaymentBatch) -> str:
    batch.refresh_from_db()
    return batch.error_message.format(**batch.error_params)


def test_a_batch_leaves_once_as_the_very_bytes_that_were_stored(
    connection: PluginConfiguration, paper: PaperBank
) -> None:
    one, other = an_order(connection.organization), an_order(connection.organization, "20.50 CZK")
    batch = a_batch(connection, one, other)
    stored = batching.file_of(batch).data
    assert states(batch) == ("waiting", ["in_batch", "in_batch"])
    assert [send(), send(timedelta(hours=3))] == [1, 0]
    assert paper.batches == [stored]
    assert paper.keys == [batch.key]
    batch.refresh_from_db()
    assert (batch.reference, batch.verdicts) == ("B1", [])
    assert batch.sent_at is not None
    assert batch.answered_at is not None
    assert batch.answered_at >= batch.sent_at
    assert states(batch) == ("accepted", ["handed_over", "handed_over"])


def test_the_state_sending_is_stored_before_anything_leaves(
    connection: PluginConfiguration, paper: PaperBank
) -> None:
    seen: list[str] = []

    def look(bank: PaperBank, body: bytes) -> paper_bank.Answer:
        seen.extend(PaymentBatch.objects.values_list("state", flat=True))
        return paper_bank.accepting(bank, body)

    paper.behaviour = look
    batch = a_sent_batch(connection)
    assert seen == ["sending"]
    trail = AuditEntry.objects.filter(table="payments_paymentbatch", object_id=batch.pk).order_by("id")
    told = [entry.after["state"] for entry in trail if entry.after and "state" in entry.after]
    assert told == ["waiting", "sending", "accepted"]
    assert trail[2].actor == "plugin:paper@0.1"


def test_a_refused_batch_sets_its_orders_free_and_names_the_faulty_one(
    connection: PluginConfiguration, paper: PaperBank
) -> None:
    good, faulty = an_order(connection.organization), an_order(connection.organization, "20.00 CZK")
    paper.behaviour = paper_bank.refusing(faulty.id_for_bank, f"No such account, {TOKEN}.")
    batch = a_sent_batch(connection, good, faulty)
    assert states(batch) == ("refused", ["draft", "refused"])
    assert batch.verdicts == [
        {"status": "error", "code": "201", "message": "No such account, ***.", "order_id": faulty.id_for_bank}
    ]
    paper.behaviour = paper_bank.accepting
    good.refresh_from_db()
    assert good.batch is None
    again = a_sent_batch(connection, good)
    assert states(again) == ("accepted", ["handed_over"])
    assert again.key != batch.key


@pytest.mark.parametrize(
    "behaviour",
    [
        paper_bank.falling_silent,
        paper_bank.answering(200, b'{"accep'),
        paper_bank.answering(500),
        paper_bank.answering(503),
    ],
)
def test_an_answer_that_was_lost_is_unknown_and_never_sent_again(
    connection: PluginConfiguration, paper: PaperBank, behaviour: Behaviour
) -> None:
    paper.behaviour = behaviour
    batch = a_sent_batch(connection)
    assert states(batch) == ("unknown", ["in_batch"])
    assert batch.error_kind == "Temporary"
    paper.behaviour = paper_bank.accepting
    assert send(timedelta(days=3)) == 0
    assert len(paper.received) == 1
    assert list(resolving.waiting_for_a_person(connection.organization)) == [batch]
    with pytest.raises(Stale):
        batching.make_batch(connection, list(PaymentOrder.objects.all()), actor=SYSTEM)


@pytest.mark.parametrize(
    ("mistake", "kind"),
    [
        ("after", "PluginCrashed"),
        ("without a key", "KeyMissing"),
        ("twice", "PluginCrashed"),
        ("in the answer", "PluginCrashed"),
    ],
)
def test_a_plugin_that_fails_after_sending_leaves_it_unknown(
    connection: PluginConfiguration,
    paper: PaperBank,
    monkeypatch: pytest.MonkeyPatch,
    mistake: str,
    kind: str,
) -> None:
    monkeypatch.setattr(Paper, "mistake", mistake)
    batch = a_sent_batch(connection)
    assert states(batch) == ("unknown", ["in_batch"])
    assert len(paper.received) == 1
    assert batch.error_kind == kind
    assert send(timedelta(days=3)) == 0
    assert TOKEN not in words(batch)


def test_a_plugin_that_fails_before_sending_has_sent_nothing(
    connection: PluginConfiguration, paper: PaperBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Paper, "mistake", "before")
    batch = a_sent_batch(connection)
    assert states(batch) == ("refused", ["draft"])
    assert "ZeroDivisionError" in words(batch)
    assert TOKEN not in words(batch)
    assert paper.received == []


@pytest.mark.parametrize(("status", "kind"), [(401, "AuthExpired"), (404, "Misconfigured")])
def test_a_definite_refusal_frees_the_orders(
    connection: PluginConfiguration, paper: PaperBank, status: int, kind: str
) -> None:
    paper.behaviour = paper_bank.answering(status)
    batch = a_sent_batch(connection)
    assert states(batch) == ("refused", ["draft"])
    assert batch.error_kind == kind
    assert TOKEN not in words(batch)
    assert send(timedelta(days=3)) == 0


def test_a_bank_that_asks_to_wait_is_asked_again_at_that_time_with_the_same_key(
    connection: PluginConfiguration, paper: PaperBank
) -> None:
    paper.behaviour = paper_bank.answering(409)
    batch = a_sent_batch(connection)
    assert states(batch) == ("waiting", ["in_batch"])
    assert batch.not_before is not None
    assert timedelta(seconds=60) < batch.not_before - timezone.now() <= timedelta(seconds=90)
    paper.behaviour = paper_bank.accepting
    assert send() == 0
    assert send(timedelta(seconds=91)) == 1
    assert paper.keys == [batch.key] * 2
    assert len(paper.batches) == 1


def test_a_closed_gate_sends_nothing_and_waits(
    connection: PluginConfiguration, paper: PaperBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Paper, "gate_seconds", 600.0)
    first = a_sent_batch(connection)
    assert states(first)[0] == "accepted"
    second = a_sent_batch(connection)
    assert states(second) == ("waiting", ["in_batch"])
    assert len(paper.received) == 1
    assert second.not_before is not None
    GateTurn.objects.all().delete()
    assert send(timedelta(minutes=11)) == 1


def test_a_bank_out_of_reach_is_tried_again_and_at_last_given_up(
    firm: Organization, paper: PaperBank
) -> None:
    connection = a_paying_connection(firm, paper, address="http://127.0.0.1:9")
    batch = a_batch(connection)
    for attempt in range(1, sending.MOST_ATTEMPTS):
        assert send(timedelta(hours=attempt)) == 0
        assert states(batch) == ("waiting", ["in_batch"])
    send(timedelta(hours=sending.MOST_ATTEMPTS))
    assert states(batch) == ("refused", ["draft"])
    assert "cannot be reached" in words(batch)


def test_a_batch_that_waits_can_be_withdrawn_and_then_never_leaves(
    connection: PluginConfiguration, paper: PaperBank
) -> None:
    batch = a_batch(connection)
    batching.withdraw(batch, actor=SYSTEM)
    assert states(batch) == ("withdrawn", ["draft"])
    assert send() == 0
    assert paper.received == []
    with pytest.raises(Stale):
        batching.withdraw(batch, actor=SYSTEM)


def test_a_batch_that_was_sent_cannot_be_withdrawn(connection: PluginConfiguration) -> None:
    batch = a_sent_batch(connection)
    with pytest.raises(Stale):
        batching.withdraw(batch, actor=SYSTEM)
    assert states(batch) == ("accepted", ["handed_over"])


def test_a_worker_whose_lease_lapsed_leaves_it_unknown(
    connection: PluginConfiguration, paper: PaperBank
) -> None:
    batch = a_batch(connection)
    assert sending._claim(batch, timezone.now()) is not None
    assert send(sending.LEASE - timedelta(minutes=1)) == 0
    assert states(batch) == ("sending", ["in_batch"])
    assert send(sending.LEASE + timedelta(minutes=1)) == 0
    assert states(batch) == ("unknown", ["in_batch"])
    assert paper.received == []


def test_a_worker_that_was_held_up_for_long_sends_nothing(
    connection: PluginConfiguration, paper: PaperBank
) -> None:
    batch = a_batch(connection)
    held = sending._claim(batch, timezone.now())
    assert held is not None
    PaymentBatch.objects.update(lease_until=timezone.now() + timedelta(minutes=2))
    assert sending._send(held) is False
    assert paper.received == []
    assert states(batch) == ("waiting", ["in_batch"])


def test_a_worker_that_lost_its_batch_sends_nothing_and_writes_nothing(
    connection: PluginConfiguration, paper: PaperBank
) -> None:
    batch = a_batch(connection)
    held = sending._claim(batch, timezone.now())
    assert held is not None
    send(sending.LEASE + timedelta(minutes=1))
    assert sending._send(held) is False
    assert paper.received == []
    assert states(batch) == ("unknown", ["in_batch"])


def test_an_answer_that_comes_after_the_lease_is_kept(
    connection: PluginConfiguration, paper: PaperBank
) -> None:
    def lapse(bank: PaperBank, body: bytes) -> paper_bank.Answer:
        send(sending.LEASE + timedelta(minutes=1))
        return paper_bank.accepting(bank, body)

    paper.behaviour = lapse
    batch = a_sent_batch(connection)
    assert states(batch) == ("accepted", ["handed_over"])
    assert batch.reference == "B1"
    assert not resolving.waiting_for_a_person(connection.organization).exists()


@pytest.mark.parametrize(
    ("say", "behaviour", "state", "told"),
    [
        (resolving.bank_does_not_have_it, paper_bank.accepting, "refused", "accepted"),
        (resolving.bank_has_it, paper_bank.refusing(), "accepted", "refused"),
    ],
)
def test_a_late_answer_against_what_a_person_said_is_shown_and_changes_no_order(
    connection: PluginConfiguration,
    paper: PaperBank,
    say: Callable[..., None],
    behaviour: paper_bank.Behaviour,
    state: str,
    told: str,
) -> None:
    batch = a_batch(connection)

    def lapse(bank: PaperBank, body: bytes) -> paper_bank.Answer | None:
        send(sending.LEASE + timedelta(minutes=1))
        say(batch, actor=SYSTEM)
        return behaviour(bank, body)

    paper.behaviour = lapse
    send()
    batch.refresh_from_db()
    order_state = "draft" if state == "refused" else "handed_over"
    assert (batch.contradiction, *states(batch)) == (told, state, [order_state])
    assert list(resolving.waiting_for_a_person(connection.organization)) == [batch]
    resolving.acknowledge(batch, actor=SYSTEM)
    assert not resolving.waiting_for_a_person(connection.organization).exists()
    assert states(batch) == (state, [order_state])
    with pytest.raises(Stale):
        resolving.acknowledge(batch, actor=SYSTEM)


def test_a_person_finds_it_in_the_bank(connection: PluginConfiguration, paper: PaperBank) -> None:
    paper.behaviour = paper_bank.falling_silent
    batch = a_sent_batch(connection)
    resolving.bank_has_it(batch, actor=SYSTEM, reference=" 47  11 ")
    assert states(batch) == ("accepted", ["handed_over"])
    assert (batch.reference, batch.resolved_by) == ("47 11", SYSTEM.name)
    for act in (resolving.bank_has_it, resolving.bank_does_not_have_it):
        with pytest.raises(Stale):
            act(batch, actor=SYSTEM)


def test_a_person_does_not_find_it_and_the_orders_go_with_a_new_key(
    connection: PluginConfiguration, paper: PaperBank
) -> None:
    paper.behaviour = paper_bank.falling_silent
    batch = a_sent_batch(connection)
    resolving.bank_does_not_have_it(batch, actor=SYSTEM)
    assert states(batch) == ("refused", ["draft"])
    with pytest.raises(Stale):
        resolving.bank_has_it(batch, actor=SYSTEM)
    paper.behaviour = paper_bank.accepting
    again = a_sent_batch(connection, *PaymentOrder.objects.all())
    assert states(again) == ("accepted", ["handed_over"])
    assert paper.keys == [batch.key, again.key]
    assert batch.key != again.key


def test_nothing_is_resolved_but_what_is_unknown(connection: PluginConfiguration) -> None:
    batch = a_batch(connection)
    for act in (resolving.bank_has_it, resolving.bank_does_not_have_it):
        with pytest.raises(Stale):
            act(batch, actor=SYSTEM)
    assert states(batch) == ("waiting", ["in_batch"])


def test_the_network_is_never_used_inside_a_transaction(
    connection: PluginConfiguration, paper: PaperBank
) -> None:
    batch = a_batch(connection)
    with transaction.atomic():
        send()
    assert paper.received == []
    assert states(batch)[0] == "refused"
    assert outbox.due(timezone.now()).count() == 0


def test_while_a_master_key_is_missing_a_batch_waits(
    connection: PluginConfiguration, paper: PaperBank
) -> None:
    batch = a_batch(connection)
    lost = dataclasses.replace(settings.KVIT, master_keys=KeyRing([Key.generate()]))
    with override_settings(KVIT=lost):
        assert send() == 0
    assert states(batch) == ("waiting", ["in_batch"])
    assert "master key" in words(batch)
    assert paper.received == []
    assert send(sending.LONGEST_PAUSE) == 1
    assert words(batch) == ""


def test_a_plugin_that_is_switched_off_hands_nothing_over(
    connection: PluginConfiguration, paper: PaperBank
) -> None:
    batch = a_batch(connection)
    set_plugin_enabled(connection.organization, "paper", False, actor=SYSTEM)
    assert send() == 0
    assert states(batch) == ("refused", ["draft"])
    assert paper.received == []
    with pytest.raises(Refused, match="switched off"):
        a_batch(connection)


def test_an_answer_outlives_a_database_that_is_away_for_a_moment(
    connection: PluginConfiguration, paper: PaperBank
) -> None:
    batch = a_batch(connection)
    refused: list[str] = []

    def away(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if paper.received and len(refused) < 2 and sql.startswith("UPDATE"):
            refused.append(sql)
            raise OperationalError("the server closed the connection")
        return execute(sql, *rest)

    with database.execute_wrapper(away):
        assert send() == 1
    assert len(refused) == 2
    assert states(batch) == ("accepted", ["handed_over"])
    assert len(paper.received) == 1
