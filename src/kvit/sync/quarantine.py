"""Records that cannot be read: put aside one by one, sealed, with the reason."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from django.utils import timezone

from kvit.kernel.errors import RecordError
from kvit.kernel.sealing import KeyRing, Place
from kvit.plugin import Transaction, Unreadable
from kvit.sync.models import QuarantinedRecord, SyncHistory
from kvit.sync.redaction import Redactor


def unreadable(item: Transaction, error: RecordError) -> Unreadable:
    """Describe a transaction that does not hold together."""
    return Unreadable(
        reason=str(error),
        account_id=str(item.account_id),
        external_id=str(item.external_id),
        field=error.field or "",
        raw=item.raw,
    )


def put_aside(run: SyncHistory, items: Sequence[Unreadable], keys: KeyRing, redactor: Redactor) -> set[str]:
    """Keep what could not be read and return the digests; the same record with the same fault is kept once.

    What was resolved and is unreadable again is open again.
    """
    rows = [_row(run, item, keys, redactor) for item in items]
    digests = {row.digest for row in rows}
    again = QuarantinedRecord.objects.filter(connection=run.connection, digest__in=digests)
    again.filter(resolved_at__isnull=False).update(resolved_at=None, resolved_run_id=None)
    QuarantinedRecord.objects.bulk_create(rows, ignore_conflicts=True)
    return digests


def resolve(origin: SyncHistory, *, by: SyncHistory, still_bad: Collection[str]) -> int:
    """Close what a run had set aside and its replay could read. Return how many records that were."""
    readable = origin.quarantined_records.filter(resolved_at__isnull=True).exclude(digest__in=still_bad)
    return readable.update(resolved_at=timezone.now(), resolved_run_id=by.pk)


def _row(run: SyncHistory, item: Unreadable, keys: KeyRing, redactor: Redactor) -> QuarantinedRecord:
    plain = _plain(item.raw)
    external_id, field, reason = (
        redactor.mask(str(text)) for text in (item.external_id, item.field, item.reason)
    )
    uid = uuid.uuid4()
    place = Place("sync_quarantinedrecord", "sealed", run.organization.uid, str(uid))
    identity = redactor.mask(f"{item.account_id}|{external_id}|{field}|{reason}|").encode() + plain
    return QuarantinedRecord(
        organization=run.organization,
        connection=run.connection,
        run=run,
        uid=uid,
        digest=hashlib.sha256(identity).hexdigest(),
        external_id=external_id[:255],
        field=field[:60],
        reason=reason,
        sealed=keys.seal(plain, place),
    )


def _plain(raw: Any) -> bytes:
    """Write the record as JSON, or as a JSON text of what Python shows where it is no JSON at all."""
    try:
        return msgspec.json.encode(raw, enc_hook=_text)
    except (TypeError, ValueError):
        return msgspec.json.encode(ascii(raw))


def _text(value: Any) -> str:
    """Whatever a broken record holds is kept as text."""
    return repr(value)
