"""The URLs of matching: what it may do by itself, and its runs."""

from __future__ import annotations

from django.urls import URLPattern, path

from kvit.web.views import matching

urlpatterns: list[URLPattern] = [
    path("matching/", matching.settings, name="matching"),
    path("matching/runs/", matching.runs, name="matching-runs"),
    path("matching/runs/<int:pk>/", matching.run, name="matching-run"),
    path("matching/runs/<int:pk>/undo/", matching.run_undo, name="matching-run-undo"),
]
