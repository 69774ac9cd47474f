"""Access that people granted at a source's own pages, their ways there, and messages that sources sent."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from kvit.users.models import Organization, User
from kvit.users.sealed import SealedColumn


class AccessGrant(models.Model):
    """What a person granted for one connection, sealed; empty once it has ended."""

    connection = models.OneToOneField("sync.PluginConfiguration", models.CASCADE, related_name="grant")
    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    sealed = models.BinaryField()
    """Secrets, when to renew it and when it ends, as one sealed JSON object; empty where access has ended."""
    revision = models.PositiveBigIntegerField(default=1)
    """Grows with every grant that is kept here: one that was read earlier replaces nothing."""
    renewed_by = models.UUIDField(null=True)
    """Whoever exchanges it for another one at this moment."""
    renewed_until = models.DateTimeField(null=True)
    """When that lease ends, should its holder have died."""
    granted_at = models.DateTimeField()
    kept_at = models.DateTimeField()
    """When this revision was written."""

    SEALED: ClassVar = (SealedColumn("sealed", organization="connection__organization"),)

    def __str__(self) -> str:
        return f"{self.connection_id}/{self.revision}"


class ConsentAttempt(models.Model):
    """A person on the way to a source's page and back: used once, in their session, within its time."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    connection = models.ForeignKey("sync.PluginConfiguration", models.CASCADE, null=True, related_name="+")
    """The connection that access is granted to again; None where the answer makes a new one."""
    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    state_digest = models.CharField(max_length=64, unique=True)
    """SHA-256 of the state; the state itself only travels."""
    session_digest = models.CharField(max_length=64)
    """SHA-256 of the key of the session that it began in."""
    plugin = models.CharField(max_length=40)
    settings = models.JSONField(default=dict)
    sealed = models.BinaryField()
    """The PKCE verifier and the credentials, as one sealed JSON object; emptied when it is used."""
    draft_uid = models.UUIDField(null=True)
    """Becomes the new connection's own, so that a form sent twice makes one connection."""
    return_url = models.CharField(max_length=500)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    SEALED: ClassVar = (SealedColumn("sealed"),)

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="sync_consentattempt_old")]

    def __str__(self) -> str:
        return f"{self.plugin} {self.created_at:%Y-%m-%d %H:%M}"


class WebhookMessage(models.Model):
    """A message with a right signature that a source sent, so that it is taken once."""

    connection = models.ForeignKey("sync.PluginConfiguration", models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64)
    """SHA-256 of the source's id of it."""
    received_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "digest"], name="sync_webhookmessage_once")
        ]

    def __str__(self) -> str:
        return f"{self.connection_id}/{self.digest[:8]}…"
