"""What the engine gives a plugin, without a database: the real HTTP client, a gate that waits, a context."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from kvit.plugin import Gate, Json, Secret, SourceFile
from kvit.sync.http import HttpClient
from kvit.sync.redaction import Redactor


class WaitingTurnstile:
    """Keeps the intervals of gates within this process, by really waiting."""

    def __init__(self) -> None:
        self._next: dict[Secret, float] = {}

    def enter(self, gate: Gate) -> None:
        time.sleep(max(0.0, self._next.get(gate.key, 0.0) - time.monotonic()))

    def leave(self, gate: Gate) -> None:
        self._next[gate.key] = time.monotonic() + gate.seconds


@contextlib.contextmanager
def http_client(*secrets: Secret) -> Iterator[HttpClient]:
    client = HttpClient(redactor=Redactor(secrets), turnstile=WaitingTurnstile(), before_request=lambda: None)
    try:
        yield client
    finally:
        client.close()


@dataclass(kw_only=True)
class Run:
    """A run as a plugin sees it; what it logs stays in `lines`."""

    today: date
    cursor: Mapping[str, Json] = field(default_factory=dict)
    files: Sequence[SourceFile] = ()
    lines: list[str] = field(default_factory=list)

    def log(self, text: str) -> None:
        self.lines.append(text)
