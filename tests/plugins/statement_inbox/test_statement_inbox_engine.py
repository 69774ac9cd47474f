"""The statement inbox through the real engine: everything once, whatever is killed, however a file comes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kvit import pipeline
from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM
from kvit.kernel.errors import Misconfigured
from kvit.ledger import duplicates
from kvit.ledger.models import BankStatement, MoneyTransaction, PossibleDuplicate
from kvit.plugin import SourceFile
from kvit.sync import connections, queue, runs
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.users.models import Organization
from tests.kernel.statements.writers import (
    IBAN,
    camt,
    camt_balance,
    camt_entry,
    fio,
    fio_movement,
)
from tests.plugins.statement_inbox.conftest import drop, of_mailbox
from tests.plugins.statement_inbox.imap_server import MailServer, a_message
from tests.plugins.statement_inbox.reading import a_statement
from tests.sync.installation import (
    Installation,
    counts,
    installation_at,
    log_of,
    requested,
    sync,
    wait_until,
)

pytestmark = pytest.mark.django_db(transaction=True)

XML = "application/xml"

DYING = """
import os, signal, sys
from kvit.plugins.statement_inbox.folder import Folder
Folder.put_away = lambda *_file: os.kill(os.getpid(), signal.SIGKILL)
from kvit.cli import main
sys.exit(main(["worker"]))
"""
"""A worker that is killed at the moment in which it would move a file it has read."""


@pytest.fixture
def installation(tmp_path: Path, transactional_db: None) -> Installation:
    return installation_at(tmp_path)


def an_inbox(organization: Organization, **settings: object) -> PluginConfiguration:
    """Connect the plugin as a person would, with a test of the folder and the mailbox."""
    texts = {
        name: value.reveal() if hasattr(value, "reveal") else str(value) for name, value in settings.items()
    }
    return connections.add(organization, "statement_inbox", None, texts, actor=SYSTEM)


def imported(organization: Organization, data: bytes) -> SyncHistory:
    """Hand a file over as a person would."""
    connection = connections.statement_connection(organization, actor=SYSTEM)
    handed = [SourceFile(name="by hand", data=data)]
    run = connections.request_run(connection, SyncHistory.Trigger.IMPORT, actor=SYSTEM, handed=handed)
    held = queue.claim(run)
    assert held is not None
    pipeline.carry_out(held)
    return SyncHistory.objects.get(pk=run.pk)


def stored() -> list[str]:
    return sorted(str(row.amount.amount) for row in MoneyTransaction.objects.exclude(status="withdrawn"))


def in_folder(path: Path) -> list[str]:
    return sorted(each.name for each in path.iterdir() if not each.name.startswith("."))


def test_files_and_mails_are_stored_once_and_shown_as_statements(
    organization: Organization, inbox: Path, server: MailServer
) -> None:
    drop(inbox, "march.xml", a_statement("100.00", "100.00"))
    server.deliver(a_message(("april.xml", a_statement("7.00", booked="2026-04-01"), XML)))
    connection = an_inbox(organization, folder=inbox, **of_mailbox(server))

    assert counts(sync(connection)) == {"fetched": 3, "created": 3}
    assert counts(sync(connection)) == {}

    assert stored() == ["100.00", "100.00", "7.00"]
    assert in_folder(inbox) == ["read", "unreadable"]
    assert in_folder(inbox / "read") == ["march.xml"]


def test_one_statement_by_folder_and_by_mail_is_stored_once(
    organization: Organization, inbox: Path, server: MailServer
) -> None:
    data = a_statement("100.00", "100.00")
    drop(inbox, "march.xml", data)
    server.deliver(a_message(("the same.xml", data, XML)))

    run = sync(an_inbox(organization, folder=inbox, **of_mailbox(server)))

    assert counts(run) == {"fetched": 4, "created": 2, "unchanged": 2}
    assert not duplicates.waiting(organization).exists()


def test_warnings_are_pointed_out(organization: Organization, inbox: Path) -> None:
    drop(inbox, "a.xml", b"<broken")
    drop(inbox, "b.xml", camt(camt_balance("OPBD", "0.00"), camt_balance("CLBD", "9.00"), camt_entry("1.00")))

    run = sync(an_inbox(organization, folder=inbox))

    assert (run.status, run.warnings, run.created) == ("completed", 2, 1)
    assert "a.xml: " in log_of(run)
    assert "b.xml: " in log_of(run)


def test_a_file_that_was_handed_over_too_is_known_by_the_bank_s_ids(
    organization: Organization, inbox: Path
) -> None:
    data = fio(fio_movement(), fio_movement(c22=26000000002))
    connection = an_inbox(organization, folder=inbox)
    assert counts(imported(organization, data)) == {"fetched": 2, "created": 2}

    drop(inbox, "march.json", data)

    assert counts(sync(connection)) == {"fetched": 2, "unchanged": 2}
    assert stored() == ["100.00", "100.00"]
    assert not duplicates.waiting(organization).exists()


def test_without_the_bank_s_ids_a_person_is_asked(organization: Organization, inbox: Path) -> None:
    data = a_statement("100.00", "100.00")
    connection = an_inbox(organization, folder=inbox)
    drop(inbox, "march.xml", data)
    assert counts(sync(connection)) == {"fetched": 2, "created": 2}

    assert counts(imported(organization, data)) == {"fetched": 2, "created": 2}

    questions = list(duplicates.waiting(organization))
    assert len({question.candidate_id for question in questions}) == len(questions) == 2
    for question in questions:
        duplicates.same(question, actor=SYSTEM)
    assert stored() == ["100.00", "100.00"]
    assert counts(imported(organization, data)) == {"fetched": 2, "unchanged": 2}


def test_a_longer_statement_of_the_same_days_doubles_nothing(organization: Organization, inbox: Path) -> None:
    connection = an_inbox(organization, folder=inbox)
    drop(inbox, "monday.xml", a_statement("1.00", "1.00"))
    sync(connection)
    drop(inbox, "week.xml", camt(*[camt_entry("1.00")] * 2, camt_entry("5.00", booked="2026-03-04")))

    assert counts(sync(connection)) == {"fetched": 3, "created": 1, "unchanged": 2}
    assert stored() == ["1.00", "1.00", "5.00"]


def test_what_a_later_statement_tells_otherwise_is_asked_about(
    organization: Organization, inbox: Path
) -> None:
    connection = an_inbox(organization, folder=inbox)
    drop(inbox, "monday.xml", a_statement("1.00"))
    sync(connection)
    named = a_statement("1.00", details=["<RmtInf><Ustrd>now with a text</Ustrd></RmtInf>"])
    drop(inbox, "again.xml", named)

    assert counts(sync(connection)) == {"fetched": 1, "created": 1}

    (question,) = duplicates.waiting(organization)
    assert question.reason == PossibleDuplicate.Reason.TOLD_AGAIN


def test_a_reverted_run_is_read_again_from_what_was_put_back(
    organization: Organization, inbox: Path, server: MailServer
) -> None:
    drop(inbox, "march.xml", a_statement("1.00"))
    server.deliver(a_message(("april.xml", a_statement("2.00", booked="2026-04-01"), XML)))
    connection = an_inbox(organization, folder=inbox, **of_mailbox(server))
    runs.revert(sync(connection), actor=SYSTEM)
    assert stored() == []

    (inbox / "read" / "march.xml").rename(inbox / "march.xml")
    sync(PluginConfiguration.objects.get(pk=connection.pk))

    assert stored() == ["1.00", "2.00"]


def test_two_connections_of_one_folder_are_refused(organization: Organization, inbox: Path) -> None:
    an_inbox(organization, folder=inbox)

    with pytest.raises(Exception, match="connected already"):
        an_inbox(organization, folder=f"{inbox}/")


def test_a_wrong_folder_key_keeps_no_connection(organization: Organization, inbox: Path) -> None:
    (inbox / ".kvit-inbox").write_text("another organization's")

    with pytest.raises(Misconfigured):
        an_inbox(organization, folder=inbox)

    assert not organization.connections.exists()


def test_a_worker_killed_between_checkpoint_and_move_doubles_nothing(
    organization: Organization, inbox: Path, installation: Installation
) -> None:
    connection = an_inbox(organization, folder=inbox)
    drop(inbox, "march.xml", a_statement("100.00", "250.50"))

    die_at_the_move(connection, installation)

    assert stored() == ["100.00", "250.50"]
    assert in_folder(inbox) == ["march.xml", "read", "unreadable"]
    assert in_folder(inbox / "read") == []
    finish(connection, installation)
    assert_each_once(["100.00", "250.50"])
    assert in_folder(inbox) == ["read", "unreadable"]
    assert in_folder(inbox / "read") == ["march.xml"]


def die_at_the_move(connection: PluginConfiguration, installation: Installation) -> None:
    """Sync with a worker that is killed when it has read and is about to move."""
    requested(connection)
    environment = installation.kvit.environment(DJANGO_SETTINGS_MODULE="kvit.config.settings")
    with subprocess.Popen(
        [sys.executable, "-c", DYING], env=environment, stderr=subprocess.DEVNULL
    ) as worker:
        wait_until(lambda: worker.poll() is not None)
    assert worker.returncode == -signal.SIGKILL


@pytest.mark.parametrize("kills", [3, pytest.param(40, marks=pytest.mark.soak)])
def test_kills_at_any_moment_lose_and_double_nothing(
    organization: Organization, inbox: Path, installation: Installation, kills: int
) -> None:
    seed = int(os.environ.get("KVIT_TEST_SEED", "") or random.SystemRandom().randrange(10**6))
    print(f"KVIT_TEST_SEED={seed}")  # noqa: T201  # shown where the test fails
    dice = random.Random(seed)
    connection = an_inbox(organization, folder=inbox)
    expected: list[str] = []
    for kill in range(kills):
        for number in range(12):
            told = [f"{kill * 100 + number + 1}.{dice.randrange(100):02}" for _entry in range(5)]
            drop(inbox, f"{kill}-{number}.xml", a_statement(*told))
            expected += told
        before = MoneyTransaction.objects.count()
        requested(connection)
        with installation.worker() as worker:
            wait_until(has_got(before + dice.randrange(1, 50)))
            worker.kill()
    finish(connection, installation)
    assert_each_once(expected)
    assert in_folder(inbox) == ["read", "unreadable"]
    assert len(in_folder(inbox / "read")) == kills * 12
    assert in_folder(inbox / "unreadable") == []
    assert BankStatement.objects.count() == 0


def has_got(count: int) -> Callable[[], object]:
    return lambda: MoneyTransaction.objects.count() >= count or not SyncHistory.objects.active().exists()


def finish(connection: PluginConfiguration, installation: Installation) -> None:
    """Let a worker end what is there, and sync twice more."""
    with installation.worker() as worker:
        for _run in range(3):
            wait_until(lambda: not SyncHistory.objects.active().exists())
            requested(connection)
        wait_until(lambda: not SyncHistory.objects.active().exists())
        assert worker.stop() == 0


def assert_each_once(expected: list[str]) -> None:
    assert stored() == sorted(expected)
    entries = AuditEntry.objects.filter(table="ledger_moneytransaction", action="created")
    assert entries.count() == len(expected)
    assert {run.status for run in SyncHistory.objects.all()} == {"completed"}
    assert {row.account.number for row in MoneyTransaction.objects.select_related("account")} == {IBAN}
