"""The URLs that sources lead or send to: people who come back from them, and their messages."""

from __future__ import annotations

from django.urls import path

from kvit.web.views import consents, webhooks

urlpatterns = [
    path("consents/return/", consents.returned, name="consent-return"),
    path("consents/refused/", consents.refused, name="consent-refused"),
    path("webhooks/<uuid:uid>/", webhooks.message, name="webhook"),
]
