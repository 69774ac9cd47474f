"""Files handed to a run or staged for one: sealed while they wait, opened for the plugin that reads them."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence

from kvit.kernel.sealing import Place
from kvit.plugin import SourceFile
from kvit.sync.models import HandedFile, StatementImport, SyncHistory
from kvit.users.keys import key_ring
from kvit.users.models import Organization


def keep(run: SyncHistory, handed: Sequence[SourceFile]) -> None:
    """Store the files of a run, sealed."""
    HandedFile.objects.bulk_create(_sealed(run.organization, handed, run=run))


def stage(statement_import: StatementImport, handed: Sequence[SourceFile]) -> None:
    """Store the files of an import that nobody has confirmed yet, sealed."""
    rows = _sealed(statement_import.organization, handed, statement_import=statement_import)
    HandedFile.objects.bulk_create(rows)


def handed_to(run: SyncHistory) -> tuple[SourceFile, ...]:
    """Open the files of a run. Raises KeyMissing or SealBroken."""
    return tuple(map(opened, run.files.select_related("organization").order_by("id")))


def opened(row: HandedFile) -> SourceFile:
    """Open a file, with what people said about it. Raises KeyMissing or SealBroken."""
    return SourceFile(
        name=row.name,
        data=content_of(row),
        account=row.account,
        currency=row.currency,
        profile=row.profile,
    )


def content_of(row: HandedFile) -> bytes:
    """Return the content of a file. Raises KeyMissing or SealBroken."""
    return key_ring(row.organization).open(bytes(row.sealed), _place(row))


def _sealed(
    organization: Organization,
    handed: Sequence[SourceFile],
    *,
    run: SyncHistory | None = None,
    statement_import: StatementImport | None = None,
) -> list[HandedFile]:
    if not handed:
        return []
    keys = key_ring(organization)
    rows = []
    for file in handed:
        row = HandedFile(
            organization=organization,
            run=run,
            statement_import=statement_import,
            uid=uuid.uuid4(),
            name=file.name[:255],
            sha256=hashlib.sha256(file.data).hexdigest(),
            account=file.account,
            currency=file.currency,
            profile=file.profile,
        )
        row.sealed = keys.seal(file.data, _place(row))
        rows.append(row)
    return rows


def _place(row: HandedFile) -> Place:
    return Place("sync_handedfile", "sealed", row.organization.uid, str(row.uid))
