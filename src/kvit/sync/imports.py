"""Imports of statement files: staged, looked at, and confirmed or discarded as a whole by a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.utils import timezone

from kvit.audit.recording import SYSTEM, Actor, Change, changed, created, record
from kvit.kernel.errors import Misconfigured, Refused, Stale
from kvit.plugin import SourceFile
from kvit.sync import connections, files
from kvit.sync.looking import FileLook, StatementLook, looked
from kvit.sync.models import HandedFile, StatementImport, SyncHistory
from kvit.sync.profiles import delete_profile, fitting, profiles_of, save_profile, with_profiles
from kvit.users.models import Organization

__all__ = [
    "FileLook",
    "StatementLook",
    "confirm",
    "delete_profile",
    "describe",
    "discard",
    "discard_old",
    "drop",
    "fitting",
    "look",
    "preview",
    "profiles_of",
    "save_profile",
    "stage",
    "with_profiles",
]

MOST_FILES: Final = 100
LARGEST_FILE_BYTES: Final = 64 * 1024 * 1024
LARGEST_IMPORT_BYTES: Final = 256 * 1024 * 1024
KEPT_UNCONFIRMED: Final = timedelta(days=7)

_WAITING: Final = StatementImport.State.WAITING
_CONFIRMED: Final = StatementImport.State.CONFIRMED
_DISCARDED: Final = StatementImport.State.DISCARDED


def stage(organization: Organization, handed: Sequence[SourceFile], *, actor: Actor) -> StatementImport:
    """Keep files, sealed, until somebody confirms or discards them; nothing of them is in the ledger yet.

    A CSV file whose columns one saved profile fits gets that profile. Raises Refused where there are no
    files, too many or too large ones, or empty ones.
    """
    _require_sizes(handed)
    handed = with_profiles(organization, handed)
    with transaction.atomic():
        row = StatementImport.objects.create(
            organization=organization, created_at=timezone.now(), created_by=actor.name
        )
        files.stage(row, handed)
        record(organization, actor, [created(row)])
    return row


def look(statement_import: StatementImport) -> tuple[FileLook, ...]:
    """Return what confirming would bring, file by file; nothing is written.

    Raises SealError where the files cannot be opened, and PluginUnavailable.
    """
    return looked(statement_import.organization, _opened(statement_import))


def preview(organization: Organization, handed: Sequence[SourceFile]) -> tuple[FileLook, ...]:
    """Return what importing these files would bring, without staging them; nothing is written.

    Raises PluginUnavailable, and Refused as `stage` does.
    """
    _require_sizes(handed)
    rows = [
        HandedFile(
            organization=organization,
            name=file.name,
            account=file.account,
            currency=file.currency,
            profile=file.profile,
        )
        for file in handed
    ]
    return looked(organization, zip(rows, handed, strict=True))


def describe(
    file: HandedFile, *, account: str = "", currency: str = "", profile: str = "", actor: Actor
) -> None:
    """Keep what a person says of a file that does not say it; the file's own word counts more.

    Raises Misconfigured naming the field that does not hold, and Stale where the import was confirmed or
    discarded meanwhile.
    """
    said = {"account": "".join(account.split()), "currency": currency.strip().upper(), "profile": profile}
    _require_sayable(said)
    with transaction.atomic():
        _hold(file.statement_import)
        before = {name: getattr(file, name) for name in said}
        for name, value in said.items():
            setattr(file, name, value)
        file.save(update_fields=list(said))
        record(file.organization, actor, [changed(file, before, said)])


def drop(file: HandedFile, *, actor: Actor) -> None:
    """Leave a file out of its import. Raises Stale where that was confirmed or discarded meanwhile."""
    with transaction.atomic():
        _hold(file.statement_import)
        key = file.pk
        file.delete()
        what = {"name": file.name, "sha256": file.sha256}
        table = HandedFile._meta.db_table
        record(file.organization, actor, [Change(table, key, what, None, "left out of the import")])


def confirm(statement_import: StatementImport, *, actor: Actor) -> SyncHistory:
    """Queue the one run that imports the files, and return it.

    Raises Refused where a file cannot be read or something must be said of it, where no file is left, or
    where another import is under way; and Stale where the import was confirmed or discarded already.
    """
    _require_waiting(statement_import)
    _require_ready(statement_import)
    connection = connections.statement_connection(statement_import.organization, actor=actor)
    try:
        with transaction.atomic():
            _hold(statement_import)
            run = SyncHistory.objects.create(
                organization=statement_import.organization,
                connection=connection,
                trigger=SyncHistory.Trigger.IMPORT,
                requested_by=actor.name,
            )
            _end(statement_import, _CONFIRMED, actor, run=run)
            statement_import.files.update(run=run)
            return run
    except IntegrityError:
        raise Refused("Another import is under way. Try again when it has ended.") from None


def discard(statement_import: StatementImport, *, actor: Actor, reason: str = "") -> None:
    """Throw the files of an import away; their names stay readable.

    Raises Stale where it was confirmed or discarded already.
    """
    with transaction.atomic():
        _hold(statement_import)
        _end(statement_import, _DISCARDED, actor, reason=reason)
        statement_import.files.update(sealed=b"")


def discard_old(now: datetime) -> int:
    """Discard the imports that nobody confirmed in a week. Return how many."""
    old = StatementImport.objects.filter(state=_WAITING, created_at__lt=now - KEPT_UNCONFIRMED)
    for row in old.select_related("organization"):
        discard(row, actor=SYSTEM, reason="not confirmed in a week")
    return len(old)


def _opened(statement_import: StatementImport) -> Iterator[tuple[HandedFile, SourceFile]]:
    """Open the files one after another: all at once might not fit into memory."""
    for row in statement_import.files.select_related("organization").order_by("id"):
        yield row, files.opened(row)


def _require_sizes(handed: Sequence[SourceFile]) -> None:
    if not handed:
        raise Refused("Choose at least one file.")
    if len(handed) > MOST_FILES:
        raise Refused(
            "These are {count} files; import at most {most} at once.", count=len(handed), most=MOST_FILES
        )
    for file in handed:
        if not file.data:
            raise Refused("{file}: The file is empty.", file=file.name)
        if len(file.data) > LARGEST_FILE_BYTES:
            raise Refused(
                "{file}: The file is larger than {most} MB. Export a shorter period.",
                file=file.name,
                most=LARGEST_FILE_BYTES >> 20,
            )
    if sum(len(file.data) for file in handed) > LARGEST_IMPORT_BYTES:
        raise Refused(
            "The files are larger than {most} MB together. Import them in parts.",
            most=LARGEST_IMPORT_BYTES >> 20,
        )


def _require_sayable(said: dict[str, str]) -> None:
    if len(said["account"]) > 64:
        raise Misconfigured("An account number has at most 64 characters.", field="account")
    currency = said["currency"]
    if currency and not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
        raise Misconfigured("A currency is three letters, such as CZK.", field="currency")


def _require_ready(statement_import: StatementImport) -> None:
    """Raise Refused naming the files that stand in the way."""
    looks = looked(statement_import.organization, _opened(statement_import), judge=False)
    if not looks:
        raise Refused("No file is left in this import.")
    names = [one.file.name for one in looks if not one.is_ready]
    if names:
        raise Refused("Say what these files need, or leave them out: {files}.", files=", ".join(names))


def _require_waiting(statement_import: StatementImport) -> None:
    state = StatementImport.objects.values_list("state", flat=True).get(pk=statement_import.pk)
    if state == _CONFIRMED:
        raise Stale("This import was confirmed already.")
    if state == _DISCARDED:
        raise Stale("This import was discarded already.")


def _hold(statement_import: StatementImport | None) -> None:
    """Keep the import as it is until the transaction ends. Raises Stale where it waits no more."""
    if statement_import is None:
        raise Stale("This import was confirmed already.")
    StatementImport.objects.select_for_update().get(pk=statement_import.pk)
    _require_waiting(statement_import)


def _end(
    statement_import: StatementImport,
    state: StatementImport.State,
    actor: Actor,
    *,
    run: SyncHistory | None = None,
    reason: str = "",
) -> None:
    before = {"state": _WAITING, "run_id": None}
    after = {"state": state, "run_id": run.pk if run else None}
    StatementImport.objects.filter(pk=statement_import.pk).update(**after)
    record(statement_import.organization, actor, [changed(statement_import, before, after, reason=reason)])
    statement_import.state, statement_import.run = state, run
