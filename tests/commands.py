"""The real `kvit` command, run in processes of its own on a scratch data folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests import forking
from tests.forking import ROOT as ROOT

PASSWORD: Final = "correct horse battery"
TIMEOUT_SECONDS: Final = 120


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def everything(self) -> str:
        return self.out + self.err

    def sentence(self) -> str:
        """Return what a failed command said: one line on stderr, no traceback."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("kvit: "), self.err
        return lines[0].removeprefix("kvit: ")


@dataclass(frozen=True, slots=True)
class Kvit:
    """One installation: a data folder and the environment of its commands."""

    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def run(self, *words: str, input: str = "", **env: str) -> Answer:
        environment = self.environment(**env)
        done = forking.run(words, environment=environment, input=input, timeout_seconds=TIMEOUT_SECONDS)
        return Answer(*done)

    def ok(self, *words: str, input: str = "", **env: str) -> str:
        """Run a command that must succeed in silence on stderr, and return what it printed."""
        answer = self.run(*words, input=input, **env)
        assert (answer.code, answer.err) == (0, ""), answer.everything
        return answer.out

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        """Start a command as a shell does, to be watched, stopped or killed."""
        return subprocess.Popen(
            self.command(*words),
            env=self.environment(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            cwd=ROOT,
            preexec_fn=_heed_ctrl_c,
        )

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "kvit", *words]

    def environment(self, **env: str) -> dict[str, str]:
        """Nothing of the surrounding settings, only this installation's own."""
        plain = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("KVIT_") and name != "DJANGO_SETTINGS_MODULE"
        }
        return {**plain, "KVIT_DATA_DIR": str(self.folder), **self.env, **env}

    def add_organization(self, name: str = "Eva Nová", email: str = "eva@example.com") -> None:
        self.ok("user", "add", email, "--organization", name, "--password-stdin", input=PASSWORD)

    def transactions(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.ok("transactions", "--jsonl", *words).splitlines()]


def prepare(folder: Path, url: str = "") -> None:
    """Make what a whole run of the suite only copies: a migrated installation on an empty database."""
    Kvit(folder, database_variables(url)).ok("migrate")


def prepared() -> Kvit | None:
    """Return the installation that was prepared for this run, if one was; only to be copied."""
    folder, url = (os.environ.get(f"KVIT_TEST_PREPARED_{name}", "") for name in ("FOLDER", "URL"))
    return Kvit(Path(folder), database_variables(url)) if folder else None


def _heed_ctrl_c() -> None:
    """A shell starts jobs in the background deaf to Ctrl-C, and they pass that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def database_variables(url: str) -> dict[str, str]:
    """Return the environment for a database; none for the SQLite file in the data folder."""
    return {"KVIT_DATABASE_URL": url} if url else {}
