"""The URLs of statement files and of the accounts they belong to."""

from __future__ import annotations

from django.urls import URLPattern, path

from kvit.web.views import accounts, imports, mapping, profiles

urlpatterns: list[URLPattern] = [
    path("import/", imports.import_files, name="import"),
    path("imports/profiles/", profiles.listing, name="import-profiles"),
    path("imports/profiles/<int:pk>/profile.toml", profiles.download, name="import-profile-file"),
    path("imports/profiles/<int:pk>/removal/", profiles.removal, name="import-profile-removal"),
    path("imports/<int:pk>/", imports.look, name="import-look"),
    path("imports/<int:pk>/confirmation/", imports.confirmation, name="import-confirmation"),
    path("imports/<int:pk>/discarding/", imports.discarding, name="import-discarding"),
    path("imports/<int:pk>/reversal/", imports.reversal, name="import-reversal"),
    path("imports/<int:pk>/files/<int:file_pk>/", imports.describe, name="import-file"),
    path("imports/<int:pk>/files/<int:file_pk>/removal/", imports.drop, name="import-file-removal"),
    path("imports/<int:pk>/files/<int:file_pk>/mapping/", mapping.mapping, name="import-mapping"),
    path("accounts/", accounts.listing, name="accounts"),
    path("accounts/<int:pk>/", accounts.detail, name="account"),
]
