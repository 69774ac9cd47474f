"""Gapless invoice numbers: a locked counter per organization and year (zákon 235/2004 Sb., § 29)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import apps
from django.db import connection

if TYPE_CHECKING:
    from kvit.users.models import Organization


def take_number(organization: Organization, year: int) -> str:
    """Return the next number, `YYYY-NNN`, growing past three digits where it must.

    Call it in the transaction that issues the invoice: the counter stays locked until that ends, and a
    rollback gives the number back. Raises RuntimeError outside a transaction.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("A number is taken in the transaction that issues the invoice.")
    all_series = apps.get_model("invoices", "NumberSeries").objects
    all_series.get_or_create(organization=organization, year=year)
    series = all_series.select_for_update().get(organization=organization, year=year)
    series.last_number += 1
    series.save(update_fields=["last_number"])
    return f"{year}-{series.last_number:03d}"
