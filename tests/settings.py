"""The real settings in a scratch data folder, on SQLite or on what KVIT_TEST_DATABASE_URL names."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

_url = os.environ.get("KVIT_TEST_DATABASE_URL", "")
for _name in [name for name in os.environ if name.startswith("KVIT_") and not name.startswith("KVIT_TEST_")]:
    del os.environ[_name]
os.environ["KVIT_DATA_DIR"] = _folder = tempfile.mkdtemp(prefix="kvit-tests-")
os.environ["KVIT_DATABASE_URL"] = _url
atexit.register(shutil.rmtree, _folder, ignore_errors=True)

from kvit.config.settings import *  # noqa: E402, F403
from kvit.config.settings import DATABASES, KVIT  # noqa: E402

if not _url:
    # A file instead of memory, so that threads and processes of a test meet as they would in life.
    DATABASES["default"]["TEST"] = {"NAME": str(KVIT.data_dir / "test.sqlite3")}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
