"""What the engine gives a plugin, without a database: the real HTTP client, a gate that waits, a context."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import httpx

from kvit.plugin import Gate, Json, Secret, SourceFile
from kvit.sync.egress import Egress
from kvit.sync.http import HttpClient
from kvit.sync.redaction import Redactor


class WaitingTurnstile:
    """Keeps the intervals of gates within this process, by really waiting."""

    def __init__(self) -> None:
        self._next: dict[Secret, float] = {}

    def turn(self, gate: Gate) -> WaitingTurn:
        return WaitingTurn(gate, self._next)


@dataclass
class WaitingTurn:
    gate: Gate
    next: dict[Secret, float]

    def wait(self) -> None:
        time.sleep(max(0.0, self.next.get(self.gate.key, 0.0) - time.monotonic()))

    def take(self) -> bool:
        return True

    def end(self) -> None:
        self.next[self.gate.key] = time.monotonic() + self.gate.seconds


class ThisMachine(Egress):
    """Every port of this machine: the banks of the tests take any that is free."""

    def check(self, url: httpx.URL) -> None:
        assert url.host == "127.0.0.1"

    def addresses(self, host: str, port: int) -> list[str]:
        return [host]


@contextlib.contextmanager
def http_client(*secrets: Secret) -> Iterator[HttpClient]:
    """Ask once: how often a plugin asks by itself is what its tests look at."""
    client = HttpClient(
        redactor=Redactor(secrets),
        egress=ThisMachine(),
        turnstile=WaitingTurnstile(),
        before_request=lambda: None,
        tries=1,
    )
    try:
        yield client
    finally:
        client.close()


@dataclass(kw_only=True)
class Run:
    """A run as a plugin sees it; what it logs stays in `lines`, what it warns of in `warnings`."""

    today: date
    cursor: Mapping[str, Json] = field(default_factory=dict)
    files: Sequence[SourceFile] = ()
    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def log(self, text: str) -> None:
        self.lines.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)
