"""A transaction that is done whole or not at all, also where the database breaks a tie."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import OperationalError, transaction

from kvit.kernel.errors import Stale

_TIES: Final = ("40001", "40P01")
"""Serialization failure and deadlock (PostgreSQL manual, appendix A)."""


@contextmanager
def whole() -> Iterator[None]:
    """Open a transaction. Raises Stale where the database ends it in favour of somebody else's."""
    try:
        with transaction.atomic():
            yield
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) in _TIES:
            raise Stale from error
        raise
