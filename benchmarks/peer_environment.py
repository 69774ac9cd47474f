"""The Python that has the peers, made when it is first needed: their dependencies are none of Kvit's."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_LOCK = _ROOT / "requirements" / "bench.txt"
_FOLDER = _ROOT / ".venv-bench"


def peer_python() -> Path:
    """Return the interpreter of `.venv-bench`, installed from its hashed lock where that is new."""
    python = _FOLDER / "bin" / "python"
    stamp = _FOLDER / "locked"
    digest = hashlib.sha256(_LOCK.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        print(f"Setting up {_FOLDER.name} with the peers…", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", _FOLDER], check=True)
        subprocess.run(
            [
                python,
                "-m",
                "pip",
                "install",
                "-q",
                "--disable-pip-version-check",
                "--require-hashes",
                "-r",
                _LOCK,
            ],
            check=True,
            stdout=sys.stderr,
        )
        stamp.write_text(digest)
    return python
