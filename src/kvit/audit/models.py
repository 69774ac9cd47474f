"""The record of every change."""

from __future__ import annotations

from typing import Any, Never

from django.db import models
from django.utils.translation import gettext_lazy as _

from kvit.users.models import Organization


class AuditEntry(models.Model):
    """One change of one row: who, when, in which run, from what to what. Append-only."""

    class Action(models.TextChoices):
        CREATED = "created", _("created")
        CHANGED = "changed", _("changed")
        DELETED = "deleted", _("deleted")

    organization = models.ForeignKey(
        Organization, models.CASCADE, related_name="audit_entries", db_index=False, db_constraint=False
    )
    at = models.DateTimeField()
    actor = models.CharField(max_length=300)
    """`user:EMAIL`, `plugin:NAME@VERSION`, `command` or `system`."""
    run_id = models.BigIntegerField(null=True)
    request_id = models.CharField(max_length=36, blank=True)
    table = models.CharField(max_length=40)
    object_id = models.BigIntegerField()
    action = models.CharField(max_length=7, choices=Action)
    reason = models.CharField(max_length=200, blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["table", "object_id"], name="audit_of_object"),
            models.Index(fields=["run_id"], name="audit_of_run", condition=models.Q(run_id__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.table} {self.object_id}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("An audit entry is never changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Never:
        raise TypeError("An audit entry is never deleted.")


class AuditSeal(models.Model):
    """One link of the hash chain over the audit: a range of entries, a digest of each and of all before."""

    first_id = models.BigIntegerField()
    last_id = models.BigIntegerField(unique=True)
    """Both ends inclusive; ids between them that no entry has were never used."""
    digests = models.BinaryField()
    """Per entry, in order of id: its id (8 bytes, big endian) and the first 8 bytes of its SHA-256."""
    previous = models.CharField(max_length=64, blank=True)
    digest = models.CharField(max_length=64)
    """SHA-256 over `previous` and each entry's id and whole SHA-256; the newest one is the chain's head."""
    sealed_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.first_id}–{self.last_id} {self.digest[:12]}"
