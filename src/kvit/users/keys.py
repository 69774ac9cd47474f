"""The key ring of an organization: made on first use, unwrapped with the master keys of the environment.

The newest data key seals; the others open what they sealed until `sync.rotation` has sealed it anew. Every
process reads the keys from the database, so that a new one reaches all of them without a restart.
"""

from __future__ import annotations

import time
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import F

from kvit.kernel.errors import KeyMissing
from kvit.kernel.sealing import Key, KeyRing, Place, key_id_of, unwrap, wrap
from kvit.users.models import DataKey, Organization

RING_SECONDS: Final = 1.0
"""How long a process goes on sealing with the key it knew as the newest."""


class OrganizationKeys(KeyRing):
    """An organization's data keys as they are now, however long the process keeps this ring.

    Sealing looks for a newer key where the ring is older than RING_SECONDS; opening, where another process
    has sealed with a key that this one does not know yet.
    """

    def __init__(self, organization: Organization) -> None:
        self._organization = organization
        self._read()

    def seal(self, plaintext: bytes, place: Place) -> bytes:
        """Return an envelope that opens only at this place. Raises KeyMissing for a lost master key."""
        if time.monotonic() - self._read_at > RING_SECONDS:
            self._read()
        return super().seal(plaintext, place)

    def open(self, envelope: bytes, place: Place) -> bytes:
        """Return the plaintext. Raises KeyMissing and SealBroken, as any ring does."""
        try:
            return super().open(envelope, place)
        except KeyMissing:
            self._read()
            return super().open(envelope, place)

    def _read(self) -> None:
        self._read_at = time.monotonic()
        rows = data_keys(self._organization) or [_create(self._organization)]
        super().__init__(data_key_of(row, self._organization) for row in rows)


def key_ring(organization: Organization) -> KeyRing:
    """Return the organization's data keys: those in use before retired ones, the newest first.

    Raises KeyMissing where one of their master keys is not there: nothing is sealed with a new key then,
    since the old secrets would look lost.
    """
    return OrganizationKeys(organization)


def data_keys(organization: Organization) -> list[DataKey]:
    """Return the rows of the ring in its order; the first one seals."""
    return list(organization.data_keys.order_by(F("retired_at").asc(nulls_first=True), "-id"))


def data_key_of(row: DataKey, organization: Organization) -> Key:
    """Unwrap a data key. Raises KeyMissing, naming the master key and what to do, and SealBroken."""
    try:
        return unwrap(_master_keys(), bytes(row.wrapped), organization.uid, row.key_id)
    except KeyMissing as error:
        raise _missing(error.key_id) from None


def new_data_key(organization: Organization) -> DataKey:
    """Store another data key, wrapped by the active master key; from now on it seals."""
    key = Key.generate()
    wrapped = wrap(_master_keys(), key, organization.uid)
    return organization.data_keys.create(key_id=key.id, master_key_id=key_id_of(wrapped), wrapped=wrapped)


def rewrapped(row: DataKey, organization: Organization) -> tuple[bytes, str]:
    """Return the data key wrapped by the active master key, and that one's id. Raises as `data_key_of`."""
    wrapped = wrap(_master_keys(), data_key_of(row, organization), organization.uid)
    return wrapped, key_id_of(wrapped)


def master_key_ids() -> tuple[str, ...]:
    """Return the ids of the master keys in the environment; the first one wraps."""
    return _master_keys().ids


def missing_master_keys() -> tuple[str, ...]:
    """Return the ids of the master keys that data keys need and the environment lacks.

    An id is a digest of its key: a wrong key is one with another id.
    """
    needed = DataKey.objects.order_by("master_key_id").values_list("master_key_id", flat=True).distinct()
    known = master_key_ids()
    return tuple(key_id for key_id in needed if key_id not in known)


def require_master_keys() -> None:
    """Raise KeyMissing, naming the missing master keys and what to do, where there are any."""
    missing = missing_master_keys()
    if missing:
        raise _missing(", ".join(missing))


def _missing(key_ids: str) -> KeyMissing:
    return KeyMissing(
        "The master key {key_id} is missing. Put it back where Kvit reads it – KVIT_MASTER_KEY, the file that"
        " KVIT_MASTER_KEY_FILE names, or master.key in the data folder – and start Kvit again: without it,"
        " stored credentials cannot be opened.",
        key_id=key_ids,
    )


def _create(organization: Organization) -> DataKey:
    """Make the first data key; of two processes doing so at once, the second takes the first one's."""
    with transaction.atomic():
        Organization.objects.select_for_update().get(pk=organization.pk)
        return organization.data_keys.first() or new_data_key(organization)


def _master_keys() -> KeyRing:
    ring: KeyRing = settings.KVIT.master_keys
    return ring
