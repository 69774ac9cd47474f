"""The statement inbox keeps the contract of plugins where files are mailed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from kvit.plugins.statement_inbox import StatementInbox
from kvit.testing import PluginContract, PretendBank
from tests.banks import fio
from tests.plugins.statement_inbox.imap_server import PASSWORD, USER, MailServer, a_message, running
from tests.plugins.statement_inbox.writing_bank import WritingBank


class TestMailbox(PluginContract):
    plugin = StatementInbox
    bank = WritingBank
    reads_http = False

    @pytest.fixture(autouse=True)
    def mail(self, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with running(MailServer(certificate)) as self.server:
            yield

    def settings(self, bank: PretendBank) -> Mapping[str, str]:
        return {
            "imap_host": "localhost",
            "imap_port": str(self.server.port),
            "imap_user": USER,
            "imap_password": PASSWORD,
            "accounts": fio.Account().iban,
            "senders": "@bank.example",
        }

    def before_sync(self, bank: PretendBank) -> None:
        assert isinstance(bank, WritingBank)
        self.server.deliver(a_message(("statement.json", bank.statement(), "application/json")))
