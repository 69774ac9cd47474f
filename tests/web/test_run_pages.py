"""The page of a run, and the import of statement files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from kvit.audit.recording import COMMAND, Actor
from kvit.ledger.models import MoneyTransaction, TransactionAlias
from kvit.matching.reconcile import reconcile
from kvit.plugin import Unreadable
from kvit.sync import quarantine
from kvit.sync.connections import statement_connection
from kvit.sync.models import SyncHistory
from kvit.sync.redaction import Redactor
from kvit.users.keys import key_ring
from tests.factories import a_client, a_movement, an_account, an_invoice, post
from tests.personas import Personas
from tests.web import connecting

pytestmark = pytest.mark.django_db


def a_run(personas: Personas, status: str, **fields: Any) -> SyncHistory:
    connection = connecting.a_connection(personas.organization)
    return connecting.a_run(
        connection, status, trigger="manual", requested_by="user:owner@example.com", **fields
    )


def by(run: SyncHistory) -> Actor:
    return Actor(name="plugin:fio@1.0", run_id=run.pk)


def signed_in(client: Client, personas: Personas) -> Client:
    personas.owner.language = "en"
    personas.owner.save()
    client.force_login(personas.owner)
    return client


@pytest.mark.parametrize(
    ("status", "refreshes"), [("pending", True), ("running", True), ("completed", False)]
)
def test_an_active_run_refreshes_itself(
    client: Client, personas: Personas, status: str, refreshes: bool
) -> None:
    run = a_run(personas, status)
    client.force_login(personas.owner)
    for page in (f"/runs/{run.pk}/", f"/connections/{run.connection_id}/"):
        whole = client.get(page).text
        assert ("hx-trigger" in whole) is refreshes
        assert ('http-equiv="refresh"' in whole) is refreshes
        part = client.get(page, headers={"hx-request": "true"}).text
        assert "<html" not in part
        assert ("hx-trigger" in part) is refreshes


def test_a_signed_out_poll_is_led_to_the_sign_in_page(client: Client, personas: Personas) -> None:
    run = a_run(personas, "running")
    response = client.get(f"/runs/{run.pk}/", headers={"hx-request": "true"})
    assert response.headers["HX-Redirect"] == "/sign-in/"


def test_a_failed_run_says_what_went_wrong_and_what_to_do(client: Client, personas: Personas) -> None:
    personas.owner.language = "en"
    personas.owner.save()
    run = a_run(
        personas,
        "failed",
        error_kind="AuthExpired",
        error_message="The bank {bank} refused the token.",
        error_params={"bank": "<b>Fio</b>"},
        log=[{"at": "2026-11-22T10:00:00+00:00", "text": "Asking for November."}],
    )
    client.force_login(personas.owner)
    text = client.get(f"/runs/{run.pk}/").text
    assert "The bank &lt;b&gt;Fio&lt;/b&gt; refused the token." in text
    assert "Enter the credentials again" in text
    assert "Asking for November." in text
    assert "22\u00a0Nov\u00a02026 11:00" in text


def test_an_organization_has_one_connection_for_statement_files(personas: Personas) -> None:
    first = statement_connection(personas.organization, actor=COMMAND)
    assert statement_connection(personas.organization, actor=COMMAND) == first
    other = statement_connection(personas.stranger.memberships.get().organization, actor=COMMAND)
    assert other != first


AT = datetime(2026, 11, 23, 9, 30, tzinfo=ZoneInfo("Europe/Prague"))
THROTTLED = {
    "error_kind": "RateLimited",
    "error_message": "The source allows one request every {seconds} seconds.",
    "error_params": {"seconds": "30"},
}


@pytest.mark.parametrize(
    ("status", "fields", "words"),
    [
        ("pending", {}, ["waits for a worker", "Cancel the sync"]),
        (
            "pending",
            {"not_before": AT, "attempts": 2} | THROTTLED,
            [
                "the next try is on 23 Nov 2026 9:30",
                "every 30 seconds",
                "2 tries have failed",
                "Cancel the sync",
            ],
        ),
        ("running", {}, ["Kvit is reading the source", "Cancel the sync"]),
        ("running", {"is_waiting": True}, ["Kvit waits for the source"]),
        (
            "running",
            {"cancel_requested_at": AT, "cancel_requested_by": "user:eva@example.com"},
            ["is being cancelled", "Asked for by eva@example.com"],
        ),
        (
            "failed",
            {
                "error_kind": "Cancelled",
                "error_message": "Cancelled by {who}. What was read until then is kept.",
                "error_params": {"who": "user:eva@example.com"},
            },
            ["Cancelled by eva@example.com.", "Sync again"],
        ),
        ("failed", {"error_kind": "AuthExpired", "error_message": "No."}, ["/credentials/", "Sync again"]),
        ("failed", {"error_kind": "Misconfigured", "error_message": "No."}, ["/settings/"]),
        ("completed", {"created": 1}, ["The run is completed: 1 new movement."]),
        ("completed", {"created": 2}, ["The run is completed: 2 new movements."]),
        (
            "completed",
            {"created": 2, "reverted_at": AT, "reverted_by": "user:eva@example.com"},
            ["Taken back by eva@example.com, 23 Nov 2026 9:30."],
        ),
    ],
)
def test_each_state_has_its_words(
    client: Client, personas: Personas, status: str, fields: dict[str, Any], words: list[str]
) -> None:
    run = a_run(personas, status, **fields)
    text = signed_in(client, personas).get(f"/runs/{run.pk}/").text.replace("\N{NO-BREAK SPACE}", " ")
    for word in words:
        assert word in text
    assert ("Cancel the sync" in text) is (run.is_active and run.cancel_requested_at is None)
    assert ("The run is completed" in text) is (status == "completed" and run.reverted_at is None)


def test_a_run_lists_every_row_it_touched_once_page_by_page(
    client: Client, personas: Personas, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    account = an_account(personas.organization)
    post(account, [a_movement(f"A{n}", "5.00 CZK", message="old") for n in range(20)])
    run = a_run(personas, "completed", created=500, updated=20)
    again = [a_movement(f"A{n}", "5.00 CZK", message="new") for n in range(20)]
    post(account, [*again, *(a_movement(f"B{n}") for n in range(500))], actor=by(run))
    signed_in(client, personas)
    seen: list[tuple[int, str]] = []
    url = f"/runs/{run.pk}/"
    while url:
        with django_assert_max_num_queries(30):
            page = client.get(url).context["touched"]
        seen += [(row.entry.object_id, row.entry.action) for row in page.rows]
        url = f"/runs/{run.pk}/?after={page.after}" if page.after else ""
    rows = MoneyTransaction.objects.values_list("pk", "external_id")
    assert sorted(seen) == sorted((pk, "changed" if name[0] == "A" else "created") for pk, name in rows)

    tallies = {tally.key: tally.count for tally in client.get(f"/runs/{run.pk}/").context["tallies"]}
    assert tallies == {"ledger_moneytransaction.changed": 20, "ledger_moneytransaction.created": 500}
    only = client.get(f"/runs/{run.pk}/?only=ledger_moneytransaction.changed")
    assert len(only.context["touched"].rows) == 20
    assert '<span class="was">old</span>' in only.text
    assert client.get(f"/runs/{run.pk}/?only=x.y&after=²").context["only"] == ""


def test_a_row_is_named_with_its_former_and_its_new_value(client: Client, personas: Personas) -> None:
    account = an_account(personas.organization)
    invoice = an_invoice(a_client(personas.organization), account=account)
    run = a_run(personas, "completed", created=1)
    post(account, [a_movement("A", variable_symbol=invoice.variable_symbol)], actor=by(run))
    reconcile(personas.organization, actor=Actor(name="system", run_id=run.pk))
    text = signed_in(client, personas).get(f"/runs/{run.pk}/").text.replace("\N{NO-BREAK SPACE}", " ")
    assert f"CZK 1,210.00 for invoice {invoice.number}" in text
    assert 'settled: <span class="was">CZK 0.00</span>' in text
    assert 'state: <span class="was">issued</span>' in text
    assert "fingerprint" not in text


def test_another_id_of_a_known_movement_is_shown(client: Client, personas: Personas) -> None:
    account = an_account(personas.organization)
    post(account, [a_movement("26000000001", is_bank_id=True)])
    run = a_run(personas, "completed", unchanged=1)
    post(account, [a_movement("26000000001", is_bank_id=True)], source="file:x", actor=by(run))
    assert TransactionAlias.objects.get().run_id == run.pk
    text = signed_in(client, personas).get(f"/runs/{run.pk}/").text
    assert "Movements known already by another id" in text


def test_records_that_could_not_be_read_are_told_and_can_be_tried_again(
    client: Client, personas: Personas
) -> None:
    run = a_run(personas, "completed", quarantined=2)
    keys = key_ring(personas.organization)
    bad = [Unreadable(reason=f"Bad {n}.", account_id="a", external_id=str(n), raw={}) for n in range(60)]
    quarantine.put_aside(run, bad, keys, Redactor())
    signed_in(client, personas)
    text = client.get(f"/runs/{run.pk}/").text
    assert "60 records could not be read" in text
    assert "The first 50 of 60 are shown." in text
    assert "no longer kept" in text
    run.answers.create(sealed=b"sealed")
    assert "Try these again" in client.get(f"/runs/{run.pk}/").text
    quarantine.resolve(run, by=run, still_bad=())
    text = client.get(f"/runs/{run.pk}/").text
    assert "Try these again" not in text
    assert f'<a href="/runs/{run.pk}/">could be read later</a>' in text


def test_a_waiting_run_is_cancelled_once(client: Client, personas: Personas) -> None:
    run = a_run(personas, "pending")
    signed_in(client, personas)
    url = f"/runs/{run.pk}/cancellation/"
    assert "Cancelled by owner@example.com" in client.post(url, follow=True).text
    again = client.post(url, follow=True).text
    assert "has ended already" in again
    run.refresh_from_db()
    assert (run.status, run.error_kind, run.cancel_requested_by) == (
        "failed",
        "Cancelled",
        "user:owner@example.com",
    )


def test_a_replay_is_queued_once_and_names_what_it_reads(client: Client, personas: Personas) -> None:
    run = a_run(personas, "completed")
    signed_in(client, personas)
    url = f"/runs/{run.pk}/replay/"
    assert "no longer kept" in client.post(url, follow=True).text
    run.answers.create(sealed=b"sealed")
    assert "Replay the run" in client.get(f"/runs/{run.pk}/").text
    page = client.post(url, follow=True)
    replay = SyncHistory.objects.get(trigger="replay")
    assert page.redirect_chain[-1][0] == f"/runs/{replay.pk}/"
    assert f'<a href="/runs/{run.pk}/">reads the answers of' in page.text
    assert "under way" in client.post(url, follow=True).text
    assert SyncHistory.objects.filter(trigger="replay").count() == 1


def test_a_run_is_taken_back_once_and_its_page_says_so(client: Client, personas: Personas) -> None:
    run = a_run(personas, "completed", created=2)
    post(an_account(personas.organization), [a_movement("A"), a_movement("B")], actor=by(run))
    signed_in(client, personas)
    assert "The 2 movements it brought are withdrawn" in client.get(f"/runs/{run.pk}/").text
    text = client.post(f"/runs/{run.pk}/reversal/", follow=True).text
    assert "2 movements were taken back." in text
    assert "Taken back by owner@example.com" in text
    assert "Take the whole run back" not in text
    assert text.count('<span class="state calm">') >= 2
    again = client.post(f"/runs/{run.pk}/reversal/", follow=True).text
    assert "was reverted already" in again
    assert set(MoneyTransaction.objects.values_list("status", flat=True)) == {"withdrawn"}


def test_a_run_that_only_changed_is_taken_back_too(client: Client, personas: Personas) -> None:
    account = an_account(personas.organization)
    post(account, [a_movement("A", message="old"), a_movement("B")])
    run = a_run(personas, "completed", updated=1, conflicting=1)
    post(account, [a_movement("A", message="new"), a_movement("B", "9.00 CZK")], actor=by(run))
    signed_in(client, personas)
    assert "What it changed and noted is as before" in client.get(f"/runs/{run.pk}/").text
    text = client.post(f"/runs/{run.pk}/reversal/", follow=True).text
    assert "1 movement has its former values again." in text
    assert "were taken back" not in text
    assert "gone by now (#" in text
    assert sorted(MoneyTransaction.objects.values_list("message", "status")) == [
        ("", "booked"),
        ("old", "booked"),
    ]


def test_a_run_that_touched_nothing_says_so(client: Client, personas: Personas) -> None:
    run = a_run(personas, "completed", fetched=3, unchanged=3)
    text = signed_in(client, personas).get(f"/runs/{run.pk}/").text
    assert "no row of yours is other" in text
    assert "/reversal/" not in text
    assert "Nothing of this run is left" in client.post(f"/runs/{run.pk}/reversal/", follow=True).text


def test_what_pays_an_invoice_stands_in_the_way_and_is_named(client: Client, personas: Personas) -> None:
    account = an_account(personas.organization)
    invoice = an_invoice(a_client(personas.organization), account=account)
    run = a_run(personas, "completed", created=1)
    post(account, [a_movement("A", variable_symbol=invoice.variable_symbol)], actor=by(run))
    reconcile(personas.organization)
    row = MoneyTransaction.objects.get()
    text = signed_in(client, personas).get(f"/runs/{run.pk}/").text
    assert "1 of its movements pays an invoice" in text
    assert f'href="/transactions/{row.pk}/#pays"' in text
    assert "/reversal/" not in text
    assert "Undo those payments first" in client.post(f"/runs/{run.pk}/reversal/", follow=True).text
    row.refresh_from_db()
    assert row.status == "booked"


def test_an_accountant_looks_at_a_run_and_a_stranger_finds_none(client: Client, personas: Personas) -> None:
    run = a_run(personas, "completed", created=1)
    run.answers.create(sealed=b"sealed")
    post(an_account(personas.organization), [a_movement("A")], actor=by(run))
    acts = [f"/runs/{run.pk}/{noun}/" for noun in ("cancellation", "replay", "reversal")]
    client.force_login(personas.accountant)
    page = client.get(f"/runs/{run.pk}/")
    assert page.status_code == 200
    assert not any(f'action="{act}"' in page.text for act in acts)
    assert [client.post(act).status_code for act in acts] == [403, 403, 403]
    client.force_login(personas.stranger)
    assert client.get(f"/runs/{run.pk}/").status_code == 404
    assert [client.post(act).status_code for act in acts] == [404, 404, 404]
    assert SyncHistory.objects.count() == 1
    assert MoneyTransaction.objects.get().status == "booked"
