"""The bank of the reference plugin, and the contract between the two."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import date

import httpx

from kvit.plugin import Delivery
from kvit.testing import Movement, PluginContract, PretendAccount, PretendBank, utc
from tests.testing.buk import Buk
from tests.testing.buk_orders import SIGNED, BukOrders


class BukBank(PretendBank):
    """Lists oldest first by day, in pages with a number; `order=newest` turns it round."""

    accounts: Sequence[PretendAccount] = (
        PretendAccount(id="1", iban="CZ6508000000192000145399", name="Eva Nová", currency="CZK"),
        PretendAccount(id="2", iban="CZ4120100000002600170205", name="Eva Nová, euro", currency="EUR"),
    )
    page_size = 8
    tells_pending = True
    dates_ahead = True

    def answer(self, request: httpx.Request) -> httpx.Response:
        if not self.carries(request):
            return self.refused(request)
        asked = request.url.params
        if request.url.path == "/accounts":
            return _json({"accounts": [self._account(each.id) for each in self.accounts]})
        since = date.fromisoformat(asked.get("since", "0001-01-01"))
        rows = self.listed(
            account=asked.get("account", ""), since=since, newest_first=asked.get("order") == "newest"
        )
        number = int(asked["page"])
        found, more = self.page(rows, number)
        return _json({"movements": [_record(item) for item in found], "next": number + 1 if more else None})

    def _account(self, id: str) -> dict[str, str]:
        found = next(each for each in self.accounts if each.id == id)
        return {"id": found.id, "iban": found.iban, "name": found.name, "currency": found.currency}


def _record(item: Movement) -> dict[str, str]:
    return {
        "id": item.id,
        "amount": str(item.amount),
        "currency": item.currency,
        "booked_at": utc(item),
        "value_on": item.value_on.isoformat(),
        "counterparty": item.counterparty,
        "account": item.counterparty_account,
        "vs": item.variable_symbol,
        "message": item.message,
        "status": "pending" if item.pending else "booked",
    }


def _json(value: object) -> httpx.Response:
    return httpx.Response(
        200,
        headers={"Content-Type": "application/json"},
        content=json.dumps(value, ensure_ascii=False).encode(),
    )


class BukContract(PluginContract):
    plugin = Buk
    bank = BukBank


class BukOrdersContract(BukContract):
    plugin = BukOrders

    def delivery(self, bank: PretendBank) -> Delivery:
        body = json.dumps({"id": "m-1", "at": 1775123456}).encode()
        signature = hmac.new(bank.secret.encode(), body, hashlib.sha256).hexdigest()
        return Delivery(headers={SIGNED: signature}, body=body)
