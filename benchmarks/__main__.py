"""Run the benchmarks: `python -m benchmarks [PREFIX]` prints one JSON object a line and a peer.

Each figure stands beside its peer and its limit, measured in the same run: machines are shared and noisy, so
the ratios count. Ratios above 1 mean that Kvit is faster.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from tests.postgres import running_postgres

_MODULES = {
    "ingest.sqlite": "benchmarks.ingest",
    "ingest.postgres": "benchmarks.ingest",
    "parse": "benchmarks.parse",
    "match.kernel": "benchmarks.matching",
    "match.sqlite": "benchmarks.matching_app",
    "match.postgres": "benchmarks.matching_app",
}


def main(prefix: str) -> int:
    """Run every benchmark whose name begins with the prefix, or that the prefix is a part of."""
    chosen = [name for name in _MODULES if name.startswith(prefix) or prefix.startswith(name)]
    if not chosen:
        print(f"No benchmark begins with “{prefix}”; there are {', '.join(_MODULES)}.", file=sys.stderr)
        return 2
    return max(_run(name, prefix) for name in chosen)


def _run(name: str, prefix: str) -> int:
    if name.endswith(".postgres"):
        with running_postgres() as url:
            return _run_on(name, prefix, url)
    return _run_on(name, prefix, "")


def _run_on(name: str, prefix: str, database_url: str) -> int:
    with tempfile.TemporaryDirectory(prefix="kvit-bench-") as folder:
        environment = {
            **os.environ,
            "KVIT_DATA_DIR": folder,
            "KVIT_DATABASE_URL": database_url,
            "DJANGO_SETTINGS_MODULE": "kvit.config.settings",
        }
        command = [sys.executable, "-m", _MODULES[name], name, prefix]
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
