"""Run the whole suite on SQLite and again on a real PostgreSQL, with what it needs found or installed.

What cannot be had is skipped and named at the end; with CI=true that is a failure. Arguments go to pytest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

from tests.postgres import PostgresMissing, running_postgres, server_programs

_PROCESSES: Final = str((os.cpu_count() or 1) + 1)
"""One more than there are cores: tests often wait for commands, browsers and banks of their own."""
_BY_FILE: Final = ("--dist", "loadfile", "--no-loadscope-reorder")
"""In the order of the folders: the files with few but long tests are not left to the end."""
WITHOUT_DATABASE: Final = ("tests/kernel", "tests/plugins", "tests/banks", "tests/docs", "tests/peers")


def main(arguments: Sequence[str]) -> int:
    skipped = [reason for reason in (_ensure_chromium(), _ensure_postgres()) if reason]
    codes = [_run("SQLite", "", arguments)]
    try:
        with running_postgres(fsync="off") as url:
            print(f"\nWithout {', '.join(WITHOUT_DATABASE)}: they use none, and ran above.")
            codes.append(_run("PostgreSQL", url, [*_ignoring(WITHOUT_DATABASE), *arguments]))
    except PostgresMissing:
        pass  # it is among the skipped
    for reason in skipped:
        print(f"SKIPPED: {reason}", file=sys.stderr)
    if skipped and os.environ.get("CI") == "true":
        return 1
    return max(codes)


def _ignoring(folders: Sequence[str]) -> list[str]:
    return [f"--ignore={folder}" for folder in folders]


def _run(database: str, url: str, arguments: Sequence[str]) -> int:
    print(f"\n== The suite on {database} ==", flush=True)
    environment = {**os.environ, "KVIT_TEST_DATABASE_URL": url}
    selection = () if "-m" in arguments else ("-m", "not soak")
    command = [sys.executable, "-m", "pytest", "-q", "-n", _PROCESSES, *_BY_FILE, *selection, *arguments]
    return subprocess.run(command, env=environment, check=False).returncode


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
