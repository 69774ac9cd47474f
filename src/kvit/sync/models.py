"""Connections of plugins, and every attempt to sync them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from kvit.ledger.models import BankAccount
from kvit.users.models import Organization
from kvit.users.sealed import SealedColumn


class PluginConfiguration(models.Model):
    """One connection of one plugin: settings, sealed credentials, cursor, state."""

    class State(models.TextChoices):
        OK = "ok", _("in order")
        NEEDS_ATTENTION = "needs_attention", _("needs attention")

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="connections")
    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    plugin = models.CharField(max_length=40)
    name = models.CharField(_("name"), max_length=100)
    settings = models.JSONField(default=dict)
    schema_version = models.PositiveIntegerField(default=1)
    credentials_sealed = models.BinaryField(null=True)
    """All Secret fields as one sealed JSON object, so that not even their number shows."""
    account_key = models.CharField(max_length=200, blank=True)
    """Whose account the plugin found at the last check; the same one is never connected twice."""
    account_label = models.CharField(max_length=200, blank=True)
    enabled = models.BooleanField(default=True)
    state = models.CharField(max_length=20, choices=State, default=State.OK)
    cursor = models.JSONField(default=dict)
    schedule = models.CharField(_("schedule"), max_length=100, blank=True)
    """A cron expression in the organization's time zone; empty for the plugin's own."""
    next_run_at = models.DateTimeField(null=True)
    credentials_entered_on = models.DateField(null=True)
    credentials_expire_on = models.DateField(null=True)
    """The last day on which the credentials work, where the plugin can tell."""
    last_success_at = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True)
    """When the first of the failures since the last success ended."""
    created_at = models.DateTimeField(auto_now_add=True)

    SEALED: ClassVar = (SealedColumn("credentials_sealed"),)

    AUDITED: ClassVar[tuple[str, ...]] = (
        "plugin",
        "name",
        "settings",
        "schema_version",
        "account_key",
        "account_label",
        "enabled",
        "state",
        "schedule",
        "credentials_entered_on",
        "credentials_expire_on",
    )

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="sync_connection_name_once"),
            models.UniqueConstraint(
                fields=["organization", "plugin", "account_key"],
                condition=~Q(account_key=""),
                name="sync_connection_account_once",
            ),
        ]
        indexes = [
            models.Index(fields=["next_run_at"], name="sync_connection_due", condition=Q(enabled=True))
        ]

    def __str__(self) -> str:
        return self.name


class SyncHistoryQuerySet(models.QuerySet["SyncHistory"]):
    def active(self) -> SyncHistoryQuerySet:
        return self.filter(status__in=SyncHistory.ACTIVE)


class SyncHistory(models.Model):
    """One attempt to sync: the queue, the truth and the record of what came of it."""

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        RUNNING = "running", _("running")
        COMPLETED = "completed", _("completed")
        FAILED = "failed", _("failed")

    class Trigger(models.TextChoices):
        MANUAL = "manual", _("by hand")
        SCHEDULE = "schedule", _("by schedule")
        IMPORT = "import", _("file import")
        REPLAY = "replay", _("replay")
        WEBHOOK = "webhook", _("by a message of the source")

    ACTIVE = (Status.PENDING, Status.RUNNING)

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="runs")
    connection = models.ForeignKey(PluginConfiguration, models.CASCADE, related_name="runs")
    status = models.CharField(max_length=9, choices=Status, default=Status.PENDING)
    trigger = models.CharField(max_length=8, choices=Trigger)
    requested_by = models.CharField(max_length=300)
    plugin_version = models.CharField(max_length=40, blank=True)
    not_before = models.DateTimeField(null=True)
    """Where the source asked to wait, the moment of the next try."""
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    fence = models.PositiveIntegerField(default=0)
    """Grows with every claim; a worker with an older number writes nothing."""
    lease_until = models.DateTimeField(null=True)
    worker = models.CharField(max_length=200, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    """Tries that ended in a passing fault of the source; the next one waits longer."""
    takeovers = models.PositiveSmallIntegerField(default=0)
    """Workers in a row that died over it without writing anything."""
    is_waiting = models.BooleanField(default=False)
    """The worker waits for the source; were it to die now, the run would not be to blame."""
    cancel_requested_at = models.DateTimeField(null=True)
    cancel_requested_by = models.CharField(max_length=300, blank=True)

    today = models.DateField(null=True)
    """The date the plugin was told; a replay tells the same."""
    cursor_before = models.JSONField(default=dict)
    """The connection's cursor when the run was first claimed on that day."""
    replays = models.ForeignKey("self", models.SET_NULL, null=True, related_name="replayed_by")
    """The run whose recorded answers this one reads again."""
    reverted_at = models.DateTimeField(null=True)
    reverted_by = models.CharField(max_length=300, blank=True)

    fetched = models.PositiveIntegerField(default=0)
    created = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    conflicting = models.PositiveIntegerField(default=0)
    quarantined = models.PositiveIntegerField(default=0)
    warnings = models.PositiveIntegerField(default=0)

    error_kind = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True)
    """An English template; `error_params` holds its named parts."""
    error_params = models.JSONField(default=dict)
    log = models.JSONField(default=list)
    """Lines `{"at", "text"}` and `"level": "warning"` for warnings, bounded."""

    objects: ClassVar[models.Manager[SyncHistory]] = models.Manager.from_queryset(SyncHistoryQuerySet)()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["connection"],
                condition=Q(status__in=["pending", "running"]),
                name="sync_one_active_run_per_connection",
            ),
        ]
        indexes = [
            models.Index(
                fields=["id"], name="sync_run_active", condition=Q(status__in=["pending", "running"])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.connection} #{self.pk}"

    @property
    def is_active(self) -> bool:
        return self.status in self.ACTIVE

    def is_due(self, now: datetime) -> bool:
        """Whether a worker may claim it now: waiting and due, or left behind by a worker."""
        if self.status == self.Status.PENDING:
            return self.not_before is None or self.not_before <= now
        return self.status == self.Status.RUNNING and (self.lease_until is None or self.lease_until < now)


class RecordedAnswer(models.Model):
    """One request of a run and the source's answer, sealed; a replay reads it again."""

    run = models.ForeignKey(SyncHistory, models.CASCADE, related_name="answers")
    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    sealed = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    SEALED: ClassVar = (SealedColumn("sealed", organization="run__organization"),)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.run_id}/{self.pk}"


class StatementImport(models.Model):
    """Files that a person hands over to be looked at, and confirms or discards as a whole."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waits for a confirmation")
        CONFIRMED = "confirmed", _("confirmed")
        DISCARDED = "discarded", _("discarded")

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="statement_imports")
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    run = models.OneToOneField(SyncHistory, models.CASCADE, null=True, related_name="statement_import")
    """The one run that the confirmation queued."""
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=300)

    AUDITED: ClassVar[tuple[str, ...]] = ("state", "run_id", "created_by")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["created_at"], name="sync_import_waiting", condition=Q(state="waiting"))
        ]

    def __str__(self) -> str:
        return f"{self.created_by} {self.created_at:%Y-%m-%d %H:%M}"


class HandedFile(models.Model):
    """A file handed to a run or staged for one, sealed until it is read and for those who look later."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="handed_files")
    run = models.ForeignKey(SyncHistory, models.CASCADE, null=True, related_name="files")
    statement_import = models.ForeignKey(StatementImport, models.CASCADE, null=True, related_name="files")
    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=255)
    sha256 = models.CharField(max_length=64)
    sealed = models.BinaryField()
    account = models.CharField(max_length=64, blank=True)
    """What a person said of a file that does not say it, as in `kvit.plugin.SourceFile`."""
    currency = models.CharField(max_length=3, blank=True)
    profile = models.TextField(blank=True)

    SEALED: ClassVar = (SealedColumn("sealed"),)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name


class CsvProfile(models.Model):
    """A profile of CSV files that a person made: which column says what."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="csv_profiles")
    name = models.CharField(_("name"), max_length=100)
    toml = models.TextField()
    """The profile as `kvit.kernel.statements.csv.profile_to_toml` writes it."""
    account = models.ForeignKey(BankAccount, models.PROTECT, null=True, related_name="+")
    """Whose files these are, where they do not say it."""
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=300)

    AUDITED: ClassVar[tuple[str, ...]] = ("name", "toml", "account_id")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="sync_csvprofile_name_once")
        ]

    def __str__(self) -> str:
        return self.name


class SourceAccount(models.Model):
    """An account as a connection names it, and the own account it is."""

    connection = models.ForeignKey(PluginConfiguration, models.CASCADE, related_name="accounts")
    external_id = models.CharField(max_length=200)
    account = models.ForeignKey(BankAccount, models.PROTECT, related_name="sources")
    balance_minor = models.BigIntegerField(null=True)
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "external_id"], name="sync_sourceaccount_once")
        ]

    def __str__(self) -> str:
        return self.external_id


class QuarantinedRecord(models.Model):
    """A record that could not be read, kept sealed with the reason; the others went on."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="quarantined_records")
    connection = models.ForeignKey(PluginConfiguration, models.CASCADE, related_name="quarantined_records")
    run = models.ForeignKey(SyncHistory, models.CASCADE, related_name="quarantined_records")
    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    digest = models.CharField(max_length=64)
    """SHA-256 of what was wrong, so that an overlapping sync does not keep it twice."""
    external_id = models.CharField(max_length=255, blank=True)
    field = models.CharField(max_length=60, blank=True)
    reason = models.TextField()
    sealed = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_run_id = models.BigIntegerField(null=True)
    """The replay in which the record could be read."""

    SEALED: ClassVar = (SealedColumn("sealed"),)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["connection", "digest"], name="sync_quarantinedrecord_once")
        ]

    def __str__(self) -> str:
        return f"{self.external_id}: {self.reason}"


class WorkerPresence(models.Model):
    """A worker process that has been seen; the health page tells whether any is at work."""

    name = models.CharField(max_length=200, primary_key=True)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class GateTurn(models.Model):
    """When a source's gate opens next; one row per limit, shared by all processes."""

    key_digest = models.CharField(max_length=64, primary_key=True)
    """HMAC of the gate's key: the key itself is a credential."""
    opens_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.key_digest[:8]}… {self.opens_at}"


# Django finds the models of a module only where its `models` imports them.
from kvit.sync.consent_models import AccessGrant, ConsentAttempt, WebhookMessage  # noqa: E402, F401
from kvit.sync.payout_models import ReportedPayout  # noqa: E402, F401
from kvit.sync.switch_models import PluginSwitch  # noqa: E402, F401
