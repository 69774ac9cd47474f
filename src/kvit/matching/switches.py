"""What an organization lets matching do by itself."""

from __future__ import annotations

from django.db import transaction

from kvit.audit.recording import Actor, audited_values, changed, created, record
from kvit.matching import attention
from kvit.matching.models import MatchingSettings


def save_settings(settings: MatchingSettings, *, actor: Actor) -> None:
    """Save an organization's settings; what waited only for a tier that is on now is due again."""
    organization = settings.organization
    with transaction.atomic():
        rows = MatchingSettings.objects.select_for_update()
        before = rows.filter(organization=organization).first()
        settings.save()
        if before is None:
            record(organization, actor, [created(settings)])
        else:
            record(organization, actor, [changed(settings, audited_values(before), audited_values(settings))])
        attention.tiers_switched(organization, before or MatchingSettings(), settings)
