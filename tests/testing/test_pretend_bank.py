"""The pretend bank: its pages, what the kit puts into it, and the same bank as a real HTTP server."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, timedelta

import httpx
import pytest

from kvit.testing import PretendBank, serving
from kvit.testing.filling import arrive_late, fill
from tests.testing.buk_bank import BukBank


@pytest.fixture
def bank() -> BukBank:
    made = BukBank()
    fill(made)
    return made


def asked(bank: PretendBank, address: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {bank.secret}"}
    return httpx.get(f"{address}/movements", params={"page": "1"}, headers=headers, trust_env=False)


def test_it_is_filled_with_what_hurts(bank: BukBank) -> None:
    rows = bank.listed()
    size = bank.page_size
    borders = [(rows[at - 1], rows[at]) for at in range(size, len(rows), size)]

    assert len(rows) > 3 * size
    assert any(one.booked_at == other.booked_at for one, other in borders)
    assert Counter(row.booked_on for row in rows).most_common(1)[0][1] > size
    assert {row.amount > 0 for row in rows} == {True, False}
    assert any(row.booked_at.utcoffset() != rows[0].booked_at.utcoffset() for row in rows)
    assert any(row.booked_on != row.booked_at.astimezone(UTC).date() for row in rows)
    assert len({row.id for row in rows}) == len(rows)
    assert len({(row.booked_at, row.amount, row.counterparty) for row in rows}) == len(rows) - len(
        bank.accounts
    )


@pytest.mark.parametrize("overlap", [0, 3])
def test_pages_hold_every_row_and_repeat_as_many_as_they_are_told_to(bank: BukBank, overlap: int) -> None:
    bank.overlap = overlap
    rows, found, number, more = bank.listed(), [], 1, True
    while more:
        page, more = bank.page(rows, number)
        found += page
        number += 1

    assert set(found) == set(rows)
    assert len(found) == len(rows) + overlap * (number - 2)


def test_after_a_row_come_the_next_ones(bank: BukBank) -> None:
    rows = bank.listed(newest_first=True)

    first, more = bank.after(rows, "", 5)
    second, _ = bank.after(rows, first[-1].id, 5)

    assert (first + second, more) == (rows[:10], True)
    with pytest.raises(LookupError):
        bank.after(rows, "999")


def test_late_arrivals_are_no_later_than_the_bank_allows(bank: BukBank) -> None:
    newest = {account.id: bank.listed(account=account.id)[-1] for account in bank.accounts}

    late = arrive_late(bank)

    for account in bank.accounts:
        own = [row for row in late if row.account == account.id]
        last = newest[account.id]
        assert min(row.booked_at for row in own) == last.booked_at - bank.late_by
        assert max(row.booked_at for row in own) == last.booked_at
        assert {row.told_at for row in own} == {last.told_at}
    assert bank.late_by >= timedelta(days=1)


def test_the_same_bank_is_a_real_server(bank: BukBank) -> None:
    with serving(bank) as address:
        answer = asked(bank, address)
        refused = httpx.get(f"{address}/accounts", trust_env=False)
        bank.fault = bank.slowed
        slowed = asked(bank, address)

    assert [row["id"] for row in answer.json()["movements"]] == [row.id for row in bank.listed()[:8]]
    assert refused.status_code == 401
    assert (slowed.status_code, slowed.headers["Retry-After"]) == (429, "120")
    assert [request.url.path for request in bank.requests] == ["/movements", "/accounts", "/movements"]


def test_a_connection_that_breaks_breaks_on_the_wire(bank: BukBank) -> None:
    def breaks(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("reset", request=request)

    bank.fault = breaks
    with serving(bank) as address, pytest.raises(httpx.TransportError):
        asked(bank, address)
