from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.db import transaction

from kvit.kernel.errors import NotRecorded, SealBroken
from kvit.plugin import Gate, Secret
from kvit.sync import recording
from kvit.sync.configuring import Values
from kvit.sync.connections import client_for
from kvit.sync.gates import DatabaseTurnstile
from kvit.sync.models import GateTurn, PluginConfiguration, RecordedAnswer, SyncHistory
from kvit.sync.recording import Recorder, Replay
from kvit.sync.redaction import Redactor
from kvit.users.keys import key_ring
from tests.factories import an_organization
from tests.sync.invented import Scripted

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "tajny-token-7"
URL = f"https://bank.example/{TOKEN}/list"
REDACTOR = Redactor([Secret(TOKEN)])
VALUES = Values({"base_url": "https://bank.example/"}, {"token": Secret(TOKEN)})
GATE = Gate(key=Secret(TOKEN), seconds=31)


@pytest.fixture
def run() -> SyncHistory:
    return a_run()


def a_run() -> SyncHistory:
    organization = an_organization()
    connection = PluginConfiguration.objects.create(
        organization=organization, plugin="scripted", name="Bank", enabled=False
    )
    return SyncHistory.objects.create(
        organization=organization, connection=connection, trigger=SyncHistory.Trigger.MANUAL, fence=1
    )


def recorder(run: SyncHistory) -> Recorder:
    return Recorder(run, key_ring(run.organization), REDACTOR)


def replay(run: SyncHistory) -> Replay:
    return Replay(run, key_ring(run.organization), REDACTOR)


def keep(run: SyncHistory, body: bytes, *, url: str = URL, method: str = "GET", **answer: Any) -> None:
    request = httpx.Request(method, url)
    response = httpx.Response(answer.pop("status_code", 200), content=body, request=request, **answer)
    recorder(run).keep(request, response)


def ask(tape: Replay, url: str = URL, method: str = "GET") -> bytes:
    return tape.handle_request(httpx.Request(method, url)).read()


def test_a_run_and_its_replay_get_the_same_answers(run: SyncHistory) -> None:
    """Through the client that plugins use: the replay sends nothing and waits for no gate."""
    body = "Žluťoučký kůň".encode("windows-1250")
    sent: list[httpx.Request] = []

    def bank(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        headers = {"Content-Type": "text/plain; charset=windows-1250", "X-Number": str(len(sent))}
        return httpx.Response(200 if len(sent) < 3 else 422, content=body, headers=headers)

    with client_for(Scripted, VALUES, transport=httpx.MockTransport(bank), recorder=recorder(run)) as http:
        first = [http.request("GET", url) for url in (URL, URL, f"{URL}?page=2")]
    GateTurn.objects.all().delete()
    with client_for(Scripted, VALUES, transport=replay(run)) as http:
        second = [http.request("GET", url, gate=GATE) for url in (URL, URL, f"{URL}?page=2")]
    for responses in (first, second):
        assert [response.status_code for response in responses] == [200, 200, 422]
        assert {response.text for response in responses} == {"Žluťoučký kůň"}
    assert len(sent) == 3
    assert not GateTurn.objects.exists()
    assert RecordedAnswer.objects.count() == 3


def test_an_answer_is_kept_before_the_plugin_sees_it(run: SyncHistory) -> None:
    options: dict[str, Any] = {
        "transport": httpx.MockTransport(lambda request: httpx.Response(200, content=b"[]")),
        "recorder": recorder(run),
        "turnstile": DatabaseTurnstile(patience=timedelta(0)),
    }
    with client_for(Scripted, VALUES, **options) as http:
        http.get(URL, gate=GATE)
        assert RecordedAnswer.objects.filter(run=run).count() == 1


def test_what_was_recorded_is_sealed_and_its_url_masked(run: SyncHistory) -> None:
    secret = b"movements of somebody, uncompressible: \x01\x02\x03"
    keep(run, secret, headers={"Set-Cookie": "session=1234", "Link": f"<{URL}?page=2>; rel=next"})
    row = RecordedAnswer.objects.get()
    envelope = bytes(row.sealed)
    assert not any(part in envelope for part in (secret, TOKEN.encode(), b"bank.example"))
    response = replay(run).handle_request(httpx.Request("GET", URL))
    assert response.headers["Link"] == "<https://bank.example/***/list?page=2>; rel=next"
    assert "Set-Cookie" not in response.headers


def test_a_masked_link_leads_to_the_answer_it_led_to(run: SyncHistory) -> None:
    keep(run, b"two", url=f"{URL}?page=2")
    assert ask(replay(run), "https://bank.example/***/list?page=2") == b"two"


def test_an_answer_opens_in_its_own_row_and_organization_only(run: SyncHistory) -> None:
    keep(run, b"[]")
    other = a_run()
    key_ring(other.organization)
    RecordedAnswer.objects.update(run=other)
    with pytest.raises(SealBroken):
        Replay(other, key_ring(run.organization), REDACTOR)


def test_equal_requests_are_answered_in_their_order_and_the_last_answer_stays(run: SyncHistory) -> None:
    for body in (b"1", b"2", b"3"):
        keep(run, body)
    tape = replay(run)
    assert [ask(tape) for _ in range(5)] == [b"1", b"2", b"3", b"3", b"3"]


def test_methods_are_told_apart(run: SyncHistory) -> None:
    keep(run, b"got")
    keep(run, b"posted", method="POST")
    tape = replay(run)
    assert (ask(tape, method="POST"), ask(tape)) == (b"posted", b"got")


def test_what_a_later_try_of_the_run_asked_again_is_answered_from_that_try(run: SyncHistory) -> None:
    keep(run, b"cut off", status_code=500)
    keep(run, b"page 2", url=f"{URL}?page=2")
    run.fence = 2
    keep(run, b"whole")
    tape = replay(run)
    assert [ask(tape), ask(tape)] == [b"whole", b"whole"]
    assert ask(tape, f"{URL}?page=2") == b"page 2"


def test_a_request_that_the_run_did_not_make_has_no_answer(run: SyncHistory) -> None:
    keep(run, b"[]")
    with (
        client_for(Scripted, VALUES, transport=replay(run)) as http,
        pytest.raises(NotRecorded, match="holds no answer") as caught,
    ):
        http.get(f"{URL}?page=2")
    assert TOKEN not in str(caught.value)


def test_a_huge_answer_is_not_kept_and_a_replay_says_so(
    run: SyncHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "LARGEST_RECORDED_BYTES", 10)
    keep(run, b"x" * 10, url=f"{URL}?page=2")
    keep(run, b"x" * 11)
    assert ask(replay(run), f"{URL}?page=2") == b"x" * 10
    with pytest.raises(NotRecorded):
        ask(replay(run))


@pytest.mark.parametrize("body", [b"", b"\n", b"a\nb\n", bytes(range(256))])
def test_every_byte_comes_back(run: SyncHistory, body: bytes) -> None:
    keep(run, body)
    assert ask(replay(run)) == body


def test_bodies_are_kept_small(run: SyncHistory) -> None:
    keep(run, b'{"amount": 1250.00, "currency": "CZK"}' * 10_000)
    assert len(bytes(RecordedAnswer.objects.get().sealed)) < 20_000


def test_an_answer_is_one_insert(run: SyncHistory, django_assert_num_queries: Callable[..., Any]) -> None:
    keeper = recorder(run)
    keep(run, b"")
    request = httpx.Request("GET", URL)
    with django_assert_num_queries(1):
        keeper.keep(request, httpx.Response(200, content=b"[]", request=request))


def test_a_replay_refuses_to_work_in_a_transaction_too(run: SyncHistory) -> None:
    keep(run, b"[]")
    with (
        client_for(Scripted, VALUES, transport=replay(run)) as http,
        transaction.atomic(),
        pytest.raises(RuntimeError, match="inside a database transaction"),
    ):
        http.get(URL)
