"""The one path by which movements enter the ledger: stage, compare, update, insert and audit as sets.

Everything happens in the caller's transaction. Posting the same movements again changes nothing; other facts
about a booked movement become a conflict for a person, never an update.
"""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import msgspec
from django.db import connection
from django.utils import timezone

from kvit.audit.recording import Actor, Change, record
from kvit.kernel.sealing import KeyRing, Place
from kvit.ledger.models import BankAccount, MoneyTransaction, RawPayload
from kvit.ledger.movements import Movement

FACTS: Final = ("amount_minor", "currency", "booked_on")
"""What a booked movement never changes silently."""
DETAILS: Final = (
    "status",
    "type",
    "value_on",
    "counterparty_name",
    "counterparty_account",
    "counterparty_bank",
    "variable_symbol",
    "constant_symbol",
    "specific_symbol",
    "message",
    "reference",
)
"""What a source may complete later; each change is audited."""

AUDITED_AT_FIRST: Final = (*FACTS, "status", "variable_symbol")
"""What the entry of a new movement tells; the movement holds the rest, and later entries every change."""

_TABLE: Final = "ledger_moneytransaction"
_COLUMNS: Final = Movement._fields[:-1]
_COMPARED: Final = (*FACTS, *DETAILS)
_ANALYZE_FROM: Final = 2000
_FAST: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """Exact counts of what posting did; their sum is the number of movements given."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    conflicting: int = 0

    def __add__(self, other: Posted) -> Posted:
        return Posted(
            created=self.created + other.created,
            updated=self.updated + other.updated,
            unchanged=self.unchanged + other.unchanged,
            conflicting=self.conflicting + other.conflicting,
        )


def post(
    account: BankAccount, source: str, movements: Sequence[Movement], *, actor: Actor, keys: KeyRing
) -> Posted:
    """Store each movement exactly once under (organization, source, external_id) and audit every change.

    Call it inside a transaction. A movement given twice counts as unchanged the second time, or as a
    conflict where the two disagree. Raises RuntimeError outside a transaction.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("Movements are posted in the transaction of their run.")
    BankAccount.objects.select_for_update().get(pk=account.pk)
    posted = Posted()
    while movements:
        wave, movements = _first_of_each_id(movements)
        posted += _Wave(account, source, wave, actor, keys).post()
    return posted


def release(account: BankAccount, source: str, external_ids: Iterable[str], *, actor: Actor) -> int:
    """Remove pending movements that the source says are gone; booked ones stay. Return how many."""
    rows = MoneyTransaction.objects.filter(
        organization=account.organization_id,
        source=source,
        external_id__in=list(external_ids),
        status=MoneyTransaction.Status.PENDING,
    )
    changes = [
        Change(_TABLE, row.pk, {name: getattr(row, name) for name in _COMPARED}, None, "gone at the source")
        for row in rows.select_for_update()
    ]
    rows.filter(pk__in=[change.object_id for change in changes]).delete()
    record(account.organization, actor, changes)
    return len(changes)


def raw_record(transaction: MoneyTransaction, keys: KeyRing) -> Any:
    """Return the source's own record of a movement, or None where it is no longer kept.

    Raises KeyMissing or SealBroken.
    """
    payload = transaction.raw_payload
    if payload is None:
        return None
    plain = zlib.decompress(keys.open(bytes(payload.sealed), _place(payload)))
    records = msgspec.json.decode(plain)
    return records.get(str(transaction.raw_position))


def _first_of_each_id(movements: Sequence[Movement]) -> tuple[list[Movement], list[Movement]]:
    """Split off later movements with an id seen before; they are posted after the first ones."""
    first: list[Movement] = []
    later: list[Movement] = []
    seen: set[str] = set()
    for movement in movements:
        (later if movement.external_id in seen else first).append(movement)
        seen.add(movement.external_id)
    return first, later


def _place(payload: RawPayload) -> Place:
    return Place("ledger_rawpayload", "sealed", payload.organization.uid, str(payload.uid))


class _Wave:
    """One set of movements with distinct ids on its way into the ledger."""

    def __init__(
        self, account: BankAccount, source: str, movements: Sequence[Movement], actor: Actor, keys: KeyRing
    ) -> None:
        self.account = account
        self.movements = movements
        self.keys = keys
        self.now = timezone.now()
        self.values: dict[str, Any] = {
            "organization": account.organization_id,
            "account": account.pk,
            "source": source,
            "now": _timestamp(self.now),
            "run": actor.run_id,
            "actor": actor.name,
            "request": actor.request_id,
            "payload": None,
        }

    def post(self) -> Posted:
        with connection.cursor() as self.cursor:
            self._stage()
            self._compare()
            counts = self._counts()
            if counts.created or counts.updated:
                self.values["payload"] = self._keep_raw()
            if counts.updated:
                self._audit_updates()
                self._update()
            if counts.created:
                self._insert()
                self._audit_inserts()
            if counts.conflicting:
                self._record_conflicts()
            self._drop()
        return replace(counts, unchanged=len(self.movements) - _changes(counts))

    def _stage(self) -> None:
        self._drop()
        self.cursor.execute(
            "CREATE TEMPORARY TABLE posting_stage (position integer PRIMARY KEY, external_id text NOT NULL,"
            " status text NOT NULL, type text NOT NULL, amount_minor bigint NOT NULL,"
            " currency text NOT NULL, booked_on date NOT NULL, value_on date,"
            " counterparty_name text NOT NULL, counterparty_account text NOT NULL,"
            " counterparty_bank text NOT NULL, variable_symbol text NOT NULL,"
            " constant_symbol text NOT NULL, specific_symbol text NOT NULL, message text NOT NULL,"
            " reference text NOT NULL)"
        )
        if connection.vendor == "postgresql":
            self._copy()
            self._tell_the_planner("posting_stage")
        else:
            marks = ", ".join(["%s"] * (len(_COLUMNS) + 1))
            self.cursor.executemany(
                f"INSERT INTO posting_stage (position, {', '.join(_COLUMNS)}) VALUES ({marks})",
                [
                    (position, *row[:5], str(row[5]), None if row[6] is None else str(row[6]), *row[7:-1])
                    for position, row in enumerate(self.movements)
                ],
            )

    def _copy(self) -> None:
        with self.cursor.copy(f"COPY posting_stage (position, {', '.join(_COLUMNS)}) FROM STDIN") as copy:
            for position, row in enumerate(self.movements):
                copy.write_row((position, *row[:-1]))

    def _tell_the_planner(self, table: str) -> None:
        """PostgreSQL knows nothing about a new table and would join a large one row by row."""
        if connection.vendor == "postgresql" and len(self.movements) >= _ANALYZE_FROM:
            self.cursor.execute(f"ANALYZE {table}")

    def _compare(self) -> None:
        """Keep what is new or different, and give the new ones their ids.

        A booked movement that comes back as pending stays booked.
        """
        self._run(
            "CREATE TEMPORARY TABLE posting_diff AS"
            f" SELECT stage.position, COALESCE(known.id, {self._next_id()}) AS id,"
            "  CASE WHEN known.id IS NULL THEN 'create'"
            f"  WHEN known.status = 'booked' AND ({_differs(FACTS)}) THEN 'conflict'"
            "  WHEN known.status = 'booked' AND stage.status = 'pending' THEN 'same'"
            "  ELSE 'update' END AS act"
            f" FROM posting_stage stage LEFT JOIN {_TABLE} known"
            "  ON known.organization_id = %(organization)s AND known.source = %(source)s"
            "  AND known.external_id = stage.external_id"
            f" WHERE known.id IS NULL OR {_differs(_COMPARED)}"
        )
        self._tell_the_planner("posting_diff")

    def _next_id(self) -> str:
        """SQL for a fresh id of the ledger's table; on SQLite this transaction holds the only write lock."""
        if connection.vendor == "postgresql":
            return f"nextval(pg_get_serial_sequence('{_TABLE}', 'id'))"
        last = f"SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = '{_TABLE}'"
        return f"({last}) + stage.position + 1"

    def _counts(self) -> Posted:
        self.cursor.execute("SELECT act, count(*) FROM posting_diff GROUP BY act")
        counts = dict(self.cursor.fetchall())
        return Posted(
            created=counts.get("create", 0),
            updated=counts.get("update", 0),
            conflicting=counts.get("conflict", 0),
        )

    def _keep_raw(self) -> int:
        """Seal the source's records of new and updated movements as one payload."""
        self.cursor.execute("SELECT position FROM posting_diff WHERE act IN ('create', 'update')")
        records = {str(position): self.movements[position].raw for (position,) in self.cursor.fetchall()}
        payload = RawPayload(
            organization=self.account.organization,
            uid=uuid.uuid4(),
            run_id=self.values["run"],
            created_at=self.now,
        )
        plain = zlib.compress(_as_json(records), _FAST)
        payload.sealed = self.keys.seal(plain, _place(payload))
        payload.save(force_insert=True)
        return payload.pk

    def _insert(self) -> None:
        self._run(
            f"INSERT INTO {_TABLE} (id, organization_id, account_id, source, {', '.join(_COLUMNS)},"
            "  raw_payload_id, raw_position, run_id, settled_minor, created_at, changed_at,"
            "  fingerprint, is_bank_id)"
            f" SELECT diff.id, %(organization)s, %(account)s, %(source)s, {_listed('stage', _COLUMNS)},"
            "  %(payload)s, diff.position, %(run)s, 0, %(now)s, %(now)s, '', FALSE"
            " FROM posting_diff diff JOIN posting_stage stage ON stage.position = diff.position"
            " WHERE diff.act = 'create' ORDER BY diff.position"
        )

    def _update(self) -> None:
        assignments = ", ".join(f"{name} = stage.{name}" for name in _COMPARED)
        self._run(
            f"UPDATE {_TABLE} SET {assignments}, raw_payload_id = %(payload)s,"
            "  raw_position = diff.position, changed_at = %(now)s"
            " FROM posting_diff diff JOIN posting_stage stage ON stage.position = diff.position"
            f" WHERE diff.act = 'update' AND {_TABLE}.id = diff.id"
        )

    def _audit_inserts(self) -> None:
        self._audit(
            "created",
            before="NULL",
            after=_json_of("stage", AUDITED_AT_FIRST),
            rows="posting_diff diff JOIN posting_stage stage ON stage.position = diff.position"
            " WHERE diff.act = 'create' ORDER BY diff.position",
        )

    def _audit_updates(self) -> None:
        self._audit(
            "changed",
            before=_json_of("known", _COMPARED),
            after=_json_of("stage", _COMPARED),
            rows=f"posting_diff diff JOIN posting_stage stage ON stage.position = diff.position"
            f" JOIN {_TABLE} known ON known.id = diff.id WHERE diff.act = 'update' ORDER BY diff.position",
        )

    def _audit(self, action: str, *, before: str, after: str, rows: str) -> None:
        self._run(
            "INSERT INTO audit_auditentry (organization_id, at, actor, run_id, request_id,"
            f' "table", object_id, action, reason, before, after)'
            " SELECT %(organization)s, %(now)s, %(actor)s, %(run)s, %(request)s,"
            f"  '{_TABLE}', diff.id, '{action}', '', {before}, {after} FROM {rows}"
        )

    def _record_conflicts(self) -> None:
        """Keep what the source says now; saying the same again adds nothing."""
        self._run(
            "INSERT INTO ledger_transactionconflict (organization_id, transaction_id, run_id,"
            "  amount_minor, currency, booked_on, created_at, resolved_by)"
            " SELECT %(organization)s, diff.id, %(run)s, stage.amount_minor, stage.currency,"
            "  stage.booked_on, %(now)s, ''"
            " FROM posting_diff diff JOIN posting_stage stage ON stage.position = diff.position"
            " WHERE diff.act = 'conflict'"
            " ON CONFLICT (transaction_id, amount_minor, currency, booked_on) DO NOTHING"
        )

    def _run(self, sql: str) -> None:
        """Execute with this wave's values; sqlite3 and psycopg both take them by name."""
        self.cursor.execute(sql, {name: value for name, value in self.values.items() if f"%({name})s" in sql})

    def _drop(self) -> None:
        self.cursor.execute("DROP TABLE IF EXISTS posting_stage")
        self.cursor.execute("DROP TABLE IF EXISTS posting_diff")


def _as_json(records: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Write the source's records; what JSON cannot hold is written as Python shows it."""
    try:
        return msgspec.json.encode(records, enc_hook=repr)
    except (TypeError, ValueError):
        return msgspec.json.encode({position: repr(raw) for position, raw in records.items()})


def _changes(counts: Posted) -> int:
    return counts.created + counts.updated + counts.conflicting


def _differs(columns: Iterable[str]) -> str:
    return "(" + " OR ".join(f"known.{name} IS DISTINCT FROM stage.{name}" for name in columns) + ")"


def _listed(table: str, columns: Iterable[str]) -> str:
    return ", ".join(f"{table}.{name}" for name in columns)


def _json_of(table: str, columns: Iterable[str]) -> str:
    function = "jsonb_build_object" if connection.vendor == "postgresql" else "json_object"
    return f"{function}({', '.join(f"'{name}', {table}.{name}" for name in columns)})"


def _timestamp(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)
