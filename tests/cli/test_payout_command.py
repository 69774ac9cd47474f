"""`kvit payout`: what is imported, told and listed."""

from __future__ import annotations

from pathlib import Path

from tests.commands import Kvit


def test_a_report_without_its_credit_is_kept_and_said_to_wait(kvit: Kvit, tmp_path: Path) -> None:
    assert kvit.ok("payout", "list") == "no payout yet\n"
    path = tmp_path / "payout.csv"
    path.write_text(
        "payout;paid_on;reference;gross;fee;currency\nPO-1;2026-03-02;A;10.00;1.00;CZK\n", encoding="utf-8"
    )
    first = kvit.run("payout", "import", str(path))
    assert first.code == 1
    assert "plain PO-1: not applied: no payment is surely this payout of 9.00 CZK" in first.out
    assert "known already, not applied" in kvit.run("payout", "import", str(path)).out
    heading, row = kvit.ok("payout", "list").splitlines()
    assert heading.split()[0] == "payout"
    assert row.split()[:3] == ["plain", "PO-1", "2026-03-02"]
    assert row.endswith("not applied")
