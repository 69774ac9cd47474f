"""The source's own records, kept sealed: one payload for all records that were written together."""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import msgspec

from kvit.kernel.sealing import KeyRing, Place
from kvit.ledger import bulk
from kvit.ledger.models import BankAccount, MoneyTransaction, RawPayload

_FAST: Final = 1
_WORTH_A_THREAD: Final = 500


@contextmanager
def keeping(
    account: BankAccount, raws: Sequence[Any], keys: KeyRing, *, run_id: int | None, now: datetime
) -> Iterator[int]:
    """Compress records beside what the block does, store them sealed at its end; yield the payload's id.

    A record's position in the payload is its position in `raws`.
    """
    (payload_id,) = bulk.reserve_ids(RawPayload._meta.db_table, 1)
    payload = RawPayload(
        pk=payload_id, organization=account.organization, uid=uuid.uuid4(), run_id=run_id, created_at=now
    )
    if len(raws) < _WORTH_A_THREAD:
        yield payload_id
        compressed = _compressed(raws)
    else:
        with ThreadPoolExecutor(1, "compressing") as thread:
            compressing = thread.submit(_compressed, raws)
            yield payload_id
            compressed = compressing.result()
    payload.sealed = keys.seal(compressed, _place(payload))
    payload.save(force_insert=True)


def raw_record(transaction: MoneyTransaction, keys: KeyRing) -> Any:
    """Return the source's own record of a movement, or None where it is no longer kept.

    Raises KeyMissing or SealBroken.
    """
    payload = transaction.raw_payload
    if payload is None or not payload.sealed:
        return None
    records = msgspec.json.decode(zlib.decompress(keys.open(bytes(payload.sealed), _place(payload))))
    return records.get(str(transaction.raw_position))


def _place(payload: RawPayload) -> Place:
    return Place("ledger_rawpayload", "sealed", payload.organization.uid, str(payload.uid))


def _compressed(raws: Sequence[Any]) -> bytes:
    return zlib.compress(_as_json(raws), _FAST)


def _as_json(raws: Sequence[Any]) -> bytes:
    """Write position -> record; what JSON cannot hold is written as Python shows it."""
    try:
        return msgspec.json.encode(dict(enumerate(raws)), enc_hook=repr)
    except (TypeError, ValueError):
        return msgspec.json.encode({position: repr(raw) for position, raw in enumerate(raws)})
