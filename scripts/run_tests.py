"""Run the whole suite on SQLite, and again on a real PostgreSQL what a database may do in its own way.

On both run the ledger, the queue and its workers, matching, settling, the numbers of invoices, what is
killed or done at once, the audit, keys, and the pages and commands that search, sort and count. On SQLite
only runs what uses no database (`kernel`, `plugins`, `testing`, `banks`, `config`, `docs`, `peers`), what
looks at how a page or an answer is put into words and drawn, also in a real browser, and commands whose
work other tests do on both.

What cannot be had is skipped and named at the end; with CI=true that is a failure. Arguments go to pytest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.commands import prepare
from tests.postgres import PostgresMissing, fresh_database, running_postgres, server_programs

_PROCESSES: Final = str((os.cpu_count() or 1) + 1)
"""One more than there are cores: tests often wait for commands, browsers and banks of their own."""
_SHARED_OUT: Final = ("--dist", "worksteal")
"""A process that has done its share takes tests over from another one, so that none is waited for long."""
_FOR_A_MOMENT: Final = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
"""Settings of a server whose data nobody needs after a crash."""
ON_SQLITE_ONLY: Final = (
    "tests/banks",
    "tests/browser",
    "tests/cli/test_convert.py",
    "tests/cli/test_help.py",
    "tests/cli/test_import_command.py",
    "tests/cli/test_keys_command.py",
    "tests/cli/test_match_file.py",
    "tests/cli/test_plugin_commands.py",
    "tests/cli/test_statements.py",
    "tests/cli/test_users.py",
    "tests/config",
    "tests/docs",
    "tests/kernel",
    "tests/peers",
    "tests/payments/test_payment_pages.py",
    "tests/plugins",
    "tests/sync/test_registry.py",
    "tests/sync/test_token_answers.py",
    "tests/testing",
    "tests/web/test_consent_pages.py",
    "tests/web/test_frame.py",
    "tests/web/test_hostile_plugins.py",
    "tests/web/test_language.py",
    "tests/web/test_sentences.py",
    "tests/web/test_sign_in.py",
)


def main(arguments: Sequence[str]) -> int:
    skipped = [reason for reason in (_ensure_chromium(), _ensure_postgres()) if reason]
    codes = [_run("SQLite", "", arguments)]
    try:
        with running_postgres(**_FOR_A_MOMENT) as url:
            print(f"\nWithout {', '.join(ON_SQLITE_ONLY)}: they ran above.")
            codes.append(_run("PostgreSQL", url, [*_ignoring(ON_SQLITE_ONLY), *arguments]))
    except PostgresMissing:
        pass  # it is among the skipped
    for reason in skipped:
        print(f"SKIPPED: {reason}", file=sys.stderr)
    if skipped and os.environ.get("CI") == "true":
        return 1
    return max(codes)


def _ignoring(paths: Sequence[str]) -> list[str]:
    return [f"--ignore={path}" for path in paths]


def _run(database: str, url: str, arguments: Sequence[str]) -> int:
    print(f"\n== The suite on {database} ==", flush=True)
    os.environ["KVIT_TEST_DATABASE_URL"] = url
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else every process compiles Kvit and the tests anew
    selection = () if "-m" in arguments else ("-m", "not soak")
    command = [sys.executable, "-m", "pytest", "-q", "-n", _PROCESSES, *_SHARED_OUT, *selection, *arguments]
    with tempfile.TemporaryDirectory(prefix="kvit-prepared-") as folder, fresh_database() as prepared_url:
        prepare(Path(folder), prepared_url)
        prepared = {"KVIT_TEST_PREPARED_FOLDER": folder, "KVIT_TEST_PREPARED_URL": prepared_url}
        return subprocess.run(command, env={**os.environ, **prepared}, check=False).returncode


def _ensure_chromium() -> str:
    """Find or install the browser; say what is missed without it."""
    if shutil.which("chromium") or _apt_install("chromium"):
        return ""
    return "the browser tests: install Debian's package “chromium”."


def _ensure_postgres() -> str:
    """Find or install the server; say what is missed without it."""
    try:
        server_programs()
    except PostgresMissing as error:
        if not _apt_install("postgresql"):
            return f"the suite on PostgreSQL: {error}"
    return ""


def _apt_install(package: str) -> bool:
    """Install a Debian package where this may be done."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    print(f"Installing Debian's package “{package}”…", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", package]):
        done = subprocess.run(
            ["apt-get", "-qq", *command], env=environment, stdout=subprocess.DEVNULL, check=False
        )
        if done.returncode:
            return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
