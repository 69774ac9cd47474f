"""A bank that takes payment orders, connected by a firm."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points

import pytest

from kvit.sync import configuring, registry
from kvit.sync.models import PluginConfiguration
from kvit.users.models import Organization
from tests.factories import an_organization
from tests.payments import paper_bank
from tests.payments.paper_bank import Paper, PaperBank
from tests.payments.paying import a_paying_connection


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> Iterator[PaperBank]:
    """The bank, with its plugin installed; `Paper.mistake` is put right after each test."""
    monkeypatch.setattr(registry, "entry_points", entry_points)
    monkeypatch.setattr(Paper, "mistake", "")
    monkeypatch.setattr(Paper, "gate_seconds", 0.0)
    paper_bank.install()
    with paper_bank.running() as bank:
        yield bank
    monkeypatch.undo()
    registry.forget()
    configuring.config_fields.cache_clear()


@pytest.fixture
def firm(paper: PaperBank, transactional_db: None) -> Organization:
    return an_organization()


@pytest.fixture
def connection(firm: Organization, paper: PaperBank) -> PluginConfiguration:
    return a_paying_connection(firm, paper)
