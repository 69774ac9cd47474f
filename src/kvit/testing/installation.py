"""Django for the kit where nobody has configured it: the real settings over a data folder thrown away."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from typing import Final

import django
from django.apps import apps
from django.conf import settings

_SETTINGS: Final = "DJANGO_SETTINGS_MODULE"


def prepare() -> None:
    """Make Kvit's models and forms usable; what is configured already stays as it is.

    The kit uses no database. Where Django was not configured, what the environment says of an installation
    (`KVIT_…`) is left out, so that tests are the same everywhere and touch nobody's data.
    """
    if not settings.configured and _SETTINGS not in os.environ:
        _throw_away_later()
    if not apps.ready:
        django.setup()


def _throw_away_later() -> None:
    for name in [name for name in os.environ if name.startswith("KVIT_")]:
        del os.environ[name]
    folder = tempfile.mkdtemp(prefix="kvit-kit-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["KVIT_DATA_DIR"] = folder
    os.environ[_SETTINGS] = "kvit.config.settings"
