"""The Fio plugin, through the real HTTP client, against the pretend bank."""

from __future__ import annotations

import logging
import socket
import traceback
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

import kvit.sync.http
from kvit.plugin import (
    Account,
    AuthExpired,
    Checkpoint,
    Identity,
    Item,
    Misconfigured,
    PluginError,
    RateLimited,
    Secret,
    Temporary,
    Transaction,
    Unreadable,
)
from kvit.plugins.fio import Fio, FioConfig
from kvit.sync.http import HttpClient
from tests.banks.fio import TODAY, TOKEN, Fault, FioBank, Movement, generated, statement_json
from tests.banks.fio import Account as BankAccount
from tests.plugins.harness import Run, http_client
from tests.samples import require_samples

DAY = timedelta(days=1)
FREE_FROM = TODAY - 90 * DAY


@pytest.fixture
def http() -> Iterator[HttpClient]:
    with http_client(Secret(TOKEN)) as client:
        yield client


def fio(bank: FioBank, http: HttpClient, **settings: Any) -> Fio:
    values = {"api_token": Secret(TOKEN), "base_url": bank.base_url, "token_interval_seconds": 0, **settings}
    return Fio(FioConfig(**values), http)


def synced(plugin: Fio, synced_through: date | None = None) -> list[Item]:
    return list(plugin.sync(run(synced_through)))


def run(synced_through: date | None = None) -> Run:
    cursor = {"synced_through": synced_through.isoformat()} if synced_through else {}
    return Run(today=TODAY, cursor=cursor)


def until_refused(source: Iterator[Item]) -> tuple[list[Item], PluginError]:
    """Take what a sync yields until it raises."""
    items: list[Item] = []
    try:
        for item in source:
            items.append(item)  # noqa: PERF402  # `extend` promises nothing where the source raises
    except PluginError as error:
        return items, error
    pytest.fail("The sync went through.")


def transactions(items: list[Item]) -> list[Transaction]:
    return [item for item in items if isinstance(item, Transaction)]


def checkpoints(items: list[Item]) -> list[object]:
    return [item.cursor.get("synced_through") for item in items if isinstance(item, Checkpoint)]


def periods(bank: FioBank) -> list[tuple[str, str]]:
    return [(request.from_date, request.to_date) for request in bank.state().requests]


def movement(
    id: int = 26_000_000_001, booked_on: date = TODAY, amount: str = "1250.10", **texts: Any
) -> Movement:
    return Movement(id=id, booked_on=booked_on, amount=Decimal(amount), **texts)


def account(*movements: Movement, **facts: Any) -> BankAccount:
    return BankAccount(movements=list(movements), **facts)


# What it yields


@pytest.mark.parametrize("shape", ["offset", "millis", "xml", "mixed"])
def test_every_movement_of_the_bank_comes_once_and_exactly(
    bank: FioBank, http: HttpClient, shape: str
) -> None:
    own = account(*generated(seed=3, count=400, last_day=TODAY, days=80))
    bank.load(own, interval_seconds=0, date_shape=shape)

    found = transactions(synced(fio(bank, http)))

    expected = bank.movements(own.iban)
    assert len(expected) == 400
    assert [read.external_id for read in found] == [str(item.id) for item in expected]
    for item, read in zip(expected, found, strict=True):
        assert (read.account_id, read.amount, read.currency) == (own.iban, item.amount, item.currency)
        assert read.booked_on == item.booked_on
        assert read.variable_symbol == item.variable_symbol
        assert read.constant_symbol == item.constant_symbol
        assert read.specific_symbol == item.specific_symbol
        assert read.counterparty_name == item.counter_name
        assert read.reference == item.reference
        assert read.raw["column22"]["value"] == str(item.id)
        assert Decimal(read.raw["column1"]["value"]) == item.amount


def test_two_runs_say_the_same(bank: FioBank, http: HttpClient) -> None:
    bank.load(account(*generated(seed=4, count=60, last_day=TODAY, days=30)), interval_seconds=0)

    assert synced(fio(bank, http)) == synced(fio(bank, http))


def test_newest_first_is_the_same_set_of_movements(bank: FioBank, http: HttpClient) -> None:
    own = account(*generated(seed=5, count=60, last_day=TODAY, days=30))
    bank.load(own, interval_seconds=0)
    oldest_first = transactions(synced(fio(bank, http)))
    bank.change(newest_first=True)

    assert transactions(synced(fio(bank, http))) == oldest_first[::-1]


def test_the_account_comes_before_its_movements_and_the_checkpoint_after(
    bank: FioBank, http: HttpClient
) -> None:
    own = account(movement())
    bank.load(own, interval_seconds=0)

    first, second, third = synced(fio(bank, http))

    assert first == Account(
        external_id=own.iban,
        name="2900123457/2010 CZK",
        currency="CZK",
        number=own.iban,
        balance=Decimal("2250.10"),
    )
    assert isinstance(second, Transaction)
    assert third == Checkpoint({"synced_through": TODAY.isoformat()})


def test_an_empty_account_still_moves_the_cursor(bank: FioBank, http: HttpClient) -> None:
    items = synced(fio(bank, http))

    assert transactions(items) == []
    assert checkpoints(items) == [TODAY.isoformat()]


def test_leading_zeros_and_long_ids_stay_text(bank: FioBank, http: HttpClient) -> None:
    bank.add(
        movement(
            id=99_999_999_999, variable_symbol="0000000012", constant_symbol="0308", specific_symbol="0042"
        )
    )

    (read,) = transactions(synced(fio(bank, http)))

    assert read.external_id == "99999999999"
    assert (read.variable_symbol, read.constant_symbol, read.specific_symbol) == (
        "0000000012",
        "0308",
        "0042",
    )


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({"message": "Faktura 7", "user_identification": "Faktura  7"}, "Faktura 7"),
        ({"message": "Faktura 7", "user_identification": "Čížek"}, "Faktura 7 / Čížek"),
        ({"user_identification": "Nákup: KAVÁRNA"}, "Nákup: KAVÁRNA"),
        ({"comment": "vráceno"}, "vráceno"),
        ({"message": " "}, ""),
        ({}, ""),
    ],
)
def test_the_message_keeps_all_that_was_said_once(
    bank: FioBank, http: HttpClient, texts: dict[str, Any], expected: str
) -> None:
    bank.add(movement(**texts))

    (read,) = transactions(synced(fio(bank, http)))

    assert read.message == expected


@pytest.mark.parametrize(
    ("number", "bank_code", "expected"),
    [
        ("2600170205", "2010", "2600170205/2010"),
        ("19-2000145399", "0800", "19-2000145399/0800"),
        ("000000-0000123457", "0100", "123457/0100"),
        ("DE89370400440532013000", "", "DE89370400440532013000"),
        ("", "", ""),
    ],
)
def test_the_counterparty_is_number_and_bank_or_an_iban(
    bank: FioBank, http: HttpClient, number: str, bank_code: str, expected: str
) -> None:
    bank.add(movement(counter_account=number, counter_bank=bank_code))

    (read,) = transactions(synced(fio(bank, http)))

    assert read.counterparty_account == expected


def test_a_payment_its_storno_and_its_twin_are_separate_movements(bank: FioBank, http: HttpClient) -> None:
    bank.add(
        movement(id=26_000_000_001, amount="-100.00", order_id=30_000_000_001),
        movement(id=26_000_000_002, amount="100.00", order_id=30_000_000_001, kind="Storno"),
        movement(id=26_000_000_003, amount="-100.00", order_id=30_000_000_001),
    )

    read = transactions(synced(fio(bank, http)))

    assert [(item.external_id, item.amount) for item in read] == [
        ("26000000001", Decimal("-100.00")),
        ("26000000002", Decimal("100.00")),
        ("26000000003", Decimal("-100.00")),
    ]


def test_an_unreadable_record_is_put_aside_and_the_others_go_on(bank: FioBank, http: HttpClient) -> None:
    own = account(movement(id=26_000_000_001), movement(id=26_000_000_002, amount="77.77"))
    broken = statement_json(own, TODAY, TODAY).decode().replace("77.77", '"sedmdesát"')
    bank.fail(Fault(kind="answer", body=broken))

    items = synced(fio(bank, http))

    (aside,) = (item for item in items if isinstance(item, Unreadable))
    assert (aside.external_id, aside.account_id, aside.field) == ("26000000002", own.iban, "column1")
    assert aside.raw["column1"]["value"] == "sedmdesát"
    assert [item.external_id for item in transactions(items)] == ["26000000001"]


def test_balances_that_do_not_add_up_are_told(bank: FioBank, http: HttpClient) -> None:
    body = statement_json(account(movement(amount="5.00")), TODAY, TODAY).decode()
    bank.fail(Fault(kind="answer", body=body.replace('"closingBalance":1005.00', '"closingBalance":1004.99')))
    told, untold = run(), run()

    list(fio(bank, http).sync(told))
    list(fio(bank, http).sync(untold))

    assert any("do not agree" in line for line in told.lines)
    assert untold.lines == []


def test_an_unreadable_balance_is_told(bank: FioBank, http: HttpClient) -> None:
    body = statement_json(account(movement()), TODAY, TODAY).decode()
    bank.fail(Fault(kind="answer", body=body.replace('"closingBalance":2250.10', '"closingBalance":"?"')))
    told = run()

    items = list(fio(bank, http).sync(told))

    assert len(told.lines) == 1
    assert "“?” is not an amount" in told.lines[0]
    assert len(transactions(items)) == 1


def test_a_movement_sent_twice_keeps_its_id(bank: FioBank, http: HttpClient) -> None:
    """The ledger stores it once; an invented id would make it two."""
    bank.add(movement(), movement())

    items = synced(fio(bank, http))

    assert [item.external_id for item in transactions(items)] == ["26000000001", "26000000001"]


def test_answers_of_the_real_bank_are_read_whole(bank: FioBank, http: HttpClient) -> None:
    for sample in require_samples("fio-json"):
        bank.fail(Fault(kind="answer", body=sample.path.read_text(encoding="utf-8")))
        told = run()

        items = list(fio(bank, http).sync(told))

        found = transactions(items)
        assert len(found) == len(items) - 2 == sample.entries
        assert sum(Decimal(item.amount) for item in found) == sample.sum_signed
        assert {item.currency for item in items if isinstance(item, Account)} == sample.currencies
        assert told.lines == []


# Which periods it asks for


def test_the_first_sync_reaches_as_far_back_as_is_free(bank: FioBank, http: HttpClient) -> None:
    synced(fio(bank, http))

    assert periods(bank) == [("2025-04-02", "2025-06-30")]


def test_the_owner_may_begin_later(bank: FioBank, http: HttpClient) -> None:
    synced(fio(bank, http, days_back=10))

    assert periods(bank) == [("2025-06-20", "2025-06-30")]


@pytest.mark.parametrize(
    ("synced_through", "first"),
    [
        (TODAY, date(2025, 6, 16)),
        (TODAY - DAY, date(2025, 6, 15)),
        (TODAY + 3 * DAY, date(2025, 6, 16)),
        (TODAY - 80 * DAY, date(2025, 4, 2)),
        (TODAY - 89 * DAY, date(2025, 4, 2)),
    ],
)
def test_a_later_sync_overlaps_the_last_one_within_what_is_free(
    bank: FioBank, http: HttpClient, synced_through: date, first: date
) -> None:
    items = synced(fio(bank, http), synced_through)

    assert periods(bank) == [(first.isoformat(), TODAY.isoformat())]
    assert checkpoints(items) == [TODAY.isoformat()]


def test_a_movement_booked_late_is_found_by_the_overlap(bank: FioBank, http: HttpClient) -> None:
    cursor = checkpoints(synced(fio(bank, http)))[-1]
    bank.add(movement(booked_on=TODAY - 13 * DAY))

    (late,) = transactions(synced(fio(bank, http), date.fromisoformat(str(cursor))))

    assert late.booked_on == TODAY - 13 * DAY


def test_too_many_movements_halve_the_period_and_lose_nothing(bank: FioBank, http: HttpClient) -> None:
    own = account(*generated(seed=6, count=500, last_day=TODAY, days=60))
    bank.load(own, interval_seconds=0, largest_answer=120)

    items = synced(fio(bank, http))

    assert [item.external_id for item in transactions(items)] == [str(item.id) for item in own.movements]
    ends = checkpoints(items)
    assert len(ends) > 3
    assert ends == sorted(ends, key=str)
    assert ends[-1] == TODAY.isoformat()
    *before, today = [item.balance for item in items if isinstance(item, Account)]
    assert set(before) == {None}
    assert today == own.opening + sum(item.amount for item in own.movements)


def test_every_checkpoint_covers_what_came_before_it(bank: FioBank, http: HttpClient) -> None:
    """Stopped after any item and resumed from the last checkpoint, the union is the whole."""
    own = account(*generated(seed=7, count=60, last_day=TODAY, days=60))
    bank.load(own, interval_seconds=0, largest_answer=25)
    whole = synced(fio(bank, http))

    for stop in range(0, len(whole), 7):
        before = whole[:stop]
        ends = checkpoints(before)
        resumed = synced(fio(bank, http), date.fromisoformat(str(ends[-1])) if ends else None)
        assert {item.external_id for item in transactions(before + resumed)} == {
            str(item.id) for item in own.movements
        }


def test_halving_never_moves_the_cursor_back(bank: FioBank, http: HttpClient) -> None:
    bank.load(
        account(*generated(seed=8, count=30, last_day=TODAY, days=14)), interval_seconds=0, largest_answer=20
    )

    ends = checkpoints(synced(fio(bank, http), TODAY - DAY))

    assert len(ends) > 1
    assert ends[0] == (TODAY - DAY).isoformat()


def test_a_single_day_with_too_many_movements_is_a_clear_error(bank: FioBank, http: HttpClient) -> None:
    movements = generated(seed=9, count=11, last_day=TODAY - 3 * DAY, days=1)
    bank.load(account(*movements), interval_seconds=0, largest_answer=10)

    with pytest.raises(Misconfigured, match="On 2025-06-27 the account has more movements"):
        synced(fio(bank, http))


# What Fio gives only after an unlock


def test_a_window_one_day_too_long_is_narrowed_once(bank: FioBank, http: HttpClient) -> None:
    bank.change(today=TODAY + 3 * DAY)
    told = run()

    items = list(fio(bank, http).sync(told))

    assert periods(bank) == [("2025-04-02", "2025-06-30"), ("2025-04-04", "2025-06-30")]
    assert checkpoints(items) == [TODAY.isoformat()]
    assert told.lines == ["Fio gives movements since 2025-04-04 only; older ones need an unlock."]


def test_unread_days_are_never_skipped_silently(bank: FioBank, http: HttpClient) -> None:
    """After 120 days without a sync the free part is read, the cursor stays and the person is told."""
    bank.add(
        movement(id=26_000_000_001, booked_on=TODAY - 100 * DAY), movement(id=26_000_000_002, booked_on=TODAY)
    )
    last = TODAY - 120 * DAY

    items, refusal = until_refused(fio(bank, http).sync(run(last)))

    assert isinstance(refusal, Misconfigured)
    assert [item.external_id for item in transactions(items)] == ["26000000002"]
    assert checkpoints(items) == [last.isoformat()]
    assert str(refusal) == (
        "Movements since 2025-03-02 are unread: Fio gives those before 2025-04-01 only after an unlock. "
        "In the internet banking of Fio open Settings → API, click the lock at the token and authorize it, "
        "then sync within 10 minutes."
    )


def test_after_an_unlock_everything_is_read(bank: FioBank, http: HttpClient) -> None:
    bank.add(movement(booked_on=TODAY - 100 * DAY), movement(id=26_000_000_002, booked_on=TODAY))
    bank.unlock()

    items = synced(fio(bank, http), TODAY - 120 * DAY)

    assert [item.external_id for item in transactions(items)] == ["26000000001", "26000000002"]
    assert checkpoints(items) == [TODAY.isoformat()]


def test_a_first_sync_that_asks_for_old_movements_needs_the_unlock(bank: FioBank, http: HttpClient) -> None:
    bank.add(movement(booked_on=TODAY - 300 * DAY))

    with pytest.raises(Misconfigured, match="since 2024-06-30 are unread"):
        synced(fio(bank, http, days_back=365))
    bank.unlock()

    assert len(transactions(synced(fio(bank, http, days_back=365)))) == 1


@pytest.mark.parametrize("body", ["", "Data není možné poskytnout.", "(od 99.99.2025)", "(od 01.01.2031)"])
def test_a_refusal_without_a_usable_date_explains_the_unlock(
    bank: FioBank, http: HttpClient, body: str
) -> None:
    bank.fail(Fault(kind="answer", status=422, body=body))

    with pytest.raises(Misconfigured, match="click the lock at the token"):
        synced(fio(bank, http))


def test_a_window_is_narrowed_only_once(bank: FioBank, http: HttpClient) -> None:
    bank.fail(
        Fault(kind="answer", status=422, body="(od 10.04.2025)"),
        Fault(kind="answer", status=422, body="(od 20.04.2025)"),
    )

    with pytest.raises(Misconfigured, match="click the lock at the token"):
        synced(fio(bank, http))
    assert len(periods(bank)) == 2


def test_halves_before_the_free_days_are_dropped_and_the_rest_is_read(
    bank: FioBank, http: HttpClient
) -> None:
    """The refusal for size may come before the refusal for age."""
    bank.add(movement())
    bank.fail(
        Fault(kind="answer", status=413, times=2), Fault(kind="answer", status=422, body="(od 29.04.2025)")
    )

    items = synced(fio(bank, http))

    assert periods(bank) == [
        ("2025-04-02", "2025-06-30"),
        ("2025-04-02", "2025-05-16"),
        ("2025-04-02", "2025-04-24"),
        ("2025-04-29", "2025-05-16"),
        ("2025-05-17", "2025-06-30"),
    ]
    assert len(transactions(items)) == 1


# How it is refused

FAILURES: list[tuple[str, list[Fault], type[PluginError]]] = [
    ("409 again and again", [Fault(kind="answer", status=409, times=3)], RateLimited),
    ("500 twice", [Fault(kind="answer", status=500, body="\n", times=2)], AuthExpired),
    (
        "500 with an error code",
        [Fault(kind="answer", status=500, body="<response><errorCode> 15 </errorCode></response>")],
        Temporary,
    ),
    (
        "an error in XML as a success",
        [
            Fault(
                kind="answer",
                content_type="text/xml",
                body='<?xml version="1.0"?><response><result><errorCode>15</errorCode></result></response>',
            )
        ],
        Temporary,
    ),
    (
        "a page as a success",
        [Fault(kind="answer", content_type="text/html", body="<!DOCTYPE html><html>…</html>")],
        Temporary,
    ),
    (
        "a page with 503",
        [Fault(kind="answer", status=503, content_type="text/html", body="<html>…</html>")],
        Temporary,
    ),
    ("303", [Fault(kind="answer", status=303, location="/")], Temporary),
    ("an empty success", [Fault(kind="answer", body="")], Temporary),
    ("JSON of something else", [Fault(kind="answer", body='{"error": "no"}')], Temporary),
    (
        "a statement without an account",
        [Fault(kind="answer", body='{"accountStatement":{"info":{}}}')],
        Temporary,
    ),
    ("404", [Fault(kind="answer", status=404)], Misconfigured),
    ("400", [Fault(kind="answer", status=400, body="<html>…</html>")], Misconfigured),
    ("403", [Fault(kind="answer", status=403)], AuthExpired),
    ("a body cut on the way", [Fault(kind="cut")], Temporary),
    ("JSON cut in the middle", [Fault(kind="cut_json")], Temporary),
    ("a reset connection", [Fault(kind="reset")], Temporary),
    ("an answer too slow", [Fault(kind="slow", seconds=2)], Temporary),
]


@pytest.mark.parametrize(
    ("faults", "expected"),
    [pytest.param(faults, expected, id=name) for name, faults, expected in FAILURES],
)
def test_a_refusal_says_what_to_do_and_never_the_token(
    bank: FioBank,
    faults: list[Fault],
    expected: type[PluginError],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(kvit.sync.http, "TIMEOUT_SECONDS", 0.5)
    bank.add(*generated(seed=1, count=50, last_day=TODAY, days=30))
    bank.fail(*faults)
    with http_client(Secret(TOKEN)) as http, caplog.at_level(logging.INFO):
        silence_httpx(monkeypatch)
        plugin = fio(bank, http)
        with pytest.raises(PluginError) as raised:
            synced(plugin)

    assert type(raised.value) is expected
    told = [str(raised.value), repr(raised.value), repr(plugin.config), repr(raised.value.params)]
    told += traceback.format_exception(raised.value)
    told += [caplog.text, *capfd.readouterr()]
    assert not any(TOKEN in text for text in told)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def silence_httpx(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `kvit.config.logs` does: httpx logs whole URLs."""
    for name in ("httpx", "httpcore"):
        monkeypatch.setattr(logging.getLogger(name), "level", logging.WARNING)


@pytest.mark.parametrize("status", [409, 500])
def test_a_refusal_that_passes_is_no_failure(bank: FioBank, http: HttpClient, status: int) -> None:
    bank.fail(Fault(kind="answer", status=status))

    assert checkpoints(synced(fio(bank, http))) == [TODAY.isoformat()]


def test_an_expired_token_is_asked_twice_and_no_more(bank: FioBank, http: HttpClient) -> None:
    bank.revoke()

    with pytest.raises(AuthExpired, match="Make a new one"):
        synced(fio(bank, http))
    assert [request.status for request in bank.state().requests] == [500, 500]


def test_a_lost_second_window_keeps_the_first(bank: FioBank, http: HttpClient) -> None:
    bank.load(
        account(*generated(seed=2, count=40, last_day=TODAY, days=80)), interval_seconds=0, largest_answer=30
    )
    source = fio(bank, http).sync(run())
    items = []
    for item in source:
        items.append(item)
        if isinstance(item, Checkpoint):
            break
    bank.fail(Fault(kind="reset"))

    with pytest.raises(Temporary):
        next(source)
    assert len(transactions(items)) > 5
    assert checkpoints(items) == ["2025-05-16"]


def test_a_bank_that_is_away_is_temporary(http: HttpClient) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        away = FioBank(f"http://127.0.0.1:{unused.getsockname()[1]}")

        with pytest.raises(Temporary, match="cannot be reached"):
            synced(fio(away, http))


def test_a_wrong_path_blames_the_address(bank: FioBank, http: HttpClient) -> None:
    with pytest.raises(Misconfigured) as raised:
        synced(fio(bank, http, base_url=f"{bank.url}/rest/"))

    assert raised.value.field == "base_url"


@pytest.mark.parametrize(
    "token", ["", "short", TOKEN + "7", TOKEN[:-1] + " ", TOKEN[:-1] + "/", TOKEN + "\n"]
)
def test_a_token_of_the_wrong_form_is_not_sent(bank: FioBank, http: HttpClient, token: str) -> None:
    with pytest.raises(Misconfigured, match="64 letters and digits") as raised:
        synced(fio(bank, http, api_token=Secret(token)))

    assert raised.value.field == "api_token"
    assert not token or token not in str(raised.value)
    assert bank.state().requests == []


# The interval


def test_the_interval_of_the_token_is_kept(bank: FioBank, http: HttpClient) -> None:
    """Halving and a check right after it, a request each, never come too soon."""
    bank.load(
        account(*generated(seed=2, count=40, last_day=TODAY, days=80)),
        interval_seconds=0.9,
        largest_answer=30,
    )
    plugin = fio(bank, http, token_interval_seconds=1)

    synced(plugin)
    plugin.check()

    state = bank.state()
    assert [request.status for request in state.requests] == [413, 200, 200, 200]
    assert state.violations == 0


def test_another_program_on_the_token_is_waited_out(bank: FioBank, http: HttpClient) -> None:
    bank.change(interval_seconds=0.9)
    with http_client() as another:
        fio(bank, another).check()

    synced(fio(bank, http, token_interval_seconds=1))

    assert [request.status for request in bank.state().requests] == [200, 409, 200]


# The check


@pytest.mark.parametrize("ending", ["/v1/rest/", "/v1/rest"])
def test_the_check_says_whose_account_it_is_by_one_request(
    bank: FioBank, http: HttpClient, ending: str
) -> None:
    identity = fio(bank, http, base_url=bank.url + ending).check()

    assert identity == Identity(key="CZ5920100000002900123457", label="2900123457/2010 CZK")
    assert len(bank.state().requests) == 1


def test_a_slovak_account_is_named_as_well(bank: FioBank, http: HttpClient) -> None:
    bank.load(BankAccount(bank="8330", currency="EUR"), interval_seconds=0)

    assert fio(bank, http).check().label == "2900123457/8330 EUR"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(kind="answer", status=409), RateLimited),
        (Fault(kind="answer", status=500), AuthExpired),
        (Fault(kind="answer", status=422, body="(od 10.04.2025)"), Temporary),
        (Fault(kind="reset"), Temporary),
    ],
)
def test_a_check_does_not_keep_a_person_waiting(
    bank: FioBank, http: HttpClient, fault: Fault, expected: type[PluginError]
) -> None:
    bank.fail(fault)

    with pytest.raises(expected):
        fio(bank, http).check()
    assert len(bank.state().requests) == 1
