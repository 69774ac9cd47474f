"""`kvit audit` as a person at a terminal meets it."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest

from tests.commands import Kvit


def behind(kvit: Kvit, sql: str) -> None:
    """Change the installation's database with a client of its own."""
    url = kvit.env.get("KVIT_DATABASE_URL", "")
    if url:
        with psycopg.connect(url) as server:
            server.execute(sql.encode())
    else:
        with sqlite3.connect(kvit.folder / "kvit.sqlite3") as file:
            file.execute(sql)
        file.close()


def head_of(kvit: Kvit) -> str:
    return kvit.ok("audit", "seal").partition("The head is ")[2].strip().rstrip(".")


def test_a_change_past_kvit_and_a_removed_entry_are_named_and_end_with_1(kvit: Kvit) -> None:
    said = kvit.ok("audit", "verify")
    assert "users_organization" in said
    assert said.endswith("Every row is as the audit says.\n")
    head = head_of(kvit)
    assert kvit.ok("audit", "verify", "--head", head).endswith("goes on from that head.\n")
    behind(kvit, "UPDATE users_membership SET role = 'accountant'")
    behind(kvit, "DELETE FROM audit_auditentry WHERE id = (SELECT max(id) FROM audit_auditentry)")
    answer = kvit.run("audit", "verify")
    assert answer.code == 1
    assert "users_membership 1: is there, and the audit holds no creation of it" in answer.out
    assert "audit_auditentry 3: is gone, and was sealed on" in answer.out
    assert answer.out.endswith("2 things are not as the audit says.\n")


def test_a_head_the_chain_no_longer_holds_ends_with_1(kvit: Kvit) -> None:
    answer = kvit.run("audit", "verify", "--head", "0" * 64)
    assert answer.code == 1
    assert f"no seal has the digest {'0' * 64}" in answer.out


@pytest.mark.parametrize("head", ["", "abc", "g" * 64])
def test_half_a_head_is_a_wrong_word(kvit: Kvit, head: str) -> None:
    answer = kvit.run("audit", "verify", "--head", head)
    assert answer.code == 2
    assert "write all 64 digits" in answer.err
