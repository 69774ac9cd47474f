"""Stripe through its API: what happens on its balance, and what each payout is made of."""

from kvit.plugins.stripe.plugin import Stripe, StripeConfig

__all__ = ["Stripe", "StripeConfig"]
