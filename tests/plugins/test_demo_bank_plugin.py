"""The demo bank's plugin against the demo bank."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest

from kvit.plugin import (
    Account,
    AuthExpired,
    Checkpoint,
    Identity,
    Item,
    Misconfigured,
    Secret,
    Temporary,
    Transaction,
)
from kvit.plugins.demo_bank import DemoBank, DemoBankConfig
from kvit.sync.http import HttpClient
from tests.banks.demo import TOKEN, account, running_demo_bank, transaction, write
from tests.banks.fio import Fault, FioBank
from tests.plugins.harness import Run, http_client

TODAY = date(2025, 6, 30)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "bank.json"
    write(path, [account()])
    return path


@pytest.fixture(scope="module")
def address(data: Path) -> Iterator[str]:
    with running_demo_bank(data) as url:
        yield url


@pytest.fixture
def http() -> Iterator[HttpClient]:
    with http_client(Secret(TOKEN)) as client:
        yield client


def synced(address: str, http: HttpClient, cursor: dict[str, str] | None = None) -> list[Item]:
    plugin = DemoBank(DemoBankConfig(base_url=address, api_token=Secret(TOKEN)), http)
    return list(plugin.sync(Run(today=TODAY, cursor=dict(cursor or {}))))


def ids(items: list[Item]) -> list[str]:
    return [item.external_id for item in items if isinstance(item, Transaction)]


def test_every_page_is_read(data: Path, address: str, http: HttpClient) -> None:
    days = [TODAY - timedelta(days=back) for back in range(250)]
    write(data, [account(*(transaction(f"t{day}", "-12.50", day.isoformat()) for day in days))])

    found = ids(synced(address, http))

    assert found == [f"t{day}" for day in reversed(days)]


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 200])
def test_a_page_boundary_loses_nothing(data: Path, address: str, http: HttpClient, count: int) -> None:
    write(data, [account(*(transaction(f"t{n:03}", "1.00", "2025-06-01") for n in range(count)))])

    assert ids(synced(address, http)) == [f"t{n:03}" for n in range(count)]


def test_a_movement_comes_with_its_account_and_all_it_says(
    data: Path, address: str, http: HttpClient
) -> None:
    texts = {"counterparty": "Řehoř Čížek", "account": "19-2000145399/0800", "vs": "0042", "ks": "0308"}
    record = transaction("t1", "-1250.10", "2025-06-01", **texts, ss="7", message="děkuji")
    own = account(record)
    write(data, [own])

    first, second, third = synced(address, http)

    assert first == Account(external_id=own["iban"], name="Account 1", currency="CZK", number=own["iban"])
    assert second == Transaction(
        external_id="t1",
        account_id=own["iban"],
        amount="-1250.10",
        currency="CZK",
        booked_on="2025-06-01",
        counterparty_name="Řehoř Čížek",
        counterparty_account="19-2000145399/0800",
        variable_symbol="0042",
        constant_symbol="0308",
        specific_symbol="7",
        message="děkuji",
        raw=record,
    )
    assert third == Checkpoint({"booked_on": "2025-06-01"})


def test_the_next_sync_overlaps_the_last(data: Path, address: str, http: HttpClient) -> None:
    days = ["2025-06-01", "2025-06-02", "2025-06-09"]
    write(data, [account(*(transaction(day, "1.00", day) for day in days))])

    items = synced(address, http, {"booked_on": "2025-06-09"})

    assert ids(items) == ["2025-06-02", "2025-06-09"]
    assert items[-1] == Checkpoint({"booked_on": "2025-06-09"})


def test_nothing_new_keeps_the_cursor(data: Path, address: str, http: HttpClient) -> None:
    write(data, [account()])

    assert synced(address, http, {"booked_on": "2025-06-09"})[-1] == Checkpoint({"booked_on": "2025-06-09"})


def test_accounts_do_not_mix(data: Path, address: str, http: HttpClient) -> None:
    one = account(transaction("t1", "1.00", "2025-06-01"))
    other = account(transaction("t1", "2.00", "2025-06-01"), number="2", currency="EUR")
    write(data, [one, other])

    found = [item for item in synced(address, http) if isinstance(item, Transaction)]

    assert [(item.account_id, item.amount) for item in found] == [
        (one["iban"], "1.00"),
        (other["iban"], "2.00"),
    ]


def test_the_check_names_the_account(data: Path, address: str, http: HttpClient) -> None:
    own = account()
    write(data, [own])
    config = DemoBankConfig(base_url=f"{address}/", api_token=Secret(TOKEN))

    assert DemoBank(config, http).check() == Identity(key=own["iban"], label="Account 1")


def test_a_bank_without_accounts_is_said_to_have_none(data: Path, address: str, http: HttpClient) -> None:
    write(data, [])

    with pytest.raises(Misconfigured, match="has no account"):
        DemoBank(DemoBankConfig(base_url=address, api_token=Secret(TOKEN)), http).check()


def test_a_wrong_token_is_refused(address: str, http: HttpClient) -> None:
    with pytest.raises(AuthExpired):
        DemoBank(DemoBankConfig(base_url=address, api_token=Secret("another")), http).check()


@pytest.mark.parametrize("body", ["<html>", "[1]", ""])
def test_an_answer_that_is_no_json_object_is_temporary(bank: FioBank, http: HttpClient, body: str) -> None:
    bank.fail(Fault(kind="answer", body=body))
    config = DemoBankConfig(base_url=bank.url, api_token=Secret(TOKEN))

    with pytest.raises(Temporary):
        DemoBank(config, http).check()


def test_the_start_page_says_what_it_is(data: Path, address: str) -> None:
    write(data, [{**account(), "name": "<Účet>"}])

    page = httpx.get(address, trust_env=False)

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "pretend bank" in page.text
    assert "&lt;Účet&gt;" in page.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/accounts/9/transactions", 404),
        ("/elsewhere", 404),
        ("/accounts/1/transactions?since=soon", 400),
        ("/accounts/1/transactions?page=x", 400),
    ],
)
def test_the_bank_refuses_what_it_does_not_know(data: Path, address: str, path: str, status: int) -> None:
    write(data, [account()])

    answer = httpx.get(address + path, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False)

    assert answer.status_code == status
