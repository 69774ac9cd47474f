"""The hash chain over the audit: made some time after the entries, so that writers never wait for each other.

A seal covers a range of entries and everything before it: its digest is SHA-256 over the seal before and over
the digest of each of its entries, so that the newest one, the head, stands for the whole audit. Whoever keeps
a head outside the database can show later that nothing before it was changed.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from django.db import OperationalError, connection, transaction
from django.db.models import Max

from kvit.audit.faults import Fault
from kvit.audit.models import AuditEntry, AuditSeal

ENTRIES_IN_A_SEAL: Final = 1000
MOST_AT_ONCE: Final = 50_000
"""How many entries one call seals at most, so that a worker soon returns to its runs."""

_ENTRIES: Final = AuditEntry._meta.db_table
_SEALS: Final = AuditSeal._meta.db_table
_COLUMNS: Final = tuple(column.attname for column in AuditEntry._meta.concrete_fields)
_KEPT: Final = struct.Struct(">Q8s")
"""How `AuditSeal.digests` holds one entry."""
_SEALER: Final = 0x6B766974
"""The number of the advisory lock that sealers on PostgreSQL take turns by."""
_LOCK_NOT_AVAILABLE: Final = "55P03"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The chain as it was found: the digest of its newest seal, and how many entries it covers or not yet."""

    head: str = ""
    seals: int = 0
    sealed: int = 0
    unsealed: int = 0


def seal(now: datetime, *, most: int = MOST_AT_ONCE) -> int:
    """Seal entries that no seal covers yet, about so many at most, and return how many that were.

    Any number of processes may do this at once. Call it outside a transaction. On PostgreSQL, nothing is
    sealed this time where transactions that write entries do not end within half a second.
    """
    until = _last_settled_id()
    total = 0
    while total < most:
        link = _next_link(until, now)
        if link is None or not _append(link):
            break
        total += len(link.digests) // _KEPT.size
    return total


def head() -> str:
    """Return the digest of the newest seal, empty where there is none."""
    newest = _newest()
    return newest.digest if newest else ""


def check(report: Callable[[Fault], object], known_head: str = "") -> Chain:
    """Recompute the chain and report every entry and every seal that does not fit it.

    `known_head` is a digest that one of the seals must have; empty for none.
    """
    earlier: AuditSeal | None = None
    seals = sealed = 0
    has_head = not known_head
    for link in AuditSeal.objects.order_by("last_id").iterator(100):
        entries = _digests(link.first_id, link.last_id)
        for fault in _faults(link, earlier, entries):
            report(fault)
        has_head = has_head or link.digest == known_head
        seals, sealed, earlier = seals + 1, sealed + len(entries), link
    if not has_head:
        problem = f"no seal has the digest {known_head}: what it covered was changed or removed"
        report(Fault(_SEALS, 0, problem))
    unsealed = AuditEntry.objects.filter(id__gt=earlier.last_id if earlier else 0).count()
    return Chain(head=earlier.digest if earlier else "", seals=seals, sealed=sealed, unsealed=unsealed)


def _last_settled_id() -> int:
    """Return an id below which no entry can appear any more.

    SQLite has one writer at a time and gives ids in the order of commits. On PostgreSQL an id is taken before
    its transaction commits: whoever holds one keeps us from the lock, and nobody else takes one meanwhile.
    """
    if connection.vendor != "postgresql":
        return _last_id()
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '500ms'")
            cursor.execute(f"LOCK TABLE {_ENTRIES} IN SHARE MODE")
            return _last_id()
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") == _LOCK_NOT_AVAILABLE:
            return 0
        raise


def _last_id() -> int:
    last: int | None = AuditEntry.objects.aggregate(last=Max("id"))["last"]
    return last or 0


def _next_link(until: int, now: datetime) -> AuditSeal | None:
    """Make the seal that follows the newest one, or none where no entry waits for one."""
    newest = _newest()
    first, previous = (newest.last_id + 1, newest.digest) if newest else (1, "")
    entries = _digests(first, until, at_most=ENTRIES_IN_A_SEAL)
    if not entries:
        return None
    return AuditSeal(
        first_id=first,
        last_id=max(entries),
        digests=b"".join(_KEPT.pack(key, digest) for key, digest in entries.items()),
        previous=previous,
        digest=_digest_of(previous, entries),
        sealed_at=now,
    )


def _append(link: AuditSeal) -> bool:
    """Store the seal, unless another sealer has been faster."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_SEALER])
        if head() != link.previous:
            return False
        link.save(force_insert=True)
        return True


def _newest() -> AuditSeal | None:
    return AuditSeal.objects.order_by("-last_id").first()


def _digests(first: int, last: int, at_most: int | None = None) -> dict[int, bytes]:
    """Return the digest of each entry between two ids, both inclusive, in order of id."""
    rows = AuditEntry.objects.filter(id__range=(first, last)).order_by("id").values(*_COLUMNS)
    return {row["id"]: _digest_of_entry(row) for row in rows[:at_most]}


def _digest_of_entry(row: dict[str, Any]) -> bytes:
    """SHA-256 of an entry as JSON that is the same on every database: keys in order, times in UTC."""
    at: datetime = row["at"]
    told = row | {"at": at.astimezone(UTC).isoformat(timespec="microseconds")}
    return sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).digest()


def _digest_of(previous: str, entries: Mapping[int, bytes]) -> str:
    chained = sha256(previous.encode())
    for key, digest in entries.items():
        chained.update(key.to_bytes(8) + digest)
    return chained.hexdigest()


def _faults(link: AuditSeal, earlier: AuditSeal | None, entries: Mapping[int, bytes]) -> Iterator[Fault]:
    """Compare one seal with the seal before it and with the entries of its range."""
    yield from _breaks(link, earlier)
    kept = bytes(link.digests)
    if len(kept) % _KEPT.size:
        yield Fault(_SEALS, link.pk, "its digests cannot be read")
        return
    sealed = dict(_KEPT.iter_unpack(kept))
    altered = list(_altered(sealed, entries, f"{link.sealed_at:%Y-%m-%d %H:%M} UTC"))
    yield from altered
    if not altered and (_digest_of(link.previous, entries) != link.digest or max(sealed) != link.last_id):
        yield Fault(_SEALS, link.pk, f"does not fit the entries {link.first_id}–{link.last_id}")


def _breaks(link: AuditSeal, earlier: AuditSeal | None) -> Iterator[Fault]:
    expected = earlier.last_id + 1 if earlier else 1
    if link.first_id != expected:
        yield Fault(
            _SEALS,
            link.pk,
            f"begins at entry {link.first_id}, not at {expected}: a seal before it was removed or changed",
        )
    elif link.previous != (earlier.digest if earlier else ""):
        yield Fault(_SEALS, link.pk, "does not go on from the seal before it: one of the two was changed")


def _altered(sealed: Mapping[int, bytes], entries: Mapping[int, bytes], when: str) -> Iterator[Fault]:
    """Name the entries that are not what was sealed."""
    for key in sorted(sealed.keys() | entries.keys()):
        if key not in entries:
            yield Fault(_ENTRIES, key, f"is gone, and was sealed on {when}")
        elif key not in sealed:
            yield Fault(_ENTRIES, key, f"was added to what was sealed on {when}")
        elif not entries[key].startswith(sealed[key]):
            yield Fault(_ENTRIES, key, f"was changed after it was sealed on {when}")
