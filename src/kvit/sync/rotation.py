"""Change of keys while Kvit runs: wrap data keys anew, seal every stored secret anew with a new data key.

It works in short transactions and replaces only what nobody changed meanwhile, so that it may be killed at
any point, run twice at once, and run beside workers and pages. A value sealed with an older key opens as
long as that key's row exists, retired or not; rows of keys are never removed. The audit tells what happens
to keys; the secrets behind the envelopes stay the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.db import transaction
from django.utils import timezone

from kvit.audit.recording import Actor, Change, record
from kvit.kernel.errors import SealError
from kvit.kernel.sealing import KeyRing
from kvit.users.keys import (
    RING_SECONDS,
    data_keys,
    key_ring,
    master_key_ids,
    new_data_key,
    require_master_keys,
    rewrapped,
)
from kvit.users.models import DataKey, Organization
from kvit.users.sealed import SealedTable, SealedValue, sealed_tables

BATCH_VALUES: Final = 100
BATCH_BYTES: Final = 4 * 1024 * 1024
"""Other writers wait no longer than for writing these."""
MOST_PASSES: Final = 5


@dataclass(slots=True)
class Rotation:
    """What came of rotating one organization's data key."""

    organization: Organization
    key_id: str
    """The key that seals now."""
    is_new: bool = False
    """Whether it was made now; else an earlier rotation was continued."""
    resealed: int = 0
    retired: list[str] = field(default_factory=list)
    """Ids of the keys that seal nothing any more."""
    unreadable: list[str] = field(default_factory=list)
    """Values that no key opens, as `table pk`; they were left as they are."""
    left: int = 0
    """Values that others went on sealing with an older key; the next rotation takes them."""


def rewrap(*, actor: Actor) -> int:
    """Wrap every data key under the active master key and return how many were wrapped anew.

    Raises KeyMissing before anything is written where a master key that is needed is not there.
    """
    require_master_keys()
    active_id = master_key_ids()[0]
    rows = DataKey.objects.select_related("organization").exclude(master_key_id=active_id)
    return sum(_rewrap(row, actor) for row in rows.order_by("id"))


def rotate(organizations: Iterable[Organization], *, actor: Actor) -> list[Rotation]:
    """Give each organization a new data key, seal all its stored secrets with it, retire the older keys.

    Where an earlier rotation was killed or left something behind, that one is finished and no key is made.
    An organization without a data key has no secrets and is left out.
    Raises KeyMissing before anything is written where a master key that is needed is not there.
    """
    require_master_keys()
    rotations = [_begun(organization, actor) for organization in organizations if data_keys(organization)]
    for rotation in rotations:
        _seal_anew(rotation)
    if any(rotation.is_new for rotation in rotations):
        time.sleep(2 * RING_SECONDS)  # by then every process seals with the new key
    for rotation in rotations:
        _finish(rotation, actor)
    return rotations


def _rewrap(row: DataKey, actor: Actor) -> bool:
    before = {"master_key_id": row.master_key_id}
    wrapped, master_key_id = rewrapped(row, row.organization)
    with transaction.atomic():
        unchanged = DataKey.objects.filter(pk=row.pk, wrapped=bytes(row.wrapped))
        if not unchanged.update(wrapped=wrapped, master_key_id=master_key_id):
            return False
        after = {"master_key_id": master_key_id}
        record(row.organization, actor, [_change(row, before, after, "keys rewrap")])
    return True


def _begun(organization: Organization, actor: Actor) -> Rotation:
    """Make the new key, unless an earlier rotation left something to do, which is done here."""
    rotation = Rotation(organization, data_keys(organization)[0].key_id)
    if not _older_in_use(organization):
        _seal_anew(rotation)
    if rotation.resealed:
        return rotation
    with transaction.atomic():
        Organization.objects.select_for_update().get(pk=organization.pk)
        if not _older_in_use(organization):
            row = new_data_key(organization)
            record(organization, actor, [_change(row, None, {"key_id": row.key_id}, "keys rotate")])
            rotation.is_new = True
        rotation.key_id = data_keys(organization)[0].key_id
    return rotation


def _older_in_use(organization: Organization) -> list[DataKey]:
    """The keys an unfinished rotation has still to retire."""
    return [row for row in data_keys(organization)[1:] if row.retired_at is None]


def _seal_anew(rotation: Rotation) -> None:
    """Go over all values until a pass finds none to seal anew; others may write the while."""
    for _number in range(MOST_PASSES):
        rotation.left = _pass(rotation)
        if not rotation.left:
            return


def _pass(rotation: Rotation) -> int:
    """Seal anew what other keys sealed and return how many values that was, some of them overtaken."""
    keys = key_ring(rotation.organization)
    rotation.key_id = keys.active.id
    rotation.unreadable.clear()
    return sum(_over_table(table, rotation, keys) for table in sealed_tables())


def _over_table(table: SealedTable, rotation: Rotation, keys: KeyRing) -> int:
    found, after = 0, 0
    while values := table.under_other_keys(
        rotation.organization,
        rotation.key_id,
        after=after,
        most_values=BATCH_VALUES,
        most_bytes=BATCH_BYTES,
    ):
        after = values[-1].pk
        envelopes = _sealed_anew(table, values, rotation, keys)
        found += len(envelopes)
        with transaction.atomic():
            rotation.resealed += sum(table.replace(value, envelope) for value, envelope in envelopes)
    return found


def _sealed_anew(
    table: SealedTable, values: Sequence[SealedValue], rotation: Rotation, keys: KeyRing
) -> list[tuple[SealedValue, bytes]]:
    envelopes = []
    for value in values:
        try:
            plain = keys.open(value.envelope, value.place)
        except SealError:
            rotation.unreadable.append(f"{table.name} {value.pk}")
        else:
            envelopes.append((value, keys.seal(plain, value.place)))
    return envelopes


def _finish(rotation: Rotation, actor: Actor) -> None:
    """Take what was sealed with an older key meanwhile, and retire the keys that hold nothing any more."""
    _seal_anew(rotation)
    if rotation.left:
        return
    for row in _older_in_use(rotation.organization):
        if _retire(row, rotation, actor):
            rotation.retired.append(row.key_id)


def _retire(row: DataKey, rotation: Rotation, actor: Actor) -> bool:
    now = timezone.now()
    with transaction.atomic():
        if not DataKey.objects.filter(pk=row.pk, retired_at__isnull=True).update(retired_at=now):
            return False
        reason = f"keys rotate: {rotation.resealed} values sealed with {rotation.key_id}"
        change = _change(row, {"retired_at": None}, {"retired_at": now}, reason)
        record(rotation.organization, actor, [change])
    return True


def _change(
    row: DataKey, before: Mapping[str, object] | None, after: Mapping[str, object], reason: str
) -> Change:
    return Change(DataKey._meta.db_table, row.pk, before, after, reason)
