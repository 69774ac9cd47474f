"""The Fio plugin, through the real HTTP client, against the pretend bank."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import random
import re
import socket
import traceback
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

import kvit.plugins.fio.reading
import kvit.sync.http
from kvit.plugin import (
    Account,
    AuthExpired,
    Checkpoint,
    Identity,
    Item,
    Json,
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


def run(synced_through: date | None = None, read_all_on: date | None = TODAY, **more: Json) -> Run:
    """A run after a sync through that day, by default one that needs not read all again."""
    cursor: dict[str, Json] = dict(more)
    if synced_through is not None:
        cursor["synced_through"] = synced_through.isoformat()
        cursor["reads_from"] = (min(synced_through, TODAY) - 89 * DAY).isoformat()
        cursor["read_all_on"] = read_all_on.isoformat() if read_all_on else None
    return Run(today=TODAY, cursor=cursor)


def resumed(plugin: Fio, items: list[Item]) -> list[Item]:
    """Sync on from the last checkpoint among the items."""
    return list(plugin.sync(Run(today=TODAY, cursor=last_cursor(items))))


def last_cursor(items: list[Item]) -> Mapping[str, Json]:
    return next((item.cursor for item in reversed(items) if isinstance(item, Checkpoint)), {})


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
    """How far each checkpoint says it is synced, once where it stays."""
    ends = [item.cursor.get("synced_through") for item in items if isinstance(item, Checkpoint)]
    return list(dict.fromkeys(end for end in ends if end))


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
    assert third == Checkpoint(
        {
            "synced_through": "2025-06-30",
            "reads_from": "2025-04-02",
            "read_all_on": "2025-06-30",
            "balance": {"before": "2025-06-16", "amount": "1000.00"},
        }
    )


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
        ({"message": "Nájem", "comment": "za červen"}, "Nájem / za červen"),
        (
            {"user_identification": "Nákup: CAFÉ, WIEN", "detail": "15.90 EUR"},
            "Nákup: CAFÉ, WIEN / 15.90 EUR",
        ),
        ({"message": "Nákup za 15.90 EUR, WIEN", "detail": "15.90 EUR"}, "Nákup za 15.90 EUR, WIEN"),
        ({"detail": "15.90 EUR"}, "15.90 EUR"),
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


def test_a_fee_has_the_order_of_its_payment_and_stays_apart(bank: FioBank, http: HttpClient) -> None:
    card = movement(amount="-397.50", order_id=30_000_000_001, kind="Platba kartou", detail="15.90 EUR")
    bank.add(card, movement(id=26_000_000_002, amount="-2.50", order_id=30_000_000_001, kind="Poplatek"))
    storno = bank.reverse(card, id=26_000_000_003)

    read = transactions(synced(fio(bank, http)))

    assert [(item.external_id, str(item.amount)) for item in read] == [
        ("26000000001", "-397.50"),
        ("26000000002", "-2.50"),
        (str(storno.id), "397.50"),
    ]
    assert {item.raw["column17"]["value"] for item in read} == {"30000000001"}
    assert read[0].raw["column18"]["value"] == "15.90 EUR"


def test_a_transfer_between_two_own_accounts_has_one_id_and_two_accounts(
    bank: FioBank, http: HttpClient
) -> None:
    czech = account(tokens=[TOKEN])
    slovak = account(number="2600170205", bank="8330", currency="EUR", tokens=["S" * 64])
    bank.load(czech, slovak, interval_seconds=0)
    bank.transfer(movement(amount="100.00"), payer=TOKEN, payee="S" * 64)

    (paid,) = transactions(synced(fio(bank, http)))
    (got,) = transactions(synced(fio(bank, http, api_token=Secret("S" * 64))))

    assert paid.external_id == got.external_id == "26000000001"
    assert (paid.account_id, paid.amount) == (czech.iban, Decimal("-100.00"))
    assert (got.account_id, got.amount) == (slovak.iban, Decimal("100.00"))
    assert slovak.iban.startswith("SK")


def test_an_account_in_a_foreign_currency_is_read_in_it(bank: FioBank, http: HttpClient) -> None:
    bank.load(
        account(movement(currency="EUR", amount="-19.99", detail="500.00 CZK"), currency="EUR"),
        interval_seconds=0,
    )

    own, read, _ = synced(fio(bank, http))

    assert isinstance(own, Account)
    assert isinstance(read, Transaction)
    assert (own.currency, own.balance) == ("EUR", Decimal("980.01"))
    assert (read.currency, read.amount, read.message) == ("EUR", Decimal("-19.99"), "500.00 CZK")


def test_the_bank_s_own_id_is_told_as_such_and_an_invented_one_is_not(
    bank: FioBank, http: HttpClient
) -> None:
    own = account(movement(id=26_000_000_001), movement(id=26_000_000_002, amount="7.00"))
    body = statement_json(own, TODAY, TODAY).decode().replace('"value":26000000002', '"value":null')
    bank.fail(Fault(kind="answer", body=body))

    first, second = transactions(synced(fio(bank, http)))

    assert (first.external_id, first.is_bank_id) == ("26000000001", True)
    assert second.is_bank_id is False
    assert second.external_id.startswith("h1:")


def test_a_pending_payment_comes_when_it_is_booked(bank: FioBank, http: HttpClient) -> None:
    bank.add(movement(is_pending=True, amount="-5.00"))

    before = synced(fio(bank, http))
    bank.book(26_000_000_001, TODAY - DAY)

    assert transactions(before) == []
    assert [item.booked_on for item in transactions(resumed(fio(bank, http), before))] == [TODAY - DAY]


def test_what_answers_say_in_other_ways_is_the_same(bank: FioBank, http: HttpClient) -> None:
    """Keys in capitals, no IBAN, ends in disorder, blanks and columns nobody knows."""
    own = account(movement(message="x"), movement(id=26_000_000_002, amount="1.00"))
    bank.load(own, interval_seconds=0)
    usual = synced(fio(bank, http))
    body = statement_json(own, TODAY - 89 * DAY, TODAY).decode()
    for before, after in (
        (f'"iban":"{own.iban}"', '"IBAN":null'),
        ('"bic":', '"BIC":'),
        ('"idFrom":26000000001,"idTo":26000000002', '"idFrom":26000000002,"idTo":26000000001'),
        ('"column6":null', '"column6":{"value":" ","name":"SS","id":6}'),
        ('"column27":null', '"column27":null,"column99":{"value":{"new":[1]},"name":"?","id":99}'),
    ):
        assert before in body
        body = body.replace(before, after)
    bank.fail(Fault(kind="answer", body=body))

    unusual = synced(fio(bank, http))

    assert [dataclasses.replace(item, raw={}) for item in transactions(unusual)] == [
        dataclasses.replace(item, raw={}) for item in transactions(usual)
    ]
    assert "column99" in transactions(unusual)[0].raw
    assert unusual[0] == usual[0]


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

    (warning,) = told.warnings
    assert "opening 1000.00, movements 5.00, closing 1004.99 (difference -0.01)" in warning
    assert untold.warnings == []


def test_an_unreadable_balance_is_told(bank: FioBank, http: HttpClient) -> None:
    body = statement_json(account(movement()), TODAY, TODAY).decode()
    bank.fail(Fault(kind="answer", body=body.replace('"closingBalance":2250.10', '"closingBalance":"?"')))
    told = run()

    items = list(fio(bank, http).sync(told))

    assert len(told.warnings) == 1
    assert "“?” is not an amount" in told.warnings[0]
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
        assert told.lines == told.warnings == []


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
    assert len(ends) > 2
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
        after = resumed(fio(bank, http), before)
        assert {item.external_id for item in transactions(before + after)} == {
            str(item.id) for item in own.movements
        }
        assert checkpoints(after)[-1:] in ([], [TODAY.isoformat()])


def test_halving_never_moves_the_cursor_back(bank: FioBank, http: HttpClient) -> None:
    bank.load(
        account(*generated(seed=8, count=30, last_day=TODAY, days=14)), interval_seconds=0, largest_answer=20
    )

    ends = checkpoints(synced(fio(bank, http), TODAY - DAY))

    assert ends == [(TODAY - DAY).isoformat(), TODAY.isoformat()]


def test_a_stopped_reading_goes_on_where_it_was_and_with_the_days_that_fitted(
    bank: FioBank, http: HttpClient
) -> None:
    """However often the gate puts the run back, no period is asked for twice."""
    own = account(*generated(seed=8, count=300, last_day=TODAY, days=80))
    bank.load(own, interval_seconds=0, largest_answer=60)
    items: list[Item] = []
    stops = 0
    while last_cursor(items).get("synced_through") != TODAY.isoformat():
        source = fio(bank, http).sync(Run(today=TODAY, cursor=last_cursor(items)))
        for item in source:
            items.append(item)
            if isinstance(item, Checkpoint):
                break
        source.close()  # type: ignore[attr-defined]  # a sync is a generator
        stops += 1

    asked = periods(bank)
    assert len(asked) == len(set(asked)) == stops
    assert {item.external_id for item in transactions(items)} == {str(item.id) for item in own.movements}
    assert len(transactions(items)) == len(own.movements)


def test_a_stopped_reading_is_begun_again_after_a_week(bank: FioBank, http: HttpClient) -> None:
    stopped: dict[str, Json] = {
        "next_day": "2025-06-25",
        "begun_on": "2025-06-23",
        "is_whole": False,
        "days_back": 89,
    }
    older: Json = stopped | {"begun_on": "2025-06-22"}

    list(fio(bank, http).sync(run(TODAY - DAY, unfinished=stopped)))
    list(fio(bank, http).sync(run(TODAY - DAY, unfinished=older)))

    assert [first for first, _ in periods(bank)] == ["2025-06-25", "2025-06-15"]


def test_the_days_that_fitted_are_kept_for_the_next_sync_and_grow_again(
    bank: FioBank, http: HttpClient
) -> None:
    list(fio(bank, http).sync(run(TODAY, span_days=4)))

    assert periods(bank) == [
        ("2025-06-16", "2025-06-19"),
        ("2025-06-20", "2025-06-27"),
        ("2025-06-28", "2025-06-30"),
    ]


def test_days_grow_only_where_twice_as_many_movements_would_fit(
    bank: FioBank, http: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.load(account(*generated(seed=8, count=150, last_day=TODAY, days=15)), interval_seconds=0)
    monkeypatch.setattr(kvit.plugins.fio.reading, "LARGEST_ANSWER", 60)

    list(fio(bank, http).sync(run(TODAY, span_days=5)))

    assert [first for first, _ in periods(bank)] == ["2025-06-16", "2025-06-21", "2025-06-26"]


def test_a_single_day_with_too_many_movements_is_left_out_and_told(bank: FioBank, http: HttpClient) -> None:
    crowd = generated(seed=9, count=11, last_day=TODAY - 3 * DAY, days=1)
    bank.load(
        account(
            movement(id=1_000_000_001, booked_on=TODAY - 4 * DAY),
            *crowd,
            movement(id=99_000_000_001, booked_on=TODAY - 2 * DAY),
        ),
        interval_seconds=0,
        largest_answer=10,
    )

    items, refusal = until_refused(fio(bank, http).sync(run()))

    assert str(refusal) == (
        "On 2025-06-27 the account has more movements than Fio gives in one answer. "
        "Export that day as a statement file and upload it to Kvit. The next sync goes on without that day."
    )
    assert isinstance(refusal, Misconfigured)
    around = {"1000000001", "99000000001"}
    assert {item.external_id for item in transactions(items)} == around
    assert last_cursor(items)["too_large"] == ["2025-06-27"]

    asked = len(periods(bank))
    later = Run(today=TODAY + DAY, cursor=last_cursor(items))
    again = list(fio(bank, http).sync(later))
    assert later.warnings == [
        "2025-06-27 is left out: it has more movements than Fio gives. Upload its statement file."
    ]
    assert {item.external_id for item in transactions(again)} == around
    assert all(not first <= "2025-06-27" <= last for first, last in periods(bank)[asked:])
    soon = Run(today=TODAY + DAY, cursor=last_cursor(again))
    list(fio(bank, http).sync(soon))
    assert soon.warnings == []


# What is booked with an earlier date


def test_all_that_is_free_is_read_again_once_a_day(bank: FioBank, http: HttpClient) -> None:
    late = movement(booked_on=TODAY - 70 * DAY)
    bank.add(late)

    items = list(fio(bank, http).sync(run(TODAY - DAY, read_all_on=TODAY - DAY)))

    assert periods(bank) == [("2025-04-02", "2025-06-30")]
    assert [item.external_id for item in transactions(items)] == [str(late.id)]
    resumed(fio(bank, http), items)
    assert periods(bank)[1:] == [("2025-06-16", "2025-06-30")]


def test_the_days_before_the_owner_s_first_are_never_read(bank: FioBank, http: HttpClient) -> None:
    items = synced(fio(bank, http, days_back=10))
    later = Run(today=TODAY + DAY, cursor=last_cursor(items))

    list(fio(bank, http, days_back=10).sync(later))

    assert [first for first, _ in periods(bank)] == ["2025-06-20", "2025-06-20"]


def test_a_cursor_of_the_first_version_is_understood(bank: FioBank, http: HttpClient) -> None:
    list(fio(bank, http).sync(Run(today=TODAY, cursor={"synced_through": "2025-06-29"})))
    list(fio(bank, http, days_back=10).sync(Run(today=TODAY, cursor={"synced_through": "2025-06-29"})))

    assert [first for first, _ in periods(bank)] == ["2025-04-02", "2025-06-15"]


def test_a_movement_booked_before_the_overlap_changes_the_balance_and_is_found_at_once(
    bank: FioBank, http: HttpClient
) -> None:
    bank.add(movement(id=26_000_000_001, booked_on=TODAY - 20 * DAY, amount="10.00"))
    items = synced(fio(bank, http))
    bank.add(movement(id=26_000_000_002, booked_on=TODAY - 40 * DAY, amount="5.55"))
    later = Run(today=TODAY, cursor=last_cursor(items))

    found = list(fio(bank, http).sync(later))

    assert periods(bank)[1:] == [("2025-06-16", "2025-06-30"), ("2025-04-02", "2025-06-30")]
    assert {item.external_id for item in transactions(found)} == {"26000000001", "26000000002"}
    (warning,) = later.warnings
    assert warning == (
        "Before 2025-06-16 the account held 1010.00 CZK when that was read last, and 1015.55 CZK now: "
        "Fio booked or changed something with an earlier date. Kvit reads the last 89 days again."
    )
    quiet = Run(today=TODAY, cursor=last_cursor(found))
    list(fio(bank, http).sync(quiet))
    assert quiet.warnings == []
    assert len(periods(bank)) == 4


def test_a_balance_that_moved_in_a_whole_reading_is_told(bank: FioBank, http: HttpClient) -> None:
    known: Json = {"before": "2025-06-15", "amount": "999.00"}
    told = run(TODAY - DAY, read_all_on=None, balance=known)

    list(fio(bank, http).sync(told))

    (warning,) = told.warnings
    assert warning == (
        "Before 2025-06-15 the account held 999.00 CZK when that was read last, and 1000.00 CZK now: "
        "Fio booked or changed something with an earlier date."
    )
    assert len(periods(bank)) == 1


def test_a_movement_booked_between_two_answers_makes_the_next_sync_read_all(
    bank: FioBank, http: HttpClient
) -> None:
    bank.load(
        account(*generated(seed=2, count=40, last_day=TODAY, days=80)), interval_seconds=0, largest_answer=30
    )
    told = run()
    items: list[Item] = []
    for item in fio(bank, http).sync(told):
        items.append(item)
        if checkpoints(items) and len(told.warnings) == 0 and len(periods(bank)) == 2:
            bank.add(movement(id=99_000_000_001, booked_on=TODAY - 80 * DAY))

    (warning,) = told.warnings
    assert warning.startswith("Before 2025-05-17 the account held ")
    assert "read_all_on" not in last_cursor(items)
    assert "99000000001" in {item.external_id for item in transactions(resumed(fio(bank, http), items))}


def test_nothing_is_compared_where_a_record_cannot_be_read(bank: FioBank, http: HttpClient) -> None:
    own = account(movement(booked_on=TODAY - 20 * DAY))
    bank.load(own, interval_seconds=0)
    broken = statement_json(own, TODAY - 89 * DAY, TODAY).decode().replace("1250.10,", '"?",')
    bank.fail(Fault(kind="answer", body=broken))

    assert "balance" not in last_cursor(synced(fio(bank, http)))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_happens_nothing_is_lost(bank: FioBank, http: HttpClient, seed: int) -> None:
    """Months of late bookings, small answers, faults, kills at any item and a pause of weeks."""
    dice = random.Random(seed)
    today = TODAY
    cursor: Mapping[str, Json] = {}
    stored: dict[str, Transaction] = {}
    bank.load(interval_seconds=0, largest_answer=12)
    for number in range(40):
        today += dice.choice([0, 0, 1, 3, 9]) * DAY if number != 20 else 40 * DAY
        bank.change(today=today)
        for at in range(4):
            late = dice.choice([0, 1, 5, 15, 30]) * DAY
            bank.add(movement(26_000_000_001 + 4 * number + at, today - late))
        bank.forgive()
        bank.fail(*dice.sample(PASSING_FAULTS, k=dice.randrange(3)))
        items = stopped_at_random(fio(bank, http).sync(Run(today=today, cursor=cursor)), dice)
        cursor = last_cursor(items) or cursor
        stored |= {item.external_id: item for item in kept(items)}

    bank.forgive()
    items = list(fio(bank, http).sync(Run(today=today, cursor=cursor)))
    stored |= {item.external_id: item for item in transactions(items)}

    assert {name: (item.booked_on, item.amount) for name, item in stored.items()} == {
        str(item.id): (item.booked_on, item.amount) for item in bank.movements()
    }
    assert last_cursor(items)["synced_through"] == today.isoformat()


PASSING_FAULTS = [
    Fault(kind="reset"),
    Fault(kind="cut"),
    Fault(kind="cut_json"),
    Fault(kind="answer", status=409, times=3),
    Fault(kind="answer", status=500, times=2),
    Fault(kind="answer", status=503, content_type="text/html", body="<html>"),
]


def stopped_at_random(source: Iterator[Item], dice: random.Random) -> list[Item]:
    """What a sync yields until it ends, is refused or is killed."""
    items: list[Item] = []
    with contextlib.suppress(PluginError):
        for item in source:
            items.append(item)  # what came before an error counts
            if dice.random() < 0.01:
                break
    return items


def kept(items: list[Item]) -> list[Transaction]:
    """What the engine has surely committed: everything before the last checkpoint."""
    ends = [place for place, item in enumerate(items) if isinstance(item, Checkpoint)]
    return transactions(items[: ends[-1]]) if ends else []


# What Fio gives only after an unlock


def test_a_window_one_day_too_long_is_narrowed_once(bank: FioBank, http: HttpClient) -> None:
    bank.change(today=TODAY + 3 * DAY)
    told = run()

    items = list(fio(bank, http).sync(told))

    assert periods(bank) == [("2025-04-02", "2025-06-30"), ("2025-04-04", "2025-06-30")]
    assert checkpoints(items) == [TODAY.isoformat()]
    explained, quoted = told.lines
    assert explained == "Fio gives movements since 2025-04-04 only; older ones need an unlock."
    assert quoted.startswith("In the words of Fio: “Data není možné poskytnout bez silné autorizace.")
    assert "(od 04.04.2025)" in quoted


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
        "In the internet banking of Fio open Settings → API, click the lock icon at the token and authorize "
        "it. It stays open for 10 minutes: click “Sync now” here within them."
    )


def test_after_an_unlock_everything_is_read(bank: FioBank, http: HttpClient) -> None:
    bank.add(movement(booked_on=TODAY - 100 * DAY), movement(id=26_000_000_002, booked_on=TODAY))
    bank.unlock()

    items = synced(fio(bank, http), TODAY - 120 * DAY)

    assert [item.external_id for item in transactions(items)] == ["26000000001", "26000000002"]
    assert checkpoints(items) == [TODAY.isoformat()]


def test_an_unlock_that_ends_too_soon_keeps_what_was_read(bank: FioBank, http: HttpClient) -> None:
    own = account(*generated(seed=8, count=300, last_day=TODAY, days=300))
    bank.load(own, interval_seconds=0, largest_answer=40)
    bank.unlock()
    plugin = fio(bank, http, days_back=320)
    source = plugin.sync(run())
    items: list[Item] = []
    for item in source:
        items.append(item)
        if len(checkpoints(items)) == 2:
            break
    bank.change(unlock_seconds=0)
    bank.unlock()

    rest, refusal = until_refused(source)
    reached = date.fromisoformat(str(checkpoints(items)[-1]))

    assert str(refusal).startswith(f"Movements since {reached + DAY} are unread: Fio gives those before 2025")
    assert checkpoints(items + rest)[-1] == reached.isoformat()
    bank.change(unlock_seconds=600)
    bank.unlock()
    asked = len(periods(bank))
    last = resumed(plugin, items + rest)
    assert periods(bank)[asked][0] == (reached + DAY).isoformat()
    assert {item.external_id for item in transactions(items + rest + last)} == {
        str(item.id) for item in own.movements
    }
    assert checkpoints(last)[-1] == TODAY.isoformat()


def test_a_larger_number_of_days_reads_the_older_movements_too(bank: FioBank, http: HttpClient) -> None:
    bank.add(movement(booked_on=TODAY - 300 * DAY))
    items = synced(fio(bank, http))
    more = fio(bank, http, days_back=365)

    locked, refusal = until_refused(more.sync(Run(today=TODAY, cursor=last_cursor(items))))
    assert str(refusal).startswith("Movements since 2024-06-30 are unread")
    assert checkpoints(locked)[-1] == TODAY.isoformat()
    _, again = until_refused(more.sync(Run(today=TODAY, cursor=last_cursor(locked))))
    assert str(again) == str(refusal)
    bank.unlock()
    found = resumed(more, locked)

    assert [item.booked_on for item in transactions(found)] == [TODAY - 300 * DAY]
    later = resumed(more, found)
    assert transactions(later) == []
    assert periods(bank)[-1] == ("2025-06-16", "2025-06-30")
    tomorrow = Run(today=TODAY + DAY, cursor=last_cursor(later))
    list(more.sync(tomorrow))
    assert periods(bank)[-1] == ("2025-04-03", "2025-07-01")


def test_the_wish_for_old_movements_can_be_taken_back(bank: FioBank, http: HttpClient) -> None:
    bank.add(movement())
    items, _ = until_refused(fio(bank, http, days_back=365).sync(run()))

    found = resumed(fio(bank, http, days_back=60), items)

    assert checkpoints(found) == [TODAY.isoformat()]
    assert periods(bank)[-1][0] == "2025-05-01"


def test_without_a_date_the_bank_s_usual_days_are_read(bank: FioBank, http: HttpClient) -> None:
    bank.add(movement())
    bank.fail(Fault(kind="answer", status=422, body="Data není možné poskytnout."))

    items, refusal = until_refused(fio(bank, http).sync(run(TODAY - 100 * DAY)))

    assert len(transactions(items)) == 1
    assert "Movements since 2025-03-22 are unread: Fio gives those before 2025-04-02 only" in str(refusal)


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

    with pytest.raises(Misconfigured, match="click the lock icon at the token"):
        synced(fio(bank, http))


def test_a_window_is_narrowed_only_once(bank: FioBank, http: HttpClient) -> None:
    bank.fail(
        Fault(kind="answer", status=422, body="(od 10.04.2025)"),
        Fault(kind="answer", status=422, body="(od 20.04.2025)"),
    )

    with pytest.raises(Misconfigured, match="click the lock icon at the token"):
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
        ("2025-04-29", "2025-05-21"),
        ("2025-05-22", "2025-06-30"),
    ]
    assert len(transactions(items)) == 1


# How it is refused

FAILURES: list[tuple[str, list[Fault], type[PluginError]]] = [
    ("409 again and again", [Fault(kind="answer", status=409, times=3)], RateLimited),
    ("429", [Fault(kind="answer", status=429)], RateLimited),
    ("500 again and again", [Fault(kind="answer", status=500, body="\n", times=3)], AuthExpired),
    ("500 with an empty body", [Fault(kind="answer", status=500, times=3)], AuthExpired),
    ("302", [Fault(kind="answer", status=302, location="https://www.fio.cz/")], Temporary),
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


def test_an_expired_token_is_asked_three_times_and_no_more(bank: FioBank, http: HttpClient) -> None:
    bank.authorize(TOKEN, works_after_seconds=-1, lives_seconds=0.5)

    with pytest.raises(AuthExpired, match=r"most likely it has expired, or it was removed\. Make a new one"):
        synced(fio(bank, http))
    assert [request.status for request in bank.state().requests] == [500, 500, 500]


def test_a_token_that_answered_a_moment_ago_is_not_called_dead(bank: FioBank, http: HttpClient) -> None:
    bank.load(
        account(*generated(seed=2, count=40, last_day=TODAY, days=80)), interval_seconds=0, largest_answer=30
    )
    source = fio(bank, http).sync(run())
    while not transactions([next(source)]):
        pass
    bank.fail(Fault(kind="answer", status=500, times=3))

    _, refusal = until_refused(source)
    assert type(refusal) is Temporary


@pytest.mark.parametrize("code", [15, 21, 31])
@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_an_error_in_xml_is_passing_and_tells_the_bank_s_words(
    bank: FioBank, http: HttpClient, code: int, status: int, mark: str
) -> None:
    body = (
        f"{mark}<response><result><errorCode>{code}</errorCode><status>error</status>"
        '<message lang="cs">Služba není dostupná</message></result></response>'
    )
    bank.fail(Fault(kind="answer", status=status, content_type="text/xml", body=body))

    with pytest.raises(Temporary, match=rf"its error {code}: Služba není dostupná") as raised:
        synced(fio(bank, http))
    assert type(raised.value) is Temporary
    assert len(periods(bank)) == 1


def test_a_lost_second_window_keeps_the_first(bank: FioBank, http: HttpClient) -> None:
    bank.load(
        account(*generated(seed=2, count=40, last_day=TODAY, days=80)), interval_seconds=0, largest_answer=30
    )
    source = fio(bank, http).sync(run())
    items = []
    for item in source:
        items.append(item)
        if checkpoints(items):
            break
    bank.fail(Fault(kind="reset"))

    with pytest.raises(Temporary):
        next(source)
    assert len(transactions(items)) > 5
    assert checkpoints(items) == ["2025-05-16"]
    missing = resumed(fio(bank, http), items)
    assert len(transactions(items + missing)) == 40
    assert periods(bank)[-1] == ("2025-05-17", "2025-06-30")


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
    own = BankAccount(bank="8330", currency="EUR")
    bank.load(own, interval_seconds=0)

    assert fio(bank, http).check() == Identity(key=own.iban, label="2900123457/8330 EUR")
    assert own.iban.startswith("SK")


def test_a_token_that_is_not_active_yet_is_told_to_wait(bank: FioBank, http: HttpClient) -> None:
    young = "Y" * 64
    bank.authorize(young, works_after_seconds=300)
    plugin = fio(bank, http, api_token=Secret(young))

    with pytest.raises(AuthExpired, match=r"five minutes after you authorize it .* wait and try again"):
        plugin.check()
    bank.authorize(young, works_after_seconds=0)

    assert plugin.check().label == "2900123457/2010 CZK"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("", date(2026, 6, 30)),
        ("2026-02-01", date(2026, 2, 1)),
        ("1. 2. 2026", date(2026, 2, 1)),
        ("01.02.2026", date(2026, 2, 1)),
        ("1.1.2026", date(2026, 1, 1)),
        ("31. 12. 2025", date(2026, 6, 30)),
    ],
)
def test_a_token_lives_as_long_as_its_owner_wrote_or_as_fio_allows(
    bank: FioBank, http: HttpClient, written: str, expected: date
) -> None:
    plugin = fio(bank, http, token_valid_until=written)

    assert plugin.credentials_expire_on(date(2026, 1, 1)) == expected
    plugin.check()


@pytest.mark.parametrize("written", ["31. 2. 2026", "2026-13-01"])
def test_a_day_that_does_not_exist_is_refused_by_the_check(
    bank: FioBank, http: HttpClient, written: str
) -> None:
    plugin = fio(bank, http, token_valid_until=written)

    with pytest.raises(Misconfigured, match="There is no such day") as raised:
        plugin.check()
    assert raised.value.field == "token_valid_until"
    assert plugin.credentials_expire_on(date(2026, 1, 1)) == date(2026, 6, 30)
    assert bank.state().requests == []


@pytest.mark.parametrize("written", ["soon", "1/2/2026", "2026-1", "1. 2. 26"])
def test_a_date_of_another_form_does_not_match_the_pattern(written: str) -> None:
    (field,) = (item for item in dataclasses.fields(FioConfig) if item.name == "token_valid_until")

    assert not re.fullmatch(field.metadata["pattern"], written)


def test_the_picture_is_a_drawing_that_loads_and_runs_nothing() -> None:
    drawing = ElementTree.fromstring(Fio.picture)

    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    assert drawing.get("viewBox")
    shapes = {"svg", "title", "desc", "g", "rect", "path", "circle", "text"}
    assert {item.tag.removeprefix("{http://www.w3.org/2000/svg}") for item in drawing.iter()} <= shapes
    names = {name for item in drawing.iter() for name in item.attrib}
    assert not any(name == "style" or name.startswith("on") or "href" in name for name in names)
    words = " ".join(text.strip() for text in drawing.itertext())
    assert all(word in words for word in ("Nastavení", "API", "Přidat nový token", "Sledování účtu"))


def test_the_guide_leads_to_a_token_that_only_reads() -> None:
    steps = " ".join(Fio.guide)

    assert len(Fio.guide) > 3
    assert all(word in steps for word in ("Settings → API", "monitoring", "180 days", "five minutes"))
    assert Fio.hosts == (httpx.URL(FioConfig(api_token=Secret(TOKEN)).base_url).host,)


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
