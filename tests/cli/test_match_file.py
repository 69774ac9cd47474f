"""`kvit match-file`: decisions about files, and one sentence about a damaged one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands import Kvit

ALFA_ACCOUNT = "CZ9401000000006056126547"
KNOWN = {"iban": ALFA_ACCOUNT, "provenance": "human", "seen": 3}
CUSTOMER = {"id": 1, "name": "Alfa Stavby s.r.o.", "ibans": [KNOWN]}
INVOICE = {
    "id": 1, "number": "2026-001", "variable_symbol": "2026001", "customer_id": 1, "currency": "CZK",
    "total_minor": 1000, "open_minor": 1000, "issued_on": "2026-11-01",
    "due_on": "2026-11-15", "state": "open", "account_iban": "CZ6508000000192000145399",
}  # fmt: skip
TRANSACTION = {
    "id": 7, "account_iban": "CZ65", "booked_on": "2026-11-14", "amount_minor": 1000,
    "currency": "CZK", "variable_symbol": "", "constant_symbol": "0308", "specific_symbol": "", "message": "",
    "end_to_end_id": "", "user_identification": "", "comment": "za č. 2026-001", "counterparty_name": "ALFA",
    "counterparty_iban": ALFA_ACCOUNT, "status": "booked",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "accounts", {"iban": "CZ6508000000192000145399", "currency": "CZK"})
    write(tmp_path, "customers", CUSTOMER)
    write(tmp_path, "invoices", INVOICE)
    write(
        tmp_path,
        "transactions",
        TRANSACTION,
        {**TRANSACTION, "id": 8},
        {**TRANSACTION, "id": 9, "comment": ""},
    )
    return tmp_path


def write(folder: Path, name: str, *rows: dict[str, Any]) -> None:
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


def test_every_transaction_gets_one_decision_with_its_reasons(fresh: Kvit, folder: Path) -> None:
    rows = {
        row["transaction_id"]: row
        for row in map(json.loads, fresh.ok("match-file", str(folder)).splitlines())
    }
    assert {key: row["port"] for key, row in rows.items()} == {7: "auto", 8: "duplicate", 9: "none"}
    assert rows[7]["settlements"] == [{"invoice_id": 1, "amount_minor": 1000}]
    assert rows[7]["because"]["tier"] == "A2"
    assert rows[7]["because"]["reasons"][0] == {
        "code": "number.names",
        "values": {"symbol": "2026001", "invoice": "2026-001"},
        "span": {"field": "comment", "start": 6, "end": 14},
    }
    assert {check["veto"] for check in rows[7]["because"]["checked"]} == {f"V{n}" for n in range(1, 9)}
    assert rows[9]["because"] == {"reasons": [{"code": "symbol.none", "values": {}}]}
    assert not fresh.folder.exists()


def test_twice_writes_the_same_bytes(fresh: Kvit, folder: Path) -> None:
    assert fresh.ok("match-file", str(folder)) == fresh.ok("match-file", str(folder), PYTHONHASHSEED="7")


def test_a_missing_file_is_named(fresh: Kvit, folder: Path) -> None:
    (folder / "customers.jsonl").unlink()
    answer = fresh.run("match-file", str(folder))
    assert answer.code == 2
    assert answer.sentence() == f"{folder / 'customers.jsonl'} cannot be opened: No such file or directory."


@pytest.mark.parametrize(
    ("name", "line", "why"),
    [
        ("invoices", "{", "truncated"),
        ("invoices", json.dumps({**INVOICE, "open_minor": 10.5}), "Expected `int`"),
        ("invoices", json.dumps({**INVOICE, "open_minor": -1}), "less than nothing is open"),
        ("invoices", json.dumps({**INVOICE, "issued_on": "14. 11."}), "“14. 11.” is no date"),
        ("transactions", json.dumps({"id": 1}), "missing required field"),
        ("customers", '{"id": 1, "name": "\\ud800", "ibans": []}', "line 2"),
        ("accounts", "\udcff", "line 2"),
    ],
)
def test_a_damaged_line_is_named(fresh: Kvit, folder: Path, name: str, line: str, why: str) -> None:
    path = folder / f"{name}.jsonl"
    path.write_bytes(
        path.read_bytes().splitlines(keepends=True)[0] + line.encode("utf-8", "surrogateescape") + b"\n"
    )
    answer = fresh.run("match-file", str(folder))
    assert answer.code == 2
    assert f"{path}, line 2: " in answer.sentence()
    assert why in answer.sentence()
