"""The Stripe plugin keeps the contract of plugins."""

from __future__ import annotations

from collections.abc import Mapping

from kvit.plugin import Delivery
from kvit.plugins.stripe import Stripe
from kvit.testing import PluginContract, PretendBank
from tests.plugins.stripe.stripe_bank import WEBHOOK_SECRET, StripeBank, message, signed


class TestStripe(PluginContract):
    plugin = Stripe
    bank = StripeBank

    def settings(self, bank: PretendBank) -> Mapping[str, str]:
        """Also the movements on the balance, and messages."""
        return {**super().settings(bank), "keep_balance": "true", "webhook_secret": WEBHOOK_SECRET}

    def delivery(self, bank: PretendBank) -> Delivery:
        body = message("payout.paid")
        return Delivery(headers={"stripe-signature": signed(body, bank.now, WEBHOOK_SECRET)}, body=body)
