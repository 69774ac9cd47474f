"""Sealing of secrets: AES-256-GCM envelopes, each bound to the one place where it may be opened.

A master key wraps the data key of an organization; the data key seals values. Every envelope names the key
that sealed it, and its additional authenticated data names table, column, organization and row: moved
anywhere else, it does not open.

    "KV1" | length of key id | key id | nonce (12 random bytes) | ciphertext and tag

A data key must be rotated well before 2**32 envelopes (NIST SP 800-38D, 8.3, random nonces).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import cached_property
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kvit.kernel.errors import KeyMissing, SealBroken, SettingsError

KEY_BYTES: Final = 32
_MAGIC: Final = b"KV1"
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Place:
    """The one place where an envelope belongs; `row` is a name the row keeps for ever."""

    table: str
    column: str
    organization: UUID
    row: str

    def binding(self) -> bytes:
        return f"{self.table}|{self.column}|{self.organization}|{self.row}".encode()


@dataclass(frozen=True)
class Key:
    """32 secret bytes under a public id; only its id is ever shown."""

    id: str
    material: bytes = dataclass_field(repr=False)

    def __post_init__(self) -> None:
        if len(self.material) != KEY_BYTES:
            raise SettingsError("A key must be {size} bytes long.", size=KEY_BYTES)

    @classmethod
    def generate(cls) -> Key:
        return cls.of(os.urandom(KEY_BYTES))

    @classmethod
    def of(cls, material: bytes) -> Key:
        """Name a key by a digest that does not give it away."""
        return cls(hashlib.sha256(b"kvit key id|" + material).hexdigest()[:12], material)

    @classmethod
    def from_text(cls, text: str) -> Key:
        """Read 32 bytes written as base64 (standard or URL-safe). Raises SettingsError."""
        try:
            material = base64.b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True)
        except (binascii.Error, ValueError):
            raise SettingsError("The master key is not base64 text.") from None
        if len(material) != KEY_BYTES:
            raise SettingsError(
                "The master key must be {size} random bytes in base64, not {found}.",
                size=KEY_BYTES,
                found=len(material),
            )
        return cls.of(material)

    def to_text(self) -> str:
        return base64.b64encode(self.material).decode()

    @cached_property
    def cipher(self) -> AESGCM:
        derived = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"kvit|field").derive(
            self.material
        )
        return AESGCM(derived)

    @cached_property
    def header(self) -> bytes:
        return header_of(self.id)


class KeyRing:
    """Keys by id; the first one seals, all of them open."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._found = tuple(keys)
        if not self._found:
            raise SettingsError("There is no key to seal secrets with.")

    @classmethod
    def from_text(cls, text: str) -> KeyRing:
        """Read a comma-separated list of base64 keys, the active one first. Raises SettingsError."""
        return cls(Key.from_text(part) for part in text.split(",") if part.strip())

    @property
    def keys(self) -> tuple[Key, ...]:
        return self._found

    @property
    def active(self) -> Key:
        return self.keys[0]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(key.id for key in self.keys)

    def seal(self, plaintext: bytes, place: Place) -> bytes:
        """Return an envelope that opens only at this place."""
        return _seal(self.active, os.urandom(_NONCE_BYTES), plaintext, place.binding())

    def open(self, envelope: bytes, place: Place) -> bytes:
        """Return the plaintext.

        Raises KeyMissing where the sealing key is not in this ring, and SealBroken where the envelope was
        damaged or belongs to another place. It never returns anything else.
        """
        key, body = self._split(bytes(envelope))
        nonce, ciphertext = body[:_NONCE_BYTES], body[_NONCE_BYTES:]
        try:
            return key.cipher.decrypt(nonce, ciphertext, key.header + place.binding())
        except InvalidTag:
            raise SealBroken from None

    def _split(self, envelope: bytes) -> tuple[Key, bytes]:
        if not envelope.startswith(_MAGIC) or len(envelope) <= len(_MAGIC):
            raise SealBroken
        start = len(_MAGIC) + 1
        end = start + envelope[len(_MAGIC)]
        key_id, body = envelope[start:end], envelope[end:]
        if len(body) < _NONCE_BYTES + _TAG_BYTES:
            raise SealBroken
        for key in self.keys:
            if key.id.encode() == key_id:
                return key, body
        raise KeyMissing(key_id=key_id.decode("ascii", "replace"))


def header_of(key_id: str) -> bytes:
    """Return what every envelope sealed with this key begins with."""
    name = key_id.encode()
    return _MAGIC + bytes([len(name)]) + name


def key_id_of(envelope: bytes) -> str:
    """Return the id of the key that sealed an envelope of this module's own making."""
    start = len(_MAGIC) + 1
    return envelope[start : start + envelope[len(_MAGIC)]].decode("ascii")


def _seal(key: Key, nonce: bytes, plaintext: bytes, binding: bytes) -> bytes:
    header = key.header
    return header + nonce + key.cipher.encrypt(nonce, plaintext, header + binding)


def wrap(master_keys: KeyRing, data_key: Key, organization: UUID) -> bytes:
    """Seal an organization's data key under the active master key."""
    return master_keys.seal(data_key.material, _wrapping_place(organization, data_key.id))


def unwrap(master_keys: KeyRing, wrapped: bytes, organization: UUID, key_id: str) -> Key:
    """Open a wrapped data key. Raises KeyMissing or SealBroken."""
    return Key(key_id, master_keys.open(wrapped, _wrapping_place(organization, key_id)))


def _wrapping_place(organization: UUID, key_id: str) -> Place:
    return Place("users_datakey", "wrapped", organization, key_id)
