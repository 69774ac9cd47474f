"""The plugin of Fio banka keeps the contract of plugins, against a bank that speaks Fio's JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal

import httpx

from kvit.plugins.fio import Fio
from kvit.testing import Movement, PluginContract, PretendAccount, PretendBank
from tests.banks import fio as pretend
from tests.banks.fio import TOKEN, statement_json

_PERIODS = re.compile(r"/v1/rest/periods/(\w+)/([\d-]+)/([\d-]+)/transactions\.json")
_WITHOUT_ID = re.compile(rb'"column22":\{"value":-[^}]*\}')


class FioInProcess(PretendBank):
    """Tells a period at once, where it does not hold too many movements (manual 8.6); never pending ones."""

    secret = TOKEN
    accounts = (PretendAccount(id="1", iban=pretend.Account().iban, name="Fio", currency="CZK"),)
    largest_answer = 30
    late_by = timedelta(days=10)

    def answer(self, request: httpx.Request) -> httpx.Response:
        found = _PERIODS.fullmatch(request.url.path)
        if found is None:
            return httpx.Response(404)
        if found[1] != TOKEN:
            return self.refused(request)
        first, last = date.fromisoformat(found[2]), date.fromisoformat(found[3])
        if len(self.listed(since=first, until=last)) > self.largest_answer:
            return httpx.Response(413)
        account = pretend.Account(movements=[_told(at, item) for at, item in enumerate(self.listed(), 1)])
        body = statement_json(account, first, last)
        return httpx.Response(200, content=_WITHOUT_ID.sub(b'"column22":null', body))

    def refused(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(500, text="\n")

    def slowed(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(409)

    def failed(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(503, text="Service Unavailable")


def _told(place: int, item: Movement) -> pretend.Movement:
    """A record without an id has a negative one until it is written."""
    number, _, bank = item.counterparty_account.partition("/")
    return pretend.Movement(
        id=int(item.id) if item.id else -place,
        booked_on=item.booked_on,
        amount=Decimal(item.amount),
        counter_account=number,
        counter_bank=bank,
        counter_name=item.counterparty,
        variable_symbol=item.variable_symbol,
        message=item.message,
    )


class TestFio(PluginContract):
    plugin = Fio
    bank = FioInProcess

    def settings(self, bank: PretendBank) -> Mapping[str, str]:
        """Also the token that payment orders need."""
        return {**super().settings(bank), "orders_token": bank.secret}

    exempt = {
        "refused-midway": "Fio refuses a token with 500 and nothing else. After it has answered the same "
        "token, that is a fault of the bank: the sync is tried again, and then the first answer tells.",
    }
