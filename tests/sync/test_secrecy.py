"""After syncs that went well, failed and crashed, the credentials are nowhere to be read."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from django.db import connection as database

from kvit import pipeline
from kvit.audit.recording import SYSTEM
from kvit.plugin import Context, Item, Temporary, Unreadable
from kvit.sync import connections
from kvit.sync.models import SyncHistory
from tests.banks.fio import TOKEN, Fault, FioBank, generated
from tests.factories import an_organization
from tests.sync import invented
from tests.sync.installation import (
    Installation,
    a_connection,
    a_token,
    claimed,
    replace_token,
    requested,
    sync,
    today,
    wait_until,
)
from tests.sync.invented import ACCOUNT, Scripted, a_transaction

pytestmark = pytest.mark.django_db(transaction=True)

WRONG = a_token(66)


def everything_stored() -> Iterator[tuple[str, bytes]]:
    """Every value of every column of every table, as the database tells them."""
    tables = database.introspection.table_names()
    assert "sync_pluginconfiguration" in tables
    with database.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT * FROM {database.ops.quote_name(table)}")
            columns = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                for column, value in zip(columns, row, strict=True):
                    yield f"{table}.{column}", as_bytes(value)


def as_bytes(value: object) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()


def looks_of(secret: str) -> list[bytes]:
    """The forms in which a credential could be found."""
    texts = {secret, quote(secret, safe=""), repr(secret)[1:-1], secret[: len(secret) // 2]}
    encoded = base64.b64encode(secret.encode()).rstrip(b"=")
    return [*(text.encode() for text in texts), encoded, secret.encode().hex().encode()]


def assert_nowhere(secret: str, places: Iterator[tuple[str, bytes]]) -> None:
    found = [place for place, value in places if any(look in value for look in looks_of(secret))]
    assert found == []


def files_in(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path), path.read_bytes()


def test_the_search_would_find_a_secret(bank: FioBank) -> None:
    connection = a_connection(an_organization(), bank)
    connection.settings = {"left_behind": TOKEN}
    connection.save()
    with pytest.raises(AssertionError, match=r"sync_pluginconfiguration\.settings"):
        assert_nowhere(TOKEN, everything_stored())


def test_the_token_is_in_no_table_no_log_and_no_output(bank: FioBank, installation: Installation) -> None:
    bank.add(*generated(seed=9, count=60, last_day=today(), days=30))
    connection = a_connection(an_organization("Tajná s.r.o."), bank)
    bank.fail(Fault(kind="slow", seconds=20))
    requested(connection)
    with installation.worker() as worker:
        wait_until(lambda: SyncHistory.objects.get().status == SyncHistory.Status.RUNNING)
        worker.kill()
    bank.load(today=today(), interval_seconds=0)
    bank.add(*generated(seed=9, count=60, last_day=today(), days=30))
    with installation.worker() as worker:
        wait_until(lambda: not SyncHistory.objects.active().exists())
        assert worker.stop() == 0
    kvit = installation.kvit
    said = [kvit.run("sync", "Fio").everything]
    for fault in (Fault(kind="cut"), Fault(kind="reset"), Fault(kind="answer", status=404)):
        bank.fail(fault)
        said.append(sync(connection).error_message)
    replace_token(connection, WRONG)
    said += [
        kvit.run(*words).everything
        for words in (
            ("sync", "Fio"),
            ("connection", "check", "Fio"),
            ("connection", "list"),
            ("doctor",),
            ("transactions", "--jsonl"),
        )
    ]
    assert "does not accept the token" in said[4]
    assert "http.request" in installation.logs()
    statuses = {run.status for run in SyncHistory.objects.all()}
    assert statuses == {"completed", "failed"}
    for secret in (TOKEN, WRONG):
        assert_nowhere(secret, everything_stored())
        assert_nowhere(secret, ((f"output {number}", text.encode()) for number, text in enumerate(said)))
        assert_nowhere(secret, files_in(installation.folder))


def test_what_a_plugin_blurts_out_is_masked_everywhere(
    install: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    install(scripted="tests.sync.invented:Scripted")
    secret = invented.TOKEN
    connection = connections.add(an_organization(), "scripted", "Scripted", {"token": secret}, actor=SYSTEM)
    blurted: list[Exception] = [ValueError(secret), KeyError({"token": secret}), Temporary(quote(secret))]
    for error in blurted:

        def script(plugin: Scripted, ctx: Context, error: Exception = error) -> Iterator[Item]:
            yield ACCOUNT
            ctx.log(f"Bearer {secret}")
            yield a_transaction("1")
            yield Unreadable(reason=f"{secret} is odd", external_id=secret, raw={"token": secret})
            yield a_transaction("2", raw={"url": f"https://bank.example/{secret}"})
            raise error

        monkeypatch.setattr(Scripted, "script", staticmethod(script), raising=False)
        held = claimed(connection)
        monkeypatch.setattr("kvit.sync.writing.BATCH_RECORDS", 1)
        pipeline.carry_out(held)
    assert [run.status for run in SyncHistory.objects.order_by("id")] == ["failed", "failed", "pending"]
    assert_nowhere(secret, everything_stored())
    printed = capfd.readouterr()
    assert "plugin.crashed" in printed.err + caplog.text
    said = iter([("printed", (printed.out + printed.err).encode()), ("logged", caplog.text.encode())])
    assert_nowhere(secret, said)
