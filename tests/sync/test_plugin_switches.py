"""A plugin that an organization has switched off brings nothing in, and its connections stay."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from kvit import pipeline
from kvit.audit.models import AuditEntry
from kvit.audit.recording import SYSTEM
from kvit.kernel.errors import PluginUnavailable, Refused
from kvit.sync import connections, schedule, switches
from kvit.sync.models import PluginConfiguration, SyncHistory
from kvit.sync.switch_models import PluginSwitch
from kvit.users.models import Organization
from tests.banks.fio import FioBank
from tests.factories import an_organization
from tests.sync.installation import a_connection, claimed, words

pytestmark = pytest.mark.django_db(transaction=True)


def off(organization: Organization, name: str = "fio") -> bool:
    return switches.set_plugin_enabled(organization, name, False, actor=SYSTEM)


def test_neither_people_nor_the_schedule_start_a_sync(organization: Organization, bank: FioBank) -> None:
    connection = a_connection(organization, bank)
    assert off(organization)
    with pytest.raises(Refused, match="switched off"):
        connections.request_run(connection, SyncHistory.Trigger.MANUAL, actor=SYSTEM)
    assert schedule.enqueue_due(timezone.now() + timedelta(days=1)) == 0
    assert not SyncHistory.objects.exists()
    assert PluginConfiguration.objects.filter(pk=connection.pk, enabled=True).exists()


def test_switched_on_again_it_syncs_what_it_missed(organization: Organization, bank: FioBank) -> None:
    a_connection(organization, bank)
    off(organization)
    assert switches.set_plugin_enabled(organization, "fio", True, actor=SYSTEM)
    assert schedule.enqueue_due(timezone.now() + timedelta(days=1)) == 1


def test_a_run_that_was_queued_before_ends_with_words(organization: Organization, bank: FioBank) -> None:
    connection = a_connection(organization, bank)
    held = claimed(connection)
    off(organization)
    pipeline.carry_out(held)
    assert "switched off" in words(SyncHistory.objects.get(pk=held.run.pk))
    connection.refresh_from_db()
    assert connection.state == PluginConfiguration.State.OK


def test_no_connection_can_be_added(organization: Organization, bank: FioBank) -> None:
    off(organization)
    with pytest.raises(Refused, match="switched off"):
        a_connection(organization, bank)


def test_it_is_off_for_one_organization_only(organization: Organization, bank: FioBank) -> None:
    other = an_organization()
    off(organization)
    assert switches.switched_off(organization) == {"fio"}
    assert switches.switched_off(other) == frozenset()
    a_connection(other, bank)


def test_switching_twice_changes_once_and_is_audited(organization: Organization) -> None:
    assert (off(organization), off(organization)) == (True, False)
    on = [switches.set_plugin_enabled(organization, "fio", True, actor=SYSTEM) for _ in range(2)]
    assert on == [True, False]
    entries = AuditEntry.objects.filter(table=PluginSwitch._meta.db_table)
    assert [(entry.before is None, entry.after is None) for entry in entries.order_by("id")] == [
        (True, False),
        (False, True),
    ]


def test_what_is_not_there_cannot_be_switched_off(organization: Organization) -> None:
    with pytest.raises(PluginUnavailable, match="not installed"):
        off(organization, "nowhere")
