"""The pretend Fio bank says what the real one says, in the shapes of the real one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import httpx
import pytest
from stdnum import iban

from tests.banks.fio import (
    TODAY,
    TOKEN,
    Account,
    FioBank,
    Movement,
    generated,
    running_fio_bank,
    statement_json,
)

MOVEMENT = Movement(id=26_000_000_001, booked_on=TODAY, amount=Decimal("1250.10"), variable_symbol="0042")


@pytest.fixture(scope="module")
def bank() -> Iterator[FioBank]:
    with running_fio_bank(Account(movements=[MOVEMENT]), interval_seconds=30) as bank:
        yield bank


def test_amounts_and_ids_are_exact_json_numbers() -> None:
    body = statement_json(Account(movements=[MOVEMENT]), TODAY, TODAY)

    assert b'"column1":{"value":1250.10,' in body
    assert b'"column22":{"value":26000000001,' in body
    assert b'"column5":{"value":"0042",' in body
    assert b'"column6":null' in body


def test_no_movements_are_a_list_that_is_null() -> None:
    assert b'"transactionList":null' in statement_json(Account(), TODAY, TODAY)


@pytest.mark.parametrize(
    ("shape", "summer", "winter"),
    [
        ("offset", '"2025-06-30+0200"', '"2025-01-31+0100"'),
        ("xml", '"2025-06-30+02:00"', '"2025-01-31+01:00"'),
        ("millis", "1751234400000", "1738278000000"),
    ],
)
def test_dates_come_in_three_shapes(shape: str, summer: str, winter: str) -> None:
    for day, expected in ((date(2025, 6, 30), summer), (date(2025, 1, 31), winter)):
        account = Account(movements=[Movement(id=1, booked_on=day, amount=Decimal(1))])
        body = statement_json(account, day, day, shape=shape).decode()  # type: ignore[arg-type]  # parametrized

        assert f'"column0":{{"value":{expected},' in body


@pytest.mark.parametrize("days", [1, 7, 40])
def test_balances_add_up_over_any_period(days: int) -> None:
    account = Account(movements=generated(seed=11, count=200, last_day=TODAY, days=40))
    first = TODAY - timedelta(days=days - 1)

    answer = json.loads(statement_json(account, first, TODAY), parse_float=Decimal)["accountStatement"]

    moved = sum(row["column1"]["value"] for row in answer["transactionList"]["transaction"])
    assert answer["info"]["openingBalance"] + moved == answer["info"]["closingBalance"]


def test_one_seed_makes_one_list_with_what_real_accounts_hold() -> None:
    made = generated(seed=12, count=3000, last_day=TODAY, days=80)

    assert made == generated(seed=12, count=3000, last_day=TODAY, days=80)
    assert len({item.id for item in made}) == 3000
    assert min(item.id for item in made) > 2**31
    assert made[0].booked_on == TODAY - timedelta(days=79)
    assert made[-1].booked_on == TODAY
    assert any(item.variable_symbol.startswith("0") for item in made)
    assert any("EUR" in item.detail for item in made)
    assert max(Counter(item.order_id for item in made if item.order_id).values()) > 1
    twins = Counter((item.booked_on, item.amount, item.counter_account, item.order_id) for item in made)
    assert max(twins.values()) > 1


def test_a_second_use_within_the_interval_is_refused_and_counted(bank: FioBank) -> None:
    url = f"{bank.base_url}periods/{TOKEN}/{TODAY}/{TODAY}/transactions.json"

    answers = [httpx.get(url, trust_env=False) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 409, 409]
    assert answers[0].headers["X-IntervalUseToken"] == "30000"
    assert bank.state().violations == 2
    assert bank.state().violations_of == {TOKEN: 2}


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("periods/{unknown}/2025-06-30/2025-06-30/transactions.json", 500, "\n"),
        ("periods/{token}/2025-06-31/2025-06-30/transactions.json", 404, ""),
        ("periods/{token}/2025-06-30/transactions.json", 404, ""),
        ("last/{token}/transactions.json", 404, ""),
    ],
)
def test_what_is_malformed_or_unknown_is_refused(bank: FioBank, path: str, status: int, body: str) -> None:
    bank.load(interval_seconds=0)

    answer = httpx.get(bank.base_url + path.format(token=TOKEN, unknown="u" * 64), trust_env=False)

    assert (answer.status_code, answer.text) == (status, body)


def test_old_days_need_an_unlock(bank: FioBank) -> None:
    bank.load(interval_seconds=0)
    url = f"{bank.base_url}periods/{TOKEN}/2025-03-31/2025-06-30/transactions.json"

    locked = httpx.get(url, trust_env=False)
    bank.unlock()

    assert locked.status_code == 422
    assert "(od 01.04.2025)" in locked.text
    assert httpx.get(url, trust_env=False).status_code == 200


def test_an_unlock_ends(bank: FioBank) -> None:
    bank.load(interval_seconds=0, unlock_seconds=0)
    bank.unlock()

    assert asked(bank, TOKEN, "2025-03-31").status_code == 422


def test_uses_before_the_interval_are_counted_by_token(bank: FioBank) -> None:
    other = "o" * 64
    bank.load(Account(tokens=[TOKEN, other]), interval_seconds=30)

    for token in (TOKEN, other, TOKEN, TOKEN):
        asked(bank, token)

    assert bank.state().violations == 2
    assert bank.state().violations_of == {TOKEN: 2}


def test_the_header_may_say_another_interval_than_is_kept(bank: FioBank) -> None:
    bank.load(interval_seconds=30, told_interval_milliseconds=20000)

    assert asked(bank, TOKEN).headers["X-IntervalUseToken"] == "20000"
    assert asked(bank, TOKEN).status_code == 409


def test_a_token_begins_to_work_later_and_expires(bank: FioBank) -> None:
    young, old = "y" * 64, "o" * 64
    bank.load(interval_seconds=0)
    bank.authorize(young, works_after_seconds=300)
    bank.authorize(old, works_after_seconds=-10, lives_seconds=5)

    assert [asked(bank, token).status_code for token in (TOKEN, young, old)] == [200, 500, 500]
    bank.authorize(young, works_after_seconds=0)
    assert asked(bank, young).status_code == 200


def test_a_pending_movement_is_in_no_answer_before_it_is_booked(bank: FioBank) -> None:
    bank.load(Account(movements=[replace(MOVEMENT, is_pending=True)]), interval_seconds=0)

    before = asked(bank, TOKEN).json(parse_float=Decimal)["accountStatement"]
    bank.book(MOVEMENT.id, TODAY)
    after = asked(bank, TOKEN).json(parse_float=Decimal)["accountStatement"]

    assert (before["transactionList"], before["info"]["closingBalance"]) == (None, Decimal("1000.00"))
    assert len(after["transactionList"]["transaction"]) == 1
    assert after["info"]["closingBalance"] == Decimal("2250.10")


def test_a_transfer_has_one_id_in_both_accounts_and_a_storno_another_id(bank: FioBank) -> None:
    payee = "p" * 64
    other = Account(number="2600170205", bank="8330", currency="EUR", tokens=[payee])
    bank.load(Account(), other, interval_seconds=0)
    payment = replace(MOVEMENT, order_id=30_000_000_001)

    bank.transfer(payment, payer=TOKEN, payee=payee)
    storno = bank.reverse(payment, id=MOVEMENT.id + 1)

    assert [(row.id, row.amount) for row in bank.movements(other.iban)] == [(MOVEMENT.id, payment.amount)]
    told = [(row.id, row.amount, row.order_id) for row in bank.movements(Account().iban)]
    assert told == [
        (MOVEMENT.id, -payment.amount, payment.order_id),
        (storno.id, -payment.amount, payment.order_id),
    ]


def test_a_slovak_account_has_a_slovak_iban_and_bic(bank: FioBank) -> None:
    bank.load(Account(bank="8330", currency="EUR"), interval_seconds=0)

    info = asked(bank, TOKEN).json()["accountStatement"]["info"]

    assert (info["bankId"], info["iban"][:2], info["bic"]) == ("8330", "SK", "FIOZSKBAXXX")
    assert iban.is_valid(info["iban"])


def asked(bank: FioBank, token: str, first: str = "2025-06-30") -> httpx.Response:
    url = f"{bank.base_url}periods/{token}/{first}/{TODAY}/transactions.json"
    return httpx.get(url, trust_env=False)
