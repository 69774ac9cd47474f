"""The demo bank's plugin keeps the contract of plugins."""

from __future__ import annotations

import json
from datetime import date

import httpx

from kvit.plugins.demo_bank import DemoBank
from kvit.testing import Movement, PluginContract, PretendAccount, PretendBank


class DemoBankInProcess(PretendBank):
    """Answers as `kvit.plugins.demo_bank.server` does, for two accounts."""

    dates_ahead = True
    accounts = (
        PretendAccount(id="1", iban="CZ6508000000192000145399", name="Running account", currency="CZK"),
        PretendAccount(id="2", iban="CZ4120100000002600170205", name="Euro account", currency="EUR"),
    )

    def answer(self, request: httpx.Request) -> httpx.Response:
        if not self.carries(request):
            return self.refused(request)
        match request.url.path.strip("/").split("/"):
            case ["accounts"]:
                return _json({"accounts": [_described(each) for each in self.accounts]})
            case ["accounts", account_id, "transactions"]:
                rows = self.listed(account=account_id, since=date.fromisoformat(request.url.params["since"]))
                number = int(request.url.params["page"])
                found, more = self.page(rows, number)
                return _json(
                    {
                        "transactions": [_record(item) for item in found],
                        "next_page": number + 1 if more else None,
                    }
                )
        return httpx.Response(404, json={"error": "Not Found"})


def _described(account: PretendAccount) -> dict[str, str]:
    return {
        "id": account.id,
        "iban": account.iban,
        "name": account.name,
        "currency": account.currency,
    }


def _record(item: Movement) -> dict[str, str]:
    return {
        "id": item.id,
        "amount": str(item.amount),
        "currency": item.currency,
        "booked_on": item.booked_on.isoformat(),
        "counterparty": item.counterparty,
        "account": item.counterparty_account,
        "vs": item.variable_symbol,
        "message": item.message,
    }


def _json(value: object) -> httpx.Response:
    return httpx.Response(200, content=json.dumps(value, ensure_ascii=False).encode())


class TestDemoBank(PluginContract):
    plugin = DemoBank
    bank = DemoBankInProcess
