"""Payouts that a plugin tells become reports for matching, each once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from kvit.audit.recording import SYSTEM
from kvit.matching import payouts
from kvit.matching.payout_models import PayoutLine as LineRow
from kvit.matching.payout_models import PayoutReport
from kvit.plugin import Checkpoint, Context, Item, Payout, PayoutLine
from kvit.sync.models import SyncHistory
from kvit.sync.payout_models import ReportedPayout
from tests.sync.installation import sync
from tests.sync.invented import ACCOUNT, Play, Script, Scripted

pytestmark = pytest.mark.django_db(transaction=True)

PAYOUT = Payout(
    external_id="po_1",
    paid_on=date(2026, 11, 2),
    currency="CZK",
    net=Decimal("970.00"),
    lines=(
        PayoutLine(reference="20260001", gross="1000.00", fee="25.50"),
        PayoutLine(reference="", gross=0, fee="4.50"),
    ),
)


def telling(*told: Payout) -> Script:
    def script(_plugin: Scripted, _ctx: Context) -> Iterator[Item]:
        yield ACCOUNT
        yield from told
        yield Checkpoint({})

    return script


def test_a_payout_becomes_a_report_with_its_lines(play: Play) -> None:
    run = sync(play(telling(PAYOUT)))
    assert run.status == SyncHistory.Status.COMPLETED
    report = PayoutReport.objects.get()
    assert (report.provider, report.reference, report.net_minor) == ("scripted", "po_1", 97000)
    assert payouts.as_told(report).lines == (("20260001", 100000, 2550), ("", 0, 450))


def test_told_in_every_sync_it_is_one_report(play: Play) -> None:
    connection = play(telling(PAYOUT, PAYOUT))
    for _ in range(3):
        sync(connection)
    assert (ReportedPayout.objects.count(), PayoutReport.objects.count(), LineRow.objects.count()) == (
        1,
        1,
        2,
    )


def test_told_otherwise_the_first_stays_and_the_run_warns(play: Play) -> None:
    sync(play(telling(PAYOUT)))
    run = sync(play(telling(replace(PAYOUT, net=Decimal("1.00")))))
    assert run.warnings == 1
    assert "po_1 is told otherwise" in str(run.log)
    assert PayoutReport.objects.get().net_minor == 97000


def test_one_imported_from_a_file_before_is_the_same(play: Play) -> None:
    connection = play(telling(PAYOUT))
    sync(connection)
    ReportedPayout.objects.update(taken_up_at=None)
    assert payouts.take_up(connection.organization, actor=SYSTEM) == ()
    assert PayoutReport.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"net": 970.0}, "net"),
        ({"net": "1.005"}, "net"),
        ({"currency": "crowns"}, "net"),
        ({"external_id": " "}, "external_id"),
        ({"lines": ()}, "lines"),
        ({"lines": (PayoutLine(reference="x" * 301, gross=1),)}, "lines"),
        ({"lines": (PayoutLine(reference="1", gross=1, fee=0.1),)}, "fee"),  # type: ignore[arg-type]  # is the point
        ({"paid_on": date(1, 1, 1)}, "paid_on"),
        ({"paid_on": "2026-11-02"}, "paid_on"),
        ({"paid_on": datetime(2026, 11, 2, tzinfo=UTC)}, "paid_on"),
        ({"paid_on": None}, "paid_on"),
        ({"external_id": 7}, "external_id"),
        ({"external_id": "po\0"}, "external_id"),
        ({"external_id": "po\ud800"}, "external_id"),
        ({"bank_account": None}, "bank_account"),
        ({"net": "99999999999999999999.00"}, "net"),
        ({"lines": (PayoutLine(reference=None, gross=1),)}, "lines"),  # type: ignore[arg-type]  # is the point
        ({"lines": (PayoutLine(reference="1", gross="9" * 30),)}, "gross"),
    ],
)
def test_one_that_cannot_be_read_is_put_aside(play: Play, fields: dict[str, Any], field: str) -> None:
    connection = play(telling(replace(PAYOUT, **fields), replace(PAYOUT, external_id="po_2")))
    run = sync(connection)
    assert (run.status, run.quarantined) == (SyncHistory.Status.COMPLETED, 1)
    assert connection.quarantined_records.get().field == field
    assert PayoutReport.objects.get().reference == "po_2"
