"""Which columns hold sealed values, and where each value belongs.

A model says so itself, in `SEALED`; a model is never asked for by name, so that apps above this one can
have sealed columns too. The row's own name in the seal is its `uid`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import models
from django.db.models.functions import Length, Substr

from kvit.kernel.sealing import Place, header_of
from kvit.users.models import Organization


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of envelopes; `organization` is the lookup from the row to its organization."""

    name: str
    organization: str = "organization"


@dataclass(frozen=True, slots=True)
class SealedValue:
    """One stored envelope; `pk` is the row's."""

    pk: int
    place: Place
    envelope: bytes


@dataclass(frozen=True, slots=True)
class SealedTable:
    """One sealed column of one table."""

    model: type[models.Model]
    column: SealedColumn

    @property
    def name(self) -> str:
        return self.model._meta.db_table

    def under_other_keys(
        self, organization: Organization, key_id: str, *, after: int, most_values: int, most_bytes: int
    ) -> list[SealedValue]:
        """Return the organization's next values that this key did not seal, by pk, from rows after that one.

        There are fewer of large ones, at least one.
        """
        header = header_of(key_id)
        rows = (
            self._beginning(len(header))
            .filter(**{self.column.organization: organization}, pk__gt=after)
            .exclude(begins=header)
            .order_by("pk")
        )
        lengths = rows.annotate(envelope_bytes=Length(self.column.name))
        sizes = lengths.values_list("pk", "envelope_bytes")[:most_values]
        totals = accumulate(sizes, lambda total, row: (row[0], total[1] + row[1]))
        few = [pk for number, (pk, total) in enumerate(totals) if number == 0 or total <= most_bytes]
        found = rows.filter(pk__in=few).values_list("pk", "uid", self.column.name)
        return [
            SealedValue(pk, self.place(organization, uid), bytes(envelope)) for pk, uid, envelope in found
        ]

    def counted_by_key(self, key_ids: set[str]) -> dict[str, int]:
        """Count the values of all organizations by the key that sealed them; under "" those of another."""
        ids = {header_of(key_id): key_id for key_id in key_ids}
        found = dict.fromkeys(key_ids, 0)
        for length in {len(header) for header in ids}:
            groups = self._beginning(length).order_by().values_list("begins").annotate(models.Count("pk"))
            for header, number in groups:
                if bytes(header) in ids:
                    found[ids[bytes(header)]] = number
        elsewhere = self._stored().count() - sum(found.values())
        return found | ({"": elsewhere} if elsewhere else {})

    def replace(self, value: SealedValue, envelope: bytes) -> bool:
        """Store another envelope and return True, unless somebody changed the value meanwhile."""
        unchanged = self._stored().filter(pk=value.pk, **{self.column.name: value.envelope})
        return unchanged.update(**{self.column.name: envelope}) == 1

    def place(self, organization: Organization, uid: UUID) -> Place:
        return Place(self.name, self.column.name, organization.uid, str(uid))

    def _stored(self) -> models.QuerySet[Any]:
        """The rows that hold an envelope; one that was kept long enough is emptied."""
        rows: models.QuerySet[Any] = self.model._default_manager.exclude(**{self.column.name: b""})
        return rows.filter(**{f"{self.column.name}__isnull": False})

    def _beginning(self, length: int) -> models.QuerySet[Any]:
        """The rows that hold an envelope, each with its first bytes as `begins`."""
        start = Substr(self.column.name, 1, length, output_field=models.BinaryField())
        rows: models.QuerySet[Any] = self._stored().annotate(begins=start)
        return rows


def sealed_tables() -> tuple[SealedTable, ...]:
    """Return every sealed column of every installed app."""
    return tuple(
        SealedTable(model, column) for model in apps.get_models() for column in getattr(model, "SEALED", ())
    )
