"""What sources told is kept sealed for a set number of days, and then it is gone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import models, transaction

from kvit.audit.recording import SYSTEM, Change, record
from kvit.ledger.models import RawPayload
from kvit.sync import consents, imports, webhooks
from kvit.sync.models import HandedFile, QuarantinedRecord, RecordedAnswer
from kvit.users.models import Organization

AT_ONCE: Final = 200
"""Rows in one short transaction."""

NOTHING: Final = b""


def purge(now: datetime) -> int:
    """Empty sealed records, answers and files older than KVIT_RAW_DAYS, audited. Return how many.

    The rows that name them stay; what waits for a person, the records set aside and not resolved, stays too.
    Files that nobody confirmed in a week are discarded. What is left of the ways to a source's page, and the
    ids of messages that sources sent, are forgotten in their own time.
    """
    imports.discard_old(now)
    consents.purge(now)
    webhooks.purge(now)
    before = now - timedelta(days=settings.KVIT.raw_days)
    return sum(_purge(organization, before) for organization in Organization.objects.all())


def _purge(organization: Organization, before: datetime) -> int:
    old = (
        RawPayload.objects.filter(organization=organization, created_at__lt=before),
        RecordedAnswer.objects.filter(run__organization=organization, created_at__lt=before),
        HandedFile.objects.filter(organization=organization, run__created_at__lt=before),
        QuarantinedRecord.objects.filter(organization=organization, resolved_at__lt=before),
    )
    return sum(_emptied(rows.exclude(sealed=NOTHING), organization) for rows in old)


def _emptied(rows: models.QuerySet[models.Model], organization: Organization) -> int:
    table, total = rows.model._meta.db_table, 0
    while keys := list(rows.order_by("pk").values_list("pk", flat=True)[:AT_ONCE]):
        with transaction.atomic():
            rows.model._default_manager.filter(pk__in=keys).update(sealed=NOTHING)
            what = {"sealed values": len(keys), "from": keys[0], "to": keys[-1]}
            record(
                organization,
                SYSTEM,
                [Change(table, keys[-1], what, None, "kept for as long as KVIT_RAW_DAYS")],
            )
        total += len(keys)
    return total
