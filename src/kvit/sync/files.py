"""Files handed to a run: sealed while they wait, opened for the plugin that reads them."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence

from kvit.kernel.sealing import Place
from kvit.plugin import SourceFile
from kvit.sync.models import HandedFile, SyncHistory
from kvit.users.keys import key_ring


def keep(run: SyncHistory, handed: Sequence[SourceFile]) -> None:
    """Store the files of a run, sealed."""
    if not handed:
        return
    keys = key_ring(run.organization)
    rows = [
        HandedFile(
            run=run, uid=uuid.uuid4(), name=file.name[:255], sha256=hashlib.sha256(file.data).hexdigest()
        )
        for file in handed
    ]
    for row, file in zip(rows, handed, strict=True):
        row.sealed = keys.seal(file.data, _place(row))
    HandedFile.objects.bulk_create(rows)


def handed_to(run: SyncHistory) -> tuple[SourceFile, ...]:
    """Open the files of a run. Raises KeyMissing or SealBroken."""
    rows = list(run.files.order_by("id"))
    if not rows:
        return ()
    keys = key_ring(run.organization)
    return tuple(SourceFile(name=row.name, data=keys.open(bytes(row.sealed), _place(row))) for row in rows)


def _place(row: HandedFile) -> Place:
    return Place("sync_handedfile", "sealed", row.run.organization.uid, str(row.uid))
