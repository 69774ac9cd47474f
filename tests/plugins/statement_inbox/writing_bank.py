"""A pretend bank for the contract of plugins that is asked nothing: it writes statements."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx

from kvit.testing import PretendBank
from tests.banks import fio


class WritingBank(PretendBank):
    """A bank that tells nothing by HTTP: it writes its statement, with ids of its own."""

    folder: Path
    """Where it drops its statement, where that is how it tells it."""

    def answer(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(404)

    def statement(self) -> bytes:
        rows = [
            fio.Movement(
                id=int(row.id or 0),
                booked_on=row.booked_on,
                amount=row.amount,
                counter_name=row.counterparty,
                variable_symbol=row.variable_symbol,
                message=row.message,
            )
            for row in self.listed()
        ]
        return fio.statement_json(fio.Account(movements=rows), self.today - timedelta(days=400), self.today)
