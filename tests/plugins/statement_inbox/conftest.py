"""A watched folder and a mailbox for the tests of the statement inbox."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kvit.plugin import Secret
from kvit.plugins.statement_inbox import StatementInbox, StatementInboxConfig
from tests.kernel.statements.writers import IBAN
from tests.plugins.harness import http_client
from tests.plugins.statement_inbox.imap_server import PASSWORD, USER, MailServer, running, write_certificate


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("mail") / "server.pem")


@pytest.fixture
def server(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """A mail server whose certificate this machine trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with running(MailServer(certificate)) as server:
        yield server
    assert server.mistakes == []
    assert not any(mail.flags for mails in server.folders.values() for mail in mails)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "statements"
    folder.mkdir()
    (folder / ".kvit-inbox").touch()
    return folder


@pytest.fixture
def connect() -> Iterator[Callable[..., StatementInbox]]:
    """Make the plugin with settings; what is not said is as in the form."""
    with http_client() as client:
        yield lambda **settings: StatementInbox(StatementInboxConfig(**settings), client)


def of_mailbox(server: MailServer, **settings: object) -> dict[str, object]:
    """Settings of a connection to the pretend mail server."""
    return {
        "imap_host": "localhost",
        "imap_port": server.port,
        "imap_user": USER,
        "imap_password": Secret(PASSWORD),
        "accounts": IBAN,
        **settings,
    }


def drop(folder: Path, name: str, data: bytes, *, age_seconds: float = 60) -> Path:
    """Put a file into the folder that was written some time ago."""
    path = folder / name
    path.write_bytes(data)
    written = time.time() - age_seconds
    os.utime(path, (written, written))
    return path
