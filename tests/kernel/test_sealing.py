from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvit.kernel.errors import KeyMissing, SealBroken, SettingsError
from kvit.kernel.sealing import Key, KeyRing, Place, unwrap, wrap

HOME = Place("sync_pluginconfiguration", "credentials_sealed", UUID(int=1), "row-1")
RING = KeyRing([Key.generate()])


@given(st.binary(max_size=2000))
def test_what_is_sealed_opens_at_its_place(plaintext: bytes) -> None:
    assert RING.open(RING.seal(plaintext, HOME), HOME) == plaintext


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(HOME, table="other"),
        replace(HOME, column="other"),
        replace(HOME, organization=UUID(int=2)),
        replace(HOME, row="row-2"),
    ],
    ids=["table", "column", "organization", "row"],
)
def test_an_envelope_moved_elsewhere_does_not_open(elsewhere: Place) -> None:
    with pytest.raises(SealBroken):
        RING.open(RING.seal(b"token", HOME), elsewhere)


def test_every_single_changed_byte_is_noticed() -> None:
    envelope = RING.seal(b"token", HOME)
    for at in range(len(envelope)):
        damaged = bytearray(envelope)
        damaged[at] ^= 1
        with pytest.raises((SealBroken, KeyMissing)):
            RING.open(bytes(damaged), HOME)


@given(st.binary(max_size=100))
def test_anything_else_fails_closed(noise: bytes) -> None:
    with pytest.raises((SealBroken, KeyMissing)):
        RING.open(noise, HOME)


def test_a_missing_key_is_named() -> None:
    stranger = KeyRing([Key.generate()])
    with pytest.raises(KeyMissing) as caught:
        stranger.open(RING.seal(b"token", HOME), HOME)
    assert caught.value.key_id == RING.active.id
    assert RING.active.id in str(caught.value)


def test_an_older_key_still_opens_and_the_first_one_seals() -> None:
    new = Key.generate()
    ring = KeyRing([new, RING.active])
    assert ring.open(RING.seal(b"token", HOME), HOME) == b"token"
    assert new.id.encode() in ring.seal(b"token", HOME)


def test_the_same_secret_never_looks_the_same() -> None:
    assert RING.seal(b"token", HOME) != RING.seal(b"token", HOME)


def test_a_data_key_is_wrapped_for_one_organization() -> None:
    key = Key.generate()
    wrapped = wrap(RING, key, UUID(int=1))
    assert unwrap(RING, wrapped, UUID(int=1), key.id) == key
    with pytest.raises(SealBroken):
        unwrap(RING, wrapped, UUID(int=2), key.id)


@pytest.mark.parametrize("text", ["", "not base64!", "c2hvcnQ="])
def test_a_wrong_master_key_says_what_is_wrong(text: str) -> None:
    with pytest.raises(SettingsError):
        KeyRing.from_text(text)


def test_a_key_survives_being_written_as_text_and_is_never_shown() -> None:
    key = Key.generate()
    assert Key.from_text(key.to_text()) == key
    assert key.to_text() not in repr(key)
    assert repr(key.material) not in repr(key)
