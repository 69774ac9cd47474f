"""The sample of docs/writing-a-plugin.md, taken out of the page: it is short, keeps the contract, syncs."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import re
import shlex
import sys
import textwrap
import uuid
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest
from django.conf import settings
from django.test import Client

from kvit import tasks
from kvit.cli.parser import build_parser
from kvit.cli.scaffold import scaffold
from kvit.ledger.models import MoneyTransaction
from kvit.sync import quality, registry
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.testing import Movement, PluginContract, PretendBank, run_contract, serving
from kvit.testing.filling import fill
from kvit.testing.rules import names
from tests.commands import ROOT
from tests.personas import Personas

PAGE: Final = (ROOT / "docs" / "writing-a-plugin.md").read_text(encoding="utf-8")
MOST_LINES: Final = 80
_BLOCK: Final = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND: Final = re.compile(r"^ {4}(kvit .*)$", re.MULTILINE)

BLOCKS: Final = tuple((language, file, text) for language, file, text in _BLOCK.findall(PAGE))
FILES: Final = {file: text for _language, file, text in BLOCKS if file}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The sample's files in the folder of drop-in plugins of this Kvit."""
    for file, text in FILES.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    monkeypatch.setattr(settings, "KVIT", dataclasses.replace(settings.KVIT, plugins_dir=tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    for file in FILES:
        monkeypatch.delitem(sys.modules, file.removesuffix(".py"), raising=False)
    registry.forget()
    yield tmp_path
    registry.forget()


@pytest.fixture
def contract(folder: Path) -> type[PluginContract]:
    found: type[PluginContract] = importlib.import_module("test_kvit_lipa").TestLipa
    return found


def test_the_sample_is_one_file_of_less_than_80_lines() -> None:
    assert set(FILES) == {"kvit_lipa.py", "test_kvit_lipa.py"}
    assert len(FILES["kvit_lipa.py"].splitlines()) < MOST_LINES


def test_the_sample_keeps_every_rule_of_the_contract(contract: type[PluginContract]) -> None:
    assert not contract.exempt
    report = run_contract(contract)
    assert [(trial.rule.name, trial.seen) for trial in report.broken] == []
    assert len(report.trials) > 20


@pytest.mark.django_db(transaction=True)
def test_the_sample_is_connected_and_synced_through_the_pages(
    contract: type[PluginContract], client: Client, personas: Personas
) -> None:
    bank = contract.bank()
    fill(bank)
    client.force_login(personas.owner)
    assert "Lípa banka" in client.get("/connections/").text
    assert "Nastavení → API" in client.get("/connections/new/lipa/").text
    with serving(bank) as address:
        run = _connected(client, bank, address)
        _carried_out(run)
        assert _stored() == _known_to(bank)
        assert "2026000123" in client.get("/transactions/").text

        _a_late_one_arrives(bank)
        client.post(f"/connections/{run.connection_id}/runs/")
        _carried_out(SyncHistory.objects.latest("pk"))
    assert _stored() == _known_to(bank)
    assert SyncHistory.objects.count() == 2


def test_every_command_of_the_page_is_one() -> None:
    commands = _COMMAND.findall(PAGE)
    parser = build_parser()
    for command in commands:
        _options, unknown = parser.parse_known_args(shlex.split(command, comments=True)[1:])
        assert not unknown, command
    assert {" ".join(command.split()[1:3]) for command in commands} >= {
        "plugin new",
        "plugin test",
        "plugin dev",
        "plugin record",
    }


def test_every_other_piece_of_code_on_the_page_can_be_read() -> None:
    assert len(BLOCKS) > len(FILES)
    for language, file, text in BLOCKS:
        if language == "toml":
            assert set(quality.read(text).marks) <= {*names(PluginContract), "cassette"}
        else:
            assert language == "python"
            ast.parse(textwrap.dedent(text), filename=file)


def test_the_page_tells_the_rules_that_are_not_the_kits_and_a_new_plugin_marks_all_rules() -> None:
    around = set(re.findall(r"^\| `([a-z-]+)` \|", PAGE.partition("## Quality")[2], re.MULTILINE))
    text = scaffold("lipa", package=True)["kvit_lipa.quality.toml"]
    assert set(quality.read(text).marks) == {*names(PluginContract), *around}


def _connected(client: Client, bank: PretendBank, address: str) -> SyncHistory:
    """Go through the wizard as a person does and return the run that it begins."""
    form = {
        "setting-base_url": f"{address}/v1",
        "setting-token": bank.secret,
        "attempt": str(uuid.uuid4()),
    }
    tested = client.post("/connections/new/lipa/credentials/", form)
    connection = PluginConfiguration.objects.get()
    assert tested.headers["Location"] == f"/connections/{connection.pk}/name/"
    client.post(f"/connections/{connection.pk}/name/", {"name": "Lípa", "preset": "daily"})
    return connection.runs.get()


def _carried_out(run: SyncHistory) -> None:
    ended = tasks.run_to_the_end(run, patience=timedelta(seconds=10))
    assert (ended.status, ended.quarantined, ended.conflicting) == ("completed", 0, 0), ended.log


def _a_late_one_arrives(bank: PretendBank) -> None:
    """The bank books something two days back, at ten past midnight in Prague: in UTC it is the day before."""
    newest = max(bank.movements, key=lambda movement: movement.booked_at)
    booked_at = (newest.booked_at - timedelta(days=2)).replace(hour=0, minute=10, second=0)
    late = Movement(
        id="99999999999",
        account=newest.account,
        booked_at=booked_at,
        told_at=newest.told_at,
        amount=Decimal("4321.00"),
        currency=newest.currency,
        variable_symbol="0007",
    )
    bank.movements.append(late)


def _stored() -> list[tuple[str, int, str, str]]:
    rows = MoneyTransaction.objects.all()
    return sorted(
        (row.external_id, row.amount_minor, str(row.booked_on), row.variable_symbol) for row in rows
    )


def _known_to(bank: PretendBank) -> list[tuple[str, int, str, str]]:
    return sorted(
        (one.id, int(one.amount.scaleb(2)), str(one.booked_on), one.variable_symbol) for one in bank.listed()
    )
