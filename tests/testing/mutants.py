"""The reference plugin with one planted bug each, and the rule that must find it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from time import sleep
from typing import Any, Final

from kvit.plugin import (
    Account,
    AuthExpired,
    Checkpoint,
    Context,
    Identity,
    Item,
    Payout,
    PayoutLine,
    PluginError,
    RateLimited,
    Secret,
    Temporary,
    Transaction,
    field,
)
from tests.testing.buk import OVERLAP, Buk, BukConfig, local_day

DAY: Final = timedelta(days=1)


class TiesOnTheCursor(Buk):
    """The next sync asks for what is strictly later than the newest movement."""

    def records(self, account: str, since: date) -> Iterator[Mapping[str, Any]]:
        after = since + OVERLAP
        return (each for each in super().records(account, since) if local_day(each["booked_at"]) > after)


class NoOverlap(Buk):
    """The next sync begins with the very moment of the newest movement, and what comes earlier is lost."""

    def sync(self, ctx: Context) -> Iterator[Item]:
        newest = str(ctx.cursor.get("moment", ""))
        for item in super().sync(ctx):
            if isinstance(item, Transaction):
                moment = str(item.raw["booked_at"])
                if moment < str(ctx.cursor.get("moment", "")):
                    continue
                newest = max(newest, moment)
            yield Checkpoint({"moment": newest}) if isinstance(item, Checkpoint) else item


class CheckpointBeforeItsRecords(Buk):
    """A page's checkpoint is yielded before the page."""

    def sync(self, ctx: Context) -> Iterator[Item]:
        page: list[Item] = []
        for item in super().sync(ctx):
            page.append(item)
            if isinstance(item, Transaction) and len(page) >= 8:
                yield from self.turned_round(page)
                page = []
        yield from page

    def turned_round(self, page: list[Item]) -> Iterator[Item]:
        newest = max(str(item.booked_on) for item in page if isinstance(item, Transaction))
        yield from (item for item in page if isinstance(item, Account))
        yield Checkpoint({"booked_on": newest})
        yield from (item for item in page if not isinstance(item, Account))


class NewestFirstCursor(Buk):
    """Pages come newest first, and the first page's newest day is the cursor from then on."""

    def sync(self, ctx: Context) -> Iterator[Item]:
        newest = ""
        for item in super().sync(ctx):
            yield item
            if isinstance(item, Transaction):
                newest = max(newest, str(item.booked_on))
                yield Checkpoint({"booked_on": newest})

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        return super().get(path, {**params, "order": "newest"} if params else None)


class CursorOfTheLastRow(Buk):
    """Later syncs come newest first, and their last row, the oldest one, becomes the cursor."""

    def sync(self, ctx: Context) -> Iterator[Item]:
        last = ""
        for item in super().sync(ctx):
            if isinstance(item, Transaction):
                last = max(last, str(item.booked_on)) if not ctx.cursor else str(item.booked_on)
            yield Checkpoint({"booked_on": last}) if isinstance(item, Checkpoint) else item

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        return super().get(path, {**params, "order": "newest"} if params else None)


class OneCursorForAllAccounts(Buk):
    """The newest day of the first account is the cursor of the second as well."""

    def sync(self, ctx: Context) -> Iterator[Item]:
        newest = ""
        for item in super().sync(ctx):
            if isinstance(item, Account) and newest:
                yield Checkpoint({"booked_on": newest})
            if isinstance(item, Transaction):
                newest = max(newest, str(item.booked_on))
            yield item


class CountsRows(Buk):
    """The next sync begins with the row behind as many as there were."""

    def sync(self, ctx: Context) -> Iterator[Item]:
        counts: dict[str, Any] = dict(ctx.cursor)
        for account in self.get("/accounts")["accounts"]:
            iban = account["iban"]
            yield Account(external_id=iban, name=account["name"], currency=account["currency"])
            page: int | None = int(counts.get(iban, 0)) // 8 + 1
            while page is not None:
                answer = self.get("/movements", {"account": account["id"], "page": str(page)})
                yield from (self.transaction(iban, record) for record in answer["movements"])
                counts[iban] = (page - 1) * 8 + len(answer["movements"])
                page = answer["next"]
        yield Checkpoint(counts)


class UnstableIds(Buk):
    """Ids are counted up as long as the process lives."""

    counter = itertools.count(1)

    def transaction(self, account_id: str, record: Mapping[str, Any]) -> Transaction:
        return super().transaction(account_id, {**record, "id": f"buk-{next(self.counter)}"})


class IdsByPlace(Buk):
    """An id is the row's place on its page."""

    def records(self, account: str, since: date) -> Iterator[Mapping[str, Any]]:
        for place, record in enumerate(super().records(account, since)):
            yield {**record, "id": f"{account}-{place}"}


class IdsOfFacts(Buk):
    """Two movements that say the same are told under one id."""

    def transaction(self, account_id: str, record: Mapping[str, Any]) -> Transaction:
        return super().transaction(account_id, {**record, "id": f"{record['booked_at']}{record['amount']}"})


class SwallowedRefusal(Buk):
    """A refused page is taken for the last one."""

    def records(self, account: str, since: date) -> Iterator[Mapping[str, Any]]:
        try:
            yield from super().records(account, since)
        except AuthExpired:
            return


class SwallowedThrottling(Buk):
    """A page that was not given because of a limit is taken for the last one."""

    def records(self, account: str, since: date) -> Iterator[Mapping[str, Any]]:
        try:
            yield from super().records(account, since)
        except RateLimited:
            return


class EndlessRetry(Buk):
    """It asks again as long as it is told to slow down."""

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        while True:
            try:
                return super().get(path, params)
            except PluginError as error:
                if isinstance(error, AuthExpired):
                    raise


class SwallowedDamage(Buk):
    """An answer that is none is taken for an empty one."""

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        try:
            return super().get(path, params)
        except Temporary:
            return {"accounts": [], "movements": [], "next": None}


class SecretInAnError(Buk):
    """An error names the token."""

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        try:
            return super().get(path, params)
        except AuthExpired:
            token = self.config.token.reveal()
            raise AuthExpired("Buk banka refuses the token {token}.", token=token) from None


class SecretInTheLog(Buk):
    """The run's log tells the whole request."""

    def sync(self, ctx: Context) -> Iterator[Item]:
        ctx.log(f"GET /accounts with {self.config.token.reveal()}")
        yield from super().sync(ctx)


class SecretInTheRecord(Buk):
    """The source's record is kept with the request that asked for it."""

    def transaction(self, account_id: str, record: Mapping[str, Any]) -> Transaction:
        return super().transaction(account_id, {**record, "token": self.config.token.reveal()})


class SecretInTheCursor(Buk):
    """The cursor says whose it is by the token."""

    def sync(self, ctx: Context) -> Iterator[Item]:
        for item in super().sync(ctx):
            if isinstance(item, Checkpoint):
                yield Checkpoint({**item.cursor, "of": self.config.token.reveal()})
            else:
                yield item


class FloatAmounts(Buk):
    """Amounts go through a float."""

    def transaction(self, account_id: str, record: Mapping[str, Any]) -> Transaction:
        return super().transaction(account_id, {**record, "amount": float(record["amount"])})


class HundredthsByFloat(Buk):
    """Amounts are made hundredths by a float and cut off."""

    def transaction(self, account_id: str, record: Mapping[str, Any]) -> Transaction:
        hundredths = int(float(record["amount"]) * 100)
        amount = f"{'-' if hundredths < 0 else ''}{abs(hundredths) // 100}.{abs(hundredths) % 100:02}"
        return super().transaction(account_id, {**record, "amount": amount})


class PayoutOfAnotherSum(Buk):
    """A payout forgets what the source kept."""

    net: Decimal | float = Decimal("1000.00")

    def sync(self, ctx: Context) -> Iterator[Item]:
        line = PayoutLine(reference="2026001", gross="1000.00", fee="12.10")
        yield Payout(
            external_id="p-1",
            paid_on=ctx.today,
            currency="CZK",
            net=self.net,  # type: ignore[arg-type]  # a float is the bug of the mutant below
            lines=(line,),
        )
        yield from super().sync(ctx)


class PayoutInFloats(PayoutOfAnotherSum):
    """The sum of a payout is a float."""

    net = 1000.00 - 12.10


class LostSign(Buk):
    """What was paid out comes in."""

    def transaction(self, account_id: str, record: Mapping[str, Any]) -> Transaction:
        return super().transaction(account_id, {**record, "amount": record["amount"].lstrip("-")})


class UnknownCurrency(Buk):
    """The currency is written as people write it."""

    def transaction(self, account_id: str, record: Mapping[str, Any]) -> Transaction:
        return super().transaction(account_id, {**record, "currency": "Kč"})


class MadeUpId(Buk):
    """A record without an id is given the text of nothing."""

    def transaction(self, account_id: str, record: Mapping[str, Any]) -> Transaction:
        return super().transaction(account_id, {**record, "id": record["id"] or str(None)})


class NumberedBlankIds(Buk):
    """A record without an id is named by its place in the answer."""

    def records(self, account: str, since: date) -> Iterator[Mapping[str, Any]]:
        for place, record in enumerate(super().records(account, since)):
            yield {**record, "id": record["id"] or f"unnamed-{place}"}


class MachinesDay(Buk):
    """The day is that of the machine's time zone."""

    def transaction(self, account_id: str, record: Mapping[str, Any]) -> Transaction:
        day = datetime.fromisoformat(record["booked_at"]).astimezone().date()
        return replace(super().transaction(account_id, record), booked_on=day)


class DayInUtc(Buk):
    """The day is cut out of the moment in UTC."""

    def transaction(self, account_id: str, record: Mapping[str, Any]) -> Transaction:
        return replace(super().transaction(account_id, record), booked_on=record["booked_at"][:10])


class AccountAfterItsMovements(Buk):
    """The account is told at the end, when its name is known."""

    def sync(self, ctx: Context) -> Iterator[Item]:
        accounts: list[Item] = []
        for item in super().sync(ctx):
            if isinstance(item, Account):
                accounts.append(item)
                continue
            if isinstance(item, Checkpoint):
                yield from accounts
            yield item


class FirstPageOnly(Buk):
    """Nobody asks for the second page."""

    def records(self, account: str, since: date) -> Iterator[Mapping[str, Any]]:
        params = {"account": account, "since": since.isoformat(), "page": "1"}
        yield from self.get("/movements", params)["movements"]


class SleepsAtEveryPage(Buk):
    """It waits between two requests by itself."""

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        sleep(1)
        return super().get(path, params)


class SleepsThroughThrottling(Buk):
    """It waits as long as it is told to, and asks again."""

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        for _ in range(3):
            try:
                return super().get(path, params)
            except RateLimited:
                time.sleep(60)
        return super().get(path, params)


class YieldsWhenClosed(Buk):
    """It saves its place when it is closed, where nothing can be yielded any more."""

    def sync(self, ctx: Context) -> Iterator[Item]:
        try:
            yield from super().sync(ctx)
        finally:
            yield Checkpoint(ctx.cursor)


class CatchesEverything(Buk):
    """Whatever happens while a page is read, it goes on with the next account."""

    def records(self, account: str, since: date) -> Iterator[Mapping[str, Any]]:
        try:
            yield from super().records(account, since)
        except Exception:  # noqa: BLE001  # the planted bug
            return


class EveryIdInTheCursor(Buk):
    """The cursor remembers every id that was ever read."""

    def sync(self, ctx: Context) -> Iterator[Item]:
        ids: list[str] = []
        for item in super().sync(ctx):
            if isinstance(item, Transaction):
                ids.append(item.external_id * 3)
            yield Checkpoint({**item.cursor, "ids": ids}) if isinstance(item, Checkpoint) else item


class DayInTheCursor(Buk):
    """The cursor holds a date, which JSON has none of."""

    def sync(self, ctx: Context) -> Iterator[Item]:
        for item in super().sync(ctx):
            if isinstance(item, Checkpoint):
                yield Checkpoint({"booked_on": str(item.cursor["booked_on"]), "on": ctx.today})  # type: ignore[dict-item]  # the planted bug
            else:
                yield item


class NewestOfNothing(Buk):
    """A source without movements has no newest one."""

    def records(self, account: str, since: date) -> Iterator[Mapping[str, Any]]:
        found = list(super().records(account, since))
        max(each["booked_at"] for each in found)
        yield from found


class NumberForASymbol(Buk):
    """A variable symbol loses its leading zeros."""

    def transaction(self, account_id: str, record: Mapping[str, Any]) -> Transaction:
        return super().transaction(account_id, {**record, "vs": record["vs"].lstrip("0")})


class WrongEncoding(Buk):
    """Names are read in the encoding of another decade."""

    def transaction(self, account_id: str, record: Mapping[str, Any]) -> Transaction:
        name = record["counterparty"].encode().decode("cp1250", "replace")
        return super().transaction(account_id, {**record, "counterparty": name})


class UndeclaredHost(Buk):
    """It asks a host that it does not declare."""

    hosts = ("api.elsewhere.example",)


class AList(Buk):
    """Everything is fetched before the first item is given."""

    def sync(self, ctx: Context) -> Iterator[Item]:
        return iter(list(super().sync(ctx)))


class PendingAsBooked(Buk):
    """What is only announced counts as money."""

    def transaction(self, account_id: str, record: Mapping[str, Any]) -> Transaction:
        return super().transaction(account_id, {**record, "status": "booked"})


class CheckBelievesItself(Buk):
    """The check asks nobody."""

    def check(self) -> Identity:
        return Identity(key="buk", label="Buk banka")


class CheckOfNoAccount(Buk):
    """The account is known by when it was looked at."""

    def check(self) -> Identity:
        super().check()
        return Identity(key=str(time.perf_counter_ns()), label="Buk banka")


class CheckBlamesTheNetwork(Buk):
    """A source that is away is taken for a wrong token."""

    def check(self) -> Identity:
        try:
            return super().check()
        except Temporary:
            raise AuthExpired from None


class Unexplained(Buk):
    """It does not say what it is."""

    description = ""


class NoSchedule(Buk):
    """It is synced on no day that there is."""

    schedule = "99 * * * *"


@dataclass(frozen=True, kw_only=True)
class _PublishedToken(BukConfig):
    token: Secret = field("API token", help="Buk banka → Settings → API", default=Secret("buk-demo-token"))


class SecretByDefault(Buk):
    """A credential is published with the plugin."""

    Config = _PublishedToken


@dataclass(frozen=True, kw_only=True)
class _WrongDefault(BukConfig):
    side: str = field("Environment", default="test", choices=("live", "sandbox"))


class DefaultOutsideItsChoices(Buk):
    """The form cannot be sent as it is shown."""

    Config = _WrongDefault


class LargestIdAsText(Buk):
    """It passes over ids that are not larger than the last one, as texts: "10" comes before "9"."""

    def sync(self, ctx: Context) -> Iterator[Item]:
        before = newest = str(ctx.cursor.get("id", ""))
        for item in super().sync(ctx):
            if isinstance(item, Transaction):
                if item.external_id <= before:
                    continue
                newest = max(newest, item.external_id)
            yield Checkpoint({"id": newest}) if isinstance(item, Checkpoint) else item


class CursorOfTheFuture(Buk):
    """A movement dated into the future carries the cursor past those of today."""

    def sync(self, ctx: Context) -> Iterator[Item]:
        newest = str(ctx.cursor.get("booked_on", ""))
        for item in super().sync(ctx):
            if isinstance(item, Transaction):
                newest = max(newest, str(item.booked_on))
            yield Checkpoint({"booked_on": newest}) if isinstance(item, Checkpoint) else item


class CursorOfTheClock(Buk):
    """The cursor is the day of the machine's clock."""

    def sync(self, ctx: Context) -> Iterator[Item]:
        for item in super().sync(ctx):
            is_cursor = isinstance(item, Checkpoint)
            yield Checkpoint({"booked_on": date.today().isoformat()}) if is_cursor else item  # noqa: DTZ011  # the planted bug


class StopsAtTheFirstShortPage(Buk):
    """A page that holds less than others is taken for the last one."""

    def records(self, account: str, since: date) -> Iterator[Mapping[str, Any]]:
        for page in itertools.count(1):
            params = {"account": account, "since": since.isoformat(), "page": str(page)}
            found = self.get("/movements", params)["movements"]
            yield from found
            if len(found) < 8:
                return


class DecimalOfAFloat(Buk):
    """An amount has all the digits that a float has."""

    def transaction(self, account_id: str, record: Mapping[str, Any]) -> Transaction:
        amount = Decimal(float(record["amount"]))
        return super().transaction(account_id, {**record, "amount": amount})


class GuessedCurrency(Buk):
    """Everybody has crowns."""

    def sync(self, ctx: Context) -> Iterator[Item]:
        for item in super().sync(ctx):
            yield replace(item, currency="CZK") if isinstance(item, (Account, Transaction)) else item


class OncePerDayAndAmount(Buk):
    """Of two movements with one amount on one day, the second is taken for the first."""

    def sync(self, ctx: Context) -> Iterator[Item]:
        seen = set()
        for item in super().sync(ctx):
            if isinstance(item, Transaction):
                facts = (item.account_id, item.amount, item.booked_on)
                if facts in seen:
                    continue
                seen.add(facts)
            yield item


class DayOfInterest(Buk):
    """The day is the one from which the movement bears interest."""

    def transaction(self, account_id: str, record: Mapping[str, Any]) -> Transaction:
        return replace(super().transaction(account_id, record), booked_on=record["value_on"])


class ForgottenSymbol(Buk):
    """Nobody reads the variable symbol."""

    def transaction(self, account_id: str, record: Mapping[str, Any]) -> Transaction:
        return super().transaction(account_id, {**record, "vs": ""})


class DroppedWithoutAnId(Buk):
    """A record without an id is dropped without a word."""

    def records(self, account: str, since: date) -> Iterator[Mapping[str, Any]]:
        return (each for each in super().records(account, since) if each["id"])


class DroppedWithItsPage(Buk):
    """What follows a broken record on its page is dropped with it."""

    def records(self, account: str, since: date) -> Iterator[Mapping[str, Any]]:
        page: int | None = 1
        while page is not None:
            params = {"account": account, "since": since.isoformat(), "page": str(page)}
            answer = self.get("/movements", params)
            yield from itertools.takewhile(lambda each: each["id"], answer["movements"])
            page = answer["next"]


class PageForARepeatedId(Buk):
    """An id that was there before is told with the number of its page."""

    def records(self, account: str, since: date) -> Iterator[Mapping[str, Any]]:
        seen = set()
        for place, record in enumerate(super().records(account, since)):
            repeated = f"{record['id']}-{place // 8}" if record["id"] in seen else record["id"]
            seen.add(record["id"])
            yield {**record, "id": repeated}


class IdsOfThisProcess(Buk):
    """An id is Python's hash of a text, which is another one after a restart."""

    def transaction(self, account_id: str, record: Mapping[str, Any]) -> Transaction:
        return super().transaction(account_id, {**record, "id": f"{hash(record['id'])}"})


CAUGHT_BY: Final = {
    LargestIdAsText: "late-arrivals",
    CursorOfTheFuture: "late-arrivals",
    CursorOfTheClock: "late-arrivals",
    StopsAtTheFirstShortPage: "every-movement",
    DecimalOfAFloat: "exact-values",
    GuessedCurrency: "every-movement",
    OncePerDayAndAmount: "every-movement",
    DayOfInterest: "local-dates",
    ForgottenSymbol: "whole-texts",
    DroppedWithoutAnId: "blank-ids",
    DroppedWithItsPage: "blank-ids",
    PageForARepeatedId: "overlapping-pages",
    IdsOfThisProcess: "same-ids",
    OneCursorForAllAccounts: "resume",
    CountsRows: "inserted-while-paging",
    DefaultOutsideItsChoices: "form",
    TiesOnTheCursor: "late-arrivals",
    NoOverlap: "late-arrivals",
    CheckpointBeforeItsRecords: "resume",
    NewestFirstCursor: "resume",
    CursorOfTheLastRow: "second-sync",
    UnstableIds: "same-ids",
    IdsByPlace: "overlapping-pages",
    IdsOfFacts: "every-movement",
    SwallowedRefusal: "refused-midway",
    SwallowedThrottling: "throttled",
    EndlessRetry: "throttled",
    SwallowedDamage: "broken-answers",
    SecretInAnError: "secrets",
    SecretInTheLog: "secrets",
    SecretInTheRecord: "secrets",
    SecretInTheCursor: "secrets",
    PayoutOfAnotherSum: "exact-values",
    PayoutInFloats: "exact-values",
    FloatAmounts: "exact-values",
    HundredthsByFloat: "exact-amounts",
    LostSign: "exact-amounts",
    UnknownCurrency: "exact-values",
    MadeUpId: "blank-ids",
    NumberedBlankIds: "blank-ids",
    MachinesDay: "local-dates",
    DayInUtc: "local-dates",
    AccountAfterItsMovements: "accounts-first",
    FirstPageOnly: "every-movement",
    SleepsAtEveryPage: "no-pauses",
    SleepsThroughThrottling: "no-pauses",
    YieldsWhenClosed: "cancel",
    CatchesEverything: "cancel",
    EveryIdInTheCursor: "small-cursor",
    DayInTheCursor: "small-cursor",
    NewestOfNothing: "empty",
    NumberForASymbol: "whole-texts",
    WrongEncoding: "whole-texts",
    UndeclaredHost: "hosts",
    AList: "lazy",
    PendingAsBooked: "pending",
    CheckBelievesItself: "check-refused",
    CheckOfNoAccount: "check",
    CheckBlamesTheNetwork: "check-unanswered",
    Unexplained: "described",
    NoSchedule: "sound",
    SecretByDefault: "secret-defaults",
}
"""Every planted bug, and the rule that names it; other rules may find it too."""
