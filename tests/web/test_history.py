"""What the audit tells about a row, in sentences on its page."""

from __future__ import annotations

import pytest
from django.test import Client as Browser
from django.utils.translation import override

from kvit.audit.recording import SYSTEM, Actor
from kvit.ledger import conflicts, duplicates, posting, reverting
from kvit.ledger.models import MoneyTransaction, PossibleDuplicate, TransactionConflict
from kvit.users.scoping import access_of
from kvit.web import history
from kvit.work.clients import add_payer_account, remove_payer_account
from tests.factories import TODAY, a_client, a_movement, an_account, post
from tests.personas import Personas

pytestmark = pytest.mark.django_db
OWNER = Actor(name="user:owner@example.com")


def told(row: MoneyTransaction, personas: Personas) -> list[str]:
    """The sentences, the oldest first, each with what differs behind it."""
    row = MoneyTransaction.objects.get(pk=row.pk)
    with override("en"):
        sentences = [
            " ".join([event.text, *(f"{one.name}: {one.before} → {one.after}" for one in event.differences)])
            for event in reversed(history.of_transaction(row, access_of(personas.owner)))
        ]
    return [sentence.replace("\N{NO-BREAK SPACE}", " ") for sentence in sentences]


def test_a_conflict_is_told_with_both_versions_and_its_answer(personas: Personas) -> None:
    account = an_account(personas.organization)
    post(account, [a_movement("C1", "500.00 CZK")])
    post(account, [a_movement("C1", "550.00 CZK")])
    post(account, [a_movement("C1", "560.00 CZK")])
    first, second = TransactionConflict.objects.order_by("id")
    conflicts.keep(first, actor=OWNER)
    conflicts.accept(second, actor=OWNER)
    assert told(first.transaction, personas) == [
        "Received from the bank.",
        "The bank tells it otherwise: CZK 550.00 on 22 Nov 2026.",
        "The bank tells it otherwise: CZK 560.00 on 22 Nov 2026.",
        "Kept as it is booked; CZK 550.00 on 22 Nov 2026 was not taken over.",
        "Another version from the bank was taken over: CZK 560.00 on 22 Nov 2026.",
        "It holds what the bank says now. amount: CZK 500.00 → CZK 560.00",
    ]


def test_a_pending_movement_is_told_until_it_is_booked_under_another_id(personas: Personas) -> None:
    account = an_account(personas.organization)
    post(account, [a_movement("P1", status="pending")])
    post(account, [a_movement("B1")])
    row = MoneyTransaction.objects.get()
    assert told(row, personas) == [
        "Received from the bank; it is not booked yet.",
        "Booked by the bank under another id than while it was pending. the bank's id: P1 → B1",
    ]


def test_a_pending_movement_that_is_gone_and_comes_back_is_told(personas: Personas) -> None:
    account = an_account(personas.organization)
    source = f"test:{account.number}"
    post(account, [a_movement("P1", status="pending")])
    posting.release(account, source, ["P1"], actor=SYSTEM)
    post(account, [a_movement("P1")])
    assert told(MoneyTransaction.objects.get(), personas)[1:] == [
        "Withdrawn: the bank no longer tells this pending movement.",
        "Back again: the bank tells it again.",
    ]


def test_a_movement_told_twice_links_the_one_that_is_kept_and_back(personas: Personas) -> None:
    account = an_account(personas.organization)
    post(account, [a_movement("A1")])
    post(account, [a_movement("S1")], source="file:x")
    question = PossibleDuplicate.objects.get()
    duplicates.same(question, actor=OWNER)
    later, earlier = question.transaction, question.candidate
    assert told(later, personas) == [
        "Received from the bank.",
        "It may be the same as another movement.",
        "It is the same as another movement.",
        "Withdrawn: it is another movement told twice. It counts nowhere any more.",
    ]
    links = {
        row.pk: {event.link for event in history.of_transaction(row, access_of(personas.owner))} - {""}
        for row in (later, earlier)
    }
    assert links == {later.pk: {f"/transactions/{earlier.pk}/"}, earlier.pk: {f"/transactions/{later.pk}/"}}


def test_a_run_taken_back_is_told_on_what_it_brought_and_what_it_changed(personas: Personas) -> None:
    account = an_account(personas.organization)
    first, second = Actor(name="plugin:fio@1.0", run_id=71), Actor(name="plugin:fio@1.0", run_id=72)
    post(account, [a_movement("A1", message="one")], actor=first)
    post(
        account,
        [a_movement("A1", message="two"), a_movement("A2"), a_movement("A1", "9.00 CZK")],
        actor=second,
    )
    reverting.revert(personas.organization, 72, actor=OWNER)
    old, new = MoneyTransaction.objects.order_by("id")
    assert told(old, personas) == [
        "Received from the bank.",
        "The bank's record changed. message: one → two",
        "The bank tells it otherwise: CZK 9.00 on 22 Nov 2026.",
        "Forgotten with its run that the bank told otherwise: CZK 9.00 on 22 Nov 2026.",
        "Its former values are back: run 72 was taken back. message: two → one",
    ]
    assert told(new, personas)[-1] == "Withdrawn: run 72, which had brought it, was taken back."


def test_the_page_of_a_client_tells_who_changed_what(client: Browser, personas: Personas) -> None:
    personas.owner.language = "en"
    personas.owner.save()
    client.force_login(personas.owner)
    form = {"name": "Studio Jabloň a.s.", "country": "CZ", "city": "Brno"}
    client.post("/clients/new/", form)
    row = personas.organization.clients.get()
    client.post(f"/clients/{row.pk}/", form | {"city": "Praha"})
    known = add_payer_account(row, "19-2000145399/0800", actor=SYSTEM)
    remove_payer_account(known, actor=SYSTEM)
    add_payer_account(a_client(personas.organization), "19-2000145399/0800", actor=SYSTEM)
    events = client.get(f"/clients/{row.pk}/").context["history"]
    assert [(event.text, event.actor) for event in reversed(events)] == [
        ("Client Studio Jabloň a.s. was added.", "user:owner@example.com"),
        ("The client's details changed.", "user:owner@example.com"),
        ("Account 19-2000145399/0800 was added.", "system"),
        ("Account 19-2000145399/0800 was forgotten.", "system"),
    ]
    assert [tuple(one) for one in events[2].differences] == [("city", "city", "Brno", "Praha")]


def test_another_organization_s_history_is_never_told(personas: Personas) -> None:
    post(an_account(personas.organization), [a_movement("A1", booked_on=TODAY)])
    row = MoneyTransaction.objects.get()
    assert history.of_transaction(row, access_of(personas.stranger)) == []
