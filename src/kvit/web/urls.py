"""The URLs of the pages: nouns, and POST for what is done to them."""

from __future__ import annotations

from django.urls import path

from kvit.web import urls_consents, urls_imports, urls_matching, urls_money, urls_payments, urls_payouts
from kvit.web.views import connection_pages as pages
from kvit.web.views import connection_wizard as wizard
from kvit.web.views import connections, dashboard, health, runs, signing

urlpatterns = [
    path("", dashboard.dashboard, name="dashboard"),
    path("sign-in/", signing.sign_in, name="sign-in"),
    path("sign-out/", signing.sign_out, name="sign-out"),
    path("profile/", signing.profile, name="profile"),
    path("organization/", signing.organization, name="organization"),
    path("health/", signing.health, name="health"),
    path("health/status/", health.status, name="health-status"),
    path("health/diagnostics/", health.download_diagnostics, name="health-diagnostics"),
    path("plugins/<slug:plugin>/picture.svg", connections.picture, name="plugin-picture"),
    path("plugins/<slug:plugin>/switch/", connections.switch, name="plugin-switch"),
    path("connections/", connections.connections, name="connections"),
    path("connections/new/<slug:plugin>/", wizard.guide, name="connection-add"),
    path("connections/new/<slug:plugin>/credentials/", wizard.credentials, name="connection-try"),
    path("connections/<int:pk>/name/", wizard.name, name="connection-name"),
    path("connections/<int:pk>/", pages.connection, name="connection"),
    path("connections/<int:pk>/history/", pages.history, name="connection-history"),
    path("connections/<int:pk>/settings/", pages.settings, name="connection-settings"),
    path("connections/<int:pk>/schedule/", pages.set_schedule, name="connection-schedule"),
    path("connections/<int:pk>/credentials/", pages.credentials, name="connection-credentials"),
    path("connections/<int:pk>/events/", pages.events, name="connection-events"),
    path("connections/<int:pk>/diagnostics/", pages.download_diagnostics, name="connection-diagnostics"),
    path("connections/<int:pk>/runs/", connections.sync_now, name="run-request"),
    path("connections/<int:pk>/pause/", connections.pause, name="connection-pause"),
    path("connections/<int:pk>/resume/", connections.resume, name="connection-resume"),
    path("runs/<int:pk>/", runs.run, name="run"),
    path("runs/<int:pk>/cancellation/", runs.cancellation, name="run-cancellation"),
    path("runs/<int:pk>/replay/", runs.replay, name="run-replay"),
    path("runs/<int:pk>/reversal/", runs.reversal, name="run-reversal"),
    *urls_consents.urlpatterns,
    *urls_imports.urlpatterns,
    *urls_matching.urlpatterns,
    *urls_money.urlpatterns,
    *urls_payments.urlpatterns,
    *urls_payouts.urlpatterns,
]
