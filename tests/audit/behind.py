"""Writing to the database past Kvit, as somebody with a database client would."""

from __future__ import annotations

from typing import Any

from django.db import connection

from kvit.audit.verifying import verify


def behind(sql: str, *values: Any) -> None:
    """Execute SQL; the tests run inside a transaction, so that constraints checked at its end stay away."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def faults(head: str = "") -> list[str]:
    return [str(fault) for fault in verify(head).faults]
