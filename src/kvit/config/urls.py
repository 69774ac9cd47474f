"""The root of the URLs."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("", include("kvit.web.urls"))]
