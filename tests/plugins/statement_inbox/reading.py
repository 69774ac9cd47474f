"""Runs of the statement inbox without a database, as the engine would make them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from typing import Any

import msgspec

from kvit.plugin import Account, Checkpoint, Item, Transaction
from kvit.plugins.statement_inbox import StatementInbox
from tests.kernel.statements.writers import camt, camt_entry
from tests.plugins.harness import Run

TODAY = date(2026, 3, 5)


def a_run() -> Run:
    return Run(today=TODAY)


def a_statement(*amounts: str, **entry: Any) -> bytes:
    """Write a camt.053 statement of the account IBAN with these amounts of one day."""
    return camt(*[camt_entry(amount, **entry) for amount in amounts])


def steps(plugin: StatementInbox, run: Run, *, commits: bool = True) -> Iterator[Item]:
    """Yield what the plugin does; each checkpoint is committed before the plugin goes on, or none is."""
    source: Any = plugin.sync(run)
    with closing(source) as items:
        for item in items:
            if isinstance(item, Checkpoint) and commits:
                run.cursor = msgspec.json.decode(msgspec.json.encode(item.cursor))
            yield item


def synced(plugin: StatementInbox, run: Run, *, commits: bool = True) -> list[Item]:
    return list(steps(plugin, run, commits=commits))


def amounts(items: list[Item]) -> list[str]:
    return [str(item.amount) for item in items if isinstance(item, Transaction)]


def accounts(items: list[Item]) -> list[str]:
    return [item.external_id for item in items if isinstance(item, Account)]
