"""A correct plugin keeps every rule of the contract, under pytest as an author would run it."""

from __future__ import annotations

from tests.testing.buk_bank import BukContract


class TestBuk(BukContract):
    """Every rule is a test of its own."""
