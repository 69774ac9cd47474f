"""The key ring of an organization: made on first use, unwrapped with the master keys of the environment."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from kvit.kernel.errors import KeyMissing
from kvit.kernel.sealing import Key, KeyRing, unwrap, wrap
from kvit.users.models import DataKey, Organization


def key_ring(organization: Organization) -> KeyRing:
    """Return the organization's data keys, the newest first.

    Raises KeyMissing where none of the master keys opens them: nothing is sealed with a new key then,
    since the old secrets would look lost.
    """
    rows = list(organization.data_keys.all()) or [_create(organization)]
    return KeyRing(_unwrapped(row, organization) for row in rows)


def _create(organization: Organization) -> DataKey:
    """Make the first data key; of two processes doing so at once, the second takes the first one's."""
    with transaction.atomic():
        Organization.objects.select_for_update().get(pk=organization.pk)
        existing = organization.data_keys.first()
        if existing is not None:
            return existing
        key = Key.generate()
        master_keys: KeyRing = settings.KVIT.master_keys
        return organization.data_keys.create(
            key_id=key.id,
            master_key_id=master_keys.active.id,
            wrapped=wrap(master_keys, key, organization.uid),
        )


def _unwrapped(row: DataKey, organization: Organization) -> Key:
    try:
        return unwrap(settings.KVIT.master_keys, bytes(row.wrapped), organization.uid, row.key_id)
    except KeyMissing as error:
        raise KeyMissing(
            "The master key {key_id} is missing. Put it back into KVIT_MASTER_KEY or the master.key file:"
            " without it, the stored credentials cannot be opened.",
            key_id=error.key_id,
        ) from None
