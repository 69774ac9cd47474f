"""Many rows in few statements, the fastest way each database has; always in the caller's transaction.

PostgreSQL takes new rows by COPY and changed ones as one JSON parameter; SQLite takes both by `executemany`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import batched
from typing import Any, Final, Literal, NamedTuple

import msgspec
from django.db import connection

_LINES_AT_ONCE: Final = 250


class Columns(NamedTuple):
    """Which columns rows fill: the same value in each row, then text, then anything else."""

    same: Mapping[str, Any]
    texts: Sequence[str]
    others: Sequence[str]


type Row = tuple[tuple[str, ...], tuple[int | str | None, ...]]
"""Texts, which may hold anything but NUL, and others: integers, booleans, days as ISO text, or nothing."""


def reserve_ids(table: str, count: int) -> Sequence[int]:
    """Return ascending ids that nobody else gets; on SQLite they must be inserted before the next call."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)", [table, count]
            )
            return [number for (number,) in cursor.fetchall()]
        cursor.execute("SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = %s", [table])
        first = cursor.fetchone()[0] + 1
        return range(first, first + count)


def insert(table: str, columns: Columns, rows: Iterable[Row]) -> None:
    """Insert the rows; what the columns leave out takes the database's default."""
    names = ", ".join(f'"{name}"' for name in (*columns.same, *columns.texts, *columns.others))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for lines in batched(_lines(columns, rows), _LINES_AT_ONCE):
                    copy.write("".join(lines))
        else:
            same = _literals(cursor, columns.same.values())
            marks = ", ".join([*same, *["%s"] * (len(columns.texts) + len(columns.others))])
            cursor.executemany(
                f"INSERT INTO {table} ({names}) VALUES ({marks})",
                [texts + others for texts, others in rows],
            )


def update(
    table: str,
    same: Mapping[str, Any],
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    counted: Sequence[str] = (),
) -> None:
    """Set the columns of the rows, each of which begins with its id; add one to each of those counted."""
    constant = [*(f"{name} = {table}.{name} + 1" for name in counted), *(f"{name} = %s" for name in same)]
    values = [_adapted(value) for value in same.values()]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            assignments = ", ".join([*constant, *(f"{name} = new.{name}" for name in columns)])
            new = msgspec.json.encode([dict(zip(("id", *columns), row, strict=True)) for row in rows])
            cursor.execute(
                f"UPDATE {table} SET {assignments}"
                f" FROM jsonb_populate_recordset(NULL::{table}, %s) AS new WHERE {table}.id = new.id",
                [*values, new.decode()],
            )
        else:
            assignments = ", ".join([*constant, *(f"{name} = %s" for name in columns)])
            cursor.executemany(
                f"UPDATE {table} SET {assignments} WHERE id = %s",
                [(*values, *map(_adapted, row[1:]), row[0]) for row in rows],
            )


def probe(table: str, columns: Sequence[str], condition: str, *each: Literal["text", "date"]) -> str:
    """Return a SELECT that looks the table up once for each value, or each pair of values.

    The condition names the table's columns as `known.NAME`, the values as `first.value` and `second.value`,
    and must be equality on the leading columns of an index. The first parameters are made by `several`.
    Without this, PostgreSQL would rather read everything that the source ever told.
    """
    names = ("first", "second")[: len(each)]
    found = ", ".join(f"known.{name}" for name in columns)
    if connection.vendor == "postgresql":
        values = " CROSS JOIN ".join(
            f"unnest(%s::{kind}[]) AS {name}(value)" for name, kind in zip(names, each, strict=True)
        )
        looked_up = f"SELECT {found} FROM {table} AS known WHERE {condition} OFFSET 0"
        return f"SELECT {found} FROM {values} CROSS JOIN LATERAL ({looked_up}) AS known"
    values = " CROSS JOIN ".join(f"json_each(%s) AS {name}" for name in names)
    return f"SELECT {found} FROM {values} CROSS JOIN {table} AS known WHERE {condition}"


def several(values: Iterable[str]) -> Any:
    """One parameter of `probe`; days are given as ISO text."""
    if connection.vendor == "postgresql":
        return list(values)
    return msgspec.json.encode(list(values)).decode()


def _lines(columns: Columns, rows: Iterable[Row]) -> Iterator[str]:
    """Write rows as COPY reads them (PostgreSQL manual, COPY, text format)."""
    prefix = "".join(f"{_copied(value)}\t" for value in columns.same.values())
    tabs = len(columns.texts) - 1
    for texts, others in rows:
        text = "\t".join(texts)
        if "\\" in text or "\n" in text or "\r" in text or text.count("\t") != tabs:
            text = "\t".join(map(_escaped, texts))
        other = "\t".join(["\\N" if value is None else str(value) for value in others])
        yield f"{prefix}{text}\t{other}\n"


def _copied(value: Any) -> str:
    return "\\N" if value is None else _escaped(str(value))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _literals(cursor: Any, values: Iterable[Any]) -> list[str]:
    """Values as SQLite writes them into SQL: what is the same in each row is not bound to each of them."""
    adapted = [_adapted(value) for value in values]
    cursor.execute(f"SELECT {', '.join(['quote(%s)'] * len(adapted))}", adapted)
    return [literal.replace("%", "%%") for literal in cursor.fetchone()]


def _adapted(value: Any) -> Any:
    """A value as the database's driver takes it through Django."""
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    if isinstance(value, date):
        return connection.ops.adapt_datefield_value(value)
    return value
