"""A correct plugin for a bank that does not exist: what the mutants are bred from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from kvit.plugin import (
    Account,
    Bearer,
    Checkpoint,
    Context,
    Identity,
    Item,
    Plugin,
    Secret,
    Temporary,
    Transaction,
    field,
)

PRAGUE = ZoneInfo("Europe/Prague")
OVERLAP = timedelta(days=5)


@dataclass(frozen=True, kw_only=True)
class BukConfig:
    token: Secret = field("API token", help="Buk banka → Settings → API")


class Buk(Plugin[BukConfig]):
    name, title, version, Config = "buk", "Buk banka", "1.0", BukConfig
    description = "Movements on accounts at a bank that does not exist."
    hosts = ("api.buk.example",)

    def check(self) -> Identity:
        account = self.get("/accounts")["accounts"][0]
        return Identity(key=account["iban"], label=account["name"])

    def sync(self, ctx: Context) -> Iterator[Item]:
        newest = date.fromisoformat(str(ctx.cursor.get("booked_on", "2000-01-01")))
        since = newest - OVERLAP
        for account in self.get("/accounts")["accounts"]:
            iban = account["iban"]
            yield Account(external_id=iban, name=account["name"], currency=account["currency"], number=iban)
            for record in self.records(account["id"], since):
                item = self.transaction(iban, record)
                newest = max(newest, min(local_day(record["booked_at"]), ctx.today))
                yield item
        yield Checkpoint({"booked_on": newest.isoformat()})

    def records(self, account: str, since: date) -> Iterator[Mapping[str, Any]]:
        page: int | None = 1
        while page is not None:
            answer = self.get(
                "/movements", {"account": account, "since": since.isoformat(), "page": str(page)}
            )
            yield from answer["movements"]
            page = answer["next"]

    def transaction(self, account_id: str, record: Mapping[str, Any]) -> Transaction:
        return Transaction(
            external_id=record["id"],
            account_id=account_id,
            amount=record["amount"],
            currency=record["currency"],
            booked_on=local_day(record["booked_at"]),
            counterparty_name=record["counterparty"],
            counterparty_account=record["account"],
            variable_symbol=record["vs"],
            message=record["message"],
            status=record["status"],
            raw=record,
        )

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        response = self.http.get(
            f"https://api.buk.example{path}", params=params, auth=Bearer(self.config.token)
        )
        return told(response)


def told(response: httpx.Response) -> Mapping[str, Any]:
    try:
        return dict(response.json())
    except (ValueError, TypeError):
        raise Temporary("The answer of the bank was damaged.") from None


def local_day(moment: str) -> date:
    return datetime.fromisoformat(moment).astimezone(PRAGUE).date()
