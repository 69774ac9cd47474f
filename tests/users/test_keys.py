"""The ring of data keys, the check of master keys, and which columns are sealed."""

from __future__ import annotations

import dataclasses
import uuid

import pytest
from django.apps import apps
from django.conf import settings
from django.db import models
from django.test import override_settings
from django.utils import timezone

from kvit.audit.recording import audited_columns
from kvit.config.environment import Environment
from kvit.kernel.errors import KeyMissing, SealBroken
from kvit.kernel.sealing import Key, KeyRing, Place
from kvit.users import keys
from kvit.users.keys import (
    data_keys,
    key_ring,
    missing_master_keys,
    new_data_key,
    require_master_keys,
    rewrapped,
)
from kvit.users.models import DataKey, Organization
from kvit.users.sealed import sealed_tables
from tests.factories import an_organization


def with_master_keys(*ring: Key) -> override_settings:
    environment: Environment = settings.KVIT
    return override_settings(KVIT=dataclasses.replace(environment, master_keys=KeyRing(ring)))


def a_place(organization: Organization) -> Place:
    return Place("a_table", "a_column", organization.uid, str(uuid.uuid4()))


def retire(row: DataKey) -> None:
    row.retired_at = timezone.now()
    row.save()


def test_the_newest_key_seals_and_retired_ones_come_last(organization: Organization) -> None:
    place = a_place(organization)
    oldest = key_ring(organization).seal(b"oldest", place)
    rows = [organization.data_keys.get(), new_data_key(organization), new_data_key(organization)]
    retire(rows[0])
    assert [row.key_id for row in data_keys(organization)] == [
        rows[2].key_id,
        rows[1].key_id,
        rows[0].key_id,
    ]
    ring = key_ring(organization)
    assert ring.active.id == rows[2].key_id
    assert ring.open(oldest, place) == b"oldest"


def test_a_ring_kept_for_long_opens_what_a_newer_key_sealed(organization: Organization) -> None:
    place = a_place(organization)
    kept = key_ring(organization)
    new_data_key(organization)
    envelope = key_ring(organization).seal(b"sealed elsewhere", place)
    assert kept.active.id != key_ring(organization).active.id
    assert kept.open(envelope, place) == b"sealed elsewhere"
    with pytest.raises(SealBroken):
        kept.open(envelope, a_place(organization))


def test_a_ring_kept_for_long_seals_with_the_new_key(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = key_ring(organization)
    row = new_data_key(organization)
    monkeypatch.setattr(keys, "RING_SECONDS", 0.0)
    place = a_place(organization)
    envelope = kept.seal(b"new", place)
    assert row.key_id.encode() in envelope
    assert kept.open(envelope, place) == b"new"


def test_another_organizations_key_is_not_found(organization: Organization) -> None:
    other = an_organization()
    place = a_place(other)
    with pytest.raises(KeyMissing):
        key_ring(organization).open(key_ring(other).seal(b"theirs", place), place)


def test_missing_master_keys_are_named_each_once(db: None) -> None:
    assert missing_master_keys() == ()
    first, second, third = Key.generate(), Key.generate(), Key.generate()
    for key in (first, first, second):
        with with_master_keys(key):
            key_ring(an_organization())
    with with_master_keys(third):
        assert missing_master_keys() == tuple(sorted([first.id, second.id]))
        with pytest.raises(KeyMissing, match=f"{first.id}.*KVIT_MASTER_KEY_FILE") as caught:
            require_master_keys()
        assert second.id in str(caught.value)
    with with_master_keys(third, second):
        assert missing_master_keys() == (first.id,)
    with with_master_keys(third, second, first):
        assert missing_master_keys() == ()
        require_master_keys()


def test_a_rewrapped_key_is_the_same_key_under_the_active_master_key(organization: Organization) -> None:
    old, new = Key.generate(), Key.generate()
    with with_master_keys(old):
        material = key_ring(organization).active.material
    row = organization.data_keys.get()
    with with_master_keys(new, old):
        row.wrapped, row.master_key_id = rewrapped(row, organization)
    row.save()
    assert row.master_key_id == new.id
    with with_master_keys(new):
        assert missing_master_keys() == ()
        assert key_ring(organization).active.material == material


def test_a_wrapped_key_moved_to_another_organization_does_not_open(organization: Organization) -> None:
    key_ring(organization)
    row = organization.data_keys.get()
    row.organization = an_organization()
    row.save()
    with pytest.raises(SealBroken):
        key_ring(row.organization)


def test_every_sealed_column_is_known() -> None:
    """A column of bytes that is no digest and no key is one of secrets, and rotation must find it."""
    known = {(table.model, table.column.name) for table in sealed_tables()}
    found = {
        (model, column.name)
        for model in apps.get_models()
        for column in model._meta.get_fields()
        if isinstance(column, models.BinaryField)
    }
    plain = {(DataKey, "wrapped"), (apps.get_model("audit", "AuditSeal"), "digests")}
    assert known == found - plain
    assert len(known) == 8


def test_the_audit_follows_no_sealed_column() -> None:
    """Rotation seals the same secrets anew, and says so once, on the key."""
    for table in sealed_tables():
        assert table.column.name not in audited_columns(table.model)
