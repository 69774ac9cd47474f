"""What a sync asks the bank for and what it makes of the answers, without a database."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from kvit.plugin import (
    Account,
    AuthExpired,
    Checkpoint,
    Gone,
    Misconfigured,
    RateLimited,
    Temporary,
    Transaction,
    Unreadable,
)
from kvit.plugins.enable_banking import EnableBanking
from kvit.plugins.enable_banking.cursor import LARGEST_BYTES, AccountState, Cursor
from kvit.plugins.enable_banking.identity import Known
from kvit.sync.configuring import read_values
from kvit.testing import Movement
from kvit.testing.running import Installation, Outcome
from tests.plugins.enable_banking.pretend_enable_banking import (
    EnableBankingServer,
    TwoAccounts,
    for_account,
    grant_of,
    problem,
    settings_for,
)

IBAN = "CZ6508000000192000145399"


def installed(bank: EnableBankingServer, **settings: str) -> Installation:
    return Installation(
        plugin=EnableBanking,
        bank=bank,
        values=read_values(EnableBanking, settings_for(bank.address, **settings)),
        grant=grant_of(bank, bank.consent()),
    )


def add(
    bank: EnableBankingServer,
    amount: str,
    *,
    days_ago: int = 3,
    at: time = time(9, 30),
    account: str = "1",
    pending: bool = False,
    **more: Any,
) -> Movement:
    """Add a movement; `told` is what the bank says otherwise of it."""
    told = more.pop("told", {})
    booked_at = datetime.combine(bank.today - timedelta(days=days_ago), at, bank.zone)
    movement = Movement(
        id=str(2026_0000_0000 + len(bank.movements)),
        account=account,
        booked_at=booked_at,
        told_at=booked_at,
        amount=Decimal(amount),
        currency="CZK",
        pending=pending,
        **{"counterparty": "ACME", "variable_symbol": "2026001", **more},
    )
    bank.movements.append(movement)
    bank.told[movement.id] = told
    return movement


def succeeded(outcome: Outcome) -> Outcome:
    assert outcome.error is None, outcome.error
    return outcome


def movements(outcome: Outcome) -> list[Transaction]:
    return [item for item in outcome.items if isinstance(item, Transaction)]


def amounts(installation: Installation) -> Counter[int]:
    return Counter(row.amount_minor for row in installation.kept.rows.values())


def asked(outcome: Outcome, kind: str = "transactions") -> list[httpx.URL]:
    return [request.url for request in outcome.requests if request.url.path.endswith(kind)]


WITHOUT_ID = {"entry_reference": None}


# Which days, which pages


def test_pages_follow_the_continuation_key_and_empty_ones_are_no_end() -> None:
    bank = EnableBankingServer()
    for number in range(45):
        add(bank, f"{100 + number}.00", days_ago=number % 10)
    bank.page_size = 10
    inner = bank.answer

    def with_an_empty_page(request: httpx.Request) -> httpx.Response | None:
        if request.url.params.get("continuation_key") == "10":
            return httpx.Response(200, json={"transactions": [], "continuation_key": "empty"})
        if request.url.params.get("continuation_key") == "empty":
            url = request.url.copy_set_param("continuation_key", "10")
            return inner(httpx.Request("GET", url, headers=request.headers))
        return None

    bank.fault = with_an_empty_page
    installation = installed(bank)
    outcome = succeeded(installation.sync())

    assert len(installation.kept.rows) == 45
    assert len(asked(outcome)) == 6
    assert {url.params["date_from"] for url in asked(outcome)} == {"2026-01-03"}


def test_pages_that_never_end_are_no_list() -> None:
    bank = EnableBankingServer()
    bank.fault = lambda request: (
        httpx.Response(200, json={"transactions": [], "continuation_key": "same"})
        if request.url.path.endswith("transactions")
        else None
    )
    outcome = installed(bank).sync()

    assert isinstance(outcome.error, Temporary)
    assert len(asked(outcome)) == 2


def test_the_next_sync_goes_back_two_weeks_and_a_day_more_at_the_edge() -> None:
    bank = EnableBankingServer()
    installation = installed(bank)
    succeeded(installation.sync())
    bank.today += timedelta(days=1)
    outcome = succeeded(installation.sync())

    assert [url.params["date_from"] for url in asked(outcome)] == ["2026-03-18"]
    assert not any("strategy" in url.params for url in asked(outcome))


def test_what_lies_at_the_edge_is_left_to_earlier_readings() -> None:
    bank = EnableBankingServer()
    installation = installed(bank, days_back="10")
    add(bank, "1.00", days_ago=11)
    add(bank, "2.00", days_ago=10)
    succeeded(installation.sync())

    assert amounts(installation) == {200: 1}


def test_more_history_than_every_bank_gives_is_asked_for_in_another_way() -> None:
    bank = EnableBankingServer()
    bank.oldest = bank.today - timedelta(days=200)
    add(bank, "1.00", days_ago=199)
    installation = installed(bank, days_back="365")
    outcome = succeeded(installation.sync())

    assert [url.params["strategy"] for url in asked(outcome)] == ["longest"]
    assert amounts(installation) == {100: 1}


def test_a_larger_number_of_days_entered_later_reads_the_older_ones_too() -> None:
    bank = EnableBankingServer()
    add(bank, "1.00", days_ago=30)
    add(bank, "2.00", days_ago=5)
    installation = installed(bank, days_back="10")
    succeeded(installation.sync())
    installation.values = read_values(EnableBanking, settings_for(bank.address, days_back="40"))
    succeeded(installation.sync())
    outcome = succeeded(installation.sync())

    assert amounts(installation) == {100: 1, 200: 1}
    assert [url.params["date_from"] for url in asked(outcome)] == ["2026-03-18"]


def test_older_days_wanted_later_do_not_tell_the_days_between_again() -> None:
    bank = EnableBankingServer()
    known = add(bank, "1.00", days_ago=25, told={"entry_reference": "A-100000001"})
    add(bank, "2.00", days_ago=35)
    installation = installed(bank, days_back="30")
    succeeded(installation.sync())
    bank.told[known.id] = {"entry_reference": "B-200000002"}
    installation.values = read_values(EnableBanking, settings_for(bank.address, days_back="40"))
    succeeded(installation.sync())

    assert amounts(installation) == {100: 1, 200: 1}


def test_days_without_a_sync_are_read_whole_however_few_days_the_owner_wanted_at_first() -> None:
    bank = EnableBankingServer()
    installation = installed(bank, days_back="1")
    succeeded(installation.sync())
    add(bank, "1.00", days_ago=-1)
    late = add(bank, "2.00", days_ago=1)
    bank.today += timedelta(days=30)
    outcome = succeeded(installation.sync())

    assert [url.params["date_from"] for url in asked(outcome)] == ["2026-03-31"]
    assert amounts(installation) == {100: 1, 200: 1}
    assert late.booked_on == date(2026, 4, 1)
    assert not any("may not give" in line for line in outcome.lines)


def test_after_a_long_pause_a_warning_says_that_days_may_be_missing() -> None:
    bank = EnableBankingServer()
    installation = installed(bank)
    succeeded(installation.sync())
    bank.today += timedelta(days=120)
    outcome = succeeded(installation.sync())

    assert [url.params["strategy"] for url in asked(outcome)] == ["longest"]
    assert any("may not give all movements since 2026-03-19" in line for line in outcome.lines)


def test_where_the_bank_gives_less_it_is_read_and_a_warning_says_so() -> None:
    bank = EnableBankingServer()
    bank.oldest = bank.today - timedelta(days=30)
    add(bank, "1.00", days_ago=29)
    installation = installed(bank)
    outcome = succeeded(installation.sync())

    assert amounts(installation) == {100: 1}
    assert any("may not give all movements since 2026-01-04" in line for line in outcome.lines)


def test_a_bank_that_refuses_any_period_says_which_setting_to_change() -> None:
    bank = EnableBankingServer()
    bank.fault = for_account(
        "00000001-uid-of-1", "transactions", lambda _: problem(422, "WRONG_TRANSACTIONS_PERIOD")
    )
    outcome = installed(bank).sync()

    assert type(outcome.error) is Misconfigured
    assert outcome.error.field == "days_back"


@pytest.mark.parametrize("at", [time(0, 0), time(0, 30), time(23, 30), time(23, 59, 59)])
def test_a_movement_near_midnight_that_is_told_a_day_later_is_read(at: time) -> None:
    bank = EnableBankingServer()
    installation = installed(bank)
    late = add(bank, "1.00", days_ago=0, at=at)
    bank.hidden.add(late.id)
    succeeded(installation.sync())
    bank.today += timedelta(days=1)
    bank.hidden.clear()
    succeeded(installation.sync())

    [row] = installation.kept.rows.values()
    assert row.booked_on == date(2026, 4, 2)


# Accounts


def test_an_account_comes_with_the_balance_of_its_books() -> None:
    bank = EnableBankingServer()
    outcome = succeeded(installed(bank).sync())

    [account] = [item for item in outcome.items if isinstance(item, Account)]
    assert (account.number, account.name, account.currency) == (IBAN, "Eva Nová", "CZK")
    assert account.balance == Decimal("1250.50")
    assert account.external_id.endswith(":CZK")
    assert "uid" not in account.external_id


def test_without_a_balance_the_movements_come_all_the_same() -> None:
    bank = EnableBankingServer()
    add(bank, "1.00")
    bank.fault = for_account("00000001-uid-of-1", "balances", lambda _: problem(500, "ASPSP_ERROR"))
    installation = installed(bank)
    outcome = succeeded(installation.sync())

    assert amounts(installation) == {100: 1}
    assert next(item for item in outcome.items if isinstance(item, Account)).balance is None


def test_an_account_with_several_currencies_is_one_account_in_each() -> None:
    bank = EnableBankingServer()
    bank.currencies["1"] = "XXX"
    add(bank, "1.00")
    euro = add(
        bank, "2.00", told={"transaction_amount": {"currency": "EUR", "amount": "2.00"}, "status": "PDNG"}
    )
    add(bank, "3.00", told={"transaction_amount": {"currency": "?", "amount": "3.00"}})
    installation = installed(bank)
    first = succeeded(installation.sync())
    bank.hidden.add(euro.id)
    second = succeeded(installation.sync())

    assert {item.currency for item in first.items if isinstance(item, Account)} == {"CZK", "EUR"}
    assert {item.currency: item.amount for item in movements(first)} == {"CZK": Decimal(1), "EUR": Decimal(2)}
    assert [item.reason for item in first.items if isinstance(item, Unreadable)]
    assert [item.external_id for item in second.items if isinstance(item, Gone)] == [euro.id]


# Four readings a day


def test_a_sync_asks_for_each_account_once() -> None:
    bank = TwoAccounts()
    outcome = succeeded(installed(bank).sync())

    assert Counter(request.url.path.split("/")[-1] for request in outcome.requests) == {
        "transactions": 2,
        "balances": 2,
    }


def test_three_syncs_a_day_are_within_what_banks_allow() -> None:
    bank = TwoAccounts()
    bank.most_readings = 4
    installation = installed(bank)

    for _ in range(3):
        succeeded(installation.sync())


def test_one_account_that_was_read_too_often_does_not_stop_the_others() -> None:
    bank = TwoAccounts()
    add(bank, "1.00", account="1")
    add(bank, "2.00", account="2")
    bank.fault = for_account(
        "00000001-uid-of-1", "transactions", lambda _: problem(429, "ASPSP_RATE_LIMIT_EXCEEDED")
    )
    installation = installed(bank)
    outcome = installation.sync()

    assert type(outcome.error) is RateLimited
    assert outcome.error.retry_after == timedelta(hours=6)
    assert amounts(installation) == {200: 1}
    bank.fault = None
    succeeded(installation.sync())
    assert amounts(installation) == {100: 1, 200: 1}


def test_a_balance_that_was_asked_too_often_comes_after_the_movements() -> None:
    bank = EnableBankingServer()
    add(bank, "1.00")
    bank.fault = for_account(
        "00000001-uid-of-1", "balances", lambda _: problem(429, "ASPSP_RATE_LIMIT_EXCEEDED")
    )
    installation = installed(bank)

    assert type(installation.sync().error) is RateLimited
    assert amounts(installation) == {100: 1}


def test_tries_after_a_fault_at_one_account_leave_the_others_their_readings() -> None:
    bank = TwoAccounts()
    bank.fault = for_account("00000001-uid-of-1", "transactions", lambda _: problem(500, "ASPSP_ERROR"))
    installation = installed(bank)
    outcomes = [installation.sync() for _ in range(6)]

    assert {type(outcome.error) for outcome in outcomes} == {Temporary}
    assert bank.readings[bank.today, "2", "transactions"] == 3
    bank.fault = None
    succeeded(installation.sync())
    bank.today += timedelta(days=1)
    succeeded(installation.sync())
    assert bank.readings[bank.today, "2", "transactions"] == 1


def test_of_several_faults_the_one_that_needs_a_person_is_told() -> None:
    bank = TwoAccounts()
    gone = for_account("00000001-uid-of-2", "transactions", lambda _: problem(404, "ACCOUNT_DOES_NOT_EXIST"))
    slow = for_account("00000001-uid-of-1", "transactions", lambda _: problem(500, "ASPSP_ERROR"))
    bank.fault = lambda request: gone(request) or slow(request)

    assert type(installed(bank).sync().error) is AuthExpired


def test_an_account_that_is_gone_without_a_code_does_not_stop_the_others() -> None:
    bank = TwoAccounts()
    add(bank, "7.00", account="2")
    answer = httpx.Response(404, json={"message": "Not Found"})
    bank.fault = for_account("00000001-uid-of-1", "transactions", lambda _: answer)
    installation = installed(bank)

    assert type(installation.sync().error) is AuthExpired
    assert len(installation.kept.rows) == 1


# Consent


def test_another_consent_with_other_uids_doubles_nothing() -> None:
    bank = TwoAccounts()
    for number in range(30):
        add(bank, f"{number + 1}.00", account=str(number % 2 + 1), told=WITHOUT_ID if number % 3 else {})
    add(bank, "7.77", told=WITHOUT_ID)
    add(bank, "7.77", told=WITHOUT_ID)
    installation = installed(bank)
    succeeded(installation.sync())
    before = dict(installation.kept.rows)
    installation.grant = grant_of(bank, bank.consent(2))
    outcome = succeeded(installation.sync())

    assert {request.url.path.split("/")[2] for request in outcome.requests} == {
        "00000002-uid-of-1",
        "00000002-uid-of-2",
    }
    assert installation.kept.rows == before
    assert len(before) == 32


def test_another_connection_of_the_same_account_names_movements_the_same() -> None:
    bank = EnableBankingServer()
    for number in range(10):
        add(bank, f"{number % 3 + 1}.00", told=WITHOUT_ID)
    first, second = installed(bank), installed(bank)
    succeeded(first.sync())
    second.grant = grant_of(bank, bank.consent(2))
    bank.newest_first = True
    succeeded(second.sync())

    assert first.kept.rows.keys() == second.kept.rows.keys()


def test_access_revoked_in_the_middle_of_the_pages_is_told_and_nothing_is_lost() -> None:
    bank = TwoAccounts()
    for number in range(50):
        add(bank, f"{number + 1}.00", account=str(number % 2 + 1))
    installation = installed(bank)

    def revoke(answers: int) -> None:
        if answers == 4:
            next(iter(bank.sessions.values())).status = "REVOKED"

    bank.after_answer = revoke
    outcome = installation.sync()

    assert type(outcome.error) is AuthExpired
    assert "Grant access again" in str(outcome.error)
    assert len(installation.kept.rows) == 25
    bank.after_answer = None
    installation.grant = grant_of(bank, bank.consent(2))
    succeeded(installation.sync())
    assert len(installation.kept.rows) == 50


# Pending and booked


def test_a_pending_movement_that_is_booked_by_another_id_is_said_to_be_gone() -> None:
    bank = EnableBankingServer()
    waiting = add(bank, "-5.00", pending=True, days_ago=1)
    installation = installed(bank)
    succeeded(installation.sync())
    assert [row.status for row in installation.kept.rows.values()] == ["pending"]

    bank.movements.remove(waiting)
    add(bank, "-5.00", days_ago=0, told={"entry_reference": "2026040200009999"})
    outcome = succeeded(installation.sync())

    order = [type(item) for item in outcome.items if isinstance(item, Transaction | Gone)]
    assert order == [Transaction, Gone]
    assert {key[1]: row.status for key, row in installation.kept.rows.items()} == {
        "2026040200009999": "booked"
    }


def test_a_pending_movement_that_is_booked_by_its_own_id_is_the_same() -> None:
    bank = EnableBankingServer()
    waiting = add(bank, "-5.00", pending=True, days_ago=1)
    installation = installed(bank)
    succeeded(installation.sync())
    bank.movements[:] = [replace(waiting, pending=False)]
    outcome = succeeded(installation.sync())

    assert not [item for item in outcome.items if isinstance(item, Gone)]
    assert [row.status for row in installation.kept.rows.values()] == ["booked"]


def test_what_is_pending_for_long_is_still_told() -> None:
    bank = EnableBankingServer()
    old = add(bank, "-5.00", days_ago=20, told={"status": "HOLD", "booking_date": None})
    installation = installed(bank)
    succeeded(installation.sync())
    bank.extra = [bank.record(old)]
    bank.hidden.add(old.id)
    outcome = succeeded(installation.sync())

    assert [item.status for item in movements(outcome)] == ["pending"]
    assert not [item for item in outcome.items if isinstance(item, Gone)]


def test_each_batch_of_the_engine_tells_all_that_is_pending() -> None:
    bank = EnableBankingServer()
    bank.page_size = 1000
    for number in range(900):
        add(bank, f"{number + 1}.00", days_ago=number % 10)
    waiting = {add(bank, "-5.00", pending=True).id, add(bank, "-6.00", pending=True).id}
    outcome = succeeded(installed(bank).sync())

    batches: list[set[str]] = [set()]
    for item in outcome.items:
        if isinstance(item, Checkpoint):
            batches.append(set())
        elif isinstance(item, Transaction):
            batches[-1].add(item.external_id)
    told = [batch for batch in batches if batch]
    assert len(told) == 3
    assert all(waiting < batch and len(batch) < 500 for batch in told)


# What is remembered


def test_a_sync_that_found_a_glitch_of_the_bank_forgets_nothing() -> None:
    bank = EnableBankingServer()
    for number in range(5):
        add(bank, f"{number + 1}.00", told=WITHOUT_ID)
    installation = installed(bank)
    succeeded(installation.sync())
    before = dict(installation.kept.rows)
    bank.hidden.update(item.id for item in bank.movements)
    outcome = succeeded(installation.sync())
    assert any("are not told now" in line for line in outcome.lines)
    bank.hidden.clear()
    bank.told = {key: {**told, "remittance_information": ["more words"]} for key, told in bank.told.items()}
    again = succeeded(installation.sync())

    assert {item.external_id for item in movements(again)} == {key[1] for key in before}


def test_the_doubtful_are_put_aside_and_a_warning_says_so() -> None:
    bank = EnableBankingServer()
    bare = {"entry_reference": None, "debtor": None, "debtor_account": None}
    add(bank, "5.00", told={**bare, "remittance_information": ["a"]})
    installation = installed(bank)
    succeeded(installation.sync())
    bank.told = {key: {**told, "remittance_information": ["b"]} for key, told in bank.told.items()}
    add(bank, "5.00", told={**bare, "remittance_information": ["c"]})
    outcome = succeeded(installation.sync())

    assert len([item for item in outcome.items if isinstance(item, Unreadable)]) == 2
    assert movements(outcome) == []
    assert any("2 movements were put aside" in line for line in outcome.lines)


def state(today: date, days: int, rows: Callable[[date, int], list[Known]]) -> AccountState:
    known = [row for back in range(days) for row in rows(today - timedelta(days=back), back)]
    return AccountState(read_from=today, read_through=today, pending=("p1",), known=tuple(known))


def test_the_cursor_comes_back_as_it_was() -> None:
    rows = state(
        date(2026, 4, 2),
        3,
        lambda day, back: [
            Known("an id with spaces", day, -50000, "0a1b2c3d", ""),
            Known(f"e1:{back}", day, 1, "0a1b2c3d", "11223344"),
        ],
    )
    cursor = Cursor(accounts={"h1:CZK": rows}, owed=frozenset({"h2"}))

    stored = json.loads(json.dumps(cursor.as_json()))

    assert Cursor.of(stored) == cursor
    assert Cursor.of({}) == Cursor()


def test_the_cursor_of_a_busy_account_stays_small_and_keeps_whole_newest_days() -> None:
    today = date(2026, 4, 2)
    busy = state(
        today,
        15,
        lambda day, back: [
            Known(f"e1:{back:02}{number:022}", day, 100 + number, "0a1b2c3d", "11223344")
            for number in range(200)
        ],
    )
    stored = Cursor(accounts={"h1:CZK": busy}).as_json()
    kept = Counter(row.day for row in Cursor.of(stored).accounts["h1:CZK"].known)

    assert len(json.dumps(stored)) <= LARGEST_BYTES
    assert today in kept
    assert set(kept.values()) == {200}
    assert set(kept) == {today - timedelta(days=back) for back in range(len(kept))}
