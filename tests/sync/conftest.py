"""A pretend bank, invented plugins and worker processes for the tests of the sync platform."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path

import pytest

from kvit.audit.recording import SYSTEM
from kvit.sync import configuring, connections, registry
from kvit.sync.models import PluginConfiguration
from kvit.users.models import Organization
from tests.banks.fio import FioBank, running_fio_bank
from tests.sync.installation import Installation, installation_at, today
from tests.sync.invented import TOKEN, Play, Script, Scripted


@pytest.fixture(scope="module")
def fio_process() -> Iterator[FioBank]:
    with running_fio_bank() as bank:
        yield bank


@pytest.fixture
def bank(fio_process: FioBank) -> FioBank:
    """A Fio bank with one empty account and no interval, on the real day."""
    fio_process.load(today=today(), interval_seconds=0)
    return fio_process


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Install plugins by entry points written as `name="module:attribute"`; the real ones stay."""

    def install(**invented: str) -> None:
        found = [EntryPoint(name, value, registry.GROUP) for name, value in invented.items()]
        real = tuple(entry_points(group=registry.GROUP))
        monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints([*real, *found]))
        registry.forget()

    yield install
    monkeypatch.undo()
    registry.forget()
    configuring.config_fields.cache_clear()


@pytest.fixture
def installation(tmp_path: Path, transactional_db: None) -> Installation:
    return installation_at(tmp_path)


@pytest.fixture
def play(install: Callable[..., None], organization: Organization, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Connect the invented plugin; each call gives it another script."""
    install(scripted="tests.sync.invented:Scripted")

    def play(script: Script) -> PluginConfiguration:
        monkeypatch.setattr(Scripted, "script", staticmethod(script), raising=False)
        existing = organization.connections.filter(plugin="scripted").first()
        return existing or connections.add(
            organization, "scripted", "Scripted", {"token": TOKEN}, actor=SYSTEM
        )

    return play
