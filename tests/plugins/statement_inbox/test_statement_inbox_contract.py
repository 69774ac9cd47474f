"""The statement inbox keeps the contract of plugins where files are dropped into a folder."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path

from kvit.plugins.statement_inbox import StatementInbox
from kvit.testing import PluginContract, PretendBank, run_contract
from tests.plugins.statement_inbox.conftest import drop
from tests.plugins.statement_inbox.writing_bank import WritingBank


class TestFolder(PluginContract):
    plugin = StatementInbox
    bank = WritingBank
    reads_http = False
    exempt = {"no-pauses": "it waits, once in a sync, until a file that is just being written is whole"}

    def settings(self, bank: PretendBank) -> Mapping[str, str]:
        assert isinstance(bank, WritingBank)
        bank.folder = Path(tempfile.mkdtemp())
        weakref.finalize(bank, shutil.rmtree, bank.folder, ignore_errors=True)
        (bank.folder / ".kvit-inbox").write_text(bank.secret)
        return {"folder": str(bank.folder), "folder_key": bank.secret}

    def before_sync(self, bank: PretendBank) -> None:
        assert isinstance(bank, WritingBank)
        drop(bank.folder, "statement.json", bank.statement())


def test_the_command_runs_it_without_pytest() -> None:
    assert not run_contract(TestFolder).broken
