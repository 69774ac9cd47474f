"""The plugin of Stripe: the movements on its balance, and payouts as reports of what they are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kvit.plugin import (
    Context,
    Delivery,
    Event,
    Identity,
    Item,
    Plugin,
    RecordError,
    Secret,
    Temporary,
    Webhook,
    field,
)
from kvit.plugins.stripe import movements, payouts
from kvit.plugins.stripe.client import KEY, Owner, StripeClient
from kvit.plugins.stripe.cursor import Cursor
from kvit.plugins.stripe.movements import Balance
from kvit.plugins.stripe.signature import event_of

BALANCE_PATH: Final = "/v1/balance"

_TEST: Final = " test"
"""Behind the names of what is made of test data: the same Stripe account has both."""
_REPORTS_ZONE: Final = "UTC"
"""The zone of Stripe's own reports, for an owner whose zone is not told."""


@dataclass(frozen=True, kw_only=True)
class StripeConfig:
    api_key: Secret = field(
        "Restricted key",
        help="Stripe → Developers → API keys → Create restricted key. It begins with rk_live_.",
        pattern=KEY,
    )
    webhook_secret: Secret = field(
        "Signing secret of the webhook",
        help="Only where Stripe tells Kvit about news by a webhook. It begins with whsec_.",
        default=Secret(""),
        pattern=r"whsec_[0-9A-Za-z+/=_-]+",
    )
    payer_account: str = field(
        "Account that Stripe pays from",
        help="As your bank writes it beside a payout of Stripe, mostly an IBAN. Kvit then finds the payment "
        "of a payout by this account, the sum and the day.",
        default="",
    )
    metadata_field: str = field(
        "Metadata with the invoice number",
        help="The name of the metadata of a payment that holds the number or the variable symbol of the "
        "invoice. Leave it empty for usual names such as order_id, variable_symbol and invoice_number.",
        default="",
    )
    keep_balance: bool = field(
        "Keep the Stripe balance as an account",
        help="Off, Kvit reads what each payout is made of, and that settles the invoices. On, it also keeps "
        "every movement on the balance; sums over all accounts then count a sale twice, at Stripe and when "
        "it is paid out to your bank.",
        default=False,
    )
    days_back: int = field(
        "Days of history to read",
        help="A larger number entered later makes the next sync read the older movements too.",
        default=90,
        min=1,
        max=3660,
    )
    base_url: str = field("Address of the API", default="https://api.stripe.com")


class Stripe(Webhook, Plugin[StripeConfig]):
    name, title, version, Config = "stripe", "Stripe", "1.0", StripeConfig
    description = "Card payments by Stripe: its balance, and what each payout to your bank is made of."
    hosts = ("api.stripe.com",)
    guide = (
        "Sign in to Stripe, switch off test data and open Developers → API keys.",
        "Click “Create restricted key” and call it Kvit.",
        (
            "Set these rights to “Read” and leave the others at “None”: Balance, Balance transaction "
            "sources, Charges and Refunds, Disputes, Payouts, and under Connect: Accounts."
        ),
        "Create the key, copy it whole and paste it here. Stripe shows it once.",
        (
            "Leave payouts automatic in Settings → Payouts: of a payout made by hand Stripe does not say "
            "what it is made of."
        ),
        (
            "If Kvit is to hear of payments at once, add the webhook address that the connection shows to "
            "Developers → Webhooks, with the events charge, refund and payout, and enter its signing "
            "secret here."
        ),
    )

    def check(self) -> Identity:
        client = self._client()
        owner = client.owner()
        client.get(BALANCE_PATH)
        client.get(movements.PATH, {"limit": "1", **payouts.EXPANDED})
        client.get(payouts.PATH, {"limit": "1"})
        return Identity(key=owner.id + self._mode, label=owner.name + self._mode)

    def sync(self, ctx: Context) -> Iterator[Item]:
        """Read the balance from the last sync on, with an overlap, and then the payouts.

        See `cursor.Cursor` for what is remembered.
        """
        client = self._client()
        owner = client.owner()
        cursor = Cursor.of(ctx.cursor).wishing(
            movements.midnight(ctx.today - timedelta(self.config.days_back))
        )
        cursor = replace(cursor, zone=cursor.zone or _zone(owner.zone).key)
        if self.config.keep_balance:
            balance = self._balance(client, owner, ZoneInfo(cursor.zone))
            yield from balance.accounts()
            cursor = yield from movements.read(client, balance, cursor, ctx.today)
        wishes = payouts.Wishes(self.config.metadata_field, self.config.payer_account)
        yield from payouts.read(client, wishes, cursor, ctx)

    def event(self, delivery: Delivery) -> Event:
        return event_of(delivery, self.config.webhook_secret, is_live=self._is_live)

    def _client(self) -> StripeClient:
        return StripeClient(self.http, base_url=self.config.base_url, api_key=self.config.api_key)

    @property
    def _is_live(self) -> bool:
        return "_live_" in self.config.api_key.reveal()

    @property
    def _mode(self) -> str:
        return "" if self._is_live else _TEST

    def _balance(self, client: StripeClient, owner: Owner, zone: ZoneInfo) -> Balance:
        try:
            return Balance.of(client.get(BALANCE_PATH), owner=owner.id + self._mode, zone=zone)
        except RecordError as error:
            raise Temporary(
                "Stripe told a balance that cannot be read: {reason}", reason=str(error)
            ) from None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo(_REPORTS_ZONE)
