"""The demo bank's plugin: an example to copy when adding a bank. The bank itself is `server`, next to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from kvit.plugin import (
    Account,
    Bearer,
    Checkpoint,
    Context,
    Identity,
    Item,
    Misconfigured,
    Plugin,
    Secret,
    Temporary,
    Transaction,
    field,
)

OVERLAP: Final = timedelta(days=7)
"""Banks book late; what is read again is stored once."""


@dataclass(frozen=True, kw_only=True)
class DemoBankConfig:
    base_url: str = field("Address", help="Where the demo bank runs, for example http://127.0.0.1:8001")
    api_token: Secret = field("API token", help="The demo bank prints it on its start page.")


class DemoBank(Plugin[DemoBankConfig]):
    name, title, version, Config = "demo_bank", "Demo bank", "1.0", DemoBankConfig
    description = "A pretend bank on this computer, for trying Kvit out."

    def check(self) -> Identity:
        accounts = self._get("/accounts")["accounts"]
        if not accounts:
            raise Misconfigured("The demo bank has no account.", field="base_url")
        return Identity(key=accounts[0]["iban"], label=accounts[0]["name"])

    def sync(self, ctx: Context) -> Iterator[Item]:
        since = date.fromisoformat(str(ctx.cursor.get("booked_on", "2000-01-01"))) - OVERLAP
        newest = since + OVERLAP
        for account in self._get("/accounts")["accounts"]:
            iban = account["iban"]
            yield Account(external_id=iban, name=account["name"], currency=account["currency"], number=iban)
            for record in self._records(account["id"], since):
                newest = max(newest, min(date.fromisoformat(record["booked_on"]), ctx.today))
                yield _transaction(iban, record)
        yield Checkpoint({"booked_on": newest.isoformat()})

    def _records(self, account_id: str, since: date) -> Iterator[Mapping[str, Any]]:
        """Yield the records booked on `since` or later, page by page."""
        page: int | None = 1
        while page is not None:
            params = {"since": since.isoformat(), "page": str(page)}
            answer = self._get(f"/accounts/{account_id}/transactions", params)
            yield from answer["transactions"]
            page = answer["next_page"]

    def _get(self, path: str, params: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        url = self.config.base_url.rstrip("/") + path
        response = self.http.get(url, params=params, auth=Bearer(self.config.api_token))
        try:
            return dict(response.json())
        except (ValueError, TypeError):
            raise Temporary("The demo bank did not answer with a JSON object.") from None


def _transaction(account_id: str, record: Mapping[str, Any]) -> Transaction:
    return Transaction(
        external_id=record["id"],
        account_id=account_id,
        amount=record["amount"],
        currency=record["currency"],
        booked_on=record["booked_on"],
        counterparty_name=record.get("counterparty", ""),
        counterparty_account=record.get("account", ""),
        variable_symbol=record.get("vs", ""),
        constant_symbol=record.get("ks", ""),
        specific_symbol=record.get("ss", ""),
        message=record.get("message", ""),
        raw=record,
    )
