"""The URLs of the pages: nouns, and POST for what is done to them."""

from __future__ import annotations

from django.urls import path

from kvit.web import urls_money
from kvit.web.views import connections, dashboard, runs, signing

urlpatterns = [
    path("", dashboard.dashboard, name="dashboard"),
    path("sign-in/", signing.sign_in, name="sign-in"),
    path("sign-out/", signing.sign_out, name="sign-out"),
    path("profile/", signing.profile, name="profile"),
    path("organization/", signing.organization, name="organization"),
    path("health/", signing.health, name="health"),
    path("connections/", connections.connections, name="connections"),
    path("connections/new/<slug:plugin>/", connections.add, name="connection-add"),
    path("connections/<int:pk>/", connections.connection, name="connection"),
    path("connections/<int:pk>/settings/", connections.settings, name="connection-settings"),
    path("connections/<int:pk>/runs/", connections.sync_now, name="run-request"),
    path("connections/<int:pk>/pause/", connections.pause, name="connection-pause"),
    path("connections/<int:pk>/resume/", connections.resume, name="connection-resume"),
    path("runs/<int:pk>/", runs.run, name="run"),
    path("import/", runs.import_files, name="import"),
    *urls_money.urlpatterns,
]
