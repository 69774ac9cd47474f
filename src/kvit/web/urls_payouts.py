"""The URLs of payouts of gateways."""

from __future__ import annotations

from django.urls import URLPattern, path

from kvit.web.views import payouts

urlpatterns: list[URLPattern] = [
    path("payouts/", payouts.listing, name="payouts"),
    path("payouts/new/", payouts.new, name="payout-new"),
    path("payouts/<int:pk>/", payouts.detail, name="payout"),
    path("payouts/<int:pk>/application/", payouts.application, name="payout-application"),
    path("payouts/<int:pk>/undo/", payouts.undo, name="payout-undo"),
]
