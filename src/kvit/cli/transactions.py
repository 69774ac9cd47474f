"""`kvit transactions`: the stored movements, for people and for other programs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import date
from typing import Final

from django.db.models import QuerySet

from kvit.cli.organizations import all_or
from kvit.ledger.models import MoneyTransaction

_CHUNK_ROWS: Final = 2000


def show(options: argparse.Namespace) -> int:
    """Print the movements of all organizations or of one, the oldest first; withdrawn ones count nowhere."""
    rows = (
        MoneyTransaction.objects.exclude(status=MoneyTransaction.Status.WITHDRAWN)
        .select_related("account", "organization")
        .order_by("booked_on", "id")
    )
    if options.organization is not None:
        rows = rows.filter(organization__in=all_or(options.organization))
    for line in _json_lines(rows) if options.jsonl else _lines(rows):
        print(line)
    return 0


def _json_lines(rows: QuerySet[MoneyTransaction]) -> Iterator[str]:
    for row in rows.iterator(_CHUNK_ROWS):
        yield json.dumps(_as_json(row), ensure_ascii=False)


def _as_json(row: MoneyTransaction) -> dict[str, str | None]:
    """The keys of an entry of `kvit parse-statement`, and where the movement belongs."""
    return {
        "external_id": row.external_id,
        "amount": str(row.amount.amount),
        "currency": row.currency,
        "booked_on": row.booked_on.isoformat(),
        "value_on": _iso(row.value_on),
        "counterparty_name": row.counterparty_name,
        "counterparty_account": row.counterparty_account,
        "variable_symbol": row.variable_symbol,
        "constant_symbol": row.constant_symbol,
        "specific_symbol": row.specific_symbol,
        "message": row.message,
        "account": row.account.number,
        "source": row.source,
        "type": row.type,
        "status": row.status,
        "organization": row.organization.name,
    }


def _lines(rows: QuerySet[MoneyTransaction]) -> Iterator[str]:
    yield f"{'Booked':<10}  {'Amount':>17}  {'VS':<10}  Counterparty and message"
    for row in rows.iterator(_CHUNK_ROWS):
        said = " ".join(filter(None, (row.counterparty_name, row.message)))
        pending = "(pending) " if row.status == MoneyTransaction.Status.PENDING else ""
        yield f"{row.booked_on}  {row.amount!s:>17}  {row.variable_symbol:<10}  {pending}{said}".rstrip()


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
